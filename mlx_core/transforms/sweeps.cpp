// The primitive Sweeps and its rules: the reverse mode of while_loop, closed under differentiation. The derivative of a
// sweep that runs forward is one that runs back, so that the reverse mode of n sweeps is 2n sweeps.
#include "mlx_core/transforms/sweeps.h"

#include "mlx_core/ops/batching.h"
#include "mlx_core/transforms/kept_rules.h"
#include "mlx_core/transforms/loop.h"
#include "mlx_core/transforms/program_primitives.h"
#include "mlx_core/transforms/track.h"

namespace mlx::core {

// Operands: the number of iterations, the states of the sweeps, the constants. Body i: (iteration, states of the sweeps
// 0 to i, constants) -> next state of sweep i.
class Sweeps final : public KeepsRules {
 public:
  explicit Sweeps(SweepBodies bodies) : bodies_(std::move(bodies)), calls_(bodies_.size()) {}

  const char* name() const override { return "Sweeps"; }
  void visit(ParamVisitor& v) const override {
    Axes states;
    for (size_t i = 0; i < bodies_.size(); ++i) {
      v("body", bodies_[i]);
      states.push_back(static_cast<int>(state_size(i)));
    }
    v("states", states);
  }
  int output_count() const override {
    size_t count = 0;
    for (size_t i = bodies_.size() / 2; i < bodies_.size(); ++i) {
      count += state_size(i);
    }
    return static_cast<int>(count);
  }

  Specs infer(Operands operands) const override {
    Specs specs;
    size_t first = 1;
    for (size_t i = 0; i < bodies_.size(); first += state_size(i++)) {
      for (size_t k = 0; k < state_size(i) && i >= bodies_.size() / 2; ++k) {
        specs.push_back(spec_of(operands[first + k]));
      }
    }
    return specs;
  }

  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    std::vector<array> constants;
    for (const array& a : operands.subspan(first_constant())) {
      constants.push_back(as_leaf(a));
    }
    SweepStates initial = split(operands);
    for (std::vector<array>& state : initial) {
      for (array& a : state) {
        a = as_leaf(a);
      }
    }
    int64_t iterations = load_int(operands[0].raw_data(), operands[0].dtype());
    std::vector<const CallList*> calls;
    for (size_t i = 0; i < bodies_.size(); ++i) {
      size_t varying = bodies_[i]->inputs().size() - constants.size();
      calls.push_back(calls_[i].before(iterations, *bodies_[i], {0, varying}, kernels));
    }
    SweepStates last = run_tracks(bodies_, calls, constants, initial, iterations);
    size_t next = 0;
    for (size_t i = bodies_.size() / 2; i < bodies_.size(); ++i) {
      for (const array& a : last[i]) {
        outputs[next++].share(a, a.strides());
      }
    }
  }

  // Every sweep with its tangents beside it.
  Tangents jvp_rule(Operands primals, const Tangents& tangents) const override {
    SweepStates states = split(primals);
    std::vector<Sweep> sweeps(states.size());
    for (size_t i = 0, operand = 1; i < states.size(); ++i) {
      sweeps[i].state = states[i];
      for (size_t k = 0; k < states[i].size(); ++k, ++operand) {
        if (states[i][k].dtype().is_inexact()) {
          sweeps[i].state.push_back(tangents[operand] ? *tangents[operand] : zeros_like(states[i][k]));
        }
      }
      sweeps[i].step = [&, i](const SweepStep& at) {
        std::vector<array> in{at.iteration};
        Tangents directions{std::nullopt};
        for (size_t j = 0; j <= i; ++j) {
          for (size_t k = 0, next = states[j].size(); k < states[j].size(); ++k) {
            in.push_back(at.states[j][k]);
            directions.push_back(states[j][k].dtype().is_inexact() ? Tangent(at.states[j][next++]) : std::nullopt);
          }
        }
        for (size_t c = first_constant(); c < primals.size(); ++c) {
          in.push_back(primals[c]);
          directions.push_back(tangents[c]);
        }
        std::vector<array> out = replay(*bodies_[i], in);
        Tangents pushed = push_through(*bodies_[i], in, directions);
        for (size_t k = 0; k < states[i].size(); ++k) {
          if (states[i][k].dtype().is_inexact()) {
            out.push_back(*pushed[k]);
          }
        }
        return out;
      };
    }
    std::vector<std::vector<array>> results = run_sweeps(sweeps, primals[0]);
    Tangents out;
    for (size_t i = states.size() / 2; i < states.size(); ++i) {
      for (size_t k = 0, next = states[i].size(); k < states[i].size(); ++k) {
        bool inexact = states[i][k].dtype().is_inexact();
        out.push_back(inexact ? Tangent(results[i - states.size() / 2][next++]) : std::nullopt);
      }
    }
    return out;
  }

