// A compiled kernel in memory: what the compiler hands to the runner.
#pragma once

#include "abi.h"
#include "runner.h"

namespace mlx::core::metal_emulator {

constexpr size_t threadgroup_limit = 32768;

class Kernel : public Function {
 public:
  // Loads a copy of the library at `path` of its own, so that its function constants are its own.
  Kernel(std::string name, const std::string& path, std::span<const FunctionConstant> constants);
  Kernel(const Kernel&) = delete;
  ~Kernel() override;
  const std::string& name() const override { return name_; }
  size_t max_total_threads_per_threadgroup() const override { return max_threads_; }
  size_t static_threadgroup_bytes() const override { return static_bytes_; }
  const mlx_msl::Program& program() const { return *program_; }

 private:
  void set_constants(std::span<const FunctionConstant> constants);
  std::string name_;
  void* handle_ = nullptr;
  mlx_msl::Program* program_ = nullptr;
  size_t max_threads_ = 1024, static_bytes_ = 0;
};

} // namespace mlx::core::metal_emulator
