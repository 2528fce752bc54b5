// Flattening programs: functions and short branches become steps like others.
#include "mlx_core/transforms/flattened.h"

#include <algorithm>
#include <typeinfo>

#include "mlx_core/ops.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

constexpr int64_t most_elements = 2048; // that the steps of a branch compute
constexpr int64_t most_steps = 128;     // of all iterations of a scan

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
    Iterations scan = iterations_of(primitive);
    if (scan.body && step.stream < 0 && !scan.length.is_symbolic() && static_cast<int64_t>(scan.length) > 0 &&
        static_cast<int64_t>(scan.length) * static_cast<int64_t>(scan.body->steps().size() + 1) <= most_steps) {
      return iterations(scan, operands);
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

  std::vector<int32_t> iterations(const Iterations& scan, std::span<const int32_t> operands) {
    LevelFloor outside(0);
    const Program& body = *scan.body;
    size_t own = scan.carries + scan.inputs;
    auto length = static_cast<int64_t>(scan.length);
    std::vector<int32_t> in(operands.begin(), operands.end()), out;
    std::vector<std::vector<int32_t>> ys(body.outputs().size() - scan.carries);
    for (int64_t i = 0; i < length; ++i) {
      int64_t t = scan.reverse ? length - 1 - i : i;
      for (size_t k = scan.carries; k < own; ++k) {
        array whole = stand_in({prepended(length, body.inputs()[k].shape), body.inputs()[k].dtype});
        Shape start(whole.shape().size(), 0), stop = whole.shape();
        start[0] = t;
        stop[0] = t + 1;
        in[k] = applied_to(operands[k], whole, squeeze(slice(whole, start, stop), {0}));
      }
      out = append(body, in);
      std::copy_n(out.begin(), scan.carries, in.begin());
      for (size_t k = 0; k < ys.size(); ++k) {
        array y = stand_in(body.output_specs()[scan.carries + k]);
        ys[k].push_back(applied_to(out[scan.carries + k], y, expand_dims(y, {0})));
      }
    }
    for (size_t k = 0; k < ys.size(); ++k) {
      if (scan.reverse) {
        std::reverse(ys[k].begin(), ys[k].end());
      }
      int32_t& y = out[scan.carries + k];
      y = ys[k][0];
      if (length > 1) {
        const Spec& spec = body.output_specs()[scan.carries + k];
        array row = stand_in({prepended(1, spec.shape), spec.dtype});
        array all = concatenate(std::vector<array>(static_cast<size_t>(length), row), 0);
        y = add_step(all, {ys[k].begin(), ys[k].end()});
      }
    }
    return out;
  }

  // For asking which primitives an operation takes.
  static array stand_in(const Spec& spec) { return broadcast_to(array(0, spec.dtype), spec.shape); }
  // The steps that lead from `from`, in whose place is `slot`, to `to`.
  int32_t applied_to(int32_t slot, const array& from, const array& to) {
    if (to.node() == from.node()) {
      return slot;
    }
    int32_t before = applied_to(slot, from, array(to.node()->operands()[0]));
    return add_step(to, std::span<const int32_t>(&before, 1));
  }
  int32_t add_step(const array& result, std::span<const int32_t> operands) {
    Program::Step step;
    step.primitive = result.node()->primitive;
    step.outputs.push_back({result.shape(), result.dtype()});
    for (int32_t operand : operands) {
      step.operands.push_back(operand);
    }
    return writer_.add_step(std::move(step));
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
