// Where a boolean mask is true.
#include "python/src/indexing/mask_positions.h"

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms.h"
#include "python/src/array/convert.h"

namespace mlx::python {

std::vector<array> mask_positions(const char* op, const array& mask, const char* way_out) {
  if (!way_out) {
    way_out =
        "; use mx.where(mask, x, other), which keeps the shape, or mx.extract(mask, x, size=n), which takes the first "
        "n. Assigning x[mask] = value works.";
  }
  if (mask.node()->level != 0 && core::batched_view(mask)) {
    core::fail(op,
        "inside vmap this boolean mask has other values in each lane, so that the lanes would select different numbers "
        "of elements",
        way_out);
  }
  array flat = core::astype(core::flatten(core::contiguous(mask)), core::uint8);
  try {
    evaluate(flat);
  } catch (const core::NoValue&) {
    core::fail<core::NoValue>(op,
        "the mask has no values while the function is recorded, but their number decides the shape of the result",
        way_out);
  }
  const auto* values = static_cast<const uint8_t*>(flat.raw_data());
  int64_t size = flat.size(), step = flat.strides().empty() ? 1 : flat.strides()[0];
  std::vector<int64_t> places;
  bool narrow = true;
  for (int64_t i = 0; i < size; ++i) {
    if (values[i * step]) {
      places.push_back(i);
    }
  }
  for (int64_t length : sizes_of(mask.shape())) {
    narrow = narrow && length < (int64_t{1} << 31);
  }
  std::vector<array> positions;
  int64_t inner = size;
  for (int64_t length : sizes_of(mask.shape())) {
    inner = length == 0 ? 0 : inner / length; // elements in one step along this axis
    std::vector<int64_t> along;
    along.reserve(places.size());
    for (int64_t place : places) {
      along.push_back(place / inner % length);
    }
    positions.emplace_back(
        along.begin(), Shape{static_cast<int64_t>(along.size())}, narrow ? core::int32 : core::int64);
  }
  return positions;
}

} // namespace mlx::python
