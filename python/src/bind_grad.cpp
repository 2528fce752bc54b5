// grad and value_and_grad: gradients of Python functions with respect to trees of arrays.
#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/transforms.h"
#include "python/src/bind_transforms.h"
#include "python/src/convert.h"
#include "python/src/transformed.h"

namespace mlx::python {

namespace {

using core::fail;

// A leaf as something to differentiate with respect to: numbers become arrays, what has no gradient is refused.
array differentiable(const char* op, nb::handle leaf, auto&& path) {
  PyObject* o = leaf.ptr();
  if (is_array(o)) {
    const array& a = read(o);
    if (!a.dtype().is_inexact()) {
      fail<core::TypeError>(op, path(), " has dtype ", a.dtype(),
          "; gradients exist with respect to floating and complex arrays only. "
          "Convert it with astype(mx.float32), or differentiate with respect to something else.");
    }
    return a;
  }
  if (PyFloat_Check(o)) {
    return array(static_cast<float>(PyFloat_AS_DOUBLE(o)));
  }
  if (PyLong_Check(o) && !PyBool_Check(o)) {
    double value = PyLong_AsDouble(o);
    if (value == -1 && PyErr_Occurred()) {
      throw nb::python_error();
    }
    return array(static_cast<float>(value));
  }
  if (PyComplex_Check(o)) {
    return array(core::complex64_t(
        static_cast<float>(PyComplex_RealAsDouble(o)), static_cast<float>(PyComplex_ImagAsDouble(o))));
  }
  if (!PyBool_Check(o)) {
    if (std::optional<array> a = try_to_array(o, {}); a && a->dtype().is_inexact()) {
      return *a;
    }
  }
  fail<core::TypeError>(op, path(), " is a ", class_name(leaf),
      "; gradients exist with respect to arrays and numbers only. "
      "Pass it in another argument, or name the arguments to differentiate with argnums and argnames.");
}

// An argument that is differentiated.
struct Selected {
  size_t value; // its place among the call's values
  Tree tree;
  size_t first_leaf;
};

class Gradient final : public Transformation {
 public:
  Gradient(nb::handle fun, Axes argnums, std::vector<nb::object> argnames, bool with_value)
      : Transformation(fun), argnums_(std::move(argnums)), argnames_(std::move(argnames)), with_value_(with_value) {}

  const char* name() const override { return with_value_ ? "value_and_grad" : "grad"; }

  nb::object call(const CallArguments& arguments) const override {
    Leaves leaves;
    core::SmallVector<Selected, 2> selected;
    for (size_t value : selected_values(arguments)) {
      size_t first = leaves.size();
      selected.push_back({value, Tree(arguments.values[value], leaves), first});
    }
    std::vector<array> primals;
    primals.reserve(leaves.size());
    for (const nb::object& leaf : leaves) {
      primals.push_back(differentiable(name(), leaf, [&] { return leaf_name(arguments, selected, primals.size()); }));
    }

    nb::object result;
    auto fun = [&](const std::vector<array>& inputs) {
      for (size_t i = 0; i < inputs.size(); ++i) {
        leaves[i] = nb::steal(wrap(inputs[i]));
      }
      result = call_with(arguments, selected, leaves);
      return std::vector<array>{read(loss_of(result))};
    };
    auto ones = [](const std::vector<array>& outputs) { return std::vector<array>{array(1.0f, outputs[0].dtype())}; };
    auto [outputs, gradients] = core::vjp(fun, primals, ones);

    for (size_t i = 0; i < gradients.size(); ++i) {
      leaves[i] = nb::steal(wrap(std::move(gradients[i])));
    }
    nb::object grads = gradient_trees(selected, leaves);
    return with_value_ ? nb::make_tuple(with_loss(result, outputs[0]), grads) : grads;
  }

 private:
  // Places of the arguments to differentiate: positional ones in order, then keywords in the order of argnames.
  core::SmallVector<size_t, 2> selected_values(const CallArguments& arguments) const {
    core::SmallVector<size_t, 2> values;
    int positional = static_cast<int>(arguments.positional);
    for (int argnum : argnums_) {
      if (argnum < -positional || argnum >= positional) {
        fail(name(), "argnums asks for the gradient with respect to argument ", argnum,
            ", but the function was called "
            "with ",
            positional, " positional arguments.");
      }
      values.push_back(static_cast<size_t>(argnum < 0 ? argnum + positional : argnum));
    }
    if (values.size() > 1) {
      std::sort(values.begin(), values.end());
      if (auto twice = std::adjacent_find(values.begin(), values.end()); twice != values.end()) {
        fail(name(), "argnums names argument ", *twice, " twice.");
      }
    }
    for (const nb::object& argname : argnames_) {
      values.push_back(keyword_place(arguments, argname));
    }
    return values;
  }

