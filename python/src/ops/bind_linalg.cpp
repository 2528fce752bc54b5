// mlx.core.linalg: linear algebra, with the names of MLX, of the Array API standard and of NumPy.
#include "python/src/ops/bind_linalg.h"
#include "mlx_core/error.h"
#include "mlx_core/linalg.h"
#include "python/src/array/number_arguments.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/bind.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

namespace linalg = core::linalg;
using OptionalAxes = std::optional<Axes>;

// Tuples whose elements have names, as the standard wants them; MLX's code unpacks them.
struct Results {
  nb::object qr, svd, eig, eigh, slogdet, lstsq;
};
Results& results() {
  static Results& all = *new Results;
  return all;
}

template <typename... Arrays>
nb::object tuple_of(const nb::object& type, Arrays&&... arrays) {
  return type(out(std::forward<Arrays>(arrays))...);
}

// ord: a number, or the name of a matrix norm.
struct Order {
  std::optional<double> number;
  std::string name;

  Order(const char* op, nb::handle ord) {
    if (nb::isinstance<nb::str>(ord)) {
      name = nb::cast<std::string>(ord);
    } else if (PyFloat_Check(ord.ptr()) || PyLong_Check(ord.ptr()) || PyIndex_Check(ord.ptr()) ||
               nb::hasattr(ord, "__float__")) {
      number = double_of(op, "ord", ord);
    } else {
      core::fail<core::TypeError>(op, "ord is ", shown(ord), "; it should be a number, 'fro', 'nuc' or None.");
    }
  }
};

array norm(const array& a, nb::handle ord, const OptionalAxes& axis, bool keepdims, StreamOrDevice s) {
  if (ord.is_none()) {
    return linalg::norm(a, axis, keepdims, s);
  }
  Order order("linalg.norm", ord);
  return order.number ? linalg::norm(a, *order.number, axis, keepdims, s)
                      : linalg::norm(a, order.name, axis, keepdims, s);
}

array matrix_norm(const array& a, bool keepdims, nb::handle ord, StreamOrDevice s) {
  Order order("linalg.matrix_norm", ord);
  return order.number ? linalg::matrix_norm(a, keepdims, *order.number, s)
                      : linalg::matrix_norm(a, keepdims, order.name, s);
}

void bind_norms(nb::module_& m) {
  def_op(m, "linalg.norm", &norm,
      "a: array, ord: None | int | float | str = None, axis: None | int | Sequence[int] = None, "
      "keepdims: bool = False",
      "array", "a"_a, "ord"_a = nb::none(), "axis"_a = nb::none(), "keepdims"_a = false);
  def_op(
      m, "linalg.vector_norm",
      [](const array& a, const OptionalAxes& axis, bool keepdims, double ord, StreamOrDevice s) {
        return linalg::vector_norm(a, axis, keepdims, ord, s);
      },
      "a: array, *, axis: None | int | Sequence[int] = None, keepdims: bool = False, ord: int | float = 2", "array",
      "a"_a, nb::kw_only(), "axis"_a = nb::none(), "keepdims"_a = false, "ord"_a = 2.0);
  def_op(m, "linalg.matrix_norm", &matrix_norm, "a: array, *, keepdims: bool = False, ord: int | float | str = 'fro'",
      "array", "a"_a, nb::kw_only(), "keepdims"_a = false, "ord"_a = "fro");
}

