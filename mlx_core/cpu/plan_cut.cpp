// How the space of a plan is cut: into units of whole rows or of lines, of parts of rows, or of long rows; and in which
// order sources lie along those.
#include <algorithm>
#include <numeric>
#include <optional>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

std::optional<StripOrder> order_of(int64_t stride) {
  switch (stride) {
    case 0: return StripOrder::same;
    case 1: return StripOrder::consecutive;
    case 2: return StripOrder::every_other;
    case -1: return StripOrder::reversed;
    default: return std::nullopt;
  }
}

} // namespace

void BoundPlan::cut() {
  const FusedPlan& plan = *plan_;
  // What is done once for a span is done less often for long ones; but all that is kept of one stays in the first-level
  // cache.
  constexpr size_t few_slots = 20;
  span_ = plan.slots.size() <= few_slots ? 4 * tile_size : tile_size;
  parts_ = 1;
  line_ = short_line_ = 0;
  by_values_ = false;
  if (plan.columns.any()) {
    cut_columns();
  } else if (only_folds_rows()) {
    constexpr int64_t most = 1 << 15;
    const int64_t share = std::clamp(plan.size / (4 * thread_count()), span_, most);
    cut_ = Cut::whole_rows;
    parts_ = ceil_div(plan.row_length, tile_size);
    per_unit_ = std::max<int64_t>(share / plan.row_length, 1) * plan.row_length;
    units_ = ceil_div(plan.size, per_unit_);
    row_by_row_ = false;
  } else if (plan.row_length > tile_size) {
    bool alone = plan.stages.size() == 1;
    cut_ = alone ? Cut::parts_of_rows : Cut::long_rows;
    parts_ = (plan.row_length + tile_size - 1) / tile_size;
    per_unit_ = alone ? span_ : plan.row_length;
    units_ = plan.rows() * (alone ? (plan.row_length + span_ - 1) / span_ : 1);
  } else {
    cut_ = Cut::whole_rows;
    int64_t row = std::max<int64_t>(plan.row_length, 1);
    constexpr size_t many_slots = 64; // whose tiles together leave the first-level cache
    int64_t tile = plan.slots.size() > many_slots ? tile_size / 2 : tile_size;
    row_by_row_ = pays_row_by_row(row);
    per_unit_ = row == 1 ? tile : (row_by_row_ ? span_ : tile_size) / row * row;
    units_ = plan.size <= per_unit_ ? 1 : (plan.size + per_unit_ - 1) / per_unit_;
    if (row == 1 && units_ > 1) {
      cut_at_lines();
    }
  }
  longest_ = cut_ == Cut::columns      ? tile_size
             : cut_ == Cut::whole_rows ? std::min(per_unit_, plan.size)
                                       : std::min(span_, plan.row_length);
}

// Where a source is consecutive along the last axis only, as one that is broadcast along the others, units end where
// that axis does: then it is read where it is, as are those with steps that strips have. Of short lines they are a
// whole number, so that what is broadcast is the same for all; these are brought together, which for many sources takes
// longer than beginning anew for each line.
void BoundPlan::cut_at_lines() {
  constexpr int64_t shortest = 512, shortest_of_many = 128, many_elements = 3000, aligned = 64;
  constexpr int64_t quickest_bytes = 8 * 1024; // of one operand, where lines are short
  int64_t line = 0, in_order = 0;
  for (const FusedPlan::Source& source : plan_->sources) {
    bool strided = source.layout == FusedPlan::Layout::strided && !source.sizes.empty();
    if ((strided && order_of(source.strides.back())) || source.layout == FusedPlan::Layout::pieces) {
      line = line == 0 ? source.sizes.back() : std::min(line, source.sizes.back());
      ++in_order;
    }
  }
  bool many = line >= shortest_of_many && line * in_order >= many_elements;
  by_values_ = line > 0 && line <= tile_size && pays_by_values_of_lines(line);
  if ((line >= shortest || many) && plan_->size % line == 0 && !by_values_) {
    line_ = line;
    parts_ = (line + span_ - 1) / span_;
    per_unit_ = ((line + parts_ - 1) / parts_ + 63) / 64 * 64;
    units_ = plan_->size / line * parts_;
  } else if (line > 0 && (line < shortest || by_values_)) {
    int64_t whole = line;
    while (whole % aligned != 0 && 2 * whole <= tile_size) {
      whole *= 2;
    }
    for (const FusedPlan::Source& source : plan_->sources) {
      Repeat repeat;
      if (source.layout == FusedPlan::Layout::strided) repeat.find(source, tile_size / 2);
      const int64_t both = std::lcm(whole, std::max<int64_t>(repeat.period, 1));
      whole = both <= tile_size ? both : whole;
    }
    short_line_ = by_values_ || pays_line_by_line(line) ? line : 0;
    int64_t bytes = 1;
    for (const FusedPlan::Slot& slot : plan_->slots) bytes = std::max<int64_t>(bytes, slot.dtype.size());
    bytes *= short_line_ ? 1 : in_order;
    const int64_t most = short_line_ ? std::max(span_, 2 * tile_size) : span_;
    per_unit_ = std::clamp(quickest_bytes / bytes, tile_size, most) / whole * whole;
    units_ = (plan_->size + per_unit_ - 1) / per_unit_;
  }
}

