// From a function to a trace: running it on arguments without values.
#include <map>

#include "mlx_core/io/saved_function.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/frame.h"

namespace mlx::core::io {

namespace {

// Sizes that are equal share a symbol when `shared`; otherwise each axis has its own.
OpenProgram record_once(const VectorFunction& fun, const std::vector<array>& args, bool shapeless, bool shared) {
  SymbolTrace symbols;
  RecordingScope scope("export_function", Recorded::program);
  Frame frame(Frame::Kind::trace);
  std::map<int64_t, Dim> by_size;
  for (const array& arg : args) {
    Shape shape = arg.shape();
    for (Dim& d : shape) {
      int64_t size = d;
      if (shapeless && shared) {
        auto found = by_size.find(size);
        d = found != by_size.end() ? found->second : by_size.emplace(size, Dim::symbol(size)).first->second;
      } else if (shapeless) {
        d = Dim::symbol(size);
      }
    }
    frame.abstract(shape, arg.dtype());
  }
  std::vector<array> outputs = fun(std::vector<array>(frame.placeholders()));
  return record_open(symbols, frame, outputs);
}

} // namespace

SavedTrace record(
    const VectorFunction& fun, const std::vector<array>& args, std::vector<std::string> keywords, bool shapeless) {
  OpenProgram body = record_once(fun, args, shapeless, false);
  if (!body.sizes.guards.empty()) { // two sizes were compared: they may be meant to be the same
    OpenProgram again = record_once(fun, args, shapeless, true);
    if (again.sizes.guards.size() < body.sizes.guards.size()) {
      body = std::move(again);
    }
  }
  size_t positional = args.size() - keywords.size();
  return {positional, std::move(keywords), std::move(body)};
}

} // namespace mlx::core::io
