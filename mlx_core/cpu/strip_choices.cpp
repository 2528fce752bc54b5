// Selections in a run of strips: what of them is in registers, and comparisons that they do by themselves.
#include <algorithm>
#include <utility>

#include "mlx_core/cpu/strip_steps.h"

namespace mlx::core::cpu {

// Which operand is in a.
SelectForm Strips::add_select(const FusedPlan::Step& step, int32_t a) {
  const uint16_t* in = step.inputs;
  SelectForm form = in[0] == a   ? SelectForm::condition_in_a
                    : in[1] == a ? SelectForm::first_in_a
                    : in[2] == a ? SelectForm::second_in_a
                                 : SelectForm::memory;
  for (int k = 0; k < 3; ++k) {
    if (k + 1 == static_cast<int>(form)) {
      --reads_[in[k]];
    } else {
      read_slot(in[k]);
    }
  }
  return form;
}

// Whether a, which a step reads and writes over, is then read by just one more step, with what in-place steps make of
// the result: then it need not be in memory.
bool Strips::pays_to_keep(uint32_t begin, uint32_t number, int32_t a) const {
  const FusedPlan::Step& step = steps_[number];
  const auto slot = static_cast<uint16_t>(a);
  const auto left = reads_[slot] - std::count(step.inputs, step.inputs + step.input_count, slot);
  uint16_t result = step.output;
  for (uint32_t k = number + 1; k < steps_.size(); ++k) {
    const FusedPlan::Step& next = steps_[k];
    if (taken_[k]) {
      continue;
    }
    if (int32_t i = compares[begin + k]; i != nothing) { // a comparison of it with a value, and a choice from the two
      const FusedPlan::Step& comparison = steps_[static_cast<size_t>(i) - begin];
      return left == 2 && comparison.input_count == 1 && comparison.inputs[0] == slot && reads(next, slot) &&
             reads(next, result);
    }
    if (is_ternary(next) || !reads(next, result)) {
      return false;
    }
    if (next.input_count == 2) {
      return left == 1 && reads(next, slot);
    }
    result = next.output;
  }
  return false;
}

// Comparisons of which nothing is wanted but the selections that they decide are part of each of those: what they
// compare is then read later, and must not have been written over.
void Strips::take_comparisons(const FusedPlan& plan, uint32_t begin, uint32_t end) {
  for (uint32_t i = begin; i < end; ++i) {
    const FusedPlan::Step& comparison = plan.steps[i];
    bool by_row = row_of_step[i] != nothing;
    if (!is_comparison(comparison.body) || !is_mask(comparison.output) ||
        !table_of(comparison.from)->find_choice(Body::equal, by_row, SelectForm::memory)) {
      continue;
    }
    uint16_t readers = 0;
    bool fits = true, writes = false;
    for (uint32_t k = i + 1; k < end; ++k) {
      const FusedPlan::Step& step = plan.steps[k];
      if (reads(step, comparison.output)) {
        const bool alike = step.from == comparison.from || std::min(step.from.size(), comparison.from.size()) >= 4;
        fits = fits && !writes && step.body == Body::select && alike; // both lie in memory as they do in registers
        ++readers;
      }
      writes |= plan.slots[step.output].output >= 0;
    }
    if (fits) {
      taken_[i - begin] = true;
      reads_[comparison.output] = 0;
      const FusedPlan::Step& rest = steps_[i - begin];
      std::for_each_n(rest.inputs, rest.input_count, [&](uint16_t slot) { reads_[slot] += readers - 1; });
      for (uint32_t k = i + 1; k < end; ++k) {
        compares[k] = plan.steps[k].inputs[0] == comparison.output ? static_cast<int32_t>(i) : compares[k];
      }
    }
  }
}

// A mask is -1 where its number is 1: integers to which the next step adds that, or from which it subtracts it, or that
// it multiplies by it, do without the number. Only the next step, for later the mask may be overwritten.
void Strips::take_counts(uint32_t begin, uint32_t end) {
  auto with_mask = [](Body body, bool is_second) {
    switch (body) {
      case Body::add: return Body::subtract;
      case Body::subtract: return is_second ? Body::add : Body::copy;
      case Body::multiply: return Body::bitwise_and;
      default: return Body::copy;
    }
  };
  for (uint32_t i = 0; i + 1 < end - begin; ++i) {
    const FusedPlan::Step& count = steps_[i];
    FusedPlan::Step& next = steps_[i + 1];
    const bool counts = count.from == bool_ && count.body == Body::copy && is_mask(count.inputs[0]);
    if (!counts || !count.to.is_integer() || reads_[count.output] != 1 || next.input_count != 2 ||
        !reads(next, count.output)) {
      continue;
    }
    const bool is_second = next.inputs[1] == count.output;
    if (Body body = with_mask(next.body, is_second); body != Body::copy) {
      next.body = body;
      next.inputs[0] = next.inputs[is_second ? 0 : 1];
      next.inputs[1] = count.inputs[0];
      taken_[i] = true;
      reads_[count.output] = 0;
    }
  }
}

// The same of a selection that compares by itself.
void Strips::add_choice(const FusedPlan& plan, uint32_t begin, uint32_t number, int32_t a, int32_t b) {
  const auto comparison = static_cast<size_t>(compares[number]);
  const FusedPlan::Step &whole = plan.steps[comparison], &rest = steps_[comparison - begin];
  const FusedPlan::Step& step = steps_[number - begin];
  const int32_t row = row_of_step[comparison];
  const bool with_row = row != nothing;
  const auto value = static_cast<uint16_t>(with_row ? place_of_row(plan, static_cast<uint16_t>(row)) : rest.inputs[1]);
  Choice& choice = choices_[number - begin] = {
      rest.body, with_row, SelectForm::memory, {rest.inputs[0], value}, {step.inputs[1], step.inputs[2]}, 0};
  uint16_t &x = choice.compared[0], &y = choice.compared[1], &first = choice.chosen[0], &second = choice.chosen[1];
  if (with_row ? comes_first(whole, row) : y == a && x != a) {
    choice.comparison = turned(choice.comparison);
  }
  if (!with_row && y == a) {
    std::swap(x, y);
  }
  if (choice.comparison == Body::not_equal) {
    choice.comparison = Body::equal;
    std::swap(first, second);
  }
  const bool of_b = b != nothing && with_row && x == b, of_a = with_row && x == a;
  const auto read = [this](uint16_t slot, bool in_register) {
    in_register ? static_cast<void>(--reads_[slot]) : read_slot(slot);
  };
  using enum SelectForm;
  choice.form = first == b && second == a           ? (of_b ? second_in_a_others_in_b : first_in_b)
                : of_b && first == a && second == b ? first_in_a_others_in_b
                : first == a                        ? (of_a ? condition_and_first : first_in_a)
                : second == a                       ? (of_a ? condition_and_second : second_in_a)
                : x == a                            ? condition_in_a
                                                    : memory;
  read(x, choice.form >= condition_and_first || choice.form == condition_in_a);
  read(first, first == a || choice.form == first_in_b || choice.form == second_in_a_others_in_b);
  read(second, (second == a && first != a) || choice.form == first_in_a_others_in_b);
  if (!with_row) {
    read_slot(y);
  }
  auto scalars_of = [&](uint16_t x, uint16_t y) { return (is_scalar(plan, x) ? 1 : 0) | (is_scalar(plan, y) ? 2 : 0); };
  choice.one_strip = static_cast<uint16_t>(scalars_of(first, second));
  one_strip[number] = static_cast<uint8_t>(scalars_of(step.inputs[1], step.inputs[2]));
}

} // namespace mlx::core::cpu
