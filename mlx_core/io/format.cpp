// The file of exported functions. Little-endian:
//   magic "\x89MLXFN\r\n", version (uint32), flags (uint32, 0), payload size (uint64), FNV-1a hash of the payload
//   (uint64), payload: metadata, traces, constants.
// A number is 8 bytes, a list is its length and its entries, a dtype is its name. One list of fields per struct serves
// reading and writing. A reader takes no length on trust: lists grow as their entries are read, and elements are copied
// only when the file has them.
#include <bit>
#include <cstring>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/io/saved_function.h"
#include "mlx_core/io/utf8.h"

namespace mlx::core::io {

namespace {

constexpr char magic[8] = {'\x89', 'M', 'L', 'X', 'F', 'N', '\r', '\n'};
constexpr uint32_t version = 1;
constexpr size_t header_size = sizeof(magic) + 2 * sizeof(uint32_t) + 2 * sizeof(uint64_t);
constexpr int deepest_function = 64;
static_assert(std::endian::native == std::endian::little, "the format is the memory's own on such machines only");

uint64_t hash_of(const char* bytes, size_t count) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < count; ++i) {
    hash = (hash ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3ull;
  }
  return hash;
}

class Writer {
 public:
  static constexpr bool reads = false;
  std::string bytes;

  void raw(const void* from, size_t count) { bytes.append(static_cast<const char*>(from), count); }
  template <typename T>
  void number(const T& value) {
    raw(&value, sizeof(T));
  }
  template <typename T, typename Entry>
  void list(const std::vector<T>& values, Entry&& entry) {
    number(static_cast<uint64_t>(values.size()));
    for (const T& value : values) {
      entry(const_cast<T&>(value)); // entries are read, not changed
    }
  }
};

class Reader {
 public:
  static constexpr bool reads = true;
  Reader(const char* bytes, size_t size, const std::string& file) : at_(bytes), end_(bytes + size), file_(file) {}

  [[noreturn]] void refuse(const std::string& why) const {
    fail("import_function", "the file '", file_, "' is damaged: ", why, ".");
  }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  void raw(void* to, size_t count) {
    if (count > left()) {
      refuse("it ends too early");
    }
    std::memcpy(to, at_, count);
    at_ += count;
  }
  template <typename T>
  void number(T& value) {
    raw(&value, sizeof(T));
  }
  template <typename T, typename Entry>
  void list(std::vector<T>& values, Entry&& entry) {
    uint64_t count = 0;
    number(count);
    if (count > left()) { // an entry is at least a byte
      refuse("a list is longer than the file");
    }
    for (uint64_t i = 0; i < count; ++i) {
      values.emplace_back();
      entry(values.back());
    }
  }
  int depth = 0; // of functions inside functions

