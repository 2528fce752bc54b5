// The compiler as a program: preprocesses, checks and compiles, and keeps what it made on the disk.
#pragma once

#include <string>
#include <vector>

#include "runner.h"

namespace mlx::core::metal_emulator {

std::string headers_folder();
// Throws CompileError with clang's messages. The text begins with the lines of the source.
std::string preprocess(const Text& text);
// Syntax and types of rewritten text.
void check_rewritten(const std::string& rewritten);
// The path of the shared library that holds it, made now unless an equal text was compiled before.
std::string compile_rewritten(const std::string& rewritten);
// Whether `rewritten` passed check_rewritten before, in any process; else checks it.
void check_once(const std::string& rewritten);

} // namespace mlx::core::metal_emulator
