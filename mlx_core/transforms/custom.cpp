// Custom: a Function some of whose rules are the user's.
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/closed_body.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "mlx_core/ops.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/escape.h"
#include "mlx_core/transforms/frame.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

thread_local const char* transposed_rule = nullptr;

// While a rule runs to be transposed.
class TransposedRule {
 public:
  explicit TransposedRule(const char* rule) : outer_(std::exchange(transposed_rule, rule)) {}
  ~TransposedRule() { transposed_rule = outer_; }
  TransposedRule(const TransposedRule&) = delete;
  TransposedRule& operator=(const TransposedRule&) = delete;

 private:
  const char* outer_;
};

using SharedRules = std::shared_ptr<const CustomRules>;

// A rule's answer takes the place of a derivative, so it must look like one.
void check_derivative(const char* rule, size_t i, Tangent& derivative, const array& of, const char* role) {
  if (!derivative) {
    return;
  }
  if (!(derivative->shape() == of.shape())) {
    fail("custom_function", "the ", rule, " rule returned shape ", derivative->shape(), " for ", role, " ", i,
        ", which has shape ", of.shape(), ".");
  }
  if (!of.dtype().is_inexact()) {
    derivative.reset();
  } else {
    derivative = astype(*derivative, of.dtype());
  }
}

Tangent sum_of(const Tangent& a, const Tangent& b) { return a && b ? add(*a, *b) : a ? a : b; }

std::vector<array> first(Operands operands, size_t count) { return {operands.begin(), operands.begin() + count}; }

bool any_traced(Operands operands) {
  return std::any_of(operands.begin(), operands.end(), [](const array& a) { return is_traced(*a.node()); });
}

bool any(const Tangents& tangents, size_t from, size_t to) {
  return std::any_of(tangents.begin() + from, tangents.begin() + to, [](const Tangent& t) { return t.has_value(); });
}

// A rule as a linear map: recorded on arguments without values, of which it must not make any use but a linear one.
class LinearRule {
 public:
  explicit LinearRule(const char* rule) : rule_(rule), frame_(Frame::Kind::trace) {}

  // An argument of the map, like this array.
  array argument(const array& like) { return frame_.abstract(like.shape(), like.dtype()); }
  template <typename Rule>
  void record(Rule&& rule) {
    TransposedRule scope(rule_);
    std::vector<array> results;
    for (const Tangent& t : rule()) {
      given_.push_back(t.has_value());
      if (t) {
        results.push_back(*t);
      }
    }
    map_ = record_program(frame_, results);
  }
  // Its transpose at `results` of the map; one answer for each place of `arguments`.
  Tangents transposed(const Tangents& results, const Tangents& arguments) const {
    Tangents cotangents, out(arguments.size());
    for (size_t i = 0; i < given_.size(); ++i) {
      if (given_[i]) {
        cotangents.push_back(results[i]);
      }
    }
    if (!any(cotangents, 0, cotangents.size())) {
      return out;
    }
    std::vector<array> zero;
    for (const array& parameter : frame_.placeholders()) {
      zero.push_back(zeros_like(parameter));
    }
    SmallVector<bool, 4> wanted(zero.size(), true);
    wanted.resize(map_.program->inputs().size());
    Tangents pulled = pull_through(*map_.program, joined(std::move(zero), map_.captured), cotangents, wanted);
    for (size_t i = 0, next = 0; i < out.size(); ++i) {
      if (arguments[i]) {
        out[i] = pulled[next++];
      }
    }
    return out;
  }

 private:
  const char* rule_;
  Frame frame_;
  Traced map_;
  std::vector<bool> given_; // results that are not zero
};

class Custom final : public Function {
 public:
  Custom(SharedProgram body, size_t parameters, const SharedRules& rules)
      : Function(std::move(body)),
        parameters_(parameters),
        ruled_(rules->ruled),
        kept_(rules->kept),
        jvp_(rules->jvp_program),
        vjp_(rules->vjp_program),
        recorded_(!rules->vmap && !rules->jvp == !jvp_ && !rules->vjp == !vjp_),
        rules_(rules) {}

