// Evaluation: claiming, computing in order, groups, and leaving.
#include "mlx_core/eval/evaluation.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/eval/donate.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/eval/share.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/interruption.h"
#include "mlx_core/primitive.h"
#include "mlx_core/size_arithmetic.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

Claims::Claims() {
  static std::atomic<uint32_t> last{0};
  id_ = last.fetch_add(1, std::memory_order_relaxed) + 1;
}

namespace {

void run_primitive(Node* node) {
  StreamScope on(node->stream); // of bodies that it evaluates
  node->references.fetch_add(1, std::memory_order_relaxed);
  array self = array::from_node(node);
  if (node->extra && !node->extra->outputs.empty()) {
    std::vector<array>& outputs = node->extra->outputs;
    node->primitive->eval(node->operands(), outputs, kernels_on(node->stream));
    for (array& output : outputs) {
      output.node()->state.store(Node::State::available, std::memory_order_release);
    }
  } else {
    node->primitive->eval(node->operands(), std::span<array>(&self, 1), kernels_on(node->stream));
  }
}

// What an array says for ever whose computation was stopped too late to begin again.
std::exception_ptr lost_to_interruption() {
  return std::make_exception_ptr(std::runtime_error(
      "[eval] The computation of this array was interrupted after it had begun to overwrite what it is computed from; "
      "make the array again."));
}

bool is_interruption(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return core::is_interruption(error);
  } catch (...) {
    return false;
  }
}

// What found no memory, as an error that says what was to be computed. That of an operand says it already.
std::exception_ptr naming_result(std::exception_ptr thrown, const Node& node) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::bad_alloc& error) {
    std::string_view reason = error.what();
    constexpr std::string_view ours = "[eval] ", allocating = "[allocate] ";
    if (reason.starts_with(ours) || !node.primitive) {
      return thrown;
    }
    reason.remove_prefix(reason.starts_with(allocating) ? allocating.size() : reason.size());
    try {
      std::string text(ours);
      text.append("There is no memory to compute ").append(node.primitive->name());
      const Node& result = node.extra && !node.extra->outputs.empty() ? *node.extra->outputs[0].node() : node;
      text.append(params_to_string(*node.primitive)).append(" of shape ").append(to_string(result.shape));
      text.append(" and dtype ").append(name_of(result.dtype)).append(". ").append(reason);
      text.append(reason.empty() ? "" : " ").append("Compute it in parts, or let other arrays go first.");
      return std::make_exception_ptr(MemoryError(std::move(text)));
    } catch (const std::bad_alloc&) { // not even for the text
    }
  } catch (...) {}
  return thrown;
}

} // namespace

// --- planning ---

void Evaluation::plan(std::span<const array> roots) {
  next_freeing_at_ = 0;
  try {
    for (const array& root : roots) {
      visit(root.node());
    }
  } catch (...) {
    abandon();
    throw;
  }
}

namespace {

// The operand to compute first: the first one, but where it has little behind it, one that has much. What is computed
// before others waits for them in memory: each leaf of leaf + (leaf + (leaf + ...)), if the left were always first.
uint32_t operand_to_begin_with(Node* node) {
  constexpr uint32_t little = 32, much = 16;
  const array* operands = node->operand_storage();
  auto behind = [&](uint32_t i) -> uint32_t {
    Node* operand = operands[i].node();
    bool lazy = operand->state.load(std::memory_order_relaxed) == Node::State::lazy;
    return lazy ? std::atomic_ref(operand->pending).load(std::memory_order_relaxed) : 0;
  };
  if (node->operand_count < 2 || std::atomic_ref(node->pending).load(std::memory_order_relaxed) < much) {
    return 0;
  }
  uint32_t first = behind(0), heaviest = 0, most = first;
  for (uint32_t i = 1; i < node->operand_count && first <= little; ++i) {
    if (uint32_t count = behind(i); count > most) {
      heaviest = i, most = count;
    }
  }
  return most >= 4 * first + much ? heaviest : 0;
}

} // namespace

// Appends the lazy nodes behind `root`, operands first.
void Evaluation::visit(Node* root) {
  push(root);
  while (!stack_.empty()) {
    Frame& top = stack_.back();
    if (top.next <= top.node->operand_count && top.node->operand_count > 0) {
      uint32_t operand = top.next++ == 0 ? operand_to_begin_with(top.node) : top.next - 2;
      push(top.node->operand_storage()[operand].node());
    } else {
      claims_.append(top.node);
      stack_.pop_back();
    }
  }
}

