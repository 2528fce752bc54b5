// Norms of vectors and matrices.
#include <algorithm>
#include <cmath>
#include <limits>

#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core::linalg {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The largest of what is not negative; 0 of nothing, which is the norm of a vector without elements.
array largest_of(const array& sizes, const Axes& axes, bool keepdims) {
  bool nothing = std::any_of(axes.begin(), axes.end(), [&](int axis) { return sizes.shape(axis) == 0; });
  return nothing ? sum(sizes, axes, keepdims) : max(sizes, axes, keepdims);
}

// The same over any axes, of a floating or complex array.
array of_vectors(const array& x, double ord, const Axes& axes, bool keepdims) {
  if (ord == 2) {
    array squares = x.dtype().is_complex() ? real(multiply(x, conjugate(x))) : square(x);
    return sqrt(sum(squares, axes, keepdims));
  }
  Dtype dtype = real_of(x.dtype());
  if (ord == 0) {
    return sum(astype(not_equal(x, array(0, x.dtype())), dtype), axes, keepdims);
  }
  array sizes = abs(x);
  if (ord == infinity) {
    return largest_of(sizes, axes, keepdims);
  }
  if (ord == -infinity) {
    return min(sizes, axes, keepdims);
  }
  if (ord == 1) {
    return sum(sizes, axes, keepdims);
  }
  array power_sum = sum(power(sizes, array(ord, dtype)), axes, keepdims);
  return power(power_sum, array(1 / ord, dtype));
}

// Singular values that are no more than rounding errors have no derivative: at 0 they have a kink, and 0 is among their
// subgradients.
array smooth_singular_values(const array& x) {
  array values = singular_values_of(x);
  return where(greater(values, noise_of(values)), values, stop_gradient(values));
}

enum class MatrixNorm : uint8_t { frobenius, nuclear, one, minus_one, two, minus_two, infinite, minus_infinite };

// Of the matrices with these rows and columns.
array of_matrices(const array& x, MatrixNorm kind, int rows, int columns, bool keepdims) {
  Axes both{rows, columns};
  auto sums = [&](int along, int over, bool largest) {
    array each = sum(abs(x), Axes{along}, true);
    return largest ? largest_of(each, Axes{over}, true) : min(each, Axes{over}, true);
  };
  auto spectral = [&](auto reduced) {
    array last = moveaxis(x, rows, -1); // rows last, then columns behind them
    last = moveaxis(last, columns > rows ? columns - 1 : columns, -1);
    return expand_dims(reduced(smooth_singular_values(last)), both);
  };
  std::optional<array> out;
  switch (kind) {
    case MatrixNorm::frobenius: return of_vectors(x, 2, both, keepdims);
    case MatrixNorm::one: out = sums(rows, columns, true); break;
    case MatrixNorm::minus_one: out = sums(rows, columns, false); break;
    case MatrixNorm::infinite: out = sums(columns, rows, true); break;
    case MatrixNorm::minus_infinite: out = sums(columns, rows, false); break;
    case MatrixNorm::nuclear: out = spectral([](const array& s) { return sum(s, -1); }); break;
    case MatrixNorm::two:
      out = spectral([](const array& s) { return largest_of(s, Axes{s.ndim() - 1}, false); });
      break;
    case MatrixNorm::minus_two: out = spectral([](const array& s) { return min(s, -1); }); break;
  }
  return keepdims ? *out : squeeze(*out, both);
}

MatrixNorm matrix_norm_of(const char* op, double ord) {
  if (ord == 1) return MatrixNorm::one;
  if (ord == -1) return MatrixNorm::minus_one;
  if (ord == 2) return MatrixNorm::two;
  if (ord == -2) return MatrixNorm::minus_two;
  if (ord == infinity) return MatrixNorm::infinite;
  if (ord == -infinity) return MatrixNorm::minus_infinite;
  fail(op, "ord is ", ord, "; of matrices it can be 1, -1, 2, -2, inf, -inf, 'fro' or 'nuc'.");
}
MatrixNorm matrix_norm_of(const char* op, const std::string& ord) {
  if (ord == "fro" || ord == "f") return MatrixNorm::frobenius;
  if (ord == "nuc") return MatrixNorm::nuclear;
  fail(op, "ord is '", ord, "'; as a word it can be 'fro' or 'nuc'.");
}

// Axes as they are given, rows before columns: they are not sorted.
Axes normalized(const char* op, const Axes& axes, int ndim) {
  normalize_axes(op, axes, ndim); // throws when one is repeated
  Axes out;
  for (int axis : axes) out.push_back(normalize_axis(op, axis, ndim));
  return out;
}

array computed(const array& a) { return astype(a, matrix_dtype(a.dtype())); }

