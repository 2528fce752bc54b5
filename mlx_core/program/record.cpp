// From nodes to steps.
#include "mlx_core/program/record.h"

#include <unordered_map>

#include "mlx_core/interrupt.h"

namespace mlx::core {

Traced record_program(const Frame& frame, std::span<const array> outputs, Tape::Reach reach) {
  Tape tape(frame, outputs, reach);
  size_t placeholders = frame.placeholders().size();
  std::span<Node* const> nodes(tape.nodes());
  Traced out;
  ProgramWriter writer;
  std::vector<int32_t> slot_of(nodes.size()); // of an application: its first output
  for (size_t i = 0; i < placeholders; ++i) {
    slot_of[i] = writer.add_input({nodes[i]->shape, nodes[i]->dtype});
  }
  // Inputs come first, so what is captured must be known before there are steps. An edge is the index of a node, or of
  // what comes in: ~slot.
  std::unordered_map<const Node*, int32_t> captured;
  std::vector<int32_t> edges;
  auto add_edge = [&](const array& a) {
    int32_t at = tape.index_of(a);
    if (at < 0) {
      auto [found, added] = captured.emplace(a.node(), 0);
      if (added) {
        out.captured.push_back(a);
        found->second = writer.add_input({a.shape(), a.dtype()});
      }
      at = ~found->second;
    }
    edges.push_back(at);
  };
  edges.reserve(2 * nodes.size());
  InterruptPoll poll(4096);
  for (Node* node : nodes.subspan(placeholders)) {
    poll();
    for (const array& operand : node->operands()) {
      add_edge(operand);
    }
  }
  for (const array& output : outputs) {
    add_edge(output);
  }
  writer.reserve(nodes.size() - placeholders);
  auto edge = edges.begin();
  auto next_slot = [&] {
    int32_t at = *edge++;
    return at < 0 ? ~at : slot_of[static_cast<size_t>(at)];
  };
  for (size_t i = placeholders; i < nodes.size(); ++i) {
    Node* node = nodes[i];
    poll();
    if (const Project* projection = Tape::projection(node)) {
      slot_of[i] = next_slot() + projection->index();
      continue;
    }
    if (node->primitive->role() == Role::argument) { // of a function that was differentiated inside
      slot_of[i] = next_slot();
      continue;
    }
    Program::Step step;
    step.primitive = node->primitive;
    step.origin = node->origin;
    step.stream = node->stream == current_stream() ? -1 : node->stream;
    for (size_t k = 0; k < node->operand_count; ++k) {
      step.operands.push_back(next_slot());
    }
    if (Tape::is_application(node)) {
      for (const array& output : node->extra->outputs) {
        step.outputs.push_back({output.shape(), output.dtype()});
      }
    } else {
      step.outputs.push_back({node->shape, node->dtype});
    }
    slot_of[i] = writer.add_step(std::move(step));
  }
  std::vector<int32_t> results;
  for (size_t i = 0; i < outputs.size(); ++i) {
    results.push_back(next_slot());
  }
  out.program = writer.finish(std::move(results));
  return out;
}

} // namespace mlx::core
