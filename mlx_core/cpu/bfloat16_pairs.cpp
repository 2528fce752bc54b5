// AVX512-BF16: vectors of sums of float32, to each of which the products of a pair of numbers of bfloat16 are added.
#include <bit>
#include <cstring>

#include "mlx_core/cpu/instruction_set.h"
#include "mlx_core/cpu/tile_instructions.h"

#if defined(__x86_64__) && defined(__linux__)
#define MLX_HAS_BFLOAT16_PAIRS 1
#include <immintrin.h>

#define MLX_TILE_TARGET __attribute__((target("avx512f,avx512bf16")))
#include "mlx_core/cpu/bfloat16_rounding.h"
#include "mlx_core/cpu/tile_convolve.h"
#include "mlx_core/cpu/tile_gemm.h"
#endif

namespace mlx::core::cpu {

#ifdef MLX_HAS_BFLOAT16_PAIRS

namespace {

struct PairTiles : RoundByVectors {
  static constexpr bool whole_blocks = true;
  void start() {}
  void stop() {}

  template <class Rows>
  MLX_TILE_TARGET void block(
      int64_t rows, int64_t columns, int64_t k, const Rows& a, const uint16_t* b, float* sums, int64_t row) {
    columns > TileShape::side ? by_height<2>(rows, k, a, b, sums, row) : by_height<1>(rows, k, a, b, sums, row);
  }

 private:
  static constexpr int most_rows = 8; // whose sums stay in registers

  template <int C, class Rows>
  MLX_TILE_TARGET void by_height(int64_t rows, int64_t k, const Rows& a, const uint16_t* b, float* sums, int64_t row) {
    for (int64_t r = 0; r < rows; r += most_rows) {
      float* to = sums + r * row;
      switch (std::min<int64_t>(most_rows, rows - r)) {
        case 1: rows_at_once<1, C>(r, k, a, b, to, row); break;
        case 2: rows_at_once<2, C>(r, k, a, b, to, row); break;
        case 3: rows_at_once<3, C>(r, k, a, b, to, row); break;
        case 4: rows_at_once<4, C>(r, k, a, b, to, row); break;
        case 5: rows_at_once<5, C>(r, k, a, b, to, row); break;
        case 6: rows_at_once<6, C>(r, k, a, b, to, row); break;
        case 7: rows_at_once<7, C>(r, k, a, b, to, row); break;
        default: rows_at_once<8, C>(r, k, a, b, to, row);
      }
    }
  }

  template <int R, int C, class Rows>
  MLX_TILE_TARGET __attribute__((noinline)) static void rows_at_once(
      int64_t first, int64_t k, const Rows& a, const uint16_t* b, float* sums, int64_t row) {
    constexpr int64_t numbers = TileShape::numbers, terms = TileShape::terms, side = TileShape::side;
    const int64_t line = ceil_div(k, terms) * numbers, apart = a.row();
    __m512 sum[R][C]; // in registers, if each loop over it is unrolled
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int j = 0; j < C; ++j) sum[r][j] = _mm512_setzero_ps();
    }
    auto add_pair = [&](const uint16_t* left, const uint16_t* right) MLX_TILE_TARGET {
      __m512bh columns[C];
#pragma GCC unroll 2
      for (int j = 0; j < C; ++j) columns[j] = std::bit_cast<__m512bh>(_mm512_loadu_si512(right + j * line));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        int pair;
        std::memcpy(&pair, left + r * apart, sizeof pair);
        const auto both = std::bit_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 2
        for (int j = 0; j < C; ++j) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], both, columns[j]);
      }
    };
    for (int64_t step = 0; k > 0; ++step, k -= terms, b += numbers) {
      const uint16_t* left = a.at(static_cast<int>(first / side), step, 0) + first % side * apart;
      if (k >= terms) {
#pragma GCC unroll 4
        for (int64_t p = 0; p < terms; p += 2) add_pair(left + p, b + p * side);
      } else {
        for (int64_t p = 0; p < k; p += 2) add_pair(left + p, b + p * side);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int j = 0; j < C; ++j) _mm512_storeu_ps(sums + r * row + j * side, sum[r][j]);
    }
  }
};

bool is_worth_pairs(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  return dtype == bfloat16 && m >= 2 && n >= 4 && k >= 16 && m * n * k >= int64_t{1} << 14;
}

void gemm_of_pairs(Dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride, Matrix b,
    int64_t b_batch_stride, void* out, Dtype results) {
  auto* gemm = results == float32 ? &tile_gemm<PairTiles, bfloat16_t, float> : &tile_gemm<PairTiles, bfloat16_t>;
  gemm(batch, m, n, k, a, a_batch_stride, b, b_batch_stride, out);
}

} // namespace

const TileInstructions* bfloat16_pairs() {
  static const TileInstructions all{&is_worth_pairs, &gemm_of_pairs, &tile_convolve<PairTiles, bfloat16_t>, 2};
  static const bool may = extensions().bfloat16;
  return may ? &all : nullptr;
}

#else

const TileInstructions* bfloat16_pairs() { return nullptr; }

#endif

} // namespace mlx::core::cpu
