// From a group of nodes to a fused plan: sources, slots, stages, which members get memory, and donation.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

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

FusedPlan::Source source_of(
    const Shape& shape, const Strides& strides, bool row_contiguous, int64_t size, const Shape& to) {
  FusedPlan::Source source{};
  if (is_one_element(shape, strides)) {
    source.layout = FusedPlan::Layout::scalar;
  } else if (row_contiguous && size_of(shape) == size) {
    source.layout = FusedPlan::Layout::flat;
  } else {
    source.layout = FusedPlan::Layout::strided;
    source.sizes = sizes_of(to);
    source.strides = Strides(to.size(), 0);
    size_t shift = to.size() - shape.size();
    for (size_t i = 0; i < shape.size(); ++i) {
      bool stretched = source.sizes[shift + i] != static_cast<int64_t>(shape[i]);
      source.strides[shift + i] = stretched ? 0 : strides[i];
    }
    collapse(source.sizes, source.strides);
  }
  return source;
}

double known_exponent(const FusedPlan::Step& step, const FusedPlan::Source& source, const View& exponent) {
  bool known = step.body == Body::power && (step.to == float32 || step.to == float64) &&
               source.layout == FusedPlan::Layout::scalar &&
               !(exponent.buffer && exponent.buffer->writer.load(std::memory_order_acquire));
  double value = !known ? 0 : step.to == float32 ? *exponent.host<float>() : *exponent.host<double>();
  return value == 1 || value == 2 || value == 3 || value == -1 ? value : 0;
}

void simplify_power(FusedPlan::Step& step, double exponent) {
  if (exponent != 0) {
    step.body = exponent == 1   ? Body::copy
                : exponent == 2 ? Body::square
                : exponent == 3 ? Body::cube
                                : Body::reciprocal;
    step.input_count = 1;
  }
}

void Group::refer_to(const Node* node, View& view) {
  view.buffer = node->buffer.get();
  view.offset = node->offset;
  view.inline_value = node->inline_value;
  view.dtype = node->dtype;
}

// References that are not edges from this group.
bool Group::needed_outside(const Node* member) const {
  const Claims::Entry& entry = *claims_.find(member);
  return member->references.load(std::memory_order_acquire) > static_cast<uint32_t>(entry.uses + entry.is_held);
}

void Group::plan_sources(Kernels& kernels) {
  for (const Source& read : sources_) {
    Node* node = read.node;
    FusedPlan::Source& source = plan_.sources.emplace_back();
    View& view = source_views_.emplace_back();
    refer_to(node, view);
    bool row_contiguous = node->row_contiguous;
    if (is_one_element(node->shape, node->strides)) {
      source.layout = FusedPlan::Layout::scalar;
    } else if (read.of_rows) {
      source.layout = FusedPlan::Layout::rows;
    } else {
      int64_t count = size_of(node->shape);
      const Strides* strides = &node->strides;
      Strides of_copy;
      if (order_.empty() && is_slow_to_read(node, count)) {
        BufferRef copy = allocate(bytes_of(count, node->dtype.size()));
        of_copy = row_major_strides(node->shape);
        Sizes sizes = sizes_of(node->shape);
        View to{copy.get(), 0, nullptr, node->dtype, sizes, of_copy};
        kernels.run(kernel::Copy{view.laid_out(sizes, node->strides), to});
        strides = &of_copy;
        row_contiguous = true;
        view.buffer = copy.get();
        view.offset = 0;
        copies_.push_back(std::move(copy));
      }
      source = order_.empty() ? source_of(node->shape, *strides, row_contiguous, size_, read.reader->shape)
                              : source_in_order(node);
    }
    plan_.slots.push_back({node->dtype, source.layout == FusedPlan::Layout::rows, -1});
  }
}

