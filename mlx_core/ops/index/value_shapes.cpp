// Finding the elements that are not zero, and taking them: nonzero, flatnonzero, argwhere, compress, extract.
#include "mlx_core/value_shapes.h"

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/deciding_values.h"
#include "mlx_core/ops/shape/shape.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core {

namespace {

constexpr int64_t most_found = int64_t{1} << 31;

void check_size(const char* op, int64_t size) {
  if (size < 0 || size >= most_found) {
    fail(op, "size is ", size, "; the number of entries must be from 0 to 2147483647.");
  }
}

// What counts the places of `length` elements.
Dtype place_dtype(Dim length) { return !length.is_symbolic() && length >= most_found ? int64 : int32; }

array is_true(const array& a) { return a.dtype().is_bool() ? a : not_equal(a, array(0, a.dtype())); }

int64_t count_of(const char* op, const char* name, const array& mask) {
  return deciding(op, name, mask,
      "give size= (the number of entries that the result shall have, and fill_value= for those not found).",
      [&] { return sum(astype(mask, int64)).item<int64_t>(); });
}

// In the flattened mask, the places of its first `size` true elements, and the mask's size behind the last of them.
array places_of(const array& mask, int64_t size) {
  array counted = cumsum(astype(flatten(mask), place_dtype(mask.size())), 0);
  array numbers = arange(1, static_cast<double>(size) + 1, 1, int32);
  return astype(searchsorted(counted, numbers, "left"), place_dtype(mask.size()));
}

array is_found(const array& places, const array& mask) {
  return less(places, size_number(mask.size(), places.dtype()));
}

} // namespace

static constexpr const char* size_details =
    "The shape depends on the values of a, so that a is evaluated, which compile and vmap cannot do. With size=n there "
    "are "
    "n entries whatever the values: the first n found, and behind them fill_value for each index; nothing is "
    "evaluated.";

static constexpr OpInfo nonzero_info{.name = "nonzero",
    .summary =
        "The indices of the elements that are not zero: for each axis, the indices along it, in row-major order.",
    .differentiable = Differentiable::no,
    .no_derivative = {"the output is indices"},
    .example = ">>> mx.nonzero(mx.array([[3, 0], [0, 4]]))\n(array([0, 1], dtype=int32), array([0, 1], dtype=int32))",
    .details = size_details};
std::vector<array> nonzero(const array& a, std::optional<int64_t> size, int64_t fill_value, StreamOrDevice s) {
  StreamScope on(s);
  if (a.ndim() == 0) {
    fail("nonzero", "a has no axes, so that its element has no index; ask for it with a != 0.");
  }
  array mask = is_true(a);
  int64_t count = size ? *size : count_of("nonzero", "a", mask);
  check_size("nonzero", count);
  array places = places_of(mask, count), found = is_found(places, mask), fill(fill_value, places.dtype());
  std::vector<array> indices;
  Dim inner = 1;
  for (size_t i = a.shape().size(); i-- > 0; inner = inner * a.shape()[i]) {
    array along = inner == 1 ? places : floor_divide(places, size_number(larger_of(inner, 1), places.dtype()));
    along = i == 0 ? along : remainder(along, size_number(larger_of(a.shape()[i], 1), places.dtype()));
    indices.push_back(where(found, along, fill));
  }
  return {indices.rbegin(), indices.rend()};
}

static constexpr OpInfo flatnonzero_info{.name = "flatnonzero",
    .summary = "The indices in the flattened array of the elements that are not zero.",
    .differentiable = Differentiable::no,
    .no_derivative = {"the output is indices"},
    .example = ">>> mx.flatnonzero(mx.array([[3, 0], [0, 4]]))\narray([0, 3], dtype=int32)",
    .details = size_details};
array flatnonzero(const array& a, std::optional<int64_t> size, int64_t fill_value, StreamOrDevice s) {
  StreamScope on(s);
  return nonzero(flatten(a), size, fill_value)[0];
}

