// Forward mode, and what is asked of tangents.
#include <algorithm>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/interruption.h"
#include "mlx_core/ops.h"
#include "mlx_core/transforms/confluence.h"
#include "mlx_core/transforms/push.h"
#include "mlx_core/transforms/recording.h"

namespace mlx::core {

namespace {

std::vector<array> run(const VectorFunction& fun, Frame& frame, const std::vector<array>& primals, bool will_pull) {
  frame.reverse = will_pull;
  for (const array& primal : primals) {
    frame.primal(primal);
  }
  std::vector<array> outputs = fun(std::vector<array>(frame.placeholders()));
  frame.reverse = false; // what follows is not walked by this frame
  return outputs;
}

} // namespace

Recording::Recording(const VectorFunction& fun, const std::vector<array>& primals, bool will_pull)
    : frame_(Frame::Kind::differentiate),
      primals_(primals),
      outputs_(run(fun, frame_, primals_, will_pull)),
      tape_(frame_, outputs_) {}

Tangents Recording::push(const Tangents& tangents) const {
  auto plain = [&](bool turning) {
    Push push{tape_, std::vector<Tangent>(tape_.nodes().size()), {}, turning ? 0 : Push::without_turning};
    for (size_t i = 0; i < primals_.size(); ++i) {
      if (tangents[i] && primals_[i].dtype().is_inexact()) {
        push.nodes[i] = astype(*tangents[i], primals_[i].dtype());
      }
    }
    return push.through(primals_.size(), outputs_);
  };
  std::vector<bool> through_vectors = made_of_vectors(tape_, outputs_);
  if (std::find(through_vectors.begin(), through_vectors.end(), true) == through_vectors.end()) {
    return plain(false);
  }
  try {
    Tangents out = plain(false);
    for (size_t i = 0; i < out.size(); ++i) {
      if (through_vectors[i] && out[i]) out[i] = transposed(i, tangents);
    }
    return out;
  } catch (const std::exception& error) { // something has no reverse mode
    if (is_interruption(error)) throw;
    return plain(true);
  }
}

// The transpose of what pull() does with the cotangent of one output. That is linear in it, but for the choice between
// formulas, which is made for a cotangent without any symmetry.
array Recording::transposed(size_t output, const Tangents& tangents) const {
  std::vector<size_t> given;
  std::vector<array> weights;
  for (size_t i = 0; i < primals_.size(); ++i) {
    if (tangents[i] && primals_[i].dtype().is_inexact()) {
      given.push_back(i);
      weights.push_back(astype(*tangents[i], primals_[i].dtype()));
    }
  }
  const array& y = outputs_[output];
  HelpingFrame helping;
  auto back = [&](const std::vector<array>& cotangent) {
    Tangents cotangents(outputs_.size());
    cotangents[output] = cotangent[0];
    Tangents pulled = pull(cotangents);
    std::vector<array> out;
    for (size_t i : given) out.push_back(pulled[i] ? *pulled[i] : zeros_like(primals_[i]));
    return out;
  };
  return core::vjp(back, {irregular_numbers(y.shape(), y.dtype())}, weights).second[0];
}

namespace {

// Whether an array is known to be zeros without computing it: made by zeros or zeros_like, or computed before.
bool known_zero(const array& a) {
  if (!a.is_available()) {
    return a.has_primitive() && a.primitive().role() == Role::repetition && known_zero(a.operands()[0]);
  }
  bool one_element = std::all_of(a.strides().begin(), a.strides().end(), [](int64_t stride) { return stride == 0; });
  Shape shape = one_element ? Shape(a.shape().size(), 1) : a.shape();
  std::vector<char> bytes(static_cast<size_t>(static_cast<int64_t>(size_of(shape)) * a.itemsize()));
  cpu::read_strided(
      a.raw_data(), sizes_of(shape), a.strides(), a.itemsize(), 0, static_cast<int64_t>(size_of(shape)), bytes.data());
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; });
}

} // namespace

void check_tangent(const char* op, size_t i, const Spec& primal, const array& tangent) {
  if (!primal.dtype.is_inexact() && !known_zero(tangent)) {
    fail<TypeError>(op, "primals[", i, "] has dtype ", primal.dtype, ", which has no derivative, but tangents[", i,
        "] is given, of dtype ", tangent.dtype(),
        ". Give None, or zeros, for its tangent (in C++ nullopt or zeros), or cast the primal with astype.");
  }
  if (tangent.dtype().is_complex() && primal.dtype.is_floating()) {
    fail<TypeError>(op, "tangents[", i, "] has dtype ", tangent.dtype(), " but primals[", i, "] has dtype ",
        primal.dtype, ", whose tangents are real; take real(...) of it, or cast the primal with astype.");
  }
  if (!(primal.shape == tangent.shape())) {
    fail(op, "tangent ", i, " has shape ", tangent.shape(), " but primal ", i, " has shape ", primal.shape, ".");
  }
}

array zero_tangent(const array& output, const std::vector<array>& primals) {
  if (output.dtype().is_inexact()) {
    return zeros_like(output);
  }
  std::optional<Dtype> dtype;
  for (const array& primal : primals) {
    if (primal.dtype().is_inexact()) {
      dtype = dtype ? promote_types(*dtype, primal.dtype()) : primal.dtype();
    }
  }
  return zeros(output.shape(), dtype.value_or(float32));
}

std::pair<std::vector<array>, std::vector<array>> jvp(
    const VectorFunction& fun, const std::vector<array>& primals, const std::vector<array>& tangents) {
  return jvp_of_given(fun, primals, Tangents(tangents.begin(), tangents.end()));
}

std::pair<std::vector<array>, std::vector<array>> jvp_of_given(
    const VectorFunction& fun, const std::vector<array>& primals, const Tangents& tangents) {
  if (primals.size() != tangents.size()) {
    fail("jvp", "there are ", primals.size(), " primals but ", tangents.size(), " tangents.");
  }
  for (size_t i = 0; i < primals.size(); ++i) {
    if (tangents[i]) {
      check_tangent("jvp", i, {primals[i].shape(), primals[i].dtype()}, *tangents[i]);
    }
  }
  Recording recording(fun, primals);
  Tangents pushed = recording.push(tangents);
  std::vector<array> out_tangents;
  for (size_t i = 0; i < pushed.size(); ++i) {
    out_tangents.push_back(pushed[i] ? *pushed[i] : zero_tangent(recording.outputs()[i], primals));
  }
  return {recording.outputs(), std::move(out_tangents)};
}

std::pair<array, array> jvp(const std::function<array(const array&)>& fun, const array& primal, const array& tangent) {
  auto [outputs, tangents] = jvp([&](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; },
      std::vector<array>{primal}, std::vector<array>{tangent});
  return {outputs[0], tangents[0]};
}

} // namespace mlx::core
