// Which instruction sets the SIMD bodies are compiled for. Include before <hwy/highway.h>.
//
// Few, because each multiplies compile time and library size: the x86 steps that change speed (SSE4, AVX2, AVX-512)
// and NEON, not SVE, whose vectors have no size known to the compiler. The least is all that kernels have besides:
// on x86-64, what every processor since 2009 has. All other code is for any processor, and can say so of an older one.
#pragma once

#if defined(__x86_64__)
#define HWY_BASELINE_TARGETS HWY_SSE4
#elif !defined(__aarch64__)
#error "There are kernels for x86-64 and 64-bit ARM."
#endif
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