// The axes that an order is for: those given, or all of one or two.
Axes axes_of(const char* op, const array& a, const std::optional<Axes>& axis) {
  if (axis) {
    if (axis->empty() || axis->size() > 2) {
      fail(op, "axis has ", axis->size(), " axes; with ord it is one axis, of vectors, or two, of matrices.");
    }
    return normalized(op, *axis, a.ndim());
  }
  if (a.ndim() < 1 || a.ndim() > 2) {
    fail(op, "a has shape ", a.shape(), "; with ord and without axis it should have one or two dimensions.");
  }
  return all_axes(a.ndim());
}

} // namespace

static constexpr OpInfo norm_info{.name = "linalg.norm",
    .summary = "A norm of vectors or matrices.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> mx.linalg.norm(mx.array([3.0, 4.0]))\narray(5, dtype=float32)\n"
        ">>> mx.linalg.norm(mx.array([[3.0, 0.0], [0.0, 4.0]]), 'nuc')\narray(7, dtype=float32)",
    .details =
        "Without ``ord``, the root of the sum of squares over ``axis``, or over all axes. With it, one axis holds "
        "vectors and two axes hold matrices, rows first; without axis, a has one or two dimensions. Of vectors ord is "
        "a number p: inf and -inf are the largest and the smallest modulus, 0 counts what is not 0, else it is "
        "sum(abs(a)**p)**(1/p). Of matrices 'fro' is the root of the sum of squares, 'nuc' the sum of singular values, "
        "2 and -2 the largest and the smallest of them, 1 and -1 the largest and the smallest column sum of moduli, "
        "inf and -inf those of rows. The result is real. At 0, where a norm has a kink, the gradient is 0."};

array norm(const array& a, double ord, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = norm_info.name;
  Axes axes = axes_of(op, a, axis);
  array x = computed(a);
  return rounded_to(axes.size() == 1 ? of_vectors(x, ord, axes, keepdims)
                                     : of_matrices(x, matrix_norm_of(op, ord), axes[0], axes[1], keepdims),
      a.dtype());
}

array norm(const array& a, const std::string& ord, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = norm_info.name;
  MatrixNorm kind = matrix_norm_of(op, ord);
  Axes axes = axes_of(op, a, axis);
  if (axes.size() == 1) {
    fail(op, "ord is '", ord, "', which is for matrices, but ", axis ? "axis has one axis." : "a has one dimension.");
  }
  return rounded_to(of_matrices(computed(a), kind, axes[0], axes[1], keepdims), a.dtype());
}

array norm(const array& a, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s) {
  return vector_norm(a, axis, keepdims, 2, s);
}

static constexpr OpInfo vector_norm_info{.name = "linalg.vector_norm",
    .summary = "A norm of vectors, which one axis holds or several together.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.linalg.vector_norm(mx.array([[3.0, 0.0], [0.0, 4.0]]))\narray(5, dtype=float32)",
    .details =
        "Over all axes unless ``axis`` says which. ``ord`` is a number p: inf and -inf are the largest and the "
        "smallest "
        "modulus, 0 counts what is not 0, else it is sum(abs(a)**p)**(1/p). The result is real. At 0 the gradient is "
        "0."};
array vector_norm(const array& a, const std::optional<Axes>& axis, bool keepdims, double ord, StreamOrDevice s) {
  StreamScope on(s);
  Axes axes = axis ? normalized(vector_norm_info.name, *axis, a.ndim()) : all_axes(a.ndim());
  return rounded_to(of_vectors(computed(a), ord, axes, keepdims), a.dtype());
}

static constexpr OpInfo matrix_norm_info{.name = "linalg.matrix_norm",
    .summary = "A norm of the matrices that the last two axes hold.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.linalg.matrix_norm(mx.array([[3.0, 0.0], [0.0, 4.0]]), ord=1)\narray(4, dtype=float32)",
    .details =
        "'fro' is the root of the sum of squares, 'nuc' the sum of singular values, 2 and -2 the largest and the "
        "smallest of them, 1 and -1 the largest and the smallest column sum of moduli, inf and -inf those of rows. The "
        "result is real."};
array matrix_norm(const array& a, bool keepdims, double ord, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = matrix_norm_info.name;
  array x = matrix_argument(op, a);
  return rounded_to(of_matrices(x, matrix_norm_of(op, ord), a.ndim() - 2, a.ndim() - 1, keepdims), a.dtype());
}
array matrix_norm(const array& a, bool keepdims, const std::string& ord, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = matrix_norm_info.name;
  array x = matrix_argument(op, a);
  return rounded_to(of_matrices(x, matrix_norm_of(op, ord), a.ndim() - 2, a.ndim() - 1, keepdims), a.dtype());
}

} // namespace mlx::core::linalg

namespace mlx::core {

std::span<const OpInfo* const> norm_ops() {
  static constexpr const OpInfo* ops[] = {&linalg::norm_info, &linalg::vector_norm_info, &linalg::matrix_norm_info};
  return ops;
}

} // namespace mlx::core
