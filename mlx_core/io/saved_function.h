// What a file of exported functions holds.
#pragma once

#include <string>
#include <vector>

#include "mlx_core/program/open_program.h"
#include "mlx_core/transforms.h"

namespace mlx::core::io {

// One call: the positional arguments, then those by keyword.
struct SavedTrace {
  size_t positional;
  std::vector<std::string> keywords;
  OpenProgram body;
};
struct SavedFile {
  std::string metadata;
  std::vector<SavedTrace> traces;
};

// --- record.cpp ---
// fun(args) as a trace. With shapeless the sizes of the arguments are symbols.
SavedTrace record(
    const VectorFunction& fun, const std::vector<array>& args, std::vector<std::string> keywords, bool shapeless);

// --- format.cpp ---
std::string to_bytes(const SavedFile& file);
// Throws std::invalid_argument, naming the file, for anything that to_bytes does not write.
SavedFile from_bytes(const std::string& bytes, const std::string& file_name);

} // namespace mlx::core::io