  const char* name() const override { return "CustomFunction"; }
  void visit(ParamVisitor& v) const override {
    Function::visit(v);
    v("parameters", static_cast<int64_t>(parameters_));
    v("ruled", static_cast<int64_t>(ruled_));
    v("kept", static_cast<int64_t>(kept_));
    v("recorded", recorded_);
    if (jvp_) {
      v("jvp", jvp_->program);
      v("jvp_given", jvp_->given);
      v("jvp_results", jvp_->results);
    }
    if (vjp_) {
      v("vjp", vjp_->program);
      v("vjp_given", vjp_->given);
      v("vjp_results", vjp_->results);
    }
  }
  uint64_t identity() const override { return rules_.identity(); } // closures are equal to themselves only
  std::shared_ptr<const CustomRules> rules() const { return rules_.lock(); }

  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    size_t ruled = rules_->ruled;
    if ((!rules_->jvp && !rules_->vjp) || !any(tangents, 0, ruled)) {
      return push_through(body(), primals, tangents);
    }
    Tangents given(tangents);
    given.resize(parameters_);
    std::fill(given.begin() + ruled, given.end(), std::nullopt);
    Tangents out = rules_->jvp ? pushed(primals, given, results_of(outputs)) : transposed_vjp(primals, given, outputs);
    Tangents rest(tangents);
    std::fill(rest.begin(), rest.begin() + ruled, std::nullopt);
    if (any(rest, ruled, rest.size())) {
      rest = push_through(body(), primals, rest);
    } else {
      rest = Tangents(outputs.size());
    }
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = sum_of(out[i], rest[i]);
    }
    if (rules_->kept > 0) {
      for (Tangent& kept : push_through(*kept_body(), primals, tangents)) {
        out.push_back(std::move(kept));
      }
    }
    return out;
  }

  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    size_t ruled = rules_->ruled;
    auto ruled_end = wanted.begin() + static_cast<ptrdiff_t>(ruled);
    if ((!rules_->jvp && !rules_->vjp) || std::find(wanted.begin(), ruled_end, true) == ruled_end) {
      return pull_through(body(), primals, cotangents, wanted);
    }
    size_t results = results_of(outputs).size();
    Tangents out, of_results(cotangents), of_kept(cotangents);
    of_results.resize(results);
    of_kept.resize(outputs.size());
    std::rotate(of_kept.begin(), of_kept.begin() + static_cast<ptrdiff_t>(results), of_kept.end());
    of_kept.resize(rules_->kept);
    if (any(of_results, 0, results)) {
      out = rules_->vjp ? pulled(primals, dense_cotangents(of_results, results_of(outputs)), outputs)
                        : transposed_jvp(primals, of_results, results_of(outputs), wanted.first(ruled));
    }
    out.resize(primals.size());
    if (any(of_kept, 0, of_kept.size())) {
      SmallVector<bool, 4> here(wanted.begin(), wanted.end());
      std::fill(here.begin() + ruled, here.end(), false);
      Tangents kept = pull_through(*kept_body(), primals, of_kept, here);
      for (size_t i = 0; i < ruled; ++i) {
        out[i] = sum_of(out[i], kept[i]);
      }
    }
    if (std::find(ruled_end, wanted.end(), true) != wanted.end()) {
      SmallVector<bool, 4> rest(wanted.begin(), wanted.end());
      std::fill(rest.begin(), rest.begin() + ruled, false);
      Tangents others = pull_through(body(), primals, cotangents, rest);
      std::copy(others.begin() + ruled, others.end(), out.begin() + ruled);
    }
    return out;
  }

  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    size_t ruled = rules_->ruled, parameters = parameters_;
    bool ruled_only = std::none_of(axes.begin() + ruled, axes.end(), [](const MapAxis& a) { return a.has_value(); });
    if (rules_->vmap && ruled_only) {
      if (std::optional<Mapped> mapped = mapped_by_rule(operands, axes)) {
        return std::move(*mapped);
      }
    }
    int64_t lanes = lanes_of(operands, axes);
    auto batch = [&](const std::vector<array>& in) {
      return run_batched(body(), in, axes, Flags(body().outputs().size(), true), lanes);
    };
    Mapped out;
    if (derivatives_may_follow(operands)) {
      std::vector<array> captured(operands.begin() + parameters, operands.end());
      auto over_arguments = [&](const std::vector<array>& args) {
        std::vector<array> all(args);
        all.insert(all.end(), captured.begin(), captured.end());
        return batch(all);
      };
      out.outputs = call_with_rules(over_arguments, first(operands, parameters), batched(axes, lanes));
    } else {
      out.outputs = batch({operands.begin(), operands.end()}); // nobody is left to ask for the rules
    }
    out.axes = MapAxes(out.outputs.size(), MapAxis(0));
    return out;
  }

 private:
  Operands results_of(Operands outputs) const { return outputs.first(outputs.size() - rules_->kept); }
  // The body without its results.
  SharedProgram kept_body() const {
    std::vector<int32_t> same(body().inputs().size());
    std::iota(same.begin(), same.end(), 0);
    return rewired(body(), {body().inputs().begin(), body().inputs().end()}, same, body().outputs().last(kept_));
  }

  // What the rules answer, checked.
  Tangents pushed(Operands primals, const Tangents& tangents, Operands outputs) const {
    Tangents out = rules_->jvp(first(primals, parameters_), tangents);
    if (out.size() != outputs.size()) {
      fail("custom_function", "the jvp rule returned ", out.size(), " tangents for ", outputs.size(), " outputs.");
    }
    for (size_t i = 0; i < out.size(); ++i) {
      check_derivative("jvp", i, out[i], outputs[i], "output");
    }
    return out;
  }
  Tangents pulled(Operands primals, const std::vector<array>& cotangents, Operands outputs) const {
    Tangents out =
        rules_->vjp(first(primals, parameters_), cotangents, std::vector<array>(outputs.begin(), outputs.end()));
    if (out.size() > rules_->ruled) {
      fail("custom_function", "the vjp rule returned ", out.size(), " cotangents for ", rules_->ruled, " arguments.");
    }
    for (size_t i = 0; i < out.size(); ++i) {
      check_derivative("vjp", i, out[i], primals[i], "argument");
    }
    out.resize(rules_->ruled);
    return out;
  }
  // What the vmap rule answers has all lanes, and the shape of the function's outputs in each.
  void check_mapped(const Mapped& answer, Operands operands, const MapAxes& axes) const {
    Dim lanes = lanes_of(operands, axes);
    Specs one_lane = specs_of(operands);
    for (size_t i = 0; i < one_lane.size(); ++i) {
      if (axes[i]) {
        one_lane[i].shape.erase(one_lane[i].shape.begin() + *axes[i]);
      }
    }
    Specs outputs = output_specs(body(), one_lane);
    for (size_t i = 0; i < answer.outputs.size(); ++i) {
      Shape expected = outputs[i].shape;
      if (MapAxis axis = answer.axes[i]) {
        expected.insert(expected.begin() + std::min<ptrdiff_t>(*axis, std::ssize(expected)), lanes);
      }
      if (!(answer.outputs[i].shape() == expected)) {
        fail("custom_function", "the vmap rule returned shape ", answer.outputs[i].shape(), " for output ", i,
            ", which has shape ", outputs[i].shape, " in each of ", lanes, " lanes",
            answer.axes[i] ? "; with axis " + std::to_string(*answer.axes[i]) + " it should be "
                           : std::string("; without an axis it should be "),
            expected, ".");
      }
    }
  }

  // A rule of one mode is a linear map of tangents, or of cotangents; its transpose is the rule of the other mode.
  Tangents transposed_jvp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const {
    LinearRule rule("jvp");
    Tangents tangents(parameters_);
    for (size_t i = 0; i < wanted.size(); ++i) {
      tangents[i] = wanted[i] ? Tangent(rule.argument(primals[i])) : std::nullopt;
    }
    rule.record([&] { return pushed(primals, tangents, outputs); });
    return rule.transposed(cotangents, tangents);
  }
  Tangents transposed_vjp(Operands primals, const Tangents& tangents, Operands outputs) const {
    LinearRule rule("vjp");
    Tangents cotangents;
    for (const array& output : results_of(outputs)) {
      cotangents.push_back(output.dtype().is_inexact() ? Tangent(rule.argument(output)) : std::nullopt);
    }
    rule.record([&] { return pulled(primals, dense_cotangents(cotangents, results_of(outputs)), outputs); });
    return rule.transposed(tangents, cotangents);
  }

  bool derivatives_may_follow(Operands operands) const {
    return (rules_->jvp || rules_->vjp) && any_traced(operands) && !derivatives_are_unneeded(operands);
  }

  // By the user's rule. Where somebody may still ask for derivatives, these are those of the other rules. Nothing when
  // the rule uses arrays that are mapped, too, or those of a body that was recorded around it: it sees one array there
  // for all lanes, and has no answer.
  std::optional<Mapped> mapped_by_rule(Operands operands, const MapAxes& axes) const {
    size_t parameters = parameters_;
    MapAxes argument_axes(axes);
    argument_axes.resize(parameters);
    auto call = [&](const std::vector<array>& arguments) {
      Mapped out = rules_->vmap(arguments, argument_axes);
      size_t results = body().outputs().size() - rules_->kept;
      if (out.outputs.size() != results || out.axes.size() != results) {
        fail("custom_function", "the vmap rule returned ", out.outputs.size(), " outputs and ", out.axes.size(),
            " axes; the function has ", results, " outputs.");
      }
      check_mapped(out, operands, axes);
      if (rules_->kept > 0) {
        std::vector<array> all(arguments);
        all.insert(all.end(), operands.begin() + static_cast<ptrdiff_t>(parameters), operands.end());
        SharedProgram kept = kept_body();
        Mapped mapped = replay_batched(*kept, std::move(all), axes);
        std::move(mapped.outputs.begin(), mapped.outputs.end(), std::back_inserter(out.outputs));
        for (MapAxis axis : mapped.axes) {
          out.axes.push_back(axis);
        }
      }
      return out;
    };
    if (!derivatives_may_follow(operands)) {
      Mapped out = call(first(operands, parameters));
      return outlive_their_transform(out.outputs) ? std::nullopt : std::optional<Mapped>(std::move(out));
    }
    bool has_answer = true;
    int64_t lanes = lanes_of(operands, axes);
    auto lanes_in_front = [&](const std::vector<array>& arguments) {
      Mapped out = call(arguments);
      has_answer = !outlive_their_transform(out.outputs);
      for (size_t i = 0; i < out.outputs.size(); ++i) {
        out.outputs[i] = batch_first(out.outputs[i], out.axes[i], lanes);
      }
      return out.outputs;
    };
    Mapped out{call_with_rules(lanes_in_front, first(operands, parameters), batched(axes, lanes)), {}};
    out.axes = MapAxes(out.outputs.size(), MapAxis(0));
    return has_answer ? std::optional<Mapped>(std::move(out)) : std::nullopt;
  }

  // The rules over a batch whose arguments have these axes, and whose outputs have theirs in front.
  SharedRules batched(const MapAxes& axes, int64_t lanes) const;

  size_t parameters_; // the first operands; the others are captured
  size_t ruled_, kept_;
  std::optional<RecordedRule> jvp_, vjp_; // programs hold no array: a node may own them
  bool recorded_;                         // these are all the rules there are
  RulesRef rules_;
};

