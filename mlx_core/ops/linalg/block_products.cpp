// Matrix products of blocks, of chosen matrices and of segments: compositions, and so differentiable in everything, of
// products.
#include "mlx_core/block_products.h"

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linalg/chosen_products.h"

namespace mlx::core {

namespace {

void check_matrices(const char* op, const array& a, const array& b) {
  if (a.ndim() < 2 || b.ndim() < 2) {
    fail(op, "a has shape ", a.shape(), " and b has shape ", b.shape(), "; both need at least two dimensions.");
  }
  if (surely_differ(a.shape(-1), b.shape(-2))) {
    fail(op, "inner dimensions differ: the last of a with shape ", a.shape(), " is ", a.shape(-1),
        ", but the second to last of b with shape ", b.shape(), " is ", b.shape(-2), ".");
  }
}

Dim blocks_of(Dim length, int size) { return (length + (size - 1)) / size; }

// An element of the mask for each one of a block, for matrices of this size.
array spread(const char* op, const char* name, const array& mask, int size, Dim rows, Dim columns) {
  Dim down = blocks_of(rows, size), across = blocks_of(columns, size);
  if (mask.ndim() < 2 || surely_differ(mask.shape(-2), down) || surely_differ(mask.shape(-1), across)) {
    fail(op, name, " has shape ", mask.shape(), ", but ", rows, " x ", columns, " elements in blocks of ", size, " x ",
        size, " make ", down, " x ", across, " of them; its last two axes should have these lengths.");
  }
  const int rank = mask.ndim();
  Shape shape = mask.shape();
  shape.insert(shape.begin() + (rank - 1), size);
  shape.push_back(size);
  array wide = broadcast_to(expand_dims(expand_dims(mask, -1), rank - 1), shape);
  wide = flatten(flatten(wide, -2, -1), -3, -2);
  Shape start(wide.shape().size(), 0), stop = wide.shape();
  stop[stop.size() - 2] = rows, stop[stop.size() - 1] = columns;
  return slice(wide, start, stop);
}

// What is masked out is 0, whatever it was.
array masked(const char* op, const char* name, const array& a, const std::optional<array>& mask, int size) {
  if (!mask) {
    return a;
  }
  array each = spread(op, name, *mask, size, a.shape(-2), a.shape(-1));
  return each.dtype() == bool_ ? where(each, a, array(0, a.dtype())) : multiply(astype(each, a.dtype()), a);
}

} // namespace

array block_masked_mm(const array& a, const array& b, int block_size, std::optional<array> mask_out,
    std::optional<array> mask_lhs, std::optional<array> mask_rhs, StreamOrDevice s) try {
  StreamScope on(s);
  const char* op = "block_masked_mm";
  check_matrices(op, a, b);
  if (block_size < 1) {
    fail(op, "block_size is ", block_size, "; it should be at least 1.");
  }
  Dtype dtype = promote_types(a.dtype(), b.dtype());
  array y = matmul(masked(op, "mask_lhs", astype(a, dtype), mask_lhs, block_size),
      masked(op, "mask_rhs", astype(b, dtype), mask_rhs, block_size));
  return masked(op, "mask_out", y, mask_out, block_size);
} catch (const SizeError& error) {
  error.rethrow_in("block_masked_mm");
}

array gather_mm(const array& a, const array& b, std::optional<array> lhs_indices, std::optional<array> rhs_indices,
    bool, StreamOrDevice s) try {
  StreamScope on(s);
  const char* op = "gather_mm";
  check_matrices(op, a, b);
  auto check = [&](const char* name, const std::optional<array>& indices) {
    if (indices && !indices->dtype().is_integer()) {
      fail<TypeError>(op, name, " is of ", indices->dtype(), "; it should be of integers.");
    }
  };
  check("lhs_indices", lhs_indices);
  check("rhs_indices", rhs_indices);
  auto listed = [](const array& x) { return x.ndim() == 2 ? expand_dims(x, 0) : flatten(x, 0, -3); };
  if (!rhs_indices) {
    return matmul(lhs_indices ? take(listed(a), *lhs_indices, 0) : a, b);
  }
  // Matrices of b are as large as weights, and are not copied for each place where one is chosen.
  Dtype dtype = promote_types(a.dtype(), b.dtype());
  array lefts = lhs_indices ? *lhs_indices : position_numbers(Shape(a.shape().begin(), a.shape().end() - 2));
  Shape shape = broadcast_shapes(op, lefts.shape(), rhs_indices->shape());
  Dim terms = size_of(shape);
  auto row = [&](const array& indices) { return reshape(astype(broadcast_to(indices, shape), int64), {1, 1, terms}); };
  array indices = concatenate({row(lefts), row(*rhs_indices), row(position_numbers(shape))}, 1);
  array y = chosen_products(
      expand_dims(listed(astype(a, dtype)), 0), expand_dims(listed(astype(b, dtype)), 0), indices, {terms});
  shape.push_back(a.shape(-2));
  shape.push_back(b.shape(-1));
  return reshape(y, std::move(shape));
} catch (const SizeError& error) {
  error.rethrow_in("gather_mm");
}

array segmented_mm(const array& a, const array& b, const array& segments, StreamOrDevice s) try {
  StreamScope on(s);
  const char* op = "segmented_mm";
  check_matrices(op, a, b);
  if (a.ndim() != 2 || b.ndim() != 2) {
    fail(op, "a has shape ", a.shape(), " and b has shape ", b.shape(), "; both should have two dimensions.");
  }
  if (segments.ndim() < 1 || surely_differ(segments.shape(-1), 2)) {
    fail(op, "segments has shape ", segments.shape(), "; its last axis should have two elements, first and last + 1.");
  }
  if (!segments.dtype().is_integer()) {
    fail<TypeError>(op, "segments is of ", segments.dtype(), "; it should be of integers.");
  }
  array bounds = astype(segments, int64);
  auto bound = [&](int64_t i) {
    Shape start(bounds.shape().size(), 0), stop = bounds.shape();
    start[start.size() - 1] = i, stop[stop.size() - 1] = i + 1;
    return slice(bounds, start, stop);
  };
  array at = astype(position_numbers({a.shape(-1)}), int64);
  array inside = logical_and(greater_equal(at, bound(0)), less(at, bound(1))); // (..., k)
  return matmul(
      where(expand_dims(inside, -2), a, array(0, a.dtype())), where(expand_dims(inside, -1), b, array(0, b.dtype())));
} catch (const SizeError& error) {
  error.rethrow_in("segmented_mm");
}

namespace {

constexpr OpInfo block_masked_info{.name = "block_masked_mm",
    .summary = "The matrix product with blocks of a, b and the result masked out.",
    .example =
        ">>> keep = mx.array([[True, False]])\n>>> mx.block_masked_mm(mx.ones((1, 2)), mx.ones((2, 2)), 1, "
        "keep)\narray([[2, 0]], dtype=float32)",
    .details =
        "A mask has an element for each block of block_size rows and columns, of which the last ones may be cut "
        "short: mask_out of the result, mask_lhs of a, mask_rhs of b. Bools say what is kept; other masks are "
        "multiplied. Leading axes broadcast. All operands are differentiable."};
constexpr OpInfo gather_mm_info{.name = "gather_mm",
    .summary = "Matrix products of matrices that indices choose: a[lhs_indices] @ b[rhs_indices].",
    .example =
        ">>> a, b = mx.ones((1, 2)), mx.array([[[1.0], [1.0]], [[2.0], [2.0]]])\n>>> mx.gather_mm(a, b, "
        "rhs_indices=mx.array([1, 0])).flatten()\narray([4, 2], dtype=float32)",
    .details =
        "Axes of a and b before the last two count as one, which the indices choose from; without indices they "
        "stay as they are. The chosen stacks broadcast. Matrices of b are read where they lie, those that meet the "
        "same one "
        "as one product; sorted_indices changes nothing, but rows of a that are sorted so are not copied either."};
constexpr OpInfo segmented_info{.name = "segmented_mm",
    .summary = "Products of segments of the inner dimension: a[:, from:to] @ b[from:to] for each of segments.",
    .example =
        ">>> a, b = mx.ones((1, 4)), mx.ones((4, 1))\n>>> mx.segmented_mm(a, b, mx.array([[0, 1], [1, "
        "4]])).flatten()\narray([1, 3], dtype=float32)",
    .details =
        "segments is (..., 2); the result is (..., rows, columns). Ends beyond the matrices are cut off, and a "
        "segment that ends before it begins is empty."};

} // namespace

std::span<const OpInfo* const> block_product_ops() {
  static constexpr const OpInfo* ops[] = {&block_masked_info, &gather_mm_info, &segmented_info};
  return ops;
}

} // namespace mlx::core
