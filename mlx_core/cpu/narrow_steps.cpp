// Which steps are done before their operands are broadcast, and what is left of the plan.
#include "mlx_core/cpu/narrow_steps.h"

#include <algorithm>
#include <vector>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/equal_terms.h"
#include "mlx_core/cpu/fused.h"
#include "mlx_core/cpu/reduce_kernels.h"
#include "mlx_core/size_arithmetic.h"

namespace mlx::core::cpu {

namespace {

using Columns = FusedPlan::Columns; // of a broadcast source: axes along which it is broadcast count as reduced

constexpr int64_t fewest = 1 << 14; // elements of the space: fewer are done as they are

// The axes of the space that folds reduce.
Columns reduced_axes(const FusedPlan& plan) {
  Columns axes = plan.columns;
  if (plan.row_length) {
    axes.lengths = {plan.rows(), plan.row_length};
    axes.first_is_reduced = false;
  }
  return axes;
}

// A plan parted at the values that are broadcast along `axes`.
class Parting {
 public:
  Parting(const FusedPlan& plan, const Columns& axes) : plan_(plan), axes_(axes), narrow_size_(axes.kept()) {
    find_kinds();
    for (const FusedPlan::Fold& fold : plan.folds) {
      folds_.push_back(kind_of(fold));
    }
    find_reads();
  }

  // In elements' cheap steps; a value that goes through memory, or is read where it is broadcast, costs two.
  bool pays() const {
    constexpr int64_t of_pass = 1 << 13, in_memory = 2;
    int64_t spared = plan_.size - narrow_size_, saved = -of_pass;
    for (const FusedPlan::Step& step : plan_.steps) {
      if (kinds_[step.output] == Kind::narrow && !is_copy(step)) {
        saved += spared * cost_of(step.body);
      }
    }
    for (size_t i = 0; i < plan_.folds.size(); ++i) {
      saved += is_narrow(i) ? spared : 0;
    }
    for (size_t slot = 0; slot < kinds_.size(); ++slot) {
      if (kinds_[slot] != Kind::narrow) {
        continue;
      }
      if (slot < plan_.sources.size()) {
        saved += in_memory * ((is_read_wide_[slot] ? 0 : plan_.size) - narrow_size_);
      } else if (goes_out(slot)) {
        bool has_memory = plan_.slots[slot].output >= 0, is_wide = is_read_wide_[slot] || has_memory;
        saved -= in_memory * (narrow_size_ + (is_wide ? plan_.size : 0)) + (has_memory ? plan_.size : 0);
      }
    }
    return saved > 0;
  }

  void run(std::span<const View> sources, std::span<const View> outputs) {
    run_narrow(sources, outputs);
    run_folds(sources, outputs);
    run_wide(sources, outputs);
  }

 private:
  enum class Kind : uint8_t { constant, narrow, wide };
  enum class FoldKind : uint8_t { wide, equal, steps };

  static bool is_copy(const FusedPlan::Step& step) { return step.body == Body::copy && step.from == step.to; }

  void find_kinds() {
    kinds_.assign(plan_.slots.size(), Kind::wide);
    for (size_t i = 0; i < plan_.sources.size(); ++i) {
      const FusedPlan::Source& source = plan_.sources[i];
      kinds_[i] = source.layout == FusedPlan::Layout::scalar ? Kind::constant
                  : source.broadcast_axes() == axes_         ? Kind::narrow
                                                             : Kind::wide;
    }
    for (const FusedPlan::Step& step : plan_.steps) {
      Kind kind = Kind::constant;
      for (int k = 0; k < step.input_count; ++k) {
        kind = std::max(kind, kinds_[step.inputs[k]]);
      }
      kinds_[step.output] = kind;
    }
  }

  // A narrow value's, along all its axes, which nobody in the plan reads, is a reduction of equal elements; of few of
  // them, a few steps.
  FoldKind kind_of(const FusedPlan::Fold& fold) const {
    constexpr size_t most_steps = 12;
    auto reads_it = [&](const FusedPlan::Step& step) { return reads(step, fold.output); };
    if (kinds_[fold.input] != Kind::narrow || plan_.slots[fold.output].output < 0 || reduced_axes(plan_) != axes_ ||
        std::any_of(plan_.steps.begin(), plan_.steps.end(), reads_it) ||
        std::any_of(plan_.row_steps.begin(), plan_.row_steps.end(), reads_it)) {
      return FoldKind::wide;
    }
    Dtype from = fold.from;
    bool rounds_as_steps = from == float32 || from == float64 || from == int32 || from == int64;
    bool is_steps = rounds_as_steps && (fold.op == Reduction::sum || fold.op == Reduction::prod) &&
                    broadcast_count() <= reduce_block && tree_of(fold).steps.size() <= most_steps;
    return is_steps ? FoldKind::steps : FoldKind::equal;
  }

