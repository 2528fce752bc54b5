// The primitive WhileLoop with its rules, and while_loop itself. The reverse mode is in sweeps.cpp.
#include <algorithm>
#include <cstring>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/control_flow.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/transforms/kept_rules.h"
#include "mlx_core/transforms/loop.h"
#include "mlx_core/transforms/loop_statistics.h"
#include "mlx_core/transforms/program_primitives.h"
#include "mlx_core/transforms/sweeps.h"

namespace mlx::core {

namespace {

// Iterations without nodes, from a state with which the loop goes on.
class CalledWhile {
 public:
  explicit CalledWhile(const CallList& calls) : calls_(calls), run_(calls.run()) {}

  void begin(std::span<const array> state) {
    for (size_t k = 0; k < state.size(); ++k) {
      run_->give(k, state[k]);
    }
    run_->begin();
  }
  int64_t run() { // returns how many there were
    int64_t iterations = 0;
    const int64_t piece = std::clamp<int64_t>((1 << 16) / (calls_.work() + 16), 1, 1024);
    InterruptPoll poll(1 << 18);
    do {
      pause_if_asked();
      poll(piece * (calls_.work() + 1));
    } while (run_->run_while(piece, iterations));
    count_called_iterations(iterations);
    return iterations;
  }
  array taken(size_t k, const array& like) { return run_->taken(k, like); }
  const char* state(size_t k) { return run_->input(k); }

 private:
  const CallList& calls_;
  std::unique_ptr<CallRun, CallList::GiveBack> run_;
};

// A loop within another one.
class RepeatedWhile final : public Repetition {
 public:
  RepeatedWhile(
      const CallList& condition, const CallList& iteration, std::vector<array> operands, std::vector<array> results)
      : operands_(std::move(operands)), results_(std::move(results)), condition_(condition), loop_(iteration) {}

  void run() override {
    for (size_t k = 0; k < operands_.size(); ++k) {
      condition_.give(k, operands_[k]);
    }
    condition_.begin();
    condition_.run();
    loop_.begin(operands_);
    int64_t iterations = *condition_.output(0) != 0 ? loop_.run() : 0;
    size_t states = results_.size() - 1;
    for (size_t k = 0; k < states; ++k) {
      cpu::copy_contiguous(results_[k].mutable_data(), loop_.state(k), results_[k].nbytes());
    }
    std::memcpy(results_[states].mutable_data(), &iterations, sizeof iterations);
  }

 private:
  std::vector<array> operands_, results_;
  CallRun condition_;
  CalledWhile loop_;
};

} // namespace

// Operands: the state, the constants. Outputs: the last state, the number of iterations.
class WhileLoop final : public KeepsRules {
 public:
  WhileLoop(size_t states, SharedProgram condition, SharedProgram body)
      : states_(states),
        condition_(std::move(condition)),
        body_(std::move(body)),
        iteration_(body_then_condition(*body_, *condition_)) {}

  const char* name() const override { return "WhileLoop"; }
  void visit(ParamVisitor& v) const override {
    v("states", static_cast<int64_t>(states_));
    v("condition", condition_);
    v("body", body_);
  }
  int output_count() const override { return static_cast<int>(states_) + 1; }

  Specs infer(Operands operands) const override {
    Specs specs = output_specs(*body_, specs_of(operands));
    specs.push_back({Shape{}, int64});
    return specs;
  }

  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    std::vector<array> in;
    for (const array& operand : operands) {
      in.push_back(as_leaf(operand));
    }
    int64_t iterations = 0;
    const array nothing(0);
    bool proceeds = *core::run(*condition_, in)[0].data<bool>();
    for (; proceeds; ++iterations) {
      if (const CallList* calls = calls_.before(1, *iteration_, uses(), kernels)) {
        CalledWhile loop(*calls);
        loop.begin(in);
        iterations += loop.run();
        for (size_t k = 0; k < states_; ++k) {
          in[k] = loop.taken(k, in[k]);
        }
        break;
      }
      std::vector<array> arguments(in);
      std::fill_n(in.begin(), states_, nothing); // so that the body may change it in place
      std::vector<array> next = core::run(*iteration_, std::move(arguments));
      proceeds = *next.back().data<bool>();
      next.pop_back();
      std::move(next.begin(), next.end(), in.begin());
    }
    for (size_t i = 0; i < states_; ++i) {
      outputs[i].share(in[i], in[i].strides());
    }
    outputs[states_].share(array(iterations), {});
  }

