// What the machine's processor is called, and how much memory it has.
#pragma once

#include <cstddef>
#include <string>

namespace mlx::core::cpu {

// "Intel(R) Xeon(R) Processor"; the architecture where the system does not say.
std::string processor_name();
// "x86_64", "arm64".
const char* architecture();
// Bytes of main memory; 0 where the system does not say.
size_t memory_size();

} // namespace mlx::core::cpu
