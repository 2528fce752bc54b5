// FunctionExporter and ImportedFunction: files, and finding the trace that fits a call.
#include "mlx_core/export.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "mlx_core/io/saved_function.h"
#include "mlx_core/transforms/frame.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

using io::SavedDim;
using io::SavedSpec;
using io::SavedTrace;

// The arguments of a call in the order of a trace's inputs.
struct Arguments {
  Arguments(const std::vector<array>& args, const NamedArrays& kwargs) : arrays(args), positional(args.size()) {
    for (const auto& [name, value] : kwargs) {
      names.push_back(name);
      arrays.push_back(value);
    }
  }
  std::vector<array> arrays;
  size_t positional;
  std::vector<std::string> names;
};

// What the symbols are where a trace's inputs have the shapes of these arguments; the sizes that were traced for
// `hints`. nullopt when they cannot: `why` is then set as far as it is not plain to see.
std::optional<std::vector<int64_t>> symbols_of(const SavedTrace& trace, const Arguments& call, std::string& why) {
  size_t count = 0;
  for (const io::SavedExpression& e : trace.expressions) {
    count += e.op == 's';
  }
  std::vector<int64_t> sizes(count, -1);
  if (static_cast<size_t>(trace.positional) != call.positional || trace.keywords != call.names) {
    return std::nullopt;
  }
  for (size_t i = 0; i < call.arrays.size(); ++i) {
    const SavedSpec& spec = trace.body.inputs[i];
    const Shape& shape = call.arrays[i].shape();
    if (spec.dtype != call.arrays[i].dtype() || spec.shape.size() != shape.size()) {
      return std::nullopt;
    }
    for (size_t k = 0; k < shape.size(); ++k) {
      SavedDim dim = spec.shape[k];
      int64_t size = shape[k];
      if (!dim.symbolic) {
        if (dim.value != size) {
          return std::nullopt;
        }
        continue;
      }
      const io::SavedExpression& e = trace.expressions[static_cast<size_t>(dim.value)];
      int64_t& known = sizes.at(static_cast<size_t>(e.left.value));
      if (e.op != 's' || (known >= 0 && known != size)) {
        why = "sizes that were equal when it was traced (" + std::to_string(e.right.value) + ") are different";
        return std::nullopt;
      }
      known = size;
    }
  }
  for (size_t k = 0; k < sizes.size(); ++k) {
    if (sizes[k] < 0) {
      why = "a size is unknown";
      return std::nullopt;
    }
  }
  return sizes;
}

bool guards_hold(const SavedTrace& trace, const io::Given& given, std::string& why) {
  for (const io::SavedGuard& guard : trace.guards) {
    int64_t size = given.value(guard.size);
    if (size != guard.expected) {
      why = "it depends on a size that was " + std::to_string(guard.expected) + " when it was traced and is " +
            std::to_string(size);
      return false;
    }
  }
  return true;
}

std::string shape_text(const SavedTrace& trace, const SavedSpec& spec) {
  std::string text = "(";
  for (SavedDim d : spec.shape) {
    text += text.size() > 1 ? "," : "";
    text += !d.symbolic ? std::to_string(d.value)
                        : "s" + std::to_string(trace.expressions[static_cast<size_t>(d.value)].left.value);
  }
  return text + (spec.shape.size() == 1 ? ",)" : ")");
}
std::string signature(const SavedTrace& trace) {
  std::string text;
  for (size_t i = 0; i < trace.body.inputs.size(); ++i) {
    size_t named = static_cast<size_t>(trace.positional);
    const SavedSpec& spec = trace.body.inputs[i];
    text += (i ? ", " : "") + (i >= named ? trace.keywords[i - named] + "=" : "") + std::string(name_of(spec.dtype)) +
            " " + shape_text(trace, spec);
  }
  return "(" + text + ")";
}
std::string signature(const Arguments& call) {
  std::string text;
  for (size_t i = 0; i < call.arrays.size(); ++i) {
    text += (i ? ", " : "") + (i >= call.positional ? call.names[i - call.positional] + "=" : "") +
            std::string(name_of(call.arrays[i].dtype())) + " " + to_string(call.arrays[i].shape());
  }
  return "(" + text + ")";
}

std::string read_file(const std::string& file) {
  std::string bytes;
  std::FILE* in = std::fopen(file.c_str(), "rb");
  char block[1 << 16];
  while (in) {
    size_t count = std::fread(block, 1, sizeof block, in);
    bytes.append(block, count);
    if (count < sizeof block) {
      break;
    }
  }
  bool failed = !in || std::ferror(in);
  int error = errno;
  if (in) {
    std::fclose(in);
  }
  if (failed) {
    fail<std::runtime_error>("import_function", "cannot read '", file, "': ", std::strerror(error), ".");
  }
  return bytes;
}

