// Running a function on placeholders and keeping what it did.
#include "mlx_core/compile/record.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <unordered_map>

#include "mlx_core/compile/prepared.h"
#include "mlx_core/compile/shapeless.h"
#include "mlx_core/eval/at_once.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/random.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/escape.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

// Dtype and value of a scalar such as the 2 in 2 * x.
std::optional<std::string> scalar_bits(const array& a) {
  if (!a.is_available() || a.ndim() != 0) {
    return std::nullopt;
  }
  std::string bits(1, static_cast<char>(a.dtype().val));
  return bits.append(static_cast<const char*>(a.raw_data()), static_cast<size_t>(a.itemsize()));
}

// For each input of a program whose last ones are these constants: itself, or an earlier one that is the same constant.
std::vector<int32_t> same_inputs(size_t inputs, const std::vector<array>& constants) {
  std::vector<int32_t> same(inputs);
  std::iota(same.begin(), same.end(), 0);
  size_t before = inputs - constants.size();
  std::unordered_map<std::string, int32_t> first; // by dtype and bits
  InterruptPoll poll(4096);
  for (size_t i = 0; i < constants.size(); ++i) {
    poll();
    if (std::optional<std::string> bits = scalar_bits(constants[i])) {
      auto number = static_cast<int32_t>(before + i);
      same[before + i] = first.emplace(std::move(*bits), number).first->second;
    }
  }
  return same;
}

// Constants that are one number in all places, as zeros are and what the cotangent of a sum is broadcast to, become
// scalars, which steps broadcast: who plans the steps sees what they are.
void make_numbers_scalars(PlannedFunction& function) {
  const Program& program = *function.program;
  ProgramWriter writer;
  std::vector<Program::Step> repetitions;
  size_t before = program.inputs().size() - function.constants.size();
  for (size_t k = 0; k < program.inputs().size(); ++k) {
    const Spec& spec = program.inputs()[k];
    array* constant = k < before || spec.shape.empty() ? nullptr : &function.constants[k - before];
    std::optional<array> number = constant ? repeated_number(*constant) : std::nullopt;
    int32_t slot = writer.add_input(number ? Spec{Shape{}, spec.dtype} : spec);
    if (number) {
      *constant = *std::move(number);
      Program::Step& step = repetitions.emplace_back();
      step.primitive = repeating(spec.shape);
      step.outputs.push_back(spec);
      step.operands.push_back(slot);
    }
  }
  if (repetitions.empty()) {
    return;
  }
  std::vector<int32_t> slots(program.inputs().size());
  std::iota(slots.begin(), slots.end(), 0);
  for (Program::Step& step : repetitions) {
    auto slot = static_cast<size_t>(step.operands[0]);
    slots[slot] = writer.add_step(std::move(step));
  }
  function.program = writer.finish(writer.append(program, slots));
}

// The argument without values. Equal sizes are one symbol.
array placeholder(Frame& frame, const Spec& spec, bool symbolic_sizes, std::map<int64_t, Dim>& symbols) {
  Shape shape = spec.shape;
  for (Dim& size : shape) {
    if (symbolic_sizes) {
      auto known = symbols.find(size);
      size = known != symbols.end() ? known->second : symbols.emplace(size, Dim::symbol(size)).first->second;
    }
  }
  return frame.abstract(shape, spec.dtype);
}

// Arrays of a transform around the recording have no place in operations that are made again from their parameters.
void refuse_outer_arrays(const Frame& frame, const std::vector<array>& outputs, bool inside_another) {
  for (const array& a : record_program(frame, outputs).captured) {
    if (a.node()->level != 0 && inside_another) {
      fail("compile", "the function uses an array of a transform around it, of shape ", a.shape(), ".");
    }
  }
}

} // namespace

