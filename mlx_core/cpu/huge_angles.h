// Angles of any size less a multiple of pi/2, to more digits than a double has.
#pragma once

namespace mlx::core::cpu {

// Which multiples of pi/2 may be taken off: sin, cos and tan are odd about these.
enum class Quadrants { even, odd, any };

// x = q pi/2 + r + low with the nearest such q, and |low| at most half a unit of r. `turn` is, modulo 4 / 2 / 2, q
// itself, q / 2 of even ones, (q - 1) / 2 of odd ones.
struct ReducedHugeAngle {
  double r, low, turn;
};
// For finite x >= 2^20.
ReducedHugeAngle reduce_huge_angle(double x, Quadrants quadrants);

} // namespace mlx::core::cpu
