// Finding, carrying and binding the handles that recorded functions change.
#include "python/src/transforms/outer_writes.h"

#include <algorithm>
#include <set>

#include "python/src/array/convert.h"

namespace mlx::python {

namespace {

// What is recorded now on this thread.
constinit thread_local OuterWrites* innermost = nullptr;

bool was_changed(const HandleLog::Entry& entry) { return entry.current.id() != entry.hidden.id(); }

} // namespace

OuterWrites::OuterWrites() : around_(std::exchange(innermost, this)), known_(&own_) {
  if (around_) {
    std::vector<std::unique_ptr<Known>>& siblings = around_->known_->inside;
    if (around_->next_inside_ == siblings.size()) {
      siblings.push_back(std::make_unique<Known>());
    }
    known_ = siblings[around_->next_inside_++].get();
  }
}

OuterWrites::~OuterWrites() {
  innermost = around_;
  if (!bound_) { // it failed, perhaps with handles in hand that are gone when it is tried again
    known_->handles.clear();
    known_->inside.clear();
  }
}

std::vector<array> OuterWrites::values() const {
  std::vector<array> values;
  for (const nb::object& handle : known_->handles) {
    values.push_back(read(handle));
  }
  return values;
}

void OuterWrites::give(HandleLog& log, std::span<const array> arrays) const {
  for (size_t i = 0; i < count(); ++i) {
    log.give(known_->handles[i].ptr(), arrays[i]);
  }
}

bool OuterWrites::find(HandleLog& log) {
  bool found = false;
  for (const HandleLog::Entry& entry : log.entries()) {
    auto same = [&](const nb::object& handle) { return handle.ptr() == entry.handle; };
    if (was_changed(entry) && std::none_of(known_->handles.begin(), known_->handles.end(), same)) {
      known_->handles.push_back(nb::borrow(entry.handle));
      found = true;
    }
  }
  return found;
}

void OuterWrites::take(HandleLog& log, std::vector<array>& arrays) const {
  for (const nb::object& handle : known_->handles) {
    arrays.push_back(log.read(handle.ptr()));
  }
}

void OuterWrites::bind(std::span<const array> arrays) {
  for (size_t i = 0; i < count(); ++i) {
    if (read(known_->handles[i]).id() != arrays[i].id()) {
      rebind(known_->handles[i].ptr(), arrays[i]);
    }
  }
  bound_ = true;
}

void OuterWrites::ran(HandleLog& log) {
  for (const std::unique_ptr<Known>& inside : known_->inside) {
    forget_made(*inside, log);
  }
}

void OuterWrites::forget_made(Known& known, HandleLog& log) {
  std::erase_if(known.handles, [&](const nb::object& handle) { return log.was_made(handle.ptr()); });
  for (const std::unique_ptr<Known>& inside : known.inside) {
    forget_made(*inside, log);
  }
}

void PendingWrites::take(const HandleLog& log) {
  all_.clear();
  given_out_.clear();
  for (const HandleLog::Entry& entry : log.entries()) {
    if (was_changed(entry)) {
      all_.emplace_back(nb::borrow(entry.handle), entry.current);
    }
  }
}

void PendingWrites::give_out(uint64_t frame, std::vector<array>& outputs) {
  for (size_t i = 0; i < all_.size(); ++i) {
    array& value = all_[i].second;
    if (value.node()->level >= frame) {
      outputs.push_back(value);
      value = array(0.0f); // nothing of the transform may be kept
      given_out_.push_back(i);
    }
  }
}

void PendingWrites::apply(std::span<const array> brought_out) {
  for (size_t i = 0; i < brought_out.size(); ++i) {
    all_[given_out_[i]].second = brought_out[i];
  }
  for (auto& [handle, value] : all_) {
    rebind(handle.ptr(), std::move(value));
  }
  all_.clear();
  given_out_.clear();
}

namespace {

// Finds a handle in what a function sees, and the functions that it sees. For errors, which must not fail: it runs
// little code of the user's.
class NameSearch {
 public:
  explicit NameSearch(nb::handle handle) : handle_(handle) {}

