// Which nodes join a group, and as what.
#include "mlx_core/eval/fuse.h"

#include <algorithm>

#include "mlx_core/eval/small_values.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

constexpr size_t table_cells = 512; // more than twice the number of sources

// Long rows are gone through once for each stage by one thread, which keeps what it needs of them: that pays where they
// stay in cache, and there are enough of them for all threads.
bool rows_pay(int64_t size, int64_t row_length) {
  constexpr int64_t longest = 1 << 16, enough_rows = 16, small = 1 << 15;
  return row_length <= longest && (size / row_length >= enough_rows || size <= small);
}

} // namespace

void Group::open(int32_t new_id, const Shape& space, StreamNumber on) {
  // All that adding needs, so that it cannot fail half way.
  members_.reserve(most_members);
  sources_.reserve(most_outside_edges + 4);
  edges_.reserve(3 * most_members + 4);
  if (table_.empty()) {
    table_.assign(table_cells, -1);
  }
  shape = space;
  stream = on;
  size_ = size_of(space);
  row_length_ = 0;
  columns_.lengths.clear();
  has_space_aliases_ = false;
  id = new_id;
}

void Group::close() {
  id = -1;
  for (const Source& source : sources_) {
    table_[static_cast<size_t>(source.cell)] = -1;
  }
  sources_.clear();
  edges_.clear();
  outside_edges_ = 0;
  has_donated_ = false;
  members_.clear();
}

const Group::Member* Group::member_of(const Node* node) const {
  const Claims::Entry* entry = claims_.find(node);
  return entry && entry->group == id ? &members_[static_cast<size_t>(entry->slot)] : nullptr;
}

// Whether a shape is that of one value for each row: with the reduced axes as 1 (kept), or without them.
bool Group::has_rows_shape(const Shape& s, bool kept) const {
  size_t outer = reduced_shape_.size() - static_cast<size_t>(reduced_axes_);
  if (s.size() != (kept ? reduced_shape_.size() : outer)) {
    return false;
  }
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != (i < outer ? reduced_shape_[i] : Dim(1))) {
      return false;
    }
  }
  return true;
}

// Whether broadcasting a value of rows to the space gives each row its own.
bool Group::spreads(const Member& member) const {
  return member.role == Role::spread_alias || has_rows_shape(member.node->shape, true) || size_ == row_length_;
}

bool Group::may_read_rows() const { return rows_pay(size_, row_length_); }

bool Group::has_alias_of(const Shape& s) const {
  return has_space_aliases_ && std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
    return member.role == Role::space_alias && member.node->shape == s;
  });
}

// Whether an elementwise node has an element for each of the space: of its shape, or of that of a member under another
// shape.
bool Group::may_join_space(const Node* node) const {
  bool joins = node->shape == shape;
  if (joins && !row_length_ && !columns_.any() && !has_space_aliases_) {
    return true;
  }
  if (!joins && !has_space_aliases_) {
    return false;
  }
  joins = joins || has_alias_of(node->shape);
  for (const array& operand : const_cast<Node*>(node)->operands()) {
    const Member* member = member_of(operand.node());
    if (member && is_of_space(*member)) {
      if (operand.shape() != node->shape) {
        return false;
      }
      joins = true;
    } else if (member && !(row_length_ && node->shape == reduced_shape_ && spreads(*member) && may_read_rows())) {
      return false;
    }
  }
  return joins;
}

bool Group::may_be_space_alias(const Node* node) const {
  constexpr int64_t enough = 4096;    // elements: fewer are quicker done one member after another
  static_assert(enough > most_small); // run_small() knows nothing of this
  return size_ >= enough && size_of(node->shape) == size_ && kernels_on(stream).device() == Device::cpu;
}

