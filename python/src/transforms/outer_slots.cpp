// Finding the places around functions where arrays are, and putting back what was there.
#include "python/src/transforms/outer_slots.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "python/src/compile/surroundings.h"

namespace mlx::python {

namespace {

PyObject*& slot_of(PyObject* o, int64_t offset) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(o) + offset);
}

} // namespace

nb::object OuterSlot::now() const {
  PyObject* c = container.ptr();
  if (PyCell_Check(c)) {
    return nb::borrow(PyCell_GET(c));
  }
  if (PyList_Check(c)) {
    return index < PyList_GET_SIZE(c) ? nb::borrow(PyList_GET_ITEM(c, index)) : nb::object();
  }
  if (index > 0) {
    return nb::borrow(slot_of(c, index));
  }
  nb::object found = nb::borrow(PyDict_GetItemWithError(c, key.ptr()));
  PyErr_Clear();
  return found;
}

void OuterSlot::put(nb::handle value) const noexcept {
  PyObject* c = container.ptr();
  if (PyCell_Check(c)) {
    PyCell_Set(c, value.ptr());
  } else if (PyList_Check(c)) {
    if (index < PyList_GET_SIZE(c)) {
      PyList_SetItem(c, index, Py_NewRef(value.ptr()));
    }
  } else if (index > 0) {
    nb::object gone = nb::steal(std::exchange(slot_of(c, index), Py_NewRef(value.ptr())));
  } else {
    PyDict_SetItem(c, key.ptr(), value.ptr());
  }
  PyErr_Clear();
}

OuterSlots::OuterSlots(std::initializer_list<nb::handle> functions) {
  nb::list all;
  for (nb::handle f : functions) {
    all.append(f);
  }
  std::set<std::tuple<PyObject*, PyObject*, int64_t>> seen;
  for (Surroundings::ArrayPlace& place : Surroundings::arrays_around(nb::tuple(all), most_places)) {
    if (seen.emplace(place.container.ptr(), place.key.ptr(), place.index).second) {
      slots_.push_back({std::move(place.container), std::move(place.key), place.index, std::move(place.array)});
    }
  }
}

bool OuterSlots::is_own(HandleLog& log, nb::handle value) {
  return value.is_valid() && is_array(value) && log.was_made(value.ptr());
}

bool OuterSlots::find(HandleLog& log, std::vector<OuterSlot>& known) const {
  bool found = false;
  for (const OuterSlot& slot : slots_) {
    nb::object now = slot.now();
    if (now.is(slot.before) || !is_own(log, now) || std::find(known.begin(), known.end(), slot) != known.end()) {
      continue;
    }
    const array &a = read(slot.before), &b = read(now);
    if (a.shape() == b.shape() && a.dtype() == b.dtype()) {
      known.push_back(slot);
      found = true;
    }
  }
  return found;
}

OuterSlots::Run::~Run() {
  for (const OuterSlot& slot : known_) {
    slot.put(slot.before);
  }
  if (!done_) {
    for (const OuterSlot& slot : slots_.slots_) {
      nb::object now = slot.now();
      if (!now.is(slot.before) && is_own(log_, now)) {
        slot.put(slot.before);
      }
    }
  }
}

void OuterSlots::restore_all() const {
  for (const OuterSlot& slot : slots_) {
    slot.put(slot.before);
  }
}

} // namespace mlx::python
