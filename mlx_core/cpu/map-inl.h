// The loops that turn a body into a kernel: plain loops that the compiler vectorises, and loops over Highway vectors.
#if defined(MLX_CPU_MAP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_MAP_INL_H_
#undef MLX_CPU_MAP_INL_H_
#else
#define MLX_CPU_MAP_INL_H_
#endif

#include <cstdint>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// A scalar body is a struct whose `static Out apply(In...)` has no side effects.
template <class Op, class Out, class A>
void loop1(const void* const* inputs, void* output, int64_t n) {
  const A* a = static_cast<const A*>(inputs[0]);
  Out* out = static_cast<Out*>(output);
  MLX_INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; ++i) {
    out[i] = Op::apply(a[i]);
  }
}

template <class Op, class Out, class A, class B = A>
void loop2(const void* const* inputs, void* output, int64_t n) {
  const A* a = static_cast<const A*>(inputs[0]);
  const B* b = static_cast<const B*>(inputs[1]);
  Out* out = static_cast<Out*>(output);
  MLX_INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; ++i) {
    out[i] = Op::apply(a[i], b[i]);
  }
}

template <class Op, class Out, class A, class B, class C>
void loop3(const void* const* inputs, void* output, int64_t n) {
  const A* a = static_cast<const A*>(inputs[0]);
  const B* b = static_cast<const B*>(inputs[1]);
  const C* c = static_cast<const C*>(inputs[2]);
  Out* out = static_cast<Out*>(output);
  MLX_INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; ++i) {
    out[i] = Op::apply(a[i], b[i], c[i]);
  }
}

// Loops over integers: of Op for the unsigned ones, where signedness does not matter, or for each type.
template <template <class> class Op>
Kernel by_width1(Dtype dtype) {
  return with_bits(dtype.size(), []<class T>(std::type_identity<T>) -> Kernel { return &loop1<Op<T>, T, T>; });
}
template <template <class> class Op>
Kernel by_width2(Dtype dtype) {
  return with_bits(dtype.size(), []<class T>(std::type_identity<T>) -> Kernel { return &loop2<Op<T>, T, T>; });
}
template <template <class> class Op>
Kernel by_type1(Dtype dtype) {
  return with_integer_type(dtype, []<class T>(std::type_identity<T>) -> Kernel { return &loop1<Op<T>, T, T>; });
}
template <template <class> class Op>
Kernel by_type2(Dtype dtype) {
  return with_integer_type(dtype, []<class T>(std::type_identity<T>) -> Kernel { return &loop2<Op<T>, T, T>; });
}

// Masked loads touch only the lanes asked for where the instruction set has them for this width.
template <class T>
inline constexpr bool has_masked_memory = HWY_TARGET == HWY_AVX3 || (HWY_TARGET == HWY_AVX2 && sizeof(T) >= 4);

template <class T, class D>
HWY_INLINE void load_first(D d, const T* from, T* to, int64_t count) {
  if constexpr (has_masked_memory<T>) {
    hn::Store(hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, from), d, to);
  } else {
    hn::Store(hn::Zero(d), d, to);
    for (int64_t i = 0; i < count; ++i) {
      to[i] = from[i];
    }
  }
}

template <class T, class D>
HWY_INLINE void store_first(D d, const T* from, T* to, int64_t count) {
  if constexpr (has_masked_memory<T>) {
    hn::BlendedStore(hn::Load(d, from), hn::FirstN(d, static_cast<size_t>(count)), d, to);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      to[i] = from[i];
    }
  }
}

// A vector body is a default-constructible struct called with a Highway tag and one vector per operand.
// n is a multiple of the vector length. Not inlined, so that a long body exists once and not again for the tail.
template <class Op, class T>
HWY_NOINLINE void vectors1(const T* a, T* out, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < n; i += lanes) {
    hn::StoreU(Op()(d, hn::LoadU(d, a + i)), d, out + i);
  }
}

template <class Op, class T>
HWY_NOINLINE void vectors2(const T* a, const T* b, T* out, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < n; i += lanes) {
    hn::StoreU(Op()(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  }
}

template <class Op, class T>
void map1(const void* const* inputs, void* output, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* a = static_cast<const T*>(inputs[0]);
  T* out = static_cast<T*>(output);
  const int64_t whole = n & -lanes;
  if (whole > 0) {
    vectors1<Op, T>(a, out, whole);
  }
  if (whole < n) {
    HWY_ALIGN T scratch[hn::MaxLanes(hn::ScalableTag<T>())];
    load_first(d, a + whole, scratch, n - whole);
    vectors1<Op, T>(scratch, scratch, lanes);
    store_first(d, scratch, out + whole, n - whole);
  }
}

template <class Op, class T>
void map2(const void* const* inputs, void* output, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* a = static_cast<const T*>(inputs[0]);
  const T* b = static_cast<const T*>(inputs[1]);
  T* out = static_cast<T*>(output);
  const int64_t whole = n & -lanes;
  if (whole > 0) {
    vectors2<Op, T>(a, b, out, whole);
  }
  if (whole < n) {
    HWY_ALIGN T scratch[2][hn::MaxLanes(hn::ScalableTag<T>())];
    load_first(d, a + whole, scratch[0], n - whole);
    load_first(d, b + whole, scratch[1], n - whole);
    vectors2<Op, T>(scratch[0], scratch[1], scratch[0], lanes);
    store_first(d, scratch[0], out + whole, n - whole);
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
