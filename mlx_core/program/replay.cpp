// Replaying programs: making their nodes again around other arrays, one or a batch of them, and evaluating them.
#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#include "mlx_core/interrupt.h"
#include "mlx_core/params.h"
#include "mlx_core/program/program.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/frame.h"
#include "mlx_core/transforms/scan.h"

namespace mlx::core {

namespace {

bool has_recorded_specs(const Program& program, std::span<const array> inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Spec& recorded = program.inputs()[i];
    if (inputs[i].dtype() != recorded.dtype || !identical(inputs[i].shape(), recorded.shape)) {
      return false;
    }
  }
  return true;
}

// Arrays leave their slots with the last use.
SmallVector<array, 4> operands_of(const Program::Step& step, std::vector<array>& slots) {
  SmallVector<array, 4> operands;
  for (size_t k = 0; k < step.operands.size(); ++k) {
    array& slot = slots[static_cast<size_t>(step.operands[k])];
    if (k < 32 && step.last_uses >> k & 1) {
      operands.push_back(std::move(slot));
    } else {
      operands.push_back(slot);
    }
  }
  return operands;
}

std::vector<array> outputs_of(const Program& program, const std::vector<array>& slots) {
  std::vector<array> results;
  results.reserve(program.outputs().size());
  for (int32_t slot : program.outputs()) {
    results.push_back(slots[static_cast<size_t>(slot)]);
  }
  return results;
}

// The stream of what a step makes.
class StepStream {
 public:
  explicit StepStream(const Program::Step& step) {
    if (step.stream >= 0) [[unlikely]] {
      scope_.emplace(static_cast<StreamNumber>(step.stream));
    }
  }

 private:
  std::optional<StreamScope> scope_;
};

// What is applied for a step: where somebody will walk backwards through it, loops keep what that needs.
const PrimitiveRef& applied_for(const Program::Step& step, std::span<const array> given, uint64_t reversed) {
  bool is_walked = reversed != UINT64_MAX &&
                   std::any_of(given.begin(), given.end(), [&](const array& a) { return a.node()->level >= reversed; });
  const PrimitiveRef* saving = is_walked ? saving_of(*step.primitive) : nullptr;
  return saving ? *saving : step.primitive;
}

// `slots` begins with the inputs.
template <bool as_recorded>
std::vector<array> replay_steps(const Program& program, std::vector<array> slots) {
  assert(slots.size() == program.inputs().size());
  slots.reserve(program.slot_count());
  uint64_t reversed = Frame::outermost_reversed();
  for (const Program::Step& step : program.steps()) {
    OriginScope scope(step.origin);
    StepStream on(step);
    SmallVector<array, 4> operands = operands_of(step, slots);
    std::span<const array> given(operands.begin(), operands.size());
    if (const PrimitiveRef& primitive = applied_for(step, given, reversed); &primitive != &step.primitive) {
      std::vector<array> all = applied_many(primitive, given);
      slots.insert(slots.end(), all.begin(), all.begin() + static_cast<ptrdiff_t>(step.outputs.size()));
    } else if (step.outputs.size() == 1) {
      slots.push_back(
          as_recorded ? array::make(step.primitive, step.outputs[0], given) : applied(step.primitive, given));
    } else {
      for (array& output :
          as_recorded ? array::make_many(step.primitive, step.outputs, given) : applied_many(step.primitive, given)) {
        slots.push_back(std::move(output));
      }
    }
  }
  return outputs_of(program, slots);
}

// For origins; 0 while it is not known.
int64_t known_lanes(std::span<const array> inputs, const MapAxes& axes) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i]) {
      Dim lanes = inputs[i].shape(*axes[i]);
      return lanes.is_symbolic() ? 0 : static_cast<int64_t>(lanes);
    }
  }
  return 0;
}

// Nodes of this pass say that their lanes lie along axis 0; those whose axis is known to be another say so.
void note_lane_axes(const Mapped& mapped, uint32_t step_origin, int64_t lanes) {
  uint32_t made_here = origin_in_pass(step_origin, "vmap", lanes);
  for (size_t k = 0; k < mapped.outputs.size(); ++k) {
    Node* node = mapped.outputs[k].node();
    if (node->origin == made_here && mapped.axes[k].value_or(0) != 0) {
      node->origin = origin_with_lanes_along(made_here, *mapped.axes[k]);
    }
  }
}

} // namespace

