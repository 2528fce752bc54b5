// Recording a program with open sizes, and making its operations again.
#include "mlx_core/program/open_program.h"

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/program/record.h"
#include "mlx_core/remake.h"

namespace mlx::core {

namespace {

// That all of a program, and of those inside it, can be made again; notes sizes that are not the trace's own.
class Inspection {
 public:
  Inspection(const SymbolTrace& symbols, OpenSizes& sizes) : symbols_(symbols), sizes_(sizes) {}

  void program(const Program& p) {
    for (const Spec& input : p.inputs()) {
      value(input.shape);
    }
    for (const Program::Step& step : p.steps()) {
      poll_();
      if (!can_remake(step.primitive->name())) {
        fail("export_function", "the function uses ", step.primitive->name(),
            ", which cannot be saved: nothing says how to make it again (add_remake in C++).");
      }
      for (const Spec& output : step.outputs) {
        value(output.shape);
      }
      for (const Param& param : Params(*step.primitive)) {
        std::visit([this](const auto& v) { value(v); }, param.value);
      }
    }
  }

  void constant(const array& a) {
    if (!a.is_available()) {
      fail("export_function",
          "the function uses an array without a value: an argument of another function that is being transformed. "
          "Pass it as an argument.");
    }
    for (Dim length : a.shape()) {
      if (length.is_symbolic()) {
        fail("export_function", "the function reads values of an array whose size, ", length, ", is left open.");
      }
    }
  }

 private:
  template <typename T>
  void value(const T&) {}
  void value(Dim d) {
    if (d.is_symbolic() && !symbols_.owns(d)) {
      sizes_.outer.emplace(SymbolTrace::code(d), int64_t{d});
    }
  }
  void value(const Shape& shape) {
    for (Dim d : shape) {
      value(d);
    }
  }
  void value(const SharedProgram& inner) { program(*inner); }

  const SymbolTrace& symbols_;
  OpenSizes& sizes_;
  InterruptPoll poll_{1024};
};

std::vector<array> remade_steps(const Program& program, std::vector<array> slots, const SizeValues& sizes);

std::vector<array> remade(const Program::Step& step, std::vector<array> operands, const SizeValues& sizes) {
  Params params;
  Parts::Functions functions;
  for (const Param& param : Params(*step.primitive)) {
    std::visit(
        [&]<typename T>(const T& value) {
          if constexpr (std::is_same_v<T, SharedProgram>) {
            functions.emplace_back(param.name,
                [&sizes, body = value](const std::vector<array>& in) { return remade_steps(*body, in, sizes); });
          } else if constexpr (std::is_same_v<T, Dim> || std::is_same_v<T, Shape>) {
            params.add(param.name, sizes(value));
          } else {
            params.add(param.name, value);
          }
        },
        param.value);
  }
  return remade(step.primitive->name(), Parts(std::move(params), std::move(functions), std::move(operands)));
}

std::vector<array> remade_steps(const Program& program, std::vector<array> slots, const SizeValues& sizes) {
  constexpr const char* op = "import_function";
  if (slots.size() != program.inputs().size()) {
    fail(op, "a function inside has ", program.inputs().size(), " inputs but ", slots.size(), " operands.");
  }
  InterruptPoll poll(256);
  slots.reserve(program.slot_count());
  for (const Program::Step& step : program.steps()) {
    poll();
    OriginScope scope(step.origin);
    std::vector<array> operands;
    for (int32_t operand : step.operands) {
      operands.push_back(slots[static_cast<size_t>(operand)]);
    }
    try {
      std::vector<array> results = remade(step, std::move(operands), sizes);
      Parts::require(results.size() == step.outputs.size(), "the number of results is another.");
      for (size_t i = 0; i < results.size(); ++i) {
        Parts::require(
            results[i].dtype() == step.outputs[i].dtype && results[i].shape() == sizes(step.outputs[i].shape),
            "the result has another shape or dtype than was recorded.");
        slots.push_back(std::move(results[i]));
      }
    } catch (const std::logic_error& error) { // invalid arguments, lengths and places
      fail(op, step.primitive->name(), " cannot be made: ", error.what());
    }
  }
  std::vector<array> outputs;
  for (int32_t output : program.outputs()) {
    outputs.push_back(slots[static_cast<size_t>(output)]);
  }
  return outputs;
}

} // namespace

OpenProgram record_open(const SymbolTrace& symbols, const Frame& frame, std::span<const array> outputs) {
  Traced recorded = record_program(frame, outputs, Tape::Reach::whole);
  OpenProgram open{std::move(recorded.program), std::move(recorded.captured), {}};
  Inspection inspection(symbols, open.sizes);
  for (array& a : open.constants) {
    if (!a.is_available() && a.has_primitive() && a.operands().empty()) { // from a file: its values
      array read = array::uninitialized(a.shape(), a.dtype());
      a.primitive().eval({}, std::span<array>(&read, 1), host_kernels());
      a = read;
    }
    inspection.constant(a);
  }
  inspection.program(*open.program);
  open.sizes.expressions = symbols.expressions();
  open.sizes.guards = symbols.guards(); // with those that this has made
  return open;
}

std::vector<array> remake(const OpenProgram& open, const std::vector<array>& arguments, const SizeValues& sizes) {
  std::vector<array> inputs(arguments);
  inputs.insert(inputs.end(), open.constants.begin(), open.constants.end());
  return remade_steps(*open.program, std::move(inputs), sizes);
}

} // namespace mlx::core