// All or nothing: a reader never sees half of it.
void write_file(const std::string& file, const std::string& bytes) {
  std::string unfinished = file + ".unfinished";
  std::ofstream out(unfinished, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out || std::rename(unfinished.c_str(), file.c_str()) != 0) {
    int error = errno;
    std::remove(unfinished.c_str());
    fail<std::runtime_error>("export_function", "cannot write '", file, "': ", std::strerror(error), ".");
  }
}

} // namespace

// --- exporting ---

struct FunctionExporter::State {
  std::string file;
  bool shapeless;
  bool closed = false;
  io::SavedFile saved;
};

FunctionExporter::FunctionExporter(std::string file, bool shapeless, std::string metadata)
    : state_(new State{std::move(file), shapeless, false, {std::move(metadata), {}, {}}}) {}
FunctionExporter::~FunctionExporter() = default;

void FunctionExporter::trace(const ExportableFunction& fun, const std::vector<array>& args, const NamedArrays& kwargs) {
  if (state_->closed) {
    fail<std::runtime_error>("export_function", "the exporter of '", state_->file, "' is closed.");
  }
  Arguments call(args, kwargs);
  std::string why;
  for (const SavedTrace& trace : state_->saved.traces) {
    std::optional<std::vector<int64_t>> symbols = symbols_of(trace, call, why);
    if (symbols && guards_hold(trace, {io::evaluate(trace, *symbols), {}}, why)) {
      fail<std::runtime_error>(
          "export_function", "there is a trace of these arguments already: ", signature(trace), ".");
    }
  }
  auto flat = [&](const std::vector<array>& in) {
    NamedArrays named;
    for (size_t i = 0; i < call.names.size(); ++i) {
      named.emplace(call.names[i], in[call.positional + i]);
    }
    return fun({in.begin(), in.begin() + static_cast<ptrdiff_t>(call.positional)}, named);
  };
  state_->saved.traces.push_back(io::record(flat, call.arrays, call.names, state_->shapeless, state_->saved.constants));
}

void FunctionExporter::close() {
  if (!state_->closed) {
    state_->closed = true;
    write_file(state_->file, io::to_bytes(state_->saved));
    state_->saved = {};
  }
}
void FunctionExporter::discard() {
  state_->closed = true;
  state_->saved = {};
}

void export_function(const std::string& file, const ExportableFunction& fun, const std::vector<array>& args,
    const NamedArrays& kwargs, bool shapeless, std::string metadata) {
  FunctionExporter exporter(file, shapeless, std::move(metadata));
  exporter.trace(fun, args, kwargs);
  exporter.close();
}

// --- importing ---

struct ImportedFunction::State {
  io::SavedFile saved;
};

namespace {

// Makes every operation once, on arguments without values, so that a file that makes no sense is refused here.
void try_out(const SavedTrace& trace, const std::vector<array>& constants) {
  std::vector<int64_t> hints;
  for (const io::SavedExpression& e : trace.expressions) {
    if (e.op == 's') {
      if (e.left.value != static_cast<int64_t>(hints.size()) || e.right.value < 0) {
        fail("import_function", "a size is unknown.");
      }
      hints.push_back(e.right.value);
    }
  }
  std::vector<int64_t> expressions = io::evaluate(trace, hints);
  io::Given given{expressions, constants};
  Frame frame(Frame::Kind::trace);
  for (const SavedSpec& input : trace.body.inputs) {
    Shape shape = given.shape(input.shape);
    int64_t bytes = input.dtype.size();
    for (Dim d : shape) {
      int64_t size = d;
      if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) {
        fail("import_function", "an argument has the shape ", shape, ".");
      }
    }
    frame.abstract(shape, input.dtype);
  }
  io::rebuild(trace.body, frame.placeholders(), given);
}

} // namespace

ImportedFunction::ImportedFunction(const std::string& file) {
  install_function_rules();
  auto state = std::make_shared<State>();
  state->saved = io::from_bytes(read_file(file), file);
  try {
    for (const SavedTrace& trace : state->saved.traces) {
      try_out(trace, state->saved.constants);
    }
  } catch (const std::logic_error& error) {
    fail("import_function", "the file '", file, "' is damaged: ", error.what());
  }
  state_ = std::move(state);
}

std::vector<array> ImportedFunction::operator()(const std::vector<array>& args, const NamedArrays& kwargs) const {
  Arguments call(args, kwargs);
  std::string known;
  for (const SavedTrace& trace : state_->saved.traces) {
    std::string why;
    if (std::optional<std::vector<int64_t>> symbols = symbols_of(trace, call, why)) {
      std::vector<int64_t> expressions = io::evaluate(trace, *symbols);
      io::Given given{expressions, state_->saved.constants};
      if (guards_hold(trace, given, why)) {
        return io::rebuild(trace.body, call.arrays, given);
      }
    }
    known += "\n  " + signature(trace) + (why.empty() ? "" : ": " + why);
  }
  fail("import_function", "no trace fits the arguments ", signature(call), ". There are traces of", known,
      known.empty() ? " nothing." : "");
}

const std::string& ImportedFunction::metadata() const { return state_->saved.metadata; }

} // namespace mlx::core