  std::string in_function(nb::handle function) {
    if (seen_.size() == most_functions || !seen_.insert(function.ptr()).second) {
      return "";
    }
    nb::object f = nb::borrow(function);
    for (int i = 0; i < 16 && f.is_valid() && !PyFunction_Check(f.ptr()); ++i) {
      if (PyMethod_Check(f.ptr())) {
        if (std::string found = in(PyMethod_GET_SELF(f.ptr()), "self", 0); !found.empty()) {
          return found;
        }
        f = nb::borrow(PyMethod_GET_FUNCTION(f.ptr()));
      } else {
        const char* inner = nb::hasattr(f, "__wrapped__") ? "__wrapped__" : "func";
        f = nb::getattr(f, inner, nb::none());
      }
    }
    return PyFunction_Check(f.ptr()) ? in_names(f) : "";
  }

 private:
  static constexpr int deepest = 3;
  static constexpr size_t most_functions = 100;

  std::string in_names(nb::handle f) {
    nb::object code = nb::borrow(PyFunction_GetCode(f.ptr()));
    if (PyObject* cells = PyFunction_GetClosure(f.ptr())) {
      nb::tuple names = code.attr("co_freevars");
      for (Py_ssize_t i = 0; i < std::min(PyTuple_GET_SIZE(cells), PyTuple_GET_SIZE(names.ptr())); ++i) {
        nb::str name(nb::handle(PyTuple_GET_ITEM(names.ptr(), i)));
        if (std::string found = in(PyCell_GET(PyTuple_GET_ITEM(cells, i)), name.c_str(), 0); !found.empty()) {
          return found;
        }
      }
    }
    nb::object globals = nb::borrow(PyFunction_GetGlobals(f.ptr()));
    for (nb::handle name : nb::tuple(code.attr("co_names"))) {
      PyObject* value = PyDict_GetItemWithError(globals.ptr(), name.ptr());
      PyErr_Clear();
      if (std::string found = in(value, nb::str(name).c_str(), 0); !found.empty()) {
        return found;
      }
    }
    return "";
  }

  std::string in(PyObject* o, const std::string& name, int depth) {
    if (!o || o == handle_.ptr()) {
      return o ? name : "";
    }
    if (depth == deepest) {
      return "";
    }
    std::string found;
    if (PyDict_Check(o)) {
      PyObject *key, *value;
      for (Py_ssize_t at = 0; found.empty() && PyDict_Next(o, &at, &key, &value);) {
        found = in(value, name + "[" + nb::repr(key).c_str() + "]", depth + 1);
      }
    } else if (PyList_Check(o) || PyTuple_Check(o)) {
      for (Py_ssize_t i = 0; found.empty() && i < PySequence_Fast_GET_SIZE(o); ++i) {
        found = in(PySequence_Fast_GET_ITEM(o, i), name + "[" + std::to_string(i) + "]", depth + 1);
      }
    } else if (PyFunction_Check(o) || PyMethod_Check(o)) {
      found = in_function(o);
    } else if (!PyModule_Check(o) && !PyType_Check(o)) {
      nb::object attributes = nb::steal(PyObject_GenericGetDict(o, nullptr));
      PyErr_Clear();
      PyObject *key, *value;
      for (Py_ssize_t at = 0;
          found.empty() && attributes.is_valid() && PyDict_Next(attributes.ptr(), &at, &key, &value);) {
        found = in(value, name + "." + nb::str(nb::handle(key)).c_str(), depth + 1);
      }
      if (found.empty() && PyCallable_Check(o)) { // a transformed function
        found = in_function(o);
      }
    }
    return found;
  }

  nb::handle handle_;
  std::set<PyObject*> seen_;
};

} // namespace

std::string name_of_outer(nb::handle handle, std::span<const nb::handle> functions) {
  for (nb::handle function : functions) {
    std::string name;
    try {
      name = NameSearch(handle).in_function(function);
    } catch (const std::exception&) { // the error that this is for matters more
      PyErr_Clear();
    }
    if (!name.empty()) {
      return "`" + name + "`, an array from around it";
    }
  }
  return "an array from around it";
}

} // namespace mlx::python
