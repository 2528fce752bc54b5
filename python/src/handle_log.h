// Which array handles a recorded function reads: at the next call they may hold other arrays, so that they count as
// arguments.
#pragma once

#include <Python.h>

#include <functional>
#include <unordered_set>
#include <vector>

#include "mlx_core/array.h"

namespace mlx::python {

// While it is open, this thread's handles hold placeholders from their first reading on.
class HandleLog {
 public:
  struct Entry {
    PyObject* handle;   // a reference of ours
    core::array first;  // what it held
    core::array hidden; // the placeholder that it got
  };
  using Hide = std::function<core::array(const core::array&)>;

  explicit HandleLog(Hide hide);
  ~HandleLog();
  HandleLog(const HandleLog&) = delete;
  HandleLog& operator=(const HandleLog&) = delete;

  // In the order of first readings; without handles made in the meantime.
  const std::vector<Entry>& entries() const { return entries_; }
  // Ends it: handles hold again what they held.
  void close();

  void note(PyObject* handle);
  void made(PyObject* handle) { made_.insert(handle); }
  bool was_made(PyObject* handle) const { return made_.contains(handle); }

 private:
  Hide hide_;
  std::vector<Entry> entries_;
  std::unordered_set<PyObject*> noted_;
  std::unordered_set<PyObject*> made_; // maybe gone again: an address that is used again is of this recording, too
  HandleLog* outer_;
  bool open_ = true;
};

// The innermost log of this thread.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local HandleLog* open_handle_log;

} // namespace mlx::python
