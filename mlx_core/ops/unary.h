// The elementwise unary kind: from a struct with a body and a derivative to a public op with every rule.
//
//   struct Sinh {
//     static constexpr OpInfo info{...};
//     static constexpr Body body = Body::sinh;
//     static array derivative(const array& x, const array& y);   // dy/dx, of a holomorphic (or real) function
//   };
//   array sinh(const array& a, StreamOrDevice s) { return Unary<Sinh>::apply(a, s); }
//
// Instead of `derivative` an op may give `chain(g, x, y)` = g * dy/dx, or, when it is not holomorphic, `jvp(t, x, y)`
// and `vjp(ct, x, y)`. With none of these, info.differentiable says why there is no derivative.
#pragma once

#include "mlx_core/ops.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

// The argument in a dtype the op takes: bool and integers become float32 where the op is inexact-only. Throws when
// there is no such dtype.
array to_accepted(const OpInfo& info, const array& a);
// g or its conjugate: conj is the identity on real arrays, without a node.
inline array conj_of(const array& g) { return g.dtype().is_complex() ? conjugate(g) : g; }
inline array conj_of(array&& g) { return g.dtype().is_complex() ? conjugate(g) : std::move(g); }

// Derivatives meet tangents g through zero_times (ops.h): 0 where either is 0, elsewhere the product. The quotient
// likewise: 0 where g or 1 / divisor is.
array zero_divide(const array& g, const array& divisor);

// Inside other ops: a - b, 0 where they are equal, infinities too, with the difference's derivative everywhere.
array gap(const array& a, const array& b);

template <typename Op>
class Unary final : public Elementwise {
 public:
  static array apply(const array& a, const StreamOrDevice& s) {
    StreamScope on(s);
    return accepts(Op::info.accepts, a.dtype()) ? node(a) : node(to_accepted(Op::info, a));
  }

  const char* name() const override { return Op::info.primitive; }
  Body body() const override { return Op::body; }

  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    if constexpr (requires { &Op::jvp; }) {
      return {Op::jvp(*tangents[0], primals[0], outputs[0])};
    } else {
      return {chain(*tangents[0], primals[0], outputs[0])};
    }
  }

  Tangents vjp(Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool>) const override {
    if (!cotangents[0]) {
      return {std::nullopt};
    }
    const array& ct = *cotangents[0];
    Tangents out;
    if constexpr (requires { &Op::vjp; }) {
      out.emplace_back(Op::vjp(ct, primals[0], outputs[0]));
    } else if (!ct.dtype().is_complex()) {
      out.emplace_back(chain(ct, primals[0], outputs[0]));
    } else { // ct * conj(d) = conj(conj(ct) * d)
      Tangent g = chain(conjugate(ct), primals[0], outputs[0]);
      out.emplace_back(g ? Tangent(conj_of(*g)) : g);
    }
    return out;
  }

 private:
  static const PrimitiveRef& instance() {
    static const PrimitiveRef& one = *new PrimitiveRef(make_primitive<Unary>().kept_for_ever());
    return one;
  }
  static array node(const array& x) { return array::make(instance(), x.shape(), output_dtype(Op::body, x.dtype()), x); }
  static Tangent chain(const array& g, const array& x, const array& y) {
    if constexpr (requires { &Op::chain; }) {
      return Op::chain(g, x, y);
    } else if constexpr (requires { &Op::derivative; }) {
      return zero_times(g, Op::derivative(x, y));
    } else {
      static_assert(Op::info.differentiable != Differentiable::yes, "a differentiable op needs a derivative");
      return std::nullopt;
    }
  }
};

} // namespace mlx::core
