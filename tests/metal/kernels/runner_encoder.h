// An encoder that runs each dispatch at once on the runner of shaders, without a device library between: for tests of
// shaders and of launch functions.
#pragma once

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <vector>

#include "metal/arguments.h"
#include "mlx_core/gpu/launch.h"
#include "runner.h"

namespace runner {

namespace emulator = mlx::core::metal_emulator;
using namespace mlx::core;

class RunnerEncoder final : public gpu::Encoder {
 public:
  void kernel(
      std::string_view library, const std::string& name, std::span<const gpu::FunctionConstant> constants) override {
    std::string file(library);
    use(file, name, constants, [&] {
      std::ifstream in(std::string(MLX_SHADERS) + "/" + file + ".metal", std::ios::binary);
      return std::string{std::istreambuf_iterator<char>(in), {}};
    });
  }
  void kernel_of_text(
      std::string_view key, const std::function<std::string()>& text, const std::string& name, MathMode) override {
    use("text " + std::string(key), name, {}, text);
  }
  uint32_t most_threads() const override {
    return static_cast<uint32_t>(function_->max_total_threads_per_threadgroup());
  }
  void read(int slot, const View& view) override { bind(slot, view); }
  void write(int slot, const View& view) override { bind(slot, view); }
  void bytes(int slot, const void* data, size_t size) override {
    // To the byte, at the end of guarded memory, as it must be.
    arguments_.push_back({emulator::allocate_guarded(size, 16), &emulator::free_guarded});
    std::memcpy(arguments_.back().get(), data, size);
    dispatch_.buffers[slot] = {arguments_.back().get(), size};
  }
  void threadgroup_memory(int slot, size_t size) override {
    dispatch_.threadgroup_bytes[slot] = static_cast<uint32_t>(size);
  }
  void dispatch_threads(gpu::Grid threads, gpu::Grid group) override {
    if (threads.count() == 0) {
      return;
    }
    ++dispatches;
    dispatch_.function = function_.get();
    uint64_t all[] = {threads.x, threads.y, threads.z}, one[] = {group.x, group.y, group.z};
    std::memcpy(dispatch_.threads, all, sizeof all);
    std::memcpy(dispatch_.threads_per_threadgroup, one, sizeof one);
    emulator::run(dispatch_);
  }
  void dispatch_groups(gpu::Grid groups, gpu::Grid group) override {
    dispatch_threads({groups.x * group.x, groups.y * group.y, groups.z * group.z}, group);
  }
  View scratch(Dtype dtype, int64_t elements) override {
    scratch_.push_back(allocate(static_cast<size_t>(elements * dtype.size())));
    return {scratch_.back().get(), 0, nullptr, dtype, {elements}, {1}};
  }

  View index_errors() override { return errors_; }

  int dispatches = 0;

 private:
  template <typename Text>
  void use(const std::string& library, const std::string& name, std::span<const gpu::FunctionConstant> constants,
      Text text) {
    static std::map<std::string, std::shared_ptr<const emulator::Library>> libraries;
    auto& one = libraries[library];
    if (!one) {
      one = emulator::compile(emulator::Text{.source = text(), .file = "shader", .include_folders = {MLX_SHADERS}});
    }
    std::vector<emulator::FunctionConstant> values;
    for (const gpu::FunctionConstant& constant : constants) {
      emulator::FunctionConstant value{.index = constant.index,
          .size = constant.type == gpu::FunctionConstant::Type::boolean ? size_t{1}
                  : constant.type == gpu::FunctionConstant::Type::int64 ? size_t{8}
                                                                        : size_t{4}};
      std::memcpy(value.bytes, &constant.bits, 8);
      values.push_back(value);
    }
    function_ = one->function(name, values);
    if (!function_) {
      throw std::runtime_error("there is no kernel " + name);
    }
    dispatch_ = {};
  }
  void bind(int slot, const View& view) {
    if (view.buffer) {
      auto offset = static_cast<size_t>(view.offset);
      dispatch_.buffers[slot] = {static_cast<char*>(view.buffer->data) + offset, view.buffer->size - offset};
    } else {
      bytes(slot, view.inline_value, static_cast<size_t>(view.itemsize()));
    }
  }

  View new_errors() {
    View errors = scratch(uint32, mlx_arguments::error_words);
    std::memset(errors.host(), 0, 4 * mlx_arguments::error_words);
    return errors;
  }

  std::shared_ptr<const emulator::Function> function_;
  emulator::Dispatch dispatch_{};
  std::vector<BufferRef> scratch_;
  View errors_ = new_errors();
  std::vector<std::unique_ptr<void, void (*)(void*)>> arguments_;
};

} // namespace runner
