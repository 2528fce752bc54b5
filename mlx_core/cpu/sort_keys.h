// Integer keys whose order is that of the elements: unsigned ones for parting by digits, signed ones of 32 or 64 bits
// for sorting by vectors. Complex numbers have no such key: theirs is the number, which `before` compares.
#pragma once

#include <cstring>

#include "mlx_core/cpu/order.h"
#include "mlx_core/cpu/sort_kernels.h"

namespace mlx::core::cpu {

template <typename T>
struct KeyOf {
  using type = std::conditional_t<sizeof(T) == 1, uint8_t,
      std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
};
template <typename T>
  requires is_complex<T>
struct KeyOf<T> {
  using type = T;
};
template <typename T>
using Key = typename KeyOf<T>::type;
template <typename T>
constexpr Key<T> top_bit = Key<T>(Key<T>(1) << (8 * sizeof(T) - 1));
// All bits set where the top one is. Arithmetic, as the signs of numbers are what a branch predicts worst.
template <typename T>
Key<T> spread_top(Key<T> key) {
  return Key<T>(0 - (key >> (8 * sizeof(T) - 1)));
}

// Negative numbers have their bits reversed, and so their order. All NaNs get the largest key.
template <typename T>
Key<T> key_of(T value) {
  if constexpr (is_complex<T>) {
    return value;
  } else {
    Key<T> bits;
    std::memcpy(&bits, &value, sizeof bits);
    if constexpr (std::is_integral_v<T>) {
      return std::is_signed_v<T> ? Key<T>(bits ^ top_bit<T>) : bits;
    } else {
      constexpr Key<T> infinity = sizeof(T) == 8   ? Key<T>(0x7ff0000000000000)
                                  : sizeof(T) == 4 ? Key<T>(0x7f800000)
                                                   : Key<T>(std::is_same_v<T, float16_t> ? 0x7c00 : 0x7f80);
      Key<T> key = Key<T>(bits ^ (spread_top<T>(bits) | top_bit<T>));
      return Key<T>(bits & ~top_bit<T>) > infinity ? Key<T>(~Key<T>(0)) : key; // NaN
    }
  }
}
template <typename T>
T from_key(Key<T> key) {
  if constexpr (is_complex<T>) {
    return key;
  } else {
    if constexpr (std::is_integral_v<T>) {
      key = std::is_signed_v<T> ? Key<T>(key ^ top_bit<T>) : key;
    } else {
      key = Key<T>(key ^ (Key<T>(~spread_top<T>(key)) | top_bit<T>));
    }
    T value;
    std::memcpy(static_cast<void*>(&value), &key, sizeof value);
    return value;
  }
}
// -0 sorts before 0, but a stable order of indices has them equal.
template <typename T>
Key<T> key_of_equals(T value) {
  if constexpr (std::is_integral_v<T> || is_complex<T>) {
    return key_of(value);
  } else {
    Key<T> key = key_of(value);
    return key == Key<T>(top_bit<T> - 1) ? top_bit<T> : key;
  }
}

// A key that carries the place its element came from.
template <typename K>
struct Numbered {
  K key;
  uint32_t index;
};
template <typename K>
K key_in(const K& key) {
  return key;
}
template <typename K>
K key_in(const Numbered<K>& item) {
  return item.key;
}

// --- for vectors ---

template <typename T>
using VectorKey = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
template <typename T>
inline constexpr KeyKind key_kind = !std::is_integral_v<T> ? KeyKind::floating
                                    : std::is_signed_v<T>  ? KeyKind::is_signed
                                                           : KeyKind::is_unsigned;

// Of n elements `step` apart; those as wide as keys are turned where they are to be.
template <typename T>
void vector_keys(const T* from, int64_t step, int64_t n, bool equal_zeros, VectorKey<T>* to) {
  if constexpr (sizeof(T) >= 4) {
    const void* elements = from;
    if (step != 1) {
      for (int64_t i = 0; i < n; ++i) std::memcpy(to + i, from + i * step, sizeof(T));
      elements = to;
    }
    sort_kernels<VectorKey<T>>().to_keys(key_kind<T>, equal_zeros, elements, n, to);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = equal_zeros ? key_of_equals(from[i * step]) : key_of(from[i * step]);
  }
}
template <typename T>
void vector_elements(VectorKey<T>* keys, int64_t n, T* to, int64_t step) {
  if constexpr (sizeof(T) >= 4) {
    sort_kernels<VectorKey<T>>().from_keys(key_kind<T>, keys, n, step == 1 ? static_cast<void*>(to) : keys);
    if (step != 1) {
      for (int64_t i = 0; i < n; ++i) std::memcpy(static_cast<void*>(to + i * step), keys + i, sizeof(T));
    }
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * step] = from_key<T>(static_cast<Key<T>>(keys[i]));
  }
}

} // namespace mlx::core::cpu
