// Recording a graph as a plan, and replaying it.
#include "mlx_core/compile/plan.h"

#include <unordered_map>

#include "mlx_core/interrupt.h"

namespace mlx::core {

Plan::Plan(const Frame& frame, std::span<const array> outputs, std::vector<array>& captured) {
  Tape tape(frame, outputs);
  std::unordered_map<const Node*, int32_t> slots; // of an application: its first output
  size_t placeholders = frame.placeholders().size();
  for (const array& placeholder : frame.placeholders()) {
    slots.emplace(placeholder.node(), static_cast<int32_t>(slots.size()));
  }
  auto capture = [&](const array& a) {
    if (tape.index_of(a) < 0 && slots.emplace(a.node(), static_cast<int32_t>(slots.size())).second) {
      captured.push_back(a);
    }
  };
  InterruptPoll poll(4096);
  for (size_t i = placeholders; i < tape.nodes().size(); ++i) {
    poll();
    for (const array& operand : tape.nodes()[i]->operands()) {
      capture(operand);
    }
  }
  for (const array& output : outputs) {
    capture(output);
  }
  input_count_ = slots.size();
  slot_count_ = static_cast<int32_t>(slots.size());

  for (size_t i = placeholders; i < tape.nodes().size(); ++i) {
    Node* node = tape.nodes()[i];
    poll();
    if (const Project* projection = Tape::projection(node)) {
      slots.emplace(node, slots.at(node->operands()[0].node()) + projection->index());
      continue;
    }
    Step step;
    step.primitive = node->primitive;
    step.origin = node->origin;
    step.first = slot_count_;
    for (const array& operand : node->operands()) {
      step.operands.push_back(slots.at(operand.node()));
    }
    if (Tape::is_application(node)) {
      for (const array& output : node->extra->outputs) {
        step.outputs.push_back({output.shape(), output.dtype()});
      }
    } else {
      step.outputs.push_back({node->shape, node->dtype});
    }
    slots.emplace(node, slot_count_);
    slot_count_ += static_cast<int32_t>(step.outputs.size());
    steps_.push_back(std::move(step));
  }
  for (const array& output : outputs) {
    outputs_.push_back(slots.at(output.node()));
  }
}

std::vector<array> Plan::replay(std::span<const array> inputs) const {
  std::vector<array> slots;
  slots.reserve(static_cast<size_t>(slot_count_));
  slots.assign(inputs.begin(), inputs.end());
  for (const Step& step : steps_) {
    OriginScope scope(step.origin);
    SmallVector<array, 4> operands;
    for (int32_t slot : step.operands) {
      operands.push_back(slots[static_cast<size_t>(slot)]);
    }
    std::span<const array> given(operands.begin(), operands.size());
    if (step.outputs.size() == 1 && step.primitive->output_count() == 1) {
      slots.push_back(array::make(step.primitive, step.outputs[0], given));
    } else {
      for (array& output : array::make_many(step.primitive, step.outputs, given)) {
        slots.push_back(std::move(output));
      }
    }
  }
  std::vector<array> results;
  results.reserve(outputs_.size());
  for (int32_t slot : outputs_) {
    results.push_back(slots[static_cast<size_t>(slot)]);
  }
  return results;
}

} // namespace mlx::core
