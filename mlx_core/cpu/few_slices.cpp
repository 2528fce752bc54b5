// Reading and writing a few slices at indices.
#include "mlx_core/cpu/few_slices.h"

#include <algorithm>
#include <type_traits>

#include "mlx_core/cpu/copy_bytes.h"
#include "mlx_core/cpu/dispatch.h"

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
    auto* index = static_cast<const char*>(*indices++);
    int64_t apart = each.same ? 0 : each.dtype.size();
    for (int64_t i = 0; i < count; ++i) offsets[i] += index_at(each, index + i * apart);
  }
}

void FewSlices::read(const void* x, const void* const* indices, void* out) const {
  auto* from = static_cast<const char*>(x);
  auto* to = static_cast<char*>(out);
  if (count == 1) {
    return copy_bytes(to, from + find_one(indices), static_cast<size_t>(bytes));
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
