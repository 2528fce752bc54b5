// Reading JSON with checks, and writing strings.
#include "mlx_core/io/arrays/json.h"

#include "mlx_core/io/utf8.h"

namespace mlx::core::io {

void JsonReader::refuse(const std::string& what) const {
  source_.refuse("its header (JSON) has ", what, ", at byte ", begin_ + static_cast<int64_t>(at_));
}

void JsonReader::space() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
    ++at_;
  }
}

bool JsonReader::take(char c) {
  space();
  bool is_there = at_ < text_.size() && text_[at_] == c;
  at_ += is_there;
  return is_there;
}

void JsonReader::expect(char c) {
  if (!take(c)) {
    refuse(std::string("no '") + c + "' where one should be");
  }
}

void JsonReader::open(char bracket) {
  expect(bracket);
  first_ = true;
}

bool JsonReader::next(char closing) {
  if (take(closing)) {
    first_ = false;
    return false;
  }
  if (!std::exchange(first_, false)) {
    expect(',');
  }
  return true;
}

unsigned JsonReader::hexadecimal() {
  unsigned value = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    char c = at_ < text_.size() ? text_[at_] : 0;
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<unsigned>(c - '0');
    } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
      value = value * 16 + static_cast<unsigned>((c | 0x20) - 'a' + 10);
    } else {
      refuse("an escape \\u without four hexadecimal digits");
    }
  }
  return value;
}

std::string JsonReader::text() {
  space();
  if (at_ >= text_.size() || text_[at_] != '"') {
    refuse("no text in quotes where one should be");
  }
  std::string out;
  for (++at_;; ++at_) {
    if (at_ >= text_.size()) {
      refuse("a text without an end");
    }
    char c = text_[at_];
    if (c == '"') {
      break;
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      refuse("a control character in a text");
    }
    if (c != '\\') {
      out += c;
      continue;
    }
    ++at_;
    char escape = at_ < text_.size() ? text_[at_] : 0;
    switch (escape) {
      case '"':
      case '\\':
      case '/': out += escape; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'u': {
        ++at_;
        unsigned code = hexadecimal();
        if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_).starts_with("\\u")) {
          at_ += 2;
          unsigned low = hexadecimal();
          if (low < 0xdc00 || low >= 0xe000) {
            refuse("half of a pair of surrogates");
          }
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        } else if (code >= 0xd800 && code < 0xe000) {
          refuse("half of a pair of surrogates");
        }
        append_utf8(out, code);
        --at_; // the loop passes the last digit
        break;
      }
      default: refuse("an unknown escape in a text");
    }
  }
  ++at_;
  if (!is_utf8(out)) {
    refuse("a text that is no UTF-8");
  }
  return out;
}

std::string JsonReader::key() {
  std::string name = text();
  expect(':');
  return name;
}

int64_t JsonReader::natural() {
  space();
  int64_t value = 0;
  size_t begin = at_;
  for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
    if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
        __builtin_add_overflow(value, int64_t{text_[at_] - '0'}, &value)) {
      refuse("a number that is too large");
    }
  }
  char after = at_ < text_.size() ? text_[at_] : 0;
  if (at_ == begin || after == '.' || after == 'e' || after == 'E') {
    refuse("no whole number that is not negative where one should be");
  }
  return value;
}

bool JsonReader::take_null() {
  space();
  bool is_there = text_.substr(at_).starts_with("null");
  at_ += is_there ? 4 : 0;
  return is_there;
}

// Brackets are kept as text, so that depth costs a byte and no stack.
void JsonReader::skip() {
  constexpr size_t deepest = 64;
  std::string closing;
  do {
    space();
    char c = at_ < text_.size() ? text_[at_] : 0;
    if (c == '"') {
      text();
    } else if (c == '{' || c == '[') {
      if (closing.size() == deepest) {
        refuse("values nested deeper than " + std::to_string(deepest));
      }
      ++at_;
      closing += c == '{' ? '}' : ']';
      if (take(closing.back())) {
        closing.pop_back();
      } else {
        if (closing.back() == '}') {
          key();
        }
        continue;
      }
    } else {
      size_t begin = at_;
      while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '-' ||
                                       text_[at_] == '+' || text_[at_] == '.')) {
        ++at_;
      }
      if (at_ == begin) {
        refuse("no value where one should be");
      }
    }
    while (!closing.empty() && take(closing.back())) {
      closing.pop_back();
    }
    if (!closing.empty()) {
      expect(',');
      if (closing.back() == '}') {
        key();
      }
    }
  } while (!closing.empty());
}

void JsonReader::finish() {
  while (at_ < text_.size() && text_[at_] == 0) {
    ++at_;
  }
  space();
  if (at_ != text_.size()) {
    refuse("something behind its end");
  }
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char digits[] = "0123456789abcdef";
      out += "\\u00";
      out += digits[static_cast<unsigned char>(c) >> 4];
      out += digits[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

} // namespace mlx::core::io
