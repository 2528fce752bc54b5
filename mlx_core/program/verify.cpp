// Whether a program makes sense: every slot is written once, before it is read, and steps fit their primitives.
#include "mlx_core/program/program.h"

namespace mlx::core {

std::string fault_in(const Program& program) {
  auto next = static_cast<int32_t>(program.inputs().size());
  auto unknown = [&](int32_t slot) { return slot < 0 || slot >= next; };
  std::vector<int32_t> last_step(program.slot_count(), -1); // that reads it
  for (size_t i = 0; i < program.steps().size(); ++i) {
    const Program::Step& step = program.steps()[i];
    auto at = [&] {
      return "step " + std::to_string(i) + (step.primitive ? " (" + std::string(step.primitive->name()) + ") " : " ");
    };
    if (!step.primitive) {
      return at() + "has no primitive";
    }
    for (int32_t operand : step.operands) {
      if (unknown(operand)) {
        return at() + "reads slot " + std::to_string(operand) + ", which nothing has written";
      }
      if (last_step[static_cast<size_t>(operand)] == -2) {
        return at() + "reads slot " + std::to_string(operand) + " after its last use";
      }
    }
    if (step.first != next || step.outputs.size() != static_cast<size_t>(step.primitive->output_count())) {
      return at() + "writes other slots than its primitive has outputs";
    }
    for (size_t k = 0; k < step.operands.size() && k < 32; ++k) {
      if (step.last_uses >> k & 1) {
        last_step[static_cast<size_t>(step.operands[k])] = -2;
      }
    }
    next += static_cast<int32_t>(step.outputs.size());
  }
  if (static_cast<size_t>(next) != program.slot_count()) {
    return "it has another number of slots than its steps write";
  }
  for (size_t i = 0; i < program.outputs().size(); ++i) {
    int32_t slot = program.outputs()[i];
    if (unknown(slot) || last_step[static_cast<size_t>(slot)] == -2) {
      return "output " + std::to_string(i) + " is slot " + std::to_string(slot) + ", which has no value at the end";
    }
  }
  return {};
}

} // namespace mlx::core
