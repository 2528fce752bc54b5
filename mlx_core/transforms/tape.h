// The part of a graph behind some outputs that belongs to a frame, in evaluation order.
#pragma once

#include <functional>
#include <vector>

#include "mlx_core/primitive.h"
#include "mlx_core/transforms/frame.h"

namespace mlx::core {

class Tape {
 public:
  // What is on the tape beside the placeholders.
  enum class Reach : uint8_t {
    dependent, // what is computed from the placeholders
    inside,    // every application that was made since the frame was opened, under a LevelFloor
    whole,     // every application that can be made again: what is read from files is not among them
  };
  // What is between the frame's placeholders and `outputs`. The frame and outputs must outlive the tape.
  Tape(const Frame& frame, std::span<const array> outputs, Reach reach = Reach::dependent);
  // What is between one application, with others that the walk meets and that count as placeholders, too, and
  // `outputs`; what `held` are computed from is not looked at.
  Tape(Node* application, const std::function<bool(const Node*)>& too, std::span<const array> held,
      std::span<const array> outputs);

  // All placeholders, then the rest; operands first. Applications that count as placeholders are among the rest.
  const std::vector<Node*>& nodes() const { return nodes_; }
  // Position of a node in nodes(), or of the primal that it hands to a function that was differentiated inside; -1 when
  // it is not there.
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
  static size_t first_size(std::span<const array> outputs);
  Entry& entry(const Node* node);
  int32_t primal_of(Node* node) const;
  void set(const Node* node, int32_t value);
  void grow();
  enum class Sight : uint8_t { through, placeholder, own };
  // `sight` says of a node that is met whether its operands decide, or it counts as a placeholder, or as dependent.
  void walk(uint64_t oldest, std::span<const array> outputs, const std::function<Sight(const Node*)>& sight);

  std::vector<Node*> nodes_;
  std::vector<Entry> table_;
  size_t used_ = 0;
};

} // namespace mlx::core
