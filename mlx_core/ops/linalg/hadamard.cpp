// The Hadamard transform, as products with small matrices of 1 and -1.
#include <algorithm>
#include <cmath>
#include <vector>

#include "mlx_core/block_products.h"
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

namespace {

using Matrix = std::vector<std::vector<int>>;

Matrix kronecker(const Matrix& a, const Matrix& b) {
  const size_t n = a.size(), m = b.size();
  Matrix out(n * m, std::vector<int>(n * m));
  for (size_t i = 0; i < n * m; ++i) {
    for (size_t j = 0; j < n * m; ++j) out[i][j] = a[i / m][j / m] * b[i % m][j % m];
  }
  return out;
}

Matrix power_of_two(int64_t n) {
  Matrix out{{1}};
  const Matrix two{{1, 1}, {1, -1}};
  for (; n > 1; n /= 2) out = kronecker(two, out);
  return out;
}

// Paley's matrix of order 12 of the second kind: with the conference matrix of the squares modulo 5, S x (1 1; 1 -1) +
// I x (1 -1; -1 -1).
Matrix of_12() {
  Matrix out(12, std::vector<int>(12));
  constexpr int squares[] = {0, 1, -1, -1, 1}, off[2][2] = {{1, 1}, {1, -1}}, on[2][2] = {{1, -1}, {-1, -1}};
  for (size_t i = 0; i < 12; ++i) {
    for (size_t j = 0; j < 12; ++j) {
      const size_t p = i / 2, q = j / 2;
      const int conference = p == q ? 0 : p == 0 || q == 0 ? 1 : squares[(q + 5 - p) % 5];
      out[i][j] = conference * off[i % 2][j % 2] + (p == q ? on[i % 2][j % 2] : 0);
    }
  }
  return out;
}

// Williamson's array (A B C D; -B A -D C; -C D A -B; -D -C B A) of circulant matrices, given by their first rows.
Matrix williamson(const std::vector<std::vector<int>>& rows) {
  const size_t n = rows[0].size();
  constexpr int place[4][4] = {{1, 2, 3, 4}, {-2, 1, -4, 3}, {-3, 4, 1, -2}, {-4, -3, 2, 1}};
  Matrix out(4 * n, std::vector<int>(4 * n));
  for (size_t i = 0; i < 4 * n; ++i) {
    for (size_t j = 0; j < 4 * n; ++j) {
      const int which = place[i / n][j / n];
      const int value = rows[static_cast<size_t>(std::abs(which) - 1)][(j % n + n - i % n) % n];
      out[i][j] = which < 0 ? -value : value;
    }
  }
  return out;
}

Matrix matrix_of(int64_t n) {
  switch (n) {
    case 12: return of_12();
    case 20: return williamson({{1, -1, -1, -1, -1}, {1, -1, -1, -1, -1}, {1, 1, -1, -1, 1}, {1, -1, 1, 1, -1}});
    case 28:
      return williamson({{1, -1, -1, -1, -1, -1, -1}, {1, 1, -1, -1, -1, -1, 1}, {1, -1, 1, -1, -1, 1, -1},
          {1, -1, -1, 1, 1, -1, -1}});
    default: return power_of_two(n);
  }
}

// Of one order in one dtype, with rows and columns exchanged, made once.
array transposed_matrix(int64_t n, Dtype dtype) {
  const Matrix matrix = matrix_of(n);
  std::vector<float> values;
  for (size_t j = 0; j < matrix.size(); ++j) {
    for (const std::vector<int>& row : matrix) values.push_back(static_cast<float>(row[j]));
  }
  return array(values.begin(), Shape{n, n}, dtype);
}

// The orders whose Kronecker product is the matrix of order n; none where there is none. Those of powers of two are at
// most 64: larger ones cost more than they save.
std::vector<int64_t> factors_of(int64_t n) {
  int64_t power = n & -n, rest = n / power;
  std::vector<int64_t> factors;
  if (rest == 3 || rest == 5 || rest == 7) {
    if (power < 4) return {};
    factors.push_back(4 * rest);
    power /= 4;
  } else if (rest != 1) {
    return {};
  }
  while (power > 1) {
    const int64_t factor = std::min<int64_t>(power, 64);
    factors.push_back(factor);
    power /= factor;
  }
  if (factors.empty()) factors.push_back(1);
  return factors;
}

} // namespace

array hadamard_transform(const array& a, std::optional<float> scale, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = "hadamard_transform";
  if (a.ndim() == 0) {
    fail(op, "a is a scalar; it should have at least one axis.");
  }
  const int64_t n = a.shape(-1);
  const std::vector<int64_t> factors = n < 1 ? std::vector<int64_t>() : factors_of(n);
  if (factors.empty()) {
    fail(op, "the last axis of a with shape ", a.shape(), " has ", n,
        " elements; it should be m * 2**k of them, with m one of 1, 12, 20 and 28.");
  }
  const Dtype result = a.dtype().is_inexact() ? a.dtype() : float32;
  const Dtype dtype = result.size() == 2 ? float32 : result;
  array y = astype(a, dtype);
  int64_t inner = n;
  for (int64_t factor : factors) {
    inner /= factor;
    if (factor == 1) continue;
    const array matrix = transposed_matrix(factor, dtype);
    if (inner == 1) {
      y = matmul(reshape(y, {-1, factor}), matrix);
    } else {
      y = matmul(swapaxes(matrix, 0, 1), reshape(y, {-1, factor, inner}));
    }
  }
  const double by = scale ? static_cast<double>(*scale) : 1 / std::sqrt(static_cast<double>(n));
  y = reshape(by == 1 ? y : multiply(y, array(by, dtype)), a.shape());
  return dtype == result ? y : astype(y, result);
}

namespace {

constexpr OpInfo hadamard_info{.name = "hadamard_transform",
    .summary = "The last axis times a Hadamard matrix, times scale.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> mx.hadamard_transform(mx.array([1.0, 2.0, 3.0, 4.0]), scale=1.0)\narray([10, -2, -4, 0], "
        "dtype=float32)",
    .details =
        "The axis has n = m * 2**k elements, with m one of 1, 12, 20 and 28; scale is 1 / sqrt(n) unless it is "
        "given, which makes the transform orthogonal. The matrix is that of order m times (Kronecker) those of "
        "order 2; for m = 20 and 28 it is not symmetric, and derivatives go by its transpose. float16 and "
        "bfloat16 are transformed in float32. Raises ValueError for other lengths."};

} // namespace

std::span<const OpInfo* const> hadamard_ops() {
  static constexpr const OpInfo* ops[] = {&hadamard_info};
  return ops;
}

} // namespace mlx::core
