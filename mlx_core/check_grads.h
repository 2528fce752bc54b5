// check_grads: whether the derivatives of a function are those of its values.
#pragma once

#include <string>

#include "mlx_core/transforms.h"

namespace mlx::core {

// What check_grads throws: AssertionError in Python.
class GradientMismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CheckGradsOptions {
  int order = 2;       // derivatives up to this one
  bool forward = true; // jvp, against central differences
  bool reverse = true; // vjp, against jvp (against differences without `forward`) by inner products
  // The defaults are by the coarser dtype of the primal and the output.
  std::optional<double> atol, rtol, eps;
  // For errors; numbered when empty.
  std::function<std::string(size_t primal)> primal_name;
  std::function<std::string(size_t output)> output_name;
};

// Throws GradientMismatch unless the derivatives with respect to each floating or complex primal agree with central
// differences in a random direction. Of order n: those of the jvp and of the vjp of order n - 1. Each run of fun starts
// from the same implicit random key.
void check_grads(const VectorFunction& fun, const std::vector<array>& primals, const CheckGradsOptions& options = {});

} // namespace mlx::core
