// The pool: every index once, several callers at a time, nesting, errors, interruption, a forked child.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

using namespace mlx::core;
using mlx::core::cpu::parallel_for;

namespace {

void on_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back(body, i);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

double seconds_of(const std::function<void()>& body) {
  auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Four threads at once, whatever the machine has.
struct Threads {
  int before = cpu::thread_count();
  explicit Threads(int count) { cpu::set_thread_count(count); }
  ~Threads() { cpu::set_thread_count(before); }
};
struct FourThreads : Threads {
  FourThreads() : Threads(4) {}
};

bool every_index_once(int64_t count) {
  std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
  parallel_for(count, [&](int64_t i) { runs[static_cast<size_t>(i)].fetch_add(1); });
  for (const auto& n : runs) {
    if (n.load() != 1) return false;
  }
  return true;
}

} // namespace

TEST(every_index_runs_once) {
  FourThreads four;
  for (int round = 0; round < 2000; ++round) {
    CHECK(every_index_once(round % 37));
  }
}

TEST(more_threads_than_ranges) {
  Threads many(100);
  for (int64_t count : {2, 63, 64, 65, 99, 100, 101, 1000}) {
    CHECK(every_index_once(count));
  }
}

TEST(who_is_done_goes_on_with_what_others_began) {
  FourThreads four;
  for (int round = 0; round < 50; ++round) {
    std::atomic<bool> second{false};
    parallel_for(16, [&](int64_t i) {
      if (i == 1) second = true;
      while (i == 0 && !second) std::this_thread::yield(); // would not end if index 1 were for this thread alone
    });
  }
}

TEST(many_callers_at_once) {
  FourThreads four;
  std::atomic<int> wrong{0};
  on_threads(48, [&](int caller) { // more than there are slots
    for (int round = 0; round < 200; ++round) {
      wrong += !every_index_once((caller + round) % 23 + 1);
    }
  });
  CHECK_EQ(wrong.load(), 0);
}

TEST(callers_do_not_wait_for_one_another) {
  FourThreads four;
  std::atomic<bool> release{false}, entered{false};
  std::thread slow([&] {
    parallel_for(2, [&](int64_t) {
      entered = true;
      while (!release) sleep_ms(1);
    });
  });
  while (!entered) sleep_ms(1);
  CHECK(every_index_once(100)); // would not end if the pool were the other caller's
  release = true;
  slow.join();
}

TEST(workers_are_shared_out) {
  FourThreads four;
  std::atomic<bool> stop{false};
  std::thread endless([&] {
    while (!stop) parallel_for(64, [&](int64_t) { sleep_ms(1); });
  });
  sleep_ms(50);
  std::vector<std::thread::id> ids(64);
  parallel_for(64, [&](int64_t i) {
    ids[static_cast<size_t>(i)] = std::this_thread::get_id();
    sleep_ms(2);
  });
  stop = true;
  endless.join();
  int by_others = 0;
  for (std::thread::id id : ids) by_others += id != std::this_thread::get_id();
  CHECK(by_others > 0);
}

TEST(nested_calls_run_inline) {
  FourThreads four;
  on_threads(4, [&](int) {
    std::atomic<int> runs{0};
    parallel_for(16, [&](int64_t) {
      std::thread::id outer = std::this_thread::get_id();
      parallel_for(8, [&](int64_t) {
        CHECK(std::this_thread::get_id() == outer);
        ++runs;
      });
    });
    CHECK_EQ(runs.load(), 128);
  });
}

TEST(the_error_of_the_lowest_index_is_thrown) {
  FourThreads four;
  on_threads(4, [&](int caller) {
    for (int round = 0; round < 200; ++round) {
      std::string message;
      try {
        parallel_for(50, [&](int64_t i) {
          if (i >= 20 + caller) throw std::runtime_error(std::to_string(i));
        });
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      CHECK_EQ(message, std::to_string(20 + caller));
    }
  });
}

TEST(an_interrupt_leaves_out_what_is_left) {
  FourThreads four;
  static std::atomic<bool> interrupt{false};
  static const std::thread::id asking = std::this_thread::get_id();
  set_interrupt_check([] { return std::this_thread::get_id() == asking && interrupt.load(); });
  std::thread other([&] { CHECK(every_index_once(1000)); }); // goes on
  std::atomic<int> runs{0};
  std::thread later([&] {
    sleep_ms(50);
    interrupt = true;
  });
  double seconds = seconds_of([&] {
    CHECK_THROWS(Interrupted, parallel_for(10000, [&](int64_t) {
      sleep_ms(2);
      ++runs;
    }));
  });
  later.join();
  other.join();
  CHECK(seconds < 2);
  CHECK(runs.load() < 10000);
  interrupt = false;
  CHECK(every_index_once(100));
  set_interrupt_check(nullptr);
}

TEST(an_interrupt_stops_bodies_that_look) {
  FourThreads four;
  static std::atomic<bool> interrupt{false};
  static const std::thread::id asking = std::this_thread::get_id();
  set_interrupt_check([] { return std::this_thread::get_id() == asking && interrupt.load(); });
  std::thread later([&] {
    sleep_ms(50);
    interrupt = true;
  });
  double seconds = seconds_of([&] {
    CHECK_THROWS(Interrupted, parallel_for(4, [&](int64_t i) {
      // The caller's own body may be done: then it looks out while it waits.
      InterruptPoll poll(1);
      while (i != 0) {
        poll();
        sleep_ms(1);
      }
    }));
  });
  later.join();
  CHECK(seconds < 2);
  interrupt = false;
  set_interrupt_check(nullptr);
}

TEST(a_flag_of_the_thread_stops_it) {
  FourThreads four;
  std::atomic<bool> flag{false};
  std::thread worker([&] {
    StopFlagScope stops(flag);
    CHECK_THROWS(Interrupted, parallel_for(100000, [&](int64_t) { sleep_ms(1); }));
    CHECK_THROWS(Interrupted, throw_if_interrupted());
  });
  sleep_ms(30);
  flag = true;
  worker.join();
  throw_if_interrupted(); // not this one
}

TEST(a_forked_child_has_a_pool_of_its_own) {
  FourThreads four;
  CHECK(every_index_once(100));
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) every_index_once(200);
  });
  for (int round = 0; round < 20; ++round) {
    pid_t pid = fork();
    if (pid == 0) _exit(every_index_once(100) ? 0 : 1);
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
  }
  stop = true;
  busy.join();
}
