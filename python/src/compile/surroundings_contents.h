// What is in objects around a function that are no lists, tuples or dicts: values, items of sets and deques, bytes.
// Nothing here runs code of the user's.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/small_vector.h"

namespace nb = nanobind;

namespace mlx::python {

// --- values ---

// A plain value, or a NumPy scalar.
bool is_value(PyObject* o);
// What an instance of a subclass of float, int, str, bytes or complex is worth, without what else it has.
nb::object value_alone(PyObject* o);
// Of values of one type, or of an instance of a subclass and what it is worth. Sets are of strings or of bytes.
bool equal_values(PyObject* now, PyObject* before);

// --- items ---

bool is_deque(PyObject* o);
using CollectedItems = core::SmallVector<PyObject*, 16>;
// Of a deque or set, in the order in which they are kept, borrowed.
CollectedItems items_of(PyObject* deque_or_set);
// Of a list, tuple, dict, set or deque.
Py_ssize_t size_of(PyObject* container);
// The order of an OrderedDict is not that of the dict in it. Keys in this order, and whether that is so now.
nb::object keys_in_order(PyObject* ordered_dict);
bool is_in_order(PyObject* ordered_dict, PyObject* keys);
bool equal_keys(PyObject* a, PyObject* b);

// --- bytes ---

// Whether it is something that may be written to: a NumPy array, bytearray, array.array, memoryview and so on.
bool has_bytes(PyObject* o);
// Bytes that tell what is in it from what else might be, its shape and type included; null where there are more than
// `at_most`, or where it holds objects.
nb::object bytes_in(PyObject* o, Py_ssize_t at_most);
bool has_same_bytes(PyObject* now, PyObject* bytes);
// Whether it says that nobody may write to it.
bool is_read_only(PyObject* o);

} // namespace mlx::python