PlannedFunction record(const RecordedFunction& fun, std::span<const Spec> arguments,
    const std::function<void()>& release, bool symbolic_sizes) {
  bool inside_another = !Frame::open().empty();
  RecordingScope scope("compile", Recorded::program);
  std::optional<SymbolTrace> symbol_trace;
  if (symbolic_sizes) {
    symbol_trace.emplace();
  }
  Frame frame(Frame::Kind::trace);
  PlannedFunction recording;
  {
    std::map<int64_t, Dim> symbols;
    std::vector<array> placeholders;
    for (const Spec& spec : arguments) {
      placeholders.push_back(placeholder(frame, spec, symbolic_sizes, symbols));
    }
    array key = frame.abstract(Shape{2}, uint32);
    random::SequenceScope sequence(key);
    std::vector<array> outputs = fun(placeholders, [&](const array& a) { return frame.primal(a); });
    recording.draws = sequence.state().id() != key.id();
    if (recording.draws) {
      outputs.push_back(sequence.state());
    }
    if (symbolic_sizes) {
      refuse_outer_arrays(frame, outputs, inside_another);
      recording.shapeless = std::make_shared<Shapeless>(record_open(*symbol_trace, frame, outputs));
    } else {
      Traced recorded = record_program(frame, outputs);
      recording.program = std::move(recorded.program);
      recording.constants = std::move(recorded.captured);
    }
  }
  if (recording.program) {
    finish(recording);
  }
  release();
  check_escapes(frame, "compile",
      "Return what you want to keep, or name the container that holds it in outputs; see mx.compile.");
  for (const array& a : recording.constants) {
    recording.reusable = recording.reusable && (a.node()->level == 0 || !inside_another);
  }
  return recording;
}

void finish(PlannedFunction& function) {
  make_numbers_scalars(function);
  const Program& program = *function.program;
  function.simplified = simplify(program, same_inputs(program.inputs().size(), function.constants));
  function.prepared = std::make_shared<Prepared>(function.simplified, function.constants);
  function.rules = rules_in(program);
  for (const std::shared_ptr<const CustomRules>& rules : function.rules) {
    function.unrecorded.derivatives |= !rules->recorded();
    function.unrecorded.batching |= rules->vmap != nullptr;
    if (!rules->used_again) {
      rules->forget_unrecorded();
    }
  }
  // Where these are asked for, the function runs itself.
  std::erase_if(function.rules, [](const auto& rules) { return rules->used_again && !rules->recorded(); });
}

std::vector<array> replay(
    const PlannedFunction& recording, std::span<const array> arguments, std::span<const array> hidden) {
  std::shared_ptr<const PlannedFunction> for_sizes;
  if (recording.shapeless) {
    Specs specs = specs_of(arguments);
    for_sizes = recording.shapeless->at({specs.begin(), specs.size()});
  }
  const PlannedFunction& planned = for_sizes ? *for_sizes : recording;
  keep_rules(planned.rules);
  auto run = [&](const array& key) {
    std::span<const array> parts[] = {arguments, {&key, 1}, hidden, planned.constants};
    if (planned.prepared) {
      if (std::optional<std::vector<array>> outputs = (*planned.prepared)(parts)) {
        return *std::move(outputs);
      }
    }
    std::vector<array> inputs;
    inputs.reserve(planned.program->slot_count());
    inputs.assign(arguments.begin(), arguments.end());
    inputs.push_back(key);
    for (std::span<const array> more : {hidden, std::span<const array>(planned.constants)}) {
      for (const array& a : more) {
        inputs.push_back(a);
      }
    }
    bool traced = std::any_of(inputs.begin(), inputs.end(), [](const array& a) { return is_traced(*a.node()); });
    return replay_as_recorded(traced ? *planned.program : *planned.simplified, std::move(inputs));
  };
  if (!recording.draws) {
    static const array& unused = *new array({0u, 0u}); // like a key
    return run(unused);
  }
  // Two calls must not draw the same numbers. A signal handler may come in between.
  static std::recursive_mutex one_at_a_time;
  std::lock_guard lock(one_at_a_time);
  std::vector<array> outputs = run(random::state());
  random::set_state(outputs.back());
  outputs.pop_back();
  return outputs;
}

std::string misfit(const PlannedFunction& recording, std::span<const Spec> arguments) {
  return recording.shapeless ? recording.shapeless->misfit(arguments) : std::string();
}

bool must_run_itself(const PlannedFunction& recording) {
  return (recording.unrecorded.derivatives && !Frame::open().empty()) ||
         ((recording.draws || recording.unrecorded.batching) && !open_vmaps().empty());
}

} // namespace mlx::core
