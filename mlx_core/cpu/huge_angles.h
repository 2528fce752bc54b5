// Angles of any size less a multiple of pi/2, to more digits than a double has.
#pragma once

namespace mlx::core::cpu {

// Of float32, for angles that are not huge: pieces of pi, the first three so short that multiples of them are exact,
// and what sin(r) / r - 1 is in powers of r^2, times r^2.
inline constexpr float pi_pieces[] = {0x1.9218p+1f, 0x1.ed5p-13f, 0x1.10bp-29f, 0x1.184698p-43f};
inline constexpr float sine_terms[] = {
    -0.166666672f, 0.00833334774f, -0.000198426002f, 2.75996581e-06f, -2.5017119e-08f};

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
