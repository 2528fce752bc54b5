// Stable merge sort of rows, with or without the elements' numbers. A threadgroup sorts a tile, each thread 4 elements of
// it; then tiles are merged in pairs, and each threadgroup finds what it merges by bisection.
#include <metal_stdlib>
using namespace metal;

#include "keys.h"
#include "layout.h"

constant constexpr uint each = 4, most_tile = 1024;

// Four merged elements from place `at` on of two adjacent runs in threadgroup memory.
template <bool numbered, typename K>
inline void merge_four(threadgroup const K* keys, threadgroup const uint* numbers, uint first_length, uint second_length,
    uint at, thread K* some, thread uint* their_numbers) {
  threadgroup const K* second = keys + first_length;
  uint i = share_of_first(keys, first_length, second, second_length, at), j = at - i;
  for (uint k = 0; k < each && i + j < first_length + second_length; ++k) {
    bool from_second = i == first_length || (j < second_length && comes_before(second[j], keys[i]));
    uint place = from_second ? first_length + j : i;
    some[k] = keys[place];
    if (numbered) {
      their_numbers[k] = numbers[place];
    }
    i += from_second ? 0 : 1;
    j += from_second ? 1 : 0;
  }
}

template <typename K, bool numbered>
[[kernel, max_total_threads_per_threadgroup(256)]] void sort_tiles(device const K* in [[buffer(0)]],
    device K* keys_out [[buffer(1)]], device uint* numbers_out [[buffer(2)]],
    constant mlx_arguments::Sort& a [[buffer(3)]], uint group [[threadgroup_position_in_grid]],
    uint thread_number [[thread_index_in_threadgroup]], uint threads [[threads_per_threadgroup]]) {
  threadgroup K keys[most_tile];
  threadgroup uint numbers[numbered ? most_tile : 1];
  uint row = group / a.tiles, first = group % a.tiles * a.tile, count = min(a.tile, a.length - first);
  device const K* from = in + a.from + offset_of(a.in, row) + long(first) * a.step_from;
  for (uint e = thread_number; e < count; e += threads) {
    K bits = from[long(e) * a.step_from];
    keys[e] = a.keys_in ? bits : key_of(bits, a);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);

  const uint at = thread_number * each;
  K some[each];
  uint their_numbers[each];
  uint mine = at < count ? min(each, count - at) : 0;
  for (uint k = 0; k < mine; ++k) { // by insertion
    K key = keys[at + k];
    uint place = k;
    while (place > 0 && comes_before(key, some[place - 1])) {
      some[place] = some[place - 1];
      their_numbers[place] = their_numbers[place - 1];
      --place;
    }
    some[place] = key;
    their_numbers[place] = first + at + k;
  }
  for (uint run = each;; run *= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint k = 0; k < mine; ++k) {
      keys[at + k] = some[k];
      if (numbered) {
        numbers[at + k] = their_numbers[k];
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (run >= count) {
      break;
    }
    if (mine > 0) {
      uint begin = at / (2 * run) * (2 * run), first_length = min(run, count - begin);
      uint second_length = min(run, count - begin - first_length);
      merge_four<numbered>(keys + begin, numbers + (numbered ? begin : 0), first_length, second_length, at - begin, some,
          their_numbers);
    }
  }
  long to = offset_of(a.out, row) + long(first) * a.step_to;
  for (uint e = thread_number; e < count; e += threads) {
    if (a.store_keys) {
      keys_out[to + long(e) * a.step_to] = a.keys_out ? keys[e] : element_of(keys[e], a);
    }
    if (numbered) {
      numbers_out[to + long(e) * a.step_to] = numbers[e];
    }
  }
}

// Rows of keys lie one after another.
template <typename K, bool numbered>
[[kernel, max_total_threads_per_threadgroup(256)]] void merge_tiles(device const K* keys_in [[buffer(0)]],
    device K* keys_out [[buffer(1)]], device uint* numbers_out [[buffer(2)]],
    constant mlx_arguments::Sort& a [[buffer(3)]], device const uint* numbers_in [[buffer(4)]],
    uint group [[threadgroup_position_in_grid]], uint thread_number [[thread_index_in_threadgroup]],
    uint threads [[threads_per_threadgroup]]) {
  threadgroup K keys[most_tile];
  threadgroup uint numbers[numbered ? most_tile : 1];
  uint row = group / a.tiles, first = group % a.tiles * a.tile, count = min(a.tile, a.length - first);
  // The pair of runs that this tile is a part of, and its parts of both.
  uint begin = first / a.run / 2 * a.run * 2;
  uint first_length = min(a.run, a.length - begin), second_length = min(a.run, a.length - begin - first_length);
  device const K* one = keys_in + ulong(row) * a.length + begin;
  device const K* other = one + first_length;
  uint diagonal = first - begin;
  uint one_from = share_of_first(one, first_length, other, second_length, diagonal);
  uint one_to = share_of_first(one, first_length, other, second_length, diagonal + count);
  uint other_from = diagonal - one_from, taken = one_to - one_from;
  for (uint e = thread_number; e < count; e += threads) {
    ulong place = e < taken ? one_from + e : first_length + other_from + e - taken;
    keys[e] = one[place];
    if (numbered) {
      numbers[e] = numbers_in[ulong(row) * a.length + begin + place];
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint at = thread_number * each;
  K some[each];
  uint their_numbers[each];
  uint mine = at < count ? min(each, count - at) : 0;
  if (mine > 0) {
    merge_four<numbered>(keys, numbers, taken, count - taken, at, some, their_numbers);
  }
  long to = offset_of(a.out, row) + long(first) * a.step_to;
  for (uint k = 0; k < mine; ++k) {
    if (a.store_keys) {
      keys_out[to + long(at + k) * a.step_to] = a.keys_out ? some[k] : element_of(some[k], a);
    }
    if (numbered) {
      numbers_out[to + long(at + k) * a.step_to] = their_numbers[k];
    }
  }
}

// What the row of sorted elements has before each value; with `right`, what does not come after it.
template <typename T>
[[kernel]] void search_sorted(device const T* sorted [[buffer(0)]], device const T* values [[buffer(1)]],
    device uint* out [[buffer(2)]], constant mlx_arguments::Search& a [[buffer(3)]],
    uint number [[thread_position_in_grid]]) {
  device const T* row = sorted + a.from + offset_of(a.rows, number);
  T value = values[a.value_from + offset_of(a.values, number)];
  uint first = 0, left = a.length;
  while (left > 0) {
    uint half_of = left > 1 ? left / 2 : 1;
    T element = row[long(first + half_of - 1) * a.step];
    bool further = a.right ? !comes_before(value, element) : comes_before(element, value);
    first += further ? half_of : 0;
    left -= half_of;
  }
  out[number] = first;
}

#define ONE(kernel_name, key, K, numbered, suffix)                                                                  \
  template [[host_name(#kernel_name "_" #key suffix)]] [[kernel]] decltype(kernel_name<K, numbered>) kernel_name<K, numbered>;
#define KEY(key, K)                            \
  ONE(sort_tiles, key, K, false, "")           \
  ONE(sort_tiles, key, K, true, "_numbered")   \
  ONE(merge_tiles, key, K, false, "")          \
  ONE(merge_tiles, key, K, true, "_numbered")
KEY(uint8, uchar)
KEY(uint16, ushort)
KEY(uint32, uint)
KEY(uint64, ulong)
KEY(complex64, complex64_t)

#define SEARCH(in, In) \
  template [[host_name("search_sorted_" #in)]] [[kernel]] decltype(search_sorted<In>) search_sorted<In>;
SEARCH(uint8, uchar)
SEARCH(uint16, ushort)
SEARCH(uint32, uint)
SEARCH(uint64, ulong)
SEARCH(int8, char)
SEARCH(int16, short)
SEARCH(int32, int)
SEARCH(int64, long)
SEARCH(float16, half)
SEARCH(bfloat16, bfloat)
SEARCH(float32, float)
SEARCH(complex64, complex64_t)
