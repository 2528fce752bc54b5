// mlx.core.fast: what transformers are made of.
#include <nanobind/stl/variant.h>

#include "mlx_core/error.h"
#include "mlx_core/fast.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

namespace fast = core::fast;
using MaskArgument = std::optional<std::variant<std::string, array>>;

fast::AttentionMask mask_of(const MaskArgument& mask) {
  if (!mask) {
    return {};
  }
  const auto* name = std::get_if<std::string>(&*mask);
  if (name && *name != "causal") {
    core::fail("fast.scaled_dot_product_attention", "mask is \"", *name, "\"; it should be \"causal\" or an array.");
  }
  return {name != nullptr, name ? std::nullopt : std::optional<array>(std::get<array>(*mask))};
}

} // namespace

void bind_fast_functions(nb::module_& m) {
  def_op(
      m, "fast.rms_norm",
      [](const array& x, const std::optional<array>& weight, double eps, StreamOrDevice s) {
        return out(fast::rms_norm(x, weight, eps, s));
      },
      "x: array, weight: array | None, eps: float", "array", "x"_a, "weight"_a.none(), "eps"_a);
  def_op(
      m, "fast.layer_norm",
      [](const array& x, const std::optional<array>& weight, const std::optional<array>& bias, double eps,
          StreamOrDevice s) { return out(fast::layer_norm(x, weight, bias, eps, s)); },
      "x: array, weight: array | None, bias: array | None, eps: float", "array", "x"_a, "weight"_a.none(),
      "bias"_a.none(), "eps"_a);
  def_op(
      m, "fast.cross_entropy",
      [](const array& logits, const array& targets, StreamOrDevice s) {
        return out(fast::cross_entropy(logits, targets, s));
      },
      "logits: array, targets: array", "array", "logits"_a, "targets"_a);
  def_op(
      m, "fast.rope",
      [](const array& a, int dims, bool traditional, std::optional<double> base, double scale, ScalarOrArray offset,
          const std::optional<array>& freqs,
          StreamOrDevice s) { return out(fast::rope(a, dims, traditional, base, scale, to_array(offset), freqs, s)); },
      "a: array, dims: int, *, traditional: bool, base: float | None, scale: float, offset: int | array, "
      "freqs: array | None = None",
      "array", "a"_a, "dims"_a, nb::kw_only(), "traditional"_a, "base"_a.none(), "scale"_a, "offset"_a,
      "freqs"_a = nb::none());
  def_op(
      m, "fast.scaled_dot_product_attention",
      [](const array& q, const array& k, const array& v, double scale, const MaskArgument& mask,
          const std::optional<array>& sinks, bool force_fused, StreamOrDevice s) {
        if (force_fused) {
          core::fail("fast.scaled_dot_product_attention",
              "force_fused is true; there is one way to compute it here: leave it out.");
        }
        return out(fast::scaled_dot_product_attention(q, k, v, scale, mask_of(mask), sinks, s));
      },
      "q: array, k: array, v: array, *, scale: float, mask: None | str | array = None, sinks: array | None = None, "
      "force_fused: bool = False",
      "array", "q"_a, "k"_a, "v"_a, nb::kw_only(), "scale"_a, "mask"_a = nb::none(), "sinks"_a = nb::none(),
      "force_fused"_a = false);
  m.def(
      "gated_delta_update",
      [](const array& q, const array& k, const array& v, const array& gamma, const array& beta,
          const std::optional<array>& initial_state, const std::optional<array>& mask, StreamOrDevice s) {
        return out_list(fast::gated_delta_update(q, k, v, gamma, beta, initial_state, mask, s));
      },
      "q"_a, "k"_a, "v"_a, "gamma"_a, "beta"_a, "initial_state"_a = nb::none(), "mask"_a = nb::none(),
      "stream"_a = nb::none(), // by position as well, as in MLX
      nb::sig("def gated_delta_update(q: array, k: array, v: array, gamma: array, beta: array, "
              "initial_state: array | None = None, mask: array | None = None, stream: StreamOrDevice = None) "
              "-> list[array]"),
      docstring_of("fast.gated_delta_update").c_str());
}

} // namespace mlx::python
