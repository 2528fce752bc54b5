// Compiles Metal shaders with clang and runs them on the CPU, lane by lane, with every access checked: the interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mlx::core::metal_emulator {

// The text of a shader was not accepted; what() has the compiler's messages, with lines of that text.
class CompileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A kernel did what is undefined on a GPU; what() names the kernel, the thread and the buffer.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A value for `constant T x [[function_constant(index)]]`, found by its index (>= 0) or else by its name.
struct FunctionConstant {
  int index = -1;
  std::string name = {};
  size_t size = 0; // of the value, in bytes: that of the shader's type
  unsigned char bytes[16] = {};
};

// One kernel with its function constants set. Safe to run from several threads at once.
class Function {
 public:
  virtual ~Function() = default;
  virtual const std::string& name() const = 0;
  virtual size_t max_total_threads_per_threadgroup() const = 0; // 1024, or less by the kernel's attribute
  virtual size_t static_threadgroup_bytes() const = 0;          // of `threadgroup` variables, not of arguments
};

// One compiled text.
class Library {
 public:
  virtual ~Library() = default;
  virtual std::vector<std::string> function_names() const = 0; // host names, in the text's order
  // nullptr when no kernel has that name. Compiles the kernel unless it lies in the cache. Throws std::runtime_error for a
  // function constant that the kernel uses and `constants` lacks, or of another size, and CompileError for errors that
  // show only when a template is instantiated.
  virtual std::shared_ptr<const Function> function(
      const std::string& name, std::span<const FunctionConstant> constants = {}) const = 0;
};

struct Text {
  std::string source;
  std::string file = "program_source"; // the name in messages
  std::vector<std::string> include_folders = {};
  std::vector<std::pair<std::string, std::string>> defines = {};
};

// Throws CompileError. Kernels are compiled one by one when they are asked for, and kept in the folder
// $MLX_METAL_EMULATOR_CACHE (else one in the temporary directory) by the hash of what was compiled.
std::shared_ptr<const Library> compile(const Text& text);
inline std::shared_ptr<const Library> compile(const std::string& source, std::span<const std::string> include_folders = {},
    std::span<const std::pair<std::string, std::string>> defines = {}) {
  return compile(Text{.source = source,
      .include_folders = {include_folders.begin(), include_folders.end()},
      .defines = {defines.begin(), defines.end()}});
}
// Throws CompileError, in seconds, if any kernel or explicit instantiation of the text has an error. Makes no code.
void check(const Text& text);

// What a buffer slot is bound to. A kernel may touch [data, data + size) and nothing else; data == nullptr: not bound.
struct Binding {
  void* data = nullptr;
  size_t size = 0;
};

struct Dispatch {
  const Function* function = nullptr;
  uint64_t threads[3] = {1, 1, 1}; // of the whole grid; threadgroups at its edge may be smaller, as dispatchThreads has it
  uint64_t threads_per_threadgroup[3] = {1, 1, 1};
  Binding buffers[31];
  uint32_t threadgroup_bytes[31] = {}; // setThreadgroupMemoryLength
};

// Runs all of it on the calling thread and returns when it is done. Throws Fault; the process survives, what the kernel
// had written until then stays.
void run(const Dispatch& dispatch);

// Orders threadgroups, simdgroups and lanes; 0: in order. The first value is $MLX_METAL_EMULATOR_SEED, else 1.
void set_seed(uint64_t seed);

// Zeroed memory whose end touches a page that nobody may touch, so that even uninstrumented code stops there. The end is
// exact for sizes that are multiples of `alignment` (a power of two, at most 4096). nullptr when there is no memory.
void* allocate_guarded(size_t size, size_t alignment = 64) noexcept;
void free_guarded(void* data) noexcept;

} // namespace mlx::core::metal_emulator
