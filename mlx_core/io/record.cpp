// From a function to a trace: running it on arguments without values, and writing down the operations it asks for.

#include "mlx_core/program/record.h"
#include "mlx_core/backend/kernels.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/io/saved_function.h"
#include "mlx_core/remake.h"
#include "mlx_core/trace_level.h"

namespace mlx::core::io {

namespace {

SavedDim saved(Dim dim, const SymbolTrace& symbols, std::vector<SavedExpression>& expressions,
    std::map<uint64_t, int64_t>& known) {
  if (!symbols.owns(dim)) { // a size of a trace around this one is a number here
    return {false, static_cast<int64_t>(dim)};
  }
  if (auto found = known.find(SymbolTrace::code(dim)); found != known.end()) {
    return {true, found->second};
  }
  const SymbolTrace::Expression& e = symbols.expression(dim);
  SavedExpression out{static_cast<uint8_t>(e.op), {}, {}};
  out.left = saved(e.left, symbols, expressions, known);
  out.right = e.op == 's' ? SavedDim{false, e.hint} : saved(e.right, symbols, expressions, known);
  expressions.push_back(out);
  known.emplace(SymbolTrace::code(dim), static_cast<int64_t>(expressions.size()) - 1);
  return {true, static_cast<int64_t>(expressions.size()) - 1};
}

class Recorder {
 public:
  Recorder(SavedTrace& trace, const SymbolTrace& symbols, std::vector<array>& constants)
      : trace_(trace), symbols_(symbols), constants_(constants) {
    for (size_t i = 0; i < constants.size(); ++i) {
      constant_index_.emplace(constants[i].node(), i);
    }
  }

  SavedDim dim(Dim d) { return saved(d, symbols_, trace_.expressions, expressions_); }
  // The last inputs are these arrays, which become constants.
  SavedBody body(const Program& program, std::span<const array> captured);

 private:
  SavedSpec spec(const Spec& s) { return {dims(s.shape), s.dtype}; }
  template <typename List>
  std::vector<SavedDim> dims(const List& list) {
    std::vector<SavedDim> out;
    for (auto entry : list) {
      out.push_back(dim(Dim(entry)));
    }
    return out;
  }
  int64_t constant(const array& a) {
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
    auto [found, added] = constant_index_.emplace(a.node(), constants_.size());
    if (added) {
      constants_.push_back(a);
    }
    return -1 - static_cast<int64_t>(found->second);
  }
  ParamValue value(const core::ParamValue& v);

