// Elementwise kernels: positions, bindings in every form, templates with host names in both forms, function constants.
#include <metal_stdlib>
using namespace metal;

kernel void add(device const float* a [[buffer(0)]], device const float* b [[buffer(1)]], device float* out [[buffer(2)]],
    uint i [[thread_position_in_grid]]) {
  out[i] = a[i] + b[i];
}

struct Params {
  float factor;
  uint2 shape;
};

// A reference to a struct, a position of two components, an unsuffixed literal.
[[kernel]] void scale_2d(device float* data [[buffer(0)]], constant Params& params [[buffer(1)]],
    uint2 at [[thread_position_in_grid]], uint2 grid [[threads_per_grid]]) {
  if (all(grid == params.shape)) data[at.y * params.shape.x + at.x] *= params.factor * 0.5;
}

// Bindings without attributes are numbered in order.
kernel void implicit(const device int* from, device int* to, constant int& offset, uint3 at [[thread_position_in_grid]]) {
  to[at.x] = from[at.x] + offset;
}

template <typename T, int N>
[[kernel]] void repeat(device const T* from [[buffer(0)]], device T* to [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  for (int k = 0; k < N; ++k) to[i * N + k] = from[i];
}
#define instantiate_repeat(name, T, n) \
  template [[host_name("repeat_" #name "_" #n)]] [[kernel]] decltype(repeat<T, n>) repeat<T, n>;
instantiate_repeat(float, float, 2)
instantiate_repeat(half, half, 3)
instantiate_repeat(bfloat, bfloat, 2)
template [[host_name("repeat_long")]] [[kernel]] void repeat<long, (sizeof(long) < 4 ? 1 : 4)>(
    device const long* from [[buffer(0)]], device long* to [[buffer(1)]], uint i [[thread_position_in_grid]]);

constant bool negate [[function_constant(0)]];
constant int power [[function_constant(1)]];
constant bool shifted [[function_constant(2)]];
constant int exponent = power + 1; // computed from one
constant float table[4] = {1.0, 10.0, 100.0, 1000.0};
constant constexpr float half_of = 0.5;

kernel void constants(device float* data [[buffer(0)]], device const float* shift [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  float x = data[i] * table[i % 4] * half_of;
  float result = 1;
  for (int k = 0; k < exponent; ++k) result *= x;
  if (is_function_constant_defined(shifted) && shifted) result += shift[i];
  data[i] = negate ? -result : result;
}

// Where every thread is.
kernel void positions(device uint* out [[buffer(0)]], uint3 grid [[thread_position_in_grid]], uint3 size [[threads_per_grid]],
    uint3 local [[thread_position_in_threadgroup]], uint3 group [[threadgroup_position_in_grid]],
    uint3 group_size [[threads_per_threadgroup]], ushort index [[thread_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint quad_lane [[thread_index_in_quadgroup]], uint3 groups [[threadgroups_per_grid]],
    uint width [[threads_per_simdgroup]], uint simdgroups [[simdgroups_per_threadgroup]]) {
  device uint* to = out + (grid.x + size.x * (grid.y + size.y * grid.z)) * 16;
  to[0] = local.x + 100 * local.y + 10000 * local.z;
  to[1] = group.x + 100 * group.y + 10000 * group.z;
  to[2] = group_size.x + 100 * group_size.y + 10000 * group_size.z;
  to[3] = index;
  to[4] = lane;
  to[5] = simdgroup;
  to[6] = quad_lane;
  to[7] = groups.x + 100 * groups.y + 10000 * groups.z;
  to[8] = width;
  to[9] = simdgroups;
}

[[kernel, max_total_threads_per_threadgroup(64)]] void limited(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[i] = 1;
}
template <int N>
[[kernel, max_total_threads_per_threadgroup(N * 32)]] void limited_by(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[i] = N;
}
template [[host_name("limited_by_4")]] [[kernel]] decltype(limited_by<4>) limited_by<4>;
