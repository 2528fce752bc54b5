// Which array handles a recorded function reads: at the next call they may hold other arrays, so that they count as
// arguments.
#pragma once

#include <Python.h>

#include <cstdint>
#include <functional>
#include <list>
#include <unordered_map>
#include <unordered_set>

#include "mlx_core/array.h"
#include "mlx_core/small_vector.h"

namespace mlx::python {

// While it is open, handles hold placeholders as far as this thread is concerned. The handles themselves are left
// alone: other threads may use them.
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

  // Without `hide`, handles that are only read get no entry: they hold what they hold.
  explicit HandleLog(Hide hide = {});
  // Of something that has no frame of its own.
  struct Frameless {};
  explicit HandleLog(Frameless);
  ~HandleLog();
  HandleLog(const HandleLog&) = delete;
  HandleLog& operator=(const HandleLog&) = delete;

  // In the order of first readings; without handles made in the meantime.
  const std::list<Entry>& entries() const { return entries_; }
  void close();

  const core::array& read(PyObject* handle);
  void rebind(PyObject* handle, core::array value);
  // A handle that holds this placeholder from the beginning.
  void give(PyObject* handle, const core::array& placeholder);
  void made(PyObject* handle) { made_lately_.push_back(handle); }
  bool was_made(PyObject* handle);
  // Whether it has an entry.
  bool knows(PyObject* handle) const { return by_handle_.contains(handle); }
  // Of the innermost transform that was open when this log was; 0 if there was none.
  uint64_t frame() const { return frame_; }

 private:
  Entry& entry(PyObject* handle);
  bool is_made(PyObject* handle);

  Hide hide_;
  std::list<Entry> entries_; // references to entries stay valid
  std::unordered_map<PyObject*, Entry*> by_handle_;
  std::unordered_set<PyObject*> made_; // maybe gone again: an address that is used again is of this recording, too
  core::SmallVector<PyObject*, 16> made_lately_; // not yet in made_: most are never looked up
  HandleLog* outer_;
  uint64_t frame_;
  uint64_t own_frame_; // of the recording; higher than all if it has none
  bool open_ = true;
};

// The innermost log of this thread.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local HandleLog* open_handle_log;

} // namespace mlx::python
