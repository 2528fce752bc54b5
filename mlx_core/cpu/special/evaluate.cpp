// Runs of elements of special functions.
#include "mlx_core/cpu/special/evaluate.h"

#include <vector>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/special/functions.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/half.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu::special {

namespace {

constexpr int64_t piece = 256; // elements of a task
constexpr int most_inputs = 3;

using Orders = std::array<int, 2>;

// y[i] = f(inputs...[i]), which may be slow.
template <typename F>
void each(int64_t n, double* y, F&& f) {
  InterruptPoll poll(32);
  for (int64_t i = 0; i < n; ++i) {
    y[i] = f(i);
    poll();
  }
}

void evaluate(
    SpecialFunction function, Orders o, double enough, const double (&in)[most_inputs][piece], int64_t n, double* y) {
  const double *a = in[0], *b = in[1], *c = in[2];
  auto one = [&](double (*f)(double)) { each(n, y, [&](int64_t i) { return f(a[i]); }); };
  auto one_of_order = [&](double (*f)(int, double)) { each(n, y, [&](int64_t i) { return f(o[0], a[i]); }); };
  auto two = [&](double (*f)(double, double)) { each(n, y, [&](int64_t i) { return f(a[i], b[i]); }); };
  auto two_of_order = [&](double (*f)(int, double, double)) {
    each(n, y, [&](int64_t i) { return f(o[0], a[i], b[i]); });
  };
  switch (function) {
    case SpecialFunction::gamma: return one(gamma);
    case SpecialFunction::lgamma: return one(lgamma);
    case SpecialFunction::digamma: return one(digamma);
    case SpecialFunction::polygamma: return one_of_order(polygamma);
    case SpecialFunction::betaln: return two(betaln);
    case SpecialFunction::zeta: return each(n, y, [&](int64_t i) { return zeta(o[0], a[i], b[i], enough); });
    case SpecialFunction::riemann_zeta: return one_of_order(riemann_zeta);
    case SpecialFunction::erfc: return one(erfc);
    case SpecialFunction::erfcx: return one_of_order(erfcx);
    case SpecialFunction::erfcinv: return one(erfcinv);
    case SpecialFunction::ndtr: return one(ndtr);
    case SpecialFunction::log_ndtr: return one(log_ndtr);
    case SpecialFunction::ndtri: return one(ndtri);
    case SpecialFunction::logit: return one(logit);
    case SpecialFunction::log_ratio: return two(log_ratio);
    case SpecialFunction::kl_div: return two(kl_div);
    case SpecialFunction::exp1: return one(exp1);
    case SpecialFunction::expi: return one(expi);
    case SpecialFunction::bessel_y: return one_of_order(bessel_y);
    case SpecialFunction::bessel_j: return one_of_order(bessel_j);
    case SpecialFunction::bessel_i: return one_of_order(bessel_i);
    case SpecialFunction::bessel_ie: return one_of_order(bessel_ie);
    case SpecialFunction::gammainc: return each(n, y, [&](int64_t i) { return gammainc(o[0], a[i], b[i], enough); });
    case SpecialFunction::gammaincc: return each(n, y, [&](int64_t i) { return gammaincc(a[i], b[i], enough); });
    case SpecialFunction::gamma_density: return two_of_order(gamma_density);
    case SpecialFunction::betainc:
      return each(n, y, [&](int64_t i) { return betainc(o[0], o[1], a[i], b[i], c[i], enough); });
    case SpecialFunction::beta_density:
      return each(n, y, [&](int64_t i) { return beta_density(o[0], o[1], a[i], b[i], c[i]); });
  }
}

template <typename T>
void run_typed(const kernel::Special& k) {
  size_t count = k.inputs.size();
  Sizes sizes = k.out.sizes;
  std::vector<Strides> strides;
  std::vector<int64_t*> rows;
  for (const View& view : k.inputs) strides.push_back(view.strides);
  for (Strides& s : strides) rows.push_back(s.data());
  auto axes = static_cast<size_t>(collapse_axes(static_cast<int>(sizes.size()), sizes.data(), rows));
  Ints shape(sizes.data(), axes);
  int64_t size = k.out.size();
  parallel_for((size + piece - 1) / piece, [&](int64_t task) {
    int64_t first = task * piece, n = std::min(piece, size - first);
    double in[most_inputs][piece], y[piece];
    T narrow[piece];
    for (size_t i = 0; i < count; ++i) {
      const View& view = k.inputs[i];
      read_strided(view.host(), shape, Ints(strides[i].data(), axes), view.itemsize(), first, n, narrow);
      for (int64_t j = 0; j < n; ++j) in[i][j] = static_cast<double>(static_cast<Wide<T>>(narrow[j]));
    }
    evaluate(k.function, k.orders, sizeof(T) < 8 ? narrowly_enough : exactly_enough, in, n, y);
    T* out = k.out.host<T>() + first;
    for (int64_t j = 0; j < n; ++j) out[j] = static_cast<T>(static_cast<Wide<T>>(y[j]));
  });
}

} // namespace

void run(const kernel::Special& k) {
  if (k.out.size() == 0) {
    return;
  }
  with_inexact_type(k.out.dtype, [&]<typename T>(std::type_identity<T>) {
    if constexpr (!is_complex<T>) run_typed<T>(k);
  });
}

} // namespace mlx::core::cpu::special
