// The file of exported functions. Little-endian:
//   magic "\x89MLXFN\r\n", version (uint32), flags (uint32, 0), payload size (uint64), FNV-1a hash of the payload
//   (uint64), payload: metadata, constants, traces.
// A list is its length (uint64) and its entries, a dtype is its name. One list of fields per struct serves reading and
// writing. A reader takes no length on trust: lists grow as their entries are read, and elements are copied only when
// the file has them.
#include <bit>
#include <cstring>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/io/saved_function.h"
#include "mlx_core/io/utf8.h"
#include "mlx_core/params.h"

namespace mlx::core::io {

namespace {

constexpr char magic[8] = {'\x89', 'M', 'L', 'X', 'F', 'N', '\r', '\n'};
constexpr uint32_t version = 2;
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

class ByteWriter {
 public:
  static constexpr bool reads = false;
  std::string bytes;

  void raw(const void* from, size_t count) { bytes.append(static_cast<const char*>(from), count); }
  template <typename T>
  void number(const T& value) {
    raw(&value, sizeof(T));
  }
  template <typename List, typename Entry>
  void list(const List& values, Entry&& entry) {
    number(static_cast<uint64_t>(values.size()));
    for (const auto& value : values) {
      entry(const_cast<std::remove_cvref_t<decltype(value)>&>(value)); // entries are read, not changed
    }
  }
  const std::unordered_map<uint64_t, int64_t>* outer = nullptr; // see OpenSizes
};

class ByteReader {
 public:
  static constexpr bool reads = true;
  ByteReader(const char* bytes, size_t size, const std::string& file) : at_(bytes), end_(bytes + size), file_(file) {}

  [[noreturn]] void refuse(const std::string& why) const {
    fail("import_function", "the file '", file_, "' is damaged: ", why, ".");
  }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  void raw(void* to, size_t count) {
    if (count > left()) {
      refuse("it ends too early");
    }
    cpu::copy_contiguous(to, at_, count);
    at_ += count;
  }
  template <typename T>
  void number(T& value) {
    raw(&value, sizeof(T));
  }
  template <typename T, typename Entry>
  void list(std::vector<T>& values, Entry&& entry) {
    each([&] { entry(values.emplace_back()); });
  }
  // Of a list.
  template <typename Entry>
  void each(Entry&& entry) {
    uint64_t count = 0;
    number(count);
    if (count > left()) { // an entry is at least a byte
      refuse("a list is longer than the file");
    }
    for (uint64_t i = 0; i < count; ++i) {
      entry();
    }
  }
  int depth = 0;           // of functions inside functions
  int64_t expressions = 0; // of the trace, so far

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
void fields(A& a, int32_t& axis) {
  a.number(axis);
}

// A number, or the place of an expression of the trace.
template <typename A>
void fields(A& a, Dim& dim) {
  bool open = false;
  int64_t value = 0;
  if constexpr (A::reads) {
    fields(a, open);
    fields(a, value);
    constexpr int64_t largest_size = int64_t{1} << 61;
    if (open ? value < 0 || value >= a.expressions : value < -largest_size || value > largest_size) {
      a.refuse("a size is unknown");
    }
    dim = open ? SymbolTrace::at_place(static_cast<size_t>(value)) : Dim(value);
  } else {
    auto outer = dim.is_symbolic() ? a.outer->find(SymbolTrace::code(dim)) : a.outer->end();
    open = dim.is_symbolic() && outer == a.outer->end();
    value = open ? static_cast<int64_t>(SymbolTrace::place(dim)) : dim.is_symbolic() ? outer->second : int64_t{dim};
    fields(a, open);
    fields(a, value);
  }
}
template <typename A>
void fields(A& a, Shape& shape) {
  std::vector<Dim> sizes(shape.begin(), shape.end());
  a.list(sizes, [&](Dim& d) { fields(a, d); });
  shape = Shape(sizes.begin(), sizes.end());
}
template <typename A>
void fields(A& a, std::vector<int64_t>& values) {
  a.list(values, [&](int64_t& v) { fields(a, v); });
}
template <typename A>
void fields(A& a, Axes& axes) {
  std::vector<int32_t> values(axes.begin(), axes.end());
  a.list(values, [&](int32_t& axis) { fields(a, axis); });
  axes = Axes(values.begin(), values.end());
}
template <typename A>
void fields(A& a, Spec& spec) {
  fields(a, spec.shape);
  fields(a, spec.dtype);
}

// --- programs ---

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
    fields(a, std::get<I>(value));
  } else if constexpr (A::reads) {
    a.refuse("a parameter is of an unknown kind");
  }
}

// What a file says of an operation: its name and parameters. remake() makes it.
class Described final : public Primitive {
 public:
  Described(std::string name, std::vector<std::pair<std::string, ParamValue>> params, int outputs)
      : name_(std::move(name)), params_(std::move(params)), outputs_(outputs) {}
  const char* name() const override { return name_.c_str(); }
  int output_count() const override { return outputs_; }
  void visit(ParamVisitor& v) const override {
    for (const auto& [name, value] : params_) {
      std::visit(
          [&]<typename T>(const T& held) {
            if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
              v(name.c_str(), std::span<const int64_t>(held));
            } else {
              v(name.c_str(), held);
            }
          },
          value);
    }
  }
  Specs infer(Operands) const override { unmade(); }
  Tangents jvp(Operands, const Tangents&, Operands) const override { unmade(); }
  Tangents vjp(Operands, const Tangents&, Operands, std::span<const bool>) const override { unmade(); }
  Mapped vmap(Operands, const MapAxes&) const override { unmade(); }

