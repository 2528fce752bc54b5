// Rules that use lanes of a vmap, or arrays of a recorded loop or branch, which will have ended when they run: they are
// recorded while these are there. Recorded rules are also what a file keeps.
#include "mlx_core/interruption.h"
#include "mlx_core/ops.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/frame.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

Tangents RecordedRule::operator()(std::vector<array> inputs) const {
  std::vector<array> values = replay(*program, std::move(inputs));
  Tangents out(static_cast<size_t>(results));
  for (size_t i = 0; i < values.size(); ++i) {
    out[static_cast<size_t>(given[i])] = std::move(values[i]);
  }
  return out;
}

namespace {

// Records the rules of one call. What they use from outside becomes further arguments of the call.
class RuleRecorder {
 public:
  explicit RuleRecorder(std::vector<array> args) : count_(args.size()), args_(std::move(args)) {}

  // rule(arguments, rest)
  template <typename Rule>
  RecordedRule record(Rule&& rule, const std::vector<array>& rest) {
    RecordedRule out;
    auto present = [&](const std::vector<array>& in) {
      std::vector<array> values;
      for (const Tangent& t : rule(in)) {
        if (t) {
          values.push_back(*t);
          out.given.push_back(out.results);
        }
        ++out.results;
      }
      return values;
    };
    std::vector<array> own(args_.begin(), args_.begin() + static_cast<ptrdiff_t>(count_));
    auto [program, captured] = trace_function(present, joined(own, rest), DerivativesOf::program);
    parts_.push_back({rest.size(), args_.size()});
    args_.insert(args_.end(), captured.begin(), captured.end());
    out.program = std::move(program);
    for (const std::shared_ptr<const CustomRules>& inner : rules_in(*out.program)) {
      inner->forget_batching(); // it may refer to what this rule was recorded with
    }
    return out;
  }

  // The number-th rule that was recorded, as a program of all arguments.
  void finish(RecordedRule& rule, size_t number) const {
    auto [rest, captured_at] = parts_[number];
    std::span<const Spec> old = rule.program->inputs();
    Specs inputs = specs_of(args_);
    std::vector<int32_t> to(old.size());
    for (size_t i = 0; i < old.size(); ++i) {
      size_t at = i < count_ ? i : i < count_ + rest ? args_.size() + i - count_ : captured_at + i - count_ - rest;
      to[i] = static_cast<int32_t>(at);
      if (i >= count_ && i < count_ + rest) {
        inputs.push_back(old[i]);
      }
    }
    rule.program = rewired(*rule.program, {inputs.begin(), inputs.end()}, to, rule.program->outputs());
  }
  const std::vector<array>& args() const { return args_; }

 private:
  struct Part {
    size_t rest, captured_at;
  };
  size_t count_;
  std::vector<array> args_;
  std::vector<Part> parts_;
};

std::vector<array> first(const std::vector<array>& arrays, size_t count) {
  return {arrays.begin(), arrays.begin() + static_cast<ptrdiff_t>(count)};
}

} // namespace

bool rules_outlive_lanes() {
  if (RecordingScope::op()) {
    return true;
  }
  bool outer = false;
  for (const Frame* frame : Frame::open()) {
    if (frame->kind() == Frame::Kind::vmap && outer) {
      return true;
    }
    outer = outer || frame->kind() != Frame::Kind::vmap;
  }
  return false;
}

ClosedCall close_rules(Traced traced, const std::vector<array>& args, const CustomRules& rules) {
  auto closed = std::make_shared<CustomRules>(rules);
  size_t count = args.size(), ruled = rules.ruled;
  std::vector<array> outputs = replay(*traced.program, joined(args, traced.captured));
  RuleRecorder recorder(args);
  size_t number = 0;
  std::optional<size_t> vjp_number, jvp_number;
  // Cotangents and tangents are not known yet. Their values must not decide anything, so they have none.
  Frame frame(Frame::Kind::trace);
  if (rules.vjp) {
    std::vector<array> rest;
    size_t many = outputs.size() - rules.kept;
    for (size_t i = 0; i < many; ++i) {
      rest.push_back(frame.abstract(outputs[i].shape(), outputs[i].dtype()));
    }
    try {
      auto rule = [&](const std::vector<array>& in) {
        auto at = in.begin() + static_cast<ptrdiff_t>(count), middle = at + static_cast<ptrdiff_t>(many);
        return rules.vjp(first(in, count), {at, middle}, {middle, in.end()});
      };
      closed->vjp_program = recorder.record(rule, joined(rest, outputs));
      vjp_number = number++;
      closed->vjp_recorded = true;
    } catch (const std::exception& error) { // it runs again, and perhaps fails, if somebody asks for it
      if (is_interruption(error)) throw;
    }
  }
  if (rules.jvp) {
    std::vector<array> rest;
    for (size_t i = 0; i < ruled; ++i) {
      rest.push_back(frame.abstract(args[i].shape(), args[i].dtype()));
    }
    try {
      auto rule = [&](const std::vector<array>& in) {
        Tangents tangents(count);
        for (size_t i = 0; i < ruled; ++i) {
          if (args[i].dtype().is_inexact()) {
            tangents[i] = in[count + i];
          }
        }
        return rules.jvp(first(in, count), tangents);
      };
      closed->jvp_program = recorder.record(rule, rest);
      jvp_number = number++;
      closed->jvp_recorded = true;
    } catch (const std::exception& error) { // likewise
      if (is_interruption(error)) throw;
    }
  }
  if (vjp_number) {
    recorder.finish(*closed->vjp_program, *vjp_number);
    closed->vjp = [rule = *closed->vjp_program](const std::vector<array>& primals, const std::vector<array>& cotangents,
                      const std::vector<array>& results) { return rule(joined(joined(primals, cotangents), results)); };
    closed->vjp_objects.reset(); // which may refer to lanes
  }
  if (jvp_number) {
    recorder.finish(*closed->jvp_program, *jvp_number);
    closed->jvp = [ruled, rule = *closed->jvp_program](const std::vector<array>& primals, const Tangents& tangents) {
      std::vector<array> in(primals);
      for (size_t i = 0; i < ruled; ++i) {
        in.push_back(tangents[i] ? *tangents[i] : zeros_like(primals[i]));
      }
      return rule(std::move(in));
    };
    closed->jvp_objects.reset();
  }
  if (closed->recorded() && !closed->vmap) {
    closed->objects.reset();
  }
  // The arguments, those that only the rules use, and what the function captures: the latter again as captured arrays.
  auto fun = [traced = std::move(traced), count](const std::vector<array>& in) {
    return replay(*traced.program, joined(first(in, count), traced.captured));
  };
  return {std::move(fun), recorder.args(), std::move(closed)};
}

} // namespace mlx::core
