// Ops that make arrays from numbers: zeros, full, arange, linspace, eye, tri and their kin.
#include <limits>

#include <nanobind/stl/complex.h>

#include "mlx_core/error.h"
#include "mlx_core/ops/shape/range.h"
#include "python/src/array/number_arguments.h"
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

// A number of rows: what an int parameter takes, or an open size.
struct IntOrDim {
  core::Dim size;
};

} // namespace mlx::python

namespace nanobind::detail {

template <>
struct type_caster<mlx::python::IntOrDim> {
  NB_TYPE_CASTER(mlx::python::IntOrDim, const_name("int"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    constexpr int64_t most = std::numeric_limits<int>::max();
    return mlx::python::to_dim(src.ptr(), value.size) &&
           (value.size.is_symbolic() || (value.size <= most && value.size >= -most - 1));
  }
};

} // namespace nanobind::detail

namespace mlx::python {

namespace {

using core::fail;

// A bound of arange or linspace.
struct Bound {
  double value = 0;
  core::detail::int128_t whole = 0; // of an int of at most about 100 bits
  bool is_whole = true;
  bool floating = false;
};

// The int, or nullopt beyond 2^100.
std::optional<core::detail::int128_t> int128_of(nb::handle integer) {
  int overflow = 0;
  long long low = PyLong_AsLongLongAndOverflow(integer.ptr(), &overflow);
  if (overflow == 0) {
    return low;
  }
  nb::object bits = nb::steal(PyNumber_Rshift(integer.ptr(), nb::int_(64).ptr()));
  long long high = PyLong_AsLongLongAndOverflow(bits.ptr(), &overflow);
  if (overflow != 0 || high >= (1ll << 36) || high < -(1ll << 36)) {
    return std::nullopt;
  }
  return core::detail::int128_t{high} * (core::detail::int128_t{1} << 64) +
         PyLong_AsUnsignedLongLongMask(integer.ptr());
}

Bound bound_of(const char* op, const char* name, nb::handle o) {
  if (PyBool_Check(o.ptr())) {
    fail(op, name, " is a bool; it should be an int or a float.");
  }
  if (!PyIndex_Check(o.ptr())) {
    return {double_of(op, name, o), 0, false, true};
  }
  nb::object integer = nb::steal(PyNumber_Index(o.ptr()));
  if (!integer.is_valid()) {
    throw nb::python_error();
  }
  double value = double_of(op, name, integer);
  std::optional<core::detail::int128_t> whole = int128_of(integer);
  return {value, whole.value_or(0), whole.has_value(), false};
}

// arange(n) up to an open size, from an int on, in steps of an int.
std::optional<array> open_range(nb::handle start, nb::handle stop, nb::handle step, std::optional<Dtype> dtype) {
  if (!is_dim(stop.ptr())) {
    return std::nullopt;
  }
  core::Dim from = 0, to = dim_of(stop.ptr()), by = 1;
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  auto known = [](nb::handle o, core::Dim& out) {
    return o.is_none() || (PyLong_CheckExact(o.ptr()) && to_dim(o.ptr(), out));
  };
  if (!known(start, from) || !known(step, by) || from < -most || from > most || by < 1 || by > most || !(to <= most) ||
      (dtype && dtype->is_integer() && dtype->size() < 4)) {
    return std::nullopt;
  }
  core::Dim count = (larger_of(to - from, 0) + (by - 1)) / by;
  return core::whole_range(from, by, count, dtype.value_or(core::int32));
}

array arange(nb::handle start, nb::handle stop, nb::handle step, std::optional<Dtype> dtype, StreamOrDevice s) {
  if (stop.is_none()) { // arange(stop)
    stop = start;
    start = nb::none();
  }
  if (stop.is_none()) {
    fail<core::TypeError>("arange", "stop is missing.");
  }
  if (std::optional<array> open = open_range(start, stop, step, dtype)) {
    return *open;
  }
  Bound to = bound_of("arange", "stop", stop);
  Bound from = start.is_none() ? Bound{} : bound_of("arange", "start", start);
  Bound by = step.is_none() ? Bound{1, 1} : bound_of("arange", "step", step);
  if (to.is_whole && from.is_whole && by.is_whole) {
    return core::detail::arange(
        from.whole, to.whole, by.whole, dtype ? *dtype : core::range_dtype(from.whole, to.whole, by.whole), s);
  }
  if (!dtype) {
    dtype = to.floating || from.floating || by.floating ? core::float32 : core::int64;
  }
  return core::arange(from.value, to.value, by.value, *dtype, s);
}

array full(const Shape& shape, ScalarOrArray vals, std::optional<Dtype> dtype, StreamOrDevice s) {
  array values = to_array(vals, dtype);
  return dtype ? core::full(shape, values, *dtype, s) : core::full(shape, values, s);
}

array full_like(const array& a, ScalarOrArray vals, std::optional<Dtype> dtype, StreamOrDevice s) {
  return core::full_like(a, to_array(vals, dtype ? *dtype : a.dtype()), dtype, s);
}

// linspace between complex numbers: the real and the imaginary parts.
std::optional<array> complex_linspace(
    nb::handle start, nb::handle stop, int num, bool endpoint, std::optional<Dtype> dtype, StreamOrDevice s) {
  if (!PyComplex_Check(start.ptr()) && !PyComplex_Check(stop.ptr())) {
    return std::nullopt;
  }
  Dtype type = dtype.value_or(core::complex64), part = core::real_of(type);
  if (!type.is_complex()) {
    fail<core::TypeError>(
        "linspace", "start or stop is complex, but dtype is ", type, "; take complex64 or complex128.");
  }
  auto number = [](const char* name, nb::handle o) {
    return PyComplex_Check(o.ptr()) ? nb::cast<core::complex128_t>(o)
                                    : core::complex128_t(double_of("linspace", name, o));
  };
  core::complex128_t from = number("start", start), to = number("stop", stop);
  return core::make_complex(core::linspace(from.real(), to.real(), num, part, endpoint, s),
      core::linspace(from.imag(), to.imag(), num, part, endpoint, s), s);
}

} // namespace

void bind_ops_creation(nb::module_& m) {
  def_op(
      m, "full",
      [](const Shape& shape, ScalarOrArray vals, std::optional<Dtype> dtype, StreamOrDevice device, StreamOrDevice s) {
        return full(shape, vals, dtype, placed("full", device, s));
      },
      "shape: int | Sequence[int], vals: scalar | array, dtype: Dtype | None = None, *, device: StreamOrDevice = None",
      "array", "shape"_a, "vals"_a, "dtype"_a = nb::none(), nb::kw_only(), "device"_a = nb::none());
  def_op( // the same with the Array API's name of vals
      m, "full",
      [](const Shape& shape, ScalarOrArray fill_value, std::optional<Dtype> dtype, StreamOrDevice device,
          StreamOrDevice s) { return full(shape, fill_value, dtype, placed("full", device, s)); },
      "shape: int | Sequence[int], *, fill_value: scalar | array, dtype: Dtype | None = None, "
      "device: StreamOrDevice = None",
      "array", "shape"_a, nb::kw_only(), "fill_value"_a, "dtype"_a = nb::none(), "device"_a = nb::none());
  def_op(
      m, "full_like",
      [](const array& a, ScalarOrArray vals, std::optional<Dtype> dtype, StreamOrDevice device, StreamOrDevice s) {
        return full_like(a, vals, dtype, placed("full_like", device, s));
      },
      "a: array, vals: scalar | array, dtype: Dtype | None = None, *, device: StreamOrDevice = None", "array", "a"_a,
      "vals"_a, "dtype"_a = nb::none(), nb::kw_only(), "device"_a = nb::none());
  def_op(
      m, "full_like",
      [](const array& a, ScalarOrArray fill_value, std::optional<Dtype> dtype, StreamOrDevice device,
          StreamOrDevice s) { return full_like(a, fill_value, dtype, placed("full_like", device, s)); },
      "a: array, *, fill_value: scalar | array, dtype: Dtype | None = None, device: StreamOrDevice = None", "array",
      "a"_a, nb::kw_only(), "fill_value"_a, "dtype"_a = nb::none(), "device"_a = nb::none());
  def_op(
      m, "zeros",
      [](const Shape& shape, std::optional<Dtype> dtype, StreamOrDevice device, StreamOrDevice s) {
        return core::zeros(shape, dtype.value_or(core::float32), placed("zeros", device, s));
      },
      "shape: int | Sequence[int], dtype: Dtype | None = float32, *, device: StreamOrDevice = None", "array", "shape"_a,
      "dtype"_a = nb::none(), nb::kw_only(), "device"_a = nb::none());
  def_op(
      m, "ones",
      [](const Shape& shape, std::optional<Dtype> dtype, StreamOrDevice device, StreamOrDevice s) {
        return core::ones(shape, dtype.value_or(core::float32), placed("ones", device, s));
      },
      "shape: int | Sequence[int], dtype: Dtype | None = float32, *, device: StreamOrDevice = None", "array", "shape"_a,
      "dtype"_a = nb::none(), nb::kw_only(), "device"_a = nb::none());
  def_op(
      m, "zeros_like",
      [](const array& a, std::optional<Dtype> dtype, StreamOrDevice device, StreamOrDevice s) {
        StreamOrDevice on = placed("zeros_like", device, s);
        return dtype ? core::zeros(a.shape(), *dtype, on) : core::zeros_like(a, on);
      },
      "a: array, dtype: Dtype | None = None, *, device: StreamOrDevice = None", "array", "a"_a, "dtype"_a = nb::none(),
      nb::kw_only(), "device"_a = nb::none());
  def_op(
      m, "ones_like",
      [](const array& a, std::optional<Dtype> dtype, StreamOrDevice device, StreamOrDevice s) {
        StreamOrDevice on = placed("ones_like", device, s);
        return dtype ? core::ones(a.shape(), *dtype, on) : core::ones_like(a, on);
      },
      "a: array, dtype: Dtype | None = None, *, device: StreamOrDevice = None", "array", "a"_a, "dtype"_a = nb::none(),
      nb::kw_only(), "device"_a = nb::none());

  def_alias(m, "empty", "zeros"); // memory without values is not worth a second meaning
  def_alias(m, "empty_like", "zeros_like");

  // arange(stop), arange(start, stop), arange(start, stop, step), each of them by name too.
  def_op(
      m, "arange",
      [](nb::handle start, nb::handle stop, nb::handle step, std::optional<Dtype> dtype, StreamOrDevice device,
          StreamOrDevice s) { return arange(start, stop, step, dtype, placed("arange", device, s)); },
      "start: int | float | None = None, stop: int | float | None = None, step: int | float | None = None, "
      "dtype: Dtype | None = None, *, device: StreamOrDevice = None",
      "array", "start"_a = nb::none(), "stop"_a = nb::none(), "step"_a = nb::none(), "dtype"_a = nb::none(),
      nb::kw_only(), "device"_a = nb::none());
  def_op_exactly(
      m, "linspace",
      [](nb::handle start, nb::handle stop, std::optional<int> num, bool endpoint, std::optional<Dtype> dtype,
          StreamOrDevice stream, StreamOrDevice device) {
        StreamOrDevice s = placed("linspace", device, stream);
        if (std::optional<array> complex = complex_linspace(start, stop, num.value_or(50), endpoint, dtype, s)) {
          return *complex;
        }
        Bound from = bound_of("linspace", "start", start), to = bound_of("linspace", "stop", stop);
        int count = num.value_or(50);
        Dtype type = dtype.value_or(core::float32);
        return from.is_whole && to.is_whole ? core::detail::linspace(from.whole, to.whole, count, type, endpoint, s)
                                            : core::linspace(from.value, to.value, count, type, endpoint, s);
      },
      "start: scalar, stop: scalar, num: int | None = 50, endpoint: bool = True, dtype: Dtype | None = float32, "
      "stream: StreamOrDevice = None, *, device: StreamOrDevice = None",
      "array", "start"_a, "stop"_a, "num"_a.none() = 50, "endpoint"_a = true, "dtype"_a = nb::none(),
      "stream"_a = nb::none(), nb::kw_only(), "device"_a = nb::none());

  def_op(
      m, "eye",
      [](IntOrDim n, std::optional<IntOrDim> m, int k, std::optional<Dtype> dtype, StreamOrDevice device,
          StreamOrDevice s) {
        return core::eye(n.size, m.value_or(n).size, k, dtype.value_or(core::float32), placed("eye", device, s));
      },
      "n: int, m: int | None = None, k: int = 0, dtype: Dtype | None = float32, *, device: StreamOrDevice = None",
      "array", "n"_a, "m"_a = nb::none(), "k"_a = 0, "dtype"_a = nb::none(), nb::kw_only(), "device"_a = nb::none());
  def_op(
      m, "identity",
      [](IntOrDim n, std::optional<Dtype> dtype, StreamOrDevice s) {
        return core::identity(n.size, dtype.value_or(core::float32), s);
      },
      "n: int, dtype: Dtype | None = float32", "array", "n"_a, "dtype"_a = nb::none());
  def_op(
      m, "tri",
      [](IntOrDim n, std::optional<IntOrDim> m, int k, std::optional<Dtype> dtype, StreamOrDevice s) {
        return core::tri(n.size, m.value_or(n).size, k, dtype.value_or(core::float32), s);
      },
      "n: int, m: int | None = None, k: int = 0, dtype: Dtype | None = None", "array", "n"_a, "m"_a = nb::none(),
      "k"_a = 0, "dtype"_a = nb::none());
  def_op(
      m, "tril", [](const array& x, int k, StreamOrDevice s) { return core::tril(x, k, s); }, "x: array, k: int = 0",
      "array", "x"_a, "k"_a = 0);
  def_op(
      m, "triu", [](const array& x, int k, StreamOrDevice s) { return core::triu(x, k, s); }, "x: array, k: int = 0",
      "array", "x"_a, "k"_a = 0);
}

} // namespace mlx::python
