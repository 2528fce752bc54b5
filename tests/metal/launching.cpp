// The encoder of launching.h: libraries from metal/, kernels found by name.
#include "launching.h"

namespace launching {

namespace {

const runner::Library& library(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const runner::Library>> all;
  auto& one = all[name];
  if (!one) {
    const std::string folder = MLX_SHADERS;
    std::ifstream in(folder + "/" + name + ".metal", std::ios::binary);
    if (!in) throw std::runtime_error("no shader " + name);
    std::string source{std::istreambuf_iterator<char>(in), {}};
    one = runner::compile(runner::Text{.source = source, .file = name + ".metal", .include_folders = {folder}});
  }
  return *one;
}

} // namespace

namespace {
std::map<std::string, std::shared_ptr<const runner::Function>> known; // by library/name
} // namespace

std::vector<std::string> Encoder::never_run(const std::string& from) {
  std::vector<std::string> names;
  for (const std::string& name : library(from).function_names()) {
    if (!known.contains(from + "/" + name)) names.push_back(name);
  }
  return names;
}

void Encoder::kernel(std::string_view from, const std::string& name, std::span<const gpu::FunctionConstant> constants) {
  auto& one = known[std::string(from) + "/" + name];
  if (!one) {
    if (!constants.empty()) throw std::runtime_error("these kernels have no constants");
    one = library(std::string(from)).function(name);
    if (!one) throw std::runtime_error("no kernel " + name + " in " + std::string(from));
  }
  function_ = one;
  dispatch_ = {};
}

void Encoder::go(gpu::Grid threads, gpu::Grid group) {
  dispatch_.function = function_.get();
  uint64_t all[] = {threads.x, threads.y, threads.z}, some[] = {group.x, group.y, group.z};
  std::copy(all, all + 3, dispatch_.threads);
  std::copy(some, some + 3, dispatch_.threads_per_threadgroup);
  runner::set_seed(static_cast<uint64_t>(++dispatches) * 7919 + 1); // another order each time
  runner::run(dispatch_);
}

} // namespace launching
