// Whether text is UTF-8: what Python can read as a str.
#pragma once

#include <string>
#include <string_view>

namespace mlx::core::io {

bool is_utf8(std::string_view text);
// Appends a code point, which is no surrogate.
void append_utf8(std::string& text, unsigned code);

} // namespace mlx::core::io
