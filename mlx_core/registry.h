// The registry: every public op, family by family.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "mlx_core/primitive.h"

namespace mlx::core {

// All ops in family order.
const std::vector<const OpInfo*>& registered_ops();
// Null when there is none of that name.
const OpInfo* find_op(std::string_view name);
// The family file an op belongs to: "hyperbolic".
std::string_view family_of(const OpInfo& op);

} // namespace mlx::core
