// Kernels that move elements without computing: copy, select, and the parts of complex numbers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/movement.cpp"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/simd.h"

#include <complex>
#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

template <class T>
struct Select {
  static T apply(uint8_t condition, T a, T b) { return condition != 0 ? a : b; }
};

template <class T>
struct MakeComplex {
  static std::complex<T> apply(T re, T im) { return {re, im}; }
};
template <class T>
struct Real {
  static T apply(std::complex<T> z) { return z.real(); }
};
template <class T>
struct Imag {
  static T apply(std::complex<T> z) { return z.imag(); }
};
template <class T>
struct Conjugate {
  static std::complex<T> apply(std::complex<T> z) { return {z.real(), -z.imag()}; }
};

template <int size>
void copy_run(const void* const* inputs, void* output, int64_t n) {
  if (n > 0 && inputs[0] != output) {
    copy_contiguous(output, inputs[0], static_cast<size_t>(n) * size);
  }
}

Kernel find_copy(Dtype dtype) {
  return with_item(dtype.size(), []<class T>(std::type_identity<T>) -> Kernel { return &copy_run<sizeof(T)>; });
}

Kernel find_select(Dtype dtype) {
  return with_item(
      dtype.size(), []<class T>(std::type_identity<T>) -> Kernel { return &loop3<Select<T>, T, uint8_t, T, T>; });
}

template <class T>
Kernel find_part(Body body) {
  using Z = std::complex<T>;
  switch (body) {
    case Body::conjugate: return &loop1<Conjugate<T>, Z, Z>;
    case Body::real: return &loop1<Real<T>, T, Z>;
    case Body::imag: return &loop1<Imag<T>, T, Z>;
    default: return nullptr;
  }
}

// What changes nothing: rounding an integer; magnitude, square and sign of a bool; the conjugate of a real number.
bool is_identity(Body body, Dtype dtype) {
  switch (body) {
    case Body::copy: return true;
    case Body::conjugate: return !dtype.is_complex();
    case Body::floor:
    case Body::ceil:
    case Body::trunc:
    case Body::rint: return !dtype.is_inexact();
    case Body::abs:
    case Body::square:
    case Body::sign: return dtype.is_bool();
    default: return false;
  }
}

Kernel find_movement(Body body, Dtype dtype) {
  if (is_identity(body, dtype)) {
    return find_copy(dtype);
  }
  if (body == Body::select) {
    return find_select(dtype);
  }
  if (body == Body::make_complex) {
    switch (dtype) {
      case Dtype::Val::float32: return &loop2<MakeComplex<float>, complex64_t, float>;
      case Dtype::Val::float64: return &loop2<MakeComplex<double>, complex128_t, double>;
      default: return nullptr;
    }
  }
  switch (dtype) {
    case Dtype::Val::complex64: return find_part<float>(body);
    case Dtype::Val::complex128: return find_part<double>(body);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_movement);

Kernel movement_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_movement)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
