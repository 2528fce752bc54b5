// grad and value_and_grad: gradients of Python functions with respect to trees of arrays.
#include "mlx_core/error.h"
#include "mlx_core/transforms.h"
#include "python/src/bind_transforms.h"
#include "python/src/chosen_arguments.h"

namespace mlx::python {

namespace {

using core::fail;

class Gradient final : public Transformation {
 public:
  Gradient(nb::handle fun, ArgumentChoice choice, bool with_value)
      : Transformation(fun), choice_(std::move(choice)), with_value_(with_value) {}

  const char* name() const override { return with_value_ ? "value_and_grad" : "grad"; }
  void traverse(Traversal& owned) const override { choice_.traverse(owned); }

  nb::object call(const CallArguments& arguments) const override {
    ChosenArguments chosen(*this, choice_, arguments);
    nb::object result;
    auto fun = [&](const std::vector<array>& inputs) {
      result = chosen.call(inputs);
      return std::vector<array>{read(loss_of(result))};
    };
    auto ones = [](const std::vector<array>& outputs) { return std::vector<array>{array(1.0f, outputs[0].dtype())}; };
    auto [outputs, gradients] = core::vjp(fun, chosen.primals(), ones);

    Leaves leaves;
    for (array& gradient : gradients) {
      leaves.push_back(nb::steal(wrap(std::move(gradient))));
    }
    nb::object grads = chosen.form(leaves);
    return with_value_ ? nb::make_tuple(with_loss(result, outputs[0]), grads) : grads;
  }

 private:
  nb::handle loss_of(nb::handle result) const {
    nb::handle loss = result;
    if (with_value_ && !is_array(result)) {
      PyObject* o = result.ptr();
      loss = (PyTuple_Check(o) || PyList_Check(o)) && PySequence_Fast_GET_SIZE(o) ? PySequence_Fast_GET_ITEM(o, 0)
                                                                                  : nullptr;
    }
    if (!loss.is_valid() || !is_array(loss)) {
      fail(name(), "the function returned a ", class_name(result),
          with_value_ ? "; it should return a scalar array, or a tuple that starts with one."
                      : "; it should return a scalar array. To return other values beside it, use mx.value_and_grad.");
    }
    if (const core::Shape& shape = read(loss).shape(); !shape.empty()) {
      fail(name(), "the function returned an array of shape ", shape,
          "; only a scalar has a gradient. Reduce it, for example with mx.sum or mx.mean, "
          "or use mx.vjp to choose how its elements are weighted.");
    }
    core::check_gradient_of(name(), read(loss).dtype());
    return loss;
  }

  // What the function returned, with the loss as computed under differentiation.
  static nb::object with_loss(const nb::object& result, const array& loss) {
    nb::object value = nb::steal(wrap(loss));
    if (is_array(result)) {
      return value;
    }
    nb::list items(result);
    items[0] = value;
    if (PyList_CheckExact(result.ptr())) {
      return items;
    }
    nb::handle type = result.type();
    return PyTuple_CheckExact(result.ptr()) ? nb::object(nb::tuple(items))
           : nb::hasattr(type, "_make")     ? nb::object(type.attr("_make")(items))
                                            : nb::object(type(items));
  }

  ArgumentChoice choice_;
  bool with_value_;
};

nb::object gradient(nb::handle fun, std::optional<Axes> argnums, nb::handle argnames, bool with_value) {
  ArgumentChoice choice(with_value ? "value_and_grad" : "grad", std::move(argnums), argnames);
  return make_transformed(std::make_unique<Gradient>(fun, std::move(choice), with_value));
}

} // namespace

void bind_grad(nb::module_& m) {
  m.def(
      "grad",
      [](nb::handle fun, std::optional<Axes> argnums, nb::handle argnames) {
        return gradient(fun, std::move(argnums), argnames, false);
      },
      nb::arg("fun"), nb::arg("argnums") = nb::none(), nb::arg("argnames") = nb::make_tuple(),
      nb::sig(
          "def grad(fun: collections.abc.Callable[_P, _R], argnums: int | collections.abc.Sequence[int] | None = None, "
          "argnames: str | collections.abc.Sequence[str] = []) -> collections.abc.Callable[_P, typing.Any]"),
      R"(The gradient of a function, as another function.

Args:
    fun (callable): Takes arrays, or trees of arrays, and returns a scalar
        array. A tree is a nesting of lists, tuples, dictionaries,
        NamedTuples, dataclasses, ``None`` and registered classes.
    argnums (int or sequence of int, optional): The positional arguments to
        differentiate with respect to; negative ones count from the end.
        Default: ``0``, or none when ``argnames`` is given.
    argnames (str or sequence of str, optional): The keyword arguments to
        differentiate with respect to.

Returns:
    callable: Takes the arguments of ``fun``. For one position it returns a
    tree like that argument, holding the gradient in place of each array; for
    several positions a tuple of trees, in ascending order of position. With
    ``argnames`` it returns a pair: the above (or ``None``), and a dictionary
    from names to trees. Python numbers among the leaves count as float32.

Raises:
    TypeError: From the returned function, if a leaf to differentiate is an
        integer or bool array, or neither an array nor a number. The message
        says which: ``params['layers'][2].weight``. Also if the scalar that
        ``fun`` returns is complex, an integer or bool: take ``mx.real`` or
        ``mx.abs`` of it, or use :func:`vjp`.
    ValueError: From the returned function, if ``fun`` returns anything but a
        scalar array, or was called without an argument that is to be
        differentiated.

Example:
    >>> mx.grad(lambda x: x * x)(mx.array(3.0))
    array(6, dtype=float32)
    >>> mx.grad(lambda p, x: p["w"] * x + p["b"])({"w": mx.array(1.0), "b": mx.array(0.0)}, mx.array(5.0))
    {'w': array(5, dtype=float32), 'b': array(1, dtype=float32)}
)");

  m.def(
      "value_and_grad",
      [](nb::handle fun, std::optional<Axes> argnums, nb::handle argnames) {
        return gradient(fun, std::move(argnums), argnames, true);
      },
      nb::arg("fun"), nb::arg("argnums") = nb::none(), nb::arg("argnames") = nb::make_tuple(),
      nb::sig(
          "def value_and_grad(fun: collections.abc.Callable[_P, _R], "
          "argnums: int | collections.abc.Sequence[int] | None = None, "
          "argnames: str | collections.abc.Sequence[str] = []) -> collections.abc.Callable[_P, tuple[_R, typing.Any]]"),
      R"(The value and the gradient of a function, as another function.

Args:
    fun (callable): As for :func:`grad`; or returns a tuple or list that
        starts with the scalar array and goes on with anything else.
    argnums (int or sequence of int, optional): As for :func:`grad`.
    argnames (str or sequence of str, optional): As for :func:`grad`.

Returns:
    callable: Takes the arguments of ``fun`` and returns a pair: what ``fun``
    returned, and the gradients as :func:`grad` has them.

Raises:
    TypeError: As for :func:`grad`.
    ValueError: As for :func:`grad`.

Example:
    >>> mx.value_and_grad(lambda x: (x * x, "aux"))(mx.array(3.0))
    ((array(9, dtype=float32), 'aux'), array(6, dtype=float32))
)");
}

} // namespace mlx::python
