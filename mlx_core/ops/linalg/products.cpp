// Products of two arrays over chosen axes: inner, outer, vecdot, tensordot, kron.
#include "mlx_core/ops/linalg/products.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

array row_products(const array& a, const array& b) {
  if (a.dtype().is_inexact() && a.itemsize() < 4) {
    return astype(sum(multiply(astype(a, float32), astype(b, float32)), Axes{-1}), a.dtype());
  }
  Dtype dtype = summed_dtype(a.dtype());
  return sum(multiply(astype(a, dtype), astype(b, dtype)), Axes{-1});
}

array matrix_product(const array& a, const array& b) {
  Dtype dtype = summed_dtype(a.dtype());
  return matmul(astype(a, dtype), astype(b, dtype));
}

namespace {

// Both arguments in the dtype they promote to.
std::pair<array, array> promoted(const array& a, const array& b) {
  Dtype dtype = promote_types(a.dtype(), b.dtype());
  return {astype(a, dtype), astype(b, dtype)};
}

// The rows that the last axis makes, as a matrix of them.
array rows_of(const array& a) { return a.ndim() == 1 ? expand_dims(a, {0}) : flatten(a, 0, -2); }

} // namespace

// --- inner, outer, vecdot ---

static constexpr OpInfo inner_info{.name = "inner",
    .summary = "The sums of products over the last axes of two arrays.",
    .example = ">>> mx.inner(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))\narray(11, dtype=float32)",
    .details =
        "The result has the other axes of a, then those of b; for matrices it is a @ b.T. With a scalar it is the "
        "plain product. Complex numbers are not conjugated. Integers are summed as sum() does, in 32 bits where they "
        "are narrower. Raises ValueError when the last axes have different lengths."};
array inner(const array& a, const array& b, StreamOrDevice s) try {
  StreamScope on(s);
  if (a.ndim() == 0 || b.ndim() == 0) {
    return multiply(a, b);
  }
  if (surely_differ(a.shape(-1), b.shape(-1))) {
    fail("inner", "the last axes differ: a with shape ", a.shape(), " has ", a.shape(-1), " there, b with shape ",
        b.shape(), " has ", b.shape(-1), ".");
  }
  auto [x, y] = promoted(a, b);
  Shape shape(a.shape().begin(), a.shape().end() - 1);
  for (size_t i = 0; i + 1 < b.shape().size(); ++i) {
    shape.push_back(b.shape()[i]);
  }
  return reshape(matrix_product(rows_of(x), swapaxes(rows_of(y), 0, 1)), std::move(shape));
} catch (const SizeError& error) {
  error.rethrow_in("inner");
}

static constexpr OpInfo outer_info{.name = "outer",
    .summary = "The products of every element of one array with every element of another, as a matrix.",
    .example = ">>> mx.outer(mx.array([1, 2]), mx.array([3, 4]))\narray([[3, 4],\n       [6, 8]], dtype=int32)",
    .details = "Arguments are flattened: rows belong to a, columns to b."};
array outer(const array& a, const array& b, StreamOrDevice s) try {
  StreamScope on(s);
  return multiply(expand_dims(flatten(a), {1}), flatten(b));
} catch (const SizeError& error) {
  error.rethrow_in("outer");
}

static constexpr OpInfo vecdot_info{.name = "vecdot",
    .summary = "The sums of products along an axis of two arrays, which broadcast along the others.",
    .example = ">>> mx.vecdot(mx.array([[1, 2], [3, 4]]), mx.array([[5, 6], [7, 8]]))\narray([17, 53], dtype=int32)",
    .details =
        "The elements of a are conjugated. axis counts in each array by itself. Integers keep their dtype and wrap "
        "around, as in matmul: for a wide sum convert an operand first. Bools are counted. Raises ValueError when the "
        "axes have different lengths or one of the arrays is a scalar."};
array vecdot(const array& a, const array& b, int axis, StreamOrDevice s) try {
  StreamScope on(s);
  if (a.ndim() == 0 || b.ndim() == 0) {
    fail("vecdot", "a has shape ", a.shape(), " and b has shape ", b.shape(), "; both need at least one dimension.");
  }
  int of_a = normalize_axis("vecdot", axis, a.ndim()), of_b = normalize_axis("vecdot", axis, b.ndim());
  if (surely_differ(a.shape(of_a), b.shape(of_b))) {
    fail("vecdot", "axis ", axis, " has length ", a.shape(of_a), " in a with shape ", a.shape(), " and ", b.shape(of_b),
        " in b with shape ", b.shape(), ".");
  }
  auto [x, y] = promoted(a, b);
  array products = row_products(conj_of(moveaxis(x, of_a, -1)), moveaxis(y, of_b, -1));
  return x.dtype().is_bool() ? products : astype(products, x.dtype());
} catch (const SizeError& error) {
  error.rethrow_in("vecdot");
}

static constexpr OpInfo dot_info{.name = "dot",
    .summary = "The dot product: of vectors, of matrices, and over the last axis of a and the last but one of b.",
    .example = ">>> mx.dot(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))\narray(11, dtype=float32)",
    .details =
        "With a scalar it is the plain product. Of more than two axes, the result has the other axes of a, then those "
        "of b; matmul instead takes them as batches. Complex numbers are not conjugated."};
array dot(const array& a, const array& b, StreamOrDevice s) try {
  StreamScope on(s);
  if (a.ndim() == 0 || b.ndim() == 0) {
    return multiply(a, b);
  }
  return tensordot(a, b, Axes{-1}, Axes{b.ndim() == 1 ? 0 : -2});
} catch (const SizeError& error) {
  error.rethrow_in("dot");
}

