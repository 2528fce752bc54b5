// Functions whose derivatives and batching a user defines.
#pragma once

#include "mlx_core/primitive.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

// What rules need that is not the core's: Python objects.
struct RuleObjects {
  virtual ~RuleObjects() = default;
};

// Each rule may be empty. Where only one of jvp and vjp is given, the other is its transpose: both are linear maps. A
// rule gets all arguments of the call and answers for the first `ruled` of them; derivatives
// with respect to the others, and to what the function captures, follow from the function.
struct CustomRules {
  size_t ruled = 0;
  // The last outputs, so many, are no results: what fun keeps for the vjp rule, and arrays that it leaves behind. Rules
  // do not answer for them; their derivatives and batching follow from fun. May be set while fun runs.
  size_t kept = 0;
  // These use nothing but what they are given: they are bodies.
  bool jvp_recorded = false, vjp_recorded = false;
  // Tangents of the outputs. Those of `tangents` that are empty are zero, and so are the empty ones of the result.
  mutable std::function<Tangents(const std::vector<array>& primals, const Tangents& tangents)> jvp;
  // Cotangents of the first `ruled` arguments; empty ones, and those left out at the end, are zero. It gets a cotangent
  // for each result, and all outputs.
  mutable std::function<Tangents(
      const std::vector<array>& primals, const std::vector<array>& cotangents, const std::vector<array>& outputs)>
      vjp;
  // Used when only arguments that it answers for are mapped, and it uses no array that differs between lanes.
  mutable std::function<Mapped(const std::vector<array>& inputs, const MapAxes& axes)> vmap;
  // What the rules refer to without owning it: all of them; and each.
  mutable std::shared_ptr<const RuleObjects> objects, jvp_objects, vjp_objects, vmap_objects;
  std::vector<std::shared_ptr<const CustomRules>> parts;
  std::vector<std::shared_ptr<const FunctionBody>> bodies;
  // Somebody uses them again after a recording that has found them: a linear map.
  mutable bool used_again = false;

  // Whether all rules of derivatives are.
  bool recorded() const { return (!jvp || jvp_recorded) && (!vjp || vjp_recorded); }
  // Lets go of the rules that are not recorded, and of what they refer to: arrays whose transform ends. Nobody will ask
  // for them.
  void forget_unrecorded() const;
  // Lets go of the rule of batching: from now on, batches are those of the function.
  void forget_batching() const;
};

// How a node refers to its rules: it owns them only while a transform is open, which alone asks for them, for they may
// refer to an array whose graph the node is part of. Whoever keeps primitives for later transforms (a recording) keeps
// their rules, too.
class RulesRef {
 public:
  explicit RulesRef(const std::shared_ptr<const CustomRules>& rules);
  const CustomRules* operator->() const; // valid while somebody has them
  const CustomRules* get() const { return address_; }
  std::shared_ptr<const CustomRules> lock() const { return rules_.lock(); }

 private:
  const CustomRules* address_;
  std::weak_ptr<const CustomRules> rules_;
  std::shared_ptr<struct OwnedRules> owned_;
};

// --- custom_rules.cpp ---
// The rules that transforms of a plan may ask for.
class Plan;
std::vector<std::shared_ptr<const CustomRules>> rules_in(const Plan& plan);
// The same of a body.
std::vector<std::shared_ptr<const CustomRules>> rules_in(const FunctionBody& body);
// Called when nodes of such a plan or body are made again: open transforms may ask them.
void keep_rules(std::span<const std::shared_ptr<const CustomRules>> rules);
// Whether no transform will ask for the rules of a call that is made now.
bool rules_are_unneeded(std::span<const array> args);
// Whether no transform will ask for derivatives of it: only vmaps are open.
bool derivatives_are_unneeded(std::span<const array> args);
// --- custom.cpp ---
// The rules of an application; null when it has none.
std::shared_ptr<const CustomRules> rules_of(const Primitive& primitive);

// fun(args), as one node with these rules.
std::vector<array> call_with_rules(
    const VectorFunction& fun, const std::vector<array>& args, std::shared_ptr<const CustomRules> rules);

// "jvp" or "vjp" while such a rule runs on this thread to be transposed, without values of tangents or cotangents; null
// otherwise.
const char* rule_being_transposed();

// --- custom_closure.cpp ---
// Whether the rules of a call made now may run when a vmap that is open now has ended, as it is inside an outer
// transform, or when the loop or branch that is recorded now has been.
bool rules_outlive_lanes();
// The same function with closed rules: arrays that they use from outside become further arguments, which are appended
// to args. A rule that does not run without values of cotangents stays as it is.
struct ClosedCall {
  VectorFunction fun;
  std::vector<array> args;
  std::shared_ptr<const CustomRules> rules;
};
ClosedCall close_rules(
    std::shared_ptr<const FunctionBody> body, const std::vector<array>& args, const CustomRules& rules);

} // namespace mlx::core
