// A shader of the tests with an error in its last line.
#include <metal_stdlib>
#include "parts/offset.h"
using namespace metal;
kernel void broken(device float* x [[buffer(0)]]) { x[0] = unknown; }
