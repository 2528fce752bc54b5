// Building a tape: an iterative walk that stays within the frame's levels.
#include "mlx_core/transforms/tape.h"

#include <bit>

#include "mlx_core/interrupt.h"
#include "mlx_core/remake.h"

namespace mlx::core {

namespace {

constexpr int32_t independent = -1;
constexpr int32_t unfinished = -2;

size_t hash(const Node* node) {
  return static_cast<size_t>((reinterpret_cast<uintptr_t>(node) >> 4) * 0x9e3779b97f4a7c15ull >> 16);
}

// What comes from outside, such as a file: nothing says how to make it again, and it depends on nothing.
bool is_read(const Node* node) { return node->operand_count == 0 && !can_remake(node->primitive->name()); }

} // namespace

Tape::Entry& Tape::entry(const Node* node) {
  size_t mask = table_.size() - 1;
  size_t at = hash(node) & mask;
  while (table_[at].node && table_[at].node != node) {
    at = (at + 1) & mask;
  }
  return table_[at];
}

void Tape::grow() {
  std::vector<Entry> old(table_.size() * 2);
  old.swap(table_);
  for (const Entry& e : old) {
    if (e.node) {
      entry(e.node) = e;
    }
  }
}

int Tape::index_of(const Node* node) const {
  const Entry& e = const_cast<Tape*>(this)->entry(node);
  return e.node ? e.value : independent;
}

void Tape::set(const Node* node, int32_t value) {
  Entry& e = entry(node);
  if (!e.node) {
    e.node = node;
    ++used_;
  }
  e.value = value;
  if (used_ * 2 > table_.size()) {
    grow();
  }
}

// What a function that was differentiated inside is given is its primal: cotangents of both are added up in one order,
// with such nodes in between or, as in recordings, without them. Other nodes: -1.
int32_t Tape::primal_of(Node* node) const {
  bool argument = node->primitive && node->primitive->role() == Role::argument;
  return argument ? index_of(node->operand_storage()[0].node()) : independent;
}

// Room for what the outputs say is behind them.
size_t Tape::first_size(std::span<const array> outputs) {
  size_t pending = outputs.empty() ? 0 : outputs[0].node()->pending;
  return std::bit_ceil(2 * pending + 256);
}

Tape::Tape(const Frame& frame, std::span<const array> outputs, Reach reach) : table_(first_size(outputs)) {
  nodes_.reserve(table_.size() / 2);
  for (const array& placeholder : frame.placeholders()) {
    set(placeholder.node(), static_cast<int32_t>(nodes_.size()));
    nodes_.push_back(placeholder.node());
  }
  walk(reach == Reach::whole ? 0 : frame.id(), outputs, [reach](const Node* node) {
    bool own = reach != Reach::dependent && node->primitive && !(reach == Reach::whole && is_read(node));
    return own ? Sight::own : Sight::through;
  });
}

Tape::Tape(Node* application, const std::function<bool(const Node*)>& too, std::span<const array> held,
    std::span<const array> outputs)
    : table_(256) {
  set(application, 0);
  nodes_.push_back(application);
  for (const array& a : held) {
    set(a.node(), independent);
  }
  walk(application->operands()[0].node()->level, outputs,
      [&](const Node* node) { return too(node) ? Sight::placeholder : Sight::through; });
}

void Tape::walk(uint64_t oldest, std::span<const array> outputs, const std::function<Sight(const Node*)>& sight) {
  struct Visit {
    Node* node;
    uint32_t next;
    bool dependent;
  };
  std::vector<Visit> stack;
  InterruptPoll poll(4096);
  auto push = [&](Node* node) {
    set(node, unfinished);
    Sight seen = sight(node);
    stack.push_back({node, seen == Sight::placeholder ? node->operand_count : 0u, seen != Sight::through});
  };
  for (const array& output : outputs) {
    if (output.node()->level < oldest || entry(output.node()).node) {
      continue;
    }
    push(output.node());
    while (!stack.empty()) {
      poll();
      Visit& top = stack.back();
      if (top.next < top.node->operand_count) {
        Node* operand = top.node->operand_storage()[top.next].node();
        if (operand->level < oldest) { // older than the frame: cannot depend on it
          ++top.next;
          continue;
        }
        const Entry& e = entry(operand);
        if (!e.node) {
          push(operand);
          continue; // comes back to this operand when its value is known
        }
        top.dependent = top.dependent || e.value >= 0;
        ++top.next;
        continue;
      }
      if (int32_t primal = primal_of(top.node); primal >= 0) {
        set(top.node, primal);
      } else if (top.dependent) {
        set(top.node, static_cast<int32_t>(nodes_.size()));
        nodes_.push_back(top.node);
      } else {
        set(top.node, independent);
      }
      stack.pop_back();
    }
  }
}

} // namespace mlx::core
