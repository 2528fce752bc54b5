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
    for (const Entry& entry : entries_) {
      held(entry.handle) = entry.first;
    }
  }
}

void HandleLog::note(PyObject* handle) {
  if (made_.contains(handle) || !noted_.insert(handle).second) {
    return;
  }
  if (outer_) {
    outer_->note(handle); // a recording around this one depends on it, too
  }
  array first = held(handle);
  entries_.push_back({Py_NewRef(handle), first, hide_(first)});
  held(handle) = entries_.back().hidden;
}

} // namespace mlx::python
