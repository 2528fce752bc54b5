// The primitive Cond with its rules, each of which is again a cond, and cond itself.
#include "mlx_core/control_flow.h"

#include <typeinfo>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/transforms/closed_body.h"
#include "mlx_core/transforms/flattened.h"
#include "mlx_core/transforms/loop.h"
#include "mlx_core/transforms/loop_statistics.h"
#include "mlx_core/transforms/program_primitives.h"

namespace mlx::core {

namespace {

void check_branches(std::span<const Spec> if_true, std::span<const Spec> if_false) {
  if (if_true.size() != if_false.size()) {
    fail("cond", "true_fun returned ", if_true.size(), " arrays but false_fun returned ", if_false.size(), ".");
  }
  for (size_t i = 0; i < if_true.size(); ++i) {
    const Spec &a = if_true[i], &b = if_false[i];
    if (!(a.shape == b.shape) || a.dtype != b.dtype) {
      fail("cond", "output ", i, " has shape ", a.shape, " and dtype ", a.dtype, " from true_fun, but shape ", b.shape,
          " and dtype ", b.dtype,
          " from false_fun. Reshape or cast one of them: which branch is taken "
          "is not known before the result is evaluated.");
    }
  }
}

// Branches within a loop.
class RepeatedBranches final : public Repetition {
 public:
  RepeatedBranches(
      const CallList& if_true, const CallList& if_false, std::vector<array> operands, std::vector<array> results)
      : operands_(std::move(operands)), results_(std::move(results)), if_true_(if_true), if_false_(if_false) {}

  void run() override {
    bool taken = *operands_[0].data<bool>();
    count_branch(taken);
    CallRun& run = taken ? if_true_ : if_false_;
    for (size_t k = 1; k < operands_.size(); ++k) {
      run.give(k - 1, operands_[k]);
    }
    run.begin();
    run.run();
    for (size_t k = 0; k < results_.size(); ++k) {
      cpu::copy_contiguous(results_[k].mutable_data(), run.output(k), results_[k].nbytes());
    }
  }

 private:
  std::vector<array> operands_, results_;
  CallRun if_true_, if_false_;
};

} // namespace

// Operands: a scalar bool; what both branches get, constants included.
class Cond final : public Primitive {
 public:
  Cond(SharedProgram if_true, SharedProgram if_false) : true_(std::move(if_true)), false_(std::move(if_false)) {}

  const char* name() const override { return "Cond"; }
  void visit(ParamVisitor& v) const override {
    v("true", true_);
    v("false", false_);
  }
  int output_count() const override { return static_cast<int>(true_->outputs().size()); }

  Specs infer(Operands operands) const override { return output_specs(*true_, specs_of(operands.subspan(1))); }

  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    bool taken = *operands[0].data<bool>();
    count_branch(taken);
    std::vector<array> results = run(taken ? *true_ : *false_, {operands.begin() + 1, operands.end()});
    for (size_t i = 0; i < results.size(); ++i) {
      outputs[i].share(results[i], results[i].strides());
    }
  }

