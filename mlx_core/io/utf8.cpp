// UTF-8: checking it, and making it.
#include <string>

#include "mlx_core/io/utf8.h"

namespace mlx::core::io {

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto byte = [&](size_t k) { return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u; };
    unsigned first = byte(i);
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    bool bad = length == 0 || (first == 0xe0 && byte(i + 1) < 0xa0) || (first == 0xed && byte(i + 1) > 0x9f) ||
               (first == 0xf0 && byte(i + 1) < 0x90) || (first == 0xf4 && byte(i + 1) > 0x8f);
    for (size_t k = 1; k < length; ++k) {
      bad = bad || (byte(i + k) & 0xc0) != 0x80;
    }
    if (bad) {
      return false;
    }
    i += length;
  }
  return true;
}

void append_utf8(std::string& text, unsigned code) {
  auto byte = [&](unsigned bits) { text.push_back(static_cast<char>(bits)); };
  auto rest = [&](int shift) { byte(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | (code >> 6)), rest(0);
  } else if (code < 0x10000) {
    byte(0xe0 | (code >> 12)), rest(6), rest(0);
  } else {
    byte(0xf0 | (code >> 18)), rest(12), rest(6), rest(0);
  }
}

} // namespace mlx::core::io
