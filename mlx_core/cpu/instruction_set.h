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

} // namespace mlx::core::cpu
