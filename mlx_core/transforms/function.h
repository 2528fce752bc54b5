// Functions: one node for a recorded program, and the derivatives of programs.
#pragma once

#include "mlx_core/program/record.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

// A primitive that is a program. Operands: the arguments, then what the program captured. Its rules replay the program
// under the transform in question.
class Function : public Primitive {
 public:
  explicit Function(SharedProgram body) : body_(std::move(body)) {}
  const Program& body() const { return *body_; }
  int output_count() const override { return static_cast<int>(body_->outputs().size()); }

  const char* name() const override { return "Function"; }
  void visit(ParamVisitor& v) const override { v("body", body_); }
  Specs infer(Operands operands) const override;
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override;
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override;
  Tangents vjp(Operands, const Tangents&, Operands, std::span<const bool>) const override;
  Mapped vmap(Operands operands, const MapAxes& axes) const override;

 private:
  SharedProgram body_;
};

// Runs `fun` on arrays that have the values of `args`, so that it may read them, and keeps what it did. Its derivatives
// are those of what it did, or a rule's.
enum class DerivativesOf : uint8_t { program, rule };
Traced trace_function(const VectorFunction& fun, const std::vector<array>& args, DerivativesOf derivatives);
// One node (several outputs) for fun(args): it keeps what fun did, and its rules apply to that.
std::vector<array> call_as_function(const VectorFunction& fun, const std::vector<array>& args);

Spec spec_of(const array& a);
Specs specs_of(Operands arrays);
// The arrays of both, in order: the inputs of a program are its arguments and what it captured.
std::vector<array> joined(std::vector<array> arrays, std::span<const array> more);

// The derivatives of a program. Operands without a tangent, or that are not wanted, are held constant: nothing is
// computed for them, and their entry is empty.
Tangents push_through(const Program& body, Operands primals, const Tangents& tangents);
Tangents pull_through(const Program& body, Operands primals, const Tangents& cotangents, std::span<const bool> wanted);
// Cotangents in full: zeros for those that are symbolic.
std::vector<array> dense_cotangents(const Tangents& cotangents, Operands outputs);

} // namespace mlx::core
