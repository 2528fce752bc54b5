// Values of long rows that later stages compute again.
#include "mlx_core/cpu/recompute.h"
#include "mlx_core/cpu/strip_steps.h"

#include <algorithm>

namespace mlx::core::cpu {

namespace {

constexpr int most_steps = 2; // that one value takes
constexpr int32_t none = -1;

bool is_quick(Body body) {
  switch (body) {
    case Body::copy:
    case Body::negative:
    case Body::add:
    case Body::subtract:
    case Body::multiply: return true;
    default: return is_comparison(body);
  }
}

class Recomputing {
 public:
  Recomputing(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs)
      : plan_(plan), result_(plan), sources_(sources), outputs_(outputs) {
    given_by_.assign(plan.slots.size(), none);
    stage_of_.assign(plan.slots.size(), 0);
    for (size_t stage = 0; stage < plan.stages.size(); ++stage) {
      for (uint32_t i = plan.begin_of(stage).steps; i < plan.stages[stage].steps; ++i) {
        given_by_[plan.steps[i].output] = static_cast<int32_t>(i);
        stage_of_[plan.steps[i].output] = stage;
      }
    }
  }

  FusedPlan result() {
    result_.steps.clear();
    for (stage_ = 0; stage_ < plan_.stages.size(); ++stage_) {
      copies_.assign(plan_.slots.size(), none);
      FusedPlan::Stage from = plan_.begin_of(stage_), to = plan_.stages[stage_];
      for (uint32_t i = from.steps; i < to.steps; ++i) {
        add(plan_.steps[i]);
      }
      for (uint32_t i = from.folds; i < to.folds; ++i) {
        result_.folds[i].input = here(plan_.folds[i].input);
      }
      result_.stages[stage_].steps = static_cast<uint32_t>(result_.steps.size());
    }
    drop_unread();
    return std::move(result_);
  }

 private:
  void add(FusedPlan::Step step) {
    std::transform(
        step.inputs, step.inputs + step.input_count, step.inputs, [this](uint16_t slot) { return here(slot); });
    result_.steps.push_back(step);
  }

  bool is_one_for_all(uint16_t slot) const {
    return plan_.slots[slot].of_rows ||
           (slot < plan_.sources.size() && plan_.sources[slot].layout == FusedPlan::Layout::scalar);
  }

  // A source may lend its memory to a result: it is there until that is written.
  bool is_there(uint16_t source) const {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      int16_t output = plan_.slots[plan_.steps[i].output].output;
      if (output >= 0 && outputs_[static_cast<size_t>(output)].buffer == sources_[source].buffer) {
        size_t written = stage_of_[plan_.steps[i].output];
        bool after_all = i + 1 == plan_.steps.size() && plan_.begin_of(written).folds == plan_.stages[written].folds;
        if (after_all ? stage_ > written : stage_ >= written) {
          return false;
        }
      }
    }
    return true;
  }

  bool has_memory(uint16_t slot) const {
    return slot < plan_.sources.size() ? is_there(slot) : plan_.slots[slot].output >= 0;
  }

  bool can_recompute(uint16_t slot, int steps) const {
    if (steps == 0 || given_by_[slot] == none) {
      return false;
    }
    const FusedPlan::Step& step = plan_.steps[static_cast<size_t>(given_by_[slot])];
    int elements = 0;
    for (int k = 0; k < step.input_count; ++k) {
      uint16_t input = step.inputs[k];
      if (!is_one_for_all(input)) {
        ++elements;
        if (!has_memory(input) && !can_recompute(input, steps - 1)) {
          return false;
        }
      }
    }
    return is_quick(step.body) && elements == 1;
  }

  // The slot that has this value for readers in this stage.
  uint16_t here(uint16_t slot) {
    bool given = given_by_[slot] != none && plan_.slots[slot].output < 0;
    if (!given || stage_of_[slot] == stage_ || !can_recompute(slot, most_steps)) {
      return slot;
    }
    if (copies_[slot] == none) {
      FusedPlan::Step step = plan_.steps[static_cast<size_t>(given_by_[slot])];
      copies_[slot] = step.output = static_cast<uint16_t>(result_.slots.size());
      FusedPlan::Slot copy = plan_.slots[slot];
      result_.slots.push_back(copy);
      add(step);
    }
    return static_cast<uint16_t>(copies_[slot]);
  }

  // What only later stages read is computed there alone.
  void drop_unread() {
    std::vector<uint8_t> is_read(result_.slots.size(), false), dropped(result_.steps.size(), false);
    for (const FusedPlan::Fold& fold : result_.folds) {
      is_read[fold.input] = true;
    }
    for (size_t i = result_.steps.size(); i-- > 0;) {
      const FusedPlan::Step& step = result_.steps[i];
      dropped[i] = !is_read[step.output] && result_.slots[step.output].output < 0;
      for (int k = 0; k < step.input_count && !dropped[i]; ++k) {
        is_read[step.inputs[k]] = true;
      }
    }
    uint32_t kept = 0;
    size_t i = 0;
    for (FusedPlan::Stage& stage : result_.stages) {
      for (; i < stage.steps; ++i) {
        if (!dropped[i]) {
          result_.steps[kept++] = result_.steps[i];
        }
      }
      stage.steps = kept;
    }
    result_.steps.resize(kept);
  }

  const FusedPlan& plan_;
  FusedPlan result_;
  std::span<const View> sources_, outputs_;
  size_t stage_ = 0;
  std::vector<int32_t> given_by_, copies_; // of each slot: the step; the slot of its copy in this stage
  std::vector<size_t> stage_of_;
};

} // namespace

FusedPlan recomputed(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs) {
  return Recomputing(plan, sources, outputs).result();
}

} // namespace mlx::core::cpu
