// What becomes of indices outside of their axis, where they are no error.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mlx_core/ops.h"

namespace mlx::core {

// Of an index i along an axis of length n:
//   raise  IndexError at evaluation
//   clip   the nearest of 0 ... n - 1: a negative one is 0
//   wrap   i modulo n
//   fill   counted from the end where negative; outside, a fill value is read, and nothing written
enum class OutOfBounds : uint8_t { raise, clip, wrap, fill };
// Of its name.
OutOfBounds out_of_bounds(const char* op, const std::string& mode);

// fill_value is one number, by default NaN, or for integers the lowest (signed) or highest (unsigned) and for bools
// true.
array take(const array& a, const array& indices, int axis, OutOfBounds mode,
    const std::optional<array>& fill_value = {}, StreamOrDevice s = {});
array take_along_axis(const array& a, const array& indices, int axis, OutOfBounds mode,
    const std::optional<array>& fill_value = {}, StreamOrDevice s = {});
array put_along_axis(
    const array& a, const array& indices, const array& values, int axis, OutOfBounds mode, StreamOrDevice s = {});
// A slice is inside where all of it is, and clipped so that it is.
array gather(const array& a, const std::vector<array>& indices, const Axes& axes, const Shape& slice_sizes,
    OutOfBounds mode, const std::optional<array>& fill_value = {}, StreamOrDevice s = {});

// The part that starts at computed places, of which elements may be outside. With clip it is moved inside as a whole;
// with wrap and fill each element has a place of its own.
array slice(const array& a, const array& start, const Axes& axes, const Shape& slice_size, OutOfBounds mode,
    const std::optional<array>& fill_value = {}, StreamOrDevice s = {});
array slice_update(const array& src, const array& update, const array& start, const Axes& axes, OutOfBounds mode,
    StreamOrDevice s = {});

// What `write` makes of an array of a's shape and indices that are inside of it; with fill, of an array that has one
// more row, where everything outside is written. `write` changes elements at the indices, and no others.
array write_inside(const char* op, const array& a, const std::vector<array>& indices, const Axes& axes,
    OutOfBounds mode, const std::function<array(const array&, const std::vector<array>&)>& write);

} // namespace mlx::core
