// The rules of Function: each replays the program under the transform in question.
#include "mlx_core/transforms/function.h"

#include "mlx_core/ops.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/program_primitives.h"

namespace mlx::core {

Traced trace_function(const VectorFunction& fun, const std::vector<array>& args, DerivativesOf derivatives) {
  Frame frame(Frame::Kind::trace);
  frame.passes_derivatives = derivatives == DerivativesOf::program;
  for (const array& arg : args) {
    frame.primal(arg);
  }
  std::vector<array> outputs = fun(std::vector<array>(frame.placeholders()));
  return record_program(frame, outputs);
}

std::vector<array> call_as_function(const VectorFunction& fun, const std::vector<array>& args) {
  if (derivatives_are_unneeded(args)) { // nothing would be computed again
    return fun(args);
  }
  Traced traced = trace_function(fun, args, DerivativesOf::program);
  return applied_many(make_primitive<Function>(std::move(traced.program)), joined(args, traced.captured));
}

std::vector<array> remade_function(const Parts& parts) {
  return call_as_function(parts.function("body"), parts.operands());
}

VectorFunction checkpoint(const VectorFunction& fun) {
  return [fun](const std::vector<array>& args) { return call_as_function(fun, args); };
}

Spec spec_of(const array& a) { return {a.shape(), a.dtype()}; }

Specs specs_of(Operands arrays) {
  Specs specs;
  for (const array& a : arrays) {
    specs.push_back(spec_of(a));
  }
  return specs;
}

std::vector<array> joined(std::vector<array> arrays, std::span<const array> more) {
  arrays.insert(arrays.end(), more.begin(), more.end());
  return arrays;
}

namespace {

// The program as a function of the operands at `positions`; the others keep the values they have.
VectorFunction function_of(const Program& body, Operands operands, const std::vector<size_t>& positions) {
  return [&body, operands, positions](const std::vector<array>& in) {
    std::vector<array> all(operands.begin(), operands.end());
    for (size_t i = 0; i < positions.size(); ++i) {
      all[positions[i]] = in[i];
    }
    return replay(body, std::move(all));
  };
}

std::vector<array> at(Operands operands, const std::vector<size_t>& positions) {
  std::vector<array> chosen;
  for (size_t position : positions) {
    chosen.push_back(operands[position]);
  }
  return chosen;
}

} // namespace

Tangents push_through(const Program& body, Operands primals, const Tangents& tangents) {
  std::vector<size_t> positions;
  std::vector<array> given;
  for (size_t i = 0; i < primals.size(); ++i) {
    if (tangents[i] && primals[i].dtype().is_inexact()) {
      positions.push_back(i);
      given.push_back(*tangents[i]);
    }
  }
  std::vector<array> pushed = jvp(function_of(body, primals, positions), at(primals, positions), given).second;
  return Tangents(pushed.begin(), pushed.end());
}

Tangents pull_through(const Program& body, Operands primals, const Tangents& cotangents, std::span<const bool> wanted) {
  std::vector<size_t> positions;
  for (size_t i = 0; i < primals.size(); ++i) {
    if (wanted[i]) {
      positions.push_back(i);
    }
  }
  auto dense = [&](const std::vector<array>& outputs) { return dense_cotangents(cotangents, outputs); };
  std::vector<array> pulled = vjp(function_of(body, primals, positions), at(primals, positions), dense).second;
  Tangents all(primals.size());
  for (size_t i = 0; i < positions.size(); ++i) {
    all[positions[i]] = pulled[i];
  }
  return all;
}

std::vector<array> dense_cotangents(const Tangents& cotangents, Operands outputs) {
  std::vector<array> dense;
  for (size_t i = 0; i < outputs.size(); ++i) {
    dense.push_back(i < cotangents.size() && cotangents[i] ? *cotangents[i] : zeros_like(outputs[i]));
  }
  return dense;
}

// --- the primitive ---

Specs Function::infer(Operands operands) const { return output_specs(*body_, specs_of(operands)); }

void Function::eval(Operands operands, std::span<array> outputs, Kernels&) const {
  std::vector<array> results = run(*body_, {operands.begin(), operands.end()});
  for (size_t i = 0; i < results.size(); ++i) {
    outputs[i].share(results[i], results[i].strides());
  }
}

Tangents Function::jvp(Operands primals, const Tangents& tangents, Operands) const {
  return push_through(*body_, primals, tangents);
}

Tangents Function::vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const {
  return pull_through(*body_, primals, cotangents, wanted);
}

// Again a Function, which keeps recomputing instead of keeping what is inside.
Mapped Function::vmap(Operands operands, const MapAxes& axes) const {
  Mapped out;
  auto batch = [&](const std::vector<array>& in) {
    Mapped mapped = replay_batched(*body_, in, axes);
    out.axes = std::move(mapped.axes);
    return std::move(mapped.outputs);
  };
  out.outputs = call_as_function(batch, {operands.begin(), operands.end()});
  return out;
}

} // namespace mlx::core
