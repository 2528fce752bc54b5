// Donation: an operation that takes over the memory of an operand that nobody else needs.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// Whether the only reference to a computed node is the edge that asks, and nothing else uses its memory.
bool can_donate(const Node& node);

// While it lives, array::begin_with on this thread may take the memory of this node (null: of none).
class Donation {
 public:
  explicit Donation(Node* donor);
  ~Donation();
  Donation(const Donation&) = delete;
  Donation& operator=(const Donation&) = delete;
  bool is_taken() const { return taken_; }

 private:
  friend class array;
  Node* donor_;
  Donation* outer_;
  bool taken_ = false;
};

} // namespace mlx::core
