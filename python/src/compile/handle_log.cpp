// Noting what a recorded function reads.
#include "python/src/compile/handle_log.h"

#include "mlx_core/transforms/frame.h"
#include "python/src/array/convert.h"

namespace mlx::python {

constinit thread_local HandleLog* open_handle_log = nullptr;

HandleLog::HandleLog(Hide hide)
    : hide_(std::move(hide)),
      outer_(open_handle_log),
      frame_(core::Frame::open().empty() ? 0 : core::Frame::open().back()->id()),
      own_frame_(frame_) {
  open_handle_log = this;
}

HandleLog::HandleLog(Frameless) : HandleLog(Hide()) { own_frame_ = UINT64_MAX; }

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
    if (outer_) { // whatever is recorded around this made them, too
      for (PyObject* handle : made_) {
        outer_->made(handle);
      }
      for (PyObject* handle : made_lately_) {
        outer_->made(handle);
      }
    }
  }
}

HandleLog::Entry& HandleLog::entry(PyObject* handle) {
  Entry*& found = by_handle_[handle];
  if (!found) {
    array first = outer_ ? outer_->read(handle) : held(handle); // a recording around this one depends on it, too
    array hidden = hide_ ? hide_(first) : first;
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
  if (!was_made(handle) && held(handle).node()->level >= own_frame_) {
    made_.insert(handle);
  }
  return made_.contains(handle);
}

bool HandleLog::was_made(PyObject* handle) {
  made_.insert(made_lately_.begin(), made_lately_.end());
  made_lately_.clear();
  return made_.contains(handle);
}

const array& HandleLog::read(PyObject* handle) {
  if (hide_) {
    return is_made(handle) ? held(handle) : entry(handle).current;
  }
  if (auto found = by_handle_.find(handle); found != by_handle_.end()) {
    return found->second->current;
  }
  return !outer_ || is_made(handle) ? held(handle) : outer_->read(handle);
}

void HandleLog::rebind(PyObject* handle, array value) {
  (is_made(handle) ? held(handle) : entry(handle).current) = std::move(value);
}

} // namespace mlx::python
