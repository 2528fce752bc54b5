// Groups: runs of nodes over one iteration space that are computed in one pass. Elementwise nodes join, reductions of
// the space's rows do, and what is made of their results: softmax is one group. Reductions over other axes join members
// of the space, and what is made of them is another group's.
#pragma once

#include <functional>
#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/kernels.h"
#include "mlx_core/eval/claims.h"

namespace mlx::core {

// How elements of an array that is not computed come of what is there: elementwise steps of its shape, operands first.
struct Recipe {
  static constexpr size_t most_leaves = 6;
  std::vector<Node*> steps, leaves;
  int64_t cost = 0; // of an element

  // False where that takes more.
  bool add(Node* node, const Shape& shape, const std::function<bool(const Node*)>& is_there);
};

// Where a part of an array in row-major order lies in it, in elements; of what joins it to others, or writes it there.
struct PartIn {
  PartIn(const Node* whole, const Node* part);
  int64_t offset = 0;
  Strides strides;
};

// An open group collects nodes in evaluation order. Every operand of a member is computed already, or a member.
class Group {
 public:
  explicit Group(Claims& claims) : claims_(claims) {}
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int32_t id = -1; // unique in its evaluation; members carry it in their claims
  Shape shape;     // the iteration space
  StreamNumber stream = 0;

  void open(int32_t new_id, const Shape& space, StreamNumber on);
  bool is_open() const { return id >= 0; }
  // Whether it reduces all of its elements, which are so many at least.
  bool ends_in_reduction(int64_t least) const { return size_ >= least && row_length_ == size_; }
  bool is_larger_than(const Group& other) const { return size_ > other.size_; }
  bool is_full() const { return members_.size() >= most_members || outside_edges_ >= most_outside_edges; }
  // Whether a node can be a member, once operands that are not are computed; and making it one.
  bool takes(const Node* node) const { return role_of(node) != Role::none; }
  bool add(Node* node);
  // Whether a member is an element for each of the space under this other shape.
  bool has_alias_of(const Shape& s) const;
  // Whether a reduction of an array that is computed may begin a group over that array's shape, for the sake of what
  // may follow.
  static bool begins_with(const Node* reduction);
  static bool begins_with_columns(const Node* reduction);
  // Whether a node is a reduction over other axes that is computed in one pass with what gives its operand.
  static bool goes_down_columns(const Node* node);
  // Whether a node, whose operands are computed, can be read piece by piece by members over its shape.
  static bool has_pieces(const Node* node);
  // Whether a node puts one element around what was put off, which members can compute again where they read it.
  static bool pads_later(Claims& claims, const Node* node);
  static bool pads(const Node* node, const array& part);
  // Whether a node reads all elements of an operand as a member of a group over that operand's shape does.
  static bool may_read(const Node* node, const array& operand);
  // Whether those that read a node come next, and all do so.
  static bool is_read_in_groups(const Claims& claims, const Node* node);

  // Decides which members are not stored, as their readers compute them again: they stay claimed, and in `held`.
  void put_off(std::vector<array>& held);
  bool is_put_off(size_t i) const { return members_[i].put_off; }

  size_t member_count() const { return members_.size(); }
  Node* member(size_t i) const { return members_[i].node; }

  // Computes every member that somebody outside the group refers to. The others get no memory. On return those
  // computed have their storage; states and operands are untouched.
  void run(Kernels& kernels);
  // Whether run() gave this member storage.
  static bool was_computed(const Node* member) { return static_cast<bool>(member->buffer); }
  // Whether run() gave away the memory of a source.
  bool has_donated() const { return has_donated_; }
  void close();

 private:
  // What a member is in the group. Values of rows have the shape that a reduction leaves, with or without keepdims.
  enum class Role : uint8_t {
    none,
    space,        // elementwise, an element for each of the space
    pieces,       // elements of other arrays, an element for each of the space
    padded,       // the same of an array that was put off: its elements are computed here, with one around them
    rows,         // elementwise, an element for each row
    fold,         // a reduction of rows, or over other axes
    space_alias,  // elements of the space, in the same order under another shape
    alias,        // a value of rows under another shape
    spread_alias, // a value of rows, broadcast to the space
  };
  struct Member {
    Node* node;
    Role role;
    uint8_t stage;        // in which it is computed; what reads a fold comes later
    bool kept;            // gets memory: somebody outside needs it
    int32_t slot;         // of the plan
    uint32_t edges;       // where its operands begin in edges_
    int32_t step;         // its number in the plan, of elements' steps
    bool put_off = false; // computed here for other members only, or not at all
  };
  // A computed operand of members.
  struct Source {
    Node* node;
    const Node* reader;         // its shape is what the source is broadcast to
    int32_t uses;               // by members
    int32_t cell;               // in the table
    bool of_rows;               // read by members whose values are of rows
    int32_t last_step = -1;     // that reads it
    bool is_read_again = false; // by a member that is put off
  };

