// The part of a graph that depends on a frame's placeholders, in evaluation order.
#pragma once

#include <vector>

#include "mlx_core/primitive.h"
#include "mlx_core/transforms/frame.h"

namespace mlx::core {

class Tape {
 public:
  // Everything between the frame's placeholders and `outputs`. The frame and outputs must outlive the tape.
  Tape(const Frame& frame, std::span<const array> outputs);

  // Placeholders that reach an output, and what is computed from them; operands first.
  const std::vector<Node*>& nodes() const { return nodes_; }
  // Position of a node in nodes(); -1 when it does not depend on the placeholders.
  int index_of(const Node* node) const;
  int index_of(const array& a) const { return index_of(a.node()); }

  // The rules see a multi-output application through its outputs: for a projection, the application and the number of
  // the output; nullptr for others.
  static const Project* projection(const Node* node) {
    return node->primitive && node->primitive->eval_kind() == EvalKind::project
               ? static_cast<const Project*>(node->primitive.get())
               : nullptr;
  }
  static bool is_application(const Node* node) { return node->extra && !node->extra->outputs.empty(); }

 private:
  // Open addressing.
  struct Entry {
    const Node* node = nullptr;
    int32_t value = 0;
  };
  Entry& entry(const Node* node);
  void grow();

  std::vector<Node*> nodes_;
  std::vector<Entry> table_;
  size_t used_ = 0;
};

} // namespace mlx::core
