// astype: conversion between element types.
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/shape/shape.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

constexpr OpInfo astype_info{.name = "astype",
    .primitive = "AsType",
    .summary = "a converted to another dtype; a itself where it has that dtype already.",
    .example = ">>> mx.array([1.7, -1.7]).astype(mx.int32)\narray([1, -1], dtype=int32)",
    .details =
        "Floating to integer truncates toward zero, stops at the integer's limits, and gives 0 for NaN. Complex to "
        "real drops the imaginary part. Anything to bool is True where it is not 0. The derivative of a conversion "
        "to an integer or to bool is zero; the gradient of a real array converted to complex is real."};

class AsType final : public Elementwise {
 public:
  explicit AsType(Dtype dtype) : dtype_(dtype) {}

  const char* name() const override { return astype_info.primitive; }
  void visit(ParamVisitor& v) const override { v("dtype", dtype_); }
  Body body() const override { return Body::copy; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), dtype_}}; }

  // Converting to complex and dropping the imaginary part are each other's transposes.
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    return {through(tangents[0], primals[0], dtype_)};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    return {through(cotangents[0], primals[0], primals[0].dtype())};
  }

 private:
  Tangent through(const Tangent& g, const array& primal, Dtype to) const {
    bool carries = g && primal.dtype().is_inexact() && dtype_.is_inexact();
    return carries ? Tangent(astype(*g, to)) : std::nullopt;
  }
  Dtype dtype_;
};

array astype(const array& a, Dtype dtype, StreamOrDevice s) {
  StreamScope on(s);
  if (a.dtype() == dtype) {
    return a;
  }
  static const auto& casts = *[] {
    auto* all = new std::vector<PrimitiveRef>;
    for (int i = 0; i < dtype_count; ++i) {
      all->push_back(make_primitive<AsType>(Dtype(static_cast<Dtype::Val>(i))));
    }
    return all;
  }();
  return array::make(casts[static_cast<size_t>(dtype.val)], Spec{a.shape(), dtype}, {a});
}

std::span<const OpInfo* const> fp8_ops(); // fp8.cpp
std::span<const OpInfo* const> cast_ops() {
  static constexpr const OpInfo* here[] = {&astype_info};
  static const std::vector<const OpInfo*>& ops = *new std::vector<const OpInfo*>(joined({here, view_ops(), fp8_ops()}));
  return ops;
}

std::span<const Remake> cast_remakes() {
  static constexpr Remake rows[] = {
      {"AsType", [](const Parts& p) { return std::vector<array>{astype(p[0], p.dtype("dtype"))}; }},
      {"View", [](const Parts& p) { return std::vector<array>{view(p[0], p.dtype("dtype"))}; }},
  };
  return rows;
}

} // namespace mlx::core