  bool is_narrow(size_t fold) const { return folds_[fold] != FoldKind::wide; }
  bool is_steps(size_t fold) const { return folds_[fold] == FoldKind::steps; }
  int64_t broadcast_count() const { return plan_.size / narrow_size_; }

  EqualTree tree_of(const FusedPlan::Fold& fold) const {
    return EqualTree(broadcast_count(), find_reduce_kernels(fold.op, fold.from).lanes);
  }

  // What the wide part reads, and what constants the narrow one.
  void find_reads() {
    is_read_wide_.assign(plan_.slots.size(), 0);
    is_read_narrow_.assign(plan_.slots.size(), 0);
    auto read_by = [](std::vector<uint8_t>& read, const FusedPlan::Step& step) {
      for (int k = 0; k < step.input_count; ++k) {
        read[step.inputs[k]] = 1;
      }
    };
    for (size_t i = 0; i < plan_.folds.size(); ++i) {
      (is_narrow(i) ? is_read_narrow_ : is_read_wide_)[plan_.folds[i].input] = 1;
    }
    for (const FusedPlan::Step& step : plan_.row_steps) {
      read_by(is_read_wide_, step);
    }
    for (size_t i = plan_.steps.size(); i-- > 0;) {
      const FusedPlan::Step& step = plan_.steps[i];
      bool is_constant = kinds_[step.output] == Kind::constant, has_memory = plan_.slots[step.output].output >= 0;
      if (kinds_[step.output] == Kind::wide || (is_constant && (has_memory || is_read_wide_[step.output]))) {
        read_by(is_read_wide_, step);
      }
      if (kinds_[step.output] == Kind::narrow || (is_constant && is_read_narrow_[step.output])) {
        read_by(is_read_narrow_, step);
      }
    }
  }

  static constexpr uint16_t none = 0xffff;

  // A slot of a part, and what it was in the whole.
  static uint16_t add_slot(FusedPlan& part, std::vector<uint16_t>& numbers, size_t slot, Dtype dtype) {
    numbers[slot] = static_cast<uint16_t>(part.slots.size());
    part.slots.push_back({dtype, false, -1});
    return numbers[slot];
  }

  static FusedPlan::Step renumbered(FusedPlan::Step step, const std::vector<uint16_t>& numbers) {
    std::transform(step.inputs, step.inputs + step.input_count, step.inputs, [&](uint16_t s) { return numbers[s]; });
    step.output = numbers[step.output];
    return step;
  }

  // Whether a narrow value that a step gives is to be written.
  bool goes_out(size_t slot) const {
    bool read_by_fold = false;
    for (size_t i = 0; i < plan_.folds.size(); ++i) {
      read_by_fold = read_by_fold || (plan_.folds[i].input == slot && is_narrow(i) && !is_steps(i));
    }
    return is_read_wide_[slot] || plan_.slots[slot].output >= 0 || read_by_fold;
  }

  void run_narrow(std::span<const View> sources, std::span<const View> outputs) {
    FusedPlan part;
    std::vector<View> views, given;
    std::vector<uint16_t> numbers(plan_.slots.size(), none);
    narrow_.resize(plan_.slots.size());
    part.size = narrow_size_;
    for (size_t i = 0; i < plan_.sources.size(); ++i) {
      if (is_read_narrow_[i] && kinds_[i] != Kind::wide) {
        add_slot(part, numbers, i, plan_.slots[i].dtype);
        part.sources.push_back(without_broadcast(plan_.sources[i]));
        views.push_back(sources[i]);
      }
    }
    for (const FusedPlan::Step& step : plan_.steps) {
      bool is_constant = kinds_[step.output] == Kind::constant && is_read_narrow_[step.output];
      if (kinds_[step.output] != Kind::narrow && !is_constant) {
        continue;
      }
      uint16_t slot = add_slot(part, numbers, step.output, step.to);
      part.steps.push_back(renumbered(step, numbers));
      if (!is_constant && goes_out(step.output)) {
        BufferRef memory = allocate(bytes_of(narrow_size_, step.to.size()));
        part.slots[slot].output = static_cast<int16_t>(given.size());
        given.push_back(View{memory.get(), 0, nullptr, step.to, {}, {}});
        narrow_[step.output] = given.back();
        memory_.push_back(std::move(memory));
      }
    }
    for (size_t i = 0; i < plan_.folds.size(); ++i) {
      const FusedPlan::Fold& fold = plan_.folds[i];
      if (is_steps(i)) {
        uint16_t result = add_steps(part, fold, numbers[fold.input]);
        part.slots[result].output = static_cast<int16_t>(given.size());
        given.push_back(outputs[static_cast<size_t>(plan_.slots[fold.output].output)]);
      }
    }
    part.stages.push_back({0, static_cast<uint32_t>(part.steps.size()), 0});
    if (!part.steps.empty()) {
      cpu::run(part, views, given);
    }
  }

