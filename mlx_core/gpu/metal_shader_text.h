// The shaders that are built into the library: as text, and on a Mac compiled.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mlx::core::gpu {

struct ShaderFile {
  std::string_view name, text; // name: relative to metal/, such as "reduce.metal"
};

// Generated when the library is built (cmake/embed_shaders.cmake).
std::span<const ShaderFile> shader_files();
std::span<const unsigned char> shader_metallib(); // empty: the texts are compiled when they are needed

// The text of one file, complete. Throws std::runtime_error when there is none of that name.
std::string shader_text(std::string_view file);
// A text with what it includes of the library's own headers, each once, in its place. Messages keep the files' lines.
std::string with_includes(std::string_view text, std::string_view name = "generated");

} // namespace mlx::core::gpu
