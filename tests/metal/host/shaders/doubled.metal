// A shader of the tests that includes a header, which includes another beside it.
#include <metal_stdlib>
#include "parts/arithmetic.h"
#include "parts/arithmetic.h"
using namespace metal;

kernel void doubled(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i] = twice(x[i]) + offset; // "quotes", \ and )MSL" pass
}
