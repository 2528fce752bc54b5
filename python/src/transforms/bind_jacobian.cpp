// jacfwd, jacrev, jacobian, value_and_jacobian and hessian: Jacobians of Python functions over trees of arrays.
#include "mlx_core/jacobian.h"

#include "mlx_core/error.h"
#include "python/src/transforms/chosen_arguments.h"
#include "python/src/transforms/chunk_size.h"

namespace mlx::python {

namespace {

using core::fail;
using core::JacobianMode;

struct Kind {
  const char* name;
  JacobianMode mode = JacobianMode::automatic;
  bool second_order = false, with_value = false;
};

// The outputs of one call, and what it returned beside them.
class Outputs {
 public:
  // Takes apart what the function returned.
  std::vector<array> take(const char* op, nb::object result, bool has_aux) {
    if (has_aux) {
      if (!PyTuple_Check(result.ptr()) || PyTuple_GET_SIZE(result.ptr()) != 2) {
        fail<core::TypeError>(op, "with has_aux the function should return a pair (output, aux); it returned a ",
            class_name(result), ".");
      }
      aux_ = nb::borrow(PyTuple_GET_ITEM(result.ptr(), 1));
      result = nb::borrow(PyTuple_GET_ITEM(result.ptr(), 0));
    }
    Leaves leaves;
    tree_.emplace(result, leaves);
    std::vector<array> arrays;
    for (const nb::object& leaf : leaves) {
      std::string place = "output" + tree_->path(arrays.size());
      if (!is_array(leaf)) {
        fail<core::TypeError>(op, "the function returned ", place, ", a ", class_name(leaf),
            "; it should return arrays. With has_aux=True it may return (output, anything).");
      }
      if (!read(leaf).dtype().is_inexact()) {
        fail<core::TypeError>(op, "the function returned ", place, " of dtype ", read(leaf).dtype(),
            "; only floating and complex outputs have derivatives. Convert it with astype(mx.float32), or return it "
            "aside with has_aux=True.");
      }
      arrays.push_back(read(leaf));
    }
    return arrays;
  }

  // The output's containers around one object for each output.
  nb::object build(std::span<const nb::object> objects) const { return tree_->build(objects); }
  nb::object with_aux(nb::object value) const { return aux_.is_valid() ? nb::make_tuple(value, aux_) : value; }

 private:
  std::optional<Tree> tree_;
  nb::object aux_;
};

nb::object handle_of(const array& a) { return nb::steal(wrap(a)); }

class Jacobian final : public Transformation {
 public:
  Jacobian(const Kind& kind, nb::handle fun, ArgumentChoice choice, bool has_aux, core::ChunkSize chunk_size)
      : Transformation(fun, nb::make_tuple(kind.name, choice.settings(), has_aux, chunk_size.lanes())),
        kind_(kind),
        choice_(std::move(choice)),
        has_aux_(has_aux),
        chunk_size_(chunk_size) {}

  const char* name() const override { return kind_.name; }
  void traverse(Traversal& owned) const override { choice_.traverse(owned); }

  nb::object call(const CallArguments& arguments) const override {
    ChosenArguments chosen(*this, choice_, arguments);
    Outputs outputs;
    auto fun = [&](const std::vector<array>& inputs) { return outputs.take(name(), chosen.call(inputs), has_aux_); };
    if (kind_.second_order) {
      return outputs.with_aux(second_order(chosen, outputs, fun));
    }
    core::ValueAndJacobian result = core::value_and_jacobian(fun, chosen.primals(), kind_.mode, chunk_size_);
    Leaves blocks, values;
    for (size_t o = 0; o < result.outputs.size(); ++o) {
      values.push_back(handle_of(result.outputs[o]));
      Leaves row;
      for (const array& jacobian : result.jacobians[o]) {
        row.push_back(handle_of(jacobian));
      }
      blocks.push_back(chosen.form(row));
    }
    nb::object jacobian = outputs.build(blocks);
    return kind_.with_value ? nb::make_tuple(outputs.with_aux(outputs.build(values)), jacobian)
                            : outputs.with_aux(jacobian);
  }

 private:
  // Forward over reverse; the tree of the output, around trees of the arguments, around trees of the arguments.
  nb::object second_order(const ChosenArguments& chosen, Outputs& outputs, const core::VectorFunction& fun) const {
    auto first = [&](const std::vector<array>& inputs) {
      std::vector<array> flat;
      for (const auto& row : core::value_and_jacobian(fun, inputs, JacobianMode::reverse, chunk_size_).jacobians) {
        flat.insert(flat.end(), row.begin(), row.end());
      }
      return flat;
    };
    core::ValueAndJacobian second =
        core::value_and_jacobian(first, chosen.primals(), JacobianMode::forward, chunk_size_);
    size_t count = chosen.primals().size();
    Leaves blocks;
    for (size_t o = 0; count > 0 && o < second.jacobians.size() / count; ++o) {
      Leaves rows;
      for (size_t i = 0; i < count; ++i) {
        Leaves row;
        for (const array& block : second.jacobians[o * count + i]) {
          row.push_back(handle_of(block));
        }
        rows.push_back(chosen.form(row));
      }
      blocks.push_back(chosen.form(rows));
    }
    return outputs.build(blocks);
  }

