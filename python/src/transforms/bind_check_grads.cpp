// check_grads: the derivatives of a Python function against differences.
#include "mlx_core/check_grads.h"

#include "mlx_core/error.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/shown.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/chosen_arguments.h"
#include "python/src/trees/descent.h"

namespace mlx::python {

namespace {

using core::fail;
const char* const op = "check_grads";

void read_modes(nb::handle modes, core::CheckGradsOptions& options) {
  options.forward = options.reverse = false;
  auto add = [&](nb::handle mode) {
    std::string name = PyUnicode_Check(mode.ptr()) ? nb::cast<std::string>(mode) : std::string();
    if (name != "fwd" && name != "rev") {
      fail(op, "modes holds ", shown(mode), "; each entry should be \"fwd\" or \"rev\".");
    }
    (name == "fwd" ? options.forward : options.reverse) = true;
  };
  if (PyUnicode_Check(modes.ptr())) {
    add(modes);
    return;
  }
  if (!is_iterable(modes)) {
    fail<core::TypeError>(op, "modes is ", described(modes), R"(; it should be "fwd", "rev" or a sequence of them.)");
  }
  for (nb::handle mode : modes) {
    add(mode);
  }
}

// The arguments of the function: leaves with derivatives are arrays, the others stay as they are.
class CheckedArguments {
 public:
  explicit CheckedArguments(nb::handle args)
      : several_(PyTuple_Check(args.ptr()) || PyList_Check(args.ptr())), tree_(args, leaves_) {
    for (size_t i = 0; i < leaves_.size(); ++i) {
      bool inexact = is_array(leaves_[i]) ? read(leaves_[i]).dtype().is_inexact()
                                          : PyFloat_Check(leaves_[i].ptr()) || PyComplex_Check(leaves_[i].ptr());
      if (inexact) {
        primals_.push_back(differentiable(op, leaves_[i], [] { return std::string("args"); }));
        positions_.push_back(i);
      }
    }
  }
  const std::vector<array>& primals() const { return primals_; }
  std::string name(size_t primal) const { return "args" + tree_.path(positions_[primal]); }
  nb::object call(nb::handle fun, const std::vector<array>& inputs) const {
    Leaves leaves(leaves_);
    for (size_t i = 0; i < inputs.size(); ++i) {
      leaves[positions_[i]] = nb::steal(wrap(inputs[i]));
    }
    nb::object built = tree_.build(leaves);
    nb::object args = several_ ? nb::object(nb::tuple(built)) : nb::object(nb::make_tuple(built));
    Descent guard(" in a transformed function");
    nb::object result = nb::steal(PyObject_CallObject(fun.ptr(), args.ptr()));
    if (!result.is_valid()) {
      throw nb::python_error();
    }
    return result;
  }

 private:
  bool several_;
  Leaves leaves_;
  Tree tree_;
  std::vector<array> primals_;
  std::vector<size_t> positions_;
};

void check(nb::handle fun, nb::handle args, core::CheckGradsOptions options) {
  check_callable(op, fun);
  CheckedArguments arguments(args);
  std::vector<std::string> names;
  auto of_arrays = [&](const std::vector<array>& inputs) {
    nb::object result = arguments.call(fun, inputs);
    Leaves leaves;
    Tree tree(result, leaves);
    std::vector<array> outputs;
    names.clear();
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (is_array(leaves[i])) {
        outputs.push_back(read(leaves[i]));
        names.push_back("output" + tree.path(i));
      }
    }
    return outputs;
  };
  options.primal_name = [&](size_t primal) { return arguments.name(primal); };
  options.output_name = [&](size_t output) { return names[output]; };
  try {
    core::check_grads(of_arrays, arguments.primals(), options);
  } catch (const core::GradientMismatch& mismatch) {
    PyErr_SetString(PyExc_AssertionError, mismatch.what());
    throw nb::python_error();
  }
}

} // namespace

void bind_check_grads(nb::module_& m) {
  m.def(
      "check_grads",
      [](nb::handle fun, nb::handle args, int order, nb::handle modes, std::optional<double> atol,
          std::optional<double> rtol, std::optional<double> eps) {
        core::CheckGradsOptions options;
        options.order = order;
        options.atol = atol, options.rtol = rtol, options.eps = eps;
        read_modes(modes, options);
        check(fun, args, std::move(options));
      },
      nb::arg("fun"), nb::arg("args"), nb::arg("order") = 2, nb::arg("modes") = nb::make_tuple("fwd", "rev"),
      nb::arg("atol") = nb::none(), nb::arg("rtol") = nb::none(), nb::arg("eps") = nb::none(),
      nb::sig("def check_grads(fun: collections.abc.Callable[..., typing.Any], args: object, order: int = 2, "
              "modes: str | collections.abc.Sequence[str] = ('fwd', 'rev'), atol: float | None = None, "
              "rtol: float | None = None, eps: float | None = None) -> None"),
      R"(Checks the derivatives of a function against differences of its values.

For each array among the arguments and a random direction, the jvp is compared
with ``(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h``, which has an error of
order ``h**4``, and the vjp with the jvp: ``<ct, J t>`` should equal
``<J^H ct, t>``. For order 2 the same is done with the jvp and the vjp in place
of the function, and so on. Use float64: in the other dtypes differences say
little.

Args:
    fun (callable): Returns an array or a tree of arrays. Each run of it
        starts from the same implicit random key.
    args (list or tuple of trees, or one tree): Its arguments, or its only
        one. Floating and complex arrays and numbers in them are
        differentiated, everything else is constant.
    order (int): The highest derivative. Default: ``2``.
    modes (str or sequence of str): ``"fwd"`` checks jvp, ``"rev"`` vjp; alone
        it is compared with differences. Default: ``("fwd", "rev")``.
    atol (float, optional): Default, for float64, float32, float16 and
        bfloat16: 1e-6, 2e-3, 5e-2 and 0.2, by the coarsest dtype in play.
    rtol (float, optional): Relative to the expected value. Default: as for
        ``atol``.
    eps (float, optional): The step ``h``. Default: 1e-4, 1e-2, 0.1 and 0.25.

Raises:
    AssertionError: If a derivative is wrong. The message names the argument,
        the mode, the order, what was expected and what was found.
    ValueError: If ``order`` is not positive, ``modes`` has other entries, or
        there is nothing to differentiate.

Example:
    >>> mx.check_grads(lambda x: mx.sin(x) * x, (mx.array([0.5, 2.0], mx.float64),), order=3)
    >>> f = mx.custom_function(lambda x: x * x)
    >>> @f.vjp
    ... def f_vjp(x, cotangent, output):
    ...     return cotangent * x
    >>> try:
    ...     mx.check_grads(f, (mx.array(3.0),), order=1, modes="rev")
    ... except AssertionError as error:
    ...     print(str(error)[:75])
    [check_grads] mode "rev", order 1: the vjp with respect to args[0] is wrong
)");
}

} // namespace mlx::python