// A rule maps some arrays to arrays of which some are left out (zero). The bookkeeping of one such call inside vmap.
class RuleCall {
 public:
  void add(const array& a, MapAxis axis) {
    in_.push_back(a);
    axes_.push_back(axis);
  }
  // rule(lanes) over the batch; the results have their lanes in front.
  Tangents run(const std::function<Tangents(const std::vector<array>&)>& rule, int64_t lanes) {
    Tangents results;
    if (std::none_of(axes_.begin(), axes_.end(), [](const MapAxis& axis) { return axis.has_value(); })) {
      results = rule(in_); // only what the function captures is mapped
      for (Tangent& t : results) {
        if (t) {
          Shape shape = t->shape();
          shape.insert(shape.begin(), Dim(lanes));
          t = broadcast_to(*t, shape);
        }
      }
      return results;
    }
    auto present = [&](const std::vector<array>& lanes) {
      results = rule(lanes);
      std::vector<array> out;
      for (Tangent& t : results) {
        if (t) {
          out.push_back(std::move(*t));
          t = array(0.0f); // to be replaced: lanes must not be kept
        }
      }
      return out;
    };
    std::vector<array> out = core::vmap(present, axes_)(in_);
    size_t next = 0;
    for (Tangent& t : results) {
      if (t) {
        t = std::move(out[next++]);
      }
    }
    return results;
  }