  size_t keyword_place(const CallArguments& arguments, nb::handle argname) const {
    for (size_t i = 0; i < arguments.keyword_count(); ++i) {
      if (arguments.keyword_name(i).is(argname) || arguments.keyword_name(i).equal(argname)) {
        return arguments.positional + i;
      }
    }
    std::string given;
    for (size_t i = 0; i < arguments.keyword_count(); ++i) {
      given += (i ? ", " : "") + nb::cast<std::string>(arguments.keyword_name(i));
    }
    fail(name(), "argnames asks for the gradient with respect to '", nb::cast<std::string>(argname),
        "', but the function was called with ", given.empty() ? "no keyword arguments" : "the keyword arguments ",
        given, ". Pass it by name, or use argnums.");
  }

  std::string leaf_name(
      const CallArguments& arguments, const core::SmallVector<Selected, 2>& selected, size_t leaf) const {
    for (const Selected& s : selected) {
      if (leaf < s.first_leaf + s.tree.leaf_count()) {
        return argument_name(arguments, s.value) + s.tree.path(leaf - s.first_leaf);
      }
    }
    return "an argument";
  }

  nb::object call_with(
      const CallArguments& arguments, const core::SmallVector<Selected, 2>& selected, const Leaves& leaves) const {
    core::SmallVector<nb::object, 2> built;
    core::SmallVector<PyObject*, 6> values(arguments.values.begin(), arguments.values.end());
    for (const Selected& s : selected) {
      built.push_back(s.tree.build({leaves.data() + s.first_leaf, s.tree.leaf_count()}));
      values[s.value] = built.back().ptr();
    }
    return call_fun(values, arguments);
  }

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

  nb::object gradient_trees(const core::SmallVector<Selected, 2>& selected, const Leaves& leaves) const {
    auto tree = [&](size_t i) {
      return selected[i].tree.build({leaves.data() + selected[i].first_leaf, selected[i].tree.leaf_count()});
    };
    nb::object positional = nb::none();
    if (argnums_.size() == 1) {
      positional = tree(0);
    } else if (!argnums_.empty()) {
      nb::list trees;
      for (size_t i = 0; i < argnums_.size(); ++i) {
        trees.append(tree(i));
      }
      positional = nb::tuple(trees);
    }
    if (argnames_.empty()) {
      return positional;
    }
    nb::dict keywords;
    for (size_t i = 0; i < argnames_.size(); ++i) {
      keywords[argnames_[i]] = tree(argnums_.size() + i);
    }
    return nb::make_tuple(positional, keywords);
  }

  Axes argnums_;
  std::vector<nb::object> argnames_;
  bool with_value_;
};

nb::object gradient(nb::handle fun, std::optional<Axes> argnums, nb::handle argnames, bool with_value) {
  const char* op = with_value ? "value_and_grad" : "grad";
  std::vector<nb::object> names;
  auto add = [&](nb::handle name) {
    if (!PyUnicode_Check(name.ptr())) {
      fail<core::TypeError>(op, "argnames holds a ", class_name(name), "; it should be a str or a sequence of str.");
    }
    if (std::none_of(names.begin(), names.end(), [&](const nb::object& n) { return n.equal(name); })) {
      names.push_back(nb::borrow(name));
    }
  };
  if (PyUnicode_Check(argnames.ptr())) {
    add(argnames);
  } else if (!argnames.is_none()) {
    for (nb::handle name : argnames) {
      add(name);
    }
  }
  if (!argnums && names.empty()) {
    argnums = Axes{0};
  }
  if (!argnums) {
    argnums = Axes{};
  }
  if (argnums->empty() && names.empty()) {
    fail(op, "argnums and argnames are both empty: there is nothing to differentiate with respect to.");
  }
  return make_transformed(std::make_unique<Gradient>(fun, std::move(*argnums), std::move(names), with_value));
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
        says which: ``params['layers'][2].weight``.
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
