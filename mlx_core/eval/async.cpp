// async_eval: a worker thread that evaluates in the background, one request after another.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>

#include "mlx_core/array.h"
#include "mlx_core/eval/background.h"
#include "mlx_core/interrupt.h"

namespace mlx::core {

namespace {

struct Request {
  std::vector<array> arrays;
  void (*done)() = nullptr; // of one that keeps errors to itself
};

class Worker {
 public:
  void submit(Request request) {
    std::unique_lock lock(mutex_);
    if (finished_ || !(started_ || start())) { // nobody to leave it to
      lock.unlock();
      evaluate(request);
      return;
    }
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
      } else if (interrupted && !finished_) { // by the check
        error_ = error_ ? error_ : interrupted;
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
  bool finished_ = false;
  int paused_ = 0;
  std::exception_ptr error_; // the first since the last synchronize
};

// Replaced, not destroyed: the thread may be running when the process exits, and does not exist in a forked child.
std::atomic<Worker*> current_worker{nullptr};

// Kernels must not run while the libraries they call are taken down. One that does not look whether it should stop (a
// primitive of the user's, LAPACK) is not waited for: the process ends here, with the status it ends with.
void finish_at_exit(int status) {
  Worker* w = current_worker.load(std::memory_order_acquire);
  if (w && !w->finish()) {
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

Worker& worker() {
  Worker* w = current_worker.load(std::memory_order_acquire);
  if (!w) {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current_worker.store(nullptr); });
    (void)registered;
    Worker* fresh = new Worker;
    if (current_worker.compare_exchange_strong(w, fresh)) {
      register_exit();
      return *fresh;
    }
    delete fresh;
  }
  return *w;
}

} // namespace

void finish_background() {
  if (Worker* w = current_worker.load(std::memory_order_acquire)) {
    w->finish();
  }
}
void wait_for_background() {
  if (Worker* w = current_worker.load(std::memory_order_acquire)) {
    w->wait_until_idle();
  }
}
void pause_background() {
  if (Worker* w = current_worker.load(std::memory_order_acquire)) {
    w->pause();
  }
}
void resume_background() {
  if (Worker* w = current_worker.load(std::memory_order_acquire)) {
    w->resume();
  }
}

void async_eval(std::vector<array> arrays) { worker().submit({std::move(arrays)}); }

void compute_in_background(array root, void (*done)()) { worker().submit({{std::move(root)}, done}); }

void synchronize() {
  if (Worker* w = current_worker.load(std::memory_order_acquire)) {
    w->wait();
  }
}
void synchronize(Stream) { synchronize(); }

} // namespace mlx::core