 private:
  const char* at_;
  const char* end_;
  const std::string& file_;
};

// --- the fields, for either direction ---

template <typename A>
void fields(A& a, std::string& text) {
  uint64_t size = text.size();
  a.number(size);
  if constexpr (A::reads) {
    if (size > a.left()) {
      a.refuse("a text is longer than the file");
    }
    text.resize(size);
  }
  a.raw(text.data(), text.size());
  if constexpr (A::reads) {
    if (!is_utf8(text)) {
      a.refuse("a text is not UTF-8");
    }
  }
}

template <typename A>
void fields(A& a, Dtype& dtype) {
  std::string name(name_of(dtype));
  fields(a, name);
  if constexpr (A::reads) {
    for (int i = 0; i < dtype_count; ++i) {
      dtype = Dtype(static_cast<Dtype::Val>(i));
      if (name_of(dtype) == name) {
        return;
      }
    }
    a.refuse("it names an unknown dtype");
  }
}

template <typename A>
void fields(A& a, bool& flag) {
  uint8_t byte = flag;
  a.number(byte);
  flag = byte != 0;
}
template <typename A>
void fields(A& a, int64_t& value) {
  a.number(value);
}
template <typename A>
void fields(A& a, double& value) {
  a.number(value);
}
template <typename A>
void fields(A& a, SavedDim& dim) {
  fields(a, dim.symbolic);
  fields(a, dim.value);
}
template <typename A>
void fields(A& a, SavedExpression& e) {
  a.number(e.op);
  fields(a, e.left);
  fields(a, e.right);
}
template <typename A>
void fields(A& a, SavedSpec& spec) {
  a.list(spec.shape, [&](SavedDim& d) { fields(a, d); });
  fields(a, spec.dtype);
}

template <typename A>
void fields(A& a, SavedBody& body);

template <typename A>
void fields(A& a, std::shared_ptr<const SavedBody>& body) {
  if constexpr (A::reads) {
    if (++a.depth > deepest_function) {
      a.refuse("functions are nested too deeply");
    }
    auto fresh = std::make_shared<SavedBody>();
    fields(a, *fresh);
    body = std::move(fresh);
    --a.depth;
  } else {
    fields(a, const_cast<SavedBody&>(*body));
  }
}

// The value of kind `index`, made before it is read.
template <typename A, size_t I = 0>
void alternative(A& a, size_t index, ParamValue& value) {
  if constexpr (I < std::variant_size_v<ParamValue>) {
    if (index != I) {
      return alternative<A, I + 1>(a, index, value);
    }
    if constexpr (A::reads) {
      value.emplace<I>();
    }
    auto& held = std::get<I>(value);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(held)>, std::vector<SavedDim>>) {
      a.list(held, [&](SavedDim& d) { fields(a, d); });
    } else {
      fields(a, held);
    }
  } else if constexpr (A::reads) {
    a.refuse("a parameter is of an unknown kind");
  }
}
template <typename A>
void fields(A& a, Param& param) {
  fields(a, param.name);
  uint8_t kind = static_cast<uint8_t>(param.value.index());
  a.number(kind);
  alternative(a, kind, param.value);
}
template <typename A>
void fields(A& a, SavedOp& op) {
  fields(a, op.name);
  a.list(op.params, [&](Param& p) { fields(a, p); });
  a.list(op.operands, [&](int64_t& v) { fields(a, v); });
  a.list(op.results, [&](SavedSpec& s) { fields(a, s); });
}
template <typename A>
void fields(A& a, SavedBody& body) {
  a.list(body.inputs, [&](SavedSpec& s) { fields(a, s); });
  a.list(body.ops, [&](SavedOp& op) { fields(a, op); });
  a.list(body.outputs, [&](int64_t& v) { fields(a, v); });
}
template <typename A>
void fields(A& a, SavedTrace& trace) {
  fields(a, trace.positional);
  a.list(trace.keywords, [&](std::string& k) { fields(a, k); });
  a.list(trace.expressions, [&](SavedExpression& e) { fields(a, e); });
  a.list(trace.guards, [&](SavedGuard& g) {
    fields(a, g.size);
    fields(a, g.expected);
  });
  fields(a, trace.body);
}

// --- constants: dtype, shape, elements in row-major order ---

void write(Writer& w, const array& constant) {
  Dtype dtype = constant.dtype();
  fields(w, dtype);
  w.list(std::vector<Dim>(constant.shape().begin(), constant.shape().end()), [&](Dim d) { w.number(int64_t{d}); });
  size_t begin = w.bytes.size();
  w.bytes.resize(begin + constant.nbytes());
  cpu::read_strided(constant.raw_data(), sizes_of(constant.shape()), constant.strides(), constant.itemsize(), 0,
      static_cast<int64_t>(constant.size()), w.bytes.data() + begin);
}

array read_constant(Reader& r) {
  Dtype dtype;
  fields(r, dtype);
  std::vector<int64_t> sizes;
  r.list(sizes, [&](int64_t& size) { r.number(size); });
  int64_t bytes = dtype.size();
  for (int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) {
      r.refuse("a constant has an impossible shape");
    }
  }
  if (static_cast<uint64_t>(bytes) > r.left()) {
    r.refuse("a constant is longer than the file");
  }
  array constant = array::uninitialized(Shape(sizes), dtype);
  r.raw(constant.mutable_data(), static_cast<size_t>(bytes));
  return constant;
}

// --- sense: what reading alone does not see ---

class Checker {
 public:
  Checker(const Reader& reader, const SavedFile& file) : r_(reader), constants_(file.constants.size()) {
    for (const SavedTrace& trace : file.traces) {
      check(trace);
    }
  }

