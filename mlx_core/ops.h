// The public operations, in the groups of the families under ops/. Prototypes only.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "mlx_core/array.h"

namespace mlx::core {

// --- elementwise: exponential, trigonometric, hyperbolic, special (ops/<family>.cpp) ---
array exp(const array& a, StreamOrDevice s = {});
array expm1(const array& a, StreamOrDevice s = {});
array log(const array& a, StreamOrDevice s = {});
array log2(const array& a, StreamOrDevice s = {});
array log10(const array& a, StreamOrDevice s = {});
array exp2(const array& a, StreamOrDevice s = {});
array log1p(const array& a, StreamOrDevice s = {});
array sigmoid(const array& a, StreamOrDevice s = {});
array logaddexp(const array& a, const array& b, StreamOrDevice s = {});
array logaddexp2(const array& a, const array& b, StreamOrDevice s = {});
array erf(const array& a, StreamOrDevice s = {});
array erfinv(const array& a, StreamOrDevice s = {});
array sin(const array& a, StreamOrDevice s = {});
array cos(const array& a, StreamOrDevice s = {});
array tan(const array& a, StreamOrDevice s = {});
array arcsin(const array& a, StreamOrDevice s = {});
array arccos(const array& a, StreamOrDevice s = {});
array arctan(const array& a, StreamOrDevice s = {});
array arctan2(const array& a, const array& b, StreamOrDevice s = {});
array sinc(const array& a, StreamOrDevice s = {});
array degrees(const array& a, StreamOrDevice s = {});
array radians(const array& a, StreamOrDevice s = {});
array sinh(const array& a, StreamOrDevice s = {});
array cosh(const array& a, StreamOrDevice s = {});
array tanh(const array& a, StreamOrDevice s = {});
array arcsinh(const array& a, StreamOrDevice s = {});
array arccosh(const array& a, StreamOrDevice s = {});
array arctanh(const array& a, StreamOrDevice s = {});

// --- arithmetic ---
array add(const array& a, const array& b, StreamOrDevice s = {});
array subtract(const array& a, const array& b, StreamOrDevice s = {});
array multiply(const array& a, const array& b, StreamOrDevice s = {});
array divide(const array& a, const array& b, StreamOrDevice s = {});
array floor_divide(const array& a, const array& b, StreamOrDevice s = {});
array remainder(const array& a, const array& b, StreamOrDevice s = {});
std::vector<array> divmod(const array& a, const array& b, StreamOrDevice s = {});
array power(const array& a, const array& b, StreamOrDevice s = {});
array maximum(const array& a, const array& b, StreamOrDevice s = {});
array minimum(const array& a, const array& b, StreamOrDevice s = {});
array fmax(const array& a, const array& b, StreamOrDevice s = {});
array fmin(const array& a, const array& b, StreamOrDevice s = {});
array hypot(const array& a, const array& b, StreamOrDevice s = {});
array copysign(const array& a, const array& b, StreamOrDevice s = {});
array nextafter(const array& a, const array& b, StreamOrDevice s = {});
array signbit(const array& a, StreamOrDevice s = {});
// 0 where either is 0, whatever the other; else a * b. How tangents, cotangents and derivatives meet in the chain rule.
array zero_times(const array& a, const array& b, StreamOrDevice s = {});
array negative(const array& a, StreamOrDevice s = {});
array positive(const array& a, StreamOrDevice s = {});
array abs(const array& a, StreamOrDevice s = {});
array sign(const array& a, StreamOrDevice s = {});
array square(const array& a, StreamOrDevice s = {});
array sqrt(const array& a, StreamOrDevice s = {});
array rsqrt(const array& a, StreamOrDevice s = {});
array reciprocal(const array& a, StreamOrDevice s = {});
array clip(const array& a, const std::optional<array>& a_min, const std::optional<array>& a_max, StreamOrDevice s = {});
array nan_to_num(const array& a, double nan = 0, std::optional<double> posinf = {}, std::optional<double> neginf = {},
    StreamOrDevice s = {});
array where(const array& condition, const array& x, const array& y, StreamOrDevice s = {});

// --- complex parts, casts ---
array real(const array& a, StreamOrDevice s = {});
array imag(const array& a, StreamOrDevice s = {});
array conjugate(const array& a, StreamOrDevice s = {});
array make_complex(const array& re, const array& im, StreamOrDevice s = {});
array angle(const array& a, StreamOrDevice s = {});
array astype(const array& a, Dtype dtype, StreamOrDevice s = {});
// The same bits; the last axis grows or shrinks where the sizes of the dtypes differ.
array view(const array& a, Dtype dtype, StreamOrDevice s = {});

// --- rounding ---
array floor(const array& a, StreamOrDevice s = {});
array ceil(const array& a, StreamOrDevice s = {});
array trunc(const array& a, StreamOrDevice s = {});
array round(const array& a, int decimals = 0, StreamOrDevice s = {});

// --- comparison and logic: bool outputs ---
array equal(const array& a, const array& b, StreamOrDevice s = {});
array not_equal(const array& a, const array& b, StreamOrDevice s = {});
array less(const array& a, const array& b, StreamOrDevice s = {});
array less_equal(const array& a, const array& b, StreamOrDevice s = {});
array greater(const array& a, const array& b, StreamOrDevice s = {});
array greater_equal(const array& a, const array& b, StreamOrDevice s = {});
array logical_not(const array& a, StreamOrDevice s = {});
array logical_and(const array& a, const array& b, StreamOrDevice s = {});
array logical_or(const array& a, const array& b, StreamOrDevice s = {});
array logical_xor(const array& a, const array& b, StreamOrDevice s = {});
array isnan(const array& a, StreamOrDevice s = {});
array isinf(const array& a, StreamOrDevice s = {});
array isfinite(const array& a, StreamOrDevice s = {});
array isposinf(const array& a, StreamOrDevice s = {});
array isneginf(const array& a, StreamOrDevice s = {});
array isclose(const array& a, const array& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false,
    StreamOrDevice s = {});
array allclose(const array& a, const array& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false,
    StreamOrDevice s = {});
array array_equal(const array& a, const array& b, bool equal_nan = false, StreamOrDevice s = {});

// --- bitwise ---
array bitwise_and(const array& a, const array& b, StreamOrDevice s = {});
array bitwise_or(const array& a, const array& b, StreamOrDevice s = {});
array bitwise_xor(const array& a, const array& b, StreamOrDevice s = {});
array left_shift(const array& a, const array& b, StreamOrDevice s = {});
array right_shift(const array& a, const array& b, StreamOrDevice s = {});
array bitwise_invert(const array& a, StreamOrDevice s = {});

// --- creation ---
array full(const Shape& shape, const array& vals, Dtype dtype, StreamOrDevice s = {});
array full(const Shape& shape, const array& vals, StreamOrDevice s = {});
array full_like(const array& a, const array& vals, std::optional<Dtype> dtype = {}, StreamOrDevice s = {});
array zeros(const Shape& shape, Dtype dtype = float32, StreamOrDevice s = {});
array zeros_like(const array& a, StreamOrDevice s = {});
array ones(const Shape& shape, Dtype dtype = float32, StreamOrDevice s = {});
array ones_like(const array& a, StreamOrDevice s = {});
array arange(double start, double stop, double step, Dtype dtype, StreamOrDevice s = {});
// Whole numbers are exact, however large.
namespace detail {
__extension__ typedef __int128 int128_t;
array arange(int128_t start, int128_t stop, int128_t step, Dtype dtype, StreamOrDevice s);
array linspace(int128_t start, int128_t stop, int num, Dtype dtype, bool endpoint, StreamOrDevice s);
} // namespace detail
template <std::integral Start, std::integral Stop, std::integral Step>
array arange(Start start, Stop stop, Step step, Dtype dtype, StreamOrDevice s = {}) {
  return detail::arange(start, stop, step, dtype, s);
}
array arange(double start, double stop, StreamOrDevice s = {});
array arange(int stop, StreamOrDevice s = {});
array linspace(
    double start, double stop, int num = 50, Dtype dtype = float32, bool endpoint = true, StreamOrDevice s = {});
template <std::integral Start, std::integral Stop>
array linspace(
    Start start, Stop stop, int num = 50, Dtype dtype = float32, bool endpoint = true, StreamOrDevice s = {}) {
  return detail::linspace(start, stop, num, dtype, endpoint, s);
}
array eye(Dim n, Dim m, int k, Dtype dtype = float32, StreamOrDevice s = {});
array eye(Dim n, StreamOrDevice s = {});
array identity(Dim n, Dtype dtype = float32, StreamOrDevice s = {});
array tri(Dim n, Dim m, int k, Dtype dtype = float32, StreamOrDevice s = {});
array tril(const array& x, int k = 0, StreamOrDevice s = {});
array triu(const array& x, int k = 0, StreamOrDevice s = {});

// --- shape ---
array reshape(const array& a, Shape shape, StreamOrDevice s = {}); // one entry may be -1
array flatten(const array& a, int start_axis = 0, int end_axis = -1, StreamOrDevice s = {});
array unflatten(const array& a, int axis, Shape shape, StreamOrDevice s = {});
array squeeze(const array& a, const Axes& axes, StreamOrDevice s = {});
array squeeze(const array& a, int axis, StreamOrDevice s = {});
array squeeze(const array& a, StreamOrDevice s = {});
array expand_dims(const array& a, const Axes& axes, StreamOrDevice s = {});
array expand_dims(const array& a, int axis, StreamOrDevice s = {});
array transpose(const array& a, const Axes& axes, StreamOrDevice s = {});
array transpose(const array& a, StreamOrDevice s = {});
array matrix_transpose(const array& a, StreamOrDevice s = {});
array moveaxis(const array& a, int source, int destination, StreamOrDevice s = {});
array swapaxes(const array& a, int axis1, int axis2, StreamOrDevice s = {});
array broadcast_to(const array& a, const Shape& shape, StreamOrDevice s = {});
std::vector<array> broadcast_arrays(const std::vector<array>& arrays, StreamOrDevice s = {});
array concatenate(const std::vector<array>& arrays, int axis = 0, StreamOrDevice s = {});
array stack(const std::vector<array>& arrays, int axis = 0, StreamOrDevice s = {});
std::vector<array> split(const array& a, const Axes& indices, int axis = 0, StreamOrDevice s = {});
std::vector<array> split(const array& a, int sections, int axis = 0, StreamOrDevice s = {});
std::vector<array> unstack(const array& a, int axis = 0, StreamOrDevice s = {});
array contiguous(const array& a, StreamOrDevice s = {});
// The sum over the axes along which `shape` was broadcast to a's shape: broadcast_to's transpose.
array sum_to(const array& a, const Shape& shape, StreamOrDevice s = {});

// --- reading and writing parts ---
array slice(const array& a, Shape start, Shape stop, Shape strides, StreamOrDevice s = {});
array slice(const array& a, Shape start, Shape stop, StreamOrDevice s = {});
array slice_update(
    const array& src, const array& update, Shape start, Shape stop, Shape strides, StreamOrDevice s = {});
array slice_update(const array& src, const array& update, Shape start, Shape stop, StreamOrDevice s = {});
// The part of shape slice_size that starts at the indices `start` along `axes`, and at 0 along the others. A braced
// list is never taken for `start`: slice_update(a, b, {0, 1}, {2, 3}) gives bounds.
namespace detail {
array slice_at(const array& a, const array& start, const Axes& axes, const Shape& slice_size, StreamOrDevice s);
array slice_update_at(const array& src, const array& update, const array& start, const Axes& axes, StreamOrDevice s);
} // namespace detail
template <std::same_as<array> Start>
array slice(const array& a, const Start& start, const Axes& axes, const Shape& slice_size, StreamOrDevice s = {}) {
  return detail::slice_at(a, start, axes, slice_size, s);
}
template <std::same_as<array> Start>
array slice_update(const array& src, const array& update, const Start& start, const Axes& axes, StreamOrDevice s = {}) {
  return detail::slice_update_at(src, update, start, axes, s);
}
// Elements offset + i * strides[0] + ... of the flattened array.
array as_strided(const array& a, Shape shape, Strides strides, int64_t offset, StreamOrDevice s = {});
// a[indices[0], + ...]: indices select along `axes`, broadcast together; the slice read at each has shape slice_sizes.
// The output's shape is the indices' followed by slice_sizes.
array gather(const array& a, const std::vector<array>& indices, const Axes& axes, const Shape& slice_sizes,
    StreamOrDevice s = {});
// a with updates (indices' shape followed by a slice shape) written at the indices; the last of duplicates wins.
array scatter(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s = {});
array scatter_add(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s = {});
array scatter_prod(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s = {});
array scatter_max(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s = {});
array scatter_min(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s = {});
array take(const array& a, const array& indices, int axis, StreamOrDevice s = {});
array take(const array& a, const array& indices, StreamOrDevice s = {});
array take_along_axis(const array& a, const array& indices, int axis, StreamOrDevice s = {});
array put_along_axis(const array& a, const array& indices, const array& values, int axis, StreamOrDevice s = {});
array scatter_add_axis(const array& a, const array& indices, const array& values, int axis, StreamOrDevice s = {});

// --- reductions: over the given axes, one axis, or all of them ---
array sum(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array sum(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array sum(const array& a, bool keepdims = false, StreamOrDevice s = {});
array prod(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array prod(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array prod(const array& a, bool keepdims = false, StreamOrDevice s = {});
array max(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array max(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array max(const array& a, bool keepdims = false, StreamOrDevice s = {});
array min(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array min(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array min(const array& a, bool keepdims = false, StreamOrDevice s = {});
array all(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array all(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array all(const array& a, bool keepdims = false, StreamOrDevice s = {});
array any(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array any(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array any(const array& a, bool keepdims = false, StreamOrDevice s = {});
array mean(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array mean(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array mean(const array& a, bool keepdims = false, StreamOrDevice s = {});
array var(const array& a, const Axes& axes, bool keepdims = false, double ddof = 0, StreamOrDevice s = {});
array var(const array& a, int axis, bool keepdims = false, double ddof = 0, StreamOrDevice s = {});
array var(const array& a, bool keepdims = false, double ddof = 0, StreamOrDevice s = {});
array std(const array& a, const Axes& axes, bool keepdims = false, double ddof = 0, StreamOrDevice s = {});
array std(const array& a, int axis, bool keepdims = false, double ddof = 0, StreamOrDevice s = {});
array std(const array& a, bool keepdims = false, double ddof = 0, StreamOrDevice s = {});
array logsumexp(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array logsumexp(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array logsumexp(const array& a, bool keepdims = false, StreamOrDevice s = {});
array softmax(const array& a, const Axes& axes, bool precise = false, StreamOrDevice s = {});
array softmax(const array& a, int axis, bool precise = false, StreamOrDevice s = {});
array softmax(const array& a, bool precise = false, StreamOrDevice s = {});
array argmin(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array argmin(const array& a, bool keepdims = false, StreamOrDevice s = {});
array argmax(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array argmax(const array& a, bool keepdims = false, StreamOrDevice s = {});

// --- sorting and searching: without an axis, of the flattened array ---
array sort(const array& a, int axis, StreamOrDevice s = {});
array sort(const array& a, StreamOrDevice s = {});
array argsort(const array& a, int axis, StreamOrDevice s = {});
array argsort(const array& a, StreamOrDevice s = {});
array partition(const array& a, int kth, int axis, StreamOrDevice s = {});
array partition(const array& a, int kth, StreamOrDevice s = {});
array argpartition(const array& a, int kth, int axis, StreamOrDevice s = {});
array argpartition(const array& a, int kth, StreamOrDevice s = {});
array topk(const array& a, int k, int axis, StreamOrDevice s = {});
array topk(const array& a, int k, StreamOrDevice s = {});
array searchsorted(
    const array& sorted_sequence, const array& values, const std::string& side = "left", StreamOrDevice s = {});
// The values, then those of index, inverse and counts that are asked for.
std::vector<array> unique(const array& a, int size, bool return_index, bool return_inverse, bool return_counts,
    const std::optional<array>& fill_value = {}, StreamOrDevice s = {});
array unique(const array& a, int size, const std::optional<array>& fill_value = {}, StreamOrDevice s = {});
array median(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array median(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array median(const array& a, bool keepdims = false, StreamOrDevice s = {});
array count_nonzero(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
array count_nonzero(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array count_nonzero(const array& a, bool keepdims = false, StreamOrDevice s = {});
// {minimum, maximum}
std::vector<array> minmax(const array& a, const Axes& axes, bool keepdims = false, StreamOrDevice s = {});
std::vector<array> minmax(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
std::vector<array> minmax(const array& a, bool keepdims = false, StreamOrDevice s = {});

// --- scans: without an axis, of the flattened array ---
array cumsum(const array& a, int axis, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cumsum(const array& a, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cumprod(const array& a, int axis, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cumprod(const array& a, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
// in the dtype of sum and prod, with the initial 0 or 1 before the first one where asked for
array cumulative_sum(const array& a, std::optional<int> axis = {}, std::optional<Dtype> dtype = {},
    bool include_initial = false, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cumulative_prod(const array& a, std::optional<int> axis = {}, std::optional<Dtype> dtype = {},
    bool include_initial = false, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cummax(const array& a, int axis, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cummax(const array& a, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cummin(const array& a, int axis, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cummin(const array& a, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array logcumsumexp(const array& a, int axis, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array logcumsumexp(const array& a, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array diff(const array& a, int n = 1, int axis = -1, StreamOrDevice s = {});

// --- products ---
array matmul(const array& a, const array& b, StreamOrDevice s = {});
array addmm(const array& c, const array& a, const array& b, double alpha = 1, double beta = 1, StreamOrDevice s = {});

// --- padding and rearranging ---
// low[i] elements are added before axis axes[i], and high[i] behind. mode: "constant" (value), "edge", "reflect",
// "symmetric".
array pad(const array& a, const Axes& axes, const Shape& low, const Shape& high, const array& value = array(0),
    const std::string& mode = "constant", StreamOrDevice s = {});
array pad(const array& a, const std::vector<std::pair<int, int>>& pad_width, const array& value = array(0),
    const std::string& mode = "constant", StreamOrDevice s = {});
array pad(const array& a, int pad_width, const array& value = array(0), const std::string& mode = "constant",
    StreamOrDevice s = {});
array tile(const array& a, const Shape& reps, StreamOrDevice s = {});
array repeat(const array& a, int repeats, int axis, StreamOrDevice s = {});
array repeat(const array& a, int repeats, StreamOrDevice s = {}); // of the flattened array
array roll(const array& a, const Shape& shift, const Axes& axes, StreamOrDevice s = {});
array roll(const array& a, int shift, int axis, StreamOrDevice s = {});
array roll(const array& a, int shift, StreamOrDevice s = {}); // in row-major order
array flip(const array& a, const Axes& axes, StreamOrDevice s = {});
array flip(const array& a, int axis, StreamOrDevice s = {});
array flip(const array& a, StreamOrDevice s = {});
array diag(const array& a, int k = 0, StreamOrDevice s = {});
array diagonal(const array& a, int offset = 0, int axis1 = 0, int axis2 = 1, StreamOrDevice s = {});
array trace(const array& a, int offset, int axis1, int axis2, Dtype dtype, StreamOrDevice s = {});
array trace(const array& a, int offset = 0, int axis1 = 0, int axis2 = 1, StreamOrDevice s = {});
std::vector<array> meshgrid(
    const std::vector<array>& arrays, bool sparse = false, const std::string& indexing = "xy", StreamOrDevice s = {});
array atleast_1d(const array& a, StreamOrDevice s = {});
array atleast_2d(const array& a, StreamOrDevice s = {});
array atleast_3d(const array& a, StreamOrDevice s = {});

// --- stacking and turning ---
array vstack(const std::vector<array>& arrays, StreamOrDevice s = {});
array hstack(const std::vector<array>& arrays, StreamOrDevice s = {});
array dstack(const std::vector<array>& arrays, StreamOrDevice s = {});
array column_stack(const std::vector<array>& arrays, StreamOrDevice s = {});
array ravel(const array& a, StreamOrDevice s = {});
array fliplr(const array& a, StreamOrDevice s = {});
array flipud(const array& a, StreamOrDevice s = {});
array rot90(const array& a, int k = 1, const Axes& axes = {0, 1}, StreamOrDevice s = {});

// --- functions given by samples or coefficients ---
array select(const std::vector<array>& conditions, const std::vector<array>& choices, const array& otherwise = array(0),
    StreamOrDevice s = {});
array polyval(const array& p, const array& x, StreamOrDevice s = {});
array interp(const array& x, const array& xp, const array& fp, const std::optional<array>& left = {},
    const std::optional<array>& right = {}, std::optional<double> period = {}, StreamOrDevice s = {});
// spacing: none (1), one for all axes, or one for each: a distance, or coordinates.
std::vector<array> gradient(
    const array& f, const std::vector<array>& spacing, const Axes& axes, int edge_order = 1, StreamOrDevice s = {});
array unwrap(const array& p, std::optional<double> discont = {}, int axis = -1, double period = 6.283185307179586,
    StreamOrDevice s = {});

// --- counting ---
array bincount(const array& x, const std::optional<array>& weights = {}, int64_t minlength = 0,
    std::optional<int64_t> length = {}, StreamOrDevice s = {});
// {counts, edges}
std::vector<array> histogram(const array& a, const array& edges, const std::optional<array>& weights = {},
    bool density = false, StreamOrDevice s = {});
std::vector<array> histogram(const array& a, int bins = 10, std::optional<std::pair<double, double>> range = {},
    const std::optional<array>& weights = {}, bool density = false, StreamOrDevice s = {});

// --- products over chosen axes ---
array dot(const array& a, const array& b, StreamOrDevice s = {});
array inner(const array& a, const array& b, StreamOrDevice s = {});
array outer(const array& a, const array& b, StreamOrDevice s = {});
array vecdot(const array& a, const array& b, int axis = -1, StreamOrDevice s = {});
array tensordot(const array& a, const array& b, const Axes& axes_a, const Axes& axes_b, StreamOrDevice s = {});
array tensordot(const array& a, const array& b, int axes = 2, StreamOrDevice s = {});
array kron(const array& a, const array& b, StreamOrDevice s = {});
array einsum(const std::string& subscripts, const std::vector<array>& operands, StreamOrDevice s = {});
// The order of contractions einsum would take, as positions in the list of operands that are left, and its costs as
// text.
std::pair<std::vector<std::vector<int>>, std::string> einsum_path(
    const std::string& subscripts, const std::vector<array>& operands);

// --- windows ---
array bartlett(int M, StreamOrDevice s = {});
array hanning(int M, StreamOrDevice s = {});
array hamming(int M, StreamOrDevice s = {});
array blackman(int M, StreamOrDevice s = {});

// --- autodiff control ---
array stop_gradient(const array& a, StreamOrDevice s = {});
// The inputs, computed after the dependencies.
std::vector<array> depends(const std::vector<array>& inputs, const std::vector<array>& dependencies);

// --- operators ---
array operator-(const array& a);
array operator+(const array& a, const array& b);
array operator-(const array& a, const array& b);
array operator*(const array& a, const array& b);
array operator/(const array& a, const array& b);
array operator%(const array& a, const array& b);
array operator==(const array& a, const array& b);
array operator!=(const array& a, const array& b);
array operator<(const array& a, const array& b);
array operator<=(const array& a, const array& b);
array operator>(const array& a, const array& b);
array operator>=(const array& a, const array& b);

// A number written beside an array takes the array's dtype when that can hold its kind.
template <typename T>
concept Number = std::is_arithmetic_v<T>;
template <Number T>
array scalar_like(T value, const array& like) {
  bool fits =
      like.dtype().is_inexact() || (std::is_integral_v<T> && (like.dtype().is_integer() || std::is_same_v<T, bool>));
  return fits ? array(value, like.dtype()) : array(value);
}
template <Number T>
array operator+(const array& a, T b) {
  return add(a, scalar_like(b, a));
}
template <Number T>
array operator+(T a, const array& b) {
  return add(scalar_like(a, b), b);
}
template <Number T>
array operator-(const array& a, T b) {
  return subtract(a, scalar_like(b, a));
}
template <Number T>
array operator-(T a, const array& b) {
  return subtract(scalar_like(a, b), b);
}
template <Number T>
array operator*(const array& a, T b) {
  return multiply(a, scalar_like(b, a));
}
template <Number T>
array operator*(T a, const array& b) {
  return multiply(scalar_like(a, b), b);
}
template <Number T>
array operator/(const array& a, T b) {
  return divide(a, scalar_like(b, a));
}
template <Number T>
array operator/(T a, const array& b) {
  return divide(scalar_like(a, b), b);
}

} // namespace mlx::core