  SavedTrace& trace_;
  const SymbolTrace& symbols_;
  std::vector<array>& constants_;
  std::map<const Node*, size_t> constant_index_;
  std::map<uint64_t, int64_t> expressions_; // by their codes
};

ParamValue Recorder::value(const core::ParamValue& v) {
  return std::visit(
      [&]<typename T>(const T& value) -> ParamValue {
        if constexpr (std::is_same_v<T, int64_t>) {
          return SavedDim{false, value};
        } else if constexpr (std::is_same_v<T, Dim>) {
          return dim(value);
        } else if constexpr (std::is_same_v<T, SharedProgram>) {
          return std::make_shared<const SavedBody>(body(*value, {}));
        } else if constexpr (std::is_same_v<T, Shape> || std::is_same_v<T, Axes> ||
                             std::is_same_v<T, std::vector<int64_t>>) {
          return dims(value);
        } else {
          return value;
        }
      },
      v);
}

SavedBody Recorder::body(const Program& program, std::span<const array> captured) {
  SavedBody out;
  std::vector<int64_t> values(program.slot_count()); // operand numbers
  size_t own = program.inputs().size() - captured.size();
  for (size_t i = 0; i < program.inputs().size(); ++i) {
    if (i < own) {
      values[i] = static_cast<int64_t>(i);
      out.inputs.push_back(spec(program.inputs()[i]));
    } else {
      values[i] = constant(captured[i - own]);
    }
  }
  auto count = static_cast<int64_t>(own);
  InterruptPoll poll(1024);
  for (const Program::Step& step : program.steps()) {
    poll();
    auto first = static_cast<size_t>(step.first);
    if (step.primitive->role() == core::Role::argument) { // an argument of a differentiated function
      values[first] = values[static_cast<size_t>(step.operands[0])];
      continue;
    }
    SavedOp op{step.primitive->name(), {}, {}, {}};
    if (!can_remake(op.name) && step.operands.empty() && step.outputs.size() == 1) { // from a file: its values
      array read = array::uninitialized(step.outputs[0].shape, step.outputs[0].dtype);
      step.primitive->eval({}, std::span<array>(&read, 1), host_kernels());
      values[first] = constant(read);
      continue;
    }
    if (!can_remake(op.name)) {
      fail("export_function", "the function uses ", op.name,
          ", which cannot be saved: nothing says how to make it again (add_remake in C++).");
    }
    for (const core::Param& param : Params(*step.primitive)) {
      op.params.push_back({std::string(param.name), value(param.value)});
    }
    for (int32_t operand : step.operands) {
      op.operands.push_back(values[static_cast<size_t>(operand)]);
    }
    for (const Spec& output : step.outputs) {
      op.results.push_back(spec(output));
      values[first++] = count++;
    }
    out.ops.push_back(std::move(op));
  }
  for (int32_t output : program.outputs()) {
    out.outputs.push_back(values[static_cast<size_t>(output)]);
  }
  return out;
}

// Sizes that are equal share a symbol when `shared`; otherwise each axis has its own.
SavedTrace record_once(const VectorFunction& fun, const std::vector<array>& args, bool shapeless, bool shared,
    std::vector<array>& constants) {
  SymbolTrace symbols;
  RecordingScope scope("export_function", Recorded::program);
  Frame frame(Frame::Kind::trace);
  std::map<int64_t, Dim> by_size;
  for (const array& arg : args) {
    Shape shape = arg.shape();
    for (Dim& d : shape) {
      int64_t size = d;
      if (shapeless && shared) {
        auto found = by_size.find(size);
        d = found != by_size.end() ? found->second : by_size.emplace(size, Dim::symbol(size)).first->second;
      } else if (shapeless) {
        d = Dim::symbol(size);
      }
    }
    frame.abstract(shape, arg.dtype());
  }
  std::vector<array> outputs = fun(std::vector<array>(frame.placeholders()));
  return saved_trace(symbols, frame, outputs, constants);
}

} // namespace

SavedTrace saved_trace(
    const SymbolTrace& symbols, const Frame& frame, std::span<const array> outputs, std::vector<array>& constants) {
  SavedTrace trace{};
  Recorder recorder(trace, symbols, constants);
  Traced recorded = record_program(frame, outputs, Tape::Reach::whole);
  trace.body = recorder.body(*recorded.program, recorded.captured);
  for (const SymbolTrace::Guard& guard : symbols.guards()) {
    trace.guards.push_back({recorder.dim(guard.expression), guard.expected});
  }
  return trace;
}

SavedTrace record(const VectorFunction& fun, const std::vector<array>& args, std::vector<std::string> keywords,
    bool shapeless, std::vector<array>& constants) {
  std::vector<array> own(constants);
  SavedTrace trace = record_once(fun, args, shapeless, false, own);
  if (!trace.guards.empty()) { // two sizes were compared: they may be meant to be the same
    std::vector<array> others(constants);
    SavedTrace again = record_once(fun, args, shapeless, true, others);
    if (again.guards.size() < trace.guards.size()) {
      trace = std::move(again);
      own = std::move(others);
    }
  }
  constants = std::move(own);
  trace.positional = static_cast<int64_t>(args.size() - keywords.size());
  trace.keywords = std::move(keywords);
  return trace;
}

} // namespace mlx::core::io
