// Normally distributed random vectors with a given covariance.
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/linalg/symmetric_root.h"
#include "mlx_core/ops/random/random_keys.h"

namespace mlx::core::random {

array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype dtype,
    const std::optional<array>& key, StreamOrDevice s) {
  constexpr const char* op = "random.multivariate_normal";
  if (!dtype.is_floating()) {
    fail(op, "dtype is ", dtype, "; it must be a real floating type.");
  }
  if (mean.ndim() < 1 || cov.ndim() < 2) {
    fail(op, "mean has shape ", mean.shape(), " and cov has shape ", cov.shape(), "; they must end in (n) and (n,n).");
  }
  if (cov.dtype().is_complex() || mean.dtype().is_complex()) {
    fail(op, "mean is ", mean.dtype(), " and cov is ", cov.dtype(), "; both must be real.");
  }
  if (!(cov.shape(-1) == cov.shape(-2)) || !(cov.shape(-1) == mean.shape(-1))) {
    fail(op, "cov with shape ", cov.shape(), " does not hold square matrices of the length of mean with shape ",
        mean.shape(), ".");
  }
  Shape of_mean(mean.shape().begin(), mean.shape().end() - 1), of_cov(cov.shape().begin(), cov.shape().end() - 2);
  Shape drawn = broadcast_shapes(op, broadcast_shapes(op, of_cov, of_mean), shape);
  drawn.push_back(mean.shape(-1));
  // z A^(1/2) of independent z: its covariance is the symmetric root's square.
  Dtype inner = dtype == float64 ? float64 : float32;
  array root = symmetric_root(astype(cov, inner, s));
  array z = normal(drawn, inner, {}, {}, key, s);
  array x = squeeze(matmul(expand_dims(z, {-2}), root), {-2});
  return astype(add(astype(mean, inner), x), dtype);
}

std::span<const OpInfo* const> multivariate_ops() {
  static constexpr OpInfo info{.name = "random.multivariate_normal",
      .summary = "Normally distributed random vectors with given mean and covariance.",
      .accepts = Dtypes::floating,
      .example =
          ">>> mean, cov = mx.array([1.0, 2.0]), mx.array([[2.0, 0.5], [0.5, 1.0]])\n"
          ">>> mx.random.multivariate_normal(mean, cov, (3,), key=mx.random.key(0)).shape\n(3, 2)",
      .details =
          "mean ends in (n), cov in (n, n); their other axes broadcast with shape, and the result has shape (..., n). "
          "Standard normal vectors are multiplied by the symmetric square root of (cov + cov.T) / 2, whose eigenvalues "
          "below 0 count as 0, so covariances that are only semidefinite are welcome. Differentiable in mean and cov; "
          "changes of cov between directions that both have variance 0 have derivative 0. Raises ValueError when the "
          "shapes do not fit or dtype is not a real floating type."};
  static constexpr const OpInfo* ops[] = {&info};
  return ops;
}

} // namespace mlx::core::random
