// Runs clang, and keeps what it made in a folder by the hash of what it was made from.
#include "clang.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

extern char** environ;

namespace mlx::core::metal_emulator {

namespace {

namespace fs = std::filesystem;

// Every access is seen by the hooks of the thread sanitizer (include/msl/runtime.h), which also keeps the optimiser from
// moving loads before the test that guards them. Fast math and contraction are off, as in the build for Apple.
const std::vector<std::string> language = {"-std=c++14", "-w", "-fno-color-diagnostics", "-ferror-limit=20", "-ffreestanding",
    "-march=x86-64-v3", "-ffp-contract=off", "-fno-math-errno", "-Xclang", "-ffloat16-excess-precision=none", "-fno-exceptions",
    "-fno-rtti", "-fno-strict-aliasing", "-fwrapv", "-fno-threadsafe-statics", "-fvisibility=hidden"};
const std::vector<std::string> code = {"-O1", "-fPIC", "-shared", "-fsanitize=thread", "-mllvm", "-tsan-instrument-func-entry-exit=0",
    "-mllvm", "-tsan-instrument-atomics=0", "-mllvm", "-tsan-compound-read-before-write=1"};

std::string environment(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

std::string clang() { return environment("MLX_METAL_EMULATOR_CLANG", MLX_METAL_EMULATOR_CLANG); }

fs::path cache() {
  fs::path folder = environment("MLX_METAL_EMULATOR_CACHE",
      (fs::temp_directory_path() / ("mlx-metal-emulator-" + std::to_string(getuid()))).string());
  fs::create_directories(folder);
  return folder;
}

std::string hash(const std::string& text) {
  uint64_t a = 0xcbf29ce484222325u, b = 0x9ae16a3b2f90404fu;
  for (unsigned char c : text) {
    a = (a ^ c) * 0x100000001b3u;
    b = (b ^ c) * 0x9ddfea08eb382d69u;
    b ^= b >> 47;
  }
  char digits[33];
  std::snprintf(digits, sizeof digits, "%016llx%016llx", static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
  return digits;
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) {
    throw std::runtime_error("[metal] cannot write " + path.string() + ": give a folder as MLX_METAL_EMULATOR_CACHE");
  }
}

// Files of one run of clang, which are removed with it.
struct Scratch {
  fs::path base;
  Scratch() {
    static std::atomic<unsigned> count{0};
    base = cache() / ("run-" + std::to_string(getpid()) + "-" + std::to_string(count++));
  }
  ~Scratch() {
    std::error_code ignored;
    for (const char* end : {".in", ".out", ".err", ".so"}) fs::remove(file(end), ignored);
  }
  fs::path file(const char* end) const { return base.string() + end; }
};

void call(std::vector<std::string> arguments, const Scratch& scratch) {
  arguments.insert(arguments.begin(), clang());
  std::vector<char*> pointers;
  for (auto& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, scratch.file(".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, scratch.file(".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child;
  int error = posix_spawnp(&child, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error) {
    throw std::runtime_error("[metal] cannot run " + clang() + ": " + std::strerror(error) + "; install clang-19 or name a clang as " +
        "MLX_METAL_EMULATOR_CLANG");
  }
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::runtime_error(std::string("[metal] lost the compiler: ") + std::strerror(errno));
  }
  if (status != 0) throw CompileError(read(scratch.file(".err")));
}

void append(std::vector<std::string>& to, const std::vector<std::string>& from) { to.insert(to.end(), from.begin(), from.end()); }

std::string key(const std::string& kind, const std::string& text) {
  std::string all = kind + '\0' + clang() + '\0';
  for (auto* flags : {&language, &code}) {
    for (auto& flag : *flags) all += flag + '\0';
  }
  return hash(all + text);
}

} // namespace

std::string headers_folder() { return environment("MLX_METAL_EMULATOR_HEADERS", MLX_METAL_EMULATOR_HEADERS); }

std::string preprocess(const Text& text) {
  Scratch scratch;
  write(scratch.file(".in"), "#line 1 \"" + text.file + "\"\n" + text.source);
  std::vector<std::string> arguments = {"-x", "c++", "-E", "-nostdinc++", "-nostdlibinc", "-I", headers_folder()};
  append(arguments, language);
  for (auto& folder : text.include_folders) append(arguments, {"-I", folder});
  for (auto& [name, value] : text.defines) arguments.push_back("-D" + name + "=" + value);
  arguments.push_back(scratch.file(".in").string());
  call(arguments, scratch);
  return read(scratch.file(".out"));
}

void check_rewritten(const std::string& rewritten) {
  Scratch scratch;
  write(scratch.file(".in"), rewritten);
  std::vector<std::string> arguments = {"-x", "c++-cpp-output", "-fsyntax-only"};
  append(arguments, language);
  arguments.push_back(scratch.file(".in").string());
  call(arguments, scratch);
}

void check_once(const std::string& rewritten) {
  fs::path passed = cache() / (key("check", rewritten) + ".checked");
  if (fs::exists(passed)) return;
  check_rewritten(rewritten);
  write(passed, "");
}

std::string compile_rewritten(const std::string& rewritten) {
  fs::path result = cache() / (key("code", rewritten) + ".so");
  if (fs::exists(result)) return result.string();
  Scratch scratch;
  write(scratch.file(".in"), rewritten);
  std::vector<std::string> arguments = {"-x", "c++-cpp-output"};
  append(arguments, language);
  append(arguments, code);
  append(arguments, {scratch.file(".in").string(), "-o", scratch.file(".so").string(), "-lm"});
  call(arguments, scratch);
  fs::rename(scratch.file(".so"), result); // whole, or not there
  return result.string();
}

} // namespace mlx::core::metal_emulator
