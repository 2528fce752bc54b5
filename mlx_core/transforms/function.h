// Functions: recording one as a body, and calling a body with other arrays.
#pragma once

#include "mlx_core/primitive.h"
#include "mlx_core/transforms.h"
#include "mlx_core/transforms/frame.h"

namespace mlx::core {

// Runs `fun` on arrays that have the values of `args`, so that it may read them, and keeps what it did as a body whose
// parameters have no values. Arrays that it uses from outside become the body's captured operands.
std::shared_ptr<const FunctionBody> trace_function(const VectorFunction& fun, const std::vector<array>& args);

// What `outputs` use but do not compute from the frame's placeholders: it comes in as operands, so that transforms see
// it.
std::vector<array> captured_by(const Frame& frame, const std::vector<array>& outputs);

// The body's outputs with its parameters replaced by the first arguments and its captured arrays by the rest.
std::vector<array> replay(const FunctionBody& body, Operands arguments);

// Evaluates the body on evaluated operands, which stand outside of every transform. What runs a body many times calls
// this: nothing of one run is left behind but its results, and Ctrl-C stops it.
std::vector<array> run_body(const FunctionBody& body, std::vector<array> arguments);
// An evaluated array as a leaf that no transform follows.
array as_leaf(const array& a);

// The derivatives of a body. Operands without a tangent, or that are not wanted, are held constant: nothing is computed
// for them, and their entry is empty.
Tangents push_through(const FunctionBody& body, Operands primals, const Tangents& tangents);
Tangents pull_through(
    const FunctionBody& body, Operands primals, const Tangents& cotangents, std::span<const bool> wanted);
// Cotangents in full: zeros for those that are symbolic.
std::vector<array> dense_cotangents(const Tangents& cotangents, Operands outputs);

// Lets Functions, and what derives from them, be made.
void install_function_rules();
// The body's parameters, then its captured arrays.
std::vector<array> operands_of(const FunctionBody& body, const std::vector<array>& args);

// The same body around placeholders in the place of what it captured. Nodes have the captured arrays as operands; a
// primitive that held them, too, would keep arrays of a recording beyond it.
std::shared_ptr<const FunctionBody> without_captured(std::shared_ptr<const FunctionBody> body);

// One node (several outputs) for fun(args): it keeps the graph of fun, and its rules apply to that graph.
std::vector<array> call_as_function(const VectorFunction& fun, const std::vector<array>& args);

} // namespace mlx::core
