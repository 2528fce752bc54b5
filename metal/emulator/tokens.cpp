// Splits preprocessed text into tokens and prints it again.
#include "tokens.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace mlx::core::metal_emulator {

namespace {

// Not `>>`, which may close two lists of template arguments.
constexpr std::array signs = {"<<=", ">>=", "...", "::", "->", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "&=", "|=",
    "^=", "&&", "||", "<<", "++", "--"};

bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$'; }

class Splitter {
 public:
  Splitter(std::string_view text, const std::string& headers) : text_(text), headers_(headers) {}

  Tokens split() {
    while (true) {
      std::string before = space();
      size_t from = at_;
      if (from == text_.size()) {
        add(Token::end, from, std::move(before));
        return std::move(tokens_);
      }
      char c = text_[at_];
      if (std::isdigit(static_cast<unsigned char>(c)) || (c == '.' && std::isdigit(static_cast<unsigned char>(peek(1))))) {
        while (at_ < text_.size() && (in_word(text_[at_]) || text_[at_] == '.' || text_[at_] == '\'' ||
                                      ((text_[at_] == '+' || text_[at_] == '-') && exponent(from)))) {
          ++at_;
        }
        add(Token::number, from, std::move(before));
      } else if (in_word(c)) {
        while (at_ < text_.size() && in_word(text_[at_])) ++at_;
        add(Token::word, from, std::move(before));
      } else if (c == '"' || c == '\'') {
        for (++at_; at_ < text_.size() && text_[at_] != c; ++at_) at_ += text_[at_] == '\\';
        at_ = std::min(at_ + 1, text_.size());
        add(Token::text, from, std::move(before));
      } else {
        auto found = std::find_if(signs.begin(), signs.end(), [&](std::string_view s) { return text_.substr(at_, s.size()) == s; });
        at_ += found == signs.end() ? 1 : std::string_view(*found).size();
        add(Token::sign, from, std::move(before));
      }
    }
  }

 private:
  char peek(size_t n) const { return at_ + n < text_.size() ? text_[at_ + n] : '\0'; }
  bool exponent(size_t from) const {
    char last = char(std::tolower(text_[at_ - 1]));
    bool hex = text_.substr(from, 2) == "0x" || text_.substr(from, 2) == "0X";
    return last == (hex ? 'p' : 'e');
  }
  void add(Token::Kind kind, size_t from, std::string before) {
    std::string text(text_.substr(from, at_ - from));
    tokens_.all.push_back({kind, std::move(before), text, text, line_, file_, ours_});
    at_line_start_ = false;
  }
  std::string space() {
    std::string result;
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '\n') {
        ++line_;
        at_line_start_ = true;
      } else if (c == '#' && at_line_start_) {
        size_t end = std::min(text_.find('\n', at_), text_.size());
        result += directive(text_.substr(at_, end - at_));
        at_ = end;
        continue;
      } else if (!std::isspace(static_cast<unsigned char>(c))) {
        break;
      }
      result += c;
      ++at_;
    }
    return result;
  }
  // `# 12 "file" flags` or a pragma; what is printed for it.
  std::string directive(std::string_view line) {
    if (line.starts_with("#pragma")) {
      return line.starts_with("#pragma clang diagnostic") || line.starts_with("#pragma pack") ? std::string(line) : "";
    }
    size_t open = line.find('"'), close = line.rfind('"');
    size_t digits = line.find_first_of("0123456789");
    if (open == std::string_view::npos || close == open || digits > open) return std::string(line);
    std::string file(line.substr(open + 1, close - open - 1));
    line_ = std::atoi(std::string(line.substr(digits)).c_str()) - 1; // the line break that follows adds one
    ours_ = file.starts_with(headers_) || file == "<built-in>" || file == "<command line>";
    auto known = std::find(tokens_.files.begin(), tokens_.files.end(), file);
    file_ = int(known - tokens_.files.begin());
    if (known == tokens_.files.end()) tokens_.files.push_back(file);
    return std::string(line);
  }

  std::string_view text_;
  const std::string& headers_;
  Tokens tokens_;
  size_t at_ = 0;
  int line_ = 1, file_ = 0;
  bool ours_ = true, at_line_start_ = true;
};

} // namespace

Tokens tokenize(std::string_view text, const std::string& headers_folder) { return Splitter(text, headers_folder).split(); }

std::string print(const Tokens& tokens) {
  std::string result;
  for (const Token& token : tokens.all) {
    result += token.before;
    // Tokens that were next to each other may have become words.
    if (!token.now.empty() && token.before.empty() && !result.empty() && in_word(result.back()) && in_word(token.now.front())) result += ' ';
    result += token.now;
  }
  return result;
}

} // namespace mlx::core::metal_emulator
