// vjp and jvp: products of a Python function's Jacobian with vectors from the left and from the right.
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/transforms.h"
#include "mlx_core/transforms/recording.h"
#include "python/src/array/convert.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/primals.h"
#include "python/src/trees/descent.h"
#include "python/src/trees/owned_items.h"

namespace mlx::python {

namespace {

using core::fail;

bool is_list(nb::handle o) { return PyList_Check(o.ptr()) || PyTuple_Check(o.ptr()); }

// A list or tuple of arrays and numbers, and of None where that is allowed.
bool is_list_of_arrays(nb::handle o, bool or_none) {
  if (!is_list(o)) {
    return false;
  }
  Py_ssize_t known = 0; // of the first ones
  while (known < PySequence_Fast_GET_SIZE(o.ptr()) && is_array(PySequence_Fast_GET_ITEM(o.ptr(), known))) {
    ++known;
  }
  if (known == PySequence_Fast_GET_SIZE(o.ptr())) {
    return true;
  }
  Items items(o.ptr());
  for (size_t i = static_cast<size_t>(known); i < items.size(); ++i) {
    if (!(or_none && Py_IsNone(items[i])) && is_static_leaf(items[i])) {
      return false;
    }
  }
  return true;
}

std::vector<array> primals_of(const char* op, nb::handle list) {
  std::vector<array> primals;
  Items items(list.ptr());
  primals.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    auto name = [&] { return "primals[" + std::to_string(i) + "]"; };
    primals.push_back(is_array(items[i]) ? read(items[i]) : primal_of(op, items[i], Primals::Integers::keep, name));
  }
  return primals;
}

// Of such a list; a number takes the dtype of its model, if there is one.
core::Tangents tangents_of(nb::handle list, const std::vector<array>& models) {
  core::Tangents tangents;
  Items items(list.ptr());
  for (size_t i = 0; i < items.size(); ++i) {
    std::optional<Dtype> like = i < models.size() ? std::optional(models[i].dtype()) : std::nullopt;
    tangents.push_back(Py_IsNone(items[i]) ? core::Tangent() : core::Tangent(to_array({items[i]}, like)));
  }
  return tangents;
}

nb::list list_of(std::vector<array>& arrays) {
  nb::object list = nb::steal(PyList_New(static_cast<Py_ssize_t>(arrays.size())));
  if (!list.is_valid()) {
    throw nb::python_error();
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    PyList_SET_ITEM(list.ptr(), i, wrap(std::move(arrays[i])));
  }
  return nb::borrow<nb::list>(list);
}

// fun as a function of vectors of arrays; its outputs are the arrays of whatever tree it returns.
core::VectorFunction over_vectors(const char* op, nb::handle fun) {
  return [op, fun](const std::vector<array>& inputs) {
    core::SmallVector<nb::object, 4> handles;
    core::SmallVector<PyObject*, 4> values;
    for (const array& input : inputs) {
      handles.push_back(nb::steal(wrap(input)));
      values.push_back(handles.back().ptr());
    }
    Descent guard(" in a transformed function");
    nb::object result = nb::steal(PyObject_Vectorcall(fun.ptr(), values.data(), values.size(), nullptr));
    if (!result.is_valid()) {
      throw nb::python_error();
    }
    if (is_array(result)) {
      return std::vector<array>{read(result)};
    }
    Leaves leaves;
    Tree tree(result, leaves);
    std::vector<array> outputs;
    outputs.reserve(leaves.size());
    for (const nb::object& leaf : leaves) {
      if (!is_array(leaf)) {
        fail<core::TypeError>(op, "the function returned output", tree.path(outputs.size()), ", a ", class_name(leaf),
            "; it should return arrays only.");
      }
      outputs.push_back(read(leaf));
    }
    return outputs;
  };
}

// Cotangents in full.
std::vector<array> dense(const char* op, const core::Tangents& cotangents, const std::vector<array>& outputs) {
  if (cotangents.size() != outputs.size()) {
    fail(op, "the function has ", outputs.size(), " outputs but ", cotangents.size(), " cotangents were given.");
  }
  std::vector<array> full;
  for (size_t i = 0; i < outputs.size(); ++i) {
    full.push_back(cotangents[i] ? *cotangents[i] : core::zeros_like(outputs[i]));
  }
  return full;
}

// A function at primals that are trees: a list or tuple of its arguments, or anything else as its only one.
struct TreeCall {
  TreeCall(const char* op, nb::handle fun, nb::handle given)
      : fun(fun), several(is_list(given)), primals(op, "primals", given, Primals::Integers::keep) {}