  Kind kind_;
  ArgumentChoice choice_;
  bool has_aux_;
  core::ChunkSize chunk_size_;
};

void def(nb::module_& m, const Kind& kind, const char* doc) {
  std::string signature =
      std::string("def ") + kind.name +
      "(fun: collections.abc.Callable[..., typing.Any], argnums: int | collections.abc.Sequence[int] | None = None, "
      "argnames: str | collections.abc.Sequence[str] = [], *, has_aux: bool = False, "
      "chunk_size: int | str | None = None) -> collections.abc.Callable[..., typing.Any]";
  m.def(
      kind.name,
      [kind](nb::handle fun, std::optional<Axes> argnums, nb::handle argnames, bool has_aux, nb::handle chunk_size) {
        ArgumentChoice choice(kind.name, std::move(argnums), argnames);
        return make_transformed(
            std::make_unique<Jacobian>(kind, fun, std::move(choice), has_aux, chunk_size_of(kind.name, chunk_size)));
      },
      nb::arg("fun"), nb::arg("argnums") = nb::none(), nb::arg("argnames") = nb::make_tuple(), nb::kw_only(),
      nb::arg("has_aux") = false, nb::arg("chunk_size") = nb::none(), nb::sig(signature.c_str()), doc);
}

} // namespace

void bind_jacobian(nb::module_& m) {
  def(m, {.name = "jacobian"},
      R"(The Jacobian of a function, as another function.

Works forward (as :func:`jacfwd`) when the arguments have no more elements than
the output, otherwise in reverse (as :func:`jacrev`). The function runs once;
what it did is then differentiated for all unit vectors in one batch.

Args:
    fun (callable): Takes arrays, or trees of arrays, and returns an array or
        a tree of arrays, which must be floating or complex.
    argnums (int or sequence of int, optional): The positional arguments to
        differentiate with respect to, as for :func:`grad`. Default: ``0``.
    argnames (str or sequence of str, optional): The keyword arguments to
        differentiate with respect to, as for :func:`grad`.
    has_aux (bool): Whether ``fun`` returns a pair of the output and anything
        else, which is returned beside the Jacobian. Default: ``False``.
    chunk_size (int, "auto" or None): How many unit vectors are sent through
        at a time: ``None`` for all of them, ``"auto"`` for as many as fit
        into :func:`get_memory_limit`, by an estimate of what each needs.

Returns:
    callable: Takes the arguments of ``fun``. It returns the tree of the
    output, in which each array stands for a tree like the argument (a tuple
    of trees for several arguments, and a pair with a dictionary when there
    are ``argnames``: the form of :func:`grad`) of arrays of shape
    ``output.shape + argument.shape``. With ``has_aux`` a pair of that and the
    auxiliary value.

    Of complex functions it is the plain, not conjugated, derivative: for a
    real function of complex arguments ``df/dx - 1j * df/dy``, the conjugate
    of the gradient. A complex function of complex arguments should be
    holomorphic.

Raises:
    TypeError: From the returned function, if a leaf to differentiate, or an
        output, is not floating or complex. The message says which.
    ValueError: If ``chunk_size`` is not positive; from the returned function,
        if it was called without an argument that is to be differentiated.

Example:
    >>> mx.jacobian(lambda x: x[:2] * x[2])(mx.array([1.0, 2.0, 3.0]))
    array([[3, 0, 1],
           [0, 3, 2]], dtype=float32)
)");
  def(m, {.name = "jacfwd", .mode = JacobianMode::forward},
      R"(The Jacobian of a function, column by column in forward mode.

Takes one pass for each element of the arguments: the mode for more outputs
than inputs. Arguments, result and errors are those of :func:`jacobian`.

Example:
    >>> mx.jacfwd(lambda x: mx.stack([x, x * x]))(mx.array(3.0))
    array([1, 6], dtype=float32)
    >>> mx.jacfwd(lambda p: {"y": p["a"] * p["b"]})({"a": mx.array(2.0), "b": mx.array(3.0)})
    {'y': {'a': array(3, dtype=float32), 'b': array(2, dtype=float32)}}
)");
  def(m, {.name = "jacrev", .mode = JacobianMode::reverse},
      R"(The Jacobian of a function, row by row in reverse mode.

Takes one pass for each element of the output: the mode for more inputs than
outputs. Arguments, result and errors are those of :func:`jacobian`.

Example:
    >>> mx.jacrev(lambda x: mx.sum(x * x))(mx.array([1.0, 2.0]))
    array([2, 4], dtype=float32)
    >>> mx.jacrev(lambda x, y: x * y, argnums=(0, 1))(mx.array(2.0), mx.array(3.0))
    (array(3, dtype=float32), array(2, dtype=float32))
)");
  def(m, {.name = "value_and_jacobian", .with_value = true},
      R"(The value and the Jacobian of a function, as another function.

Arguments and errors are those of :func:`jacobian`.

Returns:
    callable: Takes the arguments of ``fun`` and returns a pair: what ``fun``
    returned, and the Jacobian. ``fun`` runs once.

Example:
    >>> mx.value_and_jacobian(lambda x: x * x)(mx.array(3.0))
    (array(9, dtype=float32), array(6, dtype=float32))
    >>> mx.value_and_jacobian(lambda x: (x * x, "aux"), has_aux=True)(mx.array(3.0))
    ((array(9, dtype=float32), 'aux'), array(6, dtype=float32))
)");
  def(m, {.name = "hessian", .second_order = true},
      R"(The second derivatives of a function, as another function.

Forward mode over reverse mode: for a scalar function one forward pass of the
gradient for each element of the arguments. Arguments and errors are those of
:func:`jacobian`. For products of a Hessian with a vector, see :func:`hvp`; for
one that is mostly zero, :func:`sparse_hessian`.

Returns:
    callable: Takes the arguments of ``fun`` and returns the tree of the
    output around trees like the argument, around trees like the argument, of
    arrays of shape ``output.shape + argument.shape + argument.shape``.

Example:
    >>> mx.hessian(lambda x: x[0] * x[0] * x[1])(mx.array([2.0, 3.0]))
    array([[6, 4],
           [4, 0]], dtype=float32)
)");
}

} // namespace mlx::python
