// The sum of overlapping parts as one operation. It is linear in the parts, and in the factors.
#include "mlx_core/ops/index/added_parts.h"

#include <algorithm>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/remake.h"

namespace mlx::core {

namespace {

Shape end_of(const AddedPart& p) {
  Shape end = p.first;
  for (size_t d = 0; d < end.size(); ++d) {
    end[d] += p.part.shape()[d];
  }
  return end;
}

} // namespace

// The operands are the parts, then the factors.
class AddedParts final : public Primitive {
 public:
  AddedParts(Shape shape, Shape first, Axes factors, Axes signs, Axes pads)
      : shape_(std::move(shape)),
        first_(std::move(first)),
        factors_(std::move(factors)),
        signs_(std::move(signs)),
        pads_(std::move(pads)) {}
  const char* name() const override { return "AddedParts"; }
  void visit(ParamVisitor& v) const override {
    v("shape", shape_);
    v("first", first_);     // of one part after another
    v("factors", factors_); // of each part the operand; 0: none
    v("signs", signs_);     // -1: it is subtracted
    v("pads", pads_);       // 0 or 1
  }
  Specs infer(Operands operands) const override { return {Spec{shape_, operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    outputs[0].allocate();
    std::vector<kernel::AddParts::Part> parts;
    std::vector<View> inputs;
    for (const array& operand : operands) {
      inputs.push_back(operand.view());
    }
    for (size_t k = 0; k < count(); ++k) {
      parts.push_back({sizes_of(first_of(k)), static_cast<size_t>(factors_[k]), signs_[k] < 0, pads_[k] != 0});
    }
    kernels.run(kernel::AddParts{inputs, parts, outputs[0].view()});
  }

  size_t count() const { return factors_.size(); }
  std::vector<AddedPart> parts(Operands operands) const {
    std::vector<AddedPart> out;
    for (size_t k = 0; k < count(); ++k) {
      auto factor = factors_[k] ? std::optional(operands[static_cast<size_t>(factors_[k])]) : std::nullopt;
      out.push_back({operands[k], first_of(k), factor, signs_[k] < 0, pads_[k] != 0});
    }
    return out;
  }
  array as_additions(Operands operands) const {
    std::optional<array> sum;
    for (const AddedPart& p : parts(operands)) {
      array term = p.factor ? zero_times(p.part, *p.factor) : p.part;
      term = slice_update(zeros(shape_, term.dtype()), term, p.first, end_of(p));
      term = p.subtracts ? negative(term) : term;
      sum = sum ? add(*sum, term) : term;
    }
    return *std::move(sum);
  }

  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    std::vector<AddedPart> terms;
    std::vector<AddedPart> given = parts(primals);
    for (size_t k = 0; k < count(); ++k) {
      auto factor = static_cast<size_t>(factors_[k]);
      if (tangents[k]) {
        terms.push_back(given[k]);
        terms.back().part = *tangents[k];
      }
      if (factor && tangents[factor]) {
        terms.push_back(given[k]);
        terms.back().factor = *tangents[factor];
      }
    }
    return {terms.empty() ? std::nullopt : Tangent(add_parts(shape_, terms))};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(primals.size());
    std::vector<AddedPart> given = parts(primals);
    for (size_t k = 0; k < count() && cotangents[0]; ++k) {
      const AddedPart& p = given[k];
      auto factor = static_cast<size_t>(factors_[k]);
      if (!wanted[k] && !(factor && wanted[factor])) {
        continue;
      }
      array there = slice(*cotangents[0], p.first, end_of(p));
      there = p.subtracts ? negative(there) : there;
      if (wanted[k]) {
        out[k] = p.factor ? zero_times(there, *p.factor) : there;
      }
      if (factor && wanted[factor]) {
        out[factor] = sum(zero_times(p.part, there));
      }
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    std::vector<AddedPart> all = parts(operands);
    for (size_t k = 0; k < count(); ++k) {
      AddedPart& p = all[k];
      auto factor = static_cast<size_t>(factors_[k]);
      p.part = batch_first(p.part, axes[k], lanes);
      p.first = prepended(0, p.first);
      if (factor && axes[factor]) { // a number for each lane
        Shape shape(p.part.shape().size(), 1);
        shape[0] = lanes;
        p.part = zero_times(p.part, reshape(*p.factor, std::move(shape)));
        p.factor = std::nullopt;
      }
    }
    return {{add_parts(prepended(lanes, shape_), all)}, {0}};
  }

 private:
  Shape first_of(size_t k) const {
    auto begin = first_.begin() + static_cast<ptrdiff_t>(k * shape_.size());
    return Shape(begin, begin + static_cast<ptrdiff_t>(shape_.size()));
  }

  Shape shape_, first_;
  Axes factors_, signs_, pads_;
};

array add_parts(const Shape& whole, const std::vector<AddedPart>& parts) {
  std::vector<array> operands;
  Shape first;
  Axes factors, signs, pads;
  for (const AddedPart& p : parts) {
    operands.push_back(p.part);
    for (Dim d : p.first) {
      first.push_back(d);
    }
    signs.push_back(p.subtracts ? -1 : 1);
    pads.push_back(p.pads || pads.empty() ? 1 : 0);
  }
  for (const AddedPart& p : parts) {
    factors.push_back(p.factor ? static_cast<int>(operands.size()) : 0);
    if (p.factor) {
      operands.push_back(*p.factor);
    }
  }
  return applied(
      make_primitive<AddedParts>(whole, std::move(first), std::move(factors), std::move(signs), std::move(pads)),
      operands);
}

std::optional<array> as_additions(const Primitive& primitive, Operands operands) {
  const auto* added = dynamic_cast<const AddedParts*>(&primitive);
  return added ? std::optional(added->as_additions(operands)) : std::nullopt;
}

std::vector<array> remade_sum_of_parts(const Parts& p) {
  Shape whole = p.shape("shape"), first = p.shape("first");
  Axes factors = p.axes("factors"), signs = p.axes("signs"), pads = p.axes("pads");
  size_t count = factors.size(), rank = whole.size();
  Parts::require(count > 0 && signs.size() == count && pads.size() == count && first.size() == count * rank,
      "a sum of parts has lists of other lengths.");
  std::vector<AddedPart> parts;
  for (size_t k = 0; k < count; ++k) {
    const array& part = p[k];
    auto begin = first.begin() + static_cast<ptrdiff_t>(k * rank);
    Shape at(begin, begin + static_cast<ptrdiff_t>(rank));
    bool fits = part.shape().size() == rank && part.dtype() == p[0].dtype() && part.dtype().is_inexact();
    for (size_t d = 0; d < rank && fits; ++d) {
      fits = at[d] >= 0 && at[d] <= whole[d] && part.shape()[d] <= whole[d] - at[d];
    }
    Parts::require(fits, "a part does not lie in what it is a part of.");
    parts.push_back({part, std::move(at), std::nullopt, signs[k] < 0, pads[k] != 0});
    if (factors[k] != 0) {
      Parts::require(factors[k] >= static_cast<int>(count), "a part has no such factor.");
      const array& factor = p[static_cast<size_t>(factors[k])];
      Parts::require(factor.ndim() == 0 && factor.dtype() == part.dtype(), "the factor of a part is no such number.");
      parts.back().factor = factor;
    }
  }
  return {add_parts(whole, parts)};
}

} // namespace mlx::core
