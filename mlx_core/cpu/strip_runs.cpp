// Which steps of a plan run as strips, and what stays in which register.
#include <algorithm>

#include "mlx_core/cpu/strips.h"

namespace mlx::core::cpu {

namespace {

constexpr int32_t nothing = -1;

// Steps of a run that pays: each strip's first instructions wait for its loads, where a kernel's loop goes ahead.
constexpr uint32_t shortest_run = 8;

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

// Results beyond this many bytes leave the caches: stores to them, each waiting for its line, go better in a burst of
// their own while what is computed next does without memory. So a kernel does the step that makes them.
constexpr int64_t most_to_store = 1 << 19;

const StripTable* table_of(const FusedPlan& plan, const FusedPlan::Step& step) {
  if (step.from != step.to || step.input_count > 2) {
    return nullptr;
  }
  if (plan.slots[step.output].output >= 0 && plan.size * step.to.size() > most_to_store) {
    return nullptr;
  }
  const StripTable* table = find_strips(step.to);
  return table && table->find(step.body, StripForm::memory) ? table : nullptr;
}

} // namespace

void Strips::find(const FusedPlan& plan) {
  clear();
  size_t stage = 0;
  auto count = static_cast<uint32_t>(plan.steps.size());
  bool counted = false;
  for (uint32_t begin = 0, end; begin < count; begin = end) {
    while (plan.stages[stage].steps <= begin) {
      ++stage;
    }
    const StripTable* table = table_of(plan, plan.steps[begin]);
    end = begin + 1;
    while (table && end < plan.stages[stage].steps && table_of(plan, plan.steps[end]) == table) {
      ++end;
    }
    if (!table || end - begin < shortest_run) {
      continue;
    }
    if (!counted) {
      counted = true;
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
    add_run(plan, *table, begin, end);
  }
}

void Strips::add_run(const FusedPlan& plan, const StripTable& table, uint32_t begin, uint32_t end) {
  auto code_begin = static_cast<uint32_t>(code.size());
  // First the forms, by which reads from registers are known; then what is to be stored is, too.
  Registers registers;
  for (uint32_t i = begin; i < end; ++i) {
    const FusedPlan::Step& step = plan.steps[i];
    bool a_is_wanted = std::any_of(plan.steps.begin() + i + 1, plan.steps.begin() + end, [&](const FusedPlan::Step& s) {
      return std::any_of(s.inputs, s.inputs + s.input_count, [&](uint16_t slot) { return slot == registers.a; });
    });
    StripForm form = registers.form_of(step, a_is_wanted);
    StripStep& made = code.emplace_back();
    made.run = table.find(step.body, form);
    bool second = form == StripForm::a_memory;
    made.first = step.inputs[second ? step.input_count - 1 : 0];
    made.second = step.inputs[step.input_count - 1];
    int from = from_memory(step, form);
    for (int k = 0; k < step.input_count; ++k) {
      uint16_t slot = step.inputs[k];
      bool in_register = slot == registers.a ? from < step.input_count : from == 0;
      reads_[slot] -= in_register;
    }
    registers.follow(step, form);
  }
  // Each step's code moves down behind the stores before it.
  size_t stores = 0;
  for (uint32_t i = begin; i < end; ++i) {
    stores += reads_[plan.steps[i].output] > 0;
  }
  size_t to = code.size() + stores;
  code.resize(to + 1);
  code[to] = {table.end, 0, 0};
  for (uint32_t i = end; i-- > begin;) {
    if (reads_[plan.steps[i].output] > 0) {
      code[--to] = {table.store, plan.steps[i].output, 0};
    }
    code[--to] = code[code_begin + (i - begin)];
  }
  runs.push_back({begin, end, code_begin, &table});
}

} // namespace mlx::core::cpu
