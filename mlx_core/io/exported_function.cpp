// FunctionExporter and ImportedFunction: files, and finding the trace that fits a call.
#include "mlx_core/export.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "mlx_core/io/arrays/atomic_file.h"
#include "mlx_core/io/saved_function.h"
#include "mlx_core/transforms/frame.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

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

// The sizes of a trace for this call; nullopt when it does not serve it.
std::optional<SizeValues> sizes_for(const SavedTrace& trace, const Arguments& call, std::string& why) {
  if (trace.positional != call.positional || trace.keywords != call.names) {
    return std::nullopt;
  }
  Specs specs = specs_of(call.arrays);
  return trace.body.sizes.fit(trace.body.arguments(), {specs.begin(), specs.size()}, why);
}

std::string shape_text(const SavedTrace& trace, const Spec& spec) {
  std::string text = "(";
  for (Dim d : spec.shape) {
    text += text.size() > 1 ? "," : "";
    text += !d.is_symbolic() ? std::to_string(d)
                             : "s" + std::to_string(trace.body.sizes.expressions[SymbolTrace::place(d)].left);
  }
  return text + (spec.shape.size() == 1 ? ",)" : ")");
}
std::string signature(const SavedTrace& trace) {
  std::string text;
  for (size_t i = 0; i < trace.body.arguments().size(); ++i) {
    const Spec& spec = trace.body.arguments()[i];
    text += (i ? ", " : "") + (i >= trace.positional ? trace.keywords[i - trace.positional] + "=" : "") +
            std::string(name_of(spec.dtype)) + " " + shape_text(trace, spec);
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

} // namespace

// --- exporting ---

struct FunctionExporter::State {
  std::string file;
  bool shapeless;
  bool closed = false;
  io::SavedFile saved;
};

FunctionExporter::FunctionExporter(std::string file, bool shapeless, std::string metadata)
    : state_(new State{std::move(file), shapeless, false, {std::move(metadata), {}}}) {}
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
  state_->saved.traces.push_back(io::record(flat, call.arrays, call.names, state_->shapeless));
}

void FunctionExporter::close() {
  if (!state_->closed) {
    state_->closed = true;
    std::string bytes = io::to_bytes(state_->saved);
    io::AtomicFile out("export_function", state_->file);
    out.write(bytes.data(), bytes.size());
    out.commit();
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
void try_out(const OpenProgram& body) {
  SizeValues sizes = body.sizes.at_recording();
  Frame frame(Frame::Kind::trace);
  for (const Spec& argument : body.arguments()) {
    Spec spec = sizes(argument);
    int64_t bytes = spec.dtype.size();
    for (Dim d : spec.shape) {
      int64_t size = d;
      if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) {
        fail("import_function", "an argument has the shape ", spec.shape, ".");
      }
    }
    frame.abstract(spec.shape, spec.dtype);
  }
  remake(body, frame.placeholders(), sizes);
}

} // namespace

ImportedFunction::ImportedFunction(const std::string& file) {
  auto state = std::make_shared<State>();
  state->saved = io::from_bytes(read_file(file), file);
  try {
    for (const SavedTrace& trace : state->saved.traces) {
      try_out(trace.body);
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
    if (std::optional<SizeValues> sizes = sizes_for(trace, call, why)) {
      return remake(trace.body, call.arrays, *sizes);
    }
    known += "\n  " + signature(trace) + (why.empty() ? "" : ": " + why);
  }
  fail("import_function", "no trace fits the arguments ", signature(call), ". There are traces of", known,
      known.empty() ? " nothing." : "");
}

const std::string& ImportedFunction::metadata() const { return state_->saved.metadata; }

} // namespace mlx::core
