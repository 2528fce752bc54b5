// Reduction of huge angles by Payne and Hanek's method, in integers: of the product of x and 2/pi, only the 192 bits
// that follow those that make up whole turns are worked out. The double nearest to a multiple of pi/2 leaves about
// 2^-62 of a quadrant, so that even there some 70 bits are right.
#include "mlx_core/cpu/huge_angles.h"

#include <bit>
#include <cstdint>

namespace mlx::core::cpu {

namespace {

__extension__ using uint128 = unsigned __int128;

// The bits of 2/pi after the point, behind a word of zeros (tools/print_two_over_pi.py).
constexpr uint64_t two_over_pi[] = {
    0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
};
// pi/2 = (high 2^64 + low) / 2^127
constexpr uint64_t half_pi_high = 0xc90fdaa22168c234;
constexpr uint64_t half_pi_low = 0xc4c6628b80dc1cd1;

uint64_t high(uint128 x) { return static_cast<uint64_t>(x >> 64); }
uint128 product(uint64_t a, uint64_t b) { return static_cast<uint128>(a) * b; }

} // namespace

ReducedHugeAngle reduce_huge_angle(double x, Quadrants quadrants) {
  // x = m 2^e. The bits of 2/pi from `first` on, times m, weigh less than 4 quadrants.
  const auto bits = std::bit_cast<uint64_t>(x);
  const int e = static_cast<int>(bits >> 52) - 1075;
  const uint64_t m = (bits & 0x000fffffffffffffu) | 0x0010000000000000u;
  const int first = e + 62;
  const uint64_t* const word = two_over_pi + first / 64;
  const int shift = first % 64;
  const auto at = [&](int k) { return word[k] << shift | word[k + 1] >> 1 >> (63 - shift); };

  // The quadrants, modulo 4, times 2^190: a b c, 64 bits each
  const uint128 lowest = product(m, at(2));
  const uint128 upper = product(m, at(1)) + high(lowest);
  uint64_t a = high(upper) + m * at(0);
  uint64_t b = static_cast<uint64_t>(upper);
  uint64_t c = static_cast<uint64_t>(lowest);

  constexpr uint64_t quadrant = uint64_t{1} << 62;
  uint64_t turn = 0;
  if (quadrants == Quadrants::any) {
    turn = (a + quadrant / 2) >> 62;
    a -= turn << 62;
  } else {
    if (quadrants == Quadrants::odd) {
      a -= quadrant;
    }
    turn = (a + quadrant) >> 63;
    a -= turn << 63;
  }
  const uint64_t sign = a >> 63; // without a branch, which would be guessed wrong every other time
  const uint64_t flip = uint64_t{0} - sign;
  c = (c ^ flip) + sign;
  const uint64_t carry_c = sign & static_cast<uint64_t>(c == 0);
  b = (b ^ flip) + carry_c;
  a = (a ^ flip) + (carry_c & static_cast<uint64_t>(b == 0));

  // What is left, from its first bit on
  int zeros = 0;
  if (a == 0) {
    zeros = 64;
    a = b;
    b = c;
    c = 0;
  }
  const int more = std::countl_zero(a | 1);
  a = a << more | b >> 1 >> (63 - more);
  b = b << more | c >> 1 >> (63 - more);
  zeros += more;
  const uint128 angle = product(a, half_pi_high) + high(product(a, half_pi_low)) + high(product(b, half_pi_high));
  const auto top = static_cast<int64_t>(angle >> 65);
  const auto r = static_cast<double>(top);
  const auto rest = static_cast<double>(top - static_cast<int64_t>(r));
  const auto below = static_cast<double>(static_cast<uint64_t>(angle >> 1));
  const double unit = std::bit_cast<double>(static_cast<uint64_t>(963 - zeros) << 52 | sign << 63); // 2^-(60 + zeros)
  return {r * unit, (rest + below * 0x1p-64) * unit, static_cast<double>(turn)};
}

} // namespace mlx::core::cpu
