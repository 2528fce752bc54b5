// Turns the preprocessed text of a shader into C++ that clang compiles for the CPU; its lines stay where they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlx::core::metal_emulator {

struct KernelName {
  std::string host_name;
  std::string expression; // what to call: `ns::scale<float>`
  std::string file;
  int line;
};

struct Rewritten {
  std::string text;
  std::vector<KernelName> kernels; // in the text's order
  std::string errors;              // what Metal's compiler would not accept and C++ would, one a line
};

Rewritten rewrite(std::string_view preprocessed, const std::string& headers_folder);

} // namespace mlx::core::metal_emulator
