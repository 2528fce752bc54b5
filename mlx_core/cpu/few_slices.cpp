// Reading and writing a few slices at indices.
#include "mlx_core/cpu/few_slices.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "mlx_core/cpu/copy_bytes.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/gather_elements.h"

namespace mlx::core::cpu {

namespace {

// A call of the kernel costs more than adding a few numbers.
template <typename T>
void add_onto(void* to, const void* from, int64_t n) {
  constexpr int64_t few = 4;
  if constexpr (!is_half<T> && !std::is_same_v<T, bool>) {
    using U = std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type; // wraps
    if (n <= few) {
      auto* sum = static_cast<U*>(to);
      auto* term = static_cast<const U*>(from);
      for (int64_t i = 0; i < n; ++i) sum[i] = static_cast<U>(sum[i] + term[i]);
      return;
    }
  }
  static const Kernel add = find_kernel(Body::add, dtype_of<T>::val);
  const void* in[] = {to, from};
  add(in, to, n);
}

int64_t index_at(const FewSlices::Along& along, const void* index) {
  int64_t at;
  if (along.dtype == int32) {
    at = *static_cast<const int32_t*>(index);
  } else if (along.dtype == int64) {
    at = *static_cast<const int64_t*>(index);
  } else {
    read_indices(index, along.dtype, 1, 1, &at);
  }
  return checked_index(along.bounds, at) * along.step;
}

} // namespace

AddOnto find_add_onto(Dtype dtype) {
  AddOnto found = nullptr;
  with_type(dtype, [&]<typename T>(std::type_identity<T>) { found = add_onto<T>; });
  return found;
}

int64_t FewSlices::find_one(const void* const* indices) const {
  int64_t offset = 0;
  for (const Along& each : along) offset += index_at(each, *indices++);
  return offset;
}

void FewSlices::find(const void* const* indices, int64_t* offsets) const {
  std::fill_n(offsets, count, int64_t{0});
  for (const Along& each : along) {
    const void* index = *indices++;
    if (each.same) {
      const int64_t offset = index_at(each, index);
      for (int64_t i = 0; i < count; ++i) offsets[i] += offset;
      continue;
    }
    int64_t at[most];
    read_indices(index, each.dtype, 1, count, at);
    for (int64_t i = 0; i < count; ++i) offsets[i] += checked_index(each.bounds, at[i]) * each.step;
  }
}

// Single elements, by vectors; false where that is not possible, as where an index is outside.
bool FewSlices::read_elements(const void* x, const void* index, void* out) const {
  constexpr int64_t fewest = 16, largest = std::numeric_limits<int32_t>::max();
  const Along& each = along[0];
  const int64_t length = each.bounds.length, apart = each.step / bytes;
  const bool has_vectors = each.dtype == int32 || each.dtype == uint32 || each.dtype == int64;
  if (elements != 1 || along.size() != 1 || each.same || count < fewest || !has_vectors || length == 0 ||
      length > largest || (length - 1) * apart > largest) {
    return false;
  }
  const ElementIndex by{index, each.dtype, static_cast<int32_t>(length), static_cast<int32_t>(apart)};
  const GatherElements run = find_gather_elements(static_cast<int>(bytes));
  return run && run(x, {&by, 1}, count, out) == count;
}

void FewSlices::read(const void* x, const void* const* indices, void* out) const {
  auto* from = static_cast<const char*>(x);
  auto* to = static_cast<char*>(out);
  if (count == 1) {
    return copy_bytes(to, from + find_one(indices), static_cast<size_t>(bytes));
  }
  if (read_elements(x, indices[0], out)) {
    return;
  }
  int64_t offsets[most];
  find(indices, offsets);
  for (int64_t i = 0; i < count; ++i) copy_bytes(to + i * bytes, from + offsets[i], static_cast<size_t>(bytes));
}

void FewSlices::write(const void* updates, const void* const* indices, void* x) const {
  auto* from = static_cast<const char*>(updates);
  auto* to = static_cast<char*>(x);
  int64_t offsets[most];
  if (count == 1) {
    offsets[0] = find_one(indices);
  } else {
    find(indices, offsets);
  }
  for (int64_t i = 0; i < count; ++i, from += bytes) {
    if (add) {
      add(to + offsets[i], from, elements);
    } else {
      copy_bytes(to + offsets[i], from, static_cast<size_t>(bytes));
    }
  }
}

} // namespace mlx::core::cpu