 private:
  [[noreturn]] void unmade() const { fail<std::logic_error>("import_function", name_, " is to be made first."); }
  std::string name_;
  std::vector<std::pair<std::string, ParamValue>> params_;
  int outputs_;
};

void write(ByteWriter& w, const Program& program) {
  w.list(program.inputs(), [&](Spec& s) { fields(w, s); });
  w.list(program.steps(), [&](const Program::Step& step) {
    std::string name = step.primitive->name();
    fields(w, name);
    Params params(*step.primitive);
    w.list(std::span(params.begin(), params.end()), [&](Param& param) {
      std::string param_name(param.name);
      fields(w, param_name);
      w.number(static_cast<uint8_t>(param.value.index()));
      alternative(w, param.value.index(), param.value);
    });
    w.list(std::span<const int32_t>(step.operands), [&](int32_t& slot) { w.number(slot); });
    w.list(std::span<const Spec>(step.outputs), [&](Spec& s) { fields(w, s); });
  });
  w.list(program.outputs(), [&](int32_t& slot) { w.number(slot); });
}

SharedProgram read_program(ByteReader& r) {
  if (++r.depth > deepest_function) {
    r.refuse("functions are nested too deeply");
  }
  ProgramWriter writer;
  int64_t slots = 0;
  auto slot = [&] {
    int32_t at = 0;
    r.number(at);
    if (at < 0 || at >= slots) {
      r.refuse("an operand is used before it is made");
    }
    return at;
  };
  std::vector<Spec> inputs;
  r.list(inputs, [&](Spec& s) { fields(r, s); });
  for (Spec& input : inputs) {
    slots = writer.add_input(std::move(input)) + 1;
  }
  r.each([&] {
    std::string name;
    fields(r, name);
    std::vector<std::pair<std::string, ParamValue>> params;
    r.list(params, [&](auto& param) {
      fields(r, param.first);
      uint8_t kind = 0;
      r.number(kind);
      alternative(r, kind, param.second);
    });
    Program::Step step;
    r.each([&] { step.operands.push_back(slot()); });
    r.each([&] { fields(r, step.outputs.emplace_back()); });
    slots += static_cast<int64_t>(step.outputs.size());
    if (step.outputs.empty() || slots > std::numeric_limits<int32_t>::max()) {
      r.refuse("an operation has an impossible number of results");
    }
    auto count = static_cast<int>(step.outputs.size());
    step.primitive = make_primitive<Described>(std::move(name), std::move(params), count);
    writer.add_step(std::move(step));
  });
  std::vector<int32_t> outputs;
  r.each([&] { outputs.push_back(slot()); });
  --r.depth;
  return writer.finish(std::move(outputs));
}

void fields(ByteWriter& w, const SharedProgram& program) { write(w, *program); }
void fields(ByteReader& r, SharedProgram& program) { program = read_program(r); }

// --- constants: dtype, shape, elements in row-major order ---

void write(ByteWriter& w, const array& constant) {
  Dtype dtype = constant.dtype();
  fields(w, dtype);
  w.list(std::span<const Dim>(constant.shape()), [&](Dim& d) { w.number(int64_t{d}); });
  size_t begin = w.bytes.size();
  w.bytes.resize(begin + constant.nbytes());
  cpu::read_strided(constant.raw_data(), sizes_of(constant.shape()), constant.strides(), constant.itemsize(), 0,
      static_cast<int64_t>(constant.size()), w.bytes.data() + begin);
}

