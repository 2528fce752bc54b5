// Kernels that are wrong, each in one way that the stand-in must catch.
#include <metal_stdlib>
using namespace metal;

kernel void reads_outside(device const float* a [[buffer(0)]], device float* out [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  out[i] = a[i + 1];
}
kernel void writes_outside(device const float* a [[buffer(0)]], device float* out [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  out[2 * i] = a[i];
}
kernel void writes_before(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[int(i) - 1] = 1;
}
// Four floats at once, of which the last is outside.
kernel void reads_a_vector(device const float4* a [[buffer(0)]], device float4* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  out[i] = a[i];
}
kernel void adds_atomically_outside(device atomic_int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(&out[i * 1000], 1, memory_order_relaxed);
}
kernel void reads_far_away(device const float* a [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  out[i] = a[long(i) << 45];
}

kernel void overruns_a_variable(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  threadgroup int first[32];
  threadgroup int second[32];
  second[i] = 1;
  first[i + (i == 31)] = int(i);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = first[i] + second[i];
}
kernel void overruns_an_argument(device int* out [[buffer(0)]], threadgroup short* t [[threadgroup(1)]], uint i [[thread_position_in_threadgroup]]) {
  t[i] = short(i);
  out[i] = t[i];
}
kernel void reads_unwritten(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  threadgroup int t[64];
  if (i != 5) t[i] = 1;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = t[63 - i];
}
kernel void lacks_a_barrier(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  threadgroup int t[64];
  t[i] = int(i);
  out[i] = t[i ^ 1];
}
// The barrier after the reads is missing.
kernel void lacks_a_second_barrier(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  threadgroup int t[64];
  int x = int(i);
  for (int k = 0; k < 2; ++k) {
    t[i] = x;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    x = t[63 - i];
  }
  out[i] = x;
}
kernel void has_a_barrier_for_other_memory(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  threadgroup int t[64];
  t[i] = int(i);
  threadgroup_barrier(mem_flags::mem_device);
  out[i] = t[63 - i];
}
kernel void has_a_barrier_of_a_simdgroup(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  threadgroup int t[64];
  t[i] = int(i);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = t[63 - i];
}
// The same in device memory, where only the order of lanes shows it.
kernel void lacks_a_device_barrier(device int* t [[buffer(0)]], device int* out [[buffer(1)]], uint i [[thread_position_in_threadgroup]]) {
  t[i] = int(i);
  out[i] = i == 0 ? 0 : t[i - 1];
}

kernel void returns_before_a_barrier(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  if (i >= 40) return;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = 1;
}
kernel void waits_in_two_places(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  if (i < 40) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  } else {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[i] = 1;
}
kernel void diverges_in_a_simdgroup(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  if (i < 40) simdgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = 1;
}
kernel void multiplies_with_half_a_simdgroup(device float* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  simdgroup_float8x8 m(1.0f);
  if (i < 16) m = m * m;
  simdgroup_store(m, out);
}
kernel void shuffles_from_nobody(device uint* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  out[i] = 0;
  if (i < 4) out[i] = simd_shuffle(i, ushort(i + 1));
}

kernel void needs_two_buffers(device const float* a [[buffer(0)]], constant float& b [[buffer(4)]], device float* out [[buffer(1)]],
    uint i [[thread_position_in_grid]]) {
  out[i] = i == 3 ? a[i] * b : 0;
}
kernel void needs_an_argument(device int* out [[buffer(0)]], threadgroup int* t [[threadgroup(2)]], uint i [[thread_position_in_grid]]) {
  t[i] = 1;
  out[i] = t[i];
}
kernel void has_too_much_memory(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  threadgroup float t[8193];
  t[i] = 1;
  out[i] = t[i];
}
kernel void has_all_memory(device float* out [[buffer(0)]], threadgroup float* more [[threadgroup(0)]], uint i [[thread_position_in_grid]]) {
  threadgroup float t[8000];
  t[i] = 1;
  more[i] = 2;
  out[i] = t[i] + more[i];
}

kernel void divides_by_zero(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = 100 / out[i]; }
static int deep(thread int* x, int depth) {
  int y[64];
  for (int k = 0; k < 64; ++k) y[k] = x[k % 4] + depth;
  return depth == 0 ? y[3] : deep(y, depth - 1) + y[1];
}
kernel void recurses(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  int x[4] = {1, 2, 3, 4};
  out[i] = deep(x, out[i]);
}
kernel void exchanges_once(device atomic_int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  int zero = 0;
  atomic_compare_exchange_weak_explicit(&out[i], &zero, 1, memory_order_relaxed, memory_order_relaxed);
}
// What is not instrumented still meets the page behind the buffer.
__attribute__((noinline, no_sanitize("thread"))) static float unseen(device const float* p) { return p[0]; }
kernel void reads_unseen(device const float* a [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  out[i] = unseen(a + i);
}

// Each threadgroup, and each simdgroup, relies on the one before having been there.
kernel void relies_on_the_threadgroup_before(device int* t [[buffer(0)]], device int* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  t[i] = int(i);
  out[i] = i < 8 ? 0 : t[i - 8];
}
kernel void relies_on_the_simdgroup_before(device int* t [[buffer(0)]], device int* out [[buffer(1)]], uint i [[thread_position_in_threadgroup]]) {
  t[i] = int(i);
  simdgroup_barrier(mem_flags::mem_device);
  out[i] = i < 32 ? 0 : t[i - 32];
}
// What a threadgroup leaves in its memory is not there for the next.
kernel void reads_what_another_threadgroup_left(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]],
    uint group [[threadgroup_position_in_grid]], uint lane [[thread_position_in_grid]]) {
  threadgroup int t[8];
  if (group == 0) t[i] = 1;
  out[lane] = t[i];
}
// Reads what nobody has written, unseen by the shadow: ones in every bit.
__attribute__((noinline, no_sanitize("thread"))) static int unseen(threadgroup int* p) { return p[0]; }
kernel void reads_poison(device int* out [[buffer(0)]], uint i [[thread_position_in_threadgroup]]) {
  threadgroup int t[8];
  if (i == 0) t[7] = 1;
  out[i] = unseen(t + i);
}
struct Numbers {
  float first, second;
};
kernel void reads_a_field_outside(constant Numbers& numbers [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  out[i] = numbers.first + numbers.second;
}
kernel void writes_one_each(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = 1; }