 private:
  std::vector<array> in_;
  VmapAxes axes_;
};

SharedRules Custom::batched(const MapAxes& axes, int64_t lanes) const {
  // What they call goes without the rule of batching, which has done its work and may refer to lanes.
  auto lane = std::make_shared<CustomRules>(*rules_.lock());
  lane->forget_batching();
  auto out = std::make_shared<CustomRules>();
  out->ruled = lane->ruled;
  out->kept = lane->kept;
  out->jvp_recorded = lane->jvp_recorded;
  out->vjp_recorded = lane->vjp_recorded;
  out->parts.push_back(lane);
  size_t count = parameters_;
  if (rules_->jvp) {
    out->jvp = [rules = lane.get(), axes, count, lanes](const std::vector<array>& primals, const Tangents& tangents) {
      RuleCall call;
      for (size_t i = 0; i < count; ++i) {
        call.add(primals[i], axes[i]);
      }
      for (size_t i = 0; i < count; ++i) {
        if (tangents[i]) {
          call.add(*tangents[i], axes[i]);
        }
      }
      return call.run(
          [&](const std::vector<array>& in) {
            Tangents lane_tangents(count);
            size_t next = count;
            for (size_t i = 0; i < count; ++i) {
              if (tangents[i]) {
                lane_tangents[i] = in[next++];
              }
            }
            return rules->jvp(first(in, count), lane_tangents);
          },
          lanes);
    };
  }
  if (rules_->vjp) {
    out->vjp = [rules = lane.get(), axes, count, lanes](const std::vector<array>& primals,
                   const std::vector<array>& cotangents, const std::vector<array>& outputs) {
      RuleCall call;
      for (size_t i = 0; i < count; ++i) {
        call.add(primals[i], axes[i]);
      }
      for (const array& a : cotangents) {
        call.add(a, 0);
      }
      for (const array& a : outputs) {
        call.add(a, 0);
      }
      Tangents pulled = call.run(
          [&](const std::vector<array>& in) {
            auto at = in.begin() + static_cast<ptrdiff_t>(count),
                 middle = at + static_cast<ptrdiff_t>(cotangents.size());
            return rules->vjp(first(in, count), {at, middle}, {middle, in.end()});
          },
          lanes);
      for (size_t i = 0; i < pulled.size(); ++i) {
        if (!pulled[i]) {
          continue;
        }
        // Lanes share an argument that is not mapped, hence their cotangents add up.
        pulled[i] = axes[i] ? moveaxis(*pulled[i], 0, *axes[i]) : sum(*pulled[i], 0);
      }
      return pulled;
    };
  }
  return out;
}

} // namespace

