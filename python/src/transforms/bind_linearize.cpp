// linearize, pullback and hvp: linear approximations of Python functions, and products with Hessians.
#include "mlx_core/error.h"
#include "mlx_core/jacobian.h"
#include "mlx_core/ops.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/primals.h"
#include "python/src/transforms/transformed.h"

namespace mlx::python {

namespace {

using core::fail;

// What linearize returns beside the value: from tangents of the primals to tangents of the outputs.
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
    primals_.traverse(owned);
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

// What pullback returns beside the value: from cotangents of the outputs to cotangents of the primals.
class Pullback final : public Transformation {
 public:
  Pullback(nb::handle fun, Primals primals, ArrayTree output, std::vector<array> outputs, core::LinearFunction map)
      : Transformation(fun), primals_(std::move(primals)), output_(std::move(output)), map_(std::move(map)) {
    for (const array& a : outputs) { // not the arrays: somebody else decides how long these live
      likes_.push_back({a.shape(), a.dtype()});
    }
  }

  const char* name() const override { return "pullback"; }
  void traverse(Traversal& owned) const override {
    primals_.traverse(owned);
    output_.traverse(owned);
  }

  nb::object call(const CallArguments& arguments) const override {
    if (arguments.positional != 1 || arguments.keyword_count() > 0) {
      fail<core::TypeError>(name(), "the pullback takes one argument, the cotangents: a tree like the output; it got ",
          arguments.values.size(), ".");
    }
    return primals_.build(map_(cotangents_of(name(), output_, likes_, arguments.values[0])));
  }

 private:
  Primals primals_;
  ArrayTree output_;
  std::vector<core::Spec> likes_;
  core::LinearFunction map_;
};

struct Called { // fun at primals, with what it returned
  const Primals& primals;
  nb::handle fun;
  std::optional<ArrayTree> output;

  std::vector<array> operator()(const std::vector<array>& inputs) {
    nb::object result = called_with(fun, primals.build(inputs));
    std::vector<array> outputs;
    output.emplace(result, outputs);
    return outputs;
  }
};

nb::object linearize(nb::handle fun, nb::args args) {
  const char* const op = "linearize";
  check_callable(op, fun);
  Primals primals(op, "primals", args);
  Called call{primals, fun, {}};
  auto [outputs, map] = core::linearize(std::ref(call), primals.arrays());
  nb::object value = call.output->build(outputs);
  nb::object linear = make_transformed(
      std::make_unique<LinearMap>(fun, nb::len(args), std::move(primals), std::move(*call.output), std::move(map)));
  return nb::make_tuple(value, linear);
}

nb::object pullback(nb::handle fun, nb::args args) {
  const char* const op = "pullback";
  check_callable(op, fun);
  Primals primals(op, "primals", args, Primals::Integers::keep);
  Called call{primals, fun, {}};
  auto [outputs, map] = core::pullback(std::ref(call), primals.arrays());
  nb::object value = call.output->build(outputs);
  nb::object pull = make_transformed(
      std::make_unique<Pullback>(fun, std::move(primals), std::move(*call.output), std::move(outputs), std::move(map)));
  return nb::make_tuple(value, pull);
}

nb::object hvp(nb::handle fun, nb::handle primals, nb::handle tangents) {
  const char* const op = "hvp";
  check_callable(op, fun);
  bool several = PyList_Check(primals.ptr()) || PyTuple_Check(primals.ptr());
  Primals at(op, "primals", primals);
  auto of_arrays = [&](const std::vector<array>& inputs) {
    nb::object built = at.build(inputs);
    nb::object result = called_with(fun, several ? nb::object(nb::tuple(built)) : nb::object(nb::make_tuple(built)));
    if (!is_array(result)) {
      fail<core::TypeError>(op, "the function returned a ", class_name(result), "; it should return a scalar array.");
    }
    return std::vector<array>{read(result)};
  };
  core::Tangents given = at.tangents(op, "tangents", tangents);
  std::vector<array> directions;
  for (size_t i = 0; i < given.size(); ++i) {
    directions.push_back(given[i] ? *given[i] : core::zeros_like(at.arrays()[i]));
  }
  return at.build(core::hvp(of_arrays, at.arrays(), directions));
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

:func:`pullback` is its counterpart in reverse mode.

Example:
    >>> y, f_jvp = mx.linearize(lambda x: x * x, mx.array(3.0))
    >>> y, f_jvp(mx.array(1.0)), f_jvp(mx.array(10.0))
    (array(9, dtype=float32), array(6, dtype=float32), array(60, dtype=float32))
)");

  m.def("pullback", &pullback, nb::arg("fun"), nb::arg("primals"),
      nb::sig("def pullback(fun: collections.abc.Callable[..., typing.Any], *primals: object) "
              "-> tuple[typing.Any, collections.abc.Callable[[typing.Any], tuple[typing.Any, ...]]]"),
      R"(The value of a function, and the function that pulls cotangents back.

The counterpart of :func:`linearize` in reverse mode, and :func:`vjp` with the
cotangents chosen later, as often as one likes.

Args:
    fun (callable): Takes as many arguments as there are primals; returns an
        array or a tree of arrays.
    *primals (array or tree of array): Where to evaluate ``fun``.

Returns:
    tuple: What ``fun`` returned, and a callable. That takes the cotangents, a
    tree like the output (``None`` is zero), and returns a tuple with a tree
    like each primal: what :func:`vjp` has for it. Integer and bool arrays get
    zeros, what is neither array nor number is passed through. It keeps what
    was computed at the primals and does not run ``fun`` again. It is an
    ordinary function for the other transforms.

Raises:
    TypeError: If a primal is neither array nor number nor a tree of these.
    ValueError: From the callable, if the cotangents do not match the output.

Example:
    >>> y, pull = mx.pullback(lambda x, y: x * y, mx.array(2.0), mx.array(3.0))
    >>> y, pull(mx.array(1.0)), pull(mx.array(10.0))
    (array(6, dtype=float32), (array(3, dtype=float32), array(2, dtype=float32)), (array(30, dtype=float32), array(20, dtype=float32)))
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
