// metal_atomic: real atomic operations, because other dispatches may run at the same time.
#pragma once

#include "simd.h"

namespace metal {
enum memory_order { memory_order_relaxed = 0, memory_order_acquire = 2, memory_order_release = 3, memory_order_acq_rel = 4, memory_order_seq_cst = 5 };
enum thread_scope { thread_scope_thread, thread_scope_simdgroup, thread_scope_threadgroup, thread_scope_device, thread_scope_system };

template <class T>
struct atomic {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || __is_same(T, bool), "atomics are of 32 or 64 bits");
  T value;
};
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<bool> atomic_bool;
typedef atomic<ulong> atomic_ulong;
typedef atomic<float> atomic_float;
} // namespace metal

namespace msl {
template <int Bytes>
struct Bits;
template <>
struct Bits<1> { using type = uchar; };
template <>
struct Bits<4> { using type = uint; };
template <>
struct Bits<8> { using type = ulong; };

// The word of an atomic that a lane may touch; `site` only makes the check quick.
template <class T>
MSL_RAW typename Bits<sizeof(T)>::type* word(const volatile metal::atomic<T>* object) {
  check_access((Address)object, sizeof(T), Access::atomic, (Address)__builtin_return_address(0));
  return (typename Bits<sizeof(T)>::type*)object;
}
template <class T, class F>
MSL_RAW T modify(volatile metal::atomic<T>* object, F change) {
  auto* p = word(object);
  auto old = __atomic_load_n(p, __ATOMIC_RELAXED);
  for (;;) {
    T value = __builtin_bit_cast(T, old);
    T next = change(value);
    if (__atomic_compare_exchange_n(p, &old, __builtin_bit_cast(decltype(old + 0), next), false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
      return value;
  }
}
template <class T>
struct Same { using type = T; };
template <class T, class F>
struct With {
  T operand;
  MSL_TINY T operator()(T old) const { return F()(old, operand); }
};
struct Minus {
  template <class T>
  MSL_TINY T operator()(T a, T b) const { return a - b; }
};
struct Second {
  template <class T>
  MSL_TINY T operator()(T, T b) const { return b; }
};
} // namespace msl

namespace metal {
#define MSL_FETCH(name, F)                                                                                              \
  template <class T>                                                                                                    \
  MSL_TINY T atomic_##name##_explicit(volatile atomic<T>* object, typename msl::Same<T>::type operand, memory_order,    \
      thread_scope = thread_scope_device) { return msl::modify<T>(object, msl::With<T, msl::F>{operand}); }
MSL_FETCH(fetch_add, Sum)
MSL_FETCH(fetch_sub, Minus)
MSL_FETCH(fetch_min, Min)
MSL_FETCH(fetch_max, Max)
MSL_FETCH(fetch_and, And)
MSL_FETCH(fetch_or, Or)
MSL_FETCH(fetch_xor, Xor)
MSL_FETCH(exchange, Second)
#undef MSL_FETCH
template <class T>
MSL_RAW T atomic_load_explicit(const volatile atomic<T>* object, memory_order, thread_scope = thread_scope_device) {
  return __builtin_bit_cast(T, __atomic_load_n(msl::word(object), __ATOMIC_SEQ_CST));
}
template <class T>
MSL_RAW void atomic_store_explicit(volatile atomic<T>* object, typename msl::Same<T>::type value, memory_order,
    thread_scope = thread_scope_device) {
  using B = typename msl::Bits<sizeof(T)>::type;
  __atomic_store_n(msl::word(object), __builtin_bit_cast(B, value), __ATOMIC_SEQ_CST);
}
// Fails now and then for no reason, as it may on a GPU: only a loop around it is right.
template <class T>
MSL_RAW bool atomic_compare_exchange_weak_explicit(volatile atomic<T>* object, T* expected,
    typename msl::Same<T>::type desired, memory_order, memory_order, thread_scope = thread_scope_device) {
  using B = typename msl::Bits<sizeof(T)>::type;
  B* p = msl::word(object);
  B old = __builtin_bit_cast(B, *expected);
  msl::Head* self = msl::head();
  bool done = !self->context->spurious_failure(self) &&
      __atomic_compare_exchange_n(p, &old, __builtin_bit_cast(B, desired), false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
  if (!done) *expected = __builtin_bit_cast(T, __atomic_load_n(p, __ATOMIC_SEQ_CST) == old ? old : __atomic_load_n(p, __ATOMIC_SEQ_CST));
  return done;
}
MSL_TINY void atomic_thread_fence(mem_flags, memory_order, thread_scope = thread_scope_device) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
} // namespace metal
