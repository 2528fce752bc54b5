// A call's arguments in words, to say how one call differs from another.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "python/src/transforms/transformed.h"

namespace mlx::python {

class CallDescription {
 public:
  CallDescription() = default;
  CallDescription(const Transformation& transformation, const CallArguments& call, nb::handle inputs);

  // "x was float32(2,), is float32(3,)".
  std::string difference(const CallDescription& before) const;

 private:
  void add(const std::string& name, nb::handle tree);

  std::vector<std::pair<std::string, std::string>> leaves_; // name, what it is
};

} // namespace mlx::python
