// Which steps of a plan run as strips, and what stays in which register.
#include <algorithm>

#include "mlx_core/cpu/reduce.h"
#include "mlx_core/cpu/strips.h"

namespace mlx::core::cpu {

namespace {

constexpr int32_t nothing = -1;

constexpr uint32_t shortest_run = 2;

// What the registers hold: slots. Tells of a step which form it takes, and follows it.
struct Registers {
  int32_t a = nothing, b = nothing;

  // `a_is_wanted`: a later step of the run reads what is in a.
  StripForm form_of(const FusedPlan::Step& step, bool a_is_wanted) const {
    int32_t x = step.inputs[0], y = step.inputs[step.input_count - 1];
    if (x == a) {
      return y == a ? StripForm::a_a : y == b ? StripForm::a_b : StripForm::a_memory;
    }
    if (y == a) {
      return x == b ? StripForm::b_a : StripForm::memory_a;
    }
    return a_is_wanted ? StripForm::memory_kept : StripForm::memory;
  }
  void follow(const FusedPlan::Step& step, StripForm form) {
    b = form == StripForm::memory_kept ? a : b;
    a = step.output;
  }
};

// How many of a step's operands come from memory.
int from_memory(const FusedPlan::Step& step, StripForm form) {
  switch (form) {
    case StripForm::memory:
    case StripForm::memory_kept: return step.input_count;
    case StripForm::a_memory:
    case StripForm::memory_a: return 1;
    default: return 0;
  }
}

const StripTable* table_of(const FusedPlan::Step& step) {
  const StripTable* table = step.input_count <= 2 ? find_strips(step.from) : nullptr;
  if (table && step.from != step.to) {
    return step.body == Body::copy && table->suits(find_strips(step.to)) ? table : nullptr;
  }
  return table && (table->find(step.body, StripForm::a_a) || table->function(step.body)) ? table : nullptr;
}

// Whether rows end where the lanes of a reduction do: a block of a longer row may end anywhere, it is alone. Of rows of
// few lanes, joining those takes long: next to each other, for all rows of a tile, less.
bool suits_fold(const FusedPlan& plan, Dtype dtype) {
  int64_t bytes = plan.row_length * std::max(dtype.size(), 4); // of lanes
  return plan.row_length > reduce_block || (bytes % StripFold::bytes == 0 && bytes >= 4 * StripFold::bytes);
}

} // namespace

void Strips::find(const FusedPlan& plan, std::span<const StripOrder> orders, bool by_rows) {
  clear();
  orders_ = orders;
  by_rows_ = by_rows;
  row_of_step.assign(plan.steps.size(), nothing);
  size_t stage = 0;
  auto count = static_cast<uint32_t>(plan.steps.size());
  bool counted = false;
  for (uint32_t begin = 0, end; begin < count; begin = end) {
    while (plan.stages[stage].steps <= begin) {
      ++stage;
    }
    const StripTable* table = table_of(plan.steps[begin]);
    end = begin + 1;
    while (table && end < plan.stages[stage].steps && table->suits(table_of(plan.steps[end]))) {
      ++end;
    }
    if (!table) {
      continue;
    }
    if (!counted) {
      counted = true;
      count_reads(plan);
    }
    bool has_row = std::any_of(plan.steps.begin() + begin, plan.steps.begin() + end,
        [&](const FusedPlan::Step& step) { return row_of(plan, step) != nothing; });
    if (take_folds(plan, stage, begin, end) || has_row || end - begin >= shortest_run) {
      add_run(plan, *table, begin, end);
    }
  }
}

void Strips::count_reads(const FusedPlan& plan) {
  folds.assign(plan.folds.size(), false);
  reads_.assign(plan.slots.size(), 0);
  for (size_t i = 0; i < plan.slots.size(); ++i) {
    reads_[i] = plan.slots[i].output >= 0;
  }
  for (const auto* steps : {&plan.steps, &plan.row_steps}) {
    for (const FusedPlan::Step& step : *steps) {
      std::for_each(step.inputs, step.inputs + step.input_count, [&](uint16_t slot) { ++reads_[slot]; });
    }
  }
  for (const FusedPlan::Fold& fold : plan.folds) {
    ++reads_[fold.input];
  }
}

// The stage's reductions of what the run gives become part of it.
bool Strips::take_folds(const FusedPlan& plan, size_t stage, uint32_t begin, uint32_t end) {
  bool any = false;
  for (uint32_t i = plan.begin_of(stage).folds; i < plan.stages[stage].folds; ++i) {
    const FusedPlan::Fold& fold = plan.folds[i];
    bool given = std::any_of(plan.steps.begin() + begin, plan.steps.begin() + end,
        [&](const FusedPlan::Step& step) { return step.output == fold.input; });
    if (given && find_strips(fold.from)->find_fold(fold.op) && !plan.columns.any() && suits_fold(plan, fold.from)) {
      folds[i] = any = true;
      --reads_[fold.input];
    }
  }
  return any;
}

// Sources that no step before this run's reads.
void Strips::lay_out(const FusedPlan& plan, uint32_t begin, uint32_t end) {
  for (uint16_t source = 0; source < orders_.size(); ++source) {
    if (orders_[source] == StripOrder::consecutive || orders_[source] == StripOrder::same) {
      continue;
    }
    auto reads = [=](const FusedPlan::Step& step) {
      return std::find(step.inputs, step.inputs + step.input_count, source) != step.inputs + step.input_count;
    };
    auto first = std::find_if(plan.steps.begin(), plan.steps.end(), reads) - plan.steps.begin();
    bool is_folded = std::any_of(
        plan.folds.begin(), plan.folds.end(), [=](const FusedPlan::Fold& fold) { return fold.input == source; });
    if (first >= begin && first < end && !is_folded && find_strips(plan.slots[source].dtype)->every_other) {
      const StripTable& table = *find_strips(plan.slots[source].dtype);
      bool other = orders_[source] == StripOrder::every_other;
      auto memory = static_cast<uint16_t>(plan.slots.size() + plan.folds.size() + source);
      code.push_back({other ? table.every_other : table.reversed, memory, source});
      ordered.push_back(source);
    }
  }
}

// The operand that is one value for a row or a line, where the other one is not and strips have the body with one of
// it.
int32_t Strips::row_of(const FusedPlan& plan, const FusedPlan::Step& step) const {
  auto is_one = [&](uint16_t slot) {
    return slot < orders_.size() && !plan.slots[slot].of_rows ? orders_[slot] == StripOrder::same
                                                              : by_rows_ && plan.slots[slot].of_rows;
  };
  bool first = is_one(step.inputs[0]);
  if (step.input_count != 2 || first == is_one(step.inputs[1])) {
    return nothing;
  }
  return find_strips(step.from)->find_row(step.body, first) ? step.inputs[first ? 0 : 1] : nothing;
}

// The steps of a run, and which of them read the value of a row where it is.
void Strips::find_rows(const FusedPlan& plan, uint32_t begin, uint32_t end) {
  steps_.assign(plan.steps.begin() + begin, plan.steps.begin() + end);
  for (uint32_t i = begin; i < end; ++i) {
    FusedPlan::Step& step = steps_[i - begin];
    if (int32_t slot = row_of(plan, step); slot != nothing) {
      row_of_step[i] = slot;
      rows.push_back(static_cast<uint16_t>(slot));
      --reads_[static_cast<size_t>(slot)];
      step.inputs[0] = step.inputs[step.inputs[0] == slot ? 1 : 0];
      step.input_count = 1;
    }
  }
}

void Strips::add_run(const FusedPlan& plan, const StripTable& table, uint32_t begin, uint32_t end) {
  auto code_begin = static_cast<uint32_t>(code.size()), slots_begin = static_cast<uint32_t>(slots.size());
  auto rows_begin = static_cast<uint32_t>(rows.size());
  find_rows(plan, begin, end);
  // First the forms, by which reads from registers are known; then what is to be stored is, too.
  Registers registers;
  forms_.clear();
  for (auto at = steps_.begin(); at != steps_.end(); ++at) {
    const FusedPlan::Step& step = *at;
    bool a_is_wanted = std::any_of(at + 1, steps_.end(), [&](const FusedPlan::Step& s) {
      return std::any_of(s.inputs, s.inputs + s.input_count, [&](uint16_t slot) { return slot == registers.a; });
    });
    StripForm form = forms_.emplace_back(registers.form_of(step, a_is_wanted));
    int from = from_memory(step, form);
    for (int k = 0; k < step.input_count; ++k) {
      uint16_t slot = step.inputs[k];
      bool in_register = slot == registers.a ? from < step.input_count : from == 0;
      reads_[slot] -= in_register;
      if (!in_register && std::find(slots.begin() + slots_begin, slots.end(), slot) == slots.end()) {
        slots.push_back(slot);
      }
    }
    registers.follow(step, form);
  }
  auto stored = static_cast<uint32_t>(slots.size()), ordered_begin = static_cast<uint32_t>(ordered.size());
  lay_out(plan, begin, end);
  for (uint32_t i = begin; i < end; ++i) {
    const FusedPlan::Step& step = steps_[i - begin];
    StripForm form = forms_[i - begin];
    uint16_t first = step.inputs[form == StripForm::a_memory ? step.input_count - 1 : 0];
    uint16_t second = step.inputs[step.input_count - 1];
    const StripTable &from = *find_strips(step.from), &to = *find_strips(step.to);
    bool is_cast = step.from != step.to, by_row = row_of_step[i] != nothing;
    StripFunction run = is_cast || by_row ? nullptr : from.find(step.body, form);
    if (!run && form != StripForm::a_a) { // what works on a alone
      code.push_back({from.find(Body::copy, form), first, second});
    }
    if (run) {
      code.push_back({run, first, second});
    } else if (by_row) {
      auto slot = static_cast<uint16_t>(row_of_step[i]);
      bool comes_first = plan.steps[i].inputs[0] == slot;
      code.push_back({from.find_row(step.body, comes_first), static_cast<uint16_t>(place_of_row(plan, slot)), 0});
    } else {
      if (!is_cast) {
        code.push_back({from.function(step.body), 0, 0});
      }
      if (to.round) {
        code.push_back({to.round, 0, 0});
      }
    }
    if (reads_[step.output] > 0) {
      code.push_back({to.store, step.output, 0});
      slots.push_back(step.output);
    }
    for (size_t k = 0; k < folds.size(); ++k) {
      if (folds[k] && plan.folds[k].input == step.output) {
        code.push_back({to.find_fold(plan.folds[k].op), static_cast<uint16_t>(plan.slots.size() + k), 0});
      }
    }
  }
  code.push_back({table.end, 0, 0});
  runs.push_back({begin, end, code_begin, slots_begin, stored, static_cast<uint32_t>(slots.size()), ordered_begin,
      static_cast<uint32_t>(ordered.size()), rows_begin, static_cast<uint32_t>(rows.size()), &table});
}

} // namespace mlx::core::cpu