  // Sweep 2n - 1 - i is the adjoint of sweep i. Its state: the cotangents of the inexact arrays of that sweep's state,
  // then those of the constants, as far as they come in through sweep i.
  Tangents vjp_rule(
      Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    size_t count = bodies_.size();
    SweepStates states = split(primals);
    std::vector<size_t> constants;
    for (size_t c = first_constant(); c < primals.size(); ++c) {
      if (wanted[c]) {
        constants.push_back(c);
      }
    }
    std::vector<Sweep> sweeps(2 * count);
    std::vector<array> own_constants(primals.begin() + static_cast<ptrdiff_t>(first_constant()), primals.end());
    for (size_t i = 0; i < count; ++i) {
      sweeps[i].state = states[i];
      sweeps[i].step = [&, i](const SweepStep& at) { return replay(*bodies_[i], body_operands(i, at, own_constants)); };
    }
    size_t output = 0;
    for (size_t i = 0; i < count; ++i) {
      Sweep& adjoint = sweeps[2 * count - 1 - i];
      for (const array& a : states[i]) {
        bool given = i >= count / 2 && output < cotangents.size() && cotangents[output];
        if (a.dtype().is_inexact()) {
          adjoint.state.push_back(given ? *cotangents[output] : zeros_like(a));
        }
        output += i >= count / 2;
      }
      for (size_t c : constants) {
        adjoint.state.push_back(zeros_like(primals[c]));
      }
      adjoint.step = [&, i](const SweepStep& at) { return adjoint_step(i, at, own_constants, wanted); };
    }
    std::vector<std::vector<array>> results = run_sweeps(sweeps, primals[0]); // of sweeps count, ..., 2 * count - 1
    Tangents out(primals.size());
    for (size_t i = 0, operand = 1; i < count; ++i) {
      const std::vector<array>& result = results[count - 1 - i];
      size_t next = 0;
      for (size_t k = 0; k < states[i].size(); ++k, ++operand) {
        if (states[i][k].dtype().is_inexact()) {
          out[operand] = result[next++];
        }
      }
      for (size_t c : constants) {
        out[c] = out[c] ? add(*out[c], result[next]) : result[next];
        ++next;
      }
    }
    return out;
  }

  // Lanes with fewer iterations wait at the start, so that all end together: until then they would do their first
  // iteration again and again, which meets nothing new, and the result is dropped.
  Mapped vmap_rule(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    SweepStates states = split(operands);
    std::vector<Sweep> sweeps(states.size());
    std::optional<array> counts = axes[0] ? Tangent(batch_first(operands[0], axes[0])) : std::nullopt;
    array iterations = !counts ? operands[0] : lanes == 0 ? array(int64_t{0}) : max(*counts);
    for (size_t i = 0, operand = 1; i < states.size(); ++i) {
      for (size_t k = 0; k < states[i].size(); ++k, ++operand) {
        sweeps[i].state.push_back(batch_first(states[i][k], axes[operand], lanes));
      }
      sweeps[i].step = [&, i](const SweepStep& at) {
        std::vector<array> in{at.iteration};
        MapAxes in_axes{std::nullopt};
        if (counts) { // numbered from a lane's own first iteration
          in[0] = subtract(at.iteration, subtract(iterations, *counts));
          in_axes[0] = 0;
        }
        for (size_t j = 0; j <= i; ++j) {
          in.insert(in.end(), at.states[j].begin(), at.states[j].end());
        }
        in_axes.resize(in.size(), MapAxis(0));
        for (size_t c = first_constant(); c < operands.size(); ++c) {
          in.push_back(operands[c]);
          in_axes.push_back(axes[c]);
        }
        std::vector<array> out = run_batched(*bodies_[i], in, in_axes, Flags(states[i].size(), true), lanes);
        for (size_t k = 0; k < out.size() && counts; ++k) {
          out[k] = select_lanes(greater_equal(in[0], array(0, int64)), out[k], at.states[i][k]);
        }
        return out;
      };
    }
    Mapped out;
    for (const std::vector<array>& result : run_sweeps(sweeps, iterations)) {
      out.outputs.insert(out.outputs.end(), result.begin(), result.end());
    }
    out.axes = MapAxes(out.outputs.size(), MapAxis(0));
    return out;
  }

  // The operands of body `sweep`.
  static std::vector<array> body_operands(size_t sweep, const SweepStep& at, const std::vector<array>& constants) {
    std::vector<array> in{at.iteration};
    for (size_t j = 0; j <= sweep; ++j) {
      in.insert(in.end(), at.states[j].begin(), at.states[j].end());
    }
    in.insert(in.end(), constants.begin(), constants.end());
    return in;
  }

 private:
  size_t state_size(size_t sweep) const { return bodies_[sweep]->outputs().size(); }
  std::vector<const Program*> programs() const override {
    std::vector<const Program*> all;
    for (const SharedProgram& body : bodies_) {
      all.push_back(body.get());
    }
    return all;
  }
  size_t first_constant() const override {
    size_t first = 1;
    for (size_t i = 0; i < bodies_.size(); ++i) {
      first += state_size(i);
    }
    return first;
  }
  SweepStates split(Operands operands) const {
    SweepStates states;
    auto from = operands.begin() + 1;
    for (size_t i = 0; i < bodies_.size(); ++i) {
      auto to = from + static_cast<ptrdiff_t>(state_size(i));
      states.emplace_back(from, to);
      from = to;
    }
    return states;
  }