// Gives each member its slot, and those that somebody outside needs an output.
void Group::plan_members() {
  uint8_t last = 0;
  for (Member& member : members_) {
    if (is_alias(member)) {
      member.slot = slot_of(edges_[member.edges]);
    } else if (is_computed(member)) {
      member.slot = static_cast<int32_t>(plan_.slots.size());
      plan_.slots.push_back({member.node->dtype, !is_stored_of_space(member), -1});
      last = std::max(last, member.stage);
    }
  }
  stages_ = last + 1;
  for (size_t i = members_.size(); i-- > 0;) { // an alias needs what it stands for
    Member& member = members_[i];
    bool needed = !member.put_off && needed_outside(member.node);
    member.kept = member.put_off ? false : member.kept || needed || (member.role == Role::fold && stages_ == 1);
    if (is_alias(member) && member.kept) {
      members_[static_cast<size_t>(~edges_[member.edges])].kept = true;
    }
  }
}

uint16_t Group::slot_of(int32_t edge) const {
  return static_cast<uint16_t>(edge < 0 ? members_[static_cast<size_t>(~edge)].slot : edge);
}

// Without its slots.
FusedPlan::Step Group::step_of(Node* node) {
  bool elementwise = node->primitive->eval_kind() == EvalKind::elementwise; // or an identity
  Body body = elementwise ? static_cast<const Elementwise&>(*node->primitive).body() : Body::copy;
  auto count = static_cast<uint8_t>(node->operand_count);
  return {body, node->operands().back().dtype(), node->dtype, {}, count, 0};
}

void Group::simplify(FusedPlan::Step& step) const {
  if (step.body == Body::power && step.inputs[1] < plan_.sources.size() && kernels_on(stream).device() == Device::cpu) {
    simplify_power(step, known_exponent(step, plan_.sources[step.inputs[1]], source_views_[step.inputs[1]]));
  }
}

void Group::add_step(Member& member) {
  Node* node = member.node;
  std::span<array> operands = node->operands();
  if (member.role == Role::padded) {
    return add_padded_steps(member);
  }
  if (member.role == Role::fold) {
    plan_.folds.push_back({static_cast<const Reduce&>(*node->primitive).op(), operands[0].dtype(),
        slot_of(edges_[member.edges]), static_cast<uint16_t>(member.slot)});
    return;
  }
  constexpr int32_t never = std::numeric_limits<int32_t>::max();
  member.step = member.role == Role::rows ? never : static_cast<int32_t>(plan_.steps.size());
  FusedPlan::Step step = step_of(node);
  const int32_t* edges = &edges_[member.edges];
  for (size_t k = 0; k < operands.size(); ++k) {
    step.inputs[k] = slot_of(edges[k]);
    if (edges[k] >= 0) {
      sources_[static_cast<size_t>(edges[k])].last_step = member.step;
    }
  }
  step.output = static_cast<uint16_t>(member.slot);
  simplify(step);
  (member.role == Role::rows ? plan_.row_steps : plan_.steps).push_back(step);
}

void Group::order_steps() {
  for (int stage = 0; stage < stages_; ++stage) {
    for (Member& member : members_) {
      if (member.stage == stage && is_computed(member)) {
        add_step(member);
      }
    }
    for (size_t i = plan_.begin_of(plan_.stages.size()).folds; i < plan_.folds.size(); ++i) {
      if (plan_.folds[i].input < sources_.size()) { // read after all steps of the stage
        sources_[plan_.folds[i].input].last_step = static_cast<int32_t>(plan_.steps.size());
      }
    }
    plan_.stages.push_back({static_cast<uint32_t>(plan_.row_steps.size()), static_cast<uint32_t>(plan_.steps.size()),
        static_cast<uint32_t>(plan_.folds.size())});
  }
}

// The sources that nobody else holds, and whose memory is that of a result. Of views by the hundred there is none.
void Group::find_donors() {
  donors_.clear();
  for (const Member& member : members_) {
    if (is_traced(*member.node)) {
      return;
    }
  }
  for (size_t i = 0; i < sources_.size(); ++i) {
    const Node* source = sources_[i].node;
    bool needed_elsewhere = sources_[i].is_read_again || source->references.load(std::memory_order_acquire) >
                                                             static_cast<uint32_t>(sources_[i].uses);
    bool in_order = source->row_contiguous || (!order_.empty() && plan_.sources[i].layout == FusedPlan::Layout::flat);
    if (!needed_elsewhere && source->buffer.unique() && !source->buffer->pinned && in_order && source->offset == 0 &&
        size_of(source->shape) == size_) {
      donors_.push_back(static_cast<int32_t>(i));
    }
  }
}

