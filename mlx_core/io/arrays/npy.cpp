// NumPy's .npy: "\x93NUMPY", version, length of the header, the header as a Python dictionary, elements. NumPy has no
// bfloat16; as MLX and ml_dtypes do, it is written as two bytes of no type ("<V2").
#include <algorithm>
#include <cstring>

#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/io/arrays/elements.h"
#include "mlx_core/io/arrays/formats.h"

namespace mlx::core::io {

namespace {

constexpr char magic[] = "\x93NUMPY";
constexpr int64_t most_header_bytes = int64_t{1} << 20; // NumPy itself stops at 10,000 bytes

constexpr std::pair<std::string_view, Dtype> descriptions[] = {{"b1", bool_}, {"u1", uint8}, {"u2", uint16},
    {"u4", uint32}, {"u8", uint64}, {"i1", int8}, {"i2", int16}, {"i4", int32}, {"i8", int64}, {"f2", float16},
    {"V2", bfloat16}, {"f4", float32}, {"f8", float64}, {"c8", complex64}, {"c16", complex128}};

// The dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. Nothing else of Python is understood.
class HeaderText {
 public:
  HeaderText(const Source& source, std::string_view text, int64_t begin)
      : source_(source), text_(text), begin_(begin) {}

  NpyHeader parse() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!take('}')) {
      std::string_view key = string();
      expect(':');
      if (key == "descr" && !descr) {
        descr = true;
        read_description(header);
      } else if (key == "fortran_order" && !order) {
        order = true;
        header.column_major = boolean();
      } else if (key == "shape" && !shape) {
        shape = true;
        header.shape = sizes();
      } else {
        refuse("an unexpected key '" + shown(key) + "'");
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    space();
    if (at_ != text_.size()) {
      refuse("more than one dictionary");
    }
    if (!descr || !order || !shape) {
      refuse("no key 'descr', 'fortran_order' or 'shape'");
    }
    return header;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    source_.refuse("its header has ", what, ", at byte ", begin_ + static_cast<int64_t>(at_));
  }
  static std::string shown(std::string_view text) {
    std::string out;
    for (char c : text.substr(0, 40)) {
      out += c >= ' ' && c <= '~' ? c : '?';
    }
    return out + (text.size() > 40 ? "..." : "");
  }
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
      ++at_;
    }
  }
  bool take(char c) {
    space();
    bool is_there = at_ < text_.size() && text_[at_] == c;
    at_ += is_there;
    return is_there;
  }
  void expect(char c) {
    if (!take(c)) {
      refuse(std::string("no '") + c + "' where one should be");
    }
  }
  bool word(std::string_view w) {
    space();
    bool is_there = text_.substr(at_).starts_with(w);
    at_ += is_there ? w.size() : 0;
    return is_there;
  }
  std::string_view string() {
    space();
    char quote = at_ < text_.size() ? text_[at_] : 0;
    size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : text_.npos;
    if (end == text_.npos) {
      refuse("no text in quotes where one should be");
    }
    std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    if (inside.find('\\') != inside.npos) {
      refuse("an escape in a text");
    }
    at_ = end + 1;
    return inside;
  }
  bool boolean() {
    if (word("True")) {
      return true;
    }
    if (!word("False")) {
      refuse("neither True nor False where one should be");
    }
    return false;
  }
  Shape sizes() {
    Shape shape;
    expect('(');
    while (!take(')')) {
      space();
      int64_t length = 0;
      size_t begin = at_;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        if (__builtin_mul_overflow(length, int64_t{10}, &length) ||
            __builtin_add_overflow(length, int64_t{text_[at_] - '0'}, &length)) {
          refuse("a length that no array has");
        }
      }
      if (at_ == begin) {
        refuse("no length (a number that is not negative) where one should be");
      }
      take('L'); // of Python 2
      shape.push_back(length);
      if (shape.size() > most_axes) {
        refuse("more than 64 axes");
      }
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  void read_description(NpyHeader& header) {
    if (take('[')) {
      fail("load", source_.name(),
          " holds records (a structured dtype), and arrays have elements of one type. Save its "
          "fields one by one, as in numpy.savez(file, **{f: a[f] for f in a.dtype.names}).");
    }
    std::string_view text = string(), type = text;
    char order = text.empty() ? 0 : text[0];
    if (order == '<' || order == '>' || order == '|' || order == '=') {
      type = text.substr(1);
    }
    header.swapped = order == '>';
    for (auto [name, dtype] : descriptions) {
      if (type == name) {
        header.dtype = dtype;
        return;
      }
    }
    char kind = type.empty() ? 0 : type[0];
    const char* what = kind == 'U' || kind == 'S'   ? " (text)"
                       : kind == 'O'                ? " (pickled Python objects)"
                       : kind == 'M' || kind == 'm' ? " (dates or times)"
                       : kind == 'f' || kind == 'c' ? " (a wider float)"
                                                    : "";
    fail("load", source_.name(), " holds elements of type '", shown(text), "'", what,
        ", for which there is no dtype. Load it with numpy.load and convert what is needed.");
  }

  const Source& source_;
  std::string_view text_;
  int64_t begin_;
  size_t at_ = 0;
};

// What comes before the dictionary. Returns its length, and where it begins.
std::pair<int64_t, int64_t> read_prefix(const Source& source, const std::function<void(void*, int64_t)>& next) {
  char start[8];
  next(start, 8);
  if (std::memcmp(start, magic, 6) != 0) {
    fail("load", source.name(), " is no .npy file: it does not begin as one.");
  }
  int version = static_cast<unsigned char>(start[6]);
  if (version < 1 || version > 3) {
    source.refuse("the version of the format is ", version, ", and only 1 to 3 exist");
  }
  uint16_t short_length = 0;
  uint32_t length = 0;
  if (version == 1) {
    next(&short_length, 2);
    length = short_length;
  } else {
    next(&length, 4);
  }
  if (length > most_header_bytes) {
    source.refuse("its header should have ", length, " bytes, and the most that makes sense is ", most_header_bytes);
  }
  return {length, version == 1 ? 10 : 12};
}

} // namespace

