// AMX: asking for it, its instructions, and products shared out over the pool.
#include "mlx_core/cpu/tile_instructions.h"

#include <bit>

#include "mlx_core/cpu/instruction_set.h"

#if defined(__x86_64__) && defined(__linux__)
#define MLX_HAS_AMX_INSTRUCTIONS 1
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MLX_TILE_TARGET __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bf16")))
#include "mlx_core/cpu/bfloat16_rounding.h"
#include "mlx_core/cpu/tile_convolve.h"
#include "mlx_core/cpu/tile_gemm.h"
#endif

namespace mlx::core::cpu {

#ifdef MLX_HAS_AMX_INSTRUCTIONS

namespace {

bool ask_for_amx() {
  const Extensions found = extensions();
  if (!found.tiles || !found.bfloat16) return false;
  constexpr long request_permission = 0x1023, tile_data = 18; // Linux saves the tiles of who has asked for them
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

// Tiles 0 to 3 are sums, 4 and 5 left, 6 and 7 right.
struct AmxTiles : RoundByVectors {
  static constexpr bool whole_blocks = false;
  struct alignas(64) Configuration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  // Compilers do not know how much memory the instructions read: what they read is written before, and is not a local.
  static void settle_memory() { asm volatile("" ::: "memory"); }
  MLX_TILE_TARGET void start() {
    static constexpr Configuration configuration;
    settle_memory();
    _tile_loadconfig(&configuration);
  }
  MLX_TILE_TARGET void stop() { _tile_release(); }
  MLX_TILE_TARGET void clear() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  template <int i>
  MLX_TILE_TARGET void left(const uint16_t* p, int64_t row) {
    const int64_t bytes = row * static_cast<int64_t>(sizeof(uint16_t));
    if constexpr (i == 0) {
      _tile_loadd(4, p, bytes);
    } else {
      _tile_loadd(5, p, bytes);
    }
  }
  template <int j>
  MLX_TILE_TARGET void right(const uint16_t* p) {
    if constexpr (j == 0) {
      _tile_loadd(6, p, 64);
    } else {
      _tile_loadd(7, p, 64);
    }
  }
  template <int R, int C>
  MLX_TILE_TARGET void multiply() {
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (C == 2) _tile_dpbf16ps(1, 4, 7);
    if constexpr (R == 2) _tile_dpbf16ps(2, 5, 6);
    if constexpr (R == 2 && C == 2) _tile_dpbf16ps(3, 5, 7);
  }
  template <int i, int j>
  MLX_TILE_TARGET void sums(float* to, int64_t row) {
    const int64_t bytes = row * static_cast<int64_t>(sizeof(float));
    if constexpr (i == 0 && j == 0) {
      _tile_stored(0, to, bytes);
    } else if constexpr (i == 0) {
      _tile_stored(1, to, bytes);
    } else if constexpr (j == 0) {
      _tile_stored(2, to, bytes);
    } else {
      _tile_stored(3, to, bytes);
    }
    settle_memory();
  }
};

bool is_worth_tiles(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  const int64_t work = m * n * k;
  // A number that is written in three digits or read as a sum costs as much as some multiplications.
  if (dtype == float32) return work >= int64_t{1} << 22 && 112 * ((m + n) * k + m * n) < work;
  if (dtype == float16) return m >= 32 && n >= 8 && k >= 32 && work >= int64_t{1} << 18;
  return dtype == bfloat16 && m >= 4 && n >= 4 && k >= 32 && work >= int64_t{1} << 16;
}

void gemm_on_tiles(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride,
    Matrix b, int64_t b_batch_stride, void* out, Dtype results) {
  const bool wide = results == float32;
  auto* gemm = dtype == float32    ? &tile_gemm<AmxTiles, float>
               : dtype == bfloat16 ? wide ? &tile_gemm<AmxTiles, bfloat16_t, float> : &tile_gemm<AmxTiles, bfloat16_t>
               : wide              ? &tile_gemm<AmxTiles, float16_t, float>
                                   : &tile_gemm<AmxTiles, float16_t>;
  gemm(batch, m, n, k, a, a_batch_stride, b, b_batch_stride, out);
}

void convolve_on_tiles(const Windows& w, const TileWindows& windows) {
  w.dtype == float32 ? tile_convolve<AmxTiles, float>(w, windows) : tile_convolve<AmxTiles, bfloat16_t>(w, windows);
}

} // namespace

const TileInstructions* amx() {
  static constexpr TileInstructions all{&is_worth_tiles, &gemm_on_tiles, &convolve_on_tiles, 8};
  static const bool may = ask_for_amx();
  return may ? &all : nullptr;
}

#else

const TileInstructions* amx() { return nullptr; }

#endif

} // namespace mlx::core::cpu