  Role role_of(const Node* node) const;
  bool add(Node* node, Role role);
  Role role_of_reduction(const Node* node) const;
  bool takes_columns(const Node* reduction) const;
  bool is_broadcast(size_t member, const FusedPlan::Columns& along) const;
  static bool is_of_space(const Member& member) {
    return is_stored_of_space(member) || member.role == Role::pieces || member.role == Role::space_alias;
  }
  static bool is_stored_of_space(const Member& member) {
    return member.role == Role::space || member.role == Role::padded;
  }
  static bool reads_apart(Role role) { return role == Role::pieces || role == Role::padded; }
  static bool is_alias(const Member& member) {
    return member.role == Role::space_alias || member.role == Role::alias || member.role == Role::spread_alias;
  }
  static bool is_computed(const Member& member) { return !is_alias(member) && member.role != Role::pieces; }
  bool may_join_space(const Node* node) const;
  bool may_be_space_alias(const Node* node) const;
  const Member* member_of(const Node* node) const;
  bool has_rows_shape(const Shape& s, bool kept) const;
  bool spreads(const Member& member) const;
  bool may_read_rows() const;
  int32_t equal_view(const Node* node, const Node* reader, bool of_rows) const;
  int32_t source_number(Node* node, const Node* reader, bool of_rows);
  bool needed_outside(const Node* member) const;

  template <typename Reads>
  bool is_read_later_only(const Node* member, Reads&& reads) const;
  bool is_padded_later(const Member& member) const;
  void leave_only(const std::vector<bool>& stays);

  uint16_t slot_of(int32_t edge) const;

  // The same for little work. False where a plan is needed, with nothing done.
  bool run_small(Kernels& kernels);
  bool run_one();
  void plan_sources(Kernels& kernels);
  void plan_pieces(Kernels& kernels);
  void plan_padded(const Member& member);
  void add_padded_steps(Member& member);
  uint16_t add_shifted(View part, const Sizes& first);
  uint16_t add_source(FusedPlan::Source source, const View& view, Dtype dtype);
  // The order that all large sources have in memory, where that is another than row-major; a source in it; a result.
  void find_order(const Kernels& kernels);
  FusedPlan::Source source_in_order(const Node* node) const;
  void lay_out(Node* node) const;
  static FusedPlan::Source repeated_source(const Node* pieces);
  static void refer_to(const Node* node, View& view);
  void plan_members();
  static FusedPlan::Step step_of(Node* node);
  void simplify(FusedPlan::Step& step) const;
  void add_step(Member& member);
  void order_steps();
  void find_donors();
  BufferRef take_donation(const Member& member);
  Node* placed_later(const Node* member) const;
  bool pays_to_join(Node* whole) const;
  bool may_write(const Node* whole, const Node* part) const;
  bool pays_to_write(const Node* whole, const Node* part, int64_t line) const;
  bool may_overwrite(const Node* whole, const Node* part) const;
  bool reads_memory_of(const Node* base) const;
  bool place_in_whole(Member& member);
  void plan_outputs();
  void run_plan(Kernels& kernels);
  void arrange_aliases(Kernels& kernels);

  // Together these bound the slots of a plan, which executors keep on their stack.
  static constexpr size_t most_members = 96;
  static constexpr size_t most_outside_edges = 128;
  static constexpr int64_t shortest_line = 512; // of an array that is read piece by piece

  Claims& claims_;
  int64_t size_ = 0;
  int64_t row_length_ = 0; // of the reductions; 0 when there are none
  int reduced_axes_ = 0;
  Shape reduced_shape_; // what the reductions of rows reduce
  bool has_space_aliases_ = false;
  FusedPlan::Columns columns_; // of reductions over other axes
  Node* first_fold_ = nullptr;
  std::vector<Member> members_;
  size_t outside_edges_ = 0; // operands that are not members: at least as many as sources
  bool has_donated_ = false;
  std::vector<Source> sources_;
  std::vector<int32_t> table_; // open addressing: indices of sources_ by node
  std::vector<int32_t> edges_; // operands of members: numbers of sources, or ~ those of members

  // While running:
  FusedPlan plan_;
  Axes order_; // of axes, in which the space is gone through; empty where that is row-major
  int stages_ = 1;
  std::vector<int32_t> donors_; // numbers of sources
  std::vector<View> source_views_, output_views_;
  std::vector<BufferRef> copies_; // of sources that are slow to read in the group's order
  struct Padded {                 // how a member that is so is computed
    const Node* node;
    std::vector<std::pair<const Node*, uint16_t>> slots; // of what it is computed from, the elements where it stands
    std::vector<Node*> steps;
    uint16_t is_inside, around;
  };
  std::vector<Padded> padded_;
  std::vector<std::pair<uint16_t, View>> insides_; // of sources with one element around: what it is around
};

// A computed array as the source of a plan of so many elements, where an elementwise node that reads it has shape `to`.
FusedPlan::Source source_of(
    const Shape& shape, const Strides& strides, bool row_contiguous, int64_t size, const Shape& to);
// Powers by what is known to be 1 or 2, of squares and their derivatives, are no functions: strips have them. The
// exponent of a step's second operand, if it is such a one; else 0.
double known_exponent(const FusedPlan::Step& step, const FusedPlan::Source& source, const View& exponent);
void simplify_power(FusedPlan::Step& step, double exponent);

// Merges neighbouring axes of the space where all pieces have the whole of the inner one.
void collapse(Sizes& sizes, std::vector<FusedPlan::Piece>& pieces);

// The number of elements in a row, if a reduction is over trailing axes; else 0.
int64_t row_length_of(const Node* reduction);
// The axes of a reduction's operand, if it is over others and of a kind that groups take; else none.
FusedPlan::Columns columns_of(const Node* reduction);

} // namespace mlx::core
