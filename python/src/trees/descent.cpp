// Where the C stack ends, and chains of references taken apart without recursion.
#include "python/src/trees/descent.h"

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace mlx::python {

constinit thread_local uintptr_t stack_floor = UINTPTR_MAX;

namespace {

struct Stack {
  uintptr_t low = 0, high = UINTPTR_MAX; // when nothing is known, no depth is too deep
};

Stack stack_of_this_thread() {
  Stack stack;
#if defined(__APPLE__)
  stack.high = reinterpret_cast<uintptr_t>(pthread_get_stackaddr_np(pthread_self()));
  stack.low = stack.high - pthread_get_stacksize_np(pthread_self());
#elif defined(__linux__)
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    void* low = nullptr;
    size_t size = 0;
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
      stack.low = reinterpret_cast<uintptr_t>(low);
      stack.high = stack.low + size;
    }
    pthread_attr_destroy(&attributes);
  }
#endif
  return stack;
}

// What evaluation and kernels may need below the last guard.
constexpr uintptr_t reserve = 1 << 20;

constexpr int nested_at_most = 32;
thread_local int nesting = 0;
thread_local std::vector<nb::object> waiting;

} // namespace

void check_stack(const char* where) {
  thread_local const Stack stack = stack_of_this_thread();
  uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (stack_floor == UINTPTR_MAX) {
    stack_floor = stack.low == 0 ? 0 : stack.low + std::min(reserve, (stack.high - stack.low) / 4);
  }
  // A stack that is not the thread's own, as fibers have, has an end that nobody knows here.
  if (here < stack_floor && here >= stack.low && here < stack.high) {
    PyErr_Format(PyExc_RecursionError, "the C stack is used up%s", where);
    throw nb::python_error();
  }
}

void let_go(nb::object o) noexcept {
  if (nesting >= nested_at_most) {
    try {
      waiting.push_back(std::move(o));
    } catch (...) { // no memory to put it aside: the object goes at the end of this scope
    }
    return;
  }
  ++nesting;
  o.reset();
  while (nesting == 1 && !waiting.empty()) {
    nb::object next = std::move(waiting.back());
    waiting.pop_back();
    next.reset();
  }
  --nesting;
}

} // namespace mlx::python
