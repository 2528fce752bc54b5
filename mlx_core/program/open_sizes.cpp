// Computing open sizes from those of arguments, and whether a recording holds for them.
#include "mlx_core/program/open_sizes.h"

#include "mlx_core/error.h"

namespace mlx::core {

namespace {

constexpr int64_t largest_size = int64_t{1} << 61; // sums of two do not overflow

// Why a guard does not hold: the size that differs from that at the time of the recording.
std::string broken(const OpenSizes& sizes, const SymbolTrace::Guard& guard, const SizeValues& now) {
  Dim size = guard.expression;
  SizeValues then = sizes.at_recording();
  bool compares = false;
  if (size.is_symbolic() && !sizes.outer.contains(SymbolTrace::code(size))) {
    const SymbolTrace::Expression& e = sizes.expressions[SymbolTrace::place(size)];
    compares = e.op == '<' || e.op == '=';
    if (compares) {
      size = e.left.is_symbolic() && then(e.left) != now(e.left) ? e.left : e.right;
    }
  }
  std::string text = compares ? "it depends on how a size compares, which was " : "it depends on a size that was ";
  return text + std::to_string(then(size)) + " when it was traced and is " + std::to_string(now(size));
}

} // namespace

std::optional<SizeValues> OpenSizes::fit(
    std::span<const Spec> recorded, std::span<const Spec> arguments, std::string& why) const {
  std::vector<int64_t> symbols;
  for (const SymbolTrace::Expression& e : expressions) {
    if (e.op == 's') {
      symbols.push_back(-1);
    }
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Shape &open = recorded[i].shape, &shape = arguments[i].shape;
    if (recorded[i].dtype != arguments[i].dtype || open.size() != shape.size()) {
      return std::nullopt;
    }
    for (size_t k = 0; k < shape.size(); ++k) {
      int64_t size = shape[k];
      if (!open[k].is_symbolic()) {
        if (open[k] != size) {
          return std::nullopt;
        }
        continue;
      }
      const SymbolTrace::Expression& e = expressions[SymbolTrace::place(open[k])];
      int64_t& known = symbols.at(static_cast<size_t>(int64_t{e.left})); // the size of an argument is a symbol
      if (known >= 0 && known != size) {
        why = "sizes that were equal when it was traced (" + std::to_string(e.hint) + ") are different";
        return std::nullopt;
      }
      known = size;
    }
  }
  for (int64_t size : symbols) {
    if (size < 0) {
      why = "a size is unknown";
      return std::nullopt;
    }
  }
  SizeValues values(*this, symbols);
  try {
    for (const SymbolTrace::Guard& guard : guards) {
      if (values(guard.expression) != guard.expected) {
        why = broken(*this, guard, values);
        return std::nullopt;
      }
    }
  } catch (const SizeError&) {
    why = "a size that it computes is impossible for these arguments";
    return std::nullopt;
  }
  return values;
}

SizeValues OpenSizes::at_recording() const {
  std::vector<int64_t> hints;
  for (const SymbolTrace::Expression& e : expressions) {
    if (e.op == 's') {
      hints.push_back(e.hint);
    }
  }
  return {*this, hints};
}

SizeValues::SizeValues(const OpenSizes& sizes, const std::vector<int64_t>& symbols) : sizes_(&sizes) {
  values_.reserve(sizes.expressions.size());
  auto part = [&](Dim d) { return (*this)(d); };
  for (const SymbolTrace::Expression& e : sizes.expressions) {
    try {
      values_.push_back(e.op == 's' ? symbols.at(static_cast<size_t>(int64_t{e.left}))
                                    : SymbolTrace::compute(e.op, part(e.left), part(e.right)));
    } catch (const SizeError&) { // no matter, unless somebody asks for it
      values_.push_back(std::nullopt);
    }
  }
}

int64_t SizeValues::operator()(Dim size) const {
  if (!size.is_symbolic()) {
    return size;
  }
  if (auto outer = sizes_->outer.find(SymbolTrace::code(size)); outer != sizes_->outer.end()) {
    return outer->second;
  }
  std::optional<int64_t> value = values_[SymbolTrace::place(size)];
  if (!value || *value < -largest_size || *value > largest_size) {
    throw SizeError(SizeError::no_op, "a size cannot be computed from the sizes of the arguments.");
  }
  return *value;
}

Shape SizeValues::operator()(const Shape& shape) const {
  Shape out;
  out.reserve(shape.size());
  for (Dim size : shape) {
    out.push_back((*this)(size));
  }
  return out;
}

} // namespace mlx::core
