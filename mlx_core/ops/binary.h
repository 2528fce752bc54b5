// The elementwise binary kind: from a struct with a body and partial derivatives to a public op with every rule.
//
//   struct Multiply {
//     static constexpr OpInfo info{...};
//     static constexpr Body body = Body::multiply;
//     // g times the partial derivative with respect to operand k (0 or 1), of a holomorphic (or real) function. a, b
//     // and y may have the shapes they had in the call: the kind broadcasts and sums.
//     static array chain(int k, const array& g, const array& a, const array& b, const array& y);
//     // May be left out: g with the factor that both partial derivatives begin with, for chain to go on from.
//     static array common(const array& g, const array& a, const array& b, const array& y);
//   };
//   array multiply(const array& a, const array& b, StreamOrDevice s) { return Binary<Multiply>::apply(a, b, s); }
#pragma once

#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

// Both arguments in the dtype the op computes in.
std::pair<array, array> to_common(const OpInfo& info, const array& a, const array& b);

template <typename Op>
class Binary final : public Elementwise {
 public:
  static array apply(const array& a, const array& b, const StreamOrDevice& s) {
    StreamScope on(s);
    if (a.dtype() == b.dtype() && accepts(Op::info.accepts, a.dtype())) {
      return node(a, b);
    }
    auto [x, y] = to_common(Op::info, a, b);
    return node(x, y);
  }

  const char* name() const override { return Op::info.primitive; }
  Body body() const override { return Op::body; }

  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    Tangent total;
    for (int k = 0; k < 2; ++k) {
      const Tangent& t = tangents[static_cast<size_t>(k)];
      Tangent part = t ? chain(k, common(*t, primals, outputs[0]), primals, outputs[0]) : std::nullopt;
      if (part) {
        total = total ? add(*total, *part) : *part;
      }
    }
    if (total && !(total->shape() == outputs[0].shape())) {
      total = broadcast_to(*total, outputs[0].shape());
    }
    return {total};
  }

  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (!cotangents[0]) {
      return out;
    }
    // ct * conj(d) = conj(conj(ct) * d)
    const array& ct = *cotangents[0];
    Tangent conjugated = ct.dtype().is_complex() ? Tangent(conjugate(ct)) : std::nullopt;
    const array& shared = common(conjugated ? *conjugated : ct, primals, outputs[0]);
    for (int k = 0; k < 2; ++k) {
      size_t i = static_cast<size_t>(k);
      if (k == 1 && Op::body == Body::multiply && out[0] && primals[0].node() == primals[1].node()) {
        out[1] = out[0]; // x * x
        break;
      }
      Tangent g = wanted[i] ? chain(k, shared, primals, outputs[0]) : std::nullopt;
      if (g) {
        array whole = conj_of(*std::move(g));
        out[i] = whole.shape() == primals[i].shape() ? std::move(whole) : sum_to(whole, primals[i].shape());
      }
    }
    return out;
  }

 private:
  static const PrimitiveRef& instance() {
    static const PrimitiveRef& one = *new PrimitiveRef(make_primitive<Binary>().kept_for_ever());
    return one;
  }
  static array node(const array& a, const array& b) {
    Dtype out = output_dtype(Op::body, b.dtype());
    if (b.ndim() == 0 || surely_equal(a.shape(), b.shape())) {
      return array::make(instance(), a.shape(), out, a, b);
    }
    return array::make(instance(), broadcast_shapes(Op::info.name, a.shape(), b.shape()), out, a, b);
  }
  static decltype(auto) common(const array& g, Operands primals, const array& y) {
    if constexpr (requires { &Op::common; }) {
      return Op::common(g, primals[0], primals[1], y);
    } else {
      return (g);
    }
  }
  static Tangent chain(int k, const array& g, Operands primals, const array& y) {
    if constexpr (requires { &Op::chain; }) {
      return Op::chain(k, g, primals[0], primals[1], y);
    } else {
      static_assert(Op::info.differentiable != Differentiable::yes, "a differentiable op needs chain()");
      return std::nullopt;
    }
  }
};

} // namespace mlx::core
