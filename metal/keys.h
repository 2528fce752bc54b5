// Unsigned keys whose order is that of the elements: for sorting. complex64_t numbers have no such key, and are
// compared.
#pragma once

#include "arguments.h"
#include "numbers.h"

template <typename K>
inline K top_bit() {
  return K(K(1) << (8 * sizeof(K) - 1));
}
template <>
inline complex64_t top_bit<complex64_t>() {
  return make_complex64(0.0f, 0.0f);
}

// The bits of an element as a key: negative numbers have theirs reversed, all NaNs get the largest key.
template <typename K>
inline K key_of(K bits, constant mlx_arguments::Sort& a) {
  const K top = top_bit<K>();
  if (a.kind == 0) {
    return bits;
  }
  if (a.kind == 1) {
    return K(bits ^ top);
  }
  if (K(bits & K(top - 1)) > K(a.infinity)) {
    return K(~K(0));
  }
  K key = (bits & top) != 0 ? K(~bits) : K(bits ^ top);
  return a.equal_zeros && key == K(top - 1) ? top : key;
}
inline complex64_t key_of(complex64_t x, constant mlx_arguments::Sort&) { return x; }

template <typename K>
inline K element_of(K key, constant mlx_arguments::Sort& a) {
  const K top = top_bit<K>();
  if (a.kind == 0) {
    return key;
  }
  if (a.kind == 1) {
    return K(key ^ top);
  }
  return (key & top) != 0 ? K(key ^ top) : K(~key);
}
inline complex64_t element_of(complex64_t x, constant mlx_arguments::Sort&) { return x; }

// Of the first `diagonal` elements of two sorted runs merged, how many are of the first run, whose elements come first
// among equals.
template <typename Keys>
inline uint share_of_first(Keys first, uint first_length, Keys second, uint second_length, uint diagonal) {
  uint low = diagonal > second_length ? diagonal - second_length : 0;
  uint high = min(diagonal, first_length);
  while (low < high) {
    uint middle = (low + high) / 2;
    if (comes_before(second[diagonal - 1 - middle], first[middle])) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}
