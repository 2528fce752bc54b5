// vmap: a function of one example becomes one of a batch, and composes with grad.
#include <cstdio>

#include "mlx_core/mlx.h"

namespace mx = mlx::core;

int main() {
  // The distance of a point from the origin, written for one point.
  std::function<mx::array(const mx::array&)> norm = [](const mx::array& point) {
    return mx::sqrt(mx::sum(mx::square(point)));
  };
  mx::array points = mx::reshape(mx::array({3.f, 4.f, 6.f, 8.f, 5.f, 12.f}), {3, 2});

  mx::array norms = mx::vmap(norm)(points);
  mx::eval(norms);
  std::printf("norms: %g %g %g\n", norms.data<float>()[0], norms.data<float>()[1], norms.data<float>()[2]);

  // The gradient of each, in one go.
  mx::array directions = mx::vmap(mx::grad(norm))(points);
  mx::eval(directions);
  std::printf("direction of the first: (%g, %g)\n", directions.data<float>()[0], directions.data<float>()[1]);

  // All pairs: one vmap inside another, each over one of the arguments.
  using Binary = std::function<mx::array(const mx::array&, const mx::array&)>;
  Binary distance = [&](const mx::array& a, const mx::array& b) { return norm(a - b); };
  auto pairs = mx::vmap(
      [&](const std::vector<mx::array>& outer) {
        return mx::vmap([&](const std::vector<mx::array>& inner) {
          return std::vector<mx::array>{distance(outer[0], inner[0])};
        })({outer[1]});
      },
      {0, std::nullopt});
  mx::array table = pairs({points, points})[0];
  std::printf("all pairs: %s, sum %.4f\n", mx::to_string(table.shape()).c_str(), mx::sum(table).item<float>());
}