void Evaluation::push(Node* node) {
  switch (node->state.load(std::memory_order_acquire)) {
    case Node::State::available: return;
    case Node::State::failed: // what depends on it fails with the same error
      first_error_ = first_error_ ? first_error_ : node->extra->error;
      return;
    case Node::State::claimed:
      if (node->owner.load(std::memory_order_relaxed) != claims_.id()) {
        awaited_.push_back(node);
      }
      return;
    case Node::State::lazy: break;
  }
  if (!node->primitive) {
    fail_without_value(node);
  }
  stack_.push_back({node, 0});
  claims_.claim(node);
}

void Evaluation::fail_without_value(const Node* node) {
  if (node->extra && node->extra->batched) {
    fail("eval", "this array stands for one lane of a vmap over ", node->extra->batched->shape(), " (axis ",
        node->extra->batch_axis,
        "): it has no single value. Inside a vmapped function use mx.where instead of a "
        "Python condition, and do not keep per-lane arrays after it returns.");
  }
  if (const char* op = RecordingScope::op()) {
    fail<NoValue>(op, "the function reads the value of an array that depends on its arguments (one of shape ",
        node->shape, ", dtype ", node->dtype,
        "). It runs once, to be recorded, when they have no values. Use mx.where or mx.cond instead of a Python "
        "condition, and mx.while_loop, mx.fori_loop or mx.scan instead of a Python loop over values.");
  }
  fail<NoValue>("eval",
      "this array was made while a function was recorded, and has no value outside of it. Return from the function "
      "what you want to keep.");
}

// --- computing ---

void Evaluation::execute(bool pauses) {
  for (Node* node : awaited_) {
    if (!first_error_ && node->state.load(std::memory_order_acquire) == Node::State::failed) {
      first_error_ = node->extra->error;
    }
  }
  try {
    for (size_t i = 0; i < claims_.entries().size(); ++i) {
      if (pauses) {
        pause_if_asked();
      }
      if (claims_.entries()[i].group < 0) { // else it waits in a group already
        compute(claims_.entries()[i].node);
      }
    }
    flush_all();
  } catch (...) {
    abandon();
    throw;
  }
  let_go_of_held(true);
  claims_.entries().clear(); // each has left
  awaited_.clear();
  if (first_error_) {
    std::rethrow_exception(std::exchange(first_error_, nullptr));
  }
}

void Evaluation::compute(Node* node) {
  if (!node) {
    return;
  }
  for (size_t i = 0; i < node->operand_count && !held_.empty(); ++i) {
    Node* operand = node->operands()[i].node();
    if (const Claims::Entry* entry = claims_.find(operand); entry && entry->is_held && entry->group < 0) {
      if (join_as_padded(node)) {
        return;
      }
      compute(operand);
    }
  }
  std::exception_ptr error;
  for (const array& operand : node->operands()) {
    if (operand.node()->state.load(std::memory_order_relaxed) == Node::State::failed) {
      error = operand.node()->extra->error;
    }
  }
  if (error) {
    set_failed(node, error);
    return;
  }
  try {
    EvalKind kind = node->primitive->eval_kind();
    if (kind == EvalKind::project && !is_eval_observed()) {
      auto index = static_cast<size_t>(static_cast<const Project&>(*node->primitive).index());
      share_value(*node, *node->operands()[0].node()->extra->outputs[index].node());
      finish(node);
      return;
    }
    switch (kind) {
      case EvalKind::elementwise: join_group(node); return;
      case EvalKind::identity: {
        const Claims::Entry* operand = claims_.find(node->operands()[0].node());
        if (group_of(operand)) {
          join_group(node);
          return;
        }
        share_value(*node, *node->operands()[0].node());
        break;
      }
      case EvalKind::reduction:
        if (join_as_fold(node)) {
          return;
        }
        [[fallthrough]];
      default:
        if (node->primitive->keeps_order() && join_as_alias(node)) {
          return;
        }
        if (kind == EvalKind::general) {
          bring_forward(node);
        }
        if (flush_operands(node)) { // a failure there decides this node too
          compute(node);
          return;
        }
        if (kind == EvalKind::general && join_as_pieces(node)) {
          return;
        }
        throw_if_interrupted();
        if (!apply(node)) {
          return;
        }
    }
    finish(node);
  } catch (...) {
    if (is_interruption(std::current_exception())) throw;
    set_failed(node, std::current_exception());
  }
}

