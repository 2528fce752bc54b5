// Fused plans as text in the shading language. The text depends on a plan's structure alone: sizes, strides and scalars
// come in a buffer of constants, so that one kernel serves every size.
#pragma once

#include <string>
#include <vector>

#include "mlx_core/backend/request.h"

namespace mlx::core::gpu {

// Whether there is a functor for it in metal/elementwise_ops.h.
bool has_functor(Body body, Dtype from, Dtype to);
// The names of bodies and reductions in the shaders.
const char* name_of_body(Body body);
const char* name_of_reduction(Reduction op);

// How a plan is laid out over threads.
struct FusedForm {
  enum class Way : uint8_t {
    elements, // a thread for each element
    rows,     // some threads for each row, which goes through the stages
    blocks,   // some threads for each block of a long row; the blocks' partials are folded by a second kernel
  };
  Way way;
  bool wide; // offsets do not fit 32 bits
};
inline constexpr int64_t block_length = 1024; // elements of a row that are reduced together
inline constexpr int64_t group_threads = 256;
// Blocks of a row that one threadgroup keeps the partials of.
inline constexpr int64_t most_blocks = 64;

FusedForm form_of(const kernel::Fused& k);
// Says all that the text depends on.
std::string key_of(const kernel::Fused& k, FusedForm form);
// Kernel "fused"; arguments: sources that have a buffer, outputs, partials of the folds (blocks only), constants. With
// blocks there are "combine" and "finish", too: partials, what they become, constants.
std::string text_of(const kernel::Fused& k, FusedForm form);

// What the kernel reads as constants: 64-bit words. size, row length, rows, threads for each row; then of each source
// in order the first element, lengths and strides of a strided one, the bits of a scalar that has no buffer.
std::vector<int64_t> constants_of(const kernel::Fused& k, FusedForm form);
int64_t threads_per_row(const FusedPlan& plan, FusedForm form);

} // namespace mlx::core::gpu
