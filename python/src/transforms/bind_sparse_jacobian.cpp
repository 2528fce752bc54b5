// sparse_jacobian and sparse_hessian of Python functions, and the matrices they return.
#include "mlx_core/sparse_jacobian.h"

#include <nanobind/stl/tuple.h>

#include <map>
#include <mutex>

#include "mlx_core/error.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/chosen_arguments.h"

namespace mlx::python {

namespace {

using core::fail;
using core::SparseMatrix;
using core::SparsePlan;

// What a plan depends on besides the function: the shapes of arrays, and whatever else may decide what the function
// does. Floating numbers are taken for values.
std::string signature_of(const CallArguments& arguments) {
  std::ostringstream text;
  for (PyObject* value : arguments.values) {
    Leaves leaves;
    Tree tree(value, leaves);
    text << '(';
    for (size_t i = 0; i < leaves.size(); ++i) {
      text << tree.path(i) << '=';
      PyObject* leaf = leaves[i].ptr();
      if (is_array(leaf)) {
        text << read(leaf).dtype() << read(leaf).shape();
      } else if (PyLong_Check(leaf) || PyUnicode_Check(leaf)) {
        text << nb::cast<std::string>(nb::repr(leaves[i]));
      } else {
        text << class_name(leaves[i]);
      }
      text << ',';
    }
    text << ')';
  }
  for (size_t i = 0; i < arguments.keyword_count(); ++i) {
    text << nb::cast<std::string>(arguments.keyword_name(i)) << ',';
  }
  return text.str();
}

class SparsePlans {
 public:
  std::shared_ptr<const SparsePlan> find(const std::string& key) const {
    std::lock_guard lock(mutex_);
    auto found = plans_.find(key);
    return found == plans_.end() ? nullptr : found->second;
  }
  void keep(const std::string& key, std::shared_ptr<const SparsePlan> plan) {
    std::lock_guard lock(mutex_);
    if (plans_.size() >= most) {
      plans_.clear();
    }
    plans_[key] = std::move(plan);
  }

 private:
  static constexpr size_t most = 32;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const SparsePlan>> plans_;
};

class SparseTransform final : public Transformation {
 public:
  SparseTransform(nb::handle fun, ArgumentChoice choice, bool second_order)
      : Transformation(fun, nb::make_tuple("sparse", choice.settings(), second_order)),
        choice_(std::move(choice)),
        second_order_(second_order) {}

  const char* name() const override { return second_order_ ? "sparse_hessian" : "sparse_jacobian"; }
  void traverse(Traversal& owned) const override { choice_.traverse(owned); }

  nb::object call(const CallArguments& arguments) const override {
    ChosenArguments chosen(*this, choice_, arguments);
    if (chosen.primals().size() != 1) {
      fail<core::TypeError>(name(), "the argument to differentiate holds ", chosen.primals().size(),
          " arrays; it should be a single array. Concatenate them, and take them apart inside the function.");
    }
    auto fun = [&](const array& x) {
      nb::object result = chosen.call({x});
      if (!is_array(result)) {
        fail<core::TypeError>(name(), "the function returned a ", class_name(result), "; it should return an array.");
      }
      return read(result);
    };
    std::string key = signature_of(arguments);
    std::shared_ptr<const SparsePlan> known = plans_.find(key), plan = known;
    const array& x = chosen.primals()[0];
    SparseMatrix matrix = second_order_ ? core::sparse_hessian(fun, x, plan) : core::sparse_jacobian(fun, x, plan);
    if (!known) {
      plans_.keep(key, plan);
    }
    return nb::cast(std::move(matrix));
  }