// Runs the primitive itself, which may take over an operand's memory. False when it failed after that.
bool Evaluation::apply(Node* node) {
  struct Turn {
    SmallVector<const Node*, 8>& nodes;
    ~Turn() { nodes.pop_back(); }
  } turn{applying_};
  applying_.push_back(node);
  size_t elements = static_cast<size_t>(static_cast<int64_t>(size_of(node->shape)));
  size_t bytes = elements * static_cast<size_t>(node->dtype.size());
  if (memory_is_tight(bytes)) {
    flush_all(); // open groups keep what they read alive
    compute_what_frees(node, bytes);
  }
  int reusable = node->primitive->reusable_operand();
  Node* donor = nullptr;
  if (reusable >= 0 && !is_traced(*node) && !node->buffer) { // else a part is in its place already
    donor = node->operands()[static_cast<size_t>(reusable)].node();
    set_apart(node, donor);
    if (!can_donate(*donor)) {
      compute_readers_of(donor, node);
    }
  }
  Donation donation(donor);
  constexpr size_t at_most = size_t{1} << 24; // bytes that are sorted in a tenth of a second
  std::optional<InterruptHold> to_its_end;
  if (donor && can_donate(*donor) && donor->buffer->size <= at_most) {
    to_its_end.emplace(); // nothing can begin again once the memory is overwritten
  }
  try {
    if (is_eval_observed()) [[unlikely]] {
      observed_pass(std::span<Node* const>(&node, 1), [&] { run_primitive(node); });
    } else {
      run_primitive(node);
    }
    if (node->primitive->eval_kind() == EvalKind::view) {
      keep_what_is_seen(node);
    }
    return true;
  } catch (...) {
    if (!donation.is_taken()) {
      throw;
    }
    if (is_interruption(std::current_exception())) {
      set_failed(node, lost_to_interruption(), true);
      throw;
    }
    set_failed(node, std::current_exception(), true);
    return false;
  }
}

// --- groups ---

// The group that a node waits in. Its id says which.
Group* Evaluation::group_of(const Claims::Entry* entry) {
  return entry && entry->group >= 0 ? &groups_[static_cast<size_t>(entry->group) % std::size(groups_)] : nullptr;
}

// An elementwise node: into the group that takes it, of those its operands wait in; the others are computed.
void Evaluation::join_group(Node* node) {
  Group* home = nullptr;
  for (const array& operand : node->operands()) {
    Group* group = open_group_of(operand.node());
    if (!group || group == home) {
      continue;
    }
    if (home) { // it cannot wait for two, and goes on with the larger, whose rows it may have a value for each of
      bool of_rows = group->is_larger_than(*home) && size_of(node->shape) != 1 && group->takes(node);
      bool first = home->takes(node) && !of_rows;
      end_group(first ? *group : *home, node);
      compute(node); // its operands are computed, or failed
      return;
    }
    home = group;
  }
  if (!home) {
    home = group_under_shape_of(node);
    home = home ? home : group_for(node->shape, node->stream);
  }
  if (!home->add(node)) {
    end_group(*home, node);
    compute(node);
    return;
  }
  if (is_eval_op_by_op()) [[unlikely]] {
    flush(*home);
  }
}

bool Evaluation::join_as_fold(Node* node) {
  const array& operand = node->operands()[0];
  Group* group = open_group_of(operand.node());
  if (!group) {
    if (is_eval_op_by_op() || !Group::begins_with(node)) {
      return false;
    }
    group = group_for(operand.shape(), node->stream);
  }
  return group->add(node);
}

bool Evaluation::join_as_alias(Node* node) {
  Group* group = open_group_of(node->operands()[0].node());
  return group && group->add(node);
}

// Where those that come next, and nobody else, read it as members of a group do.
bool Evaluation::join_as_pieces(Node* node) {
  return !is_eval_op_by_op() && Group::has_pieces(node) && Group::is_read_in_groups(claims_, node) &&
         group_for(node->shape, node->stream)->add(node);
}

bool Evaluation::join_as_padded(Node* node) {
  return node->primitive->eval_kind() == EvalKind::general && Group::pads_later(claims_, node) &&
         group_for(node->shape, node->stream)->add(node);
}

// An open group whose elements are known under the node's shape, too, where no other has it as its own; or null.
Group* Evaluation::group_under_shape_of(const Node* node) {
  Group* found = nullptr;
  for (Group& group : groups_) {
    if (group.is_open() && group.has_alias_of(node->shape) && group.takes(node)) {
      found = &group;
    } else if (group.is_open() && group.shape == node->shape) {
      return nullptr;
    }
  }
  return found;
}

