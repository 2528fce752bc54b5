// Noting what a recorded function reads.
#include "python/src/handle_log.h"

#include "mlx_core/transforms/frame.h"
#include "python/src/convert.h"

namespace mlx::python {

constinit thread_local HandleLog* open_handle_log = nullptr;

HandleLog::HandleLog(Hide hide) : hide_(std::move(hide)), frame_(core::Frame::open().back()->id()) {
  open_handle_log = this;
}

HandleLog::~HandleLog() {
  close();
  for (const Entry& entry : entries_) {
    Py_DECREF(entry.handle);
  }
}

void HandleLog::close() {
  if (open_) {
    open_handle_log = nullptr;
    open_ = false;
  }
}

HandleLog::Entry& HandleLog::entry(PyObject* handle) {
  Entry*& found = by_handle_[handle];
  if (!found) {
    array first = held(handle);
    array hidden = hide_(first);
    entries_.push_back({Py_NewRef(handle), first, hidden, hidden, false});
    found = &entries_.back();
  }
  return *found;
}

void HandleLog::give(PyObject* handle, const array& placeholder) {
  entries_.push_back({Py_NewRef(handle), held(handle), placeholder, placeholder, true});
  by_handle_[handle] = &entries_.back();
}

// Other modules make handles without saying so; one that holds something of this recording is of its making.
bool HandleLog::is_made(PyObject* handle) {
  if (!made_.contains(handle) && held(handle).node()->level >= frame_) {
    made_.insert(handle);
  }
  return made_.contains(handle);
}

const array& HandleLog::read(PyObject* handle) { return is_made(handle) ? held(handle) : entry(handle).current; }

void HandleLog::rebind(PyObject* handle, array value) {
  (is_made(handle) ? held(handle) : entry(handle).current) = std::move(value);
}

} // namespace mlx::python
