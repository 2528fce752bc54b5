// The sizes that a recording leaves open: what its symbolic Dims stand for, kept when their SymbolTrace is gone.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "mlx_core/primitive.h"

namespace mlx::core {

class SizeValues;

struct OpenSizes {
  // A symbolic Dim is the place of one of these. Their parts come first.
  std::vector<SymbolTrace::Expression> expressions;
  // The recording holds where these expressions have these values.
  std::vector<SymbolTrace::Guard> guards;
  // By code: sizes of a trace around it, which are numbers here.
  std::unordered_map<uint64_t, int64_t> outer;

  // The values where arrays of the shapes and dtypes `recorded` are such `arguments`; nullopt when the recording does
  // not serve them, with the reason in `why` as far as it is not plain to see.
  std::optional<SizeValues> fit(
      std::span<const Spec> recorded, std::span<const Spec> arguments, std::string& why) const;
  SizeValues at_recording() const;
};

// Sizes as numbers, for one choice of the symbols.
class SizeValues {
 public:
  SizeValues(const OpenSizes& sizes, const std::vector<int64_t>& symbols); // sizes must outlive it

  // Throws SizeError for a size that has no value here.
  int64_t operator()(Dim size) const;
  Shape operator()(const Shape& shape) const;
  Spec operator()(const Spec& spec) const { return {(*this)(spec.shape), spec.dtype}; }

 private:
  const OpenSizes* sizes_;
  std::vector<std::optional<int64_t>> values_; // of the expressions
};

} // namespace mlx::core
