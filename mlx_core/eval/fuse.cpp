// From a group of nodes to a fused program: slots, scratch reuse, donation.
#include "mlx_core/eval/fuse.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <optional>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

// Together these bound the slots of a program, which the executor keeps on its stack.
constexpr size_t most_members = 96;
constexpr size_t most_outside_edges = 128;
constexpr size_t most_sinks = 16;
constexpr size_t table_cells = 512; // more than twice the number of sources

// Reading a large transposed source row by row touches a cache line for each element, and comes back to it only after
// the others pushed it out: then it pays to transpose it first, in cache blocks.
bool is_slow_to_read(const Node* node, int64_t size) {
  constexpr int64_t worth_copying = 1 << 15;
  if (size < worth_copying || node->row_contiguous || node->strides.empty()) {
    return false;
  }
  int64_t inner = std::abs(node->strides.back());
  int64_t line = 64 / node->dtype.size();
  if (inner < line || node->shape.back() == 1) {
    return false;
  }
  for (size_t i = 0; i + 1 < node->strides.size(); ++i) {
    int64_t stride = std::abs(node->strides[i]);
    if (stride != 0 && stride < line && !(node->shape[i] == 1)) {
      return true;
    }
  }
  return false;
}

} // namespace

void Group::open(int32_t new_id, const Shape& space) {
  // All that adding needs, so that it cannot fail half way.
  members.reserve(most_members);
  sinks.reserve(most_sinks);
  sources_.reserve(most_outside_edges + 4);
  edges_.reserve(3 * most_members);
  sink_edges_.reserve(most_sinks);
  if (table_.empty()) {
    table_.assign(table_cells, -1);
  }
  shape = space;
  size = size_of(space);
  row_length = 0;
  id = new_id;
}

void Group::close() {
  id = -1;
  for (const Source& source : sources_) {
    table_[static_cast<size_t>(source.cell)] = -1;
  }
  sources_.clear();
  edges_.clear();
  sink_edges_.clear();
  outside_edges_ = 0;
  has_donated_ = false;
  members.clear();
  sinks.clear();
}

bool Group::is_full() const { return members.size() >= most_members || outside_edges_ >= most_outside_edges; }

std::vector<Node*> Group::all_nodes() const {
  std::vector<Node*> all(members);
  all.insert(all.end(), sinks.begin(), sinks.end());
  return all;
}

// References that are not edges from this group.
bool Group::needed_outside(const Node* member) const {
  return member->references.load(std::memory_order_acquire) > static_cast<uint32_t>(claims_.find(member)->uses);
}

void Group::add(Node* node) {
  members.push_back(node);
  add_edges(node, edges_);
  Claims::Entry& entry = *claims_.find(node);
  entry.group = id;
  entry.slot = static_cast<int32_t>(members.size()) - 1;
}

// Counts and numbers what a new member or sink reads.
void Group::add_edges(Node* node, std::vector<int32_t>& edges) {
  for (const array& operand : node->operands()) {
    Claims::Entry* entry = claims_.find(operand.node());
    if (entry && entry->group == id) {
      edges.push_back(~entry->slot);
      ++entry->uses;
    } else {
      ++outside_edges_;
      int32_t number = source_number(operand.node());
      edges.push_back(number);
      ++sources_[static_cast<size_t>(number)].uses;
    }
  }
}

bool Group::add_sink(Node* node) {
  const auto& reduce = static_cast<const Reduce&>(*node->primitive);
  const array& operand = node->operands()[0];
  int ndim = operand.ndim();
  // Only rows: the reduced axes are the trailing ones.
  int64_t length = 1;
  for (size_t i = 0; i < reduce.axes().size(); ++i) {
    if (reduce.axes()[i] != ndim - static_cast<int>(reduce.axes().size() - i)) {
      return false;
    }
    length *= static_cast<int64_t>(operand.shape()[static_cast<size_t>(reduce.axes()[i])]);
  }
  if (size == 0 || length == 0 || (row_length != 0 && row_length != length) || sinks.size() >= most_sinks) {
    return false;
  }
  sinks.push_back(node);
  row_length = length;
  add_edges(node, sink_edges_);
  claims_.find(node)->group = id;
  return true;
}