Group::Role Group::role_of(const Node* node) const {
  if (is_full() || node->stream != stream) {
    return Role::none;
  }
  const Primitive& primitive = *node->primitive;
  EvalKind kind = primitive.eval_kind();
  auto operands = const_cast<Node*>(node)->operands();
  if (kind == EvalKind::general && node->shape == shape) {
    if (pads_later(claims_, node)) {
      return Role::padded;
    }
    if (has_pieces(node)) {
      return Role::pieces;
    }
  }
  if (kind == EvalKind::reduction) {
    return role_of_reduction(node);
  }
  if (kind == EvalKind::elementwise || kind == EvalKind::identity) {
    if (may_join_space(node)) {
      return Role::space;
    }
    if (node->shape == shape || !row_length_ || !may_read_rows() ||
        !(has_rows_shape(node->shape, true) || has_rows_shape(node->shape, false))) {
      return Role::none;
    }
    for (const array& operand : operands) {
      const Member* member = member_of(operand.node());
      bool fits = member ? !is_of_space(*member) && member->role != Role::spread_alias
                         : operand.node()->row_contiguous || is_one_element(operand.shape(), operand.node()->strides);
      if (!fits || (operand.shape() != node->shape && (member || size_of(operand.shape()) != 1))) {
        return Role::none;
      }
    }
    return Role::rows;
  }
  const Member* member = primitive.keeps_order() ? member_of(operands[0].node()) : nullptr;
  if (member && (member->role == Role::space || member->role == Role::space_alias)) {
    return may_be_space_alias(node) ? Role::space_alias : Role::none;
  }
  if (member && row_length_ && may_read_rows()) {
    if (!is_of_space(*member) && member->role != Role::spread_alias) {
      if (node->shape == reduced_shape_ && size_ != size_ / row_length_) {
        return spreads(*member) ? Role::spread_alias : Role::none;
      }
      return has_rows_shape(node->shape, true) || has_rows_shape(node->shape, false) ? Role::alias : Role::none;
    }
  }
  return Role::none;
}

int64_t row_length_of(const Node* node) {
  const auto& reduce = static_cast<const Reduce&>(*node->primitive);
  const array& operand = const_cast<Node*>(node)->operands()[0];
  int ndim = operand.ndim();
  int64_t length = 1;
  for (size_t i = 0; i < reduce.axes().size(); ++i) {
    if (reduce.axes()[i] != ndim - static_cast<int>(reduce.axes().size() - i)) {
      return 0;
    }
    length *= static_cast<int64_t>(operand.shape()[static_cast<size_t>(reduce.axes()[i])]);
  }
  return length;
}

Group::Role Group::role_of_reduction(const Node* node) const {
  const array& operand = const_cast<Node*>(node)->operands()[0];
  const Member* member = member_of(operand.node());
  if (member ? !is_of_space(*member) : operand.shape() != shape) {
    return Role::none;
  }
  if (!member && (!operand.node()->row_contiguous || (row_length_ && !may_read_rows()))) {
    return Role::none;
  }
  int64_t length = row_length_of(node);
  if (length == 0 || columns_.any()) {
    return takes_columns(node) ? Role::fold : Role::none;
  }
  auto axes = static_cast<int>(static_cast<const Reduce&>(*node->primitive).axes().size());
  bool fits = row_length_ == length && reduced_axes_ == axes && operand.shape() == reduced_shape_;
  return size_ > 0 && length > 0 && (row_length_ == 0 || fits) ? Role::fold : Role::none;
}

bool Group::begins_with(const Node* node) {
  const array& operand = const_cast<Node*>(node)->operands()[0];
  if (!operand.node()->row_contiguous || !operand.node()->buffer) {
    return false;
  }
  int64_t size = size_of(operand.shape()), length = size > 0 ? row_length_of(node) : 0;
  return length > 0 ? length > 1 && rows_pay(size, length) : begins_with_columns(node);
}

bool Group::may_read(const Node* node, const array& operand) {
  switch (node->primitive->eval_kind()) {
    case EvalKind::elementwise: return node->shape == operand.shape();
    case EvalKind::reduction: return row_length_of(node) > 0;
    default: return false;
  }
}

