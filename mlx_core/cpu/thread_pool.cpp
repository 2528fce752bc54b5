// The pool: lazily started, detached workers that claim indices of the calls that are open, which may be several. Each
// thread begins with a range of its own, the same one for the same worker in call after call: what it wrote in one is
// in its cache in the next. Who has none left takes from the others' ranges.
#include "mlx_core/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

#include "mlx_core/environment.h"
#include "mlx_core/interrupt.h"

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

// Polls for about `microseconds`, which is cheaper than the system call of falling asleep and being woken. Others may
// have the CPU meanwhile if it `yields`; where one takes it, it is needed, and polling ends.
template <typename Done>
bool spin(int microseconds, Done done, bool yields = false) {
  using Clock = std::chrono::steady_clock;
  constexpr auto longest_turn = std::chrono::microseconds(1000);
  auto now = Clock::now(), stop = now + std::chrono::microseconds(microseconds);
  for (auto before = now; now < stop && !(yields && now - before > longest_turn); now = Clock::now()) {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause_cpu();
    }
    before = now;
    if (yields) sched_yield();
  }
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
  if (std::optional<int64_t> count = integer_from_environment("MLX_NUM_THREADS", 1, max_threads)) {
    return static_cast<int>(*count);
  }
  return std::min(available_cpus(), max_threads);
}

std::atomic<int> configured{0}; // 0: not read yet

// The indices that a thread begins with, and others go on with, on a cache line of their own.
struct alignas(64) Range {
  std::atomic<int64_t> next{0};
  int64_t end = 0;
};

// One parallel call: what is to be done, and who is at it. A slot is reused for one call after another.
struct Job {
  enum State : int { vacant, taken, open, drained };
  static constexpr int most_ranges = 64; // more threads share them

  // Written by the caller before it opens the job, read by workers that have entered it.
  void (*body)(void*, int64_t) = nullptr;
  void* context = nullptr;
  int parts = 0; // ranges in use

  Range ranges[most_ranges];
  // Each on its own cache line: looked at by idle workers; counted by those who enter and leave.
  alignas(64) std::atomic<int> state{vacant};
  std::atomic<int> limit{0}; // of workers inside
  std::atomic<int64_t> failed{none_failed};
  std::atomic<bool> stop{false};
  alignas(64) std::atomic<int> inside{0};
  std::atomic<bool> awaited{false};
  std::atomic_flag error_lock = ATOMIC_FLAG_INIT;
  std::exception_ptr error;
  std::mutex mutex; // with `left`, for a caller that sleeps until the workers are gone
  std::condition_variable left;

  void divide(int64_t count, int threads) {
    parts = std::min(threads, most_ranges);
    const int64_t each = count / parts, more = count % parts;
    for (int64_t k = 0, at = 0; k < parts; ++k) {
      Range& range = ranges[k];
      range.next.store(at, std::memory_order_relaxed);
      range.end = at += each + (k < more);
    }
  }

  // Keeps the exception of the lowest index, which is the one a serial run throws.
  void fail(int64_t i, std::exception_ptr caught) {
    while (error_lock.test_and_set(std::memory_order_acquire)) pause_cpu();
    if (i < failed.load(std::memory_order_relaxed)) {
      failed.store(i, std::memory_order_relaxed);
      error = std::move(caught);
    }
    error_lock.clear(std::memory_order_release);
  }

  // An interruption comes before the error of any index.
  void interrupt() {
    fail(-1, std::current_exception());
    stop.store(true, std::memory_order_relaxed);
  }

  // Runs unclaimed indices, those of a thread's own range first, until `enough()`.
  template <typename Enough>
  void claim(int thread, Enough enough) {
    for (int k = 0; k < parts; ++k) {
      Range& range = ranges[(thread + k) % parts];
      while (range.next.load(std::memory_order_relaxed) < range.end && !stop.load(std::memory_order_relaxed)) {
        int64_t i = range.next.fetch_add(1, std::memory_order_relaxed);
        if (i >= range.end) break;
        if (i > failed.load(std::memory_order_relaxed)) continue;
        try {
          body(context, i);
        } catch (const Interrupted&) {
          interrupt();
        } catch (...) {
          fail(i, std::current_exception());
        }
        if (enough()) return;
      }
    }
    int still = open; // no worker needs to look in here any more
    state.compare_exchange_strong(still, drained);
  }
};

