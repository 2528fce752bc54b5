// Evaluation: one walk over the graph behind some arrays. It claims what is to be computed, hands elementwise runs to
// groups, and computes everything else in order.
#pragma once

#include <algorithm>
#include <exception>
#include <span>
#include <vector>

#include "mlx_core/eval/claims.h"
#include "mlx_core/eval/fuse.h"

namespace mlx::core {

class Evaluation {
 public:
  uint32_t number() const { return claims_.id(); }
  // Claims every node that the roots need and nobody computes yet. Under the planning lock. When it throws, nothing is
  // claimed.
  void plan(std::span<const array> roots);
  // Nodes that were found claimed by others: to be waited for before execute().
  const std::vector<Node*>& awaited() const { return awaited_; }
  // Computes what was claimed, without the lock. Throws the first error met, after everything that could be computed
  // is; Interrupted at once, with what is not computed lazy again. With `pauses` a fork may come between two steps.
  void execute(bool pauses = true);
  // Gives back what is claimed and not computed, as lazy.
  void abandon();

 private:
  struct Frame {
    Node* node;
    uint32_t next; // 0: the operand to begin with; i + 1: operand i
  };

  void visit(Node* root);
  void push(Node* node);
  [[noreturn]] static void fail_without_value(const Node* node);

  void compute(Node* node);
  bool apply(Node* node);
  void set_apart(Node* node, Node* donor);
  void keep_what_is_seen(Node* view);
  void compute_what_frees(const Node* next, size_t bytes);
  bool frees_memory(Node* node);
  void compute_readers_of(Node* donor, const Node* overwriter);
  bool compute_now(Node* reader);
  bool is_applying(const Node* node) const {
    return std::find(applying_.begin(), applying_.end(), node) != applying_.end();
  }

  Group* group_of(const Claims::Entry* entry);
  Group* open_group_of(const Node* node) { return group_of(claims_.find(node)); }
  void join_group(Node* node);
  bool join_as_fold(Node* node);
  bool join_as_alias(Node* node);
  bool join_as_pieces(Node* node);
  bool join_as_padded(Node* node);
  void bring_forward(Node* before);
  void end_group(Group& group, const Node* before);
  void bring_readers(Group& group, const Node* before);
  bool is_ready_for(const Node* node, const Group& group);
  Group* group_under_shape_of(const Node* node);
  Group* group_for(const Shape& shape, StreamNumber stream);
  bool flush_operands(Node* node);
  void flush_all();
  void flush(Group& group);
  void let_go_of_held(bool all);

  void finish(Node* node);
  void give_back(Node* node);
  void set_failed(Node* node, std::exception_ptr error, bool gutted = false);

  Claims claims_;
  std::vector<Frame> stack_;
  std::vector<Node*> awaited_;
  Group groups_[4]{Group(claims_), Group(claims_), Group(claims_), Group(claims_)};
  int32_t last_group_ = 0;
  size_t next_victim_ = 0;
  SmallVector<const Node*, 8> applying_; // nodes whose turn it is, which later steps may have to come before
  std::vector<array> held_;    // put off by groups: computed when they are read, and by nobody if they are not
  bool is_freeing_ = false;    // in compute_what_frees
  size_t next_freeing_at_ = 0; // the entry from which on looking for more may be worth it
  std::exception_ptr first_error_;
};

} // namespace mlx::core
