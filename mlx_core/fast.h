// The functions of MLX's mlx::core::fast: what transformers are made of, and kernels of one's own in the shading
// language of the GPU.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/backend/custom_kernel.h"
#include "mlx_core/device.h"

namespace mlx::core::fast {

// x / sqrt(mean(x^2) + eps) weight, over the last axis.
array rms_norm(const array& x, const std::optional<array>& weight, double eps, StreamOrDevice s = {});
// (x - mean(x)) / sqrt(var(x) + eps) weight + bias, over the last axis.
array layer_norm(const array& x, const std::optional<array>& weight, const std::optional<array>& bias, double eps,
    StreamOrDevice s = {});
// logsumexp(logits) - logits[target], over the last axis.
array cross_entropy(const array& logits, const array& targets, StreamOrDevice s = {});

// Rotary positional encoding of (B, ..., T, D). One of base and freqs is given; offset is a scalar or has B elements.
array rope(const array& a, int dims, bool traditional, std::optional<double> base, double scale, const array& offset,
    const std::optional<array>& freqs = std::nullopt, StreamOrDevice s = {});

struct AttentionMask {
  bool causal = false;
  std::optional<array> given = std::nullopt; // bools, or numbers that are added to the scores
};
// softmax(scale q k^T) v, head by head.
array scaled_dot_product_attention(const array& q, const array& k, const array& v, double scale,
    const AttentionMask& mask = {}, const std::optional<array>& sinks = std::nullopt, StreamOrDevice s = {});
// The gated delta rule: the outputs and the last state.
std::vector<array> gated_delta_update(const array& q, const array& k, const array& v, const array& gamma,
    const array& beta, const std::optional<array>& initial_state = std::nullopt,
    const std::optional<array>& mask = std::nullopt, StreamOrDevice s = {});

using TemplateArg = CustomKernel::Value;
using ScalarArg = std::variant<bool, int, float>;

// What a call says beside its inputs. Sizes may be symbolic.
struct CustomKernelCall {
  std::vector<Shape> output_shapes;
  std::vector<Dtype> output_dtypes;
  Shape grid;       // threads along three axes
  Axes threadgroup; // and of one group
  std::vector<std::pair<std::string, TemplateArg>> template_values;
  std::optional<double> init_value; // of the outputs before the kernel runs; otherwise they hold anything
};
// Its outputs. Throws std::invalid_argument for arguments that do not fit, std::runtime_error where there is no GPU.
std::vector<array> call(
    const CustomKernel& kernel, const std::vector<array>& inputs, const CustomKernelCall& call, StreamOrDevice s = {});
// What is compiled for such a call.
std::string text_of(const CustomKernel& kernel, const std::vector<array>& inputs, const CustomKernelCall& call);
// Throws std::invalid_argument for names that cannot be those of arguments.
void check(const CustomKernel& kernel);

using CustomKernelFunction = std::function<std::vector<array>(const std::vector<array>& inputs,
    const std::vector<Shape>& output_shapes, const std::vector<Dtype>& output_dtypes, std::tuple<int, int, int> grid,
    std::tuple<int, int, int> threadgroup, std::vector<std::pair<std::string, TemplateArg>> template_args,
    std::optional<float> init_value, bool verbose, StreamOrDevice s)>;

// A function that runs `source`, the body of a kernel in Metal's language, on the GPU. See docs/custom_kernels.md.
CustomKernelFunction metal_kernel(const std::string& name, const std::vector<std::string>& input_names,
    const std::vector<std::string>& output_names, const std::string& source, const std::string& header = "",
    bool ensure_row_contiguous = true, bool atomic_outputs = false, MathMode math = MathMode::safe);

// This library has no CUDA: these throw std::runtime_error.
CustomKernelFunction cuda_kernel(const std::string& name, const std::vector<std::string>& input_names,
    const std::vector<std::string>& output_names, const std::string& source, const std::string& header = "",
    bool ensure_row_contiguous = true, int shared_memory = 0);
std::vector<array> precompiled_cuda_kernel(const std::string& name, const std::string& compiled_source,
    const std::vector<array>& inputs, const std::vector<Shape>& output_shapes, const std::vector<Dtype>& output_dtypes,
    const std::vector<ScalarArg>& scalars, std::tuple<int, int, int> grid, std::tuple<int, int, int> threadgroup,
    int shared_memory = 0, std::optional<float> init_value = std::nullopt, bool ensure_row_contiguous = false,
    StreamOrDevice s = {});

} // namespace mlx::core::fast
