// From a function to a trace: running it on arguments without values, and writing down the operations it asks for.
#include <cstring>

#include "mlx_core/interrupt.h"
#include "mlx_core/io/saved_function.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/frame.h"
#include "mlx_core/transforms/function.h"
#include "mlx_core/transforms/tape.h"

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
  SavedBody body(std::span<const array> inputs, std::span<const array> outputs);

 private:
  class ParamRecorder;
  // The values of one body.
  struct Scope {
    SavedBody out;
    std::map<const Node*, int64_t> values; // operand numbers; of an application, that of its first result
    int64_t count = 0;
  };

  SavedSpec spec(const Shape& shape, Dtype dtype) {
    SavedSpec out{{}, dtype};
    for (Dim d : shape) {
      out.shape.push_back(dim(d));
    }
    return out;
  }
  int64_t constant(const Node* node) {
    auto [found, added] = constant_index_.emplace(node, constants_.size());
    if (added) {
      const_cast<Node*>(node)->references.fetch_add(1, std::memory_order_relaxed);
      constants_.push_back(array::from_node(const_cast<Node*>(node)));
    }
    return -1 - static_cast<int64_t>(found->second);
  }
  int64_t value(Scope& scope, Node* node);
  int64_t list(Scope& scope, Node* node);

  SavedTrace& trace_;
  const SymbolTrace& symbols_;
  std::vector<array>& constants_;
  std::map<const Node*, size_t> constant_index_;
  std::map<uint64_t, int64_t> expressions_; // by their codes
};

class Recorder::ParamRecorder final : public ParamVisitor {
 public:
  ParamRecorder(Recorder& recorder, std::vector<Param>& params) : recorder_(recorder), params_(params) {}
  void operator()(const char* name, bool v) override { put(name, v); }
  void operator()(const char* name, int64_t v) override { put(name, SavedDim{false, v}); }
  void operator()(const char* name, Dim v) override { put(name, recorder_.dim(v)); }
  void operator()(const char* name, double v) override { put(name, v); }
  void operator()(const char* name, std::string_view v) override { put(name, std::string(v)); }
  void operator()(const char* name, Dtype v) override { put(name, v); }
  void operator()(const char* name, const Shape& v) override { put_list(name, v); }
  void operator()(const char* name, std::span<const int64_t> v) override { put_list(name, v); }
  void operator()(const char* name, std::span<const int> v) override { put_list(name, v); }
  void operator()(const char* name, const FunctionBody& v) override {
    std::vector<array> inputs = operands_of(v, v.parameters);
    put(name, std::shared_ptr<const SavedBody>(new SavedBody(recorder_.body(inputs, v.outputs))));
  }

 private:
  void put(const char* name, ParamValue value) { params_.push_back({name, std::move(value)}); }
  template <typename List>
  void put_list(const char* name, const List& list) {
    std::vector<SavedDim> dims;
    for (const auto& entry : list) {
      dims.push_back(recorder_.dim(Dim(entry)));
    }
    put(name, std::move(dims));
  }
  Recorder& recorder_;
  std::vector<Param>& params_;
};

SavedBody Recorder::body(std::span<const array> inputs, std::span<const array> outputs) {
  Scope scope;
  for (const array& input : inputs) {
    scope.values.emplace(input.node(), scope.count++);
    scope.out.inputs.push_back(spec(input.shape(), input.dtype()));
  }
  for (const array& output : outputs) {
    scope.out.outputs.push_back(value(scope, output.node()));
  }
  return std::move(scope.out);
}

// A walk that does not recurse: graphs may be deep.
int64_t Recorder::value(Scope& scope, Node* root) {
  std::vector<Node*> stack{root};
  InterruptPoll poll(1024);
  while (!stack.empty()) {
    poll();
    Node* top = stack.back();
    size_t depth = stack.size();
    if (!scope.values.count(top)) {
      for (size_t i = top->operand_count; i-- > 0;) { // the first is listed first
        if (!scope.values.count(top->operands()[i].node())) {
          stack.push_back(top->operands()[i].node());
        }
      }
      if (stack.size() != depth) {
        continue;
      }
      scope.values.emplace(top, list(scope, top));
    }
    stack.pop_back();
  }
  return scope.values.at(root);
}

int64_t Recorder::list(Scope& scope, Node* node) {
  if (!node->primitive) {
    if (!node->available()) {
      fail("export_function",
          "the function uses an array without a value: an argument of another function that is being transformed. "
          "Pass it as an argument.");
    }
    return constant(node);
  }
  if (const Project* projection = Tape::projection(node)) {
    return scope.values.at(node->operands()[0].node()) + projection->index();
  }
  if (std::strcmp(node->primitive->name(), "Primal") == 0) { // an argument of a differentiated function
    return scope.values.at(node->operands()[0].node());
  }
  SavedOp op{node->primitive->name(), {}, {}, {}};
  if (!can_rebuild(op.name)) {
    fail("export_function", "the function uses ", op.name, ", which cannot be saved.");
  }
  ParamRecorder params(*this, op.params);
  node->primitive->visit(params);
  for (const array& operand : node->operands()) {
    op.operands.push_back(scope.values.at(operand.node()));
  }
  if (Tape::is_application(node)) {
    for (const array& result : node->extra->outputs) {
      op.results.push_back(spec(result.shape(), result.dtype()));
    }
  } else {
    op.results.push_back(spec(node->shape, node->dtype));
  }
  int64_t first = scope.count;
  scope.count += static_cast<int64_t>(op.results.size());
  scope.out.ops.push_back(std::move(op));
  return first;
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
  return saved_trace(symbols, frame.placeholders(), outputs, constants);
}

} // namespace

SavedTrace saved_trace(const SymbolTrace& symbols, std::span<const array> inputs, std::span<const array> outputs,
    std::vector<array>& constants) {
  SavedTrace trace{};
  Recorder recorder(trace, symbols, constants);
  trace.body = recorder.body(inputs, outputs);
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
