// Recording with symbolic sizes.
#include "mlx_core/compile/shapeless.h"

#include "mlx_core/compile/key.h"
#include "mlx_core/transforms/custom.h"

namespace mlx::core {

namespace {

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

Shapeless::Shapeless(OpenProgram body) : body_(std::move(body)), plans_(recordings_per_function) {
  for (const auto& rules : rules_in(*body_.program)) {
    if (!rules->recorded()) { // they have no place among the parameters from which operations are made again
      fail("compile", "a function with rules of its own is recorded for one shape.");
    }
  }
}

std::string Shapeless::misfit(std::span<const Spec> arguments) const {
  std::string why;
  if (plans_.at(key_of(arguments), 0)) {
    return why;
  }
  if (!body_.sizes.fit(body_.arguments(), arguments, why)) {
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
  std::optional<SizeValues> sizes = body_.sizes.fit(body_.arguments(), arguments, why);
  if (!sizes) {
    fail<std::logic_error>("compile", "a recording does not serve the call: ", why);
  }
  Frame frame(Frame::Kind::trace);
  for (const Spec& argument : body_.arguments()) {
    Spec spec = (*sizes)(argument);
    frame.abstract(spec.shape, spec.dtype);
  }
  auto planned = std::make_shared<PlannedFunction>();
  Traced recorded = record_program(frame, remake(body_, frame.placeholders(), *sizes));
  planned->program = std::move(recorded.program);
  planned->constants = std::move(recorded.captured);
  finish(*planned);
  plans_.insert(key, planned);
  return planned;
}

} // namespace mlx::core
