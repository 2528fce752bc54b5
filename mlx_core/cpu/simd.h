// Highway for the instruction sets of targets.h, and the promise that a loop's iterations are independent.
// No include guard: Highway's highway.h is meant to be included anew for each instruction set. A file that is
// compiled once per set defines HWY_TARGET_INCLUDE to its own path before including this.

#include "mlx_core/cpu/targets.h"

#ifdef HWY_TARGET_INCLUDE
#include <hwy/foreach_target.h>
#endif
#include <hwy/highway.h>

// Before a loop whose iterations are independent even when the output is one of the inputs.
#ifndef MLX_INDEPENDENT_ITERATIONS
#if defined(__clang__)
#define MLX_INDEPENDENT_ITERATIONS _Pragma("clang loop vectorize(assume_safety)")
#else
#define MLX_INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#endif
#endif
