// What einsum's subscripts say, and the order in which it contracts its operands.
#pragma once

#include <bitset>
#include <string>
#include <vector>

#include "mlx_core/array.h"

namespace mlx::core {

using Label = int; // 0, 1, ...: one for each letter, and one for each axis that an ellipsis stands for
using Labels = SmallVector<Label, 6>;
inline constexpr size_t most_labels = 256;
using LabelSet = std::bitset<most_labels>;

struct Subscripts {
  std::vector<Labels> inputs;     // a label for each axis of each operand; an operand may have one several times
  Labels output;                  // each label once
  std::vector<Dim> sizes;         // by label. An operand's axis has this length, or 1
  std::vector<std::string> names; // by label, as errors print it
};

// Throws naming op where the text is not well formed or does not fit the operands.
Subscripts parse_subscripts(const char* op, const std::string& text, const std::vector<array>& operands);

LabelSet set_of(const Labels& labels);

// Positions of the operands that each step contracts. They leave the list, and the result joins it at the end.
struct ContractionPath {
  std::vector<std::vector<int>> steps;
  double cost = 0;         // multiplications and additions
  double naive_cost = 0;   // of one step over all operands
  size_t most_scaling = 0; // the most labels that a step runs over
  size_t naive_scaling = 0;
};

// Pairs, the one first whose result frees the most memory (then, the cheapest), and outer products only where nothing
// else is left. Results larger than `most_elements`, or than the largest of operands and output, are not made: what
// cannot go on in pairs under this limit is contracted in one step. Where few operands would take less than half of
// that in another order of pairs, the cheapest one.
ContractionPath find_path(const Subscripts& subscripts, double most_elements);

} // namespace mlx::core
