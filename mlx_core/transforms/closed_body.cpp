// Recording the functions of branches and loops, and what the rules of these ask of such bodies.
#include "mlx_core/transforms/closed_body.h"

#include <unordered_map>

#include "mlx_core/ops/batching.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

// --- recording ---

void Recorder::record(const VectorFunction& fun, const Specs& parameters) {
  Frame frame(Frame::Kind::trace);
  RecordingScope recording(op_);
  for (const Spec& spec : parameters) {
    frame.abstract(spec.shape, spec.dtype);
  }
  bool inside = invariant_ == Invariant::inside;
  std::optional<LevelFloor> floor;
  if (inside) {
    floor.emplace(frame.id());
  }
  std::vector<array> outputs = fun(std::vector<array>(frame.placeholders()));
  floor.reset();
  recorded_.push_back(record_program(frame, outputs, inside ? Tape::Reach::inside : Tape::Reach::dependent));
}

void Recorder::drop_state(size_t number) {
  auto at = static_cast<ptrdiff_t>(number);
  for (auto& [body, captured] : recorded_) {
    std::vector<Spec> inputs(body->inputs().begin(), body->inputs().end());
    inputs.erase(inputs.begin() + at);
    std::vector<int32_t> to(body->inputs().size()), outputs(body->outputs().begin(), body->outputs().end());
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] = i == number ? -1 : static_cast<int32_t>(i - (i > number));
    }
    if (outputs.size() > number) {
      outputs.erase(outputs.begin() + at);
    }
    body = rewired(*body, std::move(inputs), to, outputs);
  }
}

ClosedBodies Recorder::close() {
  ClosedBodies closed;
  std::unordered_map<const Node*, size_t> number; // of each constant
  for (const Traced& each : recorded_) {
    for (const array& a : each.captured) {
      if (number.emplace(a.node(), closed.constants.size()).second) {
        closed.constants.push_back(a);
      }
    }
  }
  for (const auto& [body, captured] : recorded_) {
    size_t own = body->inputs().size() - captured.size();
    std::vector<Spec> inputs(body->inputs().begin(), body->inputs().begin() + static_cast<ptrdiff_t>(own));
    for (const array& a : closed.constants) {
      inputs.push_back(spec_of(a));
    }
    std::vector<int32_t> to(body->inputs().size());
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] = static_cast<int32_t>(i < own ? i : own + number.at(captured[i - own].node()));
    }
    closed.bodies.push_back(rewired(*body, std::move(inputs), to, body->outputs()));
  }
  recorded_.clear();
  return closed;
}

// --- what follows from a body's steps ---

Flags depends(const Program& body, const Flags& parameters, bool derivatives) {
  Flags known(parameters.begin(), parameters.end()); // by slot
  known.resize(body.slot_count());
  for (const Program::Step& step : body.steps()) {
    bool any = false;
    for (int32_t operand : step.operands) {
      any = any || known[static_cast<size_t>(operand)];
    }
    for (size_t i = 0; i < step.outputs.size(); ++i) { // integers and bools carry no derivative
      known[static_cast<size_t>(step.first) + i] = any && (!derivatives || step.outputs[i].dtype.is_inexact());
    }
  }
  Flags out;
  for (int32_t output : body.outputs()) {
    out.push_back(known[static_cast<size_t>(output)]);
  }
  return out;
}

Flags until_stable(const Program& body, Flags parameters, size_t first, size_t states, bool derivatives) {
  for (bool changed = true; changed;) {
    changed = false;
    Flags out = depends(body, parameters, derivatives);
    for (size_t i = 0; i < states; ++i) {
      if (out[i] && !parameters[first + i]) {
        parameters[first + i] = changed = true;
      }
    }
  }
  return parameters;
}

// --- batches ---

std::vector<array> run_batched(const Program& body, const std::vector<array>& operands, const MapAxes& axes,
    const Flags& mapped_outputs, Dim lanes) {
  Mapped mapped = replay_batched(body, operands, axes);
  for (size_t i = 0; i < mapped.outputs.size(); ++i) {
    if (mapped_outputs[i]) {
      mapped.outputs[i] = batch_first(mapped.outputs[i], mapped.axes[i], lanes);
    } else if (mapped.axes[i]) {
      fail<std::logic_error>("vmap", "an output that no mapped operand reaches has lanes.");
    }
  }
  return std::move(mapped.outputs);
}

array select_lanes(const array& flags, const array& a, const array& b) {
  Shape shape(a.shape().size(), 1);
  shape[0] = flags.shape(0);
  return where(reshape(flags, shape), a, b);
}

} // namespace mlx::core