static constexpr OpInfo argwhere_info{.name = "argwhere",
    .summary = "The indices of the elements that are not zero, as rows.",
    .differentiable = Differentiable::no,
    .no_derivative = {"the output is indices"},
    .example = ">>> mx.argwhere(mx.array([[3, 0], [0, 4]]))\narray([[0, 0],\n       [1, 1]], dtype=int32)",
    .details = size_details};
array argwhere(const array& a, std::optional<int64_t> size, int64_t fill_value, StreamOrDevice s) {
  StreamScope on(s);
  if (a.ndim() == 0) { // as NumPy has it: one row without indices, or none
    array mask = flatten(is_true(a));
    int64_t count = size ? *size : count_of("argwhere", "a", mask);
    check_size("argwhere", count);
    return zeros({count, 0}, int32);
  }
  return stack(nonzero(a, size, fill_value), 1);
}

static constexpr const char* taken_details =
    "The shape depends on the values of condition, so that it is evaluated, which compile and vmap cannot do. With "
    "size=n "
    "there are n entries whatever the values: the first n found, and behind them fill_value; nothing is evaluated. The "
    "derivative goes to the entries taken.";

static constexpr OpInfo compress_info{.name = "compress",
    .summary = "The entries along an axis at which condition is not zero (of the flattened array without an axis).",
    .example =
        ">>> mx.compress(mx.array([True, False]), mx.array([[1, 2], [3, 4]]), axis=1)\narray([[1],\n       [3]], "
        "dtype=int32)",
    .details = taken_details};
array compress(const array& condition, const array& a, std::optional<int> axis, std::optional<int64_t> size,
    const std::optional<array>& fill_value, StreamOrDevice s) {
  StreamScope on(s);
  array x = axis ? a : flatten(a);
  int at = axis ? normalize_axis("compress", *axis, a.ndim()) : 0;
  Dim length = x.shape(at);
  if (condition.ndim() != 1) {
    fail("compress", "condition has shape ", condition.shape(), "; it must have one axis.");
  }
  if (Dim given = condition.shape(0); !given.is_symbolic() && !length.is_symbolic() && given > length) {
    fail("compress", "condition has ", given, " entries for the ", length, " along axis ", at, " of shape ", x.shape(),
        "; it must not have more.");
  }
  array mask = is_true(condition);
  int64_t count = size ? *size : count_of("compress", "condition", mask);
  check_size("compress", count);
  array fill = fill_value ? astype(*fill_value, x.dtype()) : array(0, x.dtype());
  if (length == 0) {
    Shape shape = x.shape();
    shape[static_cast<size_t>(at)] = count;
    return full(shape, fill, x.dtype());
  }
  array places = places_of(mask, count), found = is_found(places, mask);
  array taken = take(x, where(found, places, array(0, places.dtype())), at);
  if (!size) {
    return taken;
  }
  Shape along(x.shape().size(), Dim(1));
  along[static_cast<size_t>(at)] = count;
  return where(reshape(found, along), taken, fill);
}

static constexpr OpInfo extract_info{.name = "extract",
    .summary = "The elements of a at which condition is not zero, in row-major order.",
    .example = ">>> x = mx.array([[1, 2], [3, 4]])\n>>> mx.extract(x % 2 == 0, x)\narray([2, 4], dtype=int32)",
    .details = taken_details};
array extract(const array& condition, const array& a, std::optional<int64_t> size,
    const std::optional<array>& fill_value, StreamOrDevice s) {
  StreamScope on(s);
  return compress(flatten(condition), flatten(a), 0, size, fill_value);
}

std::span<const OpInfo* const> value_shape_ops() {
  static constexpr const OpInfo* ops[] = {
      &nonzero_info, &flatnonzero_info, &argwhere_info, &compress_info, &extract_info};
  return ops;
}

} // namespace mlx::core
