// Whether a trace serves arguments of given shapes, and what its sizes are then.
#include <algorithm>

#include "mlx_core/io/saved_function.h"

namespace mlx::core::io {

namespace {

// The values of a trace's symbols; nullopt when the shapes do not match.
std::optional<std::vector<int64_t>> symbols_for(
    const SavedTrace& trace, std::span<const Spec> arguments, std::string& why) {
  size_t count = 0;
  for (const SavedExpression& e : trace.expressions) {
    count += e.op == 's';
  }
  std::vector<int64_t> sizes(count, -1);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const SavedSpec& spec = trace.body.inputs[i];
    const Shape& shape = arguments[i].shape;
    if (spec.dtype != arguments[i].dtype || spec.shape.size() != shape.size()) {
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
      const SavedExpression& e = trace.expressions[static_cast<size_t>(dim.value)];
      int64_t& known = sizes.at(static_cast<size_t>(e.left.value));
      if (e.op != 's' || (known >= 0 && known != size)) {
        why = "sizes that were equal when it was traced (" + std::to_string(e.right.value) + ") are different";
        return std::nullopt;
      }
      known = size;
    }
  }
  for (int64_t size : sizes) {
    if (size < 0) {
      why = "a size is unknown";
      return std::nullopt;
    }
  }
  return sizes;
}

// Why a guard does not hold: the size that differs from that at the time of the trace.
std::string broken(const SavedTrace& trace, const SavedGuard& guard, const std::vector<int64_t>& now) {
  std::vector<int64_t> symbols;
  for (const SavedExpression& e : trace.expressions) {
    if (e.op == 's') {
      symbols.resize(std::max(symbols.size(), static_cast<size_t>(e.left.value) + 1), 0);
      symbols[static_cast<size_t>(e.left.value)] = e.right.value;
    }
  }
  SavedDim size = guard.size;
  const SavedExpression* e = size.symbolic ? &trace.expressions[static_cast<size_t>(size.value)] : nullptr;
  bool compares = e && (e->op == '<' || e->op == '=');
  std::vector<int64_t> then = evaluate(trace, symbols);
  if (compares) {
    SavedDim left = e->left;
    bool moved = left.symbolic && then[static_cast<size_t>(left.value)] != now[static_cast<size_t>(left.value)];
    size = moved ? left : e->right;
  }
  std::string text = compares ? "it depends on how a size compares, which was " : "it depends on a size that was ";
  return text + std::to_string(Given{then, {}}.value(size)) + " when it was traced and is " +
         std::to_string(Given{now, {}}.value(size));
}

} // namespace

std::optional<std::vector<int64_t>> sizes_for(
    const SavedTrace& trace, std::span<const Spec> arguments, std::string& why) {
  std::optional<std::vector<int64_t>> symbols = symbols_for(trace, arguments, why);
  if (!symbols) {
    return std::nullopt;
  }
  std::vector<int64_t> expressions;
  try {
    expressions = evaluate(trace, *symbols);
  } catch (const std::invalid_argument&) {
    why = "a size that it computes is impossible for these arguments";
    return std::nullopt;
  }
  Given given{expressions, {}};
  for (const SavedGuard& guard : trace.guards) {
    int64_t size = given.value(guard.size);
    if (size != guard.expected) {
      why = broken(trace, guard, expressions);
      return std::nullopt;
    }
  }
  return expressions;
}

} // namespace mlx::core::io
