// Flattening programs: functions and short branches become steps like others.
#include "mlx_core/transforms/flattened.h"

#include <algorithm>
#include <typeinfo>

#include "mlx_core/ops.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

constexpr int64_t most_elements = 2048; // that the steps of a branch compute

// What computing it costs, in elements; more than most_elements where it may do more than compute a few.
int64_t cost(const Program& program) {
  int64_t elements = 0;
  for (const Program::Step& step : program.steps()) {
    const Primitive& primitive = *step.primitive;
    EvalKind kind = primitive.eval_kind();
    if (Branches inside = branches_of(primitive); inside.if_true) {
      elements += cost(*inside.if_true) + cost(*inside.if_false);
    } else if (typeid(primitive) == typeid(Function)) {
      elements += cost(static_cast<const Function&>(primitive).body());
    } else if (kind == EvalKind::project || (kind == EvalKind::general && !primitive.keeps_order())) {
      return most_elements + 1;
    }
    for (const Spec& output : step.outputs) {
      Dim size = size_of(output.shape);
      elements += size.is_symbolic() ? most_elements + 1 : static_cast<int64_t>(size);
    }
    for (int32_t slot : step.operands) { // of reductions, inputs count
      if (kind == EvalKind::reduction && static_cast<size_t>(slot) < program.inputs().size()) {
        elements += static_cast<int64_t>(size_of(program.inputs()[static_cast<size_t>(slot)].shape));
      }
    }
    if (elements > most_elements) {
      return elements;
    }
  }
  return elements;
}

class Flattener {
 public:
  SharedProgram of(const Program& program) {
    std::vector<int32_t> inputs;
    for (const Spec& input : program.inputs()) {
      inputs.push_back(writer_.add_input(input));
    }
    return writer_.finish(append(program, inputs));
  }

 private:
  // The slots of the outputs.
  std::vector<int32_t> append(const Program& program, std::span<const int32_t> inputs) {
    std::vector<int32_t> slots(inputs.begin(), inputs.end());
    slots.reserve(program.slot_count());
    for (const Program::Step& step : program.steps()) {
      std::vector<int32_t> operands;
      for (int32_t slot : step.operands) {
        operands.push_back(slots[static_cast<size_t>(slot)]);
      }
      for (int32_t slot : appended(step, operands)) {
        slots.push_back(slot);
      }
    }
    std::vector<int32_t> outputs;
    for (int32_t slot : program.outputs()) {
      outputs.push_back(slots[static_cast<size_t>(slot)]);
    }
    return outputs;
  }

  std::vector<int32_t> appended(const Program::Step& step, std::span<const int32_t> operands) {
    const Primitive& primitive = *step.primitive;
    if (typeid(primitive) == typeid(Function) && step.stream < 0) {
      return append(static_cast<const Function&>(primitive).body(), operands);
    }
    Branches branches = branches_of(primitive);
    if (branches.if_true && step.stream < 0 && cost(*branches.if_true) + cost(*branches.if_false) <= most_elements) {
      std::vector<int32_t> if_true = append(*branches.if_true, operands.subspan(1));
      std::vector<int32_t> if_false = append(*branches.if_false, operands.subspan(1));
      for (size_t i = 0; i < if_true.size(); ++i) {
        if (if_true[i] != if_false[i]) {
          Program::Step choice;
          choice.primitive = select();
          choice.outputs.push_back(step.outputs[i]);
          choice.operands = {operands[0], if_true[i], if_false[i]};
          choice.origin = step.origin;
          if_true[i] = writer_.add_step(std::move(choice));
        }
      }
      return if_true;
    }
    Program::Step same = step;
    std::copy(operands.begin(), operands.end(), same.operands.begin());
    int32_t first = writer_.add_step(std::move(same));
    std::vector<int32_t> slots;
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      slots.push_back(first + static_cast<int32_t>(i));
    }
    return slots;
  }

  static const PrimitiveRef& select() {
    static const PrimitiveRef& known = [] {
      LevelFloor outside(0);
      return *new PrimitiveRef(where(array(true), array(0.0f), array(1.0f)).node()->primitive);
    }();
    return known;
  }

  ProgramWriter writer_;
};

} // namespace

SharedProgram flattened(const Program& program) { return Flattener().of(program); }

} // namespace mlx::core
