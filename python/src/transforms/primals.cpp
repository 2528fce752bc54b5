// Taking trees apart into what has derivatives and what stays.
#include "python/src/transforms/primals.h"

#include "mlx_core/error.h"
#include "python/src/array/number_arguments.h"
#include "python/src/interop/foreign_arrays.h"
#include "python/src/interop/numpy_scalar.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/trees/descent.h"

namespace mlx::python {

using core::fail;

bool is_static_leaf(nb::handle leaf) {
  PyObject* o = leaf.ptr();
  if (is_array(o) || PyFloat_Check(o) || PyLong_CheckExact(o) || PyComplex_Check(o)) {
    return false;
  }
  if (PyLong_Check(o)) { // bools are flags, and so are members of an IntEnum
    return true;
  }
  if (std::optional<NumpyScalar> scalar = numpy_scalar(o)) {
    return scalar->kind == NumpyScalar::Kind::boolean || scalar->kind == NumpyScalar::Kind::other;
  }
  return !is_scalar_or_array(o);
}

array differentiable(const char* op, nb::handle leaf, const std::function<std::string()>& path) {
  PyObject* o = leaf.ptr();
  auto inexact = [&](const array& a) {
    if (!a.dtype().is_inexact()) {
      fail<core::TypeError>(op, path(), " has dtype ", a.dtype(),
          "; gradients exist with respect to floating and complex arrays only. "
          "Convert it with astype(mx.float32), or differentiate with respect to something else.");
    }
    return a;
  };
  if (is_array(o)) {
    return inexact(read(o));
  }
  if (PyFloat_Check(o)) {
    return array(static_cast<float>(PyFloat_AS_DOUBLE(o)));
  }
  if (PyLong_Check(o) && !PyBool_Check(o)) {
    return array(static_cast<float>(double_of_int(o)));
  }
  if (PyComplex_Check(o)) {
    return array(core::complex64_t(
        static_cast<float>(PyComplex_RealAsDouble(o)), static_cast<float>(PyComplex_ImagAsDouble(o))));
  }
  if (!PyBool_Check(o)) {
    std::optional<NumpyScalar> scalar = numpy_scalar(o);
    if (scalar && scalar->kind == NumpyScalar::Kind::integer) {
      return differentiable(op, scalar->as_python_number(), path);
    }
    if (std::optional<array> a = try_to_array(o, {})) {
      return inexact(*a);
    }
  }
  fail<core::TypeError>(op, path(), " is a ", class_name(leaf),
      "; gradients exist with respect to arrays and numbers only. "
      "Pass it in another argument, or name the arguments to differentiate with argnums and argnames.");
}

array primal_of(const char* op, nb::handle leaf, Primals::Integers integers, const std::function<std::string()>& path) {
  bool any_dtype = integers == Primals::Integers::keep && (is_array(leaf) || is_foreign_array(leaf.ptr()));
  return any_dtype ? to_array({leaf.ptr()}) : differentiable(op, leaf, path);
}

Primals::Primals(const char* op, std::string name, nb::handle root, Integers integers)
    : name_(std::move(name)), tree_(root, leaves_) {
  for (size_t i = 0; i < leaves_.size(); ++i) {
    nb::handle leaf = leaves_[i];
    if (is_static_leaf(leaf) && !tree_.is_leaf()) {
      continue;
    }
    arrays_.push_back(primal_of(op, leaf, integers, [&] { return name_ + tree_.path(i); }));
    positions_.push_back(i);
    leaves_[i] = nb::none();
  }
}

nb::object Primals::build(std::span<const array> values) const {
  Leaves leaves(leaves_);
  for (size_t i = 0; i < positions_.size(); ++i) {
    leaves[positions_[i]] = nb::steal(wrap(values[i]));
  }
  return tree_.build(leaves);
}

namespace {

// What was given for an array, as a tangent or cotangent of its shape: None is zero, a number takes its dtype. names()
// has the name of what was given, and of the array that it is for.
using Names = std::function<std::pair<std::string, std::string>()>;
core::Tangent tangent_of(const char* op, nb::handle given, const Shape& shape, Dtype dtype, const Names& names) {
  if (given.is_none()) {
    return std::nullopt;
  }
  std::optional<array> tangent = try_to_array(given.ptr(), dtype);
  if (!tangent) {
    fail<core::TypeError>(op, names().first, " is a ", class_name(given), "; it should be an array, or None for zero.");
  }
  if (!(tangent->shape() == shape)) {
    auto [given_name, name] = names();
    fail(op, given_name, " has shape ", tangent->shape(), " but ", name, " has shape ", shape, "; they must be equal.");
  }
  return tangent;
}

} // namespace

core::Tangents Primals::tangents(const char* op, const char* given_name, nb::handle given) const {
  Leaves values;
  tree_.spread(given, given_name, name_, values, op, "Give a container of the same kind and length; None is zero.");
  core::Tangents out;
  for (size_t i = 0; i < positions_.size(); ++i) {
    out.push_back(tangent_of(op, values[positions_[i]], arrays_[i].shape(), arrays_[i].dtype(),
        [&] { return std::pair(given_name + tree_.path(positions_[i]), name(i)); }));
  }
  return out;
}

core::Tangents cotangents_of(
    const char* op, const ArrayTree& output, const std::vector<core::Spec>& outputs, nb::handle given) {
  core::Tangents out;
  for (const nb::object& value : output.match(given, op, "cotangents", "output", "Give")) {
    size_t i = out.size();
    out.push_back(tangent_of(op, value, outputs[i].shape, outputs[i].dtype,
        [&] { return std::pair("cotangents" + output.path(i), "output" + output.path(i)); }));
  }
  return out;
}

nb::object called_with(nb::handle fun, nb::handle args) {
  Descent guard(" in a transformed function");
  nb::object result = nb::steal(PyObject_CallObject(fun.ptr(), args.ptr()));
  if (!result.is_valid()) {
    throw nb::python_error();
  }
  return result;
}

} // namespace mlx::python
