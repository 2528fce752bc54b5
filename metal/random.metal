// Random bits: Threefry-2x32, with the CPU's numbers. A key's output is w = ceil(bytes / 4) words, half = w / 2. Counters
// are (i, i + half + w % 2) for i < half; their two results are word i and word i + half + w % 2. When w is odd, word
// `half` is the first result of (half, 0).
#include <metal_stdlib>

using namespace metal;

inline uint2 mixed(uint2 x, uint distance) {
  x.x += x.y;
  x.y = ((x.y << distance) | (x.y >> (32u - distance))) ^ x.x;
  return x;
}

// Five groups of four rounds, two words of the key schedule added after each group.
inline uint2 threefry(uint2 key, uint2 counter) {
  const uint third = key.x ^ key.y ^ 0x1BD11BDAu;
  uint2 x = counter + key;
  for (uint group = 0; group < 5; ++group) {
    const bool even = group % 2 == 0;
    x = mixed(x, even ? 13 : 17);
    x = mixed(x, even ? 15 : 29);
    x = mixed(x, even ? 26 : 16);
    x = mixed(x, even ? 6 : 24);
    const uint a = (group + 1) % 3, b = (group + 2) % 3;
    x.x += a == 0 ? key.x : a == 1 ? key.y : third;
    x.y += (b == 0 ? key.x : b == 1 ? key.y : third) + group + 1;
  }
  return x;
}

struct Words {
  uint2 values;
  ulong first, second; // their numbers
  bool has_second;
};

inline Words words_of(uint2 key, ulong i, ulong words) {
  const ulong half_words = words / 2, odd = words % 2;
  Words w;
  w.has_second = i < half_words;
  w.first = i;
  w.second = i + half_words + odd;
  w.values = threefry(key, uint2(uint(i), w.has_second ? uint(w.second) : 0u));
  return w;
}

// sizes: counters and bytes of a key. The grid is (counters, keys).
kernel void random_words(device const uint2* keys [[buffer(0)]], device uint* out [[buffer(1)]],
    constant ulong2& sizes [[buffer(2)]], uint2 position [[thread_position_in_grid]]) {
  const ulong words = sizes.y / 4;
  const Words w = words_of(keys[position.y], position.x, words);
  device uint* mine = out + ulong(position.y) * words;
  mine[w.first] = w.values.x;
  if (w.has_second) {
    mine[w.second] = w.values.y;
  }
}

// The same where a key's bytes are no whole words: the last is cut off.
inline void put(device uchar* out, ulong number, uint word, ulong bytes) {
  for (ulong k = 0; k < 4; ++k) {
    if (4 * number + k < bytes) {
      out[4 * number + k] = uchar(word >> (8 * k));
    }
  }
}
kernel void random_bytes(device const uint2* keys [[buffer(0)]], device uchar* out [[buffer(1)]],
    constant ulong2& sizes [[buffer(2)]], uint2 position [[thread_position_in_grid]]) {
  const ulong bytes = sizes.y;
  const Words w = words_of(keys[position.y], position.x, (bytes + 3) / 4);
  device uchar* mine = out + ulong(position.y) * bytes;
  put(mine, w.first, w.values.x, bytes);
  if (w.has_second) {
    put(mine, w.second, w.values.y, bytes);
  }
}
