// Unsigned keys whose order is that of the elements, for sorting and parting by digits. Complex numbers have no such
// key: theirs is the number, which `before` compares.
#pragma once

#include <cstring>

#include "mlx_core/cpu/order.h"

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
      Key<T> key = Key<T>(bits ^ (spread_top<T>(bits) | top_bit<T>));
      return is_nan(value) ? Key<T>(~Key<T>(0)) : key;
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

} // namespace mlx::core::cpu
