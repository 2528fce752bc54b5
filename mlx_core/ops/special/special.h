// The rule kind of special functions: a primitive for all of them, with the orders of derivatives as its parameters.
#pragma once

#include <array>

#include "mlx_core/backend/special_function.h"
#include "mlx_core/primitive.h"

namespace mlx::core::special {

using Orders = std::array<int, 2>;

// What one of them is: how many orders and inputs it has, and g times its derivative by input k, in terms of others.
struct SpecialRule {
  SpecialFunction function;
  const char* name; // in files
  int orders, inputs;
  array (*derivative)(int k, Orders orders, Operands x, const array& y);
};
const SpecialRule& rule_of(SpecialFunction function);

// The function of arguments of one dtype and shape; for rules.
array apply(SpecialFunction function, Orders orders, std::span<const array> x);
inline array apply(SpecialFunction f, std::initializer_list<array> x) {
  return apply(f, {}, std::span(x.begin(), x.size()));
}
inline array apply(SpecialFunction f, int n, std::initializer_list<array> x) {
  return apply(f, {n, 0}, std::span(x.begin(), x.size()));
}
inline array number(double value, const array& like) { return array(value, like.dtype()); }
// The same of arguments of a user's: converted to one floating dtype, and broadcast.
std::vector<array> arguments(const char* op, std::span<const array> x);
inline std::vector<array> arguments(const char* op, std::initializer_list<array> x) {
  return arguments(op, std::span(x.begin(), x.size()));
}
array checked(const OpInfo& info, SpecialFunction function, Orders orders, std::initializer_list<array> x);

} // namespace mlx::core::special
