// Every other element of a line, or each third or fourth: all are read, and the first of each pair, three or four kept.
// And lines from the last element to the first.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/copy_every.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/copy_every.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Whole vectors, as long as no element of the line is behind the last of them; how many elements these are.
template <class D, class F>
HWY_INLINE int64_t by_vectors(D d, hn::TFromD<D>* out, int64_t n, F vector_from) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes < n; i += lanes) {
    hn::StoreU(vector_from(i), d, out + i);
  }
  return i;
}

template <class T>
int64_t copy_first_of_pairs(void* to, const void* from, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* in = static_cast<const T*>(from);
  T* out = static_cast<T*>(to);
  by_vectors(d, out, n,
      [=](int64_t i) { return hn::ConcatEven(d, hn::LoadU(d, in + 2 * i + lanes), hn::LoadU(d, in + 2 * i)); });
  if (n < lanes) {
    return 0;
  }
  // The last ones, some of them again. What is read ends with the last one: of the high half the odd ones count.
  const int64_t i = n - lanes;
  const auto low = hn::LoadU(d, in + 2 * i), high = hn::LoadU(d, in + 2 * i + lanes - 1);
  hn::StoreU(hn::ConcatUpperLower(d, hn::ConcatOdd(d, high, high), hn::ConcatEven(d, low, low)), d, out + i);
  return n;
}

// Pairs of elements are integers of twice their bits, whose low halves are the first ones: all targets are
// little-endian.
template <class Half, class Whole>
int64_t copy_low_halves(void* to, const void* from, int64_t n) {
  const hn::ScalableTag<Whole> d;
  const hn::Rebind<Half, decltype(d)> halves;
  const hn::Repartition<Half, decltype(d)> pairs;
  const auto* in = static_cast<const Half*>(from);
  const auto low = hn::Set(d, static_cast<Whole>(static_cast<Half>(~Half{0})));
  return by_vectors(halves, static_cast<Half*>(to), n,
      [=](int64_t i) { return hn::DemoteTo(halves, hn::And(hn::BitCast(d, hn::LoadU(pairs, in + 2 * i)), low)); });
}

template <class T>
int64_t copy_first_of_fours(void* to, const void* from, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* in = static_cast<const T*>(from);
  return by_vectors(d, static_cast<T*>(to), n, [=](int64_t i) {
    const auto v = [=](int k) { return hn::LoadU(d, in + 4 * i + k * lanes); };
    return hn::ConcatEven(d, hn::ConcatEven(d, v(3), v(2)), hn::ConcatEven(d, v(1), v(0)));
  });
}

// Lane i is lane 3 i of three vectors side by side.
template <class T>
int64_t copy_first_of_threes(void* to, const void* from, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN T places[hn::MaxLanes(d)], vectors[hn::MaxLanes(d)];
  for (int64_t i = 0; i < lanes; ++i) {
    places[i] = static_cast<T>(3 * i % lanes), vectors[i] = static_cast<T>(3 * i / lanes);
  }
  const auto place = hn::IndicesFromVec(d, hn::Load(d, places));
  const auto in_second = hn::Eq(hn::Load(d, vectors), hn::Set(d, T{1}));
  const auto in_third = hn::Eq(hn::Load(d, vectors), hn::Set(d, T{2}));
  const T* in = static_cast<const T*>(from);
  return by_vectors(d, static_cast<T*>(to), n, [=](int64_t i) {
    const auto v = [=](int k) { return hn::TableLookupLanes(hn::LoadU(d, in + 3 * i + k * lanes), place); };
    return hn::IfThenElse(in_third, v(2), hn::IfThenElse(in_second, v(1), v(0)));
  });
}

// Narrow elements, as of an image's channels: of each of `step` blocks of 16 bytes those that are of the line.
template <int64_t size, int64_t step>
int64_t copy_of_blocks(void* to, const void* from, int64_t n) {
  const hn::FixedTag<uint8_t, 16> d;
  constexpr int64_t elements = 16 / size;
  HWY_ALIGN uint8_t places[step][16];
  for (int64_t k = 0; k < step; ++k) {
    for (int64_t i = 0; i < 16; ++i) {
      const int64_t place = i / size * step * size + i % size - 16 * k;
      places[k][i] = place >= 0 && place < 16 ? static_cast<uint8_t>(place) : 0x80; // 0
    }
  }
  const auto* in = static_cast<const uint8_t*>(from);
  auto* out = static_cast<uint8_t*>(to);
  int64_t i = 0;
  for (; i + elements < n; i += elements, in += 16 * step, out += 16) {
    auto v = hn::TableLookupBytesOr0(hn::LoadU(d, in), hn::Load(d, places[0]));
    for (int64_t k = 1; k < step; ++k) {
      v = hn::Or(v, hn::TableLookupBytesOr0(hn::LoadU(d, in + 16 * k), hn::Load(d, places[k])));
    }
    hn::StoreU(v, d, out);
  }
  return i;
}

