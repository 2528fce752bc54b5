// std::vector from a Python sequence, in place of nanobind's caster: that one may not throw, so that the process ends
// when there is no memory, and it borrows the items of a list that converting one of them may change.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "python/src/trees/owned_items.h"

namespace mlx::python {
nb::object items_of_sequence(PyObject* o);
}

namespace nanobind::detail {

template <typename Entry>
struct type_caster<std::vector<Entry>> {
  NB_TYPE_CASTER(std::vector<Entry>,
      io_name("collections.abc.Sequence", "list") + const_name("[") + make_caster<Entry>::Name + const_name("]"))

  bool from_python(handle src, uint32_t flags, cleanup_list* cleanup) {
    value.clear();
    bool exact = PyList_CheckExact(src.ptr()) || PyTuple_CheckExact(src.ptr());
    object sequence = exact ? borrow(src) : mlx::python::items_of_sequence(src.ptr());
    if (!sequence.is_valid()) {
      return false;
    }
    mlx::python::Items items(sequence.ptr());
    value.reserve(items.size());
    make_caster<Entry> caster;
    flags = flags_for_local_caster<Entry>(flags);
    for (size_t i = 0; i < items.size(); ++i) {
      if (!caster.from_python(items[i], flags, cleanup) || !caster.template can_cast<Entry>()) {
        return false;
      }
      value.push_back(caster.operator cast_t<Entry>());
    }
    return true;
  }

  template <typename T>
  static handle from_cpp(T&& values, rv_policy policy, cleanup_list* cleanup) {
    object list = steal(PyList_New(static_cast<Py_ssize_t>(values.size())));
    Py_ssize_t at = 0;
    for (auto&& each : values) {
      handle item = list.is_valid() ? make_caster<Entry>::from_cpp(forward_like_<T>(each), policy, cleanup) : handle();
      if (!item.is_valid()) {
        return {};
      }
      PyList_SET_ITEM(list.ptr(), at++, item.ptr());
    }
    return list.release();
  }
};

} // namespace nanobind::detail