// Never destroyed: detached workers may still sleep on it while the process exits, and after a fork the child
// abandons it together with the threads that did not survive.
class Pool {
 public:
  // False when there is nobody to share the work with; nothing was run then.
  bool try_run(int64_t count, void (*body)(void*, int64_t), void* context) {
    int wanted = static_cast<int>(std::min<int64_t>(count, thread_count())) - 1;
    if (started_.load(std::memory_order_relaxed) < wanted) start_workers(wanted);
    if (started_.load(std::memory_order_relaxed) == 0) return false;
    Job* job = take();
    if (!job) return false;
    job->body = body;
    job->context = context;
    job->divide(count, wanted + 1);
    job->limit.store(wanted, std::memory_order_relaxed);
    job->failed.store(none_failed, std::memory_order_relaxed);
    job->stop.store(false, std::memory_order_relaxed);
    job->awaited.store(false, std::memory_order_relaxed);
    open_jobs_.fetch_add(1, std::memory_order_relaxed);
    job->state.store(Job::open);
    opened_.fetch_add(1);
    opened_.notify_all(); // all: which sleepers a smaller count would wake is not ours to say

    inside_run = true;
    job->claim(0, [&] {
      look_out(*job);
      return false;
    });
    inside_run = false;
    job->state.store(Job::drained); // whoever has not entered by now will not
    open_jobs_.fetch_sub(1, std::memory_order_relaxed);
    wait_for_workers(*job);
    std::exception_ptr error = std::exchange(job->error, nullptr);
    job->state.store(Job::vacant, std::memory_order_release);
    if (error) std::rethrow_exception(error);
    return true;
  }

  bool help_is_near() {
    constexpr int64_t close = 100'000; // nanoseconds
    if (asleep_.load(std::memory_order_relaxed) < started_.load(std::memory_order_relaxed)) return true;
    auto since = std::chrono::steady_clock::now().time_since_epoch();
    int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
    return now - asked_.exchange(now, std::memory_order_relaxed) < close;
  }

 private:
  // As many calls at once as get help; further ones run on their callers alone.
  static constexpr int most_jobs = 32;

  Job* take() {
    for (Job& job : jobs_) {
      int vacant = Job::vacant;
      if (job.state.load(std::memory_order_relaxed) == vacant &&
          job.state.compare_exchange_strong(vacant, Job::taken, std::memory_order_acquire)) {
        return &job;
      }
    }
    return nullptr;
  }

  // Only the caller can ask whether to stop; the workers see the flag.
  static void look_out(Job& job) {
    try {
      throw_if_interrupted();
    } catch (...) {
      job.interrupt();
    }
  }

  void wait_for_workers(Job& job) {
    auto gone = [&] { return job.inside.load() == 0; };
    // Whoever sleeps for less than a millisecond may wake up on its worker's core: hosts of virtual machines move those
    // that stop.
    if (spin(50, gone) || spin(1000, gone, true)) return;
    job.awaited.store(true);
    std::unique_lock lock(job.mutex);
    while (!job.left.wait_until(lock, std::chrono::system_clock::now() + std::chrono::milliseconds(10), gone)) {
      if (job.stop.load(std::memory_order_relaxed)) continue;
      lock.unlock();
      look_out(job);
      lock.lock();
    }
  }

  // ---- workers ----

