// One element, again and again.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/spread.cpp"
#include "mlx_core/cpu/simd.h"

#include <array>
#include <cstring>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/spread.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
HWY_INLINE void spread(void* to, const void* value, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  T element;
  std::memcpy(&element, value, sizeof(T));
  T* out = static_cast<T*>(to);
  if (n < lanes) {
    for (int64_t i = 0; i < n; ++i) {
      out[i] = element;
    }
    return;
  }
  const auto v = hn::Set(d, element);
  for (int64_t i = 0; i <= n - lanes; i += lanes) {
    hn::StoreU(v, d, out + i);
  }
  hn::StoreU(v, d, out + n - lanes);
}

// 16 bytes are a whole number of a vector's lanes, but for the one lane without vectors.
template <>
HWY_INLINE void spread<Item16>(void* to, const void* value, int64_t n) {
  const hn::ScalableTag<uint64_t> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN uint64_t pair[2];
  std::memcpy(pair, value, sizeof(pair));
  auto* out = static_cast<uint64_t*>(to);
  int64_t i = 0;
  if (lanes > 1) {
    const auto v = hn::LoadDup128(d, pair);
    for (; i <= 2 * n - lanes; i += lanes) {
      hn::StoreU(v, d, out + i);
    }
  }
  for (; i < 2 * n; ++i) {
    out[i] = pair[i % 2];
  }
}

// Of a vector's lanes n times each, n vectors: which lane each of theirs is.
template <int64_t lanes>
inline constexpr auto places_of_short_runs = [] {
  std::array<uint8_t, static_cast<size_t>(lanes * lanes * lanes)> places{};
  for (int64_t n = 1; n < lanes; ++n) {
    for (int64_t i = 0; i < n * lanes; ++i) {
      places[static_cast<size_t>(n * lanes * lanes + i)] = static_cast<uint8_t>(i / n);
    }
  }
  return places;
}();

// Short runs, of a vector's values at once. Returns how many values are done.
template <class T>
HWY_INLINE int64_t spread_vectors(void* to, const void* values, int64_t count, int64_t n) {
  const hn::ScalableTag<T> d;
  constexpr int64_t lanes = hn::MaxLanes(d);
  const hn::Rebind<uint8_t, decltype(d)> bytes;
  const hn::Rebind<uint32_t, decltype(d)> words;
  const T* in = static_cast<const T*>(values);
  T* out = static_cast<T*>(to);
  int64_t done = 0;
  for (; n < lanes && done + lanes <= count; done += lanes) {
    const auto v = hn::LoadU(d, in + done);
    const uint8_t* places = places_of_short_runs<lanes>.data() + n * lanes * lanes;
    for (int64_t k = 0; k < n; ++k, out += lanes, places += lanes) {
      const auto from = hn::PromoteTo(words, hn::LoadU(bytes, places));
      if constexpr (sizeof(T) == 4) {
        hn::StoreU(hn::TableLookupLanes(v, hn::IndicesFromVec(d, from)), d, out);
      } else {
        hn::StoreU(hn::TableLookupLanes(v, hn::IndicesFromVec(d, hn::PromoteTo(d, from))), d, out);
      }
    }
  }
  return done;
}

// The same of a block of 16 bytes, for narrow elements: which of its bytes each of n blocks has.
template <int64_t size>
inline constexpr auto bytes_of_short_runs = [] {
  constexpr int64_t lanes = 16 / size;
  std::array<uint8_t, static_cast<size_t>(lanes * lanes * 16)> places{};
  for (int64_t n = 1; n < lanes; ++n) {
    for (int64_t i = 0; i < n * 16; ++i) {
      places[static_cast<size_t>(n * lanes * 16 + i)] = static_cast<uint8_t>(i / size / n * size + i % size);
    }
  }
  return places;
}();

template <int64_t size>
HWY_INLINE int64_t spread_block(void* to, const void* values, int64_t count, int64_t n) {
  const hn::FixedTag<uint8_t, 16> d;
  constexpr int64_t lanes = 16 / size;
  const auto* in = static_cast<const uint8_t*>(values);
  auto* out = static_cast<uint8_t*>(to);
  int64_t done = 0;
  for (; n < lanes && done + lanes <= count; done += lanes, in += 16) {
    const auto v = hn::LoadU(d, in);
    const uint8_t* places = bytes_of_short_runs<size>.data() + n * lanes * 16;
    for (int64_t k = 0; k < n; ++k, out += 16, places += 16) {
      hn::StoreU(hn::TableLookupBytes(v, hn::LoadU(d, places)), d, out);
    }
  }
  return done;
}

// Longer runs of them: in blocks of 16 bytes, the last of which goes beyond the run, to where the next is written after
// it. Returns how many values are done.
template <class T>
HWY_INLINE int64_t spread_blocks(void* to, const void* values, int64_t count, int64_t n) {
  const hn::CappedTag<T, 16 / sizeof(T)> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d)),
             longest = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const T* in = static_cast<const T*>(values);
  T* out = static_cast<T*>(to);
  const int64_t written = (n + lanes - 1) / lanes * lanes;
  int64_t i = 0;
  for (; n <= longest && i * n + written <= count * n; ++i) {
    const auto v = hn::Set(d, in[i]);
    for (int64_t k = 0; k < written; k += lanes) {
      hn::StoreU(v, d, out + i * n + k);
    }
  }
  return i;
}

template <int size, Spread one>
void each(void* to, const void* values, int64_t count, int64_t n) {
  int64_t done = 0;
  if constexpr (size == 1) {
    done = n < 16 ? spread_block<1>(to, values, count, n) : spread_blocks<uint8_t>(to, values, count, n);
  } else if constexpr (size == 2) {
    done = n < 8 ? spread_block<2>(to, values, count, n) : spread_blocks<uint16_t>(to, values, count, n);
  } else if constexpr (size == 4) {
    done = spread_vectors<uint32_t>(to, values, count, n);
  } else if constexpr (size == 8) {
    done = spread_vectors<uint64_t>(to, values, count, n);
  }
  for (int64_t i = done; i < count; ++i) {
    one(static_cast<char*>(to) + i * n * size, static_cast<const char*>(values) + i * size, n);
  }
}

SpreadEach find_spread_each(int item_size) {
  return with_item(
      item_size, []<class T>(std::type_identity<T>) -> SpreadEach { return &each<sizeof(T), &spread<T>>; });
}

Spread find_spread(int item_size) {
  return with_item(item_size, []<class T>(std::type_identity<T>) -> Spread { return &spread<T>; });
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(find_spread);
HWY_EXPORT(find_spread_each);

Spread find_spread(int item_size) { return HWY_DYNAMIC_DISPATCH(find_spread)(item_size); }
SpreadEach find_spread_each(int item_size) { return HWY_DYNAMIC_DISPATCH(find_spread_each)(item_size); }

} // namespace mlx::core::cpu
#endif
