// Recording with symbolic sizes.
#include "mlx_core/compile/shapeless.h"

#include "mlx_core/compile/key.h"

namespace mlx::core {

namespace {

// Rules of custom functions that could not be recorded have no place among the parameters from which operations are
// made again.
bool has_custom_rules(const io::SavedBody& body) {
  for (const io::SavedOp& op : body.ops) {
    for (const io::Param& param : op.params) {
      const bool* flag = std::get_if<bool>(&param.value);
      if (op.name == "CustomFunction" && param.name == "recorded" && flag && !*flag) {
        return true;
      }
      auto* inner = std::get_if<std::shared_ptr<const io::SavedBody>>(&param.value);
      if (inner && has_custom_rules(**inner)) {
        return true;
      }
    }
  }
  return false;
}

// The sizes; dtypes and numbers of axes are those of all calls that get here.
std::string key_of(std::span<const Spec> arguments) {
  std::string key;
  for (const Spec& spec : arguments) {
    for (Dim size : spec.shape) {
      append_bytes(key, static_cast<int64_t>(size));
    }
  }
  return key;
}

} // namespace

Shapeless::Shapeless(const SymbolTrace& symbols, const Frame& frame, std::span<const array> outputs)
    : trace_(io::saved_trace(symbols, frame, outputs, constants_)), plans_(recordings_per_function) {
  if (has_custom_rules(trace_.body)) {
    fail("compile", "a function with rules of its own is recorded for one shape.");
  }
}

std::string Shapeless::misfit(std::span<const Spec> arguments) const {
  std::string why;
  if (plans_.at(key_of(arguments), 0)) {
    return why;
  }
  if (!io::sizes_for(trace_, arguments, why)) {
    return why.empty() ? "an argument has another shape or dtype" : why;
  }
  try {
    at(arguments);
  } catch (const std::invalid_argument& error) { // the function itself may do another thing for these sizes, or fail
    return std::string("its operations do not go with these sizes: ") + error.what();
  }
  return {};
}

std::shared_ptr<const PlannedFunction> Shapeless::at(std::span<const Spec> arguments) const {
  std::string key = key_of(arguments);
  if (std::shared_ptr<const PlannedFunction> known = plans_.at(key, 0)) {
    return known;
  }
  std::string why;
  std::optional<std::vector<int64_t>> sizes = io::sizes_for(trace_, arguments, why);
  if (!sizes) {
    fail<std::logic_error>("compile", "a recording does not serve the call: ", why);
  }
  io::Given given{*sizes, constants_};
  Frame frame(Frame::Kind::trace);
  for (const io::SavedSpec& input : trace_.body.inputs) {
    frame.abstract(given.shape(input.shape), input.dtype);
  }
  auto planned = std::make_shared<PlannedFunction>();
  Traced recorded = record_program(frame, io::rebuild(trace_.body, frame.placeholders(), given));
  planned->program = std::move(recorded.program);
  planned->constants = std::move(recorded.captured);
  finish(*planned);
  plans_.insert(key, planned);
  return planned;
}

} // namespace mlx::core
