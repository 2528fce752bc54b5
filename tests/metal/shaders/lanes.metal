// Lanes together: simdgroup and quadgroup functions, threadgroup memory, barriers, atomics, simdgroup matrices.
#include <metal_stdlib>
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_atomic>
using namespace metal;

kernel void simd_functions(device const int* a [[buffer(0)]], device int* out [[buffer(1)]], uint i [[thread_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]]) {
  int x = a[i];
  device int* to = out + 24 * i;
  to[0] = simd_sum(x);
  to[1] = simd_product(lane < 3 ? x : 1);
  to[2] = simd_min(x);
  to[3] = simd_max(x);
  to[4] = simd_and(x | 64);
  to[5] = simd_or(x);
  to[6] = simd_xor(x);
  to[7] = simd_prefix_inclusive_sum(x);
  to[8] = simd_prefix_exclusive_sum(x);
  to[9] = simd_broadcast(x, 5);
  to[10] = simd_shuffle(x, ushort(31 - lane));
  to[11] = simd_shuffle_xor(x, 8);
  to[12] = simd_shuffle_up(x, 2);
  to[13] = simd_shuffle_down(x, 2);
  to[14] = simd_shuffle_rotate_down(x, 3);
  to[15] = simd_shuffle_and_fill_up(x, -x, 4);
  to[16] = simd_any(x == 7) * 2 + simd_all(x >= 0);
  to[17] = int(uint64_t(simd_ballot((lane & 1) == 1)) & 0xffff);
  to[18] = quad_sum(x);
  to[19] = quad_broadcast(x, 2);
  to[20] = quad_shuffle_xor(x, 1);
  // Lanes that branched around it take no part.
  to[21] = 0;
  if (lane < 10) to[21] = simd_sum(1);
  else to[21] = simd_sum(100);
  int rounds = 0;
  for (uint k = 0; k <= lane % 4; ++k) rounds += simd_sum(1);
  to[22] = rounds;
  to[23] = simd_broadcast_first(x) + int(simd_is_first());
}

