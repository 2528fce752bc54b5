// Special functions of real numbers, element by element, with derivatives of every order in every argument. Integers
// and bool become float32, complex numbers are an error. docs/special.md has definitions and edges.
#pragma once

#include "mlx_core/array.h"
#include "mlx_core/ops.h"

namespace mlx::core::special {

// --- gamma and zeta ---
array gamma(const array& x, StreamOrDevice s = {});
array lgamma(const array& x, StreamOrDevice s = {}); // log |gamma(x)|
array digamma(const array& x, StreamOrDevice s = {});
array polygamma(int n, const array& x, StreamOrDevice s = {}); // the n-th derivative of digamma
array betaln(const array& a, const array& b, StreamOrDevice s = {});
array multigammaln(const array& a, int d, StreamOrDevice s = {});
array zeta(const array& x, StreamOrDevice s = {});                 // Riemann's
array zeta(const array& x, const array& q, StreamOrDevice s = {}); // Hurwitz's, x > 1
array gammainc(const array& a, const array& x, StreamOrDevice s = {});
array gammaincc(const array& a, const array& x, StreamOrDevice s = {});
array betainc(const array& a, const array& b, const array& x, StreamOrDevice s = {});

// --- the error function's and the normal distribution's ---
using core::erf;
using core::erfinv;
array erfc(const array& x, StreamOrDevice s = {});
array erfcx(const array& x, StreamOrDevice s = {});
array erfcinv(const array& x, StreamOrDevice s = {});
array ndtr(const array& x, StreamOrDevice s = {});
array ndtri(const array& p, StreamOrDevice s = {});
array log_ndtr(const array& x, StreamOrDevice s = {});

// --- probabilities and entropies ---
array expit(const array& x, StreamOrDevice s = {}); // sigmoid
array log_expit(const array& x, StreamOrDevice s = {});
array logit(const array& p, StreamOrDevice s = {});
array xlogy(const array& x, const array& y, StreamOrDevice s = {});
array xlog1py(const array& x, const array& y, StreamOrDevice s = {});
array entr(const array& x, StreamOrDevice s = {});
array rel_entr(const array& x, const array& y, StreamOrDevice s = {});
array kl_div(const array& x, const array& y, StreamOrDevice s = {});

// --- Bessel functions, the exponential integral ---
array j0(const array& x, StreamOrDevice s = {});
array j1(const array& x, StreamOrDevice s = {});
array y0(const array& x, StreamOrDevice s = {});
array y1(const array& x, StreamOrDevice s = {});
array i0(const array& x, StreamOrDevice s = {});
array i0e(const array& x, StreamOrDevice s = {});
array i1(const array& x, StreamOrDevice s = {});
array i1e(const array& x, StreamOrDevice s = {});
array exp1(const array& x, StreamOrDevice s = {});
array expi(const array& x, StreamOrDevice s = {});

} // namespace mlx::core::special
