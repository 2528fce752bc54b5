// mlx.core.random: keys, the implicit key sequence, and the distributions.
#include "mlx_core/error.h"
#include "mlx_core/ops/random/random_keys.h"
#include "python/src/array/number_arguments.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

namespace random = core::random;
using Key = std::optional<array>;

// mx.random.state: a list of one array, the key that the next draw without a key will split.
struct RandomState {};

void check_index(Py_ssize_t i) {
  if (i != 0 && i != -1) {
    core::fail<core::AxisError>("random.state", "index ", i, " is out of range; the state is one key.");
  }
}

std::optional<array> parameter(std::optional<ScalarOrArray> value, std::optional<Dtype> like = {}) {
  return value ? std::optional<array>(to_array(*value, like)) : std::nullopt;
}

bool is_two_to_64(PyObject* o) {
  if (!PyLong_CheckExact(o)) {
    return false;
  }
  nb::object bits = nb::steal(PyNumber_Rshift(o, nb::int_(64).ptr()));
  return PyLong_AsUnsignedLongLongMask(o) == 0 && bits.equal(nb::int_(1));
}

void bind_state(nb::module_& m) {
  nb::class_<RandomState>(m, "_RandomState", "A list of one key: the state of the implicit key sequence.")
      .def("__len__", [](RandomState&) { return 1; })
      .def(
          "__getitem__",
          [](RandomState&, Py_ssize_t i) {
            check_index(i);
            return out(random::state());
          },
          nb::arg())
      .def(
          "__setitem__",
          [](RandomState&, Py_ssize_t i, const array& key) {
            check_index(i);
            random::set_state(key);
          },
          nb::arg(), nb::arg())
      .def("__iter__", [](RandomState&) { return nb::make_tuple(out(random::state())).attr("__iter__")(); })
      .def("__repr__", [](RandomState&) { return "[" + nb::cast<std::string>(nb::repr(out(random::state()))) + "]"; });
  m.attr("state") = nb::cast(RandomState{});
}

void bind_keys(nb::module_& m) {
  m.def(
      "seed", [](uint64_t seed) { random::seed(seed); }, nb::arg("seed"), nb::sig("def seed(seed: int) -> None"),
      docstring_of("random.seed").c_str());
  m.def(
      "key", [](uint64_t seed) { return random::key(seed); }, nb::arg("seed"), nb::sig("def key(seed: int) -> array"),
      docstring_of("random.key").c_str());
  m.def(
      "split", [](const array& key, int num, StreamOrDevice s) { return random::split(key, num, s); }, nb::arg("key"),
      nb::arg("num") = 2, nb::arg("stream") = nb::none(),
      nb::sig("def split(key: array, num: int = 2, stream: StreamOrDevice = None) -> array"),
      docstring_of("random.split").c_str());
}

// Python signature and docstring of a distribution. As in MLX, every argument may be given by position, stream too.
template <typename Function, typename... Arguments>
void def_draw(
    nb::module_& m, const char* name, Function&& function, const char* parameters, const Arguments&... arguments) {
  std::string signature = signature_of(name, parameters, "array");
  signature.replace(signature.find(", *, stream"), 3, "");
  m.def(name, std::forward<Function>(function), arguments..., nb::arg("key") = nb::none(),
      nb::arg("stream") = nb::none(), nb::sig(signature.c_str()),
      docstring_of(("random." + std::string(name)).c_str()).c_str());
}

} // namespace

