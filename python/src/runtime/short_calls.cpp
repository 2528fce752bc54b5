// Calls that do without nanobind's dispatch: arrays and numbers by position, no keywords. All else goes the long way.
#include "python/src/runtime/short_calls.h"

#include <array>
#include <utility>

#include "mlx_core/registry.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/exceptions.h"

namespace mlx::python {

namespace {

using Unary = array (*)(const array&, StreamOrDevice);
using Binary = array (*)(const array&, const array&, StreamOrDevice);

struct Entry {
  PyObject* function = nullptr; // borrowed: the module keeps it
  vectorcallfunc bound = nullptr;
  Unary unary = nullptr;
  Binary binary = nullptr;
  PyObject* (*call)(PyObject* const* args, Py_ssize_t count) noexcept = nullptr;
};

// By the function's address. Written while the module is made, and only read from then on.
constexpr size_t cells = 1024;
std::array<Entry, cells> table;
size_t entries = 0;

size_t cell_of(PyObject* function) { return (reinterpret_cast<uintptr_t>(function) * 0x9e3779b97f4a7c15u) >> 54; }

Entry* entry_of(PyObject* function) {
  for (size_t cell = cell_of(function);; cell = (cell + 1) % cells) {
    if (table[cell].function == function || !table[cell].function) {
      return &table[cell];
    }
  }
}

vectorcallfunc& slot_of(PyObject* function) {
  return *reinterpret_cast<vectorcallfunc*>(
      reinterpret_cast<char*>(function) + Py_TYPE(function)->tp_vectorcall_offset);
}

bool is_plain_array(PyObject* o) { return Py_TYPE(o) == array_type; }

PyObject* binary(Binary op, PyObject* a, PyObject* b) noexcept {
  return guarded(
      [&] {
        if (is_plain_array(a) && is_plain_array(b)) {
          return wrap(op(read(a), read(b), {}));
        }
        auto [x, y] = to_arrays({a}, {b});
        return wrap(op(x, y, {}));
      },
      static_cast<PyObject*>(nullptr));
}

// A number of Python's own.
bool is_number(PyObject* o) { return PyFloat_CheckExact(o) || PyLong_CheckExact(o); }

PyObject* call_shortly(PyObject* function, PyObject* const* args, size_t flags, PyObject* names) {
  const Entry& entry = *entry_of(function);
  Py_ssize_t count = PyVectorcall_NARGS(flags);
  if (!names) {
    if (entry.unary) {
      if (count == 1 && is_plain_array(args[0])) {
        return guarded([&] { return wrap(entry.unary(read(args[0]), {})); }, static_cast<PyObject*>(nullptr));
      }
    } else if (entry.binary) {
      if (count == 2 && (is_plain_array(args[0]) || is_plain_array(args[1])) &&
          (is_plain_array(args[0]) || is_number(args[0])) && (is_plain_array(args[1]) || is_number(args[1]))) {
        return binary(entry.binary, args[0], args[1]);
      }
    } else if (PyObject* result = entry.call(args, count)) {
      return result;
    } else if (PyErr_Occurred()) {
      return nullptr;
    }
  }
  return entry.bound(function, args, flags, names);
}

void add(nb::handle function, Entry entry) {
  Entry* place = entry_of(function.ptr());
  if (place->function || entries > cells / 2) { // known by another name already
    return;
  }
  ++entries;
  entry.function = function.ptr();
  entry.bound = std::exchange(slot_of(function.ptr()), &call_shortly);
  *place = entry;
}

} // namespace

void install_short_calls(nb::module_& m) {
  for (const core::OpInfo* op : core::registered_ops()) {
    if (op->unary || op->binary) {
      add(m.attr(op->name), {.unary = op->unary, .binary = op->binary});
    }
  }
  add(m.attr("eval"), {.call = &eval_shortly});
}

} // namespace mlx::python
