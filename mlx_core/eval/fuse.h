// Groups: runs of elementwise nodes over one shape that are computed in one pass, and the reductions that end them.
#pragma once

#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/cpu/program.h"
#include "mlx_core/eval/claims.h"

namespace mlx::core {

// An open group collects nodes in evaluation order. Every operand of a member is computed already, or a member.
class Group {
 public:
  explicit Group(Claims& claims) : claims_(claims) {}
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int32_t id = -1; // unique in its evaluation; members carry it in their claims
  Shape shape;     // the iteration space
  int64_t size = 0;
  int64_t row_length = 0;     // of the reductions that end the group; 0 when there are none
  std::vector<Node*> members; // elementwise, in order
  std::vector<Node*> sinks;   // reductions

  void open(int32_t new_id, const Shape& space);
  bool is_open() const { return id >= 0; }
  bool is_full() const;
  // A node whose shape is the group's, and whose operands are computed or members.
  void add(Node* node);
  // Whether a reduction can end this group; if so it has been added.
  bool add_sink(Node* reduction);
  bool has_member(const Claims::Entry& entry) const { return entry.group == id && entry.slot >= 0; }

  std::vector<Node*> all_nodes() const; // members, then sinks

  // Computes every member that somebody outside the group refers to, and the sinks. Members that nobody else needs get
  // no memory. On return those computed have their storage; states and operands are untouched.
  void run();
  // Whether run() gave this member storage.
  static bool was_computed(const Node* member) { return static_cast<bool>(member->buffer); }
  // Whether run() gave away the memory of a source.
  bool has_donated() const { return has_donated_; }
  void close();

 private:
  // A computed operand of members.
  struct Source {
    Node* node;
    int32_t uses; // by members and sinks
    int32_t cell; // in the table
  };
  void add_edges(Node* node, std::vector<int32_t>& edges);
  int32_t source_number(Node* node);
  void number_edges();
  void plan_sources();
  void plan_step(size_t m, const int32_t* slots);
  void plan_sinks(const int32_t* slots);
  BufferRef take_donation(size_t step, const Node* member);
  bool needed_outside(const Node* member) const;

  Claims& claims_;
  cpu::Program program_;
  size_t outside_edges_ = 0; // operands that are not members: at least as many as sources
  bool may_donate_ = true;   // no member is traced
  bool has_donated_ = false;
  std::vector<Source> sources_; // while running
  std::vector<int32_t> table_;  // open addressing: indices of sources_ by node
  // The operands of members, and those of sinks, in order: numbers of sources, or ~ those of members. In run(): slots
  // of the program.
  std::vector<int32_t> edges_, sink_edges_;
  std::vector<int32_t> last_use_; // by slot: index of the last step that reads it
  std::vector<int32_t> free_scratch_;
  std::vector<BufferRef> copies_; // of sources that are slow to read in the group's order
};

} // namespace mlx::core
