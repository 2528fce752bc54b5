// What a function computes, as a list that can be read, drawn and walked over.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

class Graph {
 public:
  struct Value { // one result of a node
    int node;
    int output;
  };
  struct Node {
    enum class Kind : uint8_t { input, constant, op };
    Kind kind;
    std::string name;   // of the primitive; "input" and "constant" for the others
    std::string params; // "axis=1, keepdims=True"
    std::string label;  // what the program calls it
    std::string value;  // of a scalar constant
    std::vector<Value> operands;
    std::vector<Spec> results;
    uint32_t origin;
    std::shared_ptr<const Graph> body; // of an operation that owns a function
  };

  // Everything between the inputs and the outputs, operands first. Arrays that are computed already are constants.
  Graph(std::span<const array> inputs, std::span<const array> outputs);
  // names[i] becomes the label of what `named[i]` is in the graph of outputs.
  static Graph of_named(
      std::span<const array> outputs, std::span<const array> named, const std::vector<std::string>& names);

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Value>& outputs() const { return outputs_; }
  // How a node is referred to: "%2", "%2.1" for the second of several results, "0.5" for a scalar constant.
  std::string reference(Value value) const;

  // A line for each node: "%2: float32 () = Sum(%1, axes=(0,))  # train.py:12 in loss". Scalar constants are written
  // where they are used.
  std::string to_string() const;
  std::string line(size_t node) const; // one of these lines
  std::string to_dot() const;          // Graphviz
  std::string to_svg() const;          // drawn in layers, operands above what uses them

 private:
  std::vector<Node> nodes_;
  std::vector<Value> outputs_;
};

// The graph of fun(args). fun may read the values of its arguments.
Graph trace(const VectorFunction& fun, const std::vector<array>& args);

} // namespace mlx::core