array read_constant(ByteReader& r) {
  Dtype dtype;
  fields(r, dtype);
  std::vector<int64_t> sizes;
  fields(r, sizes);
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

// --- traces: the expressions come before all sizes ---

void write(ByteWriter& w, const SavedTrace& trace, const std::unordered_map<const Node*, int64_t>& constants) {
  const OpenSizes& sizes = trace.body.sizes;
  w.outer = &sizes.outer;
  w.number(static_cast<int64_t>(trace.positional));
  w.list(trace.keywords, [&](std::string& k) { fields(w, k); });
  w.list(sizes.expressions, [&](SymbolTrace::Expression& e) {
    w.number(e.op);
    fields(w, e.left);
    fields(w, e.right);
    w.number(e.hint);
  });
  w.list(sizes.guards, [&](SymbolTrace::Guard& g) {
    fields(w, g.expression);
    w.number(g.expected);
  });
  w.list(trace.body.constants, [&](const array& a) { w.number(constants.at(a.node())); });
  write(w, *trace.body.program);
}

SavedTrace read_trace(ByteReader& r, const std::vector<array>& constants) {
  SavedTrace trace{};
  OpenSizes& sizes = trace.body.sizes;
  int64_t positional = 0, symbols = 0;
  r.number(positional);
  r.list(trace.keywords, [&](std::string& k) { fields(r, k); });
  r.expressions = 0;
  r.list(sizes.expressions, [&](SymbolTrace::Expression& e) {
    r.number(e.op);
    fields(r, e.left);
    fields(r, e.right);
    r.number(e.hint);
    if (e.op == 's' && (e.left.is_symbolic() || !(e.left == symbols++) || e.hint < 0)) {
      r.refuse("a size is unknown");
    }
    ++r.expressions;
  });
  r.list(sizes.guards, [&](SymbolTrace::Guard& g) {
    fields(r, g.expression);
    r.number(g.expected);
  });
  r.each([&] {
    int64_t at = 0;
    r.number(at);
    if (at < 0 || static_cast<uint64_t>(at) >= constants.size()) {
      r.refuse("a constant is unknown");
    }
    trace.body.constants.push_back(constants[static_cast<size_t>(at)]);
  });
  trace.body.program = read_program(r);
  size_t inputs = trace.body.program->inputs().size(), own = inputs - trace.body.constants.size();
  trace.positional = static_cast<size_t>(positional);
  if (trace.body.constants.size() > inputs || positional < 0 || trace.positional > own ||
      trace.positional + trace.keywords.size() != own) {
    r.refuse("a trace has another number of arguments than its function");
  }
  for (const Spec& argument : trace.body.arguments()) {
    for (Dim size : argument.shape) {
      if (size.is_symbolic() && sizes.expressions[SymbolTrace::place(size)].op != 's') {
        r.refuse("the size of an argument is computed");
      }
    }
  }
  return trace;
}

} // namespace

std::string to_bytes(const SavedFile& file) {
  ByteWriter w;
  std::string metadata = file.metadata;
  fields(w, metadata);
  std::vector<array> constants;
  std::unordered_map<const Node*, int64_t> places;
  for (const SavedTrace& trace : file.traces) {
    for (const array& a : trace.body.constants) {
      if (places.emplace(a.node(), constants.size()).second) {
        constants.push_back(a);
      }
    }
  }
  w.list(constants, [&](const array& c) { write(w, c); });
  w.list(file.traces, [&](const SavedTrace& t) { write(w, t, places); });
  ByteWriter out;
  out.raw(magic, sizeof(magic));
  out.number(version);
  out.number(uint32_t{0});
  out.number(static_cast<uint64_t>(w.bytes.size()));
  out.number(hash_of(w.bytes.data(), w.bytes.size()));
  return std::move(out.bytes) + w.bytes;
}

SavedFile from_bytes(const std::string& bytes, const std::string& file_name) {
  ByteReader header(bytes.data(), bytes.size(), file_name);
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
  ByteReader r(bytes.data() + header_size, size, file_name);
  SavedFile file;
  fields(r, file.metadata);
  std::vector<array> constants;
  r.each([&] { constants.push_back(read_constant(r)); });
  r.each([&] { file.traces.push_back(read_trace(r, constants)); });
  if (r.left() != 0 || flags != 0) {
    r.refuse("there is more in it than it should hold");
  }
  return file;
}

} // namespace mlx::core::io
