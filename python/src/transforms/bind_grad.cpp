// grad and value_and_grad: gradients of Python functions with respect to trees of arrays.
#include "mlx_core/error.h"
#include "mlx_core/transforms.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/chosen_arguments.h"

namespace mlx::python {

namespace {

using core::fail;

class Gradient final : public Transformation {
 public:
  Gradient(nb::handle fun, ArgumentChoice choice, bool with_value, bool has_aux)
      : Transformation(fun, nb::make_tuple(with_value ? "value_and_grad" : "grad", choice.settings(), has_aux)),
        choice_(std::move(choice)),
        with_value_(with_value),
        has_aux_(has_aux) {}

  const char* name() const override { return with_value_ ? "value_and_grad" : "grad"; }
  void traverse(Traversal& owned) const override { choice_.traverse(owned); }

  nb::object call(const CallArguments& arguments) const override {
    ChosenArguments chosen(*this, choice_, arguments);
    nb::object result, aux;
    auto fun = [&](const std::vector<array>& inputs) {
      result = chosen.call(inputs);
      nb::handle loss = loss_of(result);
      aux = has_aux_ ? nb::borrow(PySequence_Fast_GET_ITEM(result.ptr(), 1)) : nb::object();
      return std::vector<array>{read(loss)};
    };
    auto ones = [](const std::vector<array>& outputs) { return std::vector<array>{array(1.0f, outputs[0].dtype())}; };
    auto [outputs, gradients] = core::vjp(fun, chosen.primals(), ones);

    Leaves leaves;
    for (array& gradient : gradients) {
      leaves.push_back(nb::steal(wrap(std::move(gradient))));
    }
    nb::object grads = chosen.form(leaves);
    if (has_aux_) {
      return with_value_ ? nb::make_tuple(nb::make_tuple(nb::steal(wrap(outputs[0])), aux), grads)
                         : nb::make_tuple(grads, aux);
    }
    return with_value_ ? nb::make_tuple(with_loss(result, outputs[0]), grads) : grads;
  }

 private:
  nb::handle loss_of(nb::handle result) const {
    nb::handle loss = result;
    PyObject* o = result.ptr();
    Py_ssize_t several = PyTuple_Check(o) || PyList_Check(o) ? PySequence_Fast_GET_SIZE(o) : 0;
    if (has_aux_ && several != 2) {
      std::string what = several ? class_name(result) + " of " + std::to_string(several) : class_name(result);
      fail<core::TypeError>(
          name(), "with has_aux the function should return a pair (loss, aux); it returned a ", what, ".");
    }
    if (has_aux_ || (with_value_ && !is_array(result))) {
      loss = several ? PySequence_Fast_GET_ITEM(o, 0) : nullptr;
    }
    if (has_aux_ && !is_array(loss)) {
      fail(name(),
          "with has_aux the function should return a pair (loss, aux) with a scalar array for loss, which is a ",
          class_name(loss), ".");
    }
    if (!loss.is_valid() || !is_array(loss)) {
      fail(name(), "the function returned a ", class_name(result),
          with_value_ ? "; it should return a scalar array, or a tuple that starts with one."
                      : "; it should return a scalar array. To return other values beside it, use has_aux=True or "
                        "mx.value_and_grad.");
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
  bool has_aux_;
};

nb::object gradient(nb::handle fun, std::optional<Axes> argnums, nb::handle argnames, bool with_value, bool has_aux) {
  ArgumentChoice choice(with_value ? "value_and_grad" : "grad", std::move(argnums), argnames);
  return make_transformed(std::make_unique<Gradient>(fun, std::move(choice), with_value, has_aux));
}

} // namespace

void bind_grad(nb::module_& m) {
  m.def(
      "grad",
      [](nb::handle fun, std::optional<Axes> argnums, nb::handle argnames, bool has_aux) {
        return gradient(fun, std::move(argnums), argnames, false, has_aux);
      },
      nb::arg("fun"), nb::arg("argnums") = nb::none(), nb::arg("argnames") = nb::make_tuple(), nb::kw_only(),
      nb::arg("has_aux") = false,
      nb::sig(
          "def grad(fun: collections.abc.Callable[_P, _R], argnums: int | collections.abc.Sequence[int] | None = None, "
          "argnames: str | collections.abc.Sequence[str] = [], *, has_aux: bool = False) "
          "-> collections.abc.Callable[_P, typing.Any]"),
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
    has_aux (bool): ``fun`` returns a pair: the scalar array, and anything
        else, which is passed through. The returned function then returns a
        pair, too: the gradient, and that. Default: ``False``.

Returns:
    callable: Takes the arguments of ``fun``. For one position it returns a
    tree like that argument, holding the gradient in place of each array; for
    several positions a tuple of trees, in ascending order of position. With
    ``argnames`` it returns a pair: the above (or ``None``), and a dictionary
    from names to trees. Python numbers among the leaves count as float32;
    leaves that are neither arrays nor numbers (strings, flags, functions) are
    passed to ``fun`` as they are, and stand in the gradient as they are.

Raises:
    TypeError: From the returned function, if a leaf to differentiate is an
        integer or bool array, or an argument is neither an array nor a number
        nor a container. The message says which:
        ``params['layers'][2].weight``. Also if the scalar that
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
    >>> mx.grad(lambda x: (x * x, {"twice": 2 * x}), has_aux=True)(mx.array(3.0))
    (array(6, dtype=float32), {'twice': array(6, dtype=float32)})
)");

  m.def(
      "value_and_grad",
      [](nb::handle fun, std::optional<Axes> argnums, nb::handle argnames, bool has_aux) {
        return gradient(fun, std::move(argnums), argnames, true, has_aux);
      },
      nb::arg("fun"), nb::arg("argnums") = nb::none(), nb::arg("argnames") = nb::make_tuple(), nb::kw_only(),
      nb::arg("has_aux") = false,
      nb::sig("def value_and_grad(fun: collections.abc.Callable[_P, _R], "
              "argnums: int | collections.abc.Sequence[int] | None = None, "
              "argnames: str | collections.abc.Sequence[str] = [], *, has_aux: bool = False) "
              "-> collections.abc.Callable[_P, tuple[_R, typing.Any]]"),
      R"(The value and the gradient of a function, as another function.

Args:
    fun (callable): As for :func:`grad`; or returns a tuple or list that
        starts with the scalar array and goes on with anything else.
    argnums (int or sequence of int, optional): As for :func:`grad`.
    argnames (str or sequence of str, optional): As for :func:`grad`.
    has_aux (bool): ``fun`` must return a pair, the scalar array and anything
        else: what the value is, is then always the tuple of these two.
        Default: ``False``.

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
