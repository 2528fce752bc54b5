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
  WithoutGil() : state_(PyEval_SaveThread()) { outside_.fetch_add(1); }
  ~WithoutGil() {
    if (must_stop()) {
      outside_.fetch_sub(1);
      stop_here();
    }
    PyEval_RestoreThread(state_);
    outside_.fetch_sub(1);
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

  // Called by the first exit handler, which holds the lock, when the work of the others is told to stop: lets the
  // threads that work or wait for the lock come here, for a second at most.
  static void stop_others() {
    leaver_ = pthread_self();
    leaving_.store(true);
    WithoutGil released;
    for (int i = 0; outside_.load() > 1 && i < 1000; ++i) {
      usleep(1000);
    }
  }

  // For a thread that holds the lock and was interrupted: if that is because the process ends, it ends here.
  static void stop_if_leaving() {
    if (must_stop()) {
      PyEval_SaveThread();
      stop_here();
    }
  }

 private:
  static bool must_stop() { return leaving_.load() && !pthread_equal(pthread_self(), leaver_); }
  [[noreturn]] static void stop_here() {
    for (;;) {
      pause();
    }
  }

  inline static std::atomic<bool> leaving_{false};
  inline static std::atomic<int> outside_{0}; // scopes that are open
  inline static pthread_t leaver_{};
  PyThreadState* state_;
};

} // namespace mlx::python
