// The preprocessed text of a shader as tokens that can be changed one by one, with the lines they come from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlx::core::metal_emulator {

struct Token {
  enum Kind { word, number, text, sign, end };
  Kind kind;
  std::string before; // white space and line markers in front of it
  std::string original;
  std::string now; // what is printed
  int line;
  int file;
  bool ours; // stands in the emulator's headers, which are C++ already
  bool is(std::string_view s) const { return original == s; }
  void erase() { now.clear(); }
};

struct Tokens {
  std::vector<Token> all; // the last is of the kind `end`
  std::vector<std::string> files;
};

// Of the output of the preprocessor. Pragmas about loops and about Metal itself are dropped: they would only warn.
Tokens tokenize(std::string_view text, const std::string& headers_folder);
std::string print(const Tokens& tokens);

} // namespace mlx::core::metal_emulator
