// Products of many matrices with one and the same, as of the weights of a recurrent network: the cotangent of that one
// is a sum of small products, one for each, and here one product of all of them side by side.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "mlx_core/transforms/tape.h"

namespace mlx::core {

class SharedFactors {
 public:
  // Which operand of a product is such a factor: itself, or transposed by a node of its own for this product.
  struct Factor {
    size_t operand;
    int index; // on the tape
    bool turned;
  };
  // None where the other matrices are not small beside it, or few were multiplied by it so far: all that come later
  // have another one to be put beside.
  std::optional<Factor> of(const Tape& tape, const Node& node);
  // The cotangent of the factor is left for later. Returns that of those that are many enough together.
  std::optional<array> defer(const Factor& factor, Node* node, const array& cotangent);
  // Of those of this factor that are left.
  std::vector<array> take(int index);
  // One for which some are left; -1: there is none.
  int any() const { return waiting_.empty() ? -1 : waiting_.begin()->first.index; }

 private:
  struct Key {
    int index;
    size_t operand;
    bool turned;
    auto operator<=>(const Key&) const = default;
  };
  using Uses = std::vector<std::pair<Node*, array>>; // nodes and their cotangents
  static array joined(const Key& key, const Uses& uses);

  std::map<int, int> count_; // of products with each
  std::map<Key, Uses> waiting_;
};

} // namespace mlx::core