 private:
  void require(bool condition, const char* why) const {
    if (!condition) {
      r_.refuse(why);
    }
  }
  void check(SavedDim dim, size_t known) const {
    require(!dim.symbolic || (dim.value >= 0 && static_cast<uint64_t>(dim.value) < known), "a size is unknown");
  }
  void check(const SavedSpec& spec) const {
    for (SavedDim d : spec.shape) {
      check(d, expressions_);
    }
  }
  void check(int64_t operand, size_t values) const {
    require(operand < 0 ? static_cast<uint64_t>(-(operand + 1)) < constants_ : static_cast<uint64_t>(operand) < values,
        "an operand is used before it is made");
  }
  void check(const SavedTrace& trace) {
    uint64_t inputs = trace.body.inputs.size();
    require(trace.positional >= 0 && static_cast<uint64_t>(trace.positional) + trace.keywords.size() == inputs,
        "a trace has another number of arguments than its function");
    for (size_t i = 0; i < trace.expressions.size(); ++i) {
      const SavedExpression& e = trace.expressions[i];
      check(e.left, i);
      check(e.right, i);
      require(e.op != 's' || (!e.left.symbolic && !e.right.symbolic && e.left.value >= 0), "a size is unknown");
    }
    expressions_ = trace.expressions.size();
    for (const SavedGuard& guard : trace.guards) {
      check(guard.size, expressions_);
    }
    check(trace.body);
  }
  void check(const SavedBody& body) const {
    for (const SavedSpec& input : body.inputs) {
      check(input);
    }
    size_t values = body.inputs.size();
    for (const SavedOp& op : body.ops) {
      for (int64_t operand : op.operands) {
        check(operand, values);
      }
      for (const SavedSpec& result : op.results) {
        check(result);
      }
      for (const Param& param : op.params) {
        if (auto* inner = std::get_if<std::shared_ptr<const SavedBody>>(&param.value)) {
          check(**inner);
        } else if (auto* dim = std::get_if<SavedDim>(&param.value)) {
          check(*dim, expressions_);
        } else if (auto* dims = std::get_if<std::vector<SavedDim>>(&param.value)) {
          check(SavedSpec{*dims, bool_});
        }
      }
      values += op.results.size();
    }
    for (int64_t output : body.outputs) {
      check(output, values);
    }
  }

  const Reader& r_;
  size_t constants_;
  size_t expressions_ = 0;
};

} // namespace

std::string to_bytes(const SavedFile& file) {
  Writer w;
  std::string metadata = file.metadata;
  fields(w, metadata);
  w.list(file.traces, [&](SavedTrace& t) { fields(w, t); });
  w.list(file.constants, [&](const array& c) { write(w, c); });
  Writer out;
  out.raw(magic, sizeof(magic));
  out.number(version);
  out.number(uint32_t{0});
  out.number(static_cast<uint64_t>(w.bytes.size()));
  out.number(hash_of(w.bytes.data(), w.bytes.size()));
  return std::move(out.bytes) + w.bytes;
}

SavedFile from_bytes(const std::string& bytes, const std::string& file_name) {
  Reader header(bytes.data(), bytes.size(), file_name);
  char found[sizeof(magic)];
  uint32_t found_version = 0, flags = 0;
  uint64_t size = 0, hash = 0;
  if (bytes.size() < sizeof(magic) || std::memcmp(bytes.data(), magic, sizeof(magic)) != 0) {
    fail("import_function", "'", file_name, "' is no file of exported functions, as mx.export_function writes it.");
  }
  header.raw(found, sizeof(found));
  header.number(found_version);
  if (found_version != version) {
    fail("import_function", "the file '", file_name, "' has version ", found_version,
        " of the format; this is version ", version, ". Export the function again.");
  }
  header.number(flags);
  header.number(size);
  header.number(hash);
  if (size != header.left()) {
    header.refuse(
        "it should have " + std::to_string(size) + " bytes behind its header but has " + std::to_string(header.left()));
  }
  if (hash_of(bytes.data() + header_size, size) != hash) {
    header.refuse("its checksum is wrong");
  }
  Reader r(bytes.data() + header_size, size, file_name);
  SavedFile file;
  fields(r, file.metadata);
  r.list(file.traces, [&](SavedTrace& t) { fields(r, t); });
  uint64_t constants = 0;
  r.number(constants);
  for (uint64_t i = 0; i < constants; ++i) {
    file.constants.push_back(read_constant(r));
  }
  if (r.left() != 0 || flags != 0) {
    r.refuse("there is more in it than it should hold");
  }
  Checker(r, file);
  return file;
}

} // namespace mlx::core::io