const char* rule_being_transposed() { return transposed_rule; }

std::vector<array> call_closed(const ClosedCall& call) {
  Traced traced = trace_function(call.fun, call.args, DerivativesOf::rule);
  return applied_many(
      make_primitive<Custom>(traced.program, call.args.size(), call.rules), joined(call.args, traced.captured));
}

std::vector<array> call_with_rules(const VectorFunction& fun, const std::vector<array>& args, SharedRules rules) {
  if (rules_are_unneeded(args)) {
    return fun(args);
  }
  const SharedRules given = rules;
  std::shared_ptr<CustomRules> batching; // without rules of derivatives
  if ((rules->jvp || rules->vjp) && derivatives_are_unneeded(args)) {
    batching = std::make_shared<CustomRules>(*rules);
    batching->jvp = nullptr;
    batching->vjp = nullptr;
    batching->jvp_objects.reset();
    batching->vjp_objects.reset();
    rules = batching;
  }
  if (!rules->jvp && !rules->vjp && !rules->vmap) {
    return fun(args);
  }
  Traced traced = trace_function(fun, args, rules->jvp || rules->vjp ? DerivativesOf::rule : DerivativesOf::program);
  if (batching) {
    batching->kept = given->kept;
  }
  std::vector<array> operands = joined(args, traced.captured);
  if (!any_traced(operands)) { // no transform follows this call
    return replay(*traced.program, std::move(operands));
  }
  // A recording wants the programs of rules that only call programs.
  bool recorded = rules->recorded() && !((rules->jvp || rules->vjp) && RecordingScope::of_program());
  if (!recorded && rules_outlive_lanes()) {
    return call_closed(close_rules(std::move(traced), args, *rules));
  }
  return applied_many(make_primitive<Custom>(traced.program, args.size(), rules), operands);
}