// --- tensordot ---

static constexpr OpInfo tensordot_info{.name = "tensordot",
    .summary = "The sums of products over chosen axes of two arrays.",
    .example =
        ">>> mx.tensordot(mx.ones((2, 3)), mx.ones((3, 4)), 1).shape\n(2, 4)\n"
        ">>> mx.tensordot(mx.ones((2, 3)), mx.ones((2, 3)), [[0, 1], [0, 1]])\narray(6, dtype=float32)",
    .details =
        "axes is a pair of lists: those of a, and those of b that they are summed with; or a number n, for the last n "
        "of a and the first n of b. The result has the other axes of a, then those of b. Integers keep their dtype, as "
        "in matmul. Raises ValueError when lengths along a pair of axes differ."};
array tensordot(const array& a, const array& b, const Axes& axes_a, const Axes& axes_b, StreamOrDevice s) try {
  StreamScope on(s);
  if (axes_a.size() != axes_b.size()) {
    fail("tensordot", "axes are ", axes_a, " of a and ", axes_b, " of b; there must be as many of either.");
  }
  normalize_axes("tensordot", axes_a, a.ndim()); // throws when one is repeated
  normalize_axes("tensordot", axes_b, b.ndim());
  Axes summed_a, summed_b;
  for (size_t i = 0; i < axes_a.size(); ++i) {
    summed_a.push_back(normalize_axis("tensordot", axes_a[i], a.ndim()));
    summed_b.push_back(normalize_axis("tensordot", axes_b[i], b.ndim()));
    Dim of_a = a.shape(summed_a.back()), of_b = b.shape(summed_b.back());
    if (surely_differ(of_a, of_b)) {
      fail("tensordot", "axis ", axes_a[i], " of a with shape ", a.shape(), " has length ", of_a, ", but axis ",
          axes_b[i], " of b with shape ", b.shape(), " has length ", of_b, ".");
    }
  }
  auto [x, y] = promoted(a, b);
  Axes order_a, order_b = summed_b;
  Shape shape;
  Dim rows = 1, summed = 1, columns = 1;
  for (int i = 0; i < a.ndim(); ++i) {
    if (std::find(summed_a.begin(), summed_a.end(), i) == summed_a.end()) {
      order_a.push_back(i);
      shape.push_back(a.shape(i));
      rows *= a.shape(i);
    } else {
      summed *= a.shape(i);
    }
  }
  for (int axis : summed_a) {
    order_a.push_back(axis);
  }
  for (int i = 0; i < b.ndim(); ++i) {
    if (std::find(summed_b.begin(), summed_b.end(), i) == summed_b.end()) {
      order_b.push_back(i);
      shape.push_back(b.shape(i));
      columns *= b.shape(i);
    }
  }
  array left = reshape(transpose(x, order_a), {rows, summed}),
        right = reshape(transpose(y, order_b), {summed, columns});
  // Integers keep their dtype, as those of matmul; bools are counted.
  array product = axes_a.empty()        ? multiply(left, right)
                  : x.dtype().is_bool() ? matrix_product(left, right)
                                        : matmul(left, right);
  return reshape(product, std::move(shape));
} catch (const SizeError& error) {
  error.rethrow_in("tensordot");
}
array tensordot(const array& a, const array& b, int axes, StreamOrDevice s) {
  if (axes < 0 || axes > a.ndim() || axes > b.ndim()) {
    fail("tensordot", "axes is ", axes, "; for shapes ", a.shape(), " and ", b.shape(), " it can be from 0 to ",
        std::min(a.ndim(), b.ndim()), ".");
  }
  Axes last, first;
  for (int i = 0; i < axes; ++i) {
    last.push_back(a.ndim() - axes + i);
    first.push_back(i);
  }
  return tensordot(a, b, last, first, s);
}

// --- kron ---

static constexpr OpInfo kron_info{.name = "kron",
    .summary = "The Kronecker product: every element of a times the whole of b, put in the element's place.",
    .example = ">>> mx.kron(mx.array([1, 10]), mx.array([1, 2]))\narray([1, 2, 10, 20], dtype=int32)",
    .details = "The array with fewer dimensions gets leading axes of length 1; lengths multiply."};
array kron(const array& a, const array& b, StreamOrDevice s) try {
  StreamScope on(s);
  size_t rank = std::max(a.shape().size(), b.shape().size());
  size_t skip_a = rank - a.shape().size(), skip_b = rank - b.shape().size();
  Shape apart_a, apart_b, merged;
  for (size_t i = 0; i < rank; ++i) {
    Dim of_a = i < skip_a ? Dim(1) : a.shape()[i - skip_a], of_b = i < skip_b ? Dim(1) : b.shape()[i - skip_b];
    for (Dim d : {of_a, Dim(1)}) {
      apart_a.push_back(d);
    }
    for (Dim d : {Dim(1), of_b}) {
      apart_b.push_back(d);
    }
    merged.push_back(of_a * of_b);
  }
  return reshape(multiply(reshape(a, std::move(apart_a)), reshape(b, std::move(apart_b))), std::move(merged));
} catch (const SizeError& error) {
  error.rethrow_in("kron");
}

std::span<const OpInfo* const> product_ops() {
  static constexpr const OpInfo* ops[] = {
      &dot_info, &inner_info, &outer_info, &vecdot_info, &tensordot_info, &kron_info};
  return ops;
}

} // namespace mlx::core