  // The tree of a fold as steps; the slot of what comes of it.
  uint16_t add_steps(FusedPlan& part, const FusedPlan::Fold& fold, uint16_t input) const {
    EqualTree tree = tree_of(fold);
    std::vector<uint16_t> values{input};
    Body body = fold.op == Reduction::sum ? Body::add : Body::multiply;
    for (const EqualTree::Step& step : tree.steps) {
      uint16_t left = values[static_cast<size_t>(step.left)];
      uint16_t right = step.right == EqualTree::element ? input : values[static_cast<size_t>(step.right)];
      values.push_back(static_cast<uint16_t>(part.slots.size()));
      part.slots.push_back({fold.from, false, -1});
      part.steps.push_back({body, fold.from, fold.from, {left, right, 0}, 2, values.back()});
    }
    return values[static_cast<size_t>(tree.result)];
  }

  static FusedPlan::Source without_broadcast(const FusedPlan::Source& source) {
    FusedPlan::Source narrow{source.layout, {}, {}, {}};
    for (size_t d = 0; d < source.sizes.size(); ++d) {
      if (source.strides[d] != 0) {
        narrow.sizes.push_back(source.sizes[d]);
        narrow.strides.push_back(source.strides[d]);
      }
    }
    if (source.layout == FusedPlan::Layout::strided) {
      collapse(narrow.sizes, narrow.strides);
      if (core::is_row_major(narrow.sizes, narrow.strides)) {
        narrow = {FusedPlan::Layout::flat, {}, {}, {}};
      }
    }
    return narrow;
  }

  // A narrow value, broadcast.
  FusedPlan::Source broadcast() const {
    FusedPlan::Source source{FusedPlan::Layout::strided, axes_.lengths, Strides(axes_.lengths.size(), 0), {}};
    int64_t stride = 1;
    for (size_t d = axes_.lengths.size(); d-- > 0;) {
      if (!axes_.is_reduced(d)) {
        source.strides[d] = stride;
        stride *= axes_.lengths[d];
      }
    }
    return source;
  }

  void run_folds(std::span<const View> sources, std::span<const View> outputs) const {
    for (size_t i = 0; i < plan_.folds.size(); ++i) {
      const FusedPlan::Fold& fold = plan_.folds[i];
      if (!is_narrow(i) || is_steps(i)) {
        continue;
      }
      bool is_source = fold.input < plan_.sources.size();
      FusedPlan::Source from = is_source ? plan_.sources[fold.input] : broadcast();
      const View& view = is_source ? sources[fold.input] : narrow_[fold.input];
      Sizes axes;
      for (size_t d = 0; d < from.sizes.size(); ++d) {
        if (from.strides[d] == 0) {
          axes.push_back(static_cast<int64_t>(d));
        }
      }
      const View& to = outputs[static_cast<size_t>(plan_.slots[fold.output].output)];
      reduce(fold.op, fold.from, view.host(), from.sizes, from.strides, axes, to.host());
    }
  }

