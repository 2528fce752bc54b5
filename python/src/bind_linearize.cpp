// linearize and hvp: linear approximations of Python functions, and products with Hessians.
#include "mlx_core/error.h"
#include "mlx_core/jacobian.h"
#include "mlx_core/ops.h"
#include "python/src/bind_transforms.h"
#include "python/src/chosen_arguments.h"
#include "python/src/descent.h"
#include "python/src/traced_call.h"

namespace mlx::python {

namespace {

using core::fail;

// Trees of arrays and numbers that are differentiated together: the arguments of a function.
struct Primals {
  Primals(const char* op, const std::string& name, nb::handle root) : name(name), tree(root, leaves) {
    for (const nb::object& leaf : leaves) {
      arrays.push_back(differentiable(op, leaf, [&] { return name + tree.path(arrays.size()); }));
    }
    leaves.clear();
  }
  nb::object build(const std::vector<array>& values) const {
    Leaves out;
    for (const array& value : values) {
      out.push_back(nb::steal(wrap(value)));
    }
    return tree.build(out);
  }
  // Tangents given as a tree like this one; None is zero, of a container or an array.
  core::Tangents tangents(const char* op, const char* given_name, nb::handle given) const {
    Leaves values;
    tree.spread(given, given_name, name, values, op, "Give a container of the same kind and length; None is zero.");
    core::Tangents out;
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i].is_none()) {
        out.push_back(std::nullopt);
        continue;
      }
      std::optional<array> tangent = try_to_array(values[i].ptr(), arrays[i].dtype());
      if (!tangent) {
        fail<core::TypeError>(op, given_name, tree.path(i), " is a ", class_name(values[i]),
            "; it should be an array, or None for zero.");
      }
      if (!(tangent->shape() == arrays[i].shape())) {
        fail(op, given_name, tree.path(i), " has shape ", tangent->shape(), " but ", name, tree.path(i), " has shape ",
            arrays[i].shape(), "; they must be equal.");
      }
      out.push_back(tangent);
    }
    return out;
  }

  std::string name;
  Leaves leaves;
  Tree tree;
  std::vector<array> arrays;
};

nb::object called(nb::handle fun, nb::handle args) {
  Descent guard(" in a transformed function");
  nb::object result = nb::steal(PyObject_CallObject(fun.ptr(), args.ptr()));
  if (!result.is_valid()) {
    throw nb::python_error();
  }
  return result;
}

// The linear map that linearize returns.
class LinearMap final : public Transformation {
 public:
  LinearMap(nb::handle fun, size_t count, Primals primals, ArrayTree output, core::LinearFunction map)
      : Transformation(fun),
        count_(count),
        primals_(std::move(primals)),
        output_(std::move(output)),
        map_(std::move(map)) {}

  const char* name() const override { return "linearize"; }
  void traverse(Traversal& owned) const override {
    primals_.tree.traverse(owned);
    output_.traverse(owned);
  }

  nb::object call(const CallArguments& arguments) const override {
    if (arguments.keyword_count() > 0) {
      fail<core::TypeError>(name(), "the linear map takes tangents by position only.");
    }
    nb::list given;
    for (PyObject* value : arguments.values) {
      given.append(nb::handle(value));
    }
    if (nb::len(given) != count_) {
      fail(name(), "the linear map was called with ", nb::len(given), " tangents but there are ", count_, " primals.");
    }
    std::vector<array> tangents = map_(primals_.tangents(name(), "tangents", nb::tuple(given)));
    return output_.build(tangents);
  }

 private:
  size_t count_;
  Primals primals_;
  ArrayTree output_;
  core::LinearFunction map_;
};

nb::object linearize(nb::handle fun, nb::args args) {
  const char* const op = "linearize";
  check_callable(op, fun);
  Primals primals(op, "primals", args);
  std::optional<ArrayTree> output;
  auto of_arrays = [&](const std::vector<array>& inputs) {
    nb::object result = called(fun, primals.build(inputs));
    std::vector<array> outputs;
    output.emplace(result, outputs);
    return outputs;
  };
  auto [outputs, map] = core::linearize(of_arrays, primals.arrays);
  nb::object value = output->build(outputs);
  nb::object linear = make_transformed(
      std::make_unique<LinearMap>(fun, nb::len(args), std::move(primals), std::move(*output), std::move(map)));
  return nb::make_tuple(value, linear);
}

