// What the random distributions are made of: keys, the words drawn from them, and uniform numbers.
#pragma once

#include <span>

#include "mlx_core/primitive.h"
#include "mlx_core/random.h"

namespace mlx::core::random {

// An array of `shape` whose elements are `width` random bytes each (1, 2, 4 or 8: uint8 to uint64), from `key` or,
// without one, from the next key of the implicit sequence. Errors name `op`.
array words(const char* op, const Shape& shape, int width, const std::optional<array>& key, const StreamOrDevice& s);

// In [0, 1): 32 bits of precision, 53 in float64.
array unit(const char* op, const Shape& shape, Dtype dtype, const std::optional<array>& key, const StreamOrDevice& s);

// Fails unless parameters of this shape broadcast to `shape`.
void check_broadcast(const char* op, const char* names, const Shape& parameters, const Shape& shape);

// While it lives, this thread draws its implicit keys from `start` on instead of from the process's sequence: a
// function that is recorded once and runs many times gets the start of each run as an operand. Lanes of vmaps that were
// open before share a draw unless `start` differs between them.
class KeyScope {
 public:
  explicit KeyScope(const array& start);
  ~KeyScope();
  KeyScope(const KeyScope&) = delete;
  KeyScope& operator=(const KeyScope&) = delete;
  // What the next run goes on from; `start` itself while nothing was drawn.
  const array& state() const { return state_; }

 private:
  friend array next_key();
  array draw();

  array state_;
  size_t outer_vmaps_;
  KeyScope* outer_;
};

// key, seed, split and bits; categorical.
std::span<const OpInfo* const> key_ops();
// gumbel, laplace and truncated_normal.
std::span<const OpInfo* const> inverse_ops();
std::span<const OpInfo* const> multivariate_ops();
const OpInfo& categorical_op();

} // namespace mlx::core::random