int32_t Group::source_number(Node* node) {
  for (size_t cell = reinterpret_cast<uintptr_t>(node) * 0x9e3779b97f4a7c15u >> 55;; cell = (cell + 1) % table_cells) {
    if (table_[cell] < 0) {
      sources_.push_back({node, 0, static_cast<int32_t>(cell)});
      table_[cell] = static_cast<int32_t>(sources_.size() - 1);
    }
    if (sources_[static_cast<size_t>(table_[cell])].node == node) {
      return table_[cell];
    }
  }
}

// The slots of a program: sources first, members after them.
void Group::number_edges() {
  auto first_member = static_cast<int32_t>(sources_.size());
  for (std::vector<int32_t>* edges : {&edges_, &sink_edges_}) {
    for (int32_t& edge : *edges) {
      edge = edge < 0 ? ~edge + first_member : edge;
    }
  }
  may_donate_ = true;
  for (Node* member : members) {
    may_donate_ = may_donate_ && !is_traced(*member);
  }
}

// A source that nobody else holds and no later step reads gives its memory to a result of the same size.
BufferRef Group::take_donation(size_t step, const Node* member) {
  if (!may_donate_) {
    return BufferRef();
  }
  for (size_t s = 0; s < sources_.size(); ++s) {
    Node* source = sources_[s].node;
    bool needed_elsewhere =
        source->references.load(std::memory_order_acquire) > static_cast<uint32_t>(sources_[s].uses);
    if (last_use_[s] <= static_cast<int32_t>(step) && !needed_elsewhere && source->buffer.unique() &&
        !source->buffer->pinned && source->row_contiguous && source->offset == 0 &&
        source->dtype.size() == member->dtype.size() && size_of(source->shape) == size) {
      // The program has the pointer already; the node, which dies with this group, lets go of it.
      has_donated_ = true;
      return std::move(source->buffer);
    }
  }
  return BufferRef();
}

void Group::plan_sources() {
  using Source = cpu::Program::Source;
  cpu::Program& p = program_;
  Sizes space = sizes_of(shape);
  for (size_t s = 0; s < sources_.size(); ++s) {
    Node* node = sources_[s].node;
    Source source{node->data(), node->dtype.size(), Source::Layout::strided, static_cast<uint16_t>(s), 0, {}, {}};
    p.slots[s].item_size = source.item_size;
    int64_t count = size_of(node->shape);
    bool row_contiguous = node->row_contiguous;
    Strides strides = node->strides;
    if (is_slow_to_read(node, count)) {
      BufferRef copy = allocate(bytes_of(count, source.item_size));
      Sizes sizes = sizes_of(node->shape);
      strides = row_major_strides(node->shape);
      cpu::copy_strided(source.data, node->strides, copy->data, strides, sizes, source.item_size);
      source.data = copy->data;
      row_contiguous = true;
      copies_.push_back(std::move(copy));
    }
    if (count == 1) {
      source.layout = Source::Layout::scalar;
    } else if (row_contiguous && count == size) {
      source.layout = Source::Layout::flat;
    } else {
      source.shape = space;
      source.strides = Strides(space.size(), 0);
      size_t shift = space.size() - node->shape.size();
      for (size_t i = 0; i < node->shape.size(); ++i) {
        bool stretched = space[shift + i] != static_cast<int64_t>(node->shape[i]);
        source.strides[shift + i] = stretched ? 0 : strides[i];
      }
      int64_t* strides[] = {source.strides.data()};
      source.ndim = cpu::collapse_axes(static_cast<int>(space.size()), source.shape.data(), strides);
    }
    if (source.layout != Source::Layout::flat) {
      p.slots[s].scratch = p.scratch_count++;
    }
    p.sources.push_back(std::move(source));
  }
}