// Whether strips that go line by line, which begin anew for each and do some elements twice, are quicker than bringing
// the lines together: those of boxes in larger arrays, the neighbours of a stencil. Strips that are longer than a line
// go beyond it, where enough lines follow.
bool BoundPlan::pays_line_by_line(int64_t line) const {
  constexpr int64_t shortest = 48, strip = 64, long_enough = 128, many = 8; // elements; lines
  int64_t boxes = 0;
  for (const FusedPlan::Source& source : plan_->sources) {
    if (source.layout != FusedPlan::Layout::strided) {
      continue;
    }
    size_t rank = source.sizes.size();
    bool is_box = rank > 0 && source.sizes.back() % line == 0 && source.strides.back() == 1 &&
                  std::find(source.strides.begin(), source.strides.end(), 0) == source.strides.end();
    bool follow = is_box && rank > 1 && source.sizes.back() == line && source.sizes[rank - 2] >= many &&
                  source.strides[rank - 2] > 0;
    if (line < strip && !follow) {
      return false;
    }
    boxes += is_box;
  }
  return plan_->size % line == 0 && line >= shortest && boxes > (line < long_enough ? 1 : 0);
}

// Whether strips that go line by line read the sources that are one value for all of a line where they are; else these
// are spread over all elements.
bool BoundPlan::pays_by_values_of_lines(int64_t line) const {
  const bool any = std::any_of(plan_->steps.begin(), plan_->steps.end(), [this](const FusedPlan::Step& step) {
    return std::any_of(
        step.inputs, step.inputs + step.input_count, [this](uint16_t slot) { return is_one_of_row(slot); });
  });
  return any && plan_->size % line == 0 && pays_row_by_row(line);
}

// Whether a slot is one value for all of a row, or of a line.
bool BoundPlan::is_one_of_row(uint16_t slot) const {
  const std::vector<FusedPlan::Source>& sources = plan_->sources;
  return plan_->slots[slot].of_rows || (slot < sources.size() && sources[slot].is_one_of_line());
}

// Whether strips go through rows of this length one by one, though a unit has several: for short ones that takes longer
// than spreading the values of rows. The last elements of an odd one, which is no whole number of strips, are done
// twice.
bool BoundPlan::pays_row_by_row(int64_t row) const {
  constexpr int64_t aligned = 64, shortest = 64, shortest_odd = 96, shortest_odd_with_divisors = 256;
  if (row % aligned == 0) return row >= shortest;
  const bool divides = std::any_of(plan_->steps.begin(), plan_->steps.end(),
      [this](const FusedPlan::Step& step) { return step.body == Body::divide && is_one_of_row(step.inputs[1]); });
  return odd_rows_ && row >= (divides ? shortest_odd_with_divisors : shortest_odd);
}
bool BoundPlan::has_odd_rows() const {
  if (by_values_) return short_line_ % 64 != 0;
  return cut_ == Cut::whole_rows && plan_->row_length % 64 != 0 && per_unit_ > plan_->row_length && is_by_rows();
}

// Whether strips can go row by row: there is but one at a time, or it pays.
bool BoundPlan::is_by_rows() const {
  int64_t row = plan_->row_length;
  return row && (cut_ != Cut::whole_rows || per_unit_ == row || row_by_row_);
}

// The elements of a unit of whole rows.
BoundPlan::Span BoundPlan::span_of(int64_t unit) const {
  if (line_ > 0) {
    int64_t in_line = unit % parts_ * per_unit_;
    return {unit / parts_ * line_ + in_line, std::min(per_unit_, line_ - in_line)};
  }
  int64_t first = unit * per_unit_;
  return {first, std::min(per_unit_, plan_->size - first)};
}

// Sources that have another order along each unit.
void BoundPlan::find_orders() {
  orders_.assign(plan_->sources.size(), StripOrder::consecutive);
  bool by_columns = cut_ == Cut::columns && !columns_.gathered && !columns_.joined;
  int64_t line = by_columns ? columns_.row : is_by_rows() ? plan_->row_length : by_values_ ? short_line_ : line_;
  for (size_t i = 0; i < orders_.size(); ++i) {
    const FusedPlan::Source& source = plan_->sources[i];
    if (source.layout == FusedPlan::Layout::scalar) {
      orders_[i] = StripOrder::same;
    } else if (line > 0 && source.layout == FusedPlan::Layout::strided && !source.sizes.empty() &&
               source.sizes.back() % line == 0) {
      StripOrder order = order_of(source.strides.back()).value_or(StripOrder::consecutive);
      bool alone = cut_ == Cut::parts_of_rows || line_ > 0; // lines, which are laid out in another order
      orders_[i] = alone || order == StripOrder::same ? order : StripOrder::consecutive;
    }
  }
}

} // namespace mlx::core::cpu
