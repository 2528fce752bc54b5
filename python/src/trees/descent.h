// Guards of recursions that the user's data or functions drive, and references that may form long chains.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <utility>

namespace nb = nanobind;

namespace mlx::python {

// Below this address the C stack of this thread counts as used up. All ones until it is known.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local uintptr_t stack_floor;
// Throws RecursionError when the stack is used up indeed.
void check_stack(const char* where);

// One level of a recursion: into a container in a container, or into a function that a function calls. Throws
// RecursionError past Python's limit, and also where the C stack runs short: the limit can be raised, and frames of C++
// are larger than those it was chosen for.
class Descent {
 public:
  explicit Descent(const char* where = " while walking nested containers") {
    if (reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) < stack_floor) [[unlikely]] {
      check_stack(where);
    }
    if (Py_EnterRecursiveCall(where)) {
      throw nb::python_error();
    }
  }
  ~Descent() { Py_LeaveRecursiveCall(); }
  Descent(const Descent&) = delete;
  Descent& operator=(const Descent&) = delete;
};

// Lets go of a reference. In a chain of objects that each own the next, destructors nest: beyond some depth what is
// left is put aside until the outermost of them is done.
void let_go(nb::object o) noexcept;

// A reference to an object that may own another such reference, and so on without an end in sight: a function around a
// function.
class Link {
 public:
  Link() = default;
  Link(nb::object o) : object_(std::move(o)) {}
  Link(const Link&) = default;
  Link(Link&&) noexcept = default;
  Link& operator=(Link other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Link() {
    if (object_.is_valid()) {
      let_go(std::move(object_));
    }
  }
  const nb::object& operator*() const { return object_; }
  bool is_valid() const { return object_.is_valid(); }
  PyObject* ptr() const { return object_.ptr(); }

 private:
  nb::object object_;
};

} // namespace mlx::python
