// Functions whose results have shapes that depend on values: of those values they need one, the number of elements
// found, and evaluate what it takes. With a size they evaluate nothing: the first `size` elements found, then
// fill_value.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mlx_core/array.h"

namespace mlx::core {

// For each axis, the indices along it of the elements that are not zero, in row-major order; int32, or int64 where an
// axis has more elements than int32 can count.
std::vector<array> nonzero(
    const array& a, std::optional<int64_t> size = {}, int64_t fill_value = 0, StreamOrDevice s = {});
// The same in the flattened array.
array flatnonzero(const array& a, std::optional<int64_t> size = {}, int64_t fill_value = 0, StreamOrDevice s = {});
// The same as rows, (n, ndim).
array argwhere(const array& a, std::optional<int64_t> size = {}, int64_t fill_value = 0, StreamOrDevice s = {});

// The entries of a along an axis (of the flattened array without one) at which condition, with one axis, is not zero.
array compress(const array& condition, const array& a, std::optional<int> axis = {}, std::optional<int64_t> size = {},
    const std::optional<array>& fill_value = {}, StreamOrDevice s = {});
// The elements of a at which condition, of as many elements, is not zero.
array extract(const array& condition, const array& a, std::optional<int64_t> size = {},
    const std::optional<array>& fill_value = {}, StreamOrDevice s = {});

// What is known of the different elements of an array before it is known how many there are: all of it lazy.
struct Distinct {
  array x;     // flattened
  array order; // sorts x; equal elements keep their order
  array rank;  // int32: of each element in sorted order, the number of its value
  array count; // int32: the number of different elements
  Shape shape; // of the array
};
Distinct distinct(const array& a, StreamOrDevice s = {});

// The different elements, ascending (each NaN is one, -0 and 0 are one); where each occurs first in the flattened
// array; for each element of a the number of its value; how often each occurs. The last three int32. Evaluates
// distinct(a).count.
std::vector<array> unique_all(const Distinct& of, StreamOrDevice s = {});
std::vector<array> unique_all(const array& a, StreamOrDevice s = {});

} // namespace mlx::core