  void start_workers(int wanted) {
    if (starting_.test_and_set(std::memory_order_acquire)) return; // another caller is at it
    auto now = std::chrono::steady_clock::now();
    if (now >= start_again_) {
      sigset_t all, before;
      sigfillset(&all); // signals belong to the program's own threads
      pthread_sigmask(SIG_SETMASK, &all, &before);
      pthread_attr_t attributes;
      pthread_attr_init(&attributes);
      pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
      pthread_attr_setstacksize(&attributes, size_t{8} << 20); // BLAS keeps buffers on the stack
      for (int started = started_.load(std::memory_order_relaxed); started < wanted; ++started) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, &Pool::worker_main, this)) {
          // Out of threads: go on with those there are. Trying costs as much as small work does.
          start_again_ = now + std::chrono::milliseconds(100);
          break;
        }
        started_.store(started + 1, std::memory_order_relaxed);
      }
      pthread_attr_destroy(&attributes);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    starting_.clear(std::memory_order_release);
  }

  static void* worker_main(void* pool) {
    inside_run = true;
    auto* own = static_cast<Pool*>(pool);
    own->work(1 + own->numbered_.fetch_add(1, std::memory_order_relaxed));
    return nullptr;
  }

  // To wake a thread may take 50 us, and 500 in a virtual machine, more than many a call: while calls follow each other
  // closely, workers stay awake.
  [[noreturn]] void work(int thread) {
    bool soon = true; // whether the last call came within `close` of the one before
    constexpr int close = 10'000;
    for (;;) {
      uint32_t seen = opened_.load();
      if (help(thread)) continue;
      auto called = [&] { return opened_.load() != seen; };
      auto idle_since = std::chrono::steady_clock::now();
      if (spin(50, called) || (soon && spin(close, called, true))) {
        soon = true;
        continue;
      }
      asleep_.fetch_add(1, std::memory_order_relaxed);
      opened_.wait(seen);
      asleep_.fetch_sub(1, std::memory_order_relaxed);
      soon = std::chrono::steady_clock::now() - idle_since < std::chrono::microseconds(close);
    }
  }

  // Works for the open job that has the fewest workers. False when no job wants any.
  bool help(int thread) {
    Job* chosen = nullptr;
    int fewest = 0;
    for (Job& job : jobs_) {
      if (job.state.load(std::memory_order_relaxed) != Job::open) continue;
      int inside = job.inside.load(std::memory_order_relaxed);
      if (inside < job.limit.load(std::memory_order_relaxed) && (!chosen || inside < fewest)) {
        chosen = &job, fewest = inside;
      }
    }
    if (!chosen) return false;
    Job& job = *chosen;
    // Entering and closing are ordered (sequentially consistent): either this check sees the job closed, or its caller
    // sees this worker inside and waits for it. Meanwhile the slot may have got another job, which is as good.
    bool enters = job.inside.fetch_add(1) < job.limit.load(std::memory_order_relaxed) && job.state.load() == Job::open;
    if (enters) {
      StopFlagScope stops(job.stop, false);
      job.claim(thread, [&] { return has_too_many(job); });
    }
    if (job.inside.fetch_sub(1) == 1 && job.awaited.load()) {
      std::lock_guard lock(job.mutex);
      job.left.notify_all();
    }
    return enters;
  }

  // Whether another job has more need of one of this job's workers.
  bool has_too_many(const Job& job) const {
    int jobs = open_jobs_.load(std::memory_order_relaxed);
    return jobs > 1 &&
           job.inside.load(std::memory_order_relaxed) * jobs >= started_.load(std::memory_order_relaxed) + jobs;
  }

  Job jobs_[most_jobs];
  alignas(64) std::atomic<uint32_t> opened_{0}; // counts jobs; idle workers watch it
  alignas(64) std::atomic<int> open_jobs_{0};
  std::atomic<int> started_{0}, numbered_{0}, asleep_{0};
  std::atomic<int64_t> asked_{0}; // for help, with all asleep: nanoseconds of the clock
  std::atomic_flag starting_ = ATOMIC_FLAG_INIT;
  std::chrono::steady_clock::time_point start_again_{};
};

std::atomic<Pool*> pool{nullptr};

// No lock guards the pool's creation: one that another thread held across fork would stay locked in the child.
// Null when there is no memory for it.
Pool* the_pool() {
  Pool* current = pool.load(std::memory_order_acquire);
  if (current) return current;
  static std::atomic<bool> registered{false};
  if (!registered.exchange(true)) {
    pthread_atfork(nullptr, nullptr, [] { pool.store(nullptr, std::memory_order_release); });
  }
  auto* created = new (std::nothrow) Pool;
  if (!created || pool.compare_exchange_strong(current, created, std::memory_order_acq_rel)) return created;
  delete created;
  return current;
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

bool help_is_near() {
  Pool* shared = inside_run || thread_count() == 1 ? nullptr : the_pool();
  return shared && shared->help_is_near();
}

void parallel_run(int64_t count, void (*body)(void* context, int64_t i), void* context) {
  if (count > 1 && !inside_run && thread_count() > 1) {
    Pool* shared = the_pool();
    if (shared && shared->try_run(count, body, context)) return;
  }
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) throw_if_interrupted();
    body(context, i);
  }
}

} // namespace mlx::core::cpu
