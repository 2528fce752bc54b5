// Recording functions as bodies without captured arrays, and what the rules of branches and loops ask of such bodies.
#include "mlx_core/transforms/closed_body.h"

#include <map>

#include "mlx_core/interrupt.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/function.h"
#include "mlx_core/transforms/tape.h"

namespace mlx::core {

// --- recording ---

namespace {

// What the nodes made since the frame was opened use of what was there before.
std::vector<array> found_by(const Frame& frame, const std::vector<array>& outputs) {
  std::vector<array> found, stack(outputs);
  std::map<uintptr_t, bool> known;
  for (const array& placeholder : frame.placeholders()) {
    known.emplace(placeholder.id(), true);
  }
  InterruptPoll poll(4096);
  while (!stack.empty()) {
    poll();
    array top = std::move(stack.back());
    stack.pop_back();
    if (!known.emplace(top.id(), true).second) {
      continue;
    }
    if (top.node()->level < frame.id() || !top.has_primitive()) {
      found.push_back(top);
    } else {
      stack.insert(stack.end(), top.operands().begin(), top.operands().end());
    }
  }
  return found;
}

} // namespace

void Recorder::record(const VectorFunction& fun, const Specs& parameters) {
  Frame frame(Frame::Kind::trace);
  RecordingScope recording(op_);
  FunctionBody body;
  for (const Spec& spec : parameters) {
    body.parameters.push_back(frame.abstract(spec.shape, spec.dtype));
  }
  if (invariant_ == Invariant::inside) {
    LevelFloor floor(frame.id());
    body.outputs = fun(body.parameters);
    body.captured = found_by(frame, body.outputs);
  } else {
    body.outputs = fun(body.parameters);
    body.captured = captured_by(frame, body.outputs);
  }
  recorded_.push_back(std::move(body));
}

void Recorder::drop_state(size_t number) {
  auto at = static_cast<ptrdiff_t>(number);
  for (FunctionBody& body : recorded_) {
    body.parameters.erase(body.parameters.begin() + at);
    if (body.outputs.size() > number) {
      body.outputs.erase(body.outputs.begin() + at);
    }
  }
}

ClosedBodies Recorder::close() {
  ClosedBodies closed;
  std::map<uintptr_t, size_t> number; // of each constant
  for (const FunctionBody& body : recorded_) {
    for (const array& a : body.captured) {
      if (number.emplace(a.id(), closed.constants.size()).second) {
        closed.constants.push_back(a);
      }
    }
  }
  for (const FunctionBody& body : recorded_) {
    Frame frame(Frame::Kind::trace);
    auto out = std::make_shared<FunctionBody>();
    for (const array& a : with_constants(body.parameters, closed)) {
      out->parameters.push_back(frame.abstract(a.shape(), a.dtype()));
    }
    size_t own = body.parameters.size();
    std::vector<array> arguments(out->parameters.begin(), out->parameters.begin() + static_cast<ptrdiff_t>(own));
    for (const array& a : body.captured) {
      arguments.push_back(out->parameters[own + number.at(a.id())]);
    }
    out->outputs = replay(body, arguments);
    closed.bodies.push_back(std::move(out));
  }
  recorded_.clear();
  return closed;
}

Spec spec_of(const array& a) { return {a.shape(), a.dtype()}; }

Specs specs_of(Operands arrays) {
  Specs specs;
  for (const array& a : arrays) {
    specs.push_back(spec_of(a));
  }
  return specs;
}

std::vector<array> with_constants(std::vector<array> operands, const ClosedBodies& closed) {
  operands.insert(operands.end(), closed.constants.begin(), closed.constants.end());
  return operands;
}

// --- what follows from a body's graph ---

Specs output_specs(const FunctionBody& body, const Specs& parameters) {
  bool same = true;
  for (size_t i = 0; i < parameters.size(); ++i) {
    same =
        same && body.parameters[i].shape() == parameters[i].shape && body.parameters[i].dtype() == parameters[i].dtype;
  }
  if (same) {
    return specs_of(body.outputs);
  }
  Frame frame(Frame::Kind::trace);
  std::vector<array> arguments;
  for (const Spec& spec : parameters) {
    arguments.push_back(frame.abstract(spec.shape, spec.dtype));
  }
  return specs_of(replay(body, arguments));
}

Flags depends(const FunctionBody& body, const Flags& parameters, bool derivatives) {
  std::map<const Node*, bool> known;
  for (size_t i = 0; i < body.parameters.size(); ++i) {
    known[body.parameters[i].node()] = parameters[i];
  }
  Flags out;
  std::vector<Node*> stack;
  InterruptPoll poll(4096);
  for (const array& output : body.outputs) {
    stack.push_back(output.node());
    while (!stack.empty()) {
      poll();
      Node* node = stack.back();
      bool ready = true, any = false;
      if (!known.count(node)) {
        for (const array& operand : node->operands()) {
          auto found = known.find(operand.node());
          if (found == known.end()) {
            stack.push_back(operand.node());
            ready = false;
          } else {
            any = any || found->second;
          }
        }
        if (!ready) {
          continue;
        }
        // Integers and bools carry no derivative; an application has the dtype of none of its outputs.
        known[node] = any && (!derivatives || node->dtype.is_inexact() || Tape::is_application(node));
      }
      stack.pop_back();
    }
    out.push_back(known.at(output.node()));
  }
  return out;
}

Flags until_stable(const FunctionBody& body, Flags parameters, size_t first, size_t states, bool derivatives) {
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

std::vector<array> run_batched(const FunctionBody& body, const std::vector<array>& operands, const MapAxes& axes,
    const Flags& mapped_outputs, Dim lanes) {
  std::vector<array> out;
  if (std::none_of(axes.begin(), axes.end(), [](const MapAxis& axis) { return axis.has_value(); })) {
    out = replay(body, operands);
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = mapped_outputs[i] ? batch_first(out[i], std::nullopt, lanes) : out[i];
    }
    return out;
  }
  VmapAxes out_axes;
  for (bool mapped : mapped_outputs) {
    out_axes.push_back(mapped ? MapAxis(0) : std::nullopt);
  }
  auto lane = [&body](const std::vector<array>& in) { return replay(body, in); };
  return vmap(lane, VmapAxes(axes.begin(), axes.end()), out_axes)(operands);
}

array select_lanes(const array& flags, const array& a, const array& b) {
  Shape shape(a.shape().size(), 1);
  shape[0] = flags.shape(0);
  return where(reshape(flags, shape), a, b);
}

} // namespace mlx::core