std::vector<array> replay_as_recorded(const Program& program, std::vector<array> inputs) {
  assert(has_recorded_specs(program, inputs));
  return replay_steps<true>(program, std::move(inputs));
}

std::vector<array> replay(const Program& program, std::vector<array> inputs) {
  return has_recorded_specs(program, inputs) ? replay_steps<true>(program, std::move(inputs))
                                             : replay_steps<false>(program, std::move(inputs));
}

std::vector<array> replay(const Program& program, Operands inputs) {
  return replay(program, std::vector<array>(inputs.begin(), inputs.end()));
}

Mapped replay_batched(const Program& program, std::vector<array> slots, MapAxes axes) {
  int64_t lanes = known_lanes(slots, axes);
  slots.reserve(program.slot_count());
  for (const Program::Step& step : program.steps()) {
    OriginScope scope(step.origin, "vmap", lanes);
    StepStream on(step);
    SmallVector<array, 4> operands = operands_of(step, slots);
    std::span<const array> given(operands.begin(), operands.size());
    MapAxes operand_axes;
    for (int32_t operand : step.operands) {
      operand_axes.push_back(axes[static_cast<size_t>(operand)]);
    }
    Mapped mapped;
    if (std::any_of(operand_axes.begin(), operand_axes.end(), [](const MapAxis& axis) { return axis.has_value(); })) {
      mapped = step.primitive->vmap(given, operand_axes);
    } else { // every operand turned out to be the same in every lane
      mapped.outputs = applied_many(step.primitive, given);
      mapped.axes = MapAxes(mapped.outputs.size());
    }
    if (step.origin) [[unlikely]] {
      note_lane_axes(mapped, step.origin, lanes);
    }
    for (size_t k = 0; k < mapped.outputs.size(); ++k) {
      slots.push_back(std::move(mapped.outputs[k]));
      axes.push_back(mapped.axes[k]);
    }
  }
  Mapped out{outputs_of(program, slots), {}};
  for (int32_t slot : program.outputs()) {
    out.axes.push_back(axes[static_cast<size_t>(slot)]);
  }
  return out;
}

array as_leaf(const array& a) {
  Node* node = a.node();
  if (node->buffer) {
    return array(node->buffer, node->offset, a.shape(), a.strides(), a.dtype());
  }
  if (a.ndim() == 0) {
    return array::scalar_from_bytes(a.raw_data(), a.dtype());
  }
  array leaf = array::uninitialized(a.shape(), a.dtype());
  std::memcpy(leaf.mutable_data(), a.raw_data(), leaf.nbytes()); // one element, kept in its node, or none
  return leaf;
}

std::vector<array> run(const Program& program, std::vector<array> inputs) {
  throw_if_interrupted();
  LevelFloor outside(0);
  for (array& input : inputs) {
    // Nodes of an open transform keep their operands: over many runs they would pile up.
    if (input.node()->level != 0) {
      input = as_leaf(input);
    }
  }
  std::vector<array> results = replay(program.prepared(), std::move(inputs));
  eval(std::span<const array>(results));
  return results;
}

Specs output_specs(const Program& program, std::span<const Spec> inputs) {
  bool same = true;
  for (size_t i = 0; i < inputs.size(); ++i) {
    same = same && identical(inputs[i], program.inputs()[i]);
  }
  if (same) {
    return Specs(program.output_specs().begin(), program.output_specs().end());
  }
  // Every shape rule runs again; the nodes made on the way are dropped.
  Frame frame(Frame::Kind::trace);
  for (const Spec& input : inputs) {
    frame.abstract(input.shape, input.dtype);
  }
  Specs specs;
  for (const array& output : replay(program, frame.placeholders())) {
    specs.push_back({output.shape(), output.dtype()});
  }
  return specs;
}

} // namespace mlx::core