 private:
  ArgumentChoice choice_;
  bool second_order_;
  mutable SparsePlans plans_;
};

void bind_matrix(nb::module_& m) {
  nb::class_<SparseMatrix> cls(m, "SparseMatrix",
      R"(A matrix by its entries that may be nonzero, in row-major order.

Made by :func:`sparse_jacobian` and :func:`sparse_hessian`. Rows and columns
are numbered as in the flattened output and argument.
)");
  cls.def_ro("rows", &SparseMatrix::rows, "The row of each entry: int32, shape (entries,).");
  cls.def_ro("cols", &SparseMatrix::cols, "The column of each entry: int32, shape (entries,).");
  cls.def_ro("values", &SparseMatrix::values, "The entries: shape (entries,); under vmap with the lanes in front.");
  cls.def_ro("passes", &SparseMatrix::passes, "How many products with vectors it took.");
  cls.def_prop_ro(
      "shape", [](const SparseMatrix& s) { return nb::make_tuple(s.row_count, s.column_count); },
      nb::for_getter(nb::sig("def shape(self) -> tuple[int, int]")), "(rows, columns).");
  cls.def("todense", &SparseMatrix::todense, "The whole matrix: shape (..., rows, columns).");
  cls.def("__repr__", [](const SparseMatrix& s) {
    return "SparseMatrix(shape=(" + std::to_string(s.row_count) + ", " + std::to_string(s.column_count) +
           "), entries=" + std::to_string(static_cast<int64_t>(s.cols.size())) +
           ", passes=" + std::to_string(s.passes) + ")";
  });
  cls.def(
      "__getstate__",
      [](const SparseMatrix& s) {
        return nb::make_tuple(s.rows, s.cols, s.values, s.row_count, s.column_count, s.passes);
      },
      nb::sig("def __getstate__(self) -> tuple[typing.Any, ...]"));
  cls.def("__setstate__", [](SparseMatrix* self, const std::tuple<array, array, array, int64_t, int64_t, int>& state) {
    const auto& [rows, cols, values, row_count, column_count, passes] = state;
    if (rows.ndim() != 1 || rows.shape() != cols.shape() || values.ndim() == 0 || values.shape(-1) != rows.shape(0)) {
      fail("SparseMatrix", "the state has rows of shape ", rows.shape(), ", cols of shape ", cols.shape(),
          " and values of shape ", values.shape(), "; there should be one of each for every entry.");
    }
    new (self) SparseMatrix{rows, cols, values, row_count, column_count, passes};
  });
  // The transforms see the values; the rest is the same in every lane.
  nb::object flatten = nb::cpp_function([](const SparseMatrix& s) {
    SparseMatrix places = s;
    places.values = array(0.0f); // a lane must not outlive its vmap
    return nb::make_tuple(nb::make_tuple(s.values), nb::cast(std::move(places)));
  });
  nb::object unflatten = nb::cpp_function([](const SparseMatrix& like, nb::tuple children) {
    nb::object values = children[0];
    if (!is_array(values)) { // a tree of something else: axes, names
      return values;
    }
    SparseMatrix matrix = like;
    matrix.values = read(values);
    return nb::cast(std::move(matrix));
  });
  m.attr("register_tree_node")(cls, flatten, unflatten);
}

} // namespace

void bind_sparse_jacobian(nb::module_& m) {
  bind_matrix(m);
  m.def(
      "sparse_jacobian",
      [](nb::handle fun, int argnums) {
        return make_transformed(std::make_unique<SparseTransform>(
            fun, ArgumentChoice("sparse_jacobian", Axes{argnums}, nb::none()), false));
      },
      nb::arg("fun"), nb::arg("argnums") = 0,
      nb::sig("def sparse_jacobian(fun: collections.abc.Callable[..., typing.Any], argnums: int = 0) -> "
              "collections.abc.Callable[..., typing.Any]"),
      R"(The Jacobian of a function, where most of it is zero, in few passes.

Which entries can be nonzero is found from the function's graph: elementwise
operations keep elements apart, slices, concatenations and gathers move them,
sums and products contract axes, and through anything else every element
depends on every other. Columns that share no row are then sent through one
jvp together, or rows that share no column through one vjp, whichever takes
fewer. A banded Jacobian takes as many passes as the band is wide, whatever
its size.

The pattern is found at the first call for each combination of shapes, dtypes,
ints and strings among the arguments, and used again: for them the function
must always do the same operations, and index with the same captured arrays.

Args:
    fun (callable): Returns an array. It and the argument are both floating
        or both complex.
    argnums (int): The positional argument to differentiate with respect to,
        an array. Default: ``0``.

Returns:
    callable: Takes the arguments of ``fun`` and returns a
    :class:`SparseMatrix` of shape ``(output.size, argument.size)`` with
    ``rows``, ``cols``, ``values``, ``passes`` and ``todense()``.

Raises:
    TypeError: From the returned function, if the argument or the output is
        not an array of such a dtype.

Example:
    >>> def second_difference(x):
    ...     return x[2:] - 2 * x[1:-1] + x[:-2]
    >>> J = mx.sparse_jacobian(second_difference)(mx.arange(6.0))
    >>> J
    SparseMatrix(shape=(4, 6), entries=12, passes=3)
    >>> J.todense()
    array([[1, -2, 1, 0, 0, 0],
           [0, 1, -2, 1, 0, 0],
           [0, 0, 1, -2, 1, 0],
           [0, 0, 0, 1, -2, 1]], dtype=float32)
)");
  m.def(
      "sparse_hessian",
      [](nb::handle fun, int argnums) {
        return make_transformed(
            std::make_unique<SparseTransform>(fun, ArgumentChoice("sparse_hessian", Axes{argnums}, nb::none()), true));
      },
      nb::arg("fun"), nb::arg("argnums") = 0,
      nb::sig("def sparse_hessian(fun: collections.abc.Callable[..., typing.Any], argnums: int = 0) -> "
              "collections.abc.Callable[..., typing.Any]"),
      R"(The Hessian of a scalar function, where most of it is zero, in few passes.

As :func:`sparse_jacobian` of the gradient, but that the symmetry saves passes:
an entry may be read in either of its two places, so that a star colouring
does (Gebremedhin, Manne and Pothen, What color is your Jacobian?, 2005). A
diagonal with one full row and column takes two.

Args:
    fun (callable): Returns a real scalar array.
    argnums (int): The positional argument to differentiate with respect to,
        a floating array. Default: ``0``.

Returns:
    callable: Takes the arguments of ``fun`` and returns a
    :class:`SparseMatrix` of shape ``(argument.size, argument.size)``.

Raises:
    TypeError: From the returned function, if the argument is not a floating
        array or ``fun`` does not return an array.
    ValueError: From the returned function, if ``fun`` does not return a real
        scalar.

Example:
    >>> def rosenbrock(x):
    ...     return mx.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> mx.sparse_hessian(rosenbrock)(mx.ones(1000))
    SparseMatrix(shape=(1000, 1000), entries=2998, passes=3)
)");
}

} // namespace mlx::python
