// FunctionExporter and ImportedFunction: files, and finding the trace that fits a call.
#include "mlx_core/export.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "mlx_core/io/saved_function.h"
#include "mlx_core/transforms/frame.h"

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

// The values of a trace's expressions for this call; nullopt when it does not serve it.
std::optional<std::vector<int64_t>> sizes_for(const SavedTrace& trace, const Arguments& call, std::string& why) {
  if (static_cast<size_t>(trace.positional) != call.positional || trace.keywords != call.names) {
    return std::nullopt;
  }
  std::vector<Spec> specs;
  for (const array& a : call.arrays) {
    specs.push_back({a.shape(), a.dtype()});
  }
  return io::sizes_for(trace, specs, why);
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
    if (sizes_for(trace, call, why)) {
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
    if (std::optional<std::vector<int64_t>> expressions = sizes_for(trace, call, why)) {
      return io::rebuild(trace.body, call.arrays, {*expressions, state_->saved.constants});
    }
    known += "\n  " + signature(trace) + (why.empty() ? "" : ": " + why);
  }
  fail("import_function", "no trace fits the arguments ", signature(call), ". There are traces of", known,
      known.empty() ? " nothing." : "");
}

const std::string& ImportedFunction::metadata() const { return state_->saved.metadata; }

} // namespace mlx::core
