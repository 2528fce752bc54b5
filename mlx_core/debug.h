// Watching an evaluation: where the first NaN or infinity comes from, and where the time goes.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "mlx_core/array.h"

namespace mlx::core {

// An operation on finite numbers gave a NaN or an infinity.
class NonFiniteError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// While one of these exists, evaluations (of all threads) compute one operation at a time and fail with a
// NonFiniteError where NaN or infinity comes out of finite operands, and where a derivative of 0 that no mask explains
// hides an infinite or NaN slope. The error names the operation, and as far as its
// origin is known the line, the pass and the lane.
class FiniteCheck {
 public:
  FiniteCheck();
  ~FiniteCheck();
  FiniteCheck(const FiniteCheck&) = delete;
  FiniteCheck& operator=(const FiniteCheck&) = delete;

 private:
  struct Observer;
  std::unique_ptr<Observer> observer_;
};

// What was computed between start() and stop(), by all threads, in the order in which it was done.
class Profile {
 public:
  // One pass over memory: one operation, or several that were fused.
  struct Event {
    std::vector<std::string> ops; // their names, in order
    int group;                    // number of the fused group; -1 for an operation by itself
    double start;                 // seconds since start()
    double seconds;
    double own_seconds; // without operations inside it (the body of a function)
    size_t bytes;       // read and written; views move nothing
    std::string result; // "float32 (2, 3)", of the last operation
    uint32_t origin;    // of the last operation

    std::string name() const; // "Multiply + Add"
  };

  Profile();
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;
  void start(); // forgets what was recorded before
  void stop();
  const std::vector<Event>& events() const;

  // One line for each kind of event, those that took longest first.
  std::string table() const;
  // For chrome://tracing and Perfetto: the "Trace Event Format", complete events.
  std::string chrome_trace() const;

 private:
  struct Observer;
  std::unique_ptr<Observer> observer_;
};

} // namespace mlx::core
