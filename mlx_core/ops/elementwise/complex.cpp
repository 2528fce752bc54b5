// Complex numbers and their parts.
#include <numbers>

#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

// None of these is holomorphic: jvp and vjp are written out, as real-linear maps of the plane and their transposes.

struct Real {
  static constexpr OpInfo info{.name = "real",
      .primitive = "Real",
      .summary = "Real part of each element; a itself where it is real.",
      .example = ">>> mx.real(mx.array([1 + 2j]))\narray([1], dtype=float32)",
      .unary = &real};
  static constexpr Body body = Body::real;
  static array jvp(const array& t, const array&, const array&) { return real(t); }
  static array vjp(const array& ct, const array& x, const array&) { return astype(ct, x.dtype()); }
};
array real(const array& a, StreamOrDevice s) {
  return a.dtype().is_complex() ? Unary<Real>::apply(a, s) : positive(a, s);
}

struct Imag {
  static constexpr OpInfo info{.name = "imag",
      .primitive = "Imag",
      .summary = "Imaginary part of each element; 0 where a is real.",
      .example = ">>> mx.imag(mx.array([1 + 2j]))\narray([2], dtype=float32)",
      .unary = &imag};
  static constexpr Body body = Body::imag;
  static array jvp(const array& t, const array&, const array&) { return imag(t); }
  static array vjp(const array& ct, const array&, const array&) { return make_complex(array(0, ct.dtype()), ct); }
};
array imag(const array& a, StreamOrDevice s) {
  return a.dtype().is_complex() ? Unary<Imag>::apply(a, s) : zeros_like(a, s);
}

struct Conjugate {
  static constexpr OpInfo info{.name = "conjugate",
      .primitive = "Conjugate",
      .summary = "Complex conjugate of each element; a itself where it is real.",
      .example = ">>> mx.conjugate(mx.array([1 + 2j]))\narray([1-2j], dtype=complex64)",
      .unary = &conjugate};
  static constexpr Body body = Body::conjugate;
  static array jvp(const array& t, const array&, const array&) { return conjugate(t); }
  static array vjp(const array& ct, const array&, const array&) { return conjugate(ct); }
};
array conjugate(const array& a, StreamOrDevice s) {
  return a.dtype().is_complex() ? Unary<Conjugate>::apply(a, s) : positive(a, s);
}

constexpr OpInfo make_complex_info{.name = "make_complex",
    .primitive = "MakeComplex",
    .summary = "re + i im, element by element.",
    .accepts = Dtypes::floating,
    .example = ">>> mx.make_complex(mx.array([1.0]), mx.array([2.0]))\narray([1+2j], dtype=complex64)",
    .details = "complex128 where a part is float64, else complex64.",
    .binary = &make_complex};

class MakeComplex final : public Elementwise {
 public:
  const char* name() const override { return make_complex_info.primitive; }
  Body body() const override { return Body::make_complex; }

  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0] && !tangents[1]) {
      return {std::nullopt};
    }
    array zero(0, real_of(outputs[0].dtype()));
    array t = make_complex(tangents[0].value_or(zero), tangents[1].value_or(zero));
    return {broadcast_to(t, outputs[0].shape())};
  }

  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (cotangents[0] && wanted[0]) {
      out[0] = sum_to(real(*cotangents[0]), primals[0].shape());
    }
    if (cotangents[0] && wanted[1]) {
      out[1] = sum_to(imag(*cotangents[0]), primals[1].shape());
    }
    return out;
  }
};

array make_complex(const array& re, const array& im, StreamOrDevice s) {
  StreamScope on(s);
  static const PrimitiveRef& join = *new PrimitiveRef(make_primitive<MakeComplex>());
  auto [x, y] = to_common(make_complex_info, re, im);
  Dtype part = x.dtype() == float64 ? float64 : float32;
  Shape shape = broadcast_shapes("make_complex", x.shape(), y.shape());
  return array::make(join, Spec{std::move(shape), complex_of(part)}, {astype(x, part), astype(y, part)});
}

static constexpr OpInfo angle_info{.name = "angle",
    .summary = "The angle of each complex number, in radians from -pi to pi; of a real one 0, or pi below 0.",
    .accepts = Dtypes::inexact,
    .domain = {0.3, 3},
    .max_ulp = 2,
    .example = ">>> mx.angle(mx.array([1j, -2.0]))\narray([1.5708, 3.14159], dtype=float32)",
    .unary = &angle};
array angle(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  array x = to_accepted(angle_info, a);
  if (x.dtype().is_complex()) {
    return arctan2(imag(x), real(x));
  }
  array flat = where(signbit(x), array(std::numbers::pi, x.dtype()), array(0, x.dtype()));
  return where(isnan(x), x, flat);
}

std::span<const OpInfo* const> complex_ops() {
  static constexpr const OpInfo* ops[] = {&Real::info, &Imag::info, &Conjugate::info, &make_complex_info, &angle_info};
  return ops;
}

} // namespace mlx::core
