// The Python callable that mx.grad, mx.vmap and the other transforms return.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <span>
#include <utility>

#include "python/src/trees/descent.h"
#include "python/src/trees/traverse.h"

namespace nb = nanobind;

namespace mlx::python {

// The arguments of a call, as CPython's vectorcall hands them over: positional ones, then those of keyword_names.
struct CallArguments {
  std::span<PyObject* const> values;
  size_t positional = 0;
  PyObject* keyword_names = nullptr; // tuple of str, or null

  size_t keyword_count() const { return values.size() - positional; }
  nb::handle keyword_name(size_t i) const { return PyTuple_GET_ITEM(keyword_names, i); }
  nb::handle keyword_value(size_t i) const { return values[positional + i]; }
};

// One transform of one Python function.
class Transformation {
 public:
  // settings: what beside the function decides what it does, which begins with what it is; none where nothing says all
  // of it.
  explicit Transformation(nb::handle fun, nb::object settings = {})
      : fun_(nb::borrow(fun)), settings_(std::move(settings)) {}
  virtual ~Transformation() = default;
  Transformation(const Transformation&) = delete;
  Transformation& operator=(const Transformation&) = delete;

  virtual const char* name() const = 0; // "grad"
  virtual nb::object call(const CallArguments& arguments) const = 0;
  // Shows the collector every Python object it owns beside the function. Called at any time on any thread that holds
  // the interpreter lock, so that it takes no lock and makes no Python object.
  virtual void traverse(Traversal&) const {}
  nb::handle fun() const { return *fun_; }
  nb::handle settings() const { return settings_; }

  // fun(*values, **keywords) with the same positional count and keyword names as `arguments`.
  virtual nb::object call_fun(std::span<PyObject* const> values, const CallArguments& arguments) const;
  // How fun calls its argument, for errors: "params"; "args[1]" for one of *args or when fun does not say.
  std::string argument_name(const CallArguments& arguments, size_t value) const;

 private:
  friend struct TransformedObject;
  Link fun_; // perhaps what another transform returned, and so on
  nb::object settings_;
};

// A callable that shows the name, documentation and signature of the function inside, takes part in garbage collection,
// and binds like a function when it is a class attribute.
nb::object make_transformed(std::unique_ptr<Transformation> transformation);

// What is inside such a callable; null for any other object.
const Transformation* transformation_of(nb::handle callable);

void bind_transformed(nb::module_& m);

} // namespace mlx::python
