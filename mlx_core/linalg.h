// Linear algebra on matrices, which the last two axes of an array hold. Leading axes are a batch. Integers become
// float32; float16 and bfloat16 are computed in float32, and results rounded to them. docs/linalg.md says what the
// derivatives are where values coincide, and what happens to matrices without a result.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlx_core/ops.h"

namespace mlx::core::linalg {

// --- norms ---
// ord: 1, -1, 2, -2, infinity, -infinity, of vectors (one axis) also any other number, of matrices (two axes) also
// "fro" and "nuc". Without axes those of an array of one or two dimensions.
array norm(
    const array& a, double ord, const std::optional<Axes>& axis = {}, bool keepdims = false, StreamOrDevice s = {});
array norm(const array& a, const std::string& ord, const std::optional<Axes>& axis = {}, bool keepdims = false,
    StreamOrDevice s = {});
// The root of the sum of squares over these axes, or all.
array norm(const array& a, const std::optional<Axes>& axis = {}, bool keepdims = false, StreamOrDevice s = {});
array vector_norm(
    const array& a, const std::optional<Axes>& axis = {}, bool keepdims = false, double ord = 2, StreamOrDevice s = {});
array matrix_norm(const array& a, bool keepdims, double ord, StreamOrDevice s = {});
array matrix_norm(const array& a, bool keepdims = false, const std::string& ord = "fro", StreamOrDevice s = {});

// --- factors ---
// l with l l^H = a for Hermitian positive definite a; u with u^H u = a when upper. That triangle of a is read.
array cholesky(const array& a, bool upper = false, StreamOrDevice s = {});
// The inverse of the matrix that has this Cholesky factor.
array cholesky_inv(const array& factor, bool upper = false, StreamOrDevice s = {});
// {p, l, u}: a = take_along_axis(l, p[..., None], -2) u.
std::vector<array> lu(const array& a, StreamOrDevice s = {});
// Both factors in one matrix, and the row that each row was swapped with.
std::pair<array, array> lu_factor(const array& a, StreamOrDevice s = {});
// q with orthonormal columns and upper triangular r; mode "reduced" or "complete".
std::pair<array, array> qr(const array& a, StreamOrDevice s = {});
std::pair<array, array> qr(const array& a, const std::string& mode, StreamOrDevice s = {});
// {u, s, vh}, or {s} without compute_uv. u and vh are square unless full_matrices is false.
std::vector<array> svd(const array& a, bool compute_uv, bool full_matrices, StreamOrDevice s = {});
std::vector<array> svd(const array& a, bool compute_uv, StreamOrDevice s = {});
std::vector<array> svd(const array& a, StreamOrDevice s = {});
array svdvals(const array& a, StreamOrDevice s = {});
// Eigenvalues, ascending, and eigenvectors in columns, of a Hermitian matrix of which one triangle is read.
std::pair<array, array> eigh(const array& a, const std::string& UPLO = "L", StreamOrDevice s = {});
array eigvalsh(const array& a, const std::string& UPLO = "L", StreamOrDevice s = {});
// Complex eigenvalues, and eigenvectors in columns.
std::pair<array, array> eig(const array& a, StreamOrDevice s = {});
array eigvals(const array& a, StreamOrDevice s = {});

// --- inverses and linear systems ---
array inv(const array& a, StreamOrDevice s = {});
array tri_inv(const array& a, bool upper = false, StreamOrDevice s = {});
// Singular values up to rtol times the largest count as 0; by default max(m, n) times the dtype's epsilon.
array pinv(const array& a, const array& rtol, StreamOrDevice s = {});
array pinv(const array& a, StreamOrDevice s = {});
// x with a x = b. b is a vector when it has one dimension, else matrices.
array solve(const array& a, const array& b, StreamOrDevice s = {});
array solve_triangular(const array& a, const array& b, bool upper = false, StreamOrDevice s = {});
// {x, residuals, rank, singular values}: the shortest x that minimises |a x - b|, and that minimum squared.
std::vector<array> lstsq(const array& a, const array& b, std::optional<double> rcond = {}, StreamOrDevice s = {});
array matrix_rank(const array& a, const std::optional<array>& rtol = {}, StreamOrDevice s = {});

// --- determinants, powers, products ---
array det(const array& a, StreamOrDevice s = {});
// The sign (of complex matrices the phase) and the logarithm of the modulus.
std::pair<array, array> slogdet(const array& a, StreamOrDevice s = {});
array matrix_power(const array& a, int n, StreamOrDevice s = {});
array expm(const array& a, StreamOrDevice s = {});
// Along an axis of length 2 or 3; a missing third component is 0.
array cross(const array& a, const array& b, int axis = -1, StreamOrDevice s = {});

} // namespace mlx::core::linalg