  std::optional<int64_t> repeatable_work() const override { // of one iteration: how many there will be is not known
    const Kernels& host = host_kernels();
    size_t inputs = condition_->inputs().size();
    const CallList* condition = condition_calls_.before(KeptCalls::worth_it, *condition_, {0, inputs}, host);
    const CallList* iteration = calls_.before(KeptCalls::worth_it, *iteration_, uses(), host);
    return condition && iteration ? std::optional(condition->work() + iteration->work()) : std::nullopt;
  }
  std::unique_ptr<Repetition> repeated(std::vector<array> operands, std::vector<array> results) const override {
    return std::make_unique<RepeatedWhile>(
        condition_calls_.kept(), calls_.kept(), std::move(operands), std::move(results));
  }

  // The state beside its tangents.
  Tangents jvp_rule(Operands primals, const Tangents& tangents) const override {
    Flags given;
    for (const Tangent& tangent : tangents) {
      given.push_back(tangent.has_value());
    }
    Flags active = until_stable(*body_, given, 0, states_, true);
    std::vector<array> state(primals.begin(), primals.begin() + static_cast<ptrdiff_t>(states_));
    for (size_t i = 0; i < states_; ++i) {
      if (active[i]) {
        state.push_back(tangents[i] ? *tangents[i] : zeros_like(primals[i]));
      }
    }
    auto primals_in = [&](const std::vector<array>& in) {
      std::vector<array> all(primals.begin(), primals.end());
      std::copy(in.begin(), in.begin() + static_cast<ptrdiff_t>(states_), all.begin());
      return all;
    };
    auto step = [&](const std::vector<array>& in) {
      std::vector<array> all = primals_in(in);
      Tangents directions(tangents);
      for (size_t i = 0, next = states_; i < states_; ++i) {
        directions[i] = active[i] ? Tangent(in[next++]) : std::nullopt;
      }
      Tangents pushed = push_through(*body_, all, directions);
      std::vector<array> out = replay(*body_, all);
      for (size_t i = 0; i < states_; ++i) {
        if (active[i]) {
          out.push_back(*pushed[i]);
        }
      }
      return out;
    };
    auto proceeds = [&](const std::vector<array>& in) { return replay(*condition_, primals_in(in)); };
    std::vector<array> results = run(proceeds, step, state);
    Tangents out(states_ + 1);
    for (size_t i = 0, next = states_; i < states_; ++i) {
      out[i] = active[i] ? Tangent(results[next++]) : std::nullopt;
    }
    return out;
  }

  // A sweep forward once more, and one back.
  Tangents vjp_rule(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    Flags wanted_flags(wanted.begin(), wanted.end());
    Flags active = until_stable(*body_, wanted_flags, 0, states_, true);
    Sweep forward{{primals.begin(), primals.begin() + static_cast<ptrdiff_t>(states_)}, {}};
    Sweep back;
    std::vector<size_t> sources; // the operand whose cotangent each state of `back` is
    for (size_t i = 0; i < primals.size(); ++i) {
      if (i < states_ ? active[i] : wanted[i]) {
        sources.push_back(i);
        back.state.push_back(
            i < cotangents.size() && i < states_ && cotangents[i] ? *cotangents[i] : zeros_like(primals[i]));
      }
    }
    auto primals_in = [&](const SweepStep& at) {
      std::vector<array> all(primals.begin(), primals.end());
      std::copy(at.states[0].begin(), at.states[0].end(), all.begin());
      return all;
    };
    forward.step = [&](const SweepStep& at) { return replay(*body_, primals_in(at)); };
    back.step = [&](const SweepStep& at) {
      Tangents incoming(states_);
      SmallVector<bool, 4> pulled_flags(primals.size());
      for (size_t k = 0; k < sources.size(); ++k) {
        pulled_flags[sources[k]] = true;
        if (sources[k] < states_) {
          incoming[sources[k]] = at.states[1][k];
        }
      }
      Tangents pulled = pull_through(*body_, primals_in(at), incoming, pulled_flags);
      std::vector<array> out;
      for (size_t k = 0; k < sources.size(); ++k) {
        const array& ct = *pulled[sources[k]];
        out.push_back(sources[k] < states_ ? ct : add(at.states[1][k], ct));
      }
      return out;
    };
    std::vector<array> results = run_sweeps({forward, back}, outputs[states_])[0];
    Tangents out(primals.size());
    for (size_t k = 0; k < sources.size(); ++k) {
      out[sources[k]] = results[k];
    }
    return out;
  }

