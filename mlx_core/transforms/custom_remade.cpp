// Custom functions that are made again, of a file or for other sizes, with the rules that were recorded.
#include "mlx_core/ops.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/function.h"
#include "mlx_core/transforms/program_primitives.h"

namespace mlx::core {

// The rules of a file are programs: they are called as such, recorded again around these arguments.
std::vector<array> remade_custom(const Parts& parts) {
  size_t count = parts.count("parameters"), ruled = parts.count("ruled");
  Parts::require(
      count <= parts.operands().size() && ruled <= count, "a custom function has more arguments than operands.");
  auto rest = parts.operands().begin() + static_cast<ptrdiff_t>(count);
  std::vector<array> args(parts.operands().begin(), rest), captured(rest, parts.operands().end());
  auto fun = [&](const std::vector<array>& in) { return parts.function("body")(joined(in, captured)); };
  // Results that are not zero, at their places.
  auto answer = [&](const char* rule, const char* given, size_t many, const std::vector<array>& in) {
    Tangents out(many);
    std::vector<array> results = parts.function(rule)(in);
    Axes places = parts.axes(given);
    Parts::require(places.size() == results.size(), "a rule has another number of results.");
    for (size_t i = 0; i < results.size(); ++i) {
      auto at = static_cast<size_t>(places[i]);
      Parts::require(places[i] >= 0 && at < many, "a rule answers for what there is not.");
      out[at] = results[i];
    }
    return out;
  };
  CustomRules rules;
  rules.ruled = ruled;
  rules.kept = parts.count("kept");
  if (parts.has_function("vjp")) {
    size_t many = parts.count("vjp_results");
    Parts::require(many <= ruled, "a rule answers for more than its arguments.");
    rules.vjp = [&, many](const std::vector<array>& primals, const std::vector<array>& cotangents,
                    const std::vector<array>& outputs) {
      return answer("vjp", "vjp_given", many, joined(joined(primals, cotangents), outputs));
    };
  }
  if (parts.has_function("jvp")) {
    size_t many = parts.count("jvp_results");
    rules.jvp = [&, many](const std::vector<array>& primals, const Tangents& tangents) {
      std::vector<array> in(primals);
      for (size_t i = 0; i < ruled; ++i) {
        in.push_back(tangents[i] ? *tangents[i] : zeros_like(primals[i]));
      }
      return answer("jvp", "jvp_given", many, in);
    };
  }
  if ((!rules.vjp && !rules.jvp) || rules_are_unneeded(parts.operands()) ||
      derivatives_are_unneeded(parts.operands())) {
    return fun(args);
  }
  Traced traced = trace_function(fun, args, DerivativesOf::rule);
  Parts::require(rules.kept <= traced.program->outputs().size(), "a function keeps more than it has outputs.");
  ClosedCall call = close_rules(std::move(traced), args, rules);
  Parts::require(call.rules->recorded(), "a rule cannot be made.");
  return call_closed(call);
}

} // namespace mlx::core
