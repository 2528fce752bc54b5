// Loads a compiled kernel and sets its function constants.
#include "kernel.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>

namespace mlx::core::metal_emulator {

Kernel::Kernel(std::string name, const std::string& path, std::span<const FunctionConstant> constants)
    : name_(std::move(name)) {
  // The loader gives the same library again for a name or a file that it knows, so each load has a new file.
  static std::atomic<unsigned> count{0};
  std::string copy = path + "." + std::to_string(getpid()) + "." + std::to_string(count++);
  std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
  handle_ = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  std::string why = handle_ ? "" : dlerror();
  std::filesystem::remove(copy);
  if (!handle_) {
    throw std::runtime_error("[metal] kernel " + name_ + " could not be loaded: " + why);
  }
  program_ = static_cast<mlx_msl::Program*>(dlsym(handle_, "msl_program"));
  try {
    int index = 0;
    for (auto* v = program_->variables_begin; v != program_->variables_end; ++v) {
      v->index = index++;
      static_bytes_ += (v->bytes + 15) & ~15u;
    }
    if (index > int(mlx_msl::max_variables)) {
      throw std::runtime_error("[metal] kernel " + name_ + " has more than 64 threadgroup variables");
    }
    for (int* limit = program_->limits_begin; limit != program_->limits_end; ++limit) {
      max_threads_ = std::min(max_threads_, size_t(std::max(*limit, 0)));
    }
    set_constants(constants);
  } catch (...) {
    dlclose(handle_);
    throw;
  }
}

Kernel::~Kernel() { dlclose(handle_); }

void Kernel::set_constants(std::span<const FunctionConstant> constants) {
  for (auto* c = program_->constants_begin; c != program_->constants_end; ++c) {
    auto what = [&] {
      return "[metal] kernel " + name_ + ": function constant " + c->name + " (index " + std::to_string(c->index) + ")";
    };
    auto given = std::find_if(constants.begin(), constants.end(), [&](const FunctionConstant& one) {
      return one.index >= 0 ? one.index == c->index : one.name == c->name;
    });
    if (given == constants.end()) {
      if (!c->optional) {
        throw std::runtime_error(what() + " is used and was not set: set it, or ask is_function_constant_defined first");
      }
      continue;
    }
    if (given->size != c->size) {
      throw std::runtime_error(what() + " has " + std::to_string(c->size) + " bytes, but " + std::to_string(given->size) +
          " were given: set it with the type that the shader has");
    }
    c->defined = true;
    std::memcpy(c->bytes, given->bytes, c->size);
  }
}

} // namespace mlx::core::metal_emulator
