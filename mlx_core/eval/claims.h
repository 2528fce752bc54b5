// Claims: the nodes that one evaluation computes, operands first, and what it notes of each.
//
// A node is claimed under the planning lock, by one evaluation at a time. From then on only that evaluation reads the
// node's operands and writes its storage, without a lock, until it publishes the result or gives the node back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "mlx_core/array.h"

namespace mlx::core {

class Claims {
 public:
  struct Entry {
    Node* node;         // null once it has left
    int32_t group = -1; // the open group that it waits in
    int32_t uses = 0;   // edges to it from members of that group
    int32_t slot = -1;  // which member of that group it is; -1: none, as its value exists only after the group ran
    int32_t readers = std::numeric_limits<int32_t>::max(); // to come, when it was put off last
    bool is_held = false;                                  // by the evaluation, to be computed when it is read
  };

  Claims();

  // The notes on a node; null when this evaluation has not claimed it.
  Entry* find(const Node* node) {
    return node->owner.load(std::memory_order_relaxed) == id_ ? &entries_[node->eval_index] : nullptr;
  }
  std::vector<Entry>& entries() { return entries_; }
  const std::vector<Entry>& entries() const { return entries_; }
  uint32_t id() const { return id_; }

  // f(entry, operand) for each operand of the nodes to come, the next so many, that a node is; until f says false.
  template <typename F>
  void each_read(const Node* node, size_t looked_at, F&& f) const {
    size_t begin = node->eval_index + 1, end = std::min(entries_.size(), begin + looked_at);
    for (size_t i = begin; i < end; ++i) {
      if (!entries_[i].node) {
        continue;
      }
      for (const array& operand : entries_[i].node->operands()) {
        if (operand.node() == node && !f(entries_[i], operand)) {
          return;
        }
      }
    }
  }

  // Marks a node as this evaluation's; it gets an entry by append(). Under the planning lock.
  void claim(Node* node) {
    node->owner.store(id_, std::memory_order_relaxed);
    node->state.store(Node::State::claimed, std::memory_order_relaxed);
  }
  void append(Node* node) {
    entries_.push_back({node});
    node->eval_index = static_cast<uint32_t>(entries_.size() - 1);
  }
  void leave_group(const Node* node) {
    Entry& entry = entries_[node->eval_index];
    entry.group = entry.slot = -1;
    entry.uses = 0;
  }
  // The node is this evaluation's no longer. Its state is the caller's to set, last.
  void release(Node* node) {
    entries_[node->eval_index].node = nullptr;
    node->owner.store(0, std::memory_order_relaxed);
  }

 private:
  uint32_t id_; // of this object, never 0
  std::vector<Entry> entries_;
};

} // namespace mlx::core
