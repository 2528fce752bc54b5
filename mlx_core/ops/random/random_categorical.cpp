// random.categorical: indices drawn with the probabilities softmax(logits). Many distributions are drawn from by the
// Gumbel maximum; a single one by inverting its distribution function, which costs one uniform number for each sample.
#include <algorithm>
#include <cmath>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/random/random_keys.h"

namespace mlx::core {

// (weights (..., n), u (..., m) in [0, 1)), both float32 -> uint32 (..., m): the first index up to which the weights
// sum to more than u times their total. Leading axes are separate distributions.
class PickByWeight final : public Primitive {
 public:
  const char* name() const override { return "PickByWeight"; }
  Specs infer(Operands operands) const override { return {Spec{operands[1].shape(), uint32}}; }

  void eval_cpu(Operands operands, std::span<array> outputs) const override {
    std::vector<float> weights = row_major(operands[0]), u = row_major(operands[1]);
    std::vector<double> sums(static_cast<size_t>(static_cast<int64_t>(operands[0].shape(-1))));
    outputs[0].allocate();
    auto* out = static_cast<uint32_t*>(outputs[0].mutable_data());
    auto choices = static_cast<size_t>(static_cast<int64_t>(operands[0].shape(-1)));
    auto samples = static_cast<size_t>(static_cast<int64_t>(operands[1].shape(-1)));
    for (size_t row = 0; row * samples < u.size(); ++row) {
      double total = 0;
      for (size_t i = 0; i < choices; ++i) {
        sums[i] = total += static_cast<double>(weights[row * choices + i]);
      }
      // A choice of weight 0 is none: not even for a u that rounds to the whole.
      auto last = std::lower_bound(sums.begin(), sums.end(), total);
      for (size_t i = row * samples; i < (row + 1) * samples; ++i) {
        auto found = std::upper_bound(sums.begin(), sums.end(), static_cast<double>(u[i]) * total);
        out[i] = static_cast<uint32_t>(std::min(std::min(found, last) - sums.begin(), sums.end() - sums.begin() - 1));
      }
    }
  }

  MLX_ZERO_DERIVATIVES

  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = 0;
    for (size_t k = 0; k < 2; ++k) {
      lanes = axes[k] ? operands[k].shape(*axes[k]) : lanes;
    }
    auto led = [&](size_t k) {
      if (axes[k]) {
        return moveaxis(operands[k], *axes[k], 0);
      }
      Shape shape = operands[k].shape();
      shape.insert(shape.begin(), lanes);
      return broadcast_to(operands[k], shape);
    };
    return {{applied(self(*this), {led(0), led(1)})}, {0}};
  }

 private:
  static std::vector<float> row_major(const array& a) {
    std::vector<float> values(static_cast<size_t>(static_cast<int64_t>(a.size())));
    cpu::read_strided(a.raw_data(), sizes_of(a.shape()), a.strides(), sizeof(float), 0,
        static_cast<int64_t>(values.size()), values.data());
    return values;
  }
};

namespace random {

array pick_by_weight(const array& weights, const array& u) {
  return applied(make_primitive<PickByWeight>(), {weights, u});
}

namespace {

constexpr const char* categorical_name = "random.categorical";

// argmax(logits - log(-log(u))) along `along`; noise has the shape that logits broadcast to.
array by_gumbel(
    const array& logits, const Shape& noise, int along, const std::optional<array>& key, const StreamOrDevice& s) {
  // u = 0 stands for the interval below the next draw: its infinite noise would make a choice impossible.
  array u = maximum(unit(categorical_name, noise, float32, key, s), array(0x1p-33f));
  return view(argmax(logits - log(negative(log(u))), along), uint32);
}

// One distribution, samples of any shape.
array by_inversion(const array& logits, const Shape& shape, const std::optional<array>& key, const StreamOrDevice& s) {
  array x = astype(flatten(logits), float32);
  array top = max(x);
  // An infinite maximum takes everything; where all are -inf, all are equally likely.
  array weights = where(equal(x, top), array(1.0f), exp(x - top));
  array u = flatten(unit(categorical_name, shape, float32, key, s));
  return reshape(pick_by_weight(weights, u), shape);
}

} // namespace

array categorical(const array& logits, int axis, const std::optional<Shape>& shape, std::optional<int> num_samples,
    const std::optional<array>& key, StreamOrDevice s) {
  if (shape && num_samples) {
    fail(categorical_name, "shape=", *shape, " and num_samples=", *num_samples, " are both given; give at most one.");
  }
  int along = normalize_axis(categorical_name, axis, logits.ndim());
  Dim choices = logits.shape(along);
  if (choices == 0) {
    fail(categorical_name, "logits has shape ", logits.shape(), ": there is nothing to choose from along axis ", axis,
        ".");
  }
  index_dtype(categorical_name, logits.shape(), along); // or too many
  array scores = logits.dtype().is_complex() ? real(logits) : logits;
  Shape reduced = logits.shape();
  reduced.erase(reduced.begin() + along);
  Shape drawn = shape ? *shape : reduced;
  if (shape) {
    check_broadcast(categorical_name, "logits without the axis,", reduced, drawn);
  }
  if (num_samples) {
    drawn.push_back(*num_samples);
  }
  if (logits.size() == choices && !drawn.empty()) {
    return by_inversion(scores, drawn, key, s);
  }
  if (num_samples) {
    Shape noise = logits.shape();
    noise.push_back(*num_samples);
    return by_gumbel(expand_dims(scores, {-1}), noise, along, key, s);
  }
  int from_end = along - logits.ndim();
  Shape noise = drawn;
  noise.insert(noise.begin() + (static_cast<int>(noise.size()) + from_end + 1), choices);
  return by_gumbel(scores, noise, from_end, key, s);
}

const OpInfo& categorical_op() {
  static constexpr OpInfo info{.name = categorical_name,
      .summary = "Random indices along axis, drawn with the probabilities softmax(logits).",
      .differentiable = Differentiable::no,
      .no_derivative = {"the samples are indices"},
      .example =
          ">>> mx.random.categorical(mx.array([[0.0, 9.0], [9.0, 0.0]]), key=mx.random.key(0))\n"
          "array([1, 0], dtype=uint32)",
      .details =
          "The output has the shape of logits without axis; shape broadcasts it, num_samples appends an axis of that "
          "many samples. At most one of the two may be given."};
  return info;
}

} // namespace random
} // namespace mlx::core
