// Functions: recording one as a body, and calling a body with other arrays.
#pragma once

#include "mlx_core/primitive.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

// Runs `fun` on arrays without values that look like `args`, and keeps what it did. Arrays that it uses from outside become
// the body's captured operands.
std::shared_ptr<const FunctionBody> trace_function(const VectorFunction& fun, const std::vector<array>& args);

// The body's outputs with its parameters replaced by the first arguments and its captured arrays by the rest.
std::vector<array> replay(const FunctionBody& body, Operands arguments);

// One node (several outputs) for fun(args): it keeps the graph of fun, and its rules apply to that graph.
std::vector<array> call_as_function(const VectorFunction& fun, const std::vector<array>& args);

} // namespace mlx::core