  void run_wide(std::span<const View> sources, std::span<const View> outputs) {
    FusedPlan part;
    std::vector<View> views;
    std::vector<uint16_t> numbers(plan_.slots.size(), none), broadcast_numbers(plan_.slots.size(), none);
    part.size = plan_.size;
    for (size_t i = 0; i < plan_.sources.size(); ++i) {
      if (is_read_wide_[i]) {
        part.slots.push_back(plan_.slots[i]);
        numbers[i] = static_cast<uint16_t>(views.size());
        part.sources.push_back(plan_.sources[i]);
        views.push_back(sources[i]);
      }
    }
    for (size_t slot = plan_.sources.size(); slot < kinds_.size(); ++slot) {
      if (kinds_[slot] == Kind::narrow && (is_read_wide_[slot] || plan_.slots[slot].output >= 0)) {
        broadcast_numbers[slot] = add_slot(part, numbers, slot, plan_.slots[slot].dtype);
        part.sources.push_back(broadcast());
        views.push_back(narrow_[slot]);
      }
    }
    for (FusedPlan::Source& source : part.sources) {
      for (FusedPlan::Piece& piece : source.pieces) {
        if (piece.view < plan_.sources.size()) {
          piece.view = numbers[piece.view];
        } else {
          views.push_back(sources[piece.view]);
          piece.view = static_cast<uint16_t>(views.size() - 1);
        }
      }
    }
    auto add_result = [&](uint16_t slot) {
      numbers[slot] = static_cast<uint16_t>(part.slots.size());
      part.slots.push_back(plan_.slots[slot]);
    };
    for (size_t stage = 0; stage < plan_.stages.size(); ++stage) {
      FusedPlan::Stage from = plan_.begin_of(stage), to = plan_.stages[stage];
      for (uint32_t i = from.row_steps; i < to.row_steps; ++i) {
        add_result(plan_.row_steps[i].output);
        part.row_steps.push_back(renumbered(plan_.row_steps[i], numbers));
      }
      for (uint32_t i = from.steps; i < to.steps; ++i) {
        const FusedPlan::Step& step = plan_.steps[i];
        bool has_memory = plan_.slots[step.output].output >= 0;
        if (kinds_[step.output] == Kind::narrow && has_memory) {
          add_result(step.output);
          part.steps.push_back(
              {Body::copy, step.to, step.to, {broadcast_numbers[step.output], 0, 0}, 1, numbers[step.output]});
        } else if (kinds_[step.output] == Kind::wide ||
                   (kinds_[step.output] == Kind::constant && (has_memory || is_read_wide_[step.output]))) {
          add_result(step.output);
          part.steps.push_back(renumbered(step, numbers));
        }
      }
      for (uint32_t i = from.folds; i < to.folds; ++i) {
        if (!is_narrow(i)) {
          add_result(plan_.folds[i].output);
          part.folds.push_back(
              {plan_.folds[i].op, plan_.folds[i].from, numbers[plan_.folds[i].input], numbers[plan_.folds[i].output]});
        }
      }
      part.stages.push_back({static_cast<uint32_t>(part.row_steps.size()), static_cast<uint32_t>(part.steps.size()),
          static_cast<uint32_t>(part.folds.size())});
    }
    auto is_of_rows = [](const FusedPlan::Slot& slot) { return slot.of_rows; };
    if (std::any_of(part.slots.begin(), part.slots.end(), is_of_rows)) {
      part.row_length = plan_.row_length;
      part.columns = plan_.columns;
    }
    if (!part.steps.empty() || !part.folds.empty() || !part.row_steps.empty()) {
      cpu::run(part, views, outputs);
    }
  }

  const FusedPlan& plan_;
  const Columns& axes_;
  int64_t narrow_size_;
  std::vector<Kind> kinds_; // of slots
  std::vector<FoldKind> folds_;
  std::vector<uint8_t> is_read_wide_, is_read_narrow_;
  std::vector<View> narrow_;      // of slots that steps give: their elements before they are broadcast
  std::vector<BufferRef> memory_; // of these
};

} // namespace

bool may_run_narrow_first(const FusedPlan& plan) {
  return plan.size >= fewest && std::none_of(plan.slots.begin(), plan.slots.end(), [](const FusedPlan::Slot& slot) {
    return slot.lines.length > 0;
  }) && std::any_of(plan.sources.begin(), plan.sources.end(), [](const FusedPlan::Source& source) {
    return source.broadcast_axes().any();
  });
}

bool run_narrow_first(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs) {
  if (!may_run_narrow_first(plan)) {
    return false;
  }
  std::vector<Columns> tried;
  for (const FusedPlan::Source& source : plan.sources) {
    Columns axes = source.broadcast_axes();
    if (!axes.any() || std::find(tried.begin(), tried.end(), axes) != tried.end()) {
      continue;
    }
    Parting parting(plan, axes);
    if (parting.pays()) {
      parting.run(sources, outputs);
      return true;
    }
    tried.push_back(std::move(axes));
  }
  return false;
}

} // namespace mlx::core::cpu
