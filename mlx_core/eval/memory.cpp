// What an evaluation does about memory: which steps it takes early so that operands go, and views that get memory of
// their own.
#include <algorithm>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/eval/donate.h"
#include "mlx_core/eval/evaluation.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

// A copy of what a view shows, in its place. Nobody else may be looking at the node.
void get_own_memory(const array& operand) {
  Node* view = operand.node();
  array copy = array::uninitialized(view->shape, view->dtype);
  kernels_on(view->stream).run(kernel::Copy{operand.view(), copy.view()});
  view->buffer = copy.node()->buffer;
  view->offset = 0;
  view->strides = copy.strides();
  view->row_contiguous = true;
}

} // namespace

// Computes later steps now whose operands wait in memory for nothing else, when they take no more than that; and those
// that take very little, as others may wait for the same operands.
void Evaluation::compute_what_frees(const Node* next, size_t bytes) {
  constexpr size_t looked_at = 4096, apart = 64, rounds = 4;
  std::vector<Claims::Entry>& entries = claims_.entries();
  size_t begin = next->eval_index + 1, end = std::min(entries.size(), begin + looked_at);
  if (is_freeing_ || begin < next_freeing_at_) {
    return;
  }
  is_freeing_ = true;
  bool any = true;
  try {
    for (size_t round = 0; round < rounds && any && memory_is_tight(bytes); ++round) {
      any = false;
      for (size_t i = begin; i < end; ++i) {
        if (entries[i].node && entries[i].group < 0 && !is_applying(entries[i].node) && frees_memory(entries[i].node)) {
          compute(entries[i].node);
          any = true;
        }
      }
      flush_all();
    }
  } catch (...) {
    is_freeing_ = false;
    throw;
  }
  is_freeing_ = false;
  next_freeing_at_ = any ? 0 : begin + apart;
}

// Whether a node can be computed, and its result takes no more memory than goes with it, or very little.
bool Evaluation::frees_memory(Node* node) {
  if (node->operand_count == 0 || (node->extra && !node->extra->outputs.empty()) || is_traced(*node)) {
    return false;
  }
  constexpr size_t little = 64;
  size_t frees = 0, reads = 0;
  std::span<const array> operands = node->operands();
  for (const array& operand : operands) {
    const Node* from = operand.node();
    const Claims::Entry* waiting = claims_.find(from);
    if (waiting ? waiting->group < 0 : from->state.load(std::memory_order_acquire) != Node::State::available) {
      return false;
    }
    size_t edges = static_cast<size_t>(
        std::count_if(operands.begin(), operands.end(), [&](const array& other) { return other.node() == from; }));
    bool goes = from->references.load() == edges && (waiting || (from->buffer.unique() && !from->buffer->pinned));
    frees += goes ? operand.nbytes() / edges : 0;
    reads += operand.nbytes() / edges;
  }
  auto takes = static_cast<size_t>(static_cast<int64_t>(size_of(node->shape)) * node->dtype.size());
  bool is_view = node->primitive->eval_kind() == EvalKind::view;
  return (takes <= (is_view ? frees / 8 : frees) && frees > 0) || (!is_view && takes <= reads / little);
}

// Other operands that are small views of the memory that is to be changed get memory of their own: x[1] = x[0].
void Evaluation::set_apart(Node* node, Node* donor) {
  if (!donor->buffer || donor->buffer.unique()) {
    return;
  }
  for (const array& operand : node->operands()) {
    Node* view = operand.node();
    if (view == donor || view->buffer.get() != donor->buffer.get() || view->references.load() != 1 ||
        2 * operand.nbytes() > donor->buffer->size) {
      continue;
    }
    get_own_memory(operand);
  }
}

// A small view of memory that nothing else needs gets memory of its own once half of the limit is in use, so that the
// rest is free: a loop may keep one number of each large result.
void Evaluation::keep_what_is_seen(Node* view) {
  constexpr size_t worth_it = 1 << 16, looked_at = 64, part = 8;
  bool plain = !is_traced(*view) && (!view->extra || view->extra->outputs.empty()) && view->operand_count == 1;
  if (!plain || !view->buffer || view->buffer->pinned || view->buffer->size < worth_it ||
      !memory_is_tight(detail::bytes_in_use.load(std::memory_order_relaxed))) {
    return;
  }
  Node* whole = view->operands()[0].node();
  auto bytes = static_cast<size_t>(static_cast<int64_t>(size_of(view->shape)) * view->dtype.size());
  if (bytes > view->buffer->size / part || view->buffer.get() != whole->buffer.get() ||
      view->buffer->references.load() != 2) {
    return;
  }
  uint32_t needed = 1; // by steps to come, which will let it go
  std::vector<Claims::Entry>& entries = claims_.entries();
  size_t end = std::min(entries.size(), view->eval_index + looked_at);
  for (size_t i = view->eval_index + 1; i < end; ++i) {
    if (entries[i].node) {
      for (const array& operand : entries[i].node->operands()) {
        needed += operand.node() == whole;
      }
    }
  }
  if (whole->references.load() == needed) {
    view->references.fetch_add(1, std::memory_order_relaxed);
    get_own_memory(array::from_node(view));
  }
}

// Runs pending steps that read an operand's memory, when they alone stand in the way of changing it in place.
void Evaluation::compute_readers_of(Node* donor, const Node* overwriter) {
  constexpr size_t worth_looking = 1 << 14; // bytes; below, a copy is as quick
  constexpr size_t looked_at = 512;
  constexpr size_t deepest = 16; // of such steps one within the other
  if (!donor->buffer || donor->buffer->pinned || donor->buffer->size < worth_looking || applying_.size() > deepest) {
    return;
  }
  flush_all();
  std::vector<Claims::Entry>& entries = claims_.entries();
  const Buffer* memory = donor->buffer.get();
  size_t begin = overwriter->eval_index + 1, end = std::min(entries.size(), begin + looked_at);
  for (size_t i = begin; i < end && !can_donate(*donor); ++i) {
    Node* reader = entries[i].node;
    if (!reader) {
      continue;
    }
    for (const array& operand : reader->operands()) {
      if (operand.node() == donor || operand.node()->buffer.get() == memory) {
        if (!compute_now(reader)) {
          return;
        }
        break;
      }
    }
  }
  flush_all();
}

// Computes a node that comes later, with what it needs. False when that includes a node whose turn it is, or is much.
bool Evaluation::compute_now(Node* reader) {
  constexpr size_t most = 64;
  std::vector<Node*> needed{reader};
  for (size_t i = 0; i < needed.size(); ++i) {
    if (is_applying(needed[i]) || needed.size() > most) {
      return false;
    }
    for (const array& operand : needed[i]->operands()) {
      Node* node = operand.node();
      if (claims_.find(node) && std::find(needed.begin(), needed.end(), node) == needed.end()) {
        needed.push_back(node);
      }
    }
  }
  std::sort(needed.begin(), needed.end(), [](Node* a, Node* b) { return a->eval_index < b->eval_index; });
  std::vector<size_t> indices; // computing one may free another
  for (Node* node : needed) {
    indices.push_back(node->eval_index);
  }
  for (size_t index : indices) {
    compute(claims_.entries()[index].node);
  }
  flush_all();
  return true;
}

} // namespace mlx::core