  Mapped vmap_rule(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    Flags mapped;
    for (const MapAxis& axis : axes) {
      mapped.push_back(axis.has_value());
    }
    mapped = until_stable(*body_, mapped, 0, states_, false);
    return depends(*condition_, mapped, false)[0] ? until_last_lane(operands, axes, lanes)
                                                  : together(operands, axes, mapped, lanes);
  }

 private:
  static std::vector<array> run(
      const VectorFunction& condition, const VectorFunction& body, const std::vector<array>& state) {
    Recorder recorder("while_loop");
    recorder.record(condition, specs_of(state));
    recorder.record(body, specs_of(state));
    ClosedBodies closed = recorder.close();
    return applied_many(
        make_primitive<WhileLoop>(state.size(), closed.bodies[0], closed.bodies[1]), joined(state, closed.constants));
  }

  static std::vector<array> replaced(Operands operands, const std::vector<array>& state) {
    std::vector<array> all(operands.begin(), operands.end());
    std::copy(state.begin(), state.end(), all.begin());
    return all;
  }

  // One iteration: the next state, and whether there is another one.
  static SharedProgram body_then_condition(const Program& body, const Program& condition) {
    ProgramWriter both;
    std::vector<int32_t> inputs;
    for (const Spec& input : body.inputs()) {
      inputs.push_back(both.add_input(input));
    }
    std::vector<int32_t> state = both.append(body, inputs);
    std::copy(state.begin(), state.end(), inputs.begin());
    state.push_back(both.append(condition, inputs)[0]);
    return both.finish(std::move(state));
  }

  // All lanes do the same number of iterations.
  Mapped together(Operands operands, const MapAxes& axes, const Flags& mapped, Dim lanes) const {
    Flags mapped_states(mapped.begin(), mapped.begin() + static_cast<ptrdiff_t>(states_));
    MapAxes step_axes(axes);
    std::vector<array> state;
    Mapped out;
    for (size_t i = 0; i < states_; ++i) {
      state.push_back(mapped[i] ? batch_first(operands[i], axes[i], lanes) : operands[i]);
      step_axes[i] = mapped[i] ? MapAxis(0) : std::nullopt;
      out.axes.push_back(step_axes[i]);
    }
    auto condition = [&](const std::vector<array>& in) {
      return run_batched(*condition_, replaced(operands, in), step_axes, {false}, lanes);
    };
    auto step = [&](const std::vector<array>& in) {
      return run_batched(*body_, replaced(operands, in), step_axes, mapped_states, lanes);
    };
    out.outputs = run(condition, step, state);
    out.axes.push_back(std::nullopt);
    return out;
  }

