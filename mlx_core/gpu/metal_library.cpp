// Shader libraries and pipelines, each made once.
#include "mlx_core/gpu/metal_library.h"

#include <dispatch/dispatch.h>

#include <map>
#include <memory>
#include <mutex>

#include "mlx_core/error.h"
#include "mlx_core/gpu/metal_device.h"
#include "mlx_core/gpu/metal_shader_text.h"

namespace mlx::core::gpu {

namespace {

// Things that are made once for each key. Different keys are made side by side; what fails is tried again.
template <typename T>
class MadeOnce {
 public:
  template <typename Make>
  T& get(const std::string& key, Make make) {
    std::shared_ptr<Entry> entry;
    {
      std::lock_guard lock(mutex_);
      std::shared_ptr<Entry>& at = entries_[key];
      if (!at) at = std::make_shared<Entry>();
      entry = at;
    }
    std::lock_guard lock(entry->mutex);
    if (!entry->value) entry->value = std::make_unique<T>(make());
    return *entry->value;
  }

 private:
  struct Entry {
    std::mutex mutex;
    std::unique_ptr<T> value;
  };
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
};

using LibraryPtr = NS::SharedPtr<MTL::Library>;

struct Cache {
  MadeOnce<LibraryPtr> libraries;
  MadeOnce<Pipeline> pipelines;
};
// Never destroyed: Metal's own objects may be gone by then.
Cache& cache() {
  static Cache& instance = *new Cache;
  return instance;
}

[[noreturn]] void fail_in_shader(const std::string& what, const NS::Error* error) {
  std::string messages = text_of(error);
  throw ShaderError("[gpu] " + what + ": " + messages, messages);
}

LibraryPtr compiled(std::string_view name, const std::string& text, MathMode math = MathMode::safe) {
  PoolScope pool;
  auto options = NS::TransferPtr(MTL::CompileOptions::alloc()->init());
  // The same values as on the CPU: no contraction, no reordering (`#pragma METAL fp` says the rest in the text).
  options->setFastMathEnabled(math == MathMode::fast);
  if (math == MathMode::relaxed && macos_is_at_least(15, 0)) options->setMathMode(MTL::MathModeRelaxed);
  options->setLanguageVersion(MTL::LanguageVersion3_1);
  NS::Error* error = nullptr;
  MTL::Library* library = device().newLibrary(apple_string(text), options.get(), &error);
  if (!library) fail_in_shader("The shader " + std::string(name) + " does not compile", error);
  return NS::TransferPtr(library);
}

LibraryPtr loaded(std::span<const unsigned char> metallib) {
  PoolScope pool;
  dispatch_data_t data =
      dispatch_data_create(metallib.data(), metallib.size(), nullptr, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
  NS::Error* error = nullptr;
  MTL::Library* library = device().newLibrary(data, &error);
  dispatch_release(data);
  if (!library) fail<std::runtime_error>("gpu", "The library of shaders could not be loaded: ", text_of(error));
  return NS::TransferPtr(library);
}

MTL::DataType type_of(FunctionConstant::Type type) {
  switch (type) {
    case FunctionConstant::Type::boolean: return MTL::DataTypeBool;
    case FunctionConstant::Type::int32: return MTL::DataTypeInt;
    case FunctionConstant::Type::uint32: return MTL::DataTypeUInt;
    case FunctionConstant::Type::int64: return MTL::DataTypeLong;
    case FunctionConstant::Type::float32: return MTL::DataTypeFloat;
  }
  return MTL::DataTypeNone;
}

Pipeline make_pipeline(std::string_view library_name, MTL::Library& library, std::string_view kernel,
    std::span<const FunctionConstant> constants) {
  PoolScope pool;
  NS::Error* error = nullptr;
  auto values = NS::TransferPtr(MTL::FunctionConstantValues::alloc()->init());
  for (const FunctionConstant& constant : constants) {
    values->setConstantValue(&constant.bits, type_of(constant.type), static_cast<NS::UInteger>(constant.index));
  }
  MTL::Function* function = library.newFunction(apple_string(kernel), values.get(), &error);
  if (!function) {
    fail_in_shader("There is no kernel " + std::string(kernel) + " in " + std::string(library_name), error);
  }
  auto owned = NS::TransferPtr(function);
  MTL::ComputePipelineState* state = device().newComputePipelineState(function, &error);
  if (!state) {
    fail_in_shader("The kernel " + std::string(kernel) + " of " + std::string(library_name) + " cannot run", error);
  }
  return {std::string(kernel), state, state->maxTotalThreadsPerThreadgroup(), state->threadExecutionWidth(),
      state->staticThreadgroupMemoryLength()};
}

const Pipeline& cached_pipeline(std::string_view library_name, std::string_view kernel,
    std::span<const FunctionConstant> constants, const std::function<MTL::Library&()>& library) {
  std::string key = std::string(library_name) + '\n' + std::string(kernel);
  for (const FunctionConstant& constant : constants) {
    key += '\n' + std::to_string(constant.index) + ':' + std::to_string(static_cast<int>(constant.type)) + ':' +
           std::to_string(constant.bits);
  }
  return cache().pipelines.get(key, [&] { return make_pipeline(library_name, library(), kernel, constants); });
}

} // namespace

const Pipeline& pipeline(std::string_view file, std::string_view kernel, std::span<const FunctionConstant> constants) {
  return cached_pipeline(file, kernel, constants, [&]() -> MTL::Library& {
    std::span<const unsigned char> metallib = shader_metallib();
    if (!metallib.empty()) return *cache().libraries.get("", [&] { return loaded(metallib); }).get();
    return *cache().libraries.get(std::string(file), [&] { return compiled(file, shader_text(file)); }).get();
  });
}

const Pipeline& generated_pipeline(std::string_view key, const std::function<std::string()>& text,
    std::string_view kernel, std::span<const FunctionConstant> constants, MathMode math) {
  static constexpr const char* prefixes[] = {
      "generated ", "generated, with relaxed math, ", "generated, with fast math, "};
  std::string name = prefixes[static_cast<int>(math)] + std::string(key);
  return cached_pipeline(name, kernel, constants, [&]() -> MTL::Library& {
    return *cache().libraries.get(name, [&] { return compiled(name, with_includes(text()), math); }).get();
  });
}

} // namespace mlx::core::gpu
