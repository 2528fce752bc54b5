// metal_simdgroup, metal_quadgroup, barriers: lanes publish a value, wait for each other, and read what the others published.
#pragma once

#include "math.h"

namespace metal {
enum class mem_flags : uint { mem_none = 0, mem_device = 1, mem_threadgroup = 2, mem_texture = 4, mem_threadgroup_imageblock = 8, mem_object_data = 16 };
MSL_TINY constexpr mem_flags operator|(mem_flags a, mem_flags b) { return (mem_flags)((uint)a | (uint)b); }
class simd_vote {
 public:
  typedef ulong vote_t;
  MSL_TINY explicit constexpr simd_vote(vote_t v = 0) : votes(v) {}
  MSL_TINY explicit constexpr operator vote_t() const { return votes; }
  MSL_TINY constexpr bool all() const { return (votes & 0xffffffff) == 0xffffffff; }
  MSL_TINY constexpr bool any() const { return votes != 0; }
 private:
  vote_t votes;
};
} // namespace metal

namespace msl {
template <class T>
MSL_RAW const Exchange* exchange(const T& value, Address site, Wait kind = Wait::simd) {
  static_assert(sizeof(T) <= mlx_msl::slot_bytes, "lanes exchange values of at most 64 bytes");
  Head* self = head();
  return self->context->wait(self, kind, &value, sizeof(T), 0, site);
}
template <class T>
MSL_RAW T slot(const Exchange* all, unsigned lane) {
  T value;
  __builtin_memcpy(&value, all->slots[lane & 31], sizeof(T));
  return value;
}
MSL_RAW inline unsigned active(const Exchange* all) { return all->active; }
MSL_RAW inline unsigned lane() { return head()->lane; }
// What a lane that is not active has is undefined: all bits are set, so that it shows.
template <class T>
MSL_RAW T take(const Exchange* all, int lane) {
  if (lane >= 0 && lane < 32 && (all->active >> lane) & 1) return slot<T>(all, lane);
  T value;
  __builtin_memset(&value, 0xff, sizeof(T));
  return value;
}
MSL_RAW inline void barrier(Wait kind, metal::mem_flags flags, Address site) {
  Head* self = head();
  self->context->wait(self, kind, nullptr, 0, (unsigned)flags, site);
}
// By halves, as a GPU does; lanes [first, first + count) of those that are active.
template <class T, class F>
MSL_RAW T reduce(const Exchange* all, unsigned first, unsigned count, F f) {
  T values[32];
  bool present[32];
  for (unsigned i = 0; i < count; ++i) {
    present[i] = (all->active >> (first + i)) & 1;
    if (present[i]) values[i] = slot<T>(all, first + i);
  }
  for (unsigned half = count / 2; half; half /= 2)
    for (unsigned i = 0; i < half; ++i) {
      if (present[i + half]) values[i] = present[i] ? (T)f(values[i], values[i + half]) : values[i + half];
      present[i] = present[i] || present[i + half];
    }
  return values[0];
}
template <class T, class F>
MSL_RAW T prefix(const Exchange* all, T identity, bool inclusive, F f) {
  T total = identity;
  bool any = false;
  unsigned end = lane() + (inclusive ? 1 : 0);
  for (unsigned i = 0; i < end; ++i) {
    if (!((all->active >> i) & 1)) continue;
    total = any ? (T)f(total, slot<T>(all, i)) : slot<T>(all, i);
    any = true;
  }
  return total;
}
#define MSL_FUNCTOR(name, expression) \
  struct name {                       \
    template <class T>                \
    MSL_TINY T operator()(T a, T b) const { return (T)(expression); } \
  };
MSL_FUNCTOR(Sum, a + b)
MSL_FUNCTOR(Product, a* b)
MSL_FUNCTOR(Min, metal::min(a, b))
MSL_FUNCTOR(Max, metal::max(a, b))
MSL_FUNCTOR(And, a& b)
MSL_FUNCTOR(Or, a | b)
MSL_FUNCTOR(Xor, a ^ b)
#undef MSL_FUNCTOR
} // namespace msl

