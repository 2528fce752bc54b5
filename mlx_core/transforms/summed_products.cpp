// Taking summands apart into factors, and multiplying all of them at once.
#include "mlx_core/transforms/summed_products.h"

#include "mlx_core/ops.h"
#include "mlx_core/ops/moves.h"

namespace mlx::core {

namespace {

// Through views that do nothing but exchange the axes of a matrix.
array peeled(array a, bool& turned) {
  while (a.ndim() == 2 && a.node()->primitive && exchanges_matrix_axes(*a.node()->primitive)) {
    turned = !turned;
    a = array(a.node()->operands()[0]);
  }
  return a;
}

bool is_sum_of_two(const Primitive& primitive) {
  return primitive.eval_kind() == EvalKind::elementwise &&
         static_cast<const Elementwise&>(primitive).body() == Body::add;
}

} // namespace

std::optional<SummedProducts::Factor> SummedProducts::factor(
    const array& a, std::span<const array> parameters, size_t first_input) {
  if (a.node()->level < parameters[0].node()->level) { // it does not depend on them
    return std::nullopt;
  }
  Factor factor{a};
  factor.each = peeled(a, factor.turned);
  for (size_t i = first_input; i < parameters.size(); ++i) {
    if (factor.each.node() == parameters[i].node()) {
      factor.input = static_cast<int>(i - first_input);
    }
  }
  return factor;
}

bool SummedProducts::collect(const array& summand, std::span<const array> parameters, size_t first_input) {
  const PrimitiveRef& primitive = summand.node()->primitive;
  if (!primitive || summand.ndim() != 2) {
    return false;
  }
  std::span<const array> operands = summand.node()->operands();
  if (is_sum_of_two(*primitive)) {
    return operands[0].shape() == summand.shape() && operands[1].shape() == summand.shape() &&
           collect(operands[0], parameters, first_input) && collect(operands[1], parameters, first_input);
  }
  if ((primitive->role() != Role::product && primitive->role() != Role::chain_product) || operands.size() != 2) {
    return false;
  }
  std::optional<Factor> left = factor(operands[0], parameters, first_input);
  std::optional<Factor> right = factor(operands[1], parameters, first_input);
  if (!left || !right) {
    return false;
  }
  products_.push_back({primitive, *left, *right});
  return true;
}

std::optional<SummedProducts> SummedProducts::of(
    const array& summand, std::span<const array> parameters, size_t first_input) {
  SummedProducts products;
  array sum = peeled(summand, products.turned_);
  if (!sum.dtype().is_inexact() || !products.collect(sum, parameters, first_input)) {
    return std::nullopt;
  }
  Dim returned = 0;
  for (const Product& product : products.products_) {
    for (const Factor* factor : {&product.left, &product.right}) {
      if (factor->input < 0) {
        returned = returned + factor->each.size();
      }
    }
  }
  Dim added = sum.size();
  bool known = !returned.is_symbolic() && !added.is_symbolic();
  return known && static_cast<int64_t>(returned) <= 2 * static_cast<int64_t>(added) ? std::optional(products)
                                                                                    : std::nullopt;
}

void SummedProducts::append_factors(std::vector<array>& outputs, size_t first) {
  for (Product& product : products_) {
    for (Factor* factor : {&product.left, &product.right}) {
      factor->output = first;
      while (factor->output < outputs.size() && outputs[factor->output].node() != factor->each.node()) {
        ++factor->output;
      }
      if (factor->input < 0 && factor->output == outputs.size()) {
        outputs.push_back(factor->each);
      }
    }
  }
}

// [T, m, k] to [m, T k], or [T, k, n] to [T k, n].
array SummedProducts::joined(const Factor& factor, bool along_columns, const array& all) {
  if (factor.turned == along_columns) {
    array rows = flatten(all, 0, 1);
    return along_columns ? swapaxes(rows, 0, 1) : rows;
  }
  return along_columns ? flatten(swapaxes(all, 0, 1), 1, 2) : flatten(swapaxes(all, 1, 2), 0, 1);
}

array SummedProducts::total(std::span<const array> stacked, std::span<const array> inputs) const {
  std::optional<array> sum;
  for (const Product& product : products_) {
    auto all = [&](const Factor& f) { return f.input >= 0 ? inputs[static_cast<size_t>(f.input)] : stacked[f.output]; };
    array term = applied(product.primitive,
        {joined(product.left, true, all(product.left)), joined(product.right, false, all(product.right))});
    sum = sum ? add(*sum, term) : term;
  }
  return turned_ ? swapaxes(*sum, 0, 1) : *sum;
}

} // namespace mlx::core
