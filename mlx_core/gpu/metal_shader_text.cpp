// Puts the texts of included headers where they are included: Metal compiles one text, and knows no folders.
#include "mlx_core/gpu/metal_shader_text.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "mlx_core/error.h"

namespace mlx::core::gpu {

namespace {

const ShaderFile* find(std::string_view name) {
  for (const ShaderFile& file : shader_files()) {
    if (file.name == name) return &file;
  }
  return nullptr;
}

// The name in `#include "name"`, or nothing.
std::string_view included_by(std::string_view line) {
  size_t at = line.find_first_not_of(" \t");
  if (at == std::string_view::npos || line[at] != '#') return {};
  at = line.find_first_not_of(" \t", at + 1);
  constexpr std::string_view include = "include";
  if (at == std::string_view::npos || line.substr(at, include.size()) != include) return {};
  at = line.find_first_not_of(" \t", at + include.size());
  if (at == std::string_view::npos || line[at] != '"') return {};
  size_t end = line.find('"', at + 1);
  return end == std::string_view::npos ? std::string_view() : line.substr(at + 1, end - at - 1);
}

void append(std::string& out, std::string_view text, std::string_view name, std::set<const ShaderFile*>& seen) {
  std::string quoted = " \"" + std::string(name) + "\"\n"; // of the file that the lines are of
  out += "#line 1" + quoted;
  for (size_t begin = 0, line = 1; begin < text.size(); ++line) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view content = text.substr(begin, end - begin);
    begin = end + 1;
    if (content.starts_with("#line ")) { // the text says itself where the next line stands
      size_t file = content.find('"');
      line = std::strtoul(content.data() + 6, nullptr, 10) - 1;
      if (file != std::string_view::npos) quoted = " " + std::string(content.substr(file)) + "\n";
    }
    std::string_view included = included_by(content);
    if (included.empty()) {
      // Each header comes once anyway, and a main text may not say this.
      if (content.find("#pragma once") == std::string_view::npos) out += content;
      out += '\n';
      continue;
    }
    size_t slash = name.rfind('/');
    std::string beside(slash == std::string_view::npos ? "" : name.substr(0, slash + 1));
    const ShaderFile* file = find(beside + std::string(included));
    if (!file) file = find(included.starts_with("metal/") ? included.substr(6) : included);
    if (!file) fail<std::runtime_error>("gpu", "The shader ", name, " includes ", included, ", which is not built in.");
    if (seen.insert(file).second) append(out, file->text, file->name, seen);
    out += "#line " + std::to_string(line + 1) + quoted;
  }
}

} // namespace

std::string with_includes(std::string_view text, std::string_view name) {
  std::string out;
  std::set<const ShaderFile*> seen;
  append(out, text, name, seen);
  return out;
}

std::string shader_text(std::string_view file) {
  const ShaderFile* found = find(file);
  if (!found) fail<std::runtime_error>("gpu", "There is no shader file ", file, " in this build.");
  return with_includes(found->text, found->name);
}

} // namespace mlx::core::gpu