  // The cotangent of sweep `own`'s state at one iteration: from its own step, and from those of the later sweeps.
  std::vector<array> adjoint_step(
      size_t own, const SweepStep& at, const std::vector<array>& constants, std::span<const bool> wanted) const {
    size_t count = bodies_.size();
    std::vector<Tangent> of_state(state_size(own));
    std::vector<array> out = at.states[2 * count - 1 - own]; // the sums for the constants stay at its end
    for (size_t j = own; j < count; ++j) {
      std::vector<array> in = body_operands(j, at, constants);
      const std::vector<array>& adjoint = at.states[2 * count - 1 - j];
      Tangents incoming;
      for (size_t k = 0, next = 0; k < state_size(j); ++k) {
        bool inexact = bodies_[j]->output_specs()[k].dtype.is_inexact();
        incoming.push_back(inexact ? Tangent(adjoint[next++]) : std::nullopt);
      }
      SmallVector<bool, 4> pulled_flags(in.size());
      size_t first = 1;
      for (size_t i = 0; i < own; ++i) {
        first += state_size(i);
      }
      for (size_t k = 0; k < state_size(own); ++k) {
        pulled_flags[first + k] = bodies_[own]->output_specs()[k].dtype.is_inexact();
      }
      size_t first_pulled_constant = in.size() - constants.size();
      for (size_t c = 0; c < constants.size() && j == own; ++c) {
        pulled_flags[first_pulled_constant + c] = wanted[first_constant() + c];
      }
      Tangents pulled = pull_through(*bodies_[j], in, incoming, pulled_flags);
      for (size_t k = 0; k < state_size(own); ++k) {
        if (const Tangent& ct = pulled[first + k]) {
          of_state[k] = of_state[k] ? add(*of_state[k], *ct) : *ct;
        }
      }
      size_t next = 0;
      for (size_t k = 0; k < state_size(own); ++k) {
        next += bodies_[own]->output_specs()[k].dtype.is_inexact();
      }
      for (size_t c = 0; c < constants.size() && j == own; ++c) {
        if (const Tangent& ct = pulled[first_pulled_constant + c]) {
          out[next] = add(out[next], *ct);
          ++next;
        }
      }
    }
    size_t next = 0;
    for (const Tangent& ct : of_state) {
      if (ct) {
        out[next++] = *ct;
      }
    }
    return out;
  }

  SweepBodies bodies_;
  std::vector<KeptCalls> calls_; // by body
};

std::vector<array> remade_sweeps(const Parts& parts) {
  Axes sizes = parts.axes("states");
  Parts::require(!sizes.empty() && sizes.size() % 2 == 0, "a loop in reverse has an odd number of sweeps.");
  Parts::require(parts[0].ndim() == 0 && parts[0].dtype() == int64, "a number of iterations is no int64 scalar.");
  std::vector<Sweep> sweeps(sizes.size());
  size_t next = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    Parts::require(sizes[i] >= 0, "a sweep has a negative number of states.");
    for (int k = 0; k < sizes[i]; ++k) {
      sweeps[i].state.push_back(parts[next++]);
    }
  }
  std::vector<array> constants = parts.operands_from(next);
  for (size_t i = 0; i < sizes.size(); ++i) {
    sweeps[i].step = [&, i](const SweepStep& at) {
      std::vector<array> state = parts.function("body", i)(Sweeps::body_operands(i, at, constants));
      check_state("while_loop", specs_of(at.states[i]), specs_of(state));
      return state;
    };
  }
  std::vector<array> out;
  for (const std::vector<array>& results : run_sweeps(sweeps, parts[0])) {
    out.insert(out.end(), results.begin(), results.end());
  }
  return out;
}

std::vector<std::vector<array>> run_sweeps(const std::vector<Sweep>& sweeps, const array& iterations) {
  Recorder recorder("while_loop");
  Specs parameters{{Shape{}, int64}};
  std::vector<array> operands{astype(iterations, int64)};
  for (const Sweep& sweep : sweeps) {
    for (const array& a : sweep.state) {
      parameters.push_back(spec_of(a));
      operands.push_back(a);
    }
    size_t upto = static_cast<size_t>(&sweep - sweeps.data()) + 1;
    auto step = [&](const std::vector<array>& in) {
      SweepStep at{in[0], {}};
      auto from = in.begin() + 1;
      for (size_t j = 0; j < upto; ++j) {
        auto to = from + static_cast<ptrdiff_t>(sweeps[j].state.size());
        at.states.emplace_back(from, to);
        from = to;
      }
      return sweep.step(at);
    };
    recorder.record(step, parameters);
  }
  ClosedBodies closed = recorder.close();
  std::vector<array> results = applied_many(make_primitive<Sweeps>(closed.bodies), joined(operands, closed.constants));
  std::vector<std::vector<array>> out;
  auto from = results.begin();
  for (size_t i = sweeps.size() / 2; i < sweeps.size(); ++i) {
    auto to = from + static_cast<ptrdiff_t>(sweeps[i].state.size());
    out.emplace_back(from, to);
    from = to;
  }
  return out;
}

} // namespace mlx::core
