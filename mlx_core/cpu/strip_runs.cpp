// Which steps of a plan run as strips, and what stays in which register.
#include <algorithm>
#include <limits>
#include <utility>

#include "mlx_core/cpu/reduce.h"
#include "mlx_core/cpu/strip_steps.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t worth_preparing = 384; // elements for a divisor
constexpr int shortest_run = 2;          // steps, but for selections by bytes: alone with another one they gain nothing

// What the registers hold: slots. Tells of a step which form it takes.
struct Registers {
  int32_t a = nothing, b = nothing;

  StripForm form_of(const FusedPlan::Step& step) const {
    int32_t x = step.inputs[0], y = step.inputs[step.input_count - 1];
    if (x == a) {
      return y == a ? StripForm::a_a : y == b ? StripForm::a_b : StripForm::a_memory;
    }
    if (y == a) {
      return x == b ? StripForm::b_a : StripForm::memory_a;
    }
    return StripForm::memory;
  }
};

// How many of a step's operands come from memory.
int from_memory(const FusedPlan::Step& step, StripForm form) {
  switch (form) {
    case StripForm::memory: return step.input_count;
    case StripForm::a_memory:
    case StripForm::memory_a: return 1;
    default: return 0;
  }
}

// Strips of float16 as it is, if all steps that have to do with it are there, and nothing reduces it.
const StripTable* float16_strips_of(const FusedPlan& plan) {
  const StripTable* table = find_float16_strips();
  auto suits = [table](const FusedPlan::Step& step) {
    bool casts = step.body == Body::copy && step.from != step.to && step.from != bool_;
    bool concerned = step.from == float16 || step.to == float16;
    return !concerned ||
           (!casts && (step.from == bool_ || is_ternary(step) || table->find(plain(step.body), StripForm::a_a)));
  };
  bool any = table && std::any_of(plan.steps.begin(), plan.steps.end(),
                          [](const FusedPlan::Step& step) { return step.to == float16; });
  return any && std::all_of(plan.steps.begin(), plan.steps.end(), suits) &&
                 std::none_of(plan.folds.begin(), plan.folds.end(),
                     [](const FusedPlan::Fold& fold) { return fold.from == float16; })
             ? table
             : nullptr;
}

// Whether rows end where the lanes of a reduction do: a block of a longer row may end anywhere, it is alone. Of rows of
// few lanes, joining those takes long: next to each other, for all rows of a tile, less.
bool suits_fold(const FusedPlan& plan, Dtype dtype) {
  int64_t bytes = plan.row_length * std::max(dtype.size(), 4); // of lanes
  return plan.row_length > reduce_block || (bytes % StripFold::bytes == 0 && bytes >= 4 * StripFold::bytes);
}

} // namespace

void Strips::find(
    const FusedPlan& plan, std::span<const StripOrder> orders, bool by_rows, int64_t line, FetchAhead ahead) {
  clear();
  orders_ = orders;
  by_rows_ = by_rows;
  prepares_divisors_ = line == 0 || line >= worth_preparing;
  ahead_ = ahead;
  float16_ = float16_strips_of(plan);
  row_of_step.assign(plan.steps.size(), nothing);
  one_strip.assign(plan.steps.size(), 0);
  compares.assign(plan.steps.size(), nothing);
  size_t stage = 0;
  auto count = static_cast<uint32_t>(plan.steps.size());
  bool counted = false;
  masks_.assign(plan.slots.size(), 0);
  for (uint32_t begin = 0, end; begin < count; begin = end) {
    while (plan.stages[stage].steps <= begin) {
      ++stage;
    }
    const StripTable* table = table_of(plan.steps[begin], nullptr);
    auto stored = [&](uint16_t slot) { // by the run, narrow: a load right after it would wait
      return std::any_of(plan.steps.begin() + begin, plan.steps.begin() + end,
          [&](const FusedPlan::Step& step) { return step.output == slot && narrows(step); });
    };
    for (end = begin; table && end < plan.stages[stage].steps && table->suits(table_of(plan.steps[end], table)) &&
                      !stored(plan.steps[end].inputs[0]);
        ++end) {
      uint16_t slot = plan.steps[end].output;
      masks_[slot] = plan.slots[slot].output < 0 ? bytes_of_mask(plan.steps[end]) : 0;
    }
    uint32_t looked_at = end;
    end = end_of_private(plan, begin, end);
    for (uint32_t i = end; i < looked_at; ++i) {
      masks_[plan.steps[i].output] = 0;
    }
    if (end == begin) {
      end = begin + 1;
      continue;
    }
    if (!counted) {
      counted = true;
      count_reads(plan);
    }
    bool has_row = std::any_of(plan.steps.begin() + begin, plan.steps.begin() + end, [&](const FusedPlan::Step& step) {
      int32_t slot = row_of(plan, step);
      return slot != nothing && (step.body == Body::divide || !is_scalar(plan, slot)); // other kernels are as quick
    });
    auto counts = std::count_if(plan.steps.begin() + begin, plan.steps.begin() + end,
        [&](const FusedPlan::Step& step) { return step.body != Body::select || is_mask(step.inputs[0]); });
    if (counts > 0 && (take_folds(plan, stage, begin, end) || has_row || counts >= shortest_run)) {
      add_run(plan, *table, begin, end);
    }
  }
}

