// Where a boolean mask is true.
#include "python/src/indexing/mask_positions.h"

#include "mlx_core/ops.h"
#include "mlx_core/ops/index/deciding_values.h"
#include "python/src/array/convert.h"

namespace mlx::python {

namespace {

// The indices along each axis of the `count` true elements, in arrays of T.
template <typename T>
std::vector<array> places_of(const uint8_t* values, int64_t size, int64_t step, int64_t count, const Shape& shape) {
  auto made = [count] { return array::uninitialized(Shape{count}, core::Dtype(core::dtype_of<T>::val)); };
  array flat = made();
  auto* places = static_cast<T*>(flat.mutable_data());
  for (int64_t i = 0, k = 0; i < size && k < count; ++i) { // written at once, and again until it is one
    places[k] = static_cast<T>(i);
    k += values[i * step] != 0;
  }
  if (shape.size() == 1) {
    return {flat};
  }
  std::vector<array> positions;
  auto inner = static_cast<T>(size); // elements in one step along the axis
  for (int64_t length : sizes_of(shape)) {
    array along = made();
    if (count > 0) { // else a length may be 0, or not be a T
      inner /= static_cast<T>(length);
      auto* out = static_cast<T*>(along.mutable_data());
      for (int64_t k = 0; k < count; ++k) {
        out[k] = places[k] / inner % static_cast<T>(length);
      }
    }
    positions.push_back(along);
  }
  return positions;
}

} // namespace

std::vector<array> mask_positions(const char* op, const char* name, const array& mask, const char* way_out) {
  if (!way_out) {
    way_out =
        "use mx.where(mask, x, other), which keeps the shape, or mx.extract(mask, x, size=n), which takes the first "
        "n. Assigning x[mask] = value works.";
  }
  array flat = core::astype(core::flatten(core::contiguous(mask)), core::uint8);
  core::deciding(op, name, mask, way_out, [&] { evaluate(flat); });
  const auto* values = static_cast<const uint8_t*>(flat.raw_data());
  int64_t size = flat.size(), step = flat.strides().empty() ? 1 : flat.strides()[0];
  int64_t count = 0;
  for (int64_t i = 0; i < size; ++i) {
    count += values[i * step] != 0;
  }
  // Numbers of 32 bits divide faster.
  return size < (int64_t{1} << 31) ? places_of<int32_t>(values, size, step, count, mask.shape())
                                   : places_of<int64_t>(values, size, step, count, mask.shape());
}

} // namespace mlx::python