  std::optional<int64_t> repeatable_work() const override {
    const CallList *if_true = calls_of(true), *if_false = calls_of(false);
    return if_true && if_false ? std::optional(std::max(if_true->work(), if_false->work())) : std::nullopt;
  }
  std::unique_ptr<Repetition> repeated(std::vector<array> operands, std::vector<array> results) const override {
    return std::make_unique<RepeatedBranches>(
        calls_[true].kept(), calls_[false].kept(), std::move(operands), std::move(results));
  }

  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    Flags given;
    for (const Tangent& tangent : behind_pred(tangents)) {
      given.push_back(tangent.has_value());
    }
    Flags active = depends(*true_, given, true), active_if_false = depends(*false_, given, true);
    for (size_t i = 0; i < active.size(); ++i) {
      active[i] = active[i] || active_if_false[i];
    }
    auto branch = [&](const SharedProgram& body) {
      return [&, body](const std::vector<array>&) {
        Tangents pushed = push_through(*body, primals.subspan(1), behind_pred(tangents));
        std::vector<array> out;
        for (size_t i = 0; i < pushed.size(); ++i) {
          if (active[i]) {
            out.push_back(*pushed[i]);
          }
        }
        return out;
      };
    };
    std::vector<array> results = cond(primals[0], branch(true_), branch(false_));
    Tangents out(active.size());
    for (size_t i = 0, next = 0; i < out.size(); ++i) {
      out[i] = active[i] ? Tangent(results[next++]) : std::nullopt;
    }
    return out;
  }

  // The branch's cotangents, for which it is computed again.
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    auto branch = [&](const SharedProgram& body) {
      return [&, body](const std::vector<array>&) {
        Tangents pulled = pull_through(*body, primals.subspan(1), cotangents, wanted.subspan(1));
        std::vector<array> out;
        for (const Tangent& ct : pulled) {
          if (ct) {
            out.push_back(*ct);
          }
        }
        return out;
      };
    };
    std::vector<array> results = cond(primals[0], branch(true_), branch(false_));
    Tangents out(primals.size());
    for (size_t i = 1, next = 0; i < primals.size(); ++i) {
      out[i] = wanted[i] ? Tangent(results[next++]) : std::nullopt;
    }
    return out;
  }

  Branches branches() const { return {true_.get(), false_.get()}; }

  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return axes[0] ? per_lane(operands, axes) : together(operands, axes);
  }

 private:
  // Of a branch, all of whose inputs may change from run to run.
  const CallList* calls_of(bool taken) const {
    const Program& body = taken ? *true_ : *false_;
    return calls_[taken].before(KeptCalls::worth_it, body, {0, body.inputs().size()}, host_kernels());
  }

  template <typename T>
  static T behind_pred(const T& all) {
    return T(all.begin() + 1, all.end());
  }

  // Every lane takes the same branch.
  Mapped together(Operands operands, const MapAxes& axes) const {
    Flags mapped;
    for (const MapAxis& axis : behind_pred(axes)) {
      mapped.push_back(axis.has_value());
    }
    Flags outputs = depends(*true_, mapped, false), if_false = depends(*false_, mapped, false);
    Mapped out;
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i] = outputs[i] || if_false[i];
      out.axes.push_back(outputs[i] ? MapAxis(0) : std::nullopt);
    }
    Dim lanes = lanes_of(operands, axes);
    std::vector<array> arguments(operands.begin() + 1, operands.end());
    auto branch = [&](const SharedProgram& body) {
      return [&, body](const std::vector<array>&) {
        return run_batched(*body, arguments, behind_pred(axes), outputs, lanes);
      };
    };
    out.outputs = cond(operands[0], branch(true_), branch(false_));
    return out;
  }

  Mapped per_lane(Operands operands, const MapAxes& axes) const {
    Dim lanes = lanes_of(operands, axes);
    array taken = batch_first(operands[0], axes[0]);
    if (lanes == 0) { // no lane takes anything
      taken = zeros(Shape{0}, bool_);
    }
    std::vector<array> if_true = for_lanes(*true_, taken, operands, axes, lanes);
    std::vector<array> if_false = for_lanes(*false_, logical_not(taken), operands, axes, lanes);
    Mapped out;
    for (size_t i = 0; i < if_true.size(); ++i) {
      out.outputs.push_back(select_lanes(taken, if_true[i], if_false[i]));
      out.axes.push_back(MapAxis(0));
    }
    return out;
  }

  // A branch over all lanes if one of them takes it, else zeros. Those that do not take it get the arguments of the
  // first that does, so that they meet nothing that the branch would not have met.
  static std::vector<array> for_lanes(
      const Program& body, const array& taken, Operands operands, const MapAxes& axes, Dim lanes) {
    MapAxes first(operands.size() - 1);
    auto run = [&](const std::vector<array>&) {
      std::vector<array> arguments;
      array some = argmax(taken, 0);
      for (size_t i = 1; i < operands.size(); ++i) {
        if (axes[i]) {
          array batch = batch_first(operands[i], axes[i]);
          arguments.push_back(select_lanes(taken, batch, stop_gradient(take(batch, some, 0))));
          first[i - 1] = 0;
        } else {
          arguments.push_back(operands[i]);
        }
      }
      return run_batched(body, arguments, first, Flags(body.outputs().size(), true), lanes);
    };
    auto none = [&](const std::vector<array>&) {
      std::vector<array> out;
      for (const Spec& output : body.output_specs()) {
        out.push_back(zeros(prepended(lanes, output.shape), output.dtype));
      }
      return out;
    };
    return lanes == 0 ? none({}) : cond(any(taken), run, none);
  }

  SharedProgram true_, false_;
  KeptCalls calls_[2];
};

Branches branches_of(const Primitive& primitive) {
  return typeid(primitive) == typeid(Cond) ? static_cast<const Cond&>(primitive).branches() : Branches();
}

std::vector<array> cond(const array& pred, const VectorFunction& true_fun, const VectorFunction& false_fun,
    const std::vector<array>& operands) {
  if (pred.ndim() != 0) {
    fail("cond", "pred has shape ", pred.shape(),
        "; it should be a scalar. Reduce it with mx.all or mx.any, or choose "
        "element by element with mx.where.");
  }
  Recorder recorder("cond", Invariant::inside);
  recorder.record(true_fun, specs_of(operands));
  recorder.record(false_fun, specs_of(operands));
  ClosedBodies closed = recorder.close();
  check_branches(closed.bodies[0]->output_specs(), closed.bodies[1]->output_specs());
  if (closed.bodies[0]->outputs().empty()) {
    return {};
  }
  std::vector<array> all{astype(pred, bool_)};
  all.insert(all.end(), operands.begin(), operands.end());
  return applied_many(make_primitive<Cond>(closed.bodies[0], closed.bodies[1]), joined(all, closed.constants));
}

std::vector<array> remade_cond(const Parts& parts) {
  const std::vector<array>& operands = parts.operands();
  if (operands.empty() || operands[0].ndim() != 0 || operands[0].dtype() != bool_) {
    fail("cond", "the first operand should be a bool scalar.");
  }
  std::vector<array> arguments(operands.begin() + 1, operands.end());
  Recorder recorder("cond", Invariant::inside);
  recorder.record(parts.function("true"), specs_of(arguments));
  recorder.record(parts.function("false"), specs_of(arguments));
  ClosedBodies closed = recorder.close();
  check_state("cond", closed.bodies[0]->output_specs(), closed.bodies[1]->output_specs());
  return applied_many(make_primitive<Cond>(closed.bodies[0], closed.bodies[1]), joined(operands, closed.constants));
}

} // namespace mlx::core
