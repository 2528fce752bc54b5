// Working without the interpreter lock.
#pragma once

#include <Python.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>

namespace mlx::python {

// Releases the lock until the end of the scope.
//
// While the interpreter is being taken down, CPython (before 3.14) unwinds a thread that asks for the lock through
// frames that cannot be unwound, which aborts the process. So once the exit handlers run, threads other than the one
// that runs them stop here instead, and end with the process.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() {
    waiting_.fetch_add(1);
    if (leaving_.load() && !pthread_equal(pthread_self(), leaver_)) {
      waiting_.fetch_sub(1);
      for (;;) {
        pause();
      }
    }
    PyEval_RestoreThread(state_);
    waiting_.fetch_sub(1);
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

  // Called by the first exit handler, which holds the lock: lets the threads that wait for it through, for a second at
  // most.
  static void stop_others() {
    leaver_ = pthread_self();
    leaving_.store(true);
    WithoutGil released;
    for (int i = 0; waiting_.load() > 0 && i < 1000; ++i) {
      usleep(1000);
    }
  }

 private:
  inline static std::atomic<bool> leaving_{false};
  inline static std::atomic<int> waiting_{0};
  inline static pthread_t leaver_{};
  PyThreadState* state_;
};

} // namespace mlx::python