// Whether a step makes numbers of integers, or of bools that are no masks: they are in memory.
bool Strips::loads(const FusedPlan::Step& step) const {
  const StripTable* to = step.body == Body::copy && !step.from.is_inexact() ? table_of(step.to) : nullptr;
  return to && !is_mask(step.inputs[0]) && to->find_load(step.from);
}

// Whether a step makes narrow integers, which are never in registers: they are stored as soon as they are made.
bool Strips::narrows(const FusedPlan::Step& step) const {
  const StripTable* from = step.body == Body::copy ? table_of(step.from) : nullptr;
  return from && from->find_store(step.to);
}

// Whether a step makes numbers in registers of others there: between floats, which are rounded, between integers, whose
// bits are the same, or from one to the other.
bool Strips::casts(const FusedPlan::Step& step) const {
  const StripTable *from = table_of(step.from), *to = table_of(step.to);
  return step.body == Body::copy && from->suits(to) &&
         (step.from.is_inexact() == step.to.is_inexact() || to->find_cast(step.from));
}

// The table that has a step, in a run of that one's registers.
const StripTable* Strips::table_of(const FusedPlan::Step& step, const StripTable* run) const {
  if (loads(step)) {
    return table_of(step.to);
  }
  if (is_of_bools(step)) {
    bool of_masks = is_mask(step.inputs[0]) || is_mask(step.inputs[step.input_count - 1]);
    bool fits = run && of_masks && (gives_bools(step) || run->suits(table_of(step.to)));
    return fits && run->find_of_masks(step.body, StripForm::a_a) ? run : nullptr;
  }
  const StripTable* table = table_of(step.from);
  if (!table || is_ternary(step)) {
    return table && (step.body == Body::select || table->find_share(SelectForm::memory)) ? table : nullptr;
  }
  if (step.from != step.to && !(is_comparison(step.body) && gives_bools(step))) {
    return casts(step) || narrows(step) ? table : nullptr;
  }
  bool any = step.input_count <= 2 && (table->find(plain(step.body), StripForm::a_a) || table->function(step.body));
  return any ? table : nullptr;
}

// Whether a step connects a mask with bools that are none.
bool Strips::reads_bytes(const FusedPlan::Step& step) const {
  return is_of_bools(step) && step.input_count == 2 && is_mask(step.inputs[0]) != is_mask(step.inputs[1]);
}

// What an element of the bools takes that a step of a run gives.
uint8_t Strips::bytes_of_mask(const FusedPlan::Step& step) const {
  const int least = float16_ && step.from == float16 ? 2 : 4; // others of 16 bits are wider in registers
  return !gives_bools(step)  ? 0
         : is_of_bools(step) ? std::max(masks_[step.inputs[0]], masks_[step.inputs[step.input_count - 1]])
                             : static_cast<uint8_t>(std::max(step.from.size(), least));
}