  std::vector<array> operator()(const std::vector<array>& inputs) {
    nb::object built = primals.build(inputs);
    nb::object result = called_with(fun, several ? nb::object(nb::tuple(built)) : nb::object(nb::make_tuple(built)));
    std::vector<array> outputs;
    output.emplace(result, outputs);
    return outputs;
  }

  nb::handle fun;
  bool several;
  Primals primals;
  std::optional<ArrayTree> output;
};

nb::object vjp(nb::handle fun, nb::handle primals, nb::handle cotangents) {
  const char* const op = "vjp";
  check_callable(op, fun);
  bool in_order = is_list_of_arrays(cotangents, true);
  if (in_order && is_list_of_arrays(primals, false)) {
    auto given = [&](const std::vector<array>& outputs) {
      return dense(op, tangents_of(cotangents, outputs), outputs);
    };
    auto [outputs, products] = core::vjp(over_vectors(op, fun), primals_of(op, primals), given);
    return nb::make_tuple(list_of(outputs), list_of(products));
  }
  TreeCall call(op, fun, primals);
  auto given = [&](const std::vector<array>& outputs) {
    if (in_order && PySequence_Fast_GET_SIZE(cotangents.ptr()) == static_cast<Py_ssize_t>(outputs.size())) {
      return dense(op, tangents_of(cotangents, outputs), outputs);
    }
    std::vector<core::Spec> specs;
    for (const array& a : outputs) {
      specs.push_back({a.shape(), a.dtype()});
    }
    return dense(op, cotangents_of(op, *call.output, specs, cotangents), outputs);
  };
  auto [outputs, products] = core::vjp(std::ref(call), call.primals.arrays(), given);
  return nb::make_tuple(call.output->build(std::span<const array>(outputs)), call.primals.build(products));
}

nb::object jvp(nb::handle fun, nb::handle primals, nb::handle tangents) {
  const char* const op = "jvp";
  check_callable(op, fun);
  if (is_list_of_arrays(primals, false) && is_list_of_arrays(tangents, true)) {
    std::vector<array> at = primals_of(op, primals);
    auto [outputs, products] = core::jvp_of_given(over_vectors(op, fun), at, tangents_of(tangents, at));
    return nb::make_tuple(list_of(outputs), list_of(products));
  }
  TreeCall call(op, fun, primals);
  auto [outputs, products] =
      core::jvp_of_given(std::ref(call), call.primals.arrays(), call.primals.tangents(op, "tangents", tangents));
  return nb::make_tuple(
      call.output->build(std::span<const array>(outputs)), call.output->build(std::span<const array>(products)));
}

constexpr const char* vjp_lists =
    "def vjp(fun: collections.abc.Callable[..., typing.Any], primals: list[array] | tuple[array, ...], "
    "cotangents: list[array] | tuple[array, ...]) -> tuple[list[array], list[array]]";
constexpr const char* vjp_trees =
    "def vjp(fun: collections.abc.Callable[..., typing.Any], primals: object, cotangents: object) "
    "-> tuple[typing.Any, typing.Any]";
constexpr const char* jvp_lists =
    "def jvp(fun: collections.abc.Callable[..., typing.Any], primals: list[array] | tuple[array, ...], "
    "tangents: list[array] | tuple[array, ...] | list[array | None] | tuple[array | None, ...]) "
    "-> tuple[list[array], list[array]]";
constexpr const char* jvp_trees =
    "def jvp(fun: collections.abc.Callable[..., typing.Any], primals: object, tangents: object) "
    "-> tuple[typing.Any, typing.Any]";

} // namespace

