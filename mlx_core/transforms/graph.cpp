// Graph: listing the nodes behind arrays, and writing them line by line.
#include "mlx_core/graph.h"

#include <cstdio>
#include <map>

#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

std::string scalar_text(const core::Node& node) {
  host_ready(node);
  if (node.dtype.is_bool()) {
    return load_int(node.data(), node.dtype) ? "True" : "False";
  }
  if (node.dtype.is_integer()) {
    return std::to_string(load_int(node.data(), node.dtype));
  }
  char digits[80];
  complex128_t value = load_complex(node.data(), node.dtype);
  if (node.dtype.is_complex()) {
    std::snprintf(digits, sizeof digits, "(%.9g%+.9gj)", value.real(), value.imag());
  } else {
    std::snprintf(digits, sizeof digits, node.dtype.size() == 8 ? "%.17g" : "%.9g", value.real());
  }
  return digits;
}

// What a transform hands to a function in place of an argument: for the reader it is the argument.
bool stands_for_operand(const core::Node* node) {
  return node->operand_count == 1 && node->primitive->role() == core::Role::argument;
}

// Nodes by their place in the list, from a walk that does not recurse.
class Lister {
 public:
  explicit Lister(std::vector<Graph::Node>& nodes) : nodes_(nodes) {}

  void add_input(const array& input) {
    known_.emplace(input.node(), Graph::Value{static_cast<int>(nodes_.size()), 0});
    nodes_.push_back({Graph::Node::Kind::input, "input", "", "", "", {}, {{input.shape(), input.dtype()}}, 0, nullptr});
  }

  Graph::Value add(const array& output) {
    std::vector<core::Node*> stack{output.node()};
    while (!stack.empty()) {
      core::Node* top = stack.back();
      size_t depth = stack.size();
      if (!known_.count(top)) {
        for (size_t i = top->operand_count; i-- > 0;) { // the first is listed first
          if (!known_.count(top->operands()[i].node())) {
            stack.push_back(top->operands()[i].node());
          }
        }
        if (stack.size() != depth) {
          continue;
        }
        known_.emplace(top, list(top));
      }
      stack.pop_back();
    }
    return known_.at(output.node());
  }

  std::optional<Graph::Value> find(const array& a) const {
    auto found = known_.find(a.node());
    return found == known_.end() ? std::nullopt : std::optional<Graph::Value>(found->second);
  }

 private:
  Graph::Value list(core::Node* node) {
    if (!node->primitive) {
      return list_leaf(node);
    }
    if (const Project* projection = Tape::projection(node)) {
      return {known_.at(node->operands()[0].node()).node, projection->index()};
    }
    if (stands_for_operand(node)) {
      return known_.at(node->operands()[0].node());
    }
    Graph::Node out{Graph::Node::Kind::op, node->primitive->name(), "", "", "", {}, {}, node->origin, nullptr};
    for (const array& operand : node->operands()) {
      out.operands.push_back(known_.at(operand.node()));
    }
    if (Tape::is_application(node)) {
      for (const array& result : node->extra->outputs) {
        out.results.push_back({result.shape(), result.dtype()});
      }
    } else {
      out.results.push_back({node->shape, node->dtype});
    }
    if (auto* function = dynamic_cast<const Function*>(node->primitive.get())) {
      Frame frame(Frame::Kind::trace);
      for (const Spec& input : function->body().inputs()) {
        frame.abstract(input.shape, input.dtype);
      }
      out.body = std::make_shared<const Graph>(frame.placeholders(), replay(function->body(), frame.placeholders()));
    } else {
      std::string params = params_to_string(*node->primitive);
      out.params = params.substr(1, params.size() - 2);
    }
    return push(std::move(out));
  }

  Graph::Value list_leaf(core::Node* node) {
    bool constant = node->available();
    Graph::Node out{Graph::Node::Kind::constant, constant ? "constant" : "placeholder", "", "", "", {},
        {{node->shape, node->dtype}}, 0, nullptr};
    if (constant && node->shape.empty()) {
      out.value = scalar_text(*node);
    }
    return push(std::move(out));
  }

  Graph::Value push(Graph::Node node) {
    nodes_.push_back(std::move(node));
    return {static_cast<int>(nodes_.size()) - 1, 0};
  }

  std::vector<Graph::Node>& nodes_;
  std::map<const core::Node*, Graph::Value> known_;
};

std::string file_name(const std::string& path) { return path.substr(path.find_last_of("/\\") + 1); }

std::string indented(const std::string& text) {
  std::string out = "    ";
  for (char c : text) {
    out += c;
    if (c == '\n') {
      out += "    ";
    }
  }
  return out;
}

} // namespace

Graph::Graph(std::span<const array> inputs, std::span<const array> outputs) {
  Lister lister(nodes_);
  for (const array& input : inputs) {
    lister.add_input(input);
  }
  for (const array& output : outputs) {
    outputs_.push_back(lister.add(output));
  }
}

Graph Graph::of_named(
    std::span<const array> outputs, std::span<const array> named, const std::vector<std::string>& names) {
  Graph graph({}, {});
  Lister lister(graph.nodes_);
  for (const array& output : outputs) {
    graph.outputs_.push_back(lister.add(output));
  }
  for (size_t i = 0; i < named.size(); ++i) {
    if (std::optional<Value> found = lister.find(named[i])) {
      graph.nodes_[static_cast<size_t>(found->node)].label = names[i];
    }
  }
  return graph;
}

Graph trace(const VectorFunction& fun, const std::vector<array>& args) {
  Frame frame(Frame::Kind::trace);
  for (const array& arg : args) {
    frame.primal(arg);
  }
  std::vector<array> outputs = fun(std::vector<array>(frame.placeholders()));
  return Graph(frame.placeholders(), outputs);
}

std::string Graph::reference(Value value) const {
  const Node& node = nodes_[static_cast<size_t>(value.node)];
  if (!node.value.empty()) {
    return node.value;
  }
  return "%" + std::to_string(value.node) + (node.results.size() > 1 ? "." + std::to_string(value.output) : "");
}

std::string Graph::line(size_t i) const {
  const Node& node = nodes_[i];
  std::string text = "%" + std::to_string(i) + ": ";
  for (size_t k = 0; k < node.results.size(); ++k) {
    text +=
        (k ? ", " : "") + std::string(name_of(node.results[k].dtype)) + " " + core::to_string(node.results[k].shape);
  }
  text += " = " + node.name;
  if (node.kind != Node::Kind::op) {
    return text + (node.value.empty() ? "" : " " + node.value);
  }
  std::string arguments;
  for (Value operand : node.operands) {
    arguments += (arguments.empty() ? "" : ", ") + reference(operand);
  }
  text += "(" + arguments + (arguments.empty() || node.params.empty() ? "" : ", ") + node.params + ")";
  const Origin& origin = origin_at(node.origin);
  if (origin.line) {
    text += "  # " + file_name(origin.file) + ":" + std::to_string(origin.line);
    text += origin.function.empty() || origin.function == "<module>" ? "" : " in " + origin.function;
    text += origin.pass.empty() ? "" : " [" + origin.pass + "]";
  }
  return text;
}

std::string Graph::to_string() const {
  std::string text;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].value.empty()) {
      continue;
    }
    text += line(i) + "\n";
    if (nodes_[i].body) {
      text += indented(nodes_[i].body->to_string()) + "\n";
    }
  }
  std::string results;
  for (Value output : outputs_) {
    results += (results.empty() ? "" : ", ") + reference(output);
  }
  return text + "return " + results;
}

} // namespace mlx::core
