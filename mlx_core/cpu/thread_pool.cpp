// The pool: lazily started, detached workers that claim the indices of one run at a time.
#include "mlx_core/cpu/thread_pool.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <limits>
#include <utility>

namespace mlx::core::cpu {
namespace {

constexpr int max_threads = 1024;
constexpr int64_t none_failed = std::numeric_limits<int64_t>::max();

// True on a worker, and on a caller while it runs bodies: further parallel calls there run inline.
thread_local bool inside_run = false;

inline void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

// Polls for about `microseconds`, which is cheaper than the system call of falling asleep and being woken.
template <typename Done>
bool spin(int microseconds, Done done) {
  auto stop = std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds);
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause_cpu();
    }
  } while (std::chrono::steady_clock::now() < stop);
  return done();
}

int available_cpus() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : static_cast<int>(std::min<long>(online, max_threads));
}

int default_thread_count() {
  if (const char* text = std::getenv("MLX_NUM_THREADS")) {
    char* end = nullptr;
    long count = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && count >= 1) return static_cast<int>(std::min<long>(count, max_threads));
  }
  return std::min(available_cpus(), max_threads);
}

std::atomic<int> configured{0}; // 0: not read yet

// Never destroyed: detached workers may still sleep on it while the process exits, and after a fork the child
// abandons it together with the threads that did not survive.
class Pool {
 public:
  // False when another thread's run has the pool; nothing was run then.
  bool try_run(int64_t count, void (*body)(void*, int64_t), void* context) {
    if (owned_.exchange(true, std::memory_order_acquire)) return false;
    int wanted = static_cast<int>(std::min<int64_t>(count, thread_count())) - 1;
    start_workers(wanted);
    if (started_ == 0) {
      owned_.store(false, std::memory_order_release);
      return false;
    }
    body_ = body;
    context_ = context;
    count_ = count;
    limit_ = wanted;
    next_.store(0, std::memory_order_relaxed);
    failed_.store(none_failed, std::memory_order_relaxed);
    phase_.fetch_add(1); // odd: open
    phase_
        .notify_all(); // all: which sleepers a smaller count would wake, and whether within limit_, is not ours to say
    inside_run = true;
    claim();
    inside_run = false;
    phase_.fetch_add(1); // even: closed; whoever has not entered by now will not
    wait_for_workers();
    std::exception_ptr error = std::exchange(error_, nullptr);
    owned_.store(false, std::memory_order_release);
    if (error) std::rethrow_exception(error);
    return true;
  }

 private:
  void start_workers(int wanted) {
    while (started_ < wanted) {
      sigset_t all, before;
      sigfillset(&all); // signals belong to the program's own threads
      pthread_sigmask(SIG_SETMASK, &all, &before);
      pthread_attr_t attributes;
      pthread_attr_init(&attributes);
      pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
      pthread_attr_setstacksize(&attributes, size_t{8} << 20); // BLAS keeps buffers on the stack
      pthread_t thread;
      auto* start = new Start{this, started_};
      int failed = pthread_create(&thread, &attributes, &Pool::worker_main, start);
      pthread_attr_destroy(&attributes);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      if (failed) { // out of threads: go on with those there are
        delete start;
        return;
      }
      ++started_;
    }
  }

  void wait_for_workers() {
    if (spin(50, [&] { return entered_.load() == 0; })) return;
    for (int inside = entered_.load(); inside != 0; inside = entered_.load()) entered_.wait(inside);
  }

  struct Start {
    Pool* pool;
    int index;
  };

  static void* worker_main(void* argument) {
    Start start = *static_cast<Start*>(argument);
    delete static_cast<Start*>(argument);
    inside_run = true;
    start.pool->work(start.index);
    return nullptr;
  }

  [[noreturn]] void work(int index) {
    uint32_t seen = 0;
    for (;;) {
      auto fresh = [&] {
        uint32_t phase = phase_.load();
        return phase != seen && (phase & 1) != 0;
      };
      if (!spin(20, fresh)) {
        uint32_t phase = phase_.load();
        if (phase == seen || (phase & 1) == 0) phase_.wait(phase);
        continue;
      }
      // Entering and closing are ordered (sequentially consistent): either this check sees the run closed, or the
      // caller sees this worker inside and waits for it.
      entered_.fetch_add(1);
      seen = phase_.load();
      if ((seen & 1) != 0 && index < limit_) claim();
      if (entered_.fetch_sub(1) == 1) entered_.notify_all();
    }
  }

  // Runs unclaimed indices. The exception kept is the one of the lowest index, which is the one a serial run throws.
  void claim() {
    for (;;) {
      int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= count_) return;
      if (i > failed_.load(std::memory_order_relaxed)) continue;
      try {
        body_(context_, i);
      } catch (...) {
        while (error_lock_.test_and_set(std::memory_order_acquire)) pause_cpu();
        if (i < failed_.load(std::memory_order_relaxed)) {
          failed_.store(i, std::memory_order_relaxed);
          error_ = std::current_exception();
        }
        error_lock_.clear(std::memory_order_release);
      }
    }
  }

  // Each on its own cache line: claimed by all, polled by idle workers, counted by leaving ones.
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
  alignas(64) std::atomic<int> entered_{0};
  alignas(64) std::atomic<bool> owned_{false};
  int started_ = 0;
  int limit_ = 0;
  int64_t count_ = 0;
  void (*body_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  std::atomic<int64_t> failed_{none_failed};
  std::atomic_flag error_lock_ = ATOMIC_FLAG_INIT;
  std::exception_ptr error_;
};

std::atomic<Pool*> pool{nullptr};

// No lock guards the pool's creation: one that another thread held across fork would stay locked in the child.
Pool& the_pool() {
  Pool* current = pool.load(std::memory_order_acquire);
  if (current) return *current;
  static std::atomic<bool> registered{false};
  if (!registered.exchange(true)) {
    pthread_atfork(nullptr, nullptr, [] { pool.store(nullptr, std::memory_order_release); });
  }
  auto* created = new Pool;
  if (pool.compare_exchange_strong(current, created, std::memory_order_acq_rel)) return *created;
  delete created;
  return *current;
}

} // namespace

int thread_count() {
  int count = configured.load(std::memory_order_relaxed);
  if (count == 0) {
    int expected = 0;
    count = default_thread_count();
    if (!configured.compare_exchange_strong(expected, count)) count = expected;
  }
  return count;
}

void set_thread_count(int count) { configured.store(std::clamp(count, 1, max_threads), std::memory_order_relaxed); }

void parallel_run(int64_t count, void (*body)(void* context, int64_t i), void* context) {
  if (count > 1 && !inside_run && thread_count() > 1 && the_pool().try_run(count, body, context)) return;
  for (int64_t i = 0; i < count; ++i) body(context, i);
}

} // namespace mlx::core::cpu
