// How a row's reduction ends in strips.
#if defined(MLX_CPU_STRIP_FOLDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_STRIP_FOLDS_INL_H_
#undef MLX_CPU_STRIP_FOLDS_INL_H_
#else
#define MLX_CPU_STRIP_FOLDS_INL_H_
#endif

#include <algorithm>

#include "mlx_core/cpu/reduce-inl.h"
#include "mlx_core/cpu/strips.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// Joins the lanes of a row, of T, and gives the result, or the partial, of M; then the next row begins.
template <class Op, class T, class M, int vectors, class D, class V>
HWY_INLINE void give_fold(D d, V (&v)[vectors], StripFold& to) {
  for (int half = vectors / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) {
      v[k] = Op::vector(v[k], v[k + half]);
    }
  }
  HWY_ALIGN T first[hn::MaxLanes(D())];
  cpu::HWY_NAMESPACE::Bodies<Op, T>::fold_vector(d, v[0], first);
  if (to.out_bytes == sizeof(M)) {
    *reinterpret_cast<M*>(to.out) = static_cast<M>(first[0]);
  } else {
    *reinterpret_cast<T*>(to.out) = first[0];
  }
  to.out += to.out_bytes;
  to.end = std::min(to.end + to.length, to.last);
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
