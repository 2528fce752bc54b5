// Noting what a recorded function reads.
#include "python/src/handle_log.h"

#include "python/src/convert.h"

namespace mlx::python {

constinit thread_local HandleLog* open_handle_log = nullptr;

HandleLog::HandleLog(Hide hide) : hide_(std::move(hide)), outer_(open_handle_log) { open_handle_log = this; }

HandleLog::~HandleLog() {
  close();
  for (const Entry& entry : entries_) {
    Py_DECREF(entry.handle);
  }
}

void HandleLog::close() {
  if (open_) {
    open_handle_log = outer_;
    open_ = false;
  }
}

HandleLog::Entry& HandleLog::entry(PyObject* handle) {
  Entry*& found = by_handle_[handle];
  if (!found) {
    array first = outer_ ? outer_->read(handle) : held(handle); // a recording around this one depends on it, too
    array hidden = hide_(first);
    entries_.push_back({Py_NewRef(handle), first, hidden, hidden, false});
    found = &entries_.back();
  }
  return *found;
}

void HandleLog::give(PyObject* handle, const array& placeholder) {
  array first = outer_ ? outer_->read(handle) : held(handle);
  entries_.push_back({Py_NewRef(handle), first, placeholder, placeholder, true});
  by_handle_[handle] = &entries_.back();
}

const array& HandleLog::read(PyObject* handle) { return made_.contains(handle) ? held(handle) : entry(handle).current; }

void HandleLog::rebind(PyObject* handle, array value) {
  (made_.contains(handle) ? held(handle) : entry(handle).current) = std::move(value);
}

} // namespace mlx::python
