// vjp and jvp: products of a Python function's Jacobian with vectors from the left and from the right.
#include "mlx_core/error.h"
#include "mlx_core/transforms.h"
#include "mlx_core/transforms/recording.h"
#include "python/src/bind_transforms.h"
#include "python/src/convert.h"
#include "python/src/descent.h"

namespace mlx::python {

namespace {

using core::fail;

std::vector<array> arrays_of(const char* op, const char* name, nb::handle sequence) {
  PyObject* o = sequence.ptr();
  if (!PyList_Check(o) && !PyTuple_Check(o)) {
    fail<core::TypeError>(op, name, " is a ", class_name(sequence), "; it should be a list or tuple of arrays.");
  }
  std::vector<array> arrays;
  Py_ssize_t count = PySequence_Fast_GET_SIZE(o);
  arrays.reserve(static_cast<size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    nb::handle item = PySequence_Fast_GET_ITEM(o, i);
    if (!is_array(item)) {
      fail<core::TypeError>(op, name, "[", i, "] is a ", class_name(item),
          "; it should be an array. Write mx.array(...) around a number.");
    }
    arrays.push_back(read(item));
  }
  return arrays;
}

// As arrays_of; None is the zero.
core::Tangents tangents_of(const char* op, const char* name, nb::handle sequence) {
  PyObject* o = sequence.ptr();
  if (!PyList_Check(o) && !PyTuple_Check(o)) {
    fail<core::TypeError>(op, name, " is a ", class_name(sequence), "; it should be a list or tuple of arrays.");
  }
  core::Tangents tangents;
  Py_ssize_t count = PySequence_Fast_GET_SIZE(o);
  for (Py_ssize_t i = 0; i < count; ++i) {
    nb::handle item = PySequence_Fast_GET_ITEM(o, i);
    if (!item.is_none() && !is_array(item)) {
      fail<core::TypeError>(op, name, "[", i, "] is a ", class_name(item),
          "; it should be an array, or None for zero. Write mx.array(...) around a number.");
    }
    tangents.push_back(item.is_none() ? core::Tangent() : core::Tangent(read(item)));
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

} // namespace

void bind_vjp_jvp(nb::module_& m) {
  m.def(
      "vjp",
      [](nb::handle fun, nb::handle primals, nb::handle cotangents) {
        check_callable("vjp", fun);
        auto [outputs, products] = core::vjp(
            over_vectors("vjp", fun), arrays_of("vjp", "primals", primals), arrays_of("vjp", "cotangents", cotangents));
        return nb::make_tuple(list_of(outputs), list_of(products));
      },
      nb::arg("fun"), nb::arg("primals"), nb::arg("cotangents"),
      nb::sig("def vjp(fun: collections.abc.Callable[..., typing.Any], primals: list[array] | tuple[array, ...], "
              "cotangents: list[array] | tuple[array, ...]) -> tuple[list[array], list[array]]"),
      R"(Vector-Jacobian products.

For each primal, the sum over outputs of the cotangent times the conjugate of
the derivative.

Args:
    fun (callable): Takes as many arrays as there are primals; returns an
        array, or a tree of arrays.
    primals (list or tuple of array): Where to evaluate ``fun``.
    cotangents (list or tuple of array): One per output, of its shape.

Returns:
    tuple: The list of outputs, and a list with one array per primal, of its
    shape and dtype. Integer and bool primals get zeros.

Raises:
    TypeError: If a primal, a cotangent or an output is not an array.
    ValueError: If the cotangents do not match the outputs.

Example:
    >>> mx.vjp(lambda x, y: x * y, [mx.array(2.0), mx.array(3.0)], [mx.array(1.0)])
    ([array(6, dtype=float32)], [array(3, dtype=float32), array(2, dtype=float32)])
)");

  m.def(
      "jvp",
      [](nb::handle fun, nb::handle primals, nb::handle tangents) {
        check_callable("jvp", fun);
        auto [outputs, products] = core::jvp_of_given(
            over_vectors("jvp", fun), arrays_of("jvp", "primals", primals), tangents_of("jvp", "tangents", tangents));
        return nb::make_tuple(list_of(outputs), list_of(products));
      },
      nb::arg("fun"), nb::arg("primals"), nb::arg("tangents"),
      nb::sig("def jvp(fun: collections.abc.Callable[..., typing.Any], primals: list[array] | tuple[array, ...], "
              "tangents: collections.abc.Sequence[array | None]) -> tuple[list[array], list[array]]"),
      R"(Jacobian-vector products.

For each output, the derivative in the direction of the tangents.

Args:
    fun (callable): Takes as many arrays as there are primals; returns an
        array, or a tree of arrays.
    primals (list or tuple of array): Where to evaluate ``fun``.
    tangents (list or tuple of array): One per primal, of its shape. None is
        zero: it, or zeros, is the only tangent of an integer or bool primal.

Returns:
    tuple: The list of outputs, and a list with one array per output, of its
    shape and dtype. The tangent of an integer or bool output is zero, in the
    dtype of the tangents.

Raises:
    TypeError: If a primal, a tangent or an output is not an array; if an
        integer or bool primal has a tangent, or a real one a complex tangent.
    ValueError: If the tangents do not match the primals.

Example:
    >>> mx.jvp(lambda x, y: x * y, [mx.array(2.0), mx.array(3.0)], [mx.array(1.0), mx.array(0.0)])
    ([array(6, dtype=float32)], [array(3, dtype=float32)])
)");
}

} // namespace mlx::python