bool Group::is_read_in_groups(const Claims& claims, const Node* node) {
  uint32_t reads = 0, references = node->references.load(std::memory_order_acquire);
  claims.each_read(node, 64, [&](const Claims::Entry& reader, const array& operand) {
    reads += may_read(reader.node, operand);
    return reads < references;
  });
  return reads == references;
}

bool Group::add(Node* node) { return add(node, role_of(node)); }

bool Group::add(Node* node, Role role) {
  if (role == Role::none) {
    return false;
  }
  if (role == Role::fold && row_length_ == 0 && !columns_.any()) {
    row_length_ = row_length_of(node);
    columns_ = row_length_ ? FusedPlan::Columns() : columns_of(node);
    first_fold_ = node;
    reduced_axes_ = static_cast<int>(static_cast<const Reduce&>(*node->primitive).axes().size());
    reduced_shape_ = node->operands()[0].shape();
  }
  has_space_aliases_ = has_space_aliases_ || role == Role::space_alias;
  Claims::Entry& entry = *claims_.find(node);
  Member added{node, role, 0, false, -1, static_cast<uint32_t>(edges_.size()), 0};
  constexpr size_t of_padded = Recipe::most_leaves + 2;
  outside_edges_ += role == Role::pieces ? node->operand_count : role == Role::padded ? of_padded : 0;
  for (const array& operand : reads_apart(role) ? std::span<array>() : node->operands()) {
    Claims::Entry* member = claims_.find(operand.node());
    if (member && member->group == id) {
      const Member& read = members_[static_cast<size_t>(member->slot)];
      edges_.push_back(~member->slot);
      ++member->uses;
      // What reads a fold comes in a later stage; aliases carry that on.
      uint8_t ready = read.stage + (read.role == Role::fold ? 1 : 0);
      added.stage = std::max(added.stage, ready);
    } else {
      ++outside_edges_;
      int32_t number = source_number(operand.node(), node, role == Role::rows);
      edges_.push_back(number);
      ++sources_[static_cast<size_t>(number)].uses;
    }
  }
  entry.group = id;
  entry.slot = static_cast<int32_t>(members_.size());
  members_.push_back(added);
  return true;
}

// Equal views of one array, as of the same slice written twice, are read once.
int32_t Group::equal_view(const Node* node, const Node* reader, bool of_rows) const {
  if (!node->buffer || node->buffer.unique()) {
    return -1;
  }
  auto equal = std::find_if(sources_.begin(), sources_.end(), [&](const Source& other) {
    const Node& a = *other.node;
    return a.buffer.get() == node->buffer.get() && a.offset == node->offset && a.dtype == node->dtype &&
           a.shape == node->shape && a.strides == node->strides && other.of_rows == of_rows &&
           other.reader->shape == reader->shape;
  });
  return equal == sources_.end() ? -1 : static_cast<int32_t>(equal - sources_.begin());
}

int32_t Group::source_number(Node* node, const Node* reader, bool of_rows) {
  for (size_t cell = reinterpret_cast<uintptr_t>(node) * 0x9e3779b97f4a7c15u >> 55;; cell = (cell + 1) % table_cells) {
    if (table_[cell] < 0) {
      if (int32_t equal = equal_view(node, reader, of_rows); equal >= 0) {
        return equal;
      }
      sources_.push_back({node, reader, 0, static_cast<int32_t>(cell), of_rows});
      table_[cell] = static_cast<int32_t>(sources_.size() - 1);
    }
    const Source& found = sources_[static_cast<size_t>(table_[cell])];
    bool same = found.node == node && found.of_rows == of_rows;
    if (same && (!has_space_aliases_ || found.reader->shape == reader->shape)) {
      return table_[cell];
    }
  }
}

} // namespace mlx::core
