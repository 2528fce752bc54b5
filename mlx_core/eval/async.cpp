// async_eval: for each stream a worker thread that evaluates in the background, one request after another.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>

#include "mlx_core/array.h"
#include "mlx_core/eval/background.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/gpu/gpu.h"
#include "mlx_core/interrupt.h"

namespace mlx::core {

namespace {

struct Request {
  std::vector<array> arrays;
  void (*done)() = nullptr; // of one that keeps errors to itself
  size_t bytes = 0;         // that the results will take
};

size_t bytes_to_come(const std::vector<array>& arrays) {
  size_t bytes = 0;
  for (const array& a : arrays) {
    bytes += a.is_available() ? 0 : a.nbytes();
  }
  return bytes;
}

class Worker {
 public:
  Worker(int paused, bool finished) : finished_(finished), paused_(paused) {}

  // A program that is far ahead waits a little, so that what it has asked for fits into memory with what it does next.
  // Not for ever: it may hold a lock that the background needs.
  void submit(Request request) {
    request.bytes = bytes_to_come(request.arrays);
    size_t at_most = get_memory_limit() / 8;
    std::unique_lock lock(mutex_);
    if (bytes_ahead_ + request.bytes > at_most && !is_evaluating()) {
      changed_.wait_until(lock, std::chrono::system_clock::now() + std::chrono::milliseconds(50),
          [&] { return bytes_ahead_ + request.bytes <= at_most || bytes_ahead_ == 0 || paused_ > 0 || finished_; });
    }
    if (finished_ || !(started_ || start())) { // nobody to leave it to
      lock.unlock();
      evaluate(request);
      return;
    }
    bytes_ahead_ += request.bytes;
    queue_.push_back(std::move(request));
    changed_.notify_all();
  }

  void wait() {
    wait_until_idle();
    std::lock_guard lock(mutex_);
    if (error_) {
      std::rethrow_exception(std::exchange(error_, nullptr));
    }
  }

  void wait_until_idle() {
    std::unique_lock lock(mutex_);
    wait_interruptibly(changed_, lock, [this] { return queue_.empty() && !busy_; });
  }

  // True when nothing is being computed any more.
  bool finish() {
    std::deque<Request> dropped;
    std::unique_lock lock(mutex_);
    dropped.swap(queue_);
    finished_ = true;
    bytes_ahead_ = 0;
    stop_.store(true);
    auto limit = std::chrono::system_clock::now() + std::chrono::seconds(1);
    return changed_.wait_until(lock, limit, [this] { return !busy_; });
  }

  void pause() {
    std::unique_lock lock(mutex_);
    ++paused_;
    stop_.store(true);
    changed_.wait(lock, [this] { return !busy_; });
  }

  void resume() {
    std::lock_guard lock(mutex_);
    if (--paused_ == 0 && !finished_) {
      stop_.store(false);
      changed_.notify_all();
    }
  }

 private:
  bool start() {
    sigset_t all, before;
    sigfillset(&all); // signals belong to the program's own threads
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    auto main = [](void* worker) -> void* {
      static_cast<Worker*>(worker)->loop();
      return nullptr;
    };
    started_ = pthread_create(&thread, nullptr, main, this) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (started_) {
      pthread_detach(thread);
    }
    return started_;
  }

  // An error is kept for synchronize.
  void evaluate(const Request& request) {
    try {
      eval(std::span<const array>(request.arrays));
    } catch (const Interrupted&) {
      throw;
    } catch (...) {
      if (!request.done) {
        std::lock_guard lock(mutex_);
        error_ = error_ ? error_ : std::current_exception();
      }
    }
    if (request.done) {
      request.done();
    }
  }

  [[noreturn]] void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !queue_.empty() && paused_ == 0; });
      Request request = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
      lock.unlock();
      std::exception_ptr interrupted;
      try {
        StopFlagScope stops(stop_);
        evaluate(request);
      } catch (const Interrupted&) {
        interrupted = std::current_exception();
      }
      if (!interrupted || !is_paused()) {
        request.arrays.clear(); // not under the lock: what they own may run code of others
      }
      lock.lock();
      if (paused_ > 0 && interrupted) { // to be begun again
        queue_.push_front(std::move(request));
      } else {
        bytes_ahead_ -= std::min(bytes_ahead_, request.bytes);
        if (interrupted && !finished_) { // by the check
          error_ = error_ ? error_ : interrupted;
        }
      }
      busy_ = false;
      changed_.notify_all();
    }
  }

  bool is_paused() {
    std::lock_guard lock(mutex_);
    return paused_ > 0;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> queue_;
  std::atomic<bool> stop_{false};
  bool started_ = false;
  bool busy_ = false;
  size_t bytes_ahead_ = 0; // of results that are queued or being computed
  bool finished_;
  int paused_;
  std::exception_ptr error_; // the first since the last synchronize
};

