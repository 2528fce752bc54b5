// Noting what a recorded function turns into arrays: things that are no arrays of ours, and may be written to later.
#pragma once

#include <Python.h>

#include <unordered_set>
#include <utility>

namespace mlx::python {

// While it lives, what this thread converts is noted here and in those that were there before.
class Conversions {
 public:
  Conversions() : outer_(std::exchange(innermost(), this)) {}
  ~Conversions() { innermost() = outer_; }
  Conversions(const Conversions&) = delete;
  Conversions& operator=(const Conversions&) = delete;

  static void note(PyObject* foreign) {
    for (Conversions* c = innermost(); c; c = c->outer_) {
      c->all_.insert(foreign);
    }
  }
  // By address: some may be gone.
  const std::unordered_set<PyObject*>& all() const { return all_; }

 private:
  static Conversions*& innermost() {
    static thread_local Conversions* current = nullptr;
    return current;
  }

  std::unordered_set<PyObject*> all_;
  Conversions* outer_;
};

} // namespace mlx::python
