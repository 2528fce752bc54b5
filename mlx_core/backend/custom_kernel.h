// A kernel that the user wrote: the body of a function in the shading language, and the names of its arguments. The
// function around it, with what the body asks for, is written here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mlx_core/dtype.h"

namespace mlx::core {

// What a compiler may assume of floating numbers: nothing that changes values; that there is neither NaN nor infinity;
// besides, that operations may be reordered, and functions be less exact.
enum class MathMode : uint8_t { safe, relaxed, fast };

struct CustomKernel {
  using Value = std::variant<int, bool, Dtype>; // of a parameter of the template
  std::string name;
  std::vector<std::string> input_names, output_names;
  std::string source, header;
  bool ensure_row_contiguous = true;
  bool atomic_outputs = false;
  MathMode math = MathMode::safe;
  std::vector<std::pair<std::string, Value>> template_values;

  struct Input {
    Dtype dtype;
    int ndim;
    int64_t size;
  };
  // Inputs of fewer elements are in the constant address space, and one without axes is a reference there.
  static constexpr int64_t most_constant = 8;
  static bool is_constant(int64_t size) { return size < most_constant; }
  // Which of name_shape, name_strides, name_ndim the text speaks of. They are arguments of an input with axes.
  struct Asked {
    bool shape, strides, ndim;
  };
  Asked asked_of(size_t input, int ndim) const;
  // How many arguments the function has, all in all; there are slots for 31.
  size_t argument_count(std::span<const Input> inputs) const;
  // The whole text, and the name of its one kernel. Messages of the compiler count the lines of `source` and `header`
  // from 1, under the names "<name>" and "<name> header".
  std::string text(std::span<const Input> inputs, std::span<const Dtype> outputs) const;
  std::string function_name() const;
};

// The name of a dtype in such a text: "float", "bfloat16_t"; null for float64 and complex128, which no GPU has.
const char* custom_type(Dtype dtype);
bool is_identifier(std::string_view text);
// What Metal tells a thread of its place ("thread_position_in_grid"): no argument may have such a name.
bool is_thread_attribute(std::string_view name);

} // namespace mlx::core