// The workers of all streams. Replaced, not destroyed: their threads may be running when the process exits, and do not
// exist in a forked child.
class Workers {
 public:
  Worker& of(StreamNumber stream) {
    std::lock_guard lock(mutex_);
    for (auto& [number, worker] : all_) {
      if (number == stream) {
        return *worker;
      }
    }
    all_.emplace_back(stream, new Worker(paused_, finished_));
    return *all_.back().second;
  }
  Worker* find(StreamNumber stream) {
    std::lock_guard lock(mutex_);
    for (auto& [number, worker] : all_) {
      if (number == stream) {
        return worker;
      }
    }
    return nullptr;
  }
  std::vector<Worker*> all() {
    std::lock_guard lock(mutex_);
    std::vector<Worker*> out;
    for (auto& [number, worker] : all_) {
      out.push_back(worker);
    }
    return out;
  }
  // True when nothing is being computed any more, for good.
  bool finish() {
    {
      std::lock_guard lock(mutex_);
      finished_ = true;
    }
    bool idle = true;
    for (Worker* worker : all()) {
      idle = worker->finish() && idle;
    }
    return idle;
  }
  // Those there are, and those still to be made, are paused; or go on.
  void pause(bool on) {
    std::vector<Worker*> those;
    {
      std::lock_guard lock(mutex_);
      paused_ += on ? 1 : -1;
      for (auto& [number, worker] : all_) {
        those.push_back(worker);
      }
    }
    for (Worker* worker : those) {
      on ? worker->pause() : worker->resume();
    }
  }

 private:
  std::mutex mutex_;
  int paused_ = 0;
  bool finished_ = false;
  std::vector<std::pair<StreamNumber, Worker*>> all_;
};

std::atomic<Workers*> current_workers{nullptr};

// Kernels must not run while the libraries they call are taken down. One that does not look whether it should stop (a
// primitive of the user's, LAPACK) is not waited for: the process ends here, with the status it ends with.
void finish_at_exit(int status) {
  if (Workers* w = current_workers.load(std::memory_order_acquire); w && !w->finish()) {
    std::fflush(nullptr);
    _exit(status);
  }
}

void register_exit() {
#ifdef __GLIBC__
  on_exit([](int status, void*) { finish_at_exit(status); }, nullptr);
#else
  std::atexit([] { finish_at_exit(EXIT_SUCCESS); });
#endif
}

Workers& workers() {
  Workers* w = current_workers.load(std::memory_order_acquire);
  if (!w) {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current_workers.store(nullptr); });
    (void)registered;
    Workers* fresh = new Workers;
    if (current_workers.compare_exchange_strong(w, fresh)) {
      register_exit();
      return *fresh;
    }
    delete fresh;
  }
  return *w;
}

template <typename Do>
void for_each_worker(Do&& act) {
  if (Workers* w = current_workers.load(std::memory_order_acquire)) {
    for (Worker* worker : w->all()) {
      act(*worker);
    }
  }
}

} // namespace

void finish_background() {
  if (Workers* w = current_workers.load(std::memory_order_acquire)) {
    w->finish();
  }
}
void wait_for_background() {
  for_each_worker([](Worker& worker) { worker.wait_until_idle(); });
}
void pause_background() {
  if (Workers* w = current_workers.load(std::memory_order_acquire)) {
    w->pause(true);
  }
}
void resume_background() {
  if (Workers* w = current_workers.load(std::memory_order_acquire)) {
    w->pause(false);
  }
}

void async_eval(std::vector<array> arrays) {
  while (!arrays.empty()) { // those of one stream at a time, in order
    StreamNumber stream = arrays.front().node()->stream;
    auto others =
        std::stable_partition(arrays.begin(), arrays.end(), [&](const array& a) { return a.node()->stream == stream; });
    std::vector<array> here(arrays.begin(), others);
    arrays.erase(arrays.begin(), others);
    workers().of(stream).submit({std::move(here)});
  }
}

void compute_in_background(std::vector<array> roots, StreamNumber stream) {
  workers().of(stream).submit({std::move(roots), [] {}});
}
void compute_in_background(array root, void (*done)()) {
  StreamNumber stream = root.node()->stream;
  workers().of(stream).submit({{std::move(root)}, done});
}

void synchronize() {
  std::exception_ptr first;
  for_each_worker([&](Worker& worker) {
    try {
      worker.wait();
    } catch (const Interrupted&) {
      throw;
    } catch (...) {
      first = first ? first : std::current_exception();
    }
  });
  if (gpu::built_in && gpu::is_available()) {
    gpu::synchronize_all();
  }
  if (first) {
    std::rethrow_exception(first);
  }
}
void synchronize(Stream stream) {
  if (Workers* w = current_workers.load(std::memory_order_acquire)) {
    if (Worker* worker = w->find(static_cast<StreamNumber>(stream.index))) {
      worker->wait();
    }
  }
  if (stream.device == Device::gpu) {
    gpu::synchronize(stream.index);
  }
}

} // namespace mlx::core