namespace metal {
#define MSL_REDUCE(name, F)                                                                                    \
  template <class T>                                                                                           \
  MSL_TINY T simd_##name(T x, MSL_SITE) { return msl::reduce<T>(msl::exchange(x, site), 0, 32, msl::F()); }    \
  template <class T>                                                                                           \
  MSL_TINY T quad_##name(T x, MSL_SITE) { return msl::reduce<T>(msl::exchange(x, site), msl::lane() & ~3u, 4, msl::F()); }
MSL_REDUCE(sum, Sum)
MSL_REDUCE(product, Product)
MSL_REDUCE(min, Min)
MSL_REDUCE(max, Max)
MSL_REDUCE(and, And)
MSL_REDUCE(or, Or)
MSL_REDUCE(xor, Xor)
#undef MSL_REDUCE
template <class T>
MSL_TINY T simd_prefix_exclusive_sum(T x, MSL_SITE) { return msl::prefix<T>(msl::exchange(x, site), (T)0, false, msl::Sum()); }
template <class T>
MSL_TINY T simd_prefix_inclusive_sum(T x, MSL_SITE) { return msl::prefix<T>(msl::exchange(x, site), (T)0, true, msl::Sum()); }
template <class T>
MSL_TINY T simd_prefix_exclusive_product(T x, MSL_SITE) { return msl::prefix<T>(msl::exchange(x, site), (T)1, false, msl::Product()); }
template <class T>
MSL_TINY T simd_prefix_inclusive_product(T x, MSL_SITE) { return msl::prefix<T>(msl::exchange(x, site), (T)1, true, msl::Product()); }

template <class T>
MSL_TINY T simd_broadcast(T x, ushort from, MSL_SITE) { return msl::take<T>(msl::exchange(x, site), from); }
template <class T>
MSL_TINY T simd_broadcast_first(T x, MSL_SITE) {
  const msl::Exchange* all = msl::exchange(x, site);
  return msl::take<T>(all, __builtin_ctz(msl::active(all)));
}
template <class T>
MSL_TINY T simd_shuffle(T x, ushort from, MSL_SITE) { return msl::take<T>(msl::exchange(x, site), from); }
template <class T>
MSL_TINY T simd_shuffle_xor(T x, ushort mask, MSL_SITE) { return msl::take<T>(msl::exchange(x, site), msl::lane() ^ mask); }
// Lanes to which nothing is shuffled keep their value.
template <class T>
MSL_TINY T simd_shuffle_up(T x, ushort by, MSL_SITE) {
  int from = (int)msl::lane() - by;
  return msl::take<T>(msl::exchange(x, site), from < 0 ? (int)msl::lane() : from);
}
template <class T>
MSL_TINY T simd_shuffle_down(T x, ushort by, MSL_SITE) {
  int from = (int)msl::lane() + by;
  return msl::take<T>(msl::exchange(x, site), from > 31 ? (int)msl::lane() : from);
}
template <class T>
MSL_TINY T simd_shuffle_rotate_up(T x, ushort by, MSL_SITE) { return msl::take<T>(msl::exchange(x, site), (msl::lane() + 32 - by % 32) % 32); }
template <class T>
MSL_TINY T simd_shuffle_rotate_down(T x, ushort by, MSL_SITE) { return msl::take<T>(msl::exchange(x, site), (msl::lane() + by) % 32); }
// The lanes that shuffling leaves empty take from `fill`, at its other end.
template <class T>
MSL_TINY T simd_shuffle_and_fill_up(T x, T fill, ushort by, MSL_SITE) {
  int from = (int)msl::lane() - by;
  const msl::Exchange* all = msl::exchange(from < 0 ? x : x, site);
  T kept = from < 0 ? x : msl::take<T>(all, from);
  all = msl::exchange(fill, site + 512);
  return from < 0 ? msl::take<T>(all, from + 32) : kept;
}
template <class T>
MSL_TINY T simd_shuffle_and_fill_down(T x, T fill, ushort by, MSL_SITE) {
  int from = (int)msl::lane() + by;
  const msl::Exchange* all = msl::exchange(x, site);
  T kept = from > 31 ? x : msl::take<T>(all, from);
  all = msl::exchange(fill, site + 512);
  return from > 31 ? msl::take<T>(all, from - 32) : kept;
}
MSL_RAW inline simd_vote simd_ballot(bool x, MSL_SITE) {
  const msl::Exchange* all = msl::exchange(x, site);
  ulong votes = 0;
  for (int i = 0; i < 32; ++i) votes |= (ulong)(((all->active >> i) & 1) && all->slots[i][0]) << i;
  return simd_vote(votes);
}
MSL_TINY simd_vote simd_active_threads_mask(MSL_SITE) { return simd_vote((ulong)msl::active(msl::exchange(true, site))); }
MSL_TINY bool simd_any(bool x, MSL_SITE) { return msl::reduce<bool>(msl::exchange(x, site), 0, 32, msl::Or()); }
MSL_TINY bool simd_all(bool x, MSL_SITE) { return msl::reduce<bool>(msl::exchange(x, site), 0, 32, msl::And()); }
MSL_TINY bool simd_is_first(MSL_SITE) { return __builtin_ctz(msl::active(msl::exchange(true, site))) == msl::lane(); }
MSL_TINY bool quad_any(bool x, MSL_SITE) { return msl::reduce<bool>(msl::exchange(x, site), msl::lane() & ~3u, 4, msl::Or()); }
MSL_TINY bool quad_all(bool x, MSL_SITE) { return msl::reduce<bool>(msl::exchange(x, site), msl::lane() & ~3u, 4, msl::And()); }
template <class T>
MSL_TINY T quad_broadcast(T x, ushort from, MSL_SITE) { return msl::take<T>(msl::exchange(x, site), (msl::lane() & ~3u) + (from & 3)); }
template <class T>
MSL_TINY T quad_shuffle(T x, ushort from, MSL_SITE) { return msl::take<T>(msl::exchange(x, site), (msl::lane() & ~3u) + (from & 3)); }
template <class T>
MSL_TINY T quad_shuffle_xor(T x, ushort mask, MSL_SITE) { return msl::take<T>(msl::exchange(x, site), msl::lane() ^ (mask & 3)); }
template <class T>
MSL_TINY T quad_shuffle_up(T x, ushort by, MSL_SITE) {
  return msl::take<T>(msl::exchange(x, site), (msl::lane() & 3) < by ? msl::lane() : msl::lane() - by);
}
template <class T>
MSL_TINY T quad_shuffle_down(T x, ushort by, MSL_SITE) {
  return msl::take<T>(msl::exchange(x, site), (msl::lane() & 3) + by > 3 ? msl::lane() : msl::lane() + by);
}

MSL_TINY void threadgroup_barrier(mem_flags flags, MSL_SITE) { msl::barrier(msl::Wait::barrier, flags, site); }
MSL_TINY void simdgroup_barrier(mem_flags flags, MSL_SITE) { msl::barrier(msl::Wait::simd_barrier, flags, site); }
} // namespace metal
