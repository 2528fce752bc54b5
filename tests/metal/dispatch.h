// Compiling and running a shader in one line, for the tests: Buffer<T> holds guarded memory, call() dispatches.
#pragma once

#include <algorithm>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "runner.h"

namespace shaders {

using namespace mlx::core::metal_emulator;

template <typename T>
class Buffer {
 public:
  explicit Buffer(size_t size, T value = T()) : size_(size), data_(static_cast<T*>(allocate_guarded(size * sizeof(T)))) {
    for (size_t i = 0; i < size; ++i) data_[i] = value;
  }
  Buffer(std::initializer_list<T> values) : Buffer(values.size()) { std::copy(values.begin(), values.end(), data_); }
  Buffer(const Buffer&) = delete;
  ~Buffer() { free_guarded(data_); }
  T& operator[](size_t i) { return data_[i]; }
  size_t size() const { return size_; }
  operator Binding() const { return {data_, size_ * sizeof(T)}; }

 private:
  size_t size_;
  T* data_;
};

struct Size {
  uint64_t x = 1, y = 1, z = 1;
};

inline std::string file_text(const std::string& name) {
  std::ifstream in(std::string(MLX_TEST_SHADERS) + "/" + name, std::ios::binary);
  if (!in) throw std::runtime_error("no shader " + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Of a file in tests/metal/shaders, compiled once in a program.
inline const Library& library(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const Library>> all;
  auto& one = all[name];
  if (!one) one = compile(Text{.source = file_text(name), .file = name, .include_folders = {MLX_TEST_SHADERS}});
  return *one;
}

template <typename T>
FunctionConstant constant(int index, T value) {
  FunctionConstant one{.index = index, .size = sizeof(T)};
  std::memcpy(one.bytes, &value, sizeof(T));
  return one;
}

inline void call(const Library& from, const std::string& name, Size threads, Size group, std::vector<Binding> buffers,
    std::vector<FunctionConstant> constants = {}, std::vector<uint32_t> threadgroup_bytes = {}) {
  auto function = from.function(name, constants);
  if (!function) throw std::runtime_error("no kernel " + name);
  Dispatch dispatch;
  dispatch.function = function.get();
  uint64_t grid[] = {threads.x, threads.y, threads.z}, size[] = {group.x, group.y, group.z};
  std::copy(grid, grid + 3, dispatch.threads);
  std::copy(size, size + 3, dispatch.threads_per_threadgroup);
  std::copy(buffers.begin(), buffers.end(), dispatch.buffers);
  std::copy(threadgroup_bytes.begin(), threadgroup_bytes.end(), dispatch.threadgroup_bytes);
  run(dispatch);
}

} // namespace shaders
