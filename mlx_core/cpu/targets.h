// Which instruction sets the SIMD bodies are compiled for. Include before <hwy/highway.h>.
//
// Few, because each multiplies compile time and library size: the x86 steps that change speed (SSE4, AVX2, AVX-512)
// and NEON, not SVE, whose vectors have no size known to the compiler. The build's baseline is always compiled too.
#pragma once

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
