// Telling the garbage collector which Python objects a C++ object owns.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mlx::python {

// What CPython's tp_traverse hands over. Each reference that is owned is shown once. After an answer other than 0
// nothing more is shown, and result() passes it on.
class Traversal {
 public:
  Traversal(visitproc visit, void* arg) : visit_(visit), arg_(arg) {}

  void operator()(PyObject* owned) {
    if (owned && !result_) {
      result_ = visit_(owned, arg_);
    }
  }
  void operator()(const nb::object& owned) { (*this)(owned.ptr()); }
  template <typename Range>
    requires requires(const Range& r) { r.begin(); } && (!std::is_base_of_v<nb::handle, Range>)
  void operator()(const Range& all) {
    for (const auto& each : all) {
      (*this)(each);
    }
  }
  int result() const { return result_; }

 private:
  visitproc visit_;
  void* arg_;
  int result_ = 0;
};

} // namespace mlx::python