void bind_factors(nb::module_& m) {
  def_op(
      m, "linalg.qr",
      [](const array& a, const std::string& mode, StreamOrDevice s) {
        auto [q, r] = linalg::qr(a, mode, s);
        return tuple_of(results().qr, q, r);
      },
      "a: array, *, mode: str = 'reduced'", "QRResult", "a"_a, nb::kw_only(), "mode"_a = "reduced");
  def_op(
      m, "linalg.svd",
      [](const array& a, bool compute_uv, bool full_matrices, StreamOrDevice s) -> nb::object {
        std::vector<array> parts = linalg::svd(a, compute_uv, full_matrices, s);
        return compute_uv ? tuple_of(results().svd, parts[0], parts[1], parts[2]) : out(parts[0]);
      },
      "a: array, compute_uv: bool = True, *, full_matrices: bool = True", "SVDResult", "a"_a, "compute_uv"_a = true,
      nb::kw_only(), "full_matrices"_a = true);
  def_op(
      m, "linalg.svdvals", [](const array& a, StreamOrDevice s) { return linalg::svdvals(a, s); }, "a: array", "array",
      "a"_a);
  def_op(
      m, "linalg.cholesky", [](const array& a, bool upper, StreamOrDevice s) { return linalg::cholesky(a, upper, s); },
      "a: array, upper: bool = False", "array", "a"_a, "upper"_a = false);
  def_op(
      m, "linalg.cholesky_inv",
      [](const array& a, bool upper, StreamOrDevice s) { return linalg::cholesky_inv(a, upper, s); },
      "a: array, upper: bool = False", "array", "a"_a, "upper"_a = false);
  def_op(
      m, "linalg.lu",
      [](const array& a, StreamOrDevice s) {
        std::vector<array> parts = linalg::lu(a, s);
        return nb::make_tuple(out(parts[0]), out(parts[1]), out(parts[2]));
      },
      "a: array", "tuple[array, array, array]", "a"_a);
  def_op(
      m, "linalg.lu_factor",
      [](const array& a, StreamOrDevice s) {
        auto [both, swaps] = linalg::lu_factor(a, s);
        return nb::make_tuple(out(both), out(swaps));
      },
      "a: array", "tuple[array, array]", "a"_a);
}

void bind_spectra(nb::module_& m) {
  def_op(
      m, "linalg.eigvals", [](const array& a, StreamOrDevice s) { return linalg::eigvals(a, s); }, "a: array", "array",
      "a"_a);
  def_op(
      m, "linalg.eig",
      [](const array& a, StreamOrDevice s) {
        auto [w, v] = linalg::eig(a, s);
        return tuple_of(results().eig, w, v);
      },
      "a: array", "EigResult", "a"_a);
  def_op(
      m, "linalg.eigvalsh",
      [](const array& a, const std::string& UPLO, StreamOrDevice s) { return linalg::eigvalsh(a, UPLO, s); },
      "a: array, UPLO: str = 'L'", "array", "a"_a, "UPLO"_a = "L");
  def_op(
      m, "linalg.eigh",
      [](const array& a, const std::string& UPLO, StreamOrDevice s) {
        auto [w, v] = linalg::eigh(a, UPLO, s);
        return tuple_of(results().eigh, w, v);
      },
      "a: array, UPLO: str = 'L'", "EighResult", "a"_a, "UPLO"_a = "L");
}

void bind_systems(nb::module_& m) {
  def_op(
      m, "linalg.inv", [](const array& a, StreamOrDevice s) { return linalg::inv(a, s); }, "a: array", "array", "a"_a);
  def_op(
      m, "linalg.tri_inv", [](const array& a, bool upper, StreamOrDevice s) { return linalg::tri_inv(a, upper, s); },
      "a: array, upper: bool = False", "array", "a"_a, "upper"_a = false);
  def_op(
      m, "linalg.pinv",
      [](const array& a, std::optional<ScalarOrArray> rtol, StreamOrDevice s) {
        return rtol ? linalg::pinv(a, to_array(*rtol), s) : linalg::pinv(a, s);
      },
      "a: array, *, rtol: float | array | None = None", "array", "a"_a, nb::kw_only(), "rtol"_a = nb::none());
  def_op(
      m, "linalg.solve", [](const array& a, const array& b, StreamOrDevice s) { return linalg::solve(a, b, s); },
      "a: array, b: array", "array", "a"_a, "b"_a);
  def_op(
      m, "linalg.solve_triangular",
      [](const array& a, const array& b, bool upper, StreamOrDevice s) {
        return linalg::solve_triangular(a, b, upper, s);
      },
      "a: array, b: array, *, upper: bool = False", "array", "a"_a, "b"_a, nb::kw_only(), "upper"_a = false);
  def_op(
      m, "linalg.lstsq",
      [](const array& a, const array& b, std::optional<double> rcond, StreamOrDevice s) {
        std::vector<array> parts = linalg::lstsq(a, b, rcond, s);
        return tuple_of(results().lstsq, parts[0], parts[1], parts[2], parts[3]);
      },
      "a: array, b: array, rcond: float | None = None", "LstsqResult", "a"_a, "b"_a, "rcond"_a = nb::none());
  def_op(
      m, "linalg.matrix_rank",
      [](const array& a, std::optional<ScalarOrArray> rtol, StreamOrDevice s) {
        return linalg::matrix_rank(a, rtol ? std::optional<array>(to_array(*rtol)) : std::nullopt, s);
      },
      "a: array, *, rtol: float | array | None = None", "array", "a"_a, nb::kw_only(), "rtol"_a = nb::none());
}

