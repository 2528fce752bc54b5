// The registry: the families of ops/families.h, in the order of the documentation.
#include "mlx_core/registry.h"

#include <unordered_map>

#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/transforms/program_primitives.h"

namespace mlx::core {

namespace {

struct Family {
  std::string_view name;
  std::span<const OpInfo* const> (*ops)();
  std::span<const Remake> (*remakes)() = nullptr; // where there are primitives that are not elementwise
};

constexpr Family families[] = {
    {"arithmetic", &arithmetic_ops, &arithmetic_remakes},
    {"powers", &power_ops},
    {"extrema", &extrema_ops, &extrema_remakes},
    {"select", &select_ops},
    {"exponential", &exponential_ops},
    {"special", &special_ops},
    {"trigonometric", &trigonometric_ops},
    {"hyperbolic", &hyperbolic_ops},
    {"rounding", &rounding_ops, &rounding_remakes},
    {"float_parts", &float_part_ops, &float_part_remakes},
    {"comparison", &comparison_ops},
    {"bitwise", &bitwise_ops},
    {"complex", &complex_ops},
    {"cast", &cast_ops, &cast_remakes},
    {"creation", &creation_ops, &creation_remakes},
    {"shape", &shape_ops, &shape_remakes},
    {"slice", &slice_ops, &slice_remakes},
    {"gather_scatter", &gather_scatter_ops, &gather_scatter_remakes},
    {"reduce", &reduce_ops, &reduce_remakes},
    {"sort", &sort_ops, &sort_remakes},
    {"scan", &scan_ops, &scan_remakes},
    {"matmul", &matmul_ops, &matmul_remakes},
    {"padding", &padding_ops},
    {"rearrange", &rearrange_ops},
    {"stacking", &stacking_ops},
    {"sampled", &sampled_ops},
    {"counting", &counting_ops},
    {"counting", &value_shape_ops},
    {"depends", &depends_ops, &depends_remakes},
    {"diagonal", &diagonal_ops, &diagonal_remakes},
    {"product", &product_ops},
    {"einsum", &einsum_ops},
    {"creation", &window_ops},
    {"fft", &fft_ops, &fft_remakes},
    {"fft", &frequency_ops},
    {"fft", &stft_ops},
    {"linalg", &linalg_ops, &linalg_remakes},
    {"conv", &conv_ops, &conv_remakes},
    {"block_product", &hadamard_ops},
    {"block_product", &block_product_ops, &chosen_product_remakes},
    {"random", &random_ops, &random_remakes},
    {"fast", &fast_ops},
    {"special", &special_function_ops, &special_function_remakes},
    {"special", &special_composition_ops},
};

struct Entry {
  const OpInfo* op;
  std::string_view family;
};

const std::unordered_map<std::string_view, Entry>& entries_by_name() {
  static const auto& entries = *[] {
    auto* all = new std::unordered_map<std::string_view, Entry>;
    for (const Family& family : families) {
      for (const OpInfo* op : family.ops()) {
        if (!all->emplace(op->name, Entry{op, family.name}).second) {
          fail<std::logic_error>("registry", "two ops are called ", op->name, ".");
        }
      }
    }
    return all;
  }();
  return entries;
}

} // namespace

const std::vector<const OpInfo*>& registered_ops() {
  static const auto& ops = *[] {
    auto* all = new std::vector<const OpInfo*>;
    for (const Family& family : families) {
      all->insert(all->end(), family.ops().begin(), family.ops().end());
    }
    return all;
  }();
  return ops;
}

const std::vector<std::span<const Remake>>& registered_remakes() {
  static const auto& all = *[] {
    auto* lists = new std::vector<std::span<const Remake>>{program_remakes(), custom_kernel_remakes()};
    for (const Family& family : families) {
      if (family.remakes) {
        lists->push_back(family.remakes());
      }
    }
    return lists;
  }();
  return all;
}

const OpInfo* find_op(std::string_view name) {
  auto found = entries_by_name().find(name);
  return found == entries_by_name().end() ? nullptr : found->second.op;
}

std::string_view family_of(const OpInfo& op) {
  auto found = entries_by_name().find(op.name);
  return found == entries_by_name().end() ? std::string_view() : found->second.family;
}

} // namespace mlx::core
