// How a long evaluation is stopped from outside (Ctrl-C).
#pragma once

#include <stdexcept>

namespace mlx::core {

// Thrown by eval when the check says so. Arrays not yet computed stay lazy and can be evaluated again.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("[eval] Interrupted; arrays not yet computed can be evaluated again.") {}
};

// `check` is called now and then during evaluation, on the evaluating thread; true stops it. Null removes it.
void set_interrupt_check(bool (*check)());
// Throws Interrupted when the check says so. Cheap: asks at most every few milliseconds.
void throw_if_interrupted();

} // namespace mlx::core