Group* Evaluation::group_for(const Shape& shape, StreamNumber stream) {
  Group* unused = nullptr;
  for (Group& group : groups_) {
    if (!group.is_open()) {
      unused = unused ? unused : &group;
    } else if (group.stream == stream && group.shape == shape) {
      if (!group.is_full()) {
        return &group;
      }
      flush(group);
      unused = &group;
    }
  }
  if (!unused) {
    unused = &groups_[next_victim_++ % std::size(groups_)];
    flush(*unused);
  }
  // An id that names its place.
  last_group_ = (last_group_ + 1) & 0xffffff;
  unused->open(
      last_group_ * static_cast<int32_t>(std::size(groups_)) + static_cast<int32_t>(unused - groups_), shape, stream);
  return unused;
}

// True when something had to be computed.
bool Evaluation::flush_operands(Node* node) {
  bool any = false;
  for (const array& operand : node->operands()) {
    if (Group* group = open_group_of(operand.node())) {
      end_group(*group, node);
      any = true;
    }
  }
  return any;
}

void Evaluation::flush_all() {
  for (Group& group : groups_) {
    if (group.is_open()) {
      flush(group);
    }
  }
}

// Lets go of what was put off and nobody reads any more, or at the end of all. A reader comes after what it reads.
void Evaluation::let_go_of_held(bool all) {
  for (size_t i = held_.size(); i-- > 0;) {
    Node* node = held_[i].node();
    const Claims::Entry* entry = claims_.find(node);
    bool unread = entry && entry->group < 0 && node->references.load(std::memory_order_acquire) == 1;
    if (!entry || unread || all) {
      if (entry) {
        give_back(node);
      }
      held_.erase(held_.begin() + static_cast<ptrdiff_t>(i));
    }
  }
}

void Evaluation::flush(Group& group) {
  throw_if_interrupted();
  std::exception_ptr error;
  try {
    group.put_off(held_);
    if (group.member_count() == 0) { // all of it
    } else if (is_eval_observed()) [[unlikely]] {
      std::vector<Node*> members;
      for (size_t i = 0; i < group.member_count(); ++i) {
        members.push_back(group.member(i));
      }
      observed_pass(members, [&] { group.run(kernels_on(group.stream)); });
    } else {
      group.run(kernels_on(group.stream));
    }
  } catch (...) {
    error = std::current_exception();
  }
  bool interrupted = error && is_interruption(error);
  bool gutted = error && group.has_donated(); // what it was computed from is gone: it cannot be computed again
  // Letting a node's operands go can free earlier members, which are behind us: operands come first in the lists.
  for (size_t i = 0; i < group.member_count(); ++i) {
    Node* node = group.member(i);
    if (error) {
      node->buffer = BufferRef();
      interrupted && !gutted ? give_back(node) : set_failed(node, interrupted ? lost_to_interruption() : error, gutted);
    } else if (Group::was_computed(node)) {
      finish(node);
    } else if (!group.is_put_off(i)) {
      give_back(node);
    } else {
      claims_.leave_group(node);
    }
  }
  group.close();
  let_go_of_held(false);
  if (interrupted) {
    std::rethrow_exception(error);
  }
}

// --- leaving the evaluation ---

void Evaluation::finish(Node* node) {
  claims_.release(node);
  if (!is_traced(*node)) {
    node->detach(); // before others may see it
  }
  node->state.store(Node::State::available, std::memory_order_release);
  wake_waiting();
}

void Evaluation::give_back(Node* node) {
  if (node->buffer) { // allocated when the interrupt came
    node->buffer = BufferRef();
  }
  claims_.release(node);
  node->state.store(Node::State::lazy, std::memory_order_release);
  wake_waiting();
}

// `gutted`: its operands are no longer what they were, and nobody may see them.
void Evaluation::set_failed(Node* node, std::exception_ptr error, bool gutted) {
  error = naming_result(std::move(error), *node);
  if (!first_error_) {
    first_error_ = error;
  }
  node->keep_error(std::move(error));
  node->buffer = BufferRef(); // where parts of it are already
  claims_.release(node);
  if (gutted) {
    node->detach();
  }
  node->state.store(Node::State::failed, std::memory_order_release);
  wake_waiting();
}

void Evaluation::abandon() {
  for (Frame& frame : stack_) {
    frame.node->owner.store(0, std::memory_order_relaxed);
    frame.node->state.store(Node::State::lazy, std::memory_order_release);
  }
  stack_.clear();
  for (Group& group : groups_) {
    group.close();
  }
  for (Claims::Entry& entry : claims_.entries()) {
    if (entry.node) {
      give_back(entry.node);
    }
  }
  held_.clear();
  claims_.entries().clear();
  awaited_.clear();
  first_error_ = nullptr;
}

} // namespace mlx::core
