// async_eval: a worker thread that evaluates in the background, one request after another.
#include <pthread.h>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "mlx_core/array.h"
#include "mlx_core/eval/background.h"

namespace mlx::core {

namespace {

struct Worker {
  std::mutex mutex;
  std::condition_variable changed;
  struct Request {
    std::vector<array> arrays;
    void (*done)() = nullptr;
  };
  std::deque<Request> queue;
  bool started = false;
  bool busy = false;
  std::exception_ptr error; // the first since the last synchronize

  void submit(Request request) {
    std::lock_guard lock(mutex);
    queue.push_back(std::move(request));
    if (!started) {
      started = true;
      std::thread([this] { loop(); }).detach();
    }
    changed.notify_all();
  }

  // Drops what has not begun, and waits for the rest.
  void finish() {
    std::deque<Request> dropped;
    std::unique_lock lock(mutex);
    dropped.swap(queue);
    changed.wait(lock, [this] { return !busy; });
  }

  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return queue.empty() && !busy; });
    if (error) {
      std::rethrow_exception(std::exchange(error, nullptr));
    }
  }

 private:
  void loop() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return !queue.empty(); });
      Request request = std::move(queue.front());
      queue.pop_front();
      busy = true;
      lock.unlock();
      std::exception_ptr caught;
      try {
        eval(std::span<const array>(request.arrays));
      } catch (...) {
        caught = std::current_exception();
      }
      request.arrays.clear();
      if (request.done) {
        request.done();
        caught = nullptr;
      }
      lock.lock();
      if (caught && !error) {
        error = caught;
      }
      busy = false;
      changed.notify_all();
    }
  }
};

// Replaced, not destroyed: the thread may be running when the process exits, and does not exist in a forked child.
std::atomic<Worker*> current_worker{nullptr};

Worker& worker() {
  Worker* w = current_worker.load(std::memory_order_acquire);
  if (!w) {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current_worker.store(nullptr); });
    (void)registered;
    Worker* fresh = new Worker;
    if (current_worker.compare_exchange_strong(w, fresh)) {
      std::atexit(finish_background); // kernels must not run while the libraries they call are taken down
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

void async_eval(std::vector<array> arrays) { worker().submit({std::move(arrays)}); }

void compute_in_background(array root, void (*done)()) { worker().submit({{std::move(root)}, done}); }

void synchronize() {
  if (current_worker.load(std::memory_order_acquire)) {
    worker().wait();
  }
}
void synchronize(Stream) { synchronize(); }

} // namespace mlx::core