void Group::plan_step(size_t m, const int32_t* slots) {
  cpu::Program& p = program_;
  Node* member = members[m];
  cpu::Program::Step step{};
  std::span<array> operands = member->operands();
  if (member->primitive->eval_kind() == EvalKind::elementwise) {
    const auto& primitive = static_cast<const Elementwise&>(*member->primitive);
    step.body = primitive.body();
    step.kernel = primitive.kernel(operands, member->dtype);
  } else { // an identity whose operand is a member
    step.body = cpu::Body::copy;
    step.kernel = cpu::find_kernel(step.body, member->dtype);
  }
  step.from = operands.back().dtype();
  step.to = member->dtype;
  if (!step.kernel) {
    fail<std::runtime_error>(member->primitive->name(), "there is no kernel for dtype ", step.from, ".");
  }
  step.input_count = static_cast<uint8_t>(operands.size());
  for (size_t k = 0; k < operands.size(); ++k) {
    step.inputs[k] = static_cast<uint16_t>(slots[k]);
  }
  step.output = static_cast<uint16_t>(sources_.size() + m);

  cpu::Program::Slot& slot = p.slots[step.output];
  slot.item_size = member->dtype.size();
  if (needed_outside(member)) {
    BufferRef memory = take_donation(m, member);
    if (!memory) {
      memory = allocate(bytes_of(size, slot.item_size));
    }
    slot.memory = static_cast<char*>(memory->data);
    member->buffer = std::move(memory);
    member->strides = row_major_strides(member->shape);
  } else {
    if (free_scratch_.empty()) {
      free_scratch_.push_back(p.scratch_count++);
    }
    slot.scratch = free_scratch_.back();
    free_scratch_.pop_back();
  }
  // Scratch whose last reader this step is serves the next one.
  for (size_t k = 0; k < operands.size(); ++k) {
    uint16_t in = step.inputs[k];
    bool seen = (k > 0 && step.inputs[0] == in) || (k > 1 && step.inputs[1] == in);
    if (!seen && in >= sources_.size() && last_use_[in] == static_cast<int32_t>(m) && p.slots[in].scratch >= 0) {
      free_scratch_.push_back(p.slots[in].scratch);
    }
  }
  p.steps.push_back(step);
}

void Group::plan_sinks(const int32_t* slots) {
  for (Node* node : sinks) {
    const auto& reduce = static_cast<const Reduce&>(*node->primitive);
    const Node* operand = node->operands()[0].node();
    node->buffer = allocate(bytes_of(size / row_length, node->dtype.size()));
    node->strides = row_major_strides(node->shape);
    program_.sinks.push_back({static_cast<uint16_t>(*slots++), cpu::find_row_reducer(reduce.op(), operand->dtype),
        static_cast<char*>(node->buffer->data), node->dtype.size()});
  }
}

void Group::run() {
  struct Release { // also when something below throws
    Group& group;
    ~Release() { group.copies_.clear(); }
  } release{*this};

  number_edges();
  program_.clear();
  program_.size = size;
  program_.row_length = row_length;
  program_.slots.resize(sources_.size() + members.size());
  last_use_.assign(program_.slots.size(), -1);
  free_scratch_.clear();
  int item = 1;
  for (const Source& source : sources_) {
    item = std::max(item, source.node->dtype.size());
  }
  size_t edge = 0;
  for (size_t m = 0; m < members.size(); ++m) {
    item = std::max(item, members[m]->dtype.size());
    for (size_t k = 0; k < members[m]->operand_count; ++k) {
      last_use_[static_cast<size_t>(edges_[edge++])] = static_cast<int32_t>(m);
    }
  }
  for (int32_t slot : sink_edges_) { // a sink reads its slot after the last step
    last_use_[static_cast<size_t>(slot)] = static_cast<int32_t>(members.size());
  }
  program_.scratch_item_size = item;

  plan_sources();
  edge = 0;
  for (size_t m = 0; m < members.size(); ++m) {
    plan_step(m, edges_.data() + edge);
    edge += members[m]->operand_count;
  }
  plan_sinks(sink_edges_.data());
  // Once memory of an operand is overwritten there is no way back but to fail. That is for what takes long, and not for
  // background work that only makes way for a fork.
  constexpr int64_t worth_failing = 1 << 27; // element-steps: tens of milliseconds
  std::optional<InterruptHold> hold;
  if (has_donated_ && (StopFlagScope::is_open() || size * static_cast<int64_t>(members.size()) < worth_failing)) {
    hold.emplace();
  }
  cpu::run(program_);
}

} // namespace mlx::core
