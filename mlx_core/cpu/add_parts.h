// Parts of an array added up, with zeros around each.
#pragma once

#include "mlx_core/dtype.h"
#include "mlx_core/shape.h"

namespace mlx::core::cpu {

struct AddedPart {
  const char* data;
  const void* factor; // null: none
  Sizes first, end;   // its box in the whole
  Strides strides;    // in elements
  bool subtracts, pads;
};

// Elements are added in the order of the parts, which is all that the bits depend on. Parallel when large.
void add_parts(Dtype dtype, std::vector<AddedPart> parts, Sizes sizes, void* out);

// sum[i] += term[i] factor, or -=, where 0 times anything is 0, for n elements of some lines, which are so many
// elements apart; there may be no factor.
using AddLines = void (*)(void* sum, int64_t sum_apart, const void* term, int64_t term_apart, const void* factor,
    int64_t lines, int64_t n, bool subtracts);
// Of some lines, sum[i] = the terms in their order that have element i, each with its factor or none, added or
// subtracted, to -0 where `negative` has i, and to 0 elsewhere; for n elements, most of which all terms have.
struct Between {
  int64_t first = 0, end = 0;
};
struct AddedLines {
  const void* term; // element 0 of the first line, though it may have none
  int64_t apart;    // elements from one line to the next
  const void* factor;
  bool subtracts;
  Between has;
};
using AddTogether = void (*)(
    void* sum, int64_t sum_apart, Between negative, const AddedLines* terms, int64_t count, int64_t lines, int64_t n);

// Null but for float32 and float64.
struct LineAdders {
  AddLines each = nullptr;
  AddTogether together = nullptr;
};
LineAdders find_line_adders(Dtype dtype);

} // namespace mlx::core::cpu
