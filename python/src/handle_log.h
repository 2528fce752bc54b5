// Which array handles a recorded function reads: at the next call they may hold other arrays, so that they count as
// arguments.
#pragma once

#include <Python.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "mlx_core/array.h"

namespace mlx::python {

// While it is open, handles hold placeholders as far as this thread is concerned. The handles themselves are left
// alone: other threads may use them. A thread has one at a time, for recordings do not nest (RecordingScope).
class HandleLog {
 public:
  struct Entry {
    PyObject* handle;    // a reference of ours
    core::array first;   // what it holds
    core::array hidden;  // the placeholder that stands for it
    core::array current; // what it holds inside the function
    bool is_given;       // by give(), not by reading
  };
  using Hide = std::function<core::array(const core::array&)>;

  explicit HandleLog(Hide hide);
  ~HandleLog();
  HandleLog(const HandleLog&) = delete;
  HandleLog& operator=(const HandleLog&) = delete;

  // In the order of first readings; without handles made in the meantime.
  const std::deque<Entry>& entries() const { return entries_; }
  void close();

  const core::array& read(PyObject* handle);
  void rebind(PyObject* handle, core::array value);
  // A handle that holds this placeholder from the beginning.
  void give(PyObject* handle, const core::array& placeholder);
  void made(PyObject* handle) { made_.insert(handle); }
  bool was_made(PyObject* handle) const { return made_.contains(handle); }

 private:
  Entry& entry(PyObject* handle);
  bool is_made(PyObject* handle);

  Hide hide_;
  std::deque<Entry> entries_; // references to entries stay valid
  std::unordered_map<PyObject*, Entry*> by_handle_;
  std::unordered_set<PyObject*> made_; // maybe gone again: an address that is used again is of this recording, too
  uint64_t frame_;                     // of the recording
  bool open_ = true;
};

// The log of this thread, if it records.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local HandleLog* open_handle_log;

} // namespace mlx::python