// Where a run ends at the latest, so that the bools that it gives are read within it and nowhere else, or are results
// that nobody reads. Those of the steps after it are none of its lanes.
uint32_t Strips::end_of_private(const FusedPlan& plan, uint32_t begin, uint32_t end) const {
  auto is_private = [&](uint32_t i) {
    uint16_t slot = plan.steps[i].output;
    auto is_read = [slot](const FusedPlan::Step& step) { return reads(step, slot); };
    const uint32_t first = plan.slots[slot].output < 0 ? end : i;
    return std::none_of(plan.steps.begin() + first, plan.steps.end(), is_read) &&
           std::none_of(plan.folds.begin(), plan.folds.end(),
               [slot](const FusedPlan::Fold& fold) { return fold.input == slot; });
  };
  for (uint32_t i = begin; i < end; ++i) {
    if (gives_bools(plan.steps[i]) && !is_private(i)) {
      return end_of_private(plan, begin, i);
    }
  }
  return end;
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
    const StripTable* table = table_of(fold.from);
    if (given && table && table->find_fold(fold.op) && !plan.columns.any() && suits_fold(plan, fold.from)) {
      folds[i] = any = true;
      --reads_[fold.input];
    }
  }
  return any;
}

// Sources that no step before this run's reads. Those of wide strips are of one dtype.
void Strips::lay_out(const FusedPlan& plan, uint32_t begin, uint32_t end, const StripTable* wide) {
  for (uint16_t source = 0; source < orders_.size(); ++source) {
    bool in_order = orders_[source] == StripOrder::consecutive || orders_[source] == StripOrder::same;
    if (in_order || !table_of(plan.slots[source].dtype)) {
      continue;
    }
    auto is_read = [=](const FusedPlan::Step& step) { return reads(step, source); };
    auto first = std::find_if(plan.steps.begin(), plan.steps.end(), is_read) - plan.steps.begin();
    bool is_folded = std::any_of(
        plan.folds.begin(), plan.folds.end(), [=](const FusedPlan::Fold& fold) { return fold.input == source; });
    if (first >= begin && first < end && !is_folded && table_of(plan.slots[source].dtype)->every_other) {
      const StripTable& table = wide ? *wide : *table_of(plan.slots[source].dtype);
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
  if (step.input_count != 2 || is_of_bools(step) || first == is_one(step.inputs[1])) {
    return nothing;
  }
  return table_of(step.from)->find_row(plain(step.body), first, StripForm::a_a) ? step.inputs[first ? 0 : 1] : nothing;
}

// The steps of a run, and which of them read the value of a row where it is.
void Strips::find_rows(const FusedPlan& plan, uint32_t begin, uint32_t end) {
  steps_.assign(plan.steps.begin() + begin, plan.steps.begin() + end);
  size_t rows_begin = rows.size();
  for (uint32_t i = begin; i < end; ++i) {
    FusedPlan::Step& step = steps_[i - begin];
    if (is_turned(step.body)) {
      step.body = turned(step.body);
      std::swap(step.inputs[0], step.inputs[1]);
    }
    if (int32_t slot = row_of(plan, step); slot != nothing) {
      row_of_step[i] = slot;
      std::vector<StripRow>& list = is_scalar(plan, slot) ? scalars : rows;
      auto known = std::find_if(list.begin() + static_cast<int64_t>(&list == &rows ? rows_begin : 0), list.end(),
          [=](const StripRow& row) { return row.slot == slot; });
      StripRow& row = known != list.end() ? *known : list.emplace_back(static_cast<uint16_t>(slot), false);
      row.divides |= step.body == Body::divide && slot == step.inputs[1] && is_prepared(plan, slot);
      --reads_[static_cast<size_t>(slot)];
      step.inputs[0] = step.inputs[step.inputs[0] == slot ? 1 : 0];
      step.input_count = 1;
    }
  }
}

// Whether a value of rows that divides is: else strips go on from row to row, but divide as they do by elements.
bool Strips::is_prepared(const FusedPlan& plan, int32_t slot) const {
  return prepares_divisors_ || is_scalar(plan, slot) ||
         !table_of(plan.slots[static_cast<size_t>(slot)].dtype)->find_quotient;
}

bool Strips::reads_one(const FusedPlan& plan, size_t step, uint16_t slot) const {
  if (row_of_step.empty() || row_of_step[step] == slot) {
    return !row_of_step.empty();
  }
  const FusedPlan::Step& s = plan.steps[step];
  for (int k = compares[step] != nothing ? 1 : 0; k < s.input_count; ++k) { // without a condition that it finds itself
    if (s.inputs[k] == slot && !(one_strip[step] & (1 << k >> 1))) {
      return false;
    }
  }
  return true;
}

void Strips::read_slot(uint16_t slot) {
  if (!std::exchange(is_listed_[slot], true)) {
    slots.push_back(slot);
  }
}

// The wide strips of a run, if they have all of its steps, in the forms that are known by now: at first all in place.
const StripTable* Strips::wide_of(const FusedPlan& plan, const StripTable& table, uint32_t begin, uint32_t end) const {
  const StripTable* wide = find_wide_strips(plan.steps[begin].from);
  // Lines that are no whole number of these strips begin anywhere in memory, and stores of eight vectors then wait.
  auto is_cut = [=](const FusedPlan::Source& source) {
    return source.layout == FusedPlan::Layout::strided && !source.sizes.empty() &&
           source.sizes.back() % wide->elements != 0;
  };
  if (!wide || plan.columns.any() || (by_rows_ && plan.row_length % wide->elements != 0) ||
      std::any_of(plan.sources.begin(), plan.sources.end(), is_cut)) {
    return nullptr;
  }
  for (uint32_t i = begin; i < end; ++i) {
    const FusedPlan::Step &step = plan.steps[i], &rest = steps_[i - begin];
    const StripForm form = forms_[i - begin];
    bool by_row = row_of_step[i] != nothing, is_first = by_row && comes_first(step, row_of_step[i]);
    bool folds_fit = true;
    for (size_t k = 0; k < plan.folds.size(); ++k) {
      folds_fit &= plan.folds[k].input != step.output ||
                   (has_fold(k) && plan.row_length % wide->elements == 0 && wide->find_fold(plan.folds[k].op));
    }
    bool fits = table_of(step.from) == &table && step.from == step.to && folds_fit && !keeps_[i - begin] &&
                (by_row ? wide->find_row(step.body, is_first, form) : wide->find(rest.body, form));
    if (!fits) {
      return nullptr;
    }
  }
  return wide;
}

// Behind the last step, what the next unit reads of all flat sources; elsewhere those that the steps from `begin` on
// are the first to read, and results.
void Strips::fetch_ahead(const FusedPlan& plan, const StripTable& table, uint32_t begin) {
  const bool of_next_unit = begin == plan.steps.size();
  const int size = plan.slots[plan.steps.back().output].dtype.size();
  const int64_t lines = (of_next_unit ? ahead_.next_unit * size : fetch_ahead_bytes) / cache_line;
  const auto is_wanted = [&](uint16_t slot) {
    if (slot >= plan.sources.size()) {
      return !of_next_unit && ahead_.results && plan.slots[slot].output >= 0 && !plan.slots[slot].of_rows;
    }
    const auto reads_it = [=](const FusedPlan::Step& step) { return reads(step, slot); };
    const bool is_new = is_listed_[slot] && std::none_of(plan.steps.begin(), plan.steps.begin() + begin, reads_it);
    return plan.sources[slot].layout == FusedPlan::Layout::flat && (of_next_unit || is_new);
  };
  if (!table.fetch || lines > std::numeric_limits<uint16_t>::max()) {
    return;
  }
  for (uint16_t slot = 0; slot < plan.slots.size(); ++slot) {
    if (plan.slots[slot].dtype.size() == size && is_wanted(slot)) {
      code.push_back({table.fetch, slot, static_cast<uint16_t>(lines)});
    }
  }
}

void Strips::add_run(const FusedPlan& plan, const StripTable& usual, uint32_t begin, uint32_t end) {
  auto code_begin = static_cast<uint32_t>(code.size()), slots_begin = static_cast<uint32_t>(slots.size());
  auto rows_begin = static_cast<uint32_t>(rows.size());
  find_rows(plan, begin, end);
  taken_.assign(steps_.size(), false);
  choices_.resize(steps_.size());
  take_comparisons(plan, begin, end);
  take_counts(begin, end);
  is_listed_.assign(plan.slots.size(), false);
  last_read_.assign(plan.slots.size(), nothing);
  for (size_t i = 0; i < steps_.size(); ++i) {
    auto read = [&](const FusedPlan::Step& step) {
      std::for_each_n(
          step.inputs, step.input_count, [&](uint16_t slot) { last_read_[slot] = static_cast<int32_t>(i); });
    };
    read(steps_[i]);
    if (int32_t comparison = compares[begin + i]; comparison != nothing) {
      read(steps_[static_cast<size_t>(comparison) - begin]);
    }
  }
  // First the forms, by which reads from registers are known; then what is to be stored is, too.
  Registers registers;
  keeps_.assign(steps_.size(), false);
  forms_.assign(steps_.size(), StripForm::a_a);
  const bool may_be_wide = wide_of(plan, usual, begin, end) != nullptr;
  forms_.clear();
  selects_.clear();
  for (auto at = steps_.begin(); at != steps_.end(); ++at) {
    const FusedPlan::Step& step = *at;
    selects_.push_back(SelectForm::memory);
    const auto number = static_cast<uint32_t>(at - steps_.begin());
    auto is_wanted = [&](int32_t slot) { // later
      return slot != nothing && last_read_[static_cast<size_t>(slot)] > static_cast<int32_t>(number);
    };
    if (taken_[number]) {
      forms_.push_back(StripForm::memory);
      continue;
    }
    if (is_ternary(step)) {
      SelectForm& form = selects_.back();
      if (compares[begin + number] != nothing) {
        add_choice(plan, begin, begin + number, registers.a, registers.b);
        form = choices_[number].form;
      } else {
        form = add_select(step, registers.a);
        for (int k = 1; k < 3; ++k) {
          one_strip[begin + number] |= is_scalar(plan, step.inputs[k]) ? k : 0;
        }
      }
      keeps_[number] = form == SelectForm::memory && is_wanted(registers.a);
      registers.b = keeps_[number] ? registers.a : registers.b;
      registers.a = step.output;
      forms_.push_back(StripForm::memory);
      continue;
    }
    if (reads_bytes(step)) { // which become a, and a mask that is there b: the order does not matter
      if (is_mask(step.inputs[0])) {
        std::swap(at->inputs[0], at->inputs[1]);
      }
      const bool in_a = step.inputs[1] == registers.a;
      read_slot(step.inputs[0]);
      in_a ? static_cast<void>(--reads_[step.inputs[1]]) : read_slot(step.inputs[1]);
      keeps_[number] = in_a || is_wanted(registers.a);
      registers = {step.output, keeps_[number] ? registers.a : registers.b};
      forms_.push_back(in_a ? StripForm::a_b : StripForm::a_memory);
      continue;
    }
    StripForm form = forms_.emplace_back(registers.form_of(step));
    if (is_wanted(registers.a)) {
      keeps_[number] =
          form == StripForm::memory || (!may_be_wide && !is_wanted(registers.b) && form != StripForm::a_b &&
                                           form != StripForm::b_a && pays_to_keep(begin, number, registers.a));
    }
    int from = from_memory(step, form);
    for (int k = 0; k < step.input_count; ++k) {
      uint16_t slot = step.inputs[k];
      bool in_register = slot == registers.a ? from < step.input_count : from == 0;
      reads_[slot] -= in_register;
      if (!in_register) {
        read_slot(slot);
      }
    }
    registers.b = keeps_[number] ? registers.a : registers.b;
    registers.a = narrows(step) ? step.inputs[0] : step.output;
  }
  auto stored = static_cast<uint32_t>(slots.size()), ordered_begin = static_cast<uint32_t>(ordered.size());
  const StripTable* wide = wide_of(plan, usual, begin, end);
  lay_out(plan, begin, end, wide);
  const StripTable& table = wide ? *wide : usual;
  const auto takes_long = [&](const FusedPlan::Step& step) {
    return usual.function(step.body) || step.from.size() < 4;
  };
  if (wide ? ahead_.within_cheapest : ahead_.within && std::none_of(steps_.begin(), steps_.end(), takes_long)) {
    fetch_ahead(plan, table, begin);
  }
  for (uint32_t i = begin; i < end; ++i) {
    if (taken_[i - begin]) {
      continue;
    }
    const FusedPlan::Step& step = steps_[i - begin];
    StripForm form = forms_[i - begin];
    uint16_t first = step.inputs[form == StripForm::a_memory ? step.input_count - 1 : 0];
    uint16_t second = step.inputs[step.input_count - 1];
    bool is_cast = step.body == Body::copy && step.from != step.to && !is_of_bools(step);
    bool by_row = row_of_step[i] != nothing, selects = is_ternary(step);
    bool is_load = loads(step), is_narrow = narrows(step);
    if (keeps_[i - begin]) {
      code.push_back({table.keep, 0, 0});
    }
    if (reads_bytes(step)) {
      code.push_back({table.load_bools, step.inputs[0], 0});
    }
    const StripTable& from = wide || is_load || is_of_bools(step) ? table : *table_of(step.from);
    const StripTable& to = wide || gives_bools(step) || is_narrow ? table : *table_of(step.to);
    StripFunction run = is_load                        ? to.find_load(step.from)
                        : is_cast || by_row || selects ? nullptr
                        : is_of_bools(step)            ? to.find_of_masks(step.body, form)
                                                       : from.find(step.body, form);
    if (!run && !by_row && !selects && form != StripForm::a_a) { // what works on a alone
      code.push_back({from.find(Body::copy, form), first, second});
    }
    const bool is_a = step.body == Body::copy && step.from == step.to && form == StripForm::a_a && !gives_bools(step);
    if (is_a) {
      // it is there
    } else if (run) {
      code.push_back({run, first, second});
      if (is_load && to.round) {
        code.push_back({to.round, 0, 0});
      }
    } else if (compares[i] != nothing) {
      const Choice& choice = choices_[i - begin];
      code.push_back({table_of(plan.steps[static_cast<size_t>(compares[i])].from)
                          ->find_choice(choice.comparison, choice.with_row, choice.form),
          choice.compared[0], choice.compared[1]});
      code.push_back({nullptr, choice.chosen[0], choice.chosen[1], choice.one_strip});
    } else if (selects) {
      StripFunction choose = step.body == Body::share ? from.find_share(selects_[i - begin])
                                                      : from.find_select(selects_[i - begin], !is_mask(step.inputs[0]));
      code.push_back({choose, step.inputs[0], step.inputs[1]});
      code.push_back({nullptr, step.inputs[2], one_strip[i]});
    } else if (by_row) {
      auto slot = static_cast<uint16_t>(row_of_step[i]);
      bool is_first = comes_first(plan.steps[i], slot);
      const bool as_it_is = step.body == Body::divide && !is_first && !is_prepared(plan, slot);
      code.push_back({as_it_is ? from.find_quotient(form) : from.find_row(step.body, is_first, form),
          static_cast<uint16_t>(place_of_row(plan, slot)), first});
    } else {
      if (StripFunction f = is_cast ? to.find_cast(step.from) : from.function(step.body); f && !is_narrow) {
        code.push_back({f, 0, 0});
      }
      if (to.round && !is_narrow) {
        code.push_back({to.round, 0, 0});
      }
    }
    if (reads_[step.output] > 0) {
      code.push_back({is_narrow              ? from.find_store(step.to)
                      : !gives_bools(step)   ? to.store
                      : is_mask(step.output) ? table.store_mask
                                             : table.store_bools,
          step.output, 0});
      slots.push_back(step.output);
    }
    for (size_t k = 0; k < folds.size(); ++k) {
      if (folds[k] && plan.folds[k].input == step.output) {
        code.push_back({to.find_fold(plan.folds[k].op), static_cast<uint16_t>(plan.slots.size() + k), 0});
      }
    }
  }
  if (ahead_.next_unit > 0 && end == plan.steps.size()) {
    fetch_ahead(plan, table, end);
  }
  code.push_back({table.end, 0, 0});
  runs.push_back({begin, end, code_begin, slots_begin, stored, static_cast<uint32_t>(slots.size()), ordered_begin,
      static_cast<uint32_t>(ordered.size()), rows_begin, static_cast<uint32_t>(rows.size()), &table});
}

} // namespace mlx::core::cpu
