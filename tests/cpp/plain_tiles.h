// Instructions on tiles as plain loops: the `Tiles` of tile_gemm.h.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "mlx_core/half.h"

inline thread_local int started = 0;

struct PlainTiles {
  static constexpr bool whole_blocks = false;
  float sum[2][2][16][16];
  const uint16_t *a[2], *b[2];
  int64_t apart;
  void start() { ++started; }
  void stop() { --started; }
  void clear() { std::memset(sum, 0, sizeof sum); }
  template <int i>
  void left(const uint16_t* p, int64_t row) {
    a[i] = p, apart = row;
  }
  template <int j>
  void right(const uint16_t* p) {
    b[j] = p;
  }
  template <int columns>
  static void round(const float* from, mlx::core::bfloat16_t* to) {
    for (int i = 0; i < columns; ++i) to[i] = mlx::core::bfloat16_t(from[i]);
  }
  static float wide(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  template <int R, int C>
  void multiply() {
    for (int i = 0; i < R; ++i) {
      for (int j = 0; j < C; ++j) {
        for (int r = 0; r < 16; ++r) {
          for (int c = 0; c < 16; ++c) {
            for (int p = 0; p < 32; ++p) {
              sum[i][j][r][c] += wide(a[i][r * apart + p]) * wide(b[j][p / 2 * 32 + 2 * c + p % 2]);
            }
          }
        }
      }
    }
  }
  template <int i, int j>
  void sums(float* to, int64_t row) {
    for (int r = 0; r < 16; ++r) std::memcpy(to + r * row, sum[i][j][r], sizeof sum[i][j][r]);
  }
};