void bind_random(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("random", "Random numbers from explicit or implicit keys.");
  bind_state(m);
  bind_keys(m);

  def_draw(
      m, "bits",
      [](const Shape& shape, int width, const Key& key, StreamOrDevice s) {
        return random::bits(shape, width, key, s);
      },
      "shape: Sequence[int] = [], width: int = 4, key: array | None = None", "shape"_a = nb::make_tuple(),
      "width"_a = 4);
  def_draw(
      m, "uniform",
      [](ScalarOrArray low, ScalarOrArray high, const Shape& shape, std::optional<Dtype> dtype, const Key& key,
          StreamOrDevice s) {
        Dtype type = dtype.value_or(core::float32);
        return random::uniform(to_array(low, type), to_array(high, type), shape, type, key, s);
      },
      "low: scalar | array = 0, high: scalar | array = 1, shape: Sequence[int] = [], dtype: Dtype | None = float32, "
      "key: array | None = None",
      "low"_a = 0, "high"_a = 1, "shape"_a = nb::make_tuple(), "dtype"_a = nb::none());
  def_draw(
      m, "normal",
      [](const Shape& shape, std::optional<Dtype> dtype, std::optional<ScalarOrArray> loc,
          std::optional<ScalarOrArray> scale, const Key& key, StreamOrDevice s) {
        Dtype type = dtype.value_or(core::float32);
        return random::normal(shape, type, parameter(loc, type), parameter(scale, type), key, s);
      },
      "shape: Sequence[int] = [], dtype: Dtype | None = float32, loc: scalar | array | None = None, "
      "scale: scalar | array | None = None, key: array | None = None",
      "shape"_a = nb::make_tuple(), "dtype"_a = nb::none(), "loc"_a = nb::none(), "scale"_a = nb::none());
  def_draw(
      m, "randint",
      [](ScalarOrArray low, ScalarOrArray high, const Shape& shape, std::optional<Dtype> dtype, const Key& key,
          StreamOrDevice s) {
        if (dtype == core::uint64 && is_two_to_64(high.object)) {
          return random::randint_to_end(to_array(low), shape, key, s);
        }
        return random::randint(to_array(low), to_array(high), shape, dtype.value_or(core::int32), key, s);
      },
      "low: scalar | array, high: scalar | array, shape: Sequence[int] = [], dtype: Dtype | None = int32, "
      "key: array | None = None",
      "low"_a, "high"_a, "shape"_a = nb::make_tuple(), "dtype"_a = nb::none());
  def_draw(
      m, "bernoulli",
      [](ScalarOrArray p, const std::optional<Shape>& shape, const Key& key, StreamOrDevice s) {
        return random::bernoulli(to_array(p), shape, key, s);
      },
      "p: scalar | array = 0.5, shape: Sequence[int] | None = None, key: array | None = None", "p"_a = 0.5,
      "shape"_a = nb::none());
  def_draw(
      m, "permutation",
      [](nb::handle x, int axis, const Key& key, StreamOrDevice s) {
        if (is_array(x)) {
          return random::permutation(read(x), axis, key, s);
        }
        if (!PyIndex_Check(x.ptr())) {
          core::fail<core::TypeError>(
              "random.permutation", "x is ", described(x), "; it should be an int or an array.");
        }
        return random::permutation(int_of("random.permutation", "x", x), key, s);
      },
      "x: int | array, axis: int = 0, key: array | None = None", "x"_a, "axis"_a = 0);
  def_draw(
      m, "categorical",
      [](const array& logits, int axis, const std::optional<Shape>& shape, std::optional<int> num_samples,
          const Key& key, StreamOrDevice s) { return random::categorical(logits, axis, shape, num_samples, key, s); },
      "logits: array, axis: int = -1, shape: Sequence[int] | None = None, num_samples: int | None = None, "
      "key: array | None = None",
      "logits"_a, "axis"_a = -1, "shape"_a = nb::none(), "num_samples"_a = nb::none());
  def_draw(
      m, "gumbel",
      [](const Shape& shape, std::optional<Dtype> dtype, const Key& key, StreamOrDevice s) {
        return random::gumbel(shape, dtype.value_or(core::float32), key, s);
      },
      "shape: Sequence[int] = [], dtype: Dtype | None = float32, key: array | None = None",
      "shape"_a = nb::make_tuple(), "dtype"_a = nb::none());
  def_draw(
      m, "laplace",
      [](const Shape& shape, std::optional<Dtype> dtype, std::optional<ScalarOrArray> loc,
          std::optional<ScalarOrArray> scale, const Key& key, StreamOrDevice s) {
        Dtype type = dtype.value_or(core::float32);
        auto given = [type](std::optional<ScalarOrArray> value, double otherwise) {
          bool plain = value && PyFloat_CheckExact(value->object) && PyFloat_AS_DOUBLE(value->object) == otherwise;
          return plain ? std::nullopt : parameter(value, type);
        };
        return random::laplace(shape, type, given(loc, 0), given(scale, 1), key, s);
      },
      "shape: Sequence[int] = [], dtype: Dtype | None = float32, loc: scalar | array | None = 0.0, "
      "scale: scalar | array | None = 1.0, key: array | None = None",
      "shape"_a = nb::make_tuple(), "dtype"_a = nb::none(), "loc"_a.none() = 0.0, "scale"_a.none() = 1.0);
  def_draw(
      m, "truncated_normal",
      [](ScalarOrArray lower, ScalarOrArray upper, const std::optional<Shape>& shape, std::optional<Dtype> dtype,
          const Key& key, StreamOrDevice s) {
        Dtype type = dtype.value_or(core::float32);
        return random::truncated_normal(to_array(lower, type), to_array(upper, type), shape, type, key, s);
      },
      "lower: scalar | array, upper: scalar | array, shape: Sequence[int] | None = None, dtype: Dtype | None = "
      "float32, "
      "key: array | None = None",
      "lower"_a, "upper"_a, "shape"_a = nb::none(), "dtype"_a = nb::none());
  def_draw(
      m, "multivariate_normal",
      [](const array& mean, const array& cov, const Shape& shape, std::optional<Dtype> dtype, const Key& key,
          StreamOrDevice s) {
        return random::multivariate_normal(mean, cov, shape, dtype.value_or(core::float32), key, s);
      },
      "mean: array, cov: array, shape: Sequence[int] = [], dtype: Dtype | None = float32, key: array | None = None",
      "mean"_a, "cov"_a, "shape"_a = nb::make_tuple(), "dtype"_a = nb::none());
  check_registered();
}

} // namespace mlx::python