// A donor that no later step reads gives its memory to a result of the same size.
BufferRef Group::take_donation(const Member& member) {
  for (size_t i = 0; i < donors_.size(); ++i) {
    const Source& read = sources_[static_cast<size_t>(donors_[i])];
    if (read.last_step <= member.step && read.node->dtype.size() == member.node->dtype.size()) {
      donors_.erase(donors_.begin() + static_cast<ptrdiff_t>(i));
      // The request has the memory already; the node, which dies with this group, lets go of it.
      has_donated_ = true;
      return std::move(read.node->buffer);
    }
  }
  return BufferRef();
}

// Memory for the members that are kept.
void Group::plan_outputs() {
  find_donors();
  for (Member& member : members_) {
    if (!member.kept || !is_computed(member)) {
      continue;
    }
    Node* node = member.node;
    bool of_space = is_stored_of_space(member);
    plan_.slots[static_cast<size_t>(member.slot)].output = static_cast<int16_t>(output_views_.size());
    if (of_space && place_in_whole(member)) {
      refer_to(node, output_views_.emplace_back());
      continue;
    }
    BufferRef donated = of_space ? take_donation(member) : BufferRef();
    int64_t count = of_space ? size_ : columns_.any() ? columns_.kept() : plan_.rows();
    node->buffer = donated ? std::move(donated) : allocate(bytes_of(count, node->dtype.size()));
    node->offset = 0;
    lay_out(node);
    refer_to(node, output_views_.emplace_back());
  }
}

// Values that are known under another shape, too, as views.
void Group::arrange_aliases(Kernels& kernels) {
  for (const Member& member : members_) {
    if (member.kept && is_alias(member)) {
      member.node->references.fetch_add(1, std::memory_order_relaxed);
      array self = array::from_node(member.node);
      member.node->primitive->eval(member.node->operands(), std::span<array>(&self, 1), kernels);
    }
  }
}

void Group::run_plan(Kernels& kernels) {
  bool no_steps = plan_.steps.empty() && plan_.row_steps.empty();
  bool flat = plan_.sources[0].layout == FusedPlan::Layout::flat;
  if (no_steps && plan_.folds.size() == 1 && flat && row_length_) { // nothing came of it
    View in = source_views_[0].laid_out(sizes_of(reduced_shape_), row_major_strides(reduced_shape_));
    auto rank = static_cast<int64_t>(reduced_shape_.size());
    Sizes axes;
    for (int64_t i = rank - reduced_axes_; i < rank; ++i) {
      axes.push_back(i);
    }
    View out = output_views_[0].laid_out({plan_.rows()}, {1});
    kernels.run(kernel::Reduce{plan_.folds[0].op, std::move(in), axes, std::move(out)});
  } else if (!no_steps || !plan_.folds.empty()) {
    kernels.run(kernel::Fused{plan_, source_views_, output_views_});
  }
}

void Group::run(Kernels& kernels) {
  if (run_small(kernels)) {
    return;
  }
  struct Release { // also when something below throws
    Group& group;
    ~Release() {
      group.copies_.clear();
      group.padded_.clear();
      group.source_views_.clear();
      group.output_views_.clear();
    }
  } release{*this};
  plan_.clear();
  plan_.size = size_;
  plan_.row_length = row_length_;
  plan_.columns = columns_;
  find_order(kernels);
  plan_sources(kernels);
  plan_pieces(kernels);
  plan_members();
  order_steps();
  plan_outputs();
  {
    // Once memory of an operand is overwritten there is no way back but to fail. That is for what takes long, and not
    // for background work that only makes way for a fork.
    constexpr int64_t worth_failing = 1 << 27; // element-steps: tens of milliseconds
    std::optional<InterruptHold> hold;
    bool quick = size_ * static_cast<int64_t>(members_.size()) < worth_failing;
    if (has_donated_ && (StopFlagScope::is_open() || quick)) {
      hold.emplace();
    }
    run_plan(kernels);
  }
  arrange_aliases(kernels);
}

} // namespace mlx::core