template <class D>
HWY_INLINE hn::Vec<D> reverse(D d, hn::Vec<D> v) {
  if constexpr (sizeof(hn::TFromD<D>) == 1) {
    const hn::Repartition<uint16_t, D> pairs;
    const auto back = hn::Reverse(pairs, hn::BitCast(pairs, v));
    return hn::BitCast(d, hn::Or(hn::ShiftLeft<8>(back), hn::ShiftRight<8>(back)));
  } else {
    return hn::Reverse(d, v);
  }
}

// from[0], from[-1], ... The last vector has some of them again.
template <class T>
int64_t copy_reversed(void* to, const void* from, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (n < lanes) {
    return 0;
  }
  const T* in = static_cast<const T*>(from) + 1 - lanes;
  T* out = static_cast<T*>(to);
  by_vectors(d, out, n, [=](int64_t i) { return reverse(d, hn::LoadU(d, in - i)); });
  const int64_t i = n - lanes;
  hn::StoreU(reverse(d, hn::LoadU(d, in - i)), d, out + i);
  return n;
}

int64_t copy_backwards(void* to, const void* from, int64_t n, int item_size) {
  switch (item_size) {
    case 1: return copy_reversed<uint8_t>(to, from, n);
    case 2: return copy_reversed<uint16_t>(to, from, n);
    case 4: return copy_reversed<uint32_t>(to, from, n);
    case 8: return copy_reversed<uint64_t>(to, from, n);
    default: return 0;
  }
}

// Wider elements with steps of three and four are as quick one by one.
int64_t copy_every(int64_t step, void* to, const void* from, int64_t n, int item_size) {
  if (step == -1) {
    return copy_backwards(to, from, n, item_size);
  }
  switch (item_size) {
    case 1:
      return step == 2   ? copy_low_halves<uint8_t, int16_t>(to, from, n)
             : step == 3 ? copy_of_blocks<1, 3>(to, from, n)
                         : copy_of_blocks<1, 4>(to, from, n);
    case 2:
      return step == 2   ? copy_low_halves<uint16_t, int32_t>(to, from, n)
             : step == 3 ? copy_of_blocks<2, 3>(to, from, n)
                         : copy_of_blocks<2, 4>(to, from, n);
    case 4:
      return step == 2   ? copy_first_of_pairs<uint32_t>(to, from, n)
             : step == 3 ? copy_first_of_threes<uint32_t>(to, from, n)
                         : copy_first_of_fours<uint32_t>(to, from, n);
    case 8: return step == 2 ? copy_first_of_pairs<uint64_t>(to, from, n) : 0;
    default: return 0;
  }
}

// Of each vector of elements there are `step` of the line.
template <int step, class T>
int64_t store_by_masks(void* to, const void* from, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN T places[hn::MaxLanes(d)], are_of_line[hn::MaxLanes(d)];
  decltype(hn::IndicesFromVec(d, hn::Zero(d))) place[step];
  decltype(hn::Eq(hn::Zero(d), hn::Zero(d))) mask[step];
#pragma GCC unroll 4
  for (int k = 0; k < step; ++k) {
    for (int64_t i = 0; i < lanes; ++i) {
      places[i] = static_cast<T>((k * lanes + i) / step), are_of_line[i] = (k * lanes + i) % step == 0;
    }
    place[k] = hn::IndicesFromVec(d, hn::Load(d, places));
    mask[k] = hn::Eq(hn::Load(d, are_of_line), hn::Set(d, T{1}));
  }
  const T* in = static_cast<const T*>(from);
  T* out = static_cast<T*>(to);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v = hn::LoadU(d, in + i);
#pragma GCC unroll 4
    for (int k = 0; k < step; ++k) {
      hn::BlendedStore(hn::TableLookupLanes(v, place[k]), mask[k], d, out + step * i + k * lanes);
    }
  }
  return i;
}

template <class T>
int64_t store_by_masks(int64_t step, void* to, const void* from, int64_t n) {
  return step == 2   ? store_by_masks<2, T>(to, from, n)
         : step == 3 ? store_by_masks<3, T>(to, from, n)
                     : store_by_masks<4, T>(to, from, n);
}

// Others than AVX-512 would write what is between, which may be another thread's, or take longer.
int64_t store_every([[maybe_unused]] int64_t step, [[maybe_unused]] void* to, [[maybe_unused]] const void* from,
    [[maybe_unused]] int64_t n, [[maybe_unused]] int size) {
#if HWY_TARGET <= HWY_AVX3
  switch (size) {
    case 4: return store_by_masks<uint32_t>(step, to, from, n);
    case 8: return store_by_masks<uint64_t>(step, to, from, n);
    default: return 0;
  }
#else
  return 0;
#endif
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(copy_every);
HWY_EXPORT(store_every);

int64_t copy_every(int64_t step, void* to, const void* from, int64_t n, int item_size) {
  return HWY_DYNAMIC_DISPATCH(copy_every)(step, to, from, n, item_size);
}

int64_t store_every(int64_t step, void* to, const void* from, int64_t n, int item_size) {
  return HWY_DYNAMIC_DISPATCH(store_every)(step, to, from, n, item_size);
}

} // namespace mlx::core::cpu
#endif