  // The state of the batch: that of each lane, the one that its last iteration began with, its number of iterations,
  // and whether it goes on. A lane that has ended does its last iteration again, which meets nothing new, and its
  // result is dropped.
  Mapped until_last_lane(Operands operands, const MapAxes& axes, Dim lanes) const {
    MapAxes step_axes(axes);
    std::vector<array> initial;
    for (size_t i = 0; i < states_; ++i) {
      initial.push_back(batch_first(operands[i], axes[i], lanes));
      step_axes[i] = 0;
    }
    auto goes_on = [&](const std::vector<array>& lane_states) {
      return run_batched(*condition_, replaced(operands, lane_states), step_axes, {true}, lanes)[0];
    };
    auto states_at = [&](const std::vector<array>& in, size_t from) {
      return std::vector<array>(
          in.begin() + static_cast<ptrdiff_t>(from), in.begin() + static_cast<ptrdiff_t>(from + states_));
    };
    std::vector<array> state(initial);
    state.insert(state.end(), initial.begin(), initial.end());
    state.push_back(zeros(Shape{lanes}, int64));
    state.push_back(goes_on(initial));
    auto condition = [&](const std::vector<array>& in) { return std::vector<array>{any(in.back())}; };
    auto step = [&](const std::vector<array>& in) {
      const array& active = in.back();
      std::vector<array> now = states_at(in, 0), last = states_at(in, states_);
      for (size_t i = 0; i < states_; ++i) {
        last[i] = select_lanes(active, now[i], last[i]);
      }
      std::vector<array> next = run_batched(*body_, replaced(operands, last), step_axes, Flags(states_, true), lanes);
      for (size_t i = 0; i < states_; ++i) {
        next[i] = select_lanes(active, next[i], now[i]);
      }
      array still = logical_and(active, goes_on(next));
      next.insert(next.end(), last.begin(), last.end());
      next.push_back(add(in[2 * states_], astype(active, int64)));
      next.push_back(still);
      return next;
    };
    std::vector<array> results = run(condition, step, state);
    Mapped out;
    out.outputs = states_at(results, 0);
    out.outputs.push_back(results[2 * states_]);
    out.axes = MapAxes(states_ + 1, MapAxis(0));
    return out;
  }

  std::vector<const Program*> programs() const override { return {condition_.get(), body_.get()}; }
  size_t first_constant() const override { return states_; }
  CallList::Uses uses() const { return {states_, states_}; }

  size_t states_;
  SharedProgram condition_, body_;
  SharedProgram iteration_; // both
  KeptCalls calls_;         // of that
  KeptCalls condition_calls_;
};

std::vector<array> while_loop(const std::function<array(const std::vector<array>&)>& cond_fun,
    const VectorFunction& body_fun, const std::vector<array>& init) {
  if (init.empty()) {
    fail("while_loop", "init holds no array; a loop without a state either does nothing or never ends.");
  }
  KeyedRecorder recorder("while_loop", init);
  recorder.record_reader([&](const std::vector<array>& in) {
    array proceeds = cond_fun(in);
    if (proceeds.ndim() != 0) {
      fail("while_loop", "cond_fun returned an array of shape ", proceeds.shape(),
          "; it should return a scalar. Reduce it with mx.all or mx.any.");
    }
    return std::vector<array>{astype(proceeds, bool_)};
  });
  recorder.record_body(
      [&](const std::vector<array>& in) {
        std::vector<array> next = body_fun(in);
        check_state("while_loop", specs_of(init), specs_of(next));
        return next;
      },
      {});
  ClosedBodies closed = recorder.close();
  std::vector<array> state = recorder.initial_state();
  FixedStates fixed(closed, 1, state);
  std::vector<array> results = applied_many(
      make_primitive<WhileLoop>(state.size(), closed.bodies[0], closed.bodies[1]), joined(state, closed.constants));
  results.pop_back(); // the number of iterations
  fixed.restore(results);
  return {results.begin(), results.begin() + static_cast<ptrdiff_t>(init.size())};
}

std::vector<array> remade_while_loop(const Parts& parts) {
  const std::vector<array>& operands = parts.operands();
  size_t states = parts.count("states");
  if (states == 0 || states > operands.size()) {
    fail("while_loop", "a state of ", states, " arrays does not go with ", operands.size(), " operands.");
  }
  Recorder recorder("while_loop");
  recorder.record(parts.function("condition"), specs_of(operands));
  recorder.record(parts.function("body"), specs_of(operands));
  ClosedBodies closed = recorder.close();
  std::span<const Spec> proceeds = closed.bodies[0]->output_specs();
  if (proceeds.size() != 1 || !proceeds[0].shape.empty() || proceeds[0].dtype != bool_) {
    fail("while_loop", "the condition should give one bool scalar.");
  }
  check_state("while_loop", specs_of(std::span(operands).first(states)), closed.bodies[1]->output_specs());
  return applied_many(
      make_primitive<WhileLoop>(states, closed.bodies[0], closed.bodies[1]), joined(operands, closed.constants));
}

} // namespace mlx::core
