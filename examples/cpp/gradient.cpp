// Derivatives of a C++ function: gradients of any order, a Jacobian-vector product, and a rule of one's own.
#include <cstdio>

#include "mlx_core/mlx.h"

namespace mx = mlx::core;

int main() {
  std::function<mx::array(const mx::array&)> f = [](const mx::array& x) { return mx::sin(x) * x; };
  mx::array x(0.5f);

  auto df = mx::grad(f);
  auto ddf = mx::grad(df);
  std::printf("f   = %.5f\n", f(x).item<float>());
  std::printf("f'  = %.5f\n", df(x).item<float>());
  std::printf("f'' = %.5f\n", ddf(x).item<float>());

  // Forward mode over reverse mode: the Hessian of a function of many variables times a vector.
  auto g = mx::grad([](const mx::array& v) { return mx::sum(mx::exp(v) * v); });
  auto [value, product] = mx::jvp(g, mx::array({0.f, 1.f}), mx::array({1.f, 0.f}));
  mx::eval(product);
  std::printf("Hessian * (1, 0) = (%.3f, %.3f)\n", product.data<float>()[0], product.data<float>()[1]);

  // Gradients with respect to several arrays at once.
  auto loss = [](const std::vector<mx::array>& in) { return std::vector<mx::array>{mx::sum(in[0] * in[1])}; };
  auto [losses, grads] = mx::value_and_grad(loss, {0, 1})({mx::array({1.f, 2.f}), mx::array({3.f, 4.f})});
  std::printf("loss = %.1f, d loss / d first[1] = %.1f\n", losses[0].item<float>(),
      mx::take(grads[0], mx::array(1)).item<float>());

  // The derivative of rounding is zero; this one passes gradients straight through.
  auto rounded =
      mx::custom_vjp([](const std::vector<mx::array>& in) { return std::vector<mx::array>{mx::round(in[0])}; },
          [](const std::vector<mx::array>&, const std::vector<mx::array>& cotangents, const std::vector<mx::array>&) {
            return cotangents;
          });
  auto straight = mx::grad([&](const mx::array& v) { return mx::square(rounded({v})[0]); });
  std::printf("straight through = %.1f\n", straight(mx::array(2.7f)).item<float>());
}
