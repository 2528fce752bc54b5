// Training: a small network learns the sine, with value_and_grad and gradient descent with momentum.
#include <cmath>
#include <cstdio>

#include "mlx_core/mlx.h"

namespace mx = mlx::core;
using Arrays = std::vector<mx::array>;

mx::array network(const Arrays& parameters, const mx::array& x) {
  mx::array hidden = mx::tanh(mx::matmul(x, parameters[0]) + parameters[1]);
  return mx::matmul(hidden, parameters[2]) + parameters[3];
}

int main() {
  const int units = 32, steps = 400;
  mx::array x = mx::reshape(mx::linspace(-3, 3, 128), {-1, 1});
  mx::array y = mx::sin(x);

  auto [key1, key2] = mx::random::split(mx::random::key(0));
  Arrays parameters{mx::random::normal({1, units}, mx::float32, key1), mx::zeros({units}),
      mx::random::normal({units, 1}, mx::float32, key2) * (1 / std::sqrt(float(units))), mx::zeros({1})};
  Arrays velocity;
  for (const mx::array& p : parameters) {
    velocity.push_back(mx::zeros_like(p));
  }

  auto loss = [&](const Arrays& p) { return Arrays{mx::mean(mx::square(network(p, x) - y))}; };
  auto step = mx::value_and_grad(loss, {0, 1, 2, 3});
  for (int i = 0; i < steps; ++i) {
    auto [value, gradients] = step(parameters);
    for (size_t k = 0; k < parameters.size(); ++k) {
      velocity[k] = 0.9f * velocity[k] - 0.05f * gradients[k];
      parameters[k] = parameters[k] + velocity[k];
    }
    mx::eval(parameters);
    mx::eval(velocity);
    if (i % 100 == 0) {
      std::printf("step %3d: loss %.5f\n", i, value[0].item<float>());
    }
  }
  float last = loss(parameters)[0].item<float>();
  std::printf("after %d steps: loss %.5f, sin(1) is about %.2f\n", steps, last,
      network(parameters, mx::full({1, 1}, mx::array(1.0f))).item<float>());
  return last < 0.02f ? 0 : 1;
}
