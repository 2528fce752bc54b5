// Rounding to bfloat16 by AVX512-BF16, for the instructions on tiles. Included where x86's intrinsics are.
#pragma once

#include <bit>

#include "mlx_core/half.h"

namespace mlx::core::cpu {

struct RoundByVectors {
  // 16 or 32 floats.
  template <int columns>
  __attribute__((target("avx512f,avx512bf16"))) static void round(const float* from, bfloat16_t* to) {
    if constexpr (columns == 32) {
      _mm512_storeu_si512(
          to, std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16), _mm512_loadu_ps(from))));
    } else {
      _mm256_storeu_si256(
          reinterpret_cast<__m256i*>(to), std::bit_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(from))));
    }
  }
};

} // namespace mlx::core::cpu
