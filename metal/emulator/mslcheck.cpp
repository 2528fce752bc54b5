// mslcheck [-I folder] [-D name=value] [--list] [--print] file.metal...: checks shaders with every explicit instantiation.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "clang.h"
#include "rewriter.h"

using namespace mlx::core::metal_emulator;

int main(int argc, char** argv) {
  Text text;
  std::vector<std::string> files;
  bool list = false, show = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    bool value = i + 1 < argc && argument.size() == 2;
    if (argument == "--list") {
      list = true;
    } else if (argument == "--print") {
      show = true;
    } else if (argument.starts_with("-I") && (argument.size() > 2 || value)) {
      text.include_folders.push_back(argument.size() > 2 ? argument.substr(2) : argv[++i]);
    } else if (argument.starts_with("-D") && (argument.size() > 2 || value)) {
      std::string define = argument.size() > 2 ? argument.substr(2) : argv[++i];
      size_t equal = define.find('=');
      text.defines.emplace_back(define.substr(0, equal), equal == std::string::npos ? "1" : define.substr(equal + 1));
    } else if (argument.starts_with("-")) {
      std::fprintf(stderr, "usage: mslcheck [-I folder] [-D name=value] [--list] [--print] file.metal...\n");
      return 2;
    } else {
      files.push_back(argument);
    }
  }
  int failed = 0;
  for (const std::string& file : files) {
    try {
      std::ifstream in(file, std::ios::binary);
      if (!in) throw std::runtime_error(file + ": cannot be read");
      Text one = text;
      one.source.assign(std::istreambuf_iterator<char>(in), {});
      one.file = file;
      one.include_folders.insert(one.include_folders.begin(), std::filesystem::path(file).parent_path().string());
      if (one.include_folders.front().empty()) one.include_folders.front() = ".";
      if (list || show) {
        Rewritten rewritten = rewrite(preprocess(one), headers_folder());
        for (auto& kernel : rewritten.kernels) {
          if (list) std::printf("%s\n", kernel.host_name.c_str());
        }
        if (show) std::printf("%s\n", rewritten.text.c_str());
      }
      check(one);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s", error.what());
      ++failed;
    }
  }
  return failed ? 1 : 0;
}
