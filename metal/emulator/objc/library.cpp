// Shader libraries, functions, their constants and pipelines of the stand-in: what Metal says, in the runner's terms.
#include <cstring>

#include "metal/emulator/objc/metal.h"

namespace mlx::core::metal_emulator::objc {

namespace {

constexpr const char* domain = "MTLLibraryErrorDomain";
enum Code { unsupported = 1, internal = 2, compile_failure = 3, function_not_found = 5 };

// Bytes of a value of an MTLDataType: the scalar types and their vectors, which are numbered one after another.
size_t bytes_of(uint64_t type) {
  struct Scalar {
    uint64_t first;
    size_t bytes;
  };
  for (Scalar s : {Scalar{3, 4}, {16, 2}, {29, 4}, {33, 4}, {37, 2}, {41, 2}, {45, 1}, {49, 1}, {53, 1}, {81, 8},
           {85, 8}, {121, 2}}) {
    if (type >= s.first && type < s.first + 4) {
      uint64_t lanes = type - s.first + 1;
      return s.bytes * (lanes == 3 ? 4 : lanes);
    }
  }
  misuse("Function constants of MTLDataType " + std::to_string(type) + " are not supported.");
}

} // namespace

void ConstantValues::set(FunctionConstant constant, const void* value, uint64_t type) {
  constant.size = bytes_of(type);
  if (constant.size > sizeof constant.bytes) misuse("A function constant of more than 16 bytes is not supported.");
  std::memcpy(constant.bytes, value, constant.size);
  for (FunctionConstant& old : values) {
    if (old.index == constant.index && old.name == constant.name) {
      old = std::move(constant);
      return;
    }
  }
  values.push_back(std::move(constant));
}
void ConstantValues::set_at(const void* value, uint64_t type, uint64_t index) {
  FunctionConstant constant;
  constant.index = static_cast<int>(index);
  set(std::move(constant), value, type);
}
void ConstantValues::set_range(const void* value, uint64_t type, Span range) {
  for (uint64_t i = 0; i < range.length; ++i) {
    set_at(static_cast<const char*>(value) + i * bytes_of(type), type, range.location + i);
  }
}
void ConstantValues::set_named(const void* value, uint64_t type, String* name) {
  FunctionConstant constant;
  constant.name = name->text;
  set(std::move(constant), value, type);
}

ShaderFunction::ShaderFunction(std::string name) : Labelled(class_of<ShaderFunction>()), name(std::move(name)) {}
ShaderLibrary::ShaderLibrary(std::shared_ptr<const Library> library)
    : Labelled(class_of<ShaderLibrary>()), library_(std::move(library)) {}
Pipeline::Pipeline(std::shared_ptr<const Function> function)
    : Labelled(class_of<Pipeline>()), function(std::move(function)) {}
Object* Pipeline::device() { return reinterpret_cast<Object*>(the_device()); }

Object* ShaderLibrary::from_source(const std::string& source, CompileOptions* options, Object** error) {
  Text text;
  text.source = source;
  if (options && options->macros) {
    for (auto& [key, value] : options->macros->items) {
      auto *name = dynamic_cast<String*>(key.get()), *replacement = dynamic_cast<String*>(value.get());
      if (!name || !replacement)
        misuse("-[MTLCompileOptions setPreprocessorMacros:]: keys and values should be strings.");
      text.defines.emplace_back(name->text, replacement->text);
    }
  }
  try {
    return new ShaderLibrary(compile(text));
  } catch (const CompileError& failure) {
    return Error::report(error, domain, compile_failure, failure.what());
  } catch (const std::exception& failure) {
    return Error::report(error, domain, internal, failure.what());
  }
}

Object* ShaderLibrary::names() {
  auto* array = new Array;
  for (const std::string& name : library_->function_names()) {
    array->items.push_back(Ref<Object>::adopt(String::make(name)));
  }
  return array->autorelease();
}

// Without an NSError to fill, what is wrong with a function that exists shows when a pipeline is made of it.
Object* ShaderLibrary::function(String* name) {
  std::shared_ptr<const Function> found;
  std::string failure;
  try {
    found = library_->function(name->text);
    if (!found) return nullptr;
  } catch (const std::exception& reason) {
    failure = reason.what();
  }
  auto* function = new ShaderFunction(name->text);
  function->function = std::move(found);
  function->failure = std::move(failure);
  return function;
}

Object* ShaderLibrary::function_with_constants(String* name, ConstantValues* constants, Object** error) {
  try {
    auto found = library_->function(name->text,
        constants ? std::span<const FunctionConstant>(constants->values) : std::span<const FunctionConstant>());
    if (!found)
      return Error::report(error, domain, function_not_found, "There is no function named " + name->text + ".");
    auto* function = new ShaderFunction(name->text);
    function->function = std::move(found);
    return function;
  } catch (const std::exception& failure) {
    return Error::report(error, domain, compile_failure, failure.what());
  }
}

void define_library() {
  Definition("MTLCompileOptions")
      .creates<CompileOptions>()
      .property<&CompileOptions::fast_math>("fastMathEnabled", "setFastMathEnabled:")
      .property<&CompileOptions::language_version>("languageVersion", "setLanguageVersion:")
      .property<&CompileOptions::math_mode>("mathMode", "setMathMode:")
      .method<&CompileOptions::get_macros>("preprocessorMacros")
      .method<&CompileOptions::set_macros>("setPreprocessorMacros:");
  Definition("MTLFunctionConstantValues")
      .creates<ConstantValues>()
      .method<&ConstantValues::set_at>("setConstantValue:type:atIndex:")
      .method<&ConstantValues::set_range>("setConstantValues:type:withRange:")
      .method<&ConstantValues::set_named>("setConstantValue:type:withName:")
      .method<&ConstantValues::reset>("reset");
  Definition("MTLFunction")
      .method<&ShaderFunction::get_name>("name")
      .method<&ShaderFunction::type>("functionType")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
  Definition("MTLLibrary")
      .method<&ShaderLibrary::names>("functionNames")
      .method<&ShaderLibrary::function>("newFunctionWithName:")
      .method<&ShaderLibrary::function_with_constants>("newFunctionWithName:constantValues:error:")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
  Definition("MTLComputePipelineState")
      .method<&Pipeline::most_threads>("maxTotalThreadsPerThreadgroup")
      .method<&Pipeline::simd_width>("threadExecutionWidth")
      .method<&Pipeline::threadgroup_bytes>("staticThreadgroupMemoryLength")
      .method<&Pipeline::device>("device")
      .method<&Labelled::label>("label");
}

} // namespace mlx::core::metal_emulator::objc
