// The instructions of strips are templates over where operands are: their arguments, from values.
#pragma once

#include <type_traits>

#include "mlx_core/cpu/strips.h"

namespace mlx::core::cpu {

// The form in which a is the first operand, whichever it was.
constexpr StripForm a_first(StripForm form) {
  return form == StripForm::memory_a ? StripForm::a_memory : form == StripForm::b_a ? StripForm::a_b : form;
}

// f(form), of one or two operands; for other forms of one operand none.
template <class F>
StripFunction with_form_of_one(StripForm form, F f) {
  switch (form) {
    case StripForm::memory: return f(std::integral_constant<StripForm, StripForm::memory>());
    case StripForm::a_a: return f(std::integral_constant<StripForm, StripForm::a_a>());
    default: return nullptr;
  }
}
template <class F>
StripFunction with_form_of_two(StripForm form, F f) {
  switch (form) {
    case StripForm::a_memory: return f(std::integral_constant<StripForm, StripForm::a_memory>());
    case StripForm::memory_a: return f(std::integral_constant<StripForm, StripForm::memory_a>());
    case StripForm::a_b: return f(std::integral_constant<StripForm, StripForm::a_b>());
    case StripForm::b_a: return f(std::integral_constant<StripForm, StripForm::b_a>());
    default: return with_form_of_one(form, f);
  }
}

// f(form), of three operands.
template <class F>
StripFunction with_form_of_three(SelectForm form, F f) {
  switch (form) {
    case SelectForm::condition_in_a: return f(std::integral_constant<SelectForm, SelectForm::condition_in_a>());
    case SelectForm::first_in_a: return f(std::integral_constant<SelectForm, SelectForm::first_in_a>());
    case SelectForm::second_in_a: return f(std::integral_constant<SelectForm, SelectForm::second_in_a>());
    default: return f(std::integral_constant<SelectForm, SelectForm::memory>());
  }
}

// f(form), of a selection that compares by itself; with values of rows or without.
template <class F>
StripFunction with_form_of_choice(SelectForm form, F f) {
  return form == SelectForm::first_in_b ? f(std::integral_constant<SelectForm, SelectForm::first_in_b>())
                                        : with_form_of_three(form, f);
}
template <class F>
StripFunction with_form_of_row_choice(SelectForm form, F f) {
  switch (form) {
    case SelectForm::condition_and_first:
      return f(std::integral_constant<SelectForm, SelectForm::condition_and_first>());
    case SelectForm::condition_and_second:
      return f(std::integral_constant<SelectForm, SelectForm::condition_and_second>());
    case SelectForm::second_in_a_others_in_b:
      return f(std::integral_constant<SelectForm, SelectForm::second_in_a_others_in_b>());
    case SelectForm::first_in_a_others_in_b:
      return f(std::integral_constant<SelectForm, SelectForm::first_in_a_others_in_b>());
    default: return with_form_of_choice(form, f);
  }
}

// f(form, whether the condition is in bytes), which one in a register is not.
template <class F>
StripFunction with_form_of_select(SelectForm form, bool of_bytes, F f) {
  return with_form_of_three(form, [=](auto form) {
    if constexpr (form() != SelectForm::condition_in_a) {
      return of_bytes ? f(form, std::true_type()) : f(form, std::false_type());
    } else {
      return f(form, std::false_type());
    }
  });
}

} // namespace mlx::core::cpu
