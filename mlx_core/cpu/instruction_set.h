// Which instruction set the kernels run on.
#pragma once

#include <string>
#include <vector>

namespace mlx::core::cpu {

// The name of the one in use: "AVX2". The environment variable MLX_CPU_TARGETS, read when the library is loaded, names
// the best one allowed: one of instruction_sets(), or one of another machine. Throws std::invalid_argument when it
// names none.
std::string instruction_set();
// Those that this machine and this build have, from least to most.
std::vector<std::string> instruction_sets();

// What this machine has beyond AVX-512, to be used where AVX-512 is.
struct Extensions {
  bool bfloat16 = false; // AVX512-BF16
  bool float16 = false;  // AVX512-FP16
  bool tiles = false;    // AMX-TILE and AMX-BF16
};
Extensions extensions();

} // namespace mlx::core::cpu
