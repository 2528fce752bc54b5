// Random numbers from explicit or implicit Threefry keys.
#pragma once

#include <optional>

#include "mlx_core/array.h"

namespace mlx::core::random {

// Two uint32 words from a 64-bit seed.
array key(uint64_t seed);
// Restarts the implicit key sequence of this process.
void seed(uint64_t seed);
// num independent keys from one, shape (num, 2); the pair form is split(key, 2) unstacked.
array split(const array& key, int num, StreamOrDevice s = {});
std::pair<array, array> split(const array& key, StreamOrDevice s = {});
// The next key of the implicit sequence; inside vmap in each lane what its randomness says. Errors name `op`.
array next_key(const char* op = "random");
// What the implicit sequence goes on from: a key. Reading and setting it is how a sequence is saved and resumed.
array state();
void set_state(const array& key);
// While it lives, draws of this thread come from a sequence of its own, which begins with `start`: a function that is
// recorded once and runs many times gets the start of each run as an operand. Lanes of vmaps that were open before
// share a draw unless `start` differs between them.
class SequenceScope {
 public:
  explicit SequenceScope(const array& start);
  ~SequenceScope();
  SequenceScope(const SequenceScope&) = delete;
  SequenceScope& operator=(const SequenceScope&) = delete;
  // What the next run goes on from; `start` itself while nothing was drawn.
  array state() const;

 private:
  struct KeySequence* own_;
  struct KeySequence* outer_;
};

// width bytes of random bits in each element (1, 2 or 4: uint8, uint16, uint32).
array bits(const Shape& shape, int width = 4, const std::optional<array>& key = {}, StreamOrDevice s = {});
// Uniform in [low, high).
array uniform(const array& low, const array& high, const Shape& shape, Dtype dtype = float32,
    const std::optional<array>& key = {}, StreamOrDevice s = {});
array uniform(const Shape& shape, Dtype dtype = float32, const std::optional<array>& key = {}, StreamOrDevice s = {});
array normal(const Shape& shape, Dtype dtype, const std::optional<array>& loc, const std::optional<array>& scale,
    const std::optional<array>& key, StreamOrDevice s = {});
array normal(const Shape& shape, Dtype dtype = float32, const std::optional<array>& key = {}, StreamOrDevice s = {});
array randint(const array& low, const array& high, const Shape& shape, Dtype dtype = int32,
    const std::optional<array>& key = {}, StreamOrDevice s = {});
array bernoulli(const array& p, const std::optional<Shape>& shape = {}, const std::optional<array>& key = {},
    StreamOrDevice s = {});
array permutation(const array& x, int axis = 0, const std::optional<array>& key = {}, StreamOrDevice s = {});
array permutation(int x, const std::optional<array>& key = {}, StreamOrDevice s = {});
array categorical(const array& logits, int axis = -1, const std::optional<Shape>& shape = {},
    std::optional<int> num_samples = {}, const std::optional<array>& key = {}, StreamOrDevice s = {});

// -log(-log(u)) of uniform u: extreme values.
array gumbel(const Shape& shape, Dtype dtype = float32, const std::optional<array>& key = {}, StreamOrDevice s = {});
array laplace(const Shape& shape, Dtype dtype, const std::optional<array>& loc, const std::optional<array>& scale,
    const std::optional<array>& key, StreamOrDevice s = {});
array laplace(const Shape& shape, Dtype dtype = float32, const std::optional<array>& key = {}, StreamOrDevice s = {});
// Of the shape that the bounds broadcast to, unless shape is given.
array truncated_normal(const array& lower, const array& upper, const std::optional<Shape>& shape = {},
    Dtype dtype = float32, const std::optional<array>& key = {}, StreamOrDevice s = {});
array multivariate_normal(const array& mean, const array& cov, const Shape& shape = {}, Dtype dtype = float32,
    const std::optional<array>& key = {}, StreamOrDevice s = {});

} // namespace mlx::core::random