void bind_determinants(nb::module_& m) {
  def_op(
      m, "linalg.det", [](const array& a, StreamOrDevice s) { return linalg::det(a, s); }, "a: array", "array", "a"_a);
  def_op(
      m, "linalg.slogdet",
      [](const array& a, StreamOrDevice s) {
        auto [sign, logabsdet] = linalg::slogdet(a, s);
        return tuple_of(results().slogdet, sign, logabsdet);
      },
      "a: array", "SlogdetResult", "a"_a);
  def_op(
      m, "linalg.expm", [](const array& a, StreamOrDevice s) { return linalg::expm(a, s); }, "a: array", "array",
      "a"_a);
  def_op(
      m, "linalg.matrix_power", [](const array& a, int n, StreamOrDevice s) { return linalg::matrix_power(a, n, s); },
      "a: array, n: int", "array", "a"_a, "n"_a);
  def_op(
      m, "linalg.cross",
      [](const array& a, const array& b, int axis, StreamOrDevice s) { return linalg::cross(a, b, axis, s); },
      "a: array, b: array, axis: int = -1", "array", "a"_a, "b"_a, "axis"_a = -1);
}

// What the standard has in its linalg extension, too: of the last two axes, unlike NumPy's functions of these names.
void bind_standard_names(nb::module_& m, nb::module_& parent) {
  for (const char* name : {"matmul", "matrix_transpose", "outer", "tensordot", "vecdot"}) {
    m.attr(name) = parent.attr(name);
  }
  m.def(
      "diagonal", [](const array& x, int offset, StreamOrDevice s) { return core::diagonal(x, offset, -2, -1, s); },
      nb::arg(), nb::kw_only(), "offset"_a = 0, "stream"_a = nb::none(),
      nb::sig("def diagonal(x: array, /, *, offset: int = 0, stream: StreamOrDevice = None) -> array"),
      "The diagonals of the matrices that the last two axes hold.\n\nA positive offset is above the main diagonal. "
      "``mx.diagonal`` takes the first two axes, as NumPy does.\n\nExample:\n"
      "    >>> mx.linalg.diagonal(mx.array([[[1, 2], [3, 4]]]))\n    array([[1, 4]], dtype=int32)");
  m.def(
      "trace",
      [](const array& x, int offset, std::optional<Dtype> dtype, StreamOrDevice s) {
        return dtype ? core::trace(x, offset, -2, -1, *dtype, s) : core::trace(x, offset, -2, -1, s);
      },
      nb::arg(), nb::kw_only(), "offset"_a = 0, "dtype"_a = nb::none(), "stream"_a = nb::none(),
      nb::sig("def trace(x: array, /, *, offset: int = 0, dtype: Dtype | None = None, stream: StreamOrDevice = None) "
              "-> array"),
      "The sums of the diagonals of the matrices that the last two axes hold.\n\nA positive offset is above the main "
      "diagonal. ``mx.trace`` takes the first two axes, as NumPy does.\n\nExample:\n"
      "    >>> mx.linalg.trace(mx.array([[[1, 2], [3, 4]]]))\n    array([5], dtype=int32)");
}

} // namespace

void bind_linalg(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("linalg", "Linear algebra on the matrices that the last two axes hold.");
  bind_linalg_error(m);
  results() = {
      .qr = named_tuple(m, "QRResult", "Q R", "Orthonormal columns, and an upper triangular matrix."),
      .svd = named_tuple(m, "SVDResult", "U S Vh", "Left singular vectors, singular values, right singular vectors."),
      .eig = named_tuple(m, "EigResult", "eigenvalues eigenvectors", "Of any square matrix; eigenvectors in columns."),
      .eigh =
          named_tuple(m, "EighResult", "eigenvalues eigenvectors", "Of a Hermitian matrix; eigenvectors in columns."),
      .slogdet = named_tuple(m, "SlogdetResult", "sign logabsdet", "A determinant's sign and logarithm."),
      .lstsq = named_tuple(m, "LstsqResult", "x residuals rank singular_values", "A least-squares solution."),
  };
  bind_norms(m);
  bind_factors(m);
  bind_spectra(m);
  bind_systems(m);
  bind_determinants(m);
  bind_standard_names(m, parent);
  check_registered();
}

} // namespace mlx::python