// A sum over a threadgroup, by a tree in a static variable.
template <typename T>
kernel void tree_sum(device const T* a [[buffer(0)]], device T* out [[buffer(1)]], uint i [[thread_position_in_grid]],
    uint local [[thread_position_in_threadgroup]], uint group [[threadgroup_position_in_grid]], uint size [[threads_per_threadgroup]]) {
  threadgroup T partial[1024];
  partial[local] = a[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint half_size = size / 2; half_size > 0; half_size /= 2) {
    if (local < half_size) partial[local] = partial[local] + partial[local + half_size];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (local == 0) out[group] = partial[0];
}
template [[host_name("tree_sum_float")]] [[kernel]] decltype(tree_sum<float>) tree_sum<float>;
template [[host_name("tree_sum_int2")]] [[kernel]] decltype(tree_sum<int2>) tree_sum<int2>;

inline float group_maximum(float x, threadgroup float* parts, uint lane, uint simdgroup, uint simdgroups) {
  x = simd_max(x);
  if (lane == 0) parts[simdgroup] = x;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  x = simd_max(lane < simdgroups ? parts[lane] : -INFINITY);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return x;
}
// Softmax of a row by one threadgroup, with memory by argument and in a variable.
kernel void softmax(device const float* a [[buffer(0)]], device float* out [[buffer(1)]], constant uint& n [[buffer(2)]],
    threadgroup float* parts [[threadgroup(0)]], uint row [[threadgroup_position_in_grid]], uint local [[thread_position_in_threadgroup]],
    uint size [[threads_per_threadgroup]], uint lane [[thread_index_in_simdgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint simdgroups [[simdgroups_per_threadgroup]]) {
  threadgroup float total;
  device const float* from = a + row * n;
  float greatest = -INFINITY;
  for (uint k = local; k < n; k += size) greatest = max(greatest, from[k]);
  greatest = group_maximum(greatest, parts, lane, simdgroup, simdgroups);
  float sum = 0;
  for (uint k = local; k < n; k += size) sum += exp(from[k] - greatest);
  sum = simd_sum(sum);
  if (lane == 0) parts[simdgroup] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (local == 0) {
    total = 0;
    for (uint k = 0; k < simdgroups; ++k) total += parts[k];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint k = local; k < n; k += size) out[row * n + k] = exp(from[k] - greatest) / total;
}

// A transpose within each simdgroup, for which its own barrier is enough.
kernel void simd_transpose(device int* data [[buffer(0)]], uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
    uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup int tile[8][32];
  tile[simdgroup][lane] = data[i];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  int x = tile[simdgroup][(lane % 8) * 4 + lane / 8];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  tile[simdgroup][lane] = x;
  simdgroup_barrier(mem_flags::mem_threadgroup);
  data[i] = tile[simdgroup][31 - lane];
}

kernel void atomics(device atomic_int* counts [[buffer(0)]], device atomic<float>* sum [[buffer(1)]], device atomic_uint* bits [[buffer(2)]],
    device atomic<uint>* product [[buffer(3)]], uint i [[thread_position_in_grid]], uint local [[thread_position_in_threadgroup]]) {
  threadgroup atomic_int here;
  if (local == 0) atomic_store_explicit(&here, 0, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  atomic_fetch_add_explicit(&here, int(i), memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (local == 0) atomic_fetch_add_explicit(&counts[0], atomic_load_explicit(&here, memory_order_relaxed), memory_order_relaxed);
  atomic_fetch_max_explicit(&counts[1], int(i), memory_order_relaxed);
  atomic_fetch_min_explicit(&counts[2], -int(i), memory_order_relaxed);
  atomic_fetch_sub_explicit(&counts[3], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(sum, 0.5f, memory_order_relaxed);
  atomic_fetch_or_explicit(bits, 1u << (i % 32), memory_order_relaxed);
  atomic_fetch_xor_explicit(bits + 1, i, memory_order_relaxed);
  if (i == 7) atomic_exchange_explicit(bits + 2, 99u, memory_order_relaxed);
  // A product modulo 2^32, which no single operation gives.
  uint old = atomic_load_explicit(product, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(product, &old, old * (2 * i + 1), memory_order_relaxed, memory_order_relaxed)) {
  }
}

constant bool transposed [[function_constant(0)]];

// c = a b with 8x8 tiles, one simdgroup for each tile of c.
template <typename T>
kernel void matmul(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device float* c [[buffer(2)]],
    constant uint& k [[buffer(3)]], constant uint& n [[buffer(4)]], uint2 tile [[threadgroup_position_in_grid]]) {
  simdgroup_matrix<float, 8, 8> sum = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  for (uint i = 0; i < k; i += 8) {
    simdgroup_matrix<T, 8, 8> left;
    simdgroup_matrix<T, 8, 8> right;
    simdgroup_load(left, a + tile.y * 8 * k + i, k);
    if (transposed) simdgroup_load(right, b, k, ulong2(i, tile.x * 8), true);
    else simdgroup_load(right, b + i * n + tile.x * 8, n);
    simdgroup_multiply_accumulate(sum, left, right, sum);
  }
  sum.thread_elements()[0] += 1;
  sum.thread_elements()[1] += 1;
  simdgroup_store(sum, c + tile.y * 8 * n + tile.x * 8, n);
}
template [[host_name("matmul_float")]] [[kernel]] decltype(matmul<float>) matmul<float>;
template [[host_name("matmul_half")]] [[kernel]] decltype(matmul<half>) matmul<half>;
template [[host_name("matmul_bfloat")]] [[kernel]] decltype(matmul<bfloat>) matmul<bfloat>;

// A product of a diagonal matrix and one from threadgroup memory.
kernel void diagonal(device float* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float tile[8 * 9];
  for (uint i = lane; i < 64; i += 32) tile[i / 8 * 9 + i % 8] = float(i);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_float8x8 m, twice(2.0f);
  simdgroup_load(m, tile, 9);
  m = twice * m;
  simdgroup_store(m, out, 8, ulong2(0, 0), true);
}
