// The shaders of these tests, as a host hands them to Metal.
#pragma once

#include <string>

inline const std::string kernels_text = R"(
#include <metal_stdlib>
using namespace metal;

constant int factor [[function_constant(0)]];

kernel void fill(device float* x [[buffer(0)]], constant float& value [[buffer(1)]],
                 uint i [[thread_position_in_grid]]) {
  x[i] = value;
}
kernel void add_one(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i] += 1;
}
kernel void add(device const float* a [[buffer(0)]], device const float* b [[buffer(1)]],
                device float* out [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  out[i] = a[i] + b[i];
}
kernel void scale(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i] *= factor;
}
kernel void outside(device float* x [[buffer(0)]], constant uint& far [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  x[i + far] = 1;
}
kernel void total(device const float* x [[buffer(0)]], device float* out [[buffer(1)]],
                  threadgroup float* shared [[threadgroup(0)]], uint i [[thread_position_in_threadgroup]],
                  uint n [[threads_per_threadgroup]]) {
  shared[i] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (i == 0) {
    float sum = 0;
    for (uint k = 0; k < n; ++k) sum += shared[k];
    out[0] = sum;
  }
}
)";