nb::object hvp(nb::handle fun, nb::handle primals, nb::handle tangents) {
  const char* const op = "hvp";
  check_callable(op, fun);
  bool several = PyList_Check(primals.ptr()) || PyTuple_Check(primals.ptr());
  Primals at(op, "primals", primals);
  auto of_arrays = [&](const std::vector<array>& inputs) {
    nb::object built = at.build(inputs);
    nb::object result = called(fun, several ? nb::object(nb::tuple(built)) : nb::object(nb::make_tuple(built)));
    if (!is_array(result)) {
      fail<core::TypeError>(op, "the function returned a ", class_name(result), "; it should return a scalar array.");
    }
    return std::vector<array>{read(result)};
  };
  core::Tangents given = at.tangents(op, "tangents", tangents);
  std::vector<array> directions;
  for (size_t i = 0; i < given.size(); ++i) {
    directions.push_back(given[i] ? *given[i] : core::zeros_like(at.arrays[i]));
  }
  return at.build(core::hvp(of_arrays, at.arrays, directions));
}

} // namespace

void bind_linearize(nb::module_& m) {
  m.def("linearize", &linearize, nb::arg("fun"), nb::arg("primals"),
      nb::sig("def linearize(fun: collections.abc.Callable[..., typing.Any], *primals: object) "
              "-> tuple[object, collections.abc.Callable[..., typing.Any]]"),
      R"(The value of a function and its linear approximation.

Args:
    fun (callable): Takes as many arguments as there are primals; returns an
        array or a tree of arrays.
    *primals (array or tree of array): Where to evaluate ``fun``.

Returns:
    tuple: What ``fun`` returned, and a callable. That takes one tangent for
    each primal, a tree like it (``None`` is zero), and returns the tree of
    the output with the derivatives in that direction, as :func:`jvp` gives
    them. It keeps what was computed at the primals and does not run ``fun``
    again. It is an ordinary function for the other transforms.

Raises:
    TypeError: If a leaf of the primals is not a floating or complex array or
        a number.
    ValueError: From the callable, if the tangents do not match the primals.

Example:
    >>> y, f_jvp = mx.linearize(lambda x: x * x, mx.array(3.0))
    >>> y, f_jvp(mx.array(1.0)), f_jvp(mx.array(10.0))
    (array(9, dtype=float32), array(6, dtype=float32), array(60, dtype=float32))
)");

  m.def("hvp", &hvp, nb::arg("fun"), nb::arg("primals"), nb::arg("tangents").none(),
      nb::sig("def hvp(fun: collections.abc.Callable[..., typing.Any], primals: object, tangents: object) -> object"),
      R"(The product of a function's Hessian with a vector.

The derivative of the gradient in one direction: it costs a few times what
``fun`` does, and the Hessian is never made (Pearlmutter, Fast exact
multiplication by the Hessian, 1994).

Args:
    fun (callable): Returns a scalar array.
    primals (list or tuple of trees, or one tree): Where to evaluate ``fun``:
        a list or tuple of its arguments, or anything else as its only one.
    tangents (object): The vector, in the form of ``primals``; ``None`` is
        zero.

Returns:
    object: The product, in the form of ``primals``.

Raises:
    TypeError: If a leaf of the primals is not a floating or complex array or
        a number, or ``fun`` does not return an array.
    ValueError: If ``fun`` returns anything but a scalar, or the tangents do
        not match the primals.

Example:
    >>> mx.hvp(lambda x: mx.sum(x * x * x), mx.array([1.0, 2.0]), mx.array([1.0, 0.0]))
    array([6, 0], dtype=float32)
    >>> mx.hvp(lambda x, y: x * y, (mx.array(2.0), mx.array(3.0)), (mx.array(1.0), None))
    (array(0, dtype=float32), array(1, dtype=float32))
)");
}

} // namespace mlx::python
