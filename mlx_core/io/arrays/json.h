// JSON, read piece by piece by whoever knows what should come. Nothing recurses.
#pragma once

#include <string>
#include <string_view>

#include "mlx_core/io/arrays/source.h"

namespace mlx::core::io {

class JsonReader {
 public:
  // `begin`: where the text stands in the source, for errors.
  JsonReader(const Source& source, std::string_view text, int64_t begin)
      : source_(source), text_(text), begin_(begin) {}

  // Whether the next character, after white space, is this one; then it is passed.
  bool take(char c);
  void expect(char c);
  // For lists and objects: open() passes the bracket; next() is true before each entry, and passes commas and the end.
  void open(char bracket);
  bool next(char closing);
  std::string text(); // a string
  std::string key();  // a string and the colon
  int64_t natural();  // an integer that is not negative
  bool take_null();   // whether it is null, which is passed
  void skip();        // any value, of limited depth
  void finish();      // nothing but white space and zero bytes follow
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  void space();
  unsigned hexadecimal();
  const Source& source_;
  std::string_view text_;
  int64_t begin_;
  size_t at_ = 0;
  bool first_ = false; // nothing was read since open()
};

// A string as JSON, in quotes.
std::string json_text(std::string_view text);

} // namespace mlx::core::io