std::shared_ptr<const CustomRules> rules_of(const Primitive& primitive) {
  auto* custom = dynamic_cast<const Custom*>(&primitive);
  return custom ? custom->rules() : nullptr;
}

VectorFunction custom_function(
    const VectorFunction& fun, std::optional<VjpRule> vjp, std::optional<JvpRule> jvp, std::optional<VmapRule> vmap) {
  CustomRules rules;
  if (vjp) {
    rules.vjp = [rule = std::move(*vjp)](const std::vector<array>& primals, const std::vector<array>& cotangents,
                    const std::vector<array>& outputs) {
      std::vector<array> pulled = rule(primals, cotangents, outputs);
      return Tangents(pulled.begin(), pulled.end());
    };
  }
  if (jvp) {
    rules.jvp = [rule = std::move(*jvp)](const std::vector<array>& primals, const Tangents& tangents) {
      std::vector<array> given;
      std::vector<int> argnums;
      for (size_t i = 0; i < tangents.size(); ++i) {
        if (tangents[i]) {
          given.push_back(*tangents[i]);
          argnums.push_back(static_cast<int>(i));
        }
      }
      std::vector<array> pushed = rule(primals, given, argnums);
      return Tangents(pushed.begin(), pushed.end());
    };
  }
  if (vmap) {
    rules.vmap = [rule = std::move(*vmap)](const std::vector<array>& inputs, const MapAxes& axes) {
      std::vector<int> numbers;
      for (const MapAxis& axis : axes) {
        numbers.push_back(axis.value_or(-1));
      }
      auto [outputs, output_axes] = rule(inputs, numbers);
      Mapped mapped{std::move(outputs), {}};
      for (int axis : output_axes) {
        mapped.axes.push_back(axis < 0 ? MapAxis() : MapAxis(axis));
      }
      return mapped;
    };
  }
  return [fun, rules = std::move(rules)](const std::vector<array>& args) {
    auto own = std::make_shared<CustomRules>(rules);
    own->ruled = args.size();
    return call_with_rules(fun, args, std::move(own));
  };
}

VectorFunction custom_vjp(const VectorFunction& fun, VjpRule vjp) { return custom_function(fun, std::move(vjp)); }

} // namespace mlx::core