void bind_vjp_jvp(nb::module_& m) {
  m.def("vjp", &vjp, nb::arg("fun"), nb::arg("primals").none(), nb::arg("cotangents").none(), nb::sig(vjp_lists),
      R"(Vector-Jacobian products.

For each primal, the sum over outputs of the cotangent times the conjugate of
the derivative.

Args:
    fun (callable): Takes as many arguments as there are primals; returns an
        array, or a tree of arrays.
    primals (list or tuple of trees, or one tree): Where to evaluate ``fun``: a
        list or tuple of its arguments, or anything else as its only one.
    cotangents (object): A list or tuple with an array for each output, of its
        shape, in order; or a tree like the output. ``None`` is zero.

Returns:
    tuple: The outputs and the products. For lists or tuples of arrays two
    lists: all arrays that ``fun`` returned, and one array per primal, of its
    shape and dtype. Otherwise what ``fun`` returned, and the products in the
    form of ``primals``, in which numbers count as float32 and what is neither
    array nor number is passed through. Integer and bool arrays get zeros.

Raises:
    TypeError: If an only primal, a cotangent or an output in a list is not
        what it should be.
    ValueError: If the cotangents do not match the outputs.

Example:
    >>> mx.vjp(lambda x, y: x * y, [mx.array(2.0), mx.array(3.0)], [mx.array(1.0)])
    ([array(6, dtype=float32)], [array(3, dtype=float32), array(2, dtype=float32)])
    >>> mx.vjp(lambda p: p["w"] * p["x"], {"w": mx.array(2.0), "x": mx.array(3.0)}, mx.array(1.0))
    (array(6, dtype=float32), {'w': array(3, dtype=float32), 'x': array(2, dtype=float32)})
)");
  m.def("vjp", &vjp, nb::arg("fun"), nb::arg("primals").none(), nb::arg("cotangents").none(), nb::sig(vjp_trees));

  m.def("jvp", &jvp, nb::arg("fun"), nb::arg("primals").none(), nb::arg("tangents").none(), nb::sig(jvp_lists),
      R"(Jacobian-vector products.

For each output, the derivative in the direction of the tangents.

Args:
    fun (callable): Takes as many arguments as there are primals; returns an
        array, or a tree of arrays.
    primals (list or tuple of trees, or one tree): Where to evaluate ``fun``: a
        list or tuple of its arguments, or anything else as its only one.
    tangents (object): In the form of ``primals``, an array of its shape for
        each array. None is zero: it, or zeros, is the only tangent of an
        integer or bool primal.

Returns:
    tuple: The outputs and their tangents. For lists or tuples of arrays two
    lists: all arrays that ``fun`` returned, and one array for each, of its
    shape and dtype. Otherwise what ``fun`` returned, and a tree like it. The
    tangent of an integer or bool output is zero, in the dtype of the tangents.

Raises:
    TypeError: If an only primal, a tangent or an output in a list is not what
        it should be; if an integer or bool primal has a tangent, or a real one
        a complex tangent.
    ValueError: If the tangents do not match the primals.

Example:
    >>> mx.jvp(lambda x, y: x * y, [mx.array(2.0), mx.array(3.0)], [mx.array(1.0), mx.array(0.0)])
    ([array(6, dtype=float32)], [array(3, dtype=float32)])
    >>> mx.jvp(lambda p: {"y": p["w"] * p["x"]}, {"w": mx.array(2.0), "x": mx.array(3.0)}, {"w": mx.array(1.0), "x": None})
    ({'y': array(6, dtype=float32)}, {'y': array(3, dtype=float32)})
)");
  m.def("jvp", &jvp, nb::arg("fun"), nb::arg("primals").none(), nb::arg("tangents").none(), nb::sig(jvp_trees));
}

} // namespace mlx::python