NpyHeader read_npy_header(const Source& source) {
  Cursor in(source);
  auto next = [&](void* to, int64_t bytes) { in.raw(to, bytes, "the header"); };
  auto [length, begin] = read_prefix(source, next);
  std::string text = in.text(static_cast<uint64_t>(length), "the header");
  NpyHeader header = HeaderText(source, text, begin).parse();
  header.end = begin + length;
  return header;
}

array read_npy(SourceRef source, bool map) {
  NpyHeader header = read_npy_header(*source);
  Layout layout{header.end, header.column_major, header.swapped, map};
  return lazy_elements(std::move(source), layout, header.shape, header.dtype, "the array");
}

namespace {

// The name of a stream, for errors.
class StreamName final : public Source {
 public:
  using Source::Source;
  int64_t size() const override { return 0; }
  void read(int64_t, int64_t, char*) const override {}
};

void read_exactly(Reader& in, const Source& source, char* to, int64_t bytes, const char* what) {
  for (int64_t done = 0; done < bytes;) {
    size_t got = in.read(to + done, static_cast<size_t>(std::min(bytes - done, int64_t{8} << 20)));
    if (got == 0) {
      source.refuse("it ends within ", what, ", where ", bytes - done, " more bytes should be");
    }
    done += static_cast<int64_t>(got);
  }
}

} // namespace

array read_npy(Reader& in) {
  StreamName source(in.label());
  auto next = [&](void* to, int64_t bytes) { read_exactly(in, source, static_cast<char*>(to), bytes, "the header"); };
  auto [length, begin] = read_prefix(source, next);
  std::string text(static_cast<size_t>(length), '\0');
  next(text.data(), length);
  NpyHeader header = HeaderText(source, text, begin).parse();
  int64_t bytes = bytes_in(source, header.shape, header.dtype, "the array");
  // How much there is nobody knows: memory is taken as elements come.
  int64_t held = std::min(bytes, int64_t{1} << 20), done = 0;
  BufferRef buffer = allocate(static_cast<size_t>(held));
  for (;;) {
    read_exactly(in, source, static_cast<char*>(buffer->data) + done, held - done, "the elements");
    done = held;
    if (held == bytes) {
      break;
    }
    held = bytes / 4 <= held ? bytes : 4 * held;
    BufferRef larger = allocate(static_cast<size_t>(held));
    cpu::copy_contiguous(larger->data, buffer->data, static_cast<size_t>(done));
    buffer = std::move(larger);
  }
  make_sound(static_cast<char*>(buffer->data), bytes, header.dtype, header.swapped);
  Shape shape = header.shape;
  if (header.column_major) {
    std::reverse(shape.begin(), shape.end());
  }
  Strides strides = row_major_strides(shape);
  if (header.column_major) {
    std::reverse(strides.begin(), strides.end());
  }
  return array(std::move(buffer), 0, header.shape, std::move(strides), header.dtype);
}

std::string npy_header(const Shape& shape, Dtype dtype) {
  std::string description;
  for (auto [name, of] : descriptions) {
    if (of == dtype) {
      description = (dtype.size() == 1 ? "|" : "<") + std::string(name);
    }
  }
  std::string text = "{'descr': '" + description + "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i ? ", " : "") + std::to_string(int64_t{shape[i]});
  }
  text += shape.size() == 1 ? ",), }" : "), }";
  // Elements begin at a multiple of 64 bytes.
  size_t prefix = text.size() + 1 + 10 + 63 > 65535 ? 12 : 10;
  size_t total = (prefix + text.size() + 1 + 63) / 64 * 64;
  text.resize(total - prefix - 1, ' ');
  text += '\n';
  std::string out(magic, 6);
  out += prefix == 10 ? '\x01' : '\x02';
  out += '\0';
  for (size_t i = 0; i < prefix - 8; ++i) {
    out += static_cast<char>(text.size() >> (8 * i));
  }
  return out + text;
}

void write_npy(Writer& out, const array& a) {
  check_axes("save", "", a);
  std::string header = npy_header(a.shape(), a.dtype());
  out.write(header.data(), header.size());
  for_each_piece(a, [&](const char* from, size_t bytes) { out.write(from, bytes); });
}

} // namespace mlx::core::io
