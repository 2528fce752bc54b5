// Functions of a float32 in 32 pieces: vectors of 16 lanes look each coefficient up in two registers, which
// is quicker than the formulas in which other instruction sets evaluate them. AVX-512 only.
//
// Written by tools/fit_pieces.py. A piece is f(m + t) = c0 + t (c1 + t (c2 + ...)), with the coefficients of a
// polynomial of degree 5 that is nearly minimax for the relative error. m was searched for near the middle, so that
// f(m) is a float32 but for 1e-3 ULP: then the only rounding that matters is the last.
#if defined(MLX_CPU_PIECES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_PIECES_INL_H_
#undef MLX_CPU_PIECES_INL_H_
#else
#define MLX_CPU_PIECES_INL_H_
#endif

#include "mlx_core/cpu/polynomial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

// Rows: m, c0, c1, ..., c5.
using Pieces = float[7][32];

// Of 1/8 each. The first is f(t) = t + t (c1 + ...); the last ends in 1 exactly.
alignas(64) inline constexpr Pieces erf_pieces = {
    {0.0f, 0.18744054f, 0.31258795f, 0.4375308f, 0.5625105f, 0.68767214f, 0.8123185f, 0.9378161f, 1.0631768f,
        1.1872814f, 1.3118105f, 1.4377406f, 1.5628476f, 1.6868595f, 1.8120801f, 1.9370352f, 2.0614998f, 2.1867852f,
        2.3138132f, 2.4360983f, 2.561124f, 2.6868324f, 2.8137343f, 2.9367719f, 3.063125f, 3.1873543f, 3.3127012f,
        3.4360695f, 3.5610695f, 3.6889305f, 3.8139305f, 3.9999998f},
    {0.0f, 0.2090529f, 0.34155864f, 0.46392682f, 0.5736831f, 0.6692057f, 0.7493582f, 0.81525046f, 0.86730504f,
        0.9068615f, 0.9364295f, 0.957975f, 0.97290874f, 0.98294777f, 0.9896129f, 0.9938445f, 0.9964477f, 0.99801576f,
        0.99893296f, 0.9994293f, 0.99970764f, 0.99985516f, 0.99993086f, 0.9999672f, 0.9999852f, 0.99999344f, 0.9999972f,
        0.9999988f, 0.9999995f, 0.9999998f, 0.99999994f, 1.0f},
    {0.12837917f, 1.0894231f, 1.0233392f, 0.9317871f, 0.82231164f, 0.70320225f, 0.58328515f, 0.46826693f, 0.36437833f,
        0.2755862f, 0.2018835f, 0.14279921f, 0.09810564f, 0.065565035f, 0.042304907f, 0.026481124f, 0.01609898f,
        0.009454662f, 0.0053377594f, 0.0029860826f, 0.0015986841f, 8.2652015e-04f, 4.1124623e-04f, 2.0268717e-04f,
        9.4969786e-05f, 4.368764e-05f, 1.9342473e-05f, 8.412505e-06f, 3.5081082e-06f, 1.3883064e-06f, 5.434744e-07f,
        6.1920714e-06f},
    {3.2816772e-07f, -0.20420212f, -0.31988356f, -0.40768522f, -0.46255884f, -0.48357242f, -0.47381327f, -0.43914828f,
        -0.3873986f, -0.3271984f, -0.26483294f, -0.20530829f, -0.15332428f, -0.11059904f, -0.07665991f, -0.051294874f,
        -0.03318804f, -0.020675302f, -0.012350567f, -0.0072743734f, -0.0040944084f, -0.002220713f, -0.0011571305f,
        -5.9524e-04f, -2.9089942e-04f, -1.3924706e-04f, -6.40738e-05f, -1.5259221e-08f, -8.941857e-06f, -1.1374365e-05f,
        -2.1097798e-05f, 3.8629211e-04f},
    {-0.3761442f, -0.33760285f, -0.27440584f, -0.19167869f, -0.10063164f, -0.012706381f, 0.062156126f, 0.11847297f,
        0.15312463f, 0.16713206f, 0.16430874f, 0.14919128f, 0.1270466f, 0.10252313f, 0.07850706f, 0.057412498f,
        0.04024582f, 0.026989903f, 0.01727189f, 0.010818884f, 0.0064581037f, 0.0037023118f, 0.0020334674f,
        0.0010978491f, 5.623784e-04f, 2.813236e-04f, 1.3506229e-04f, 4.2350886e-05f, 2.590072e-05f, 7.572935e-06f,
        -8.780735e-06f, 0.008652124f},
    {3.2363483e-04f, 0.09962597f, 0.14940473f, 0.17755683f, 0.1823022f, 0.16538861f, 0.13261203f, 0.0908267f,
        0.04777944f, 0.009925941f, -0.019399386f, -0.038719535f, -0.048076496f, -0.04955125f, -0.045546353f,
        -0.038497813f, -0.030423699f, -0.022631306f, -0.015879886f, -0.010768676f, -0.00691955f, -0.004243042f,
        -0.0024822159f, -0.0014186534f, -7.67746e-04f, -4.0351335e-04f, -2.0361859e-04f, -0.007505135f, -9.569285e-04f,
        0.0015820225f, 0.0048675244f, 0.07902067f},
    {0.110802576f, 0.09036284f, 0.05558613f, 0.026387291f, -0.012257328f, -0.041814942f, -0.0604575f, -0.06984149f,
        -0.06651783f, -0.056504536f, -0.038417846f, -0.0231688f, -0.008091302f, 0.0024740142f, 0.009552045f, 0.0126667f,
        0.012859062f, 0.011705927f, 0.009535539f, 0.007198871f, 0.0051148157f, 0.003436421f, 0.0021890786f,
        0.0013300896f, 7.7277503e-04f, 4.2930502e-04f, 2.2798478e-04f, 0.010897752f, 0.001382611f, 0.0023605307f,
        0.0071116546f, 0.25273353f},
};

// Four for each power of two, from 1/16 on; the first is below 5/64.
alignas(64) inline constexpr Pieces tanh_pieces = {
    {0.0f, 0.08591008f, 0.10152266f, 0.11715975f, 0.1405984f, 0.17188764f, 0.20317619f, 0.23441929f, 0.28135866f,
        0.34391513f, 0.4060997f, 0.4688358f, 0.56268835f, 0.6874732f, 0.81272113f, 0.9371561f, 1.1253259f, 1.3747424f,
        1.625279f, 1.8743775f, 2.2514277f, 2.749266f, 3.2508688f, 3.7511117f, 4.4981236f, 5.4985805f, 6.498972f,
        7.502861f, 8.515722f, 9.02f, 9.02f, 9.02f},
    {0.0f, 0.08569935f, 0.1011753f, 0.11662661f, 0.13967922f, 0.17021458f, 0.20042585f, 0.23021765f, 0.27416208f,
        0.33096817f, 0.38515598f, 0.43725818f, 0.50996935f, 0.5963563f, 0.67108864f, 0.7339129f, 0.8094135f, 0.8797685f,
        0.9253863f, 0.9539893f, 0.9780881f, 0.9918478f, 0.99700284f, 0.9988969f, 0.9997523f, 0.9999665f, 0.99999547f,
        0.9999994f, 0.99999994f, 1.0f, 1.0f, 1.0f},
    {1.0f, 0.99265563f, 0.98976356f, 0.9863982f, 0.98048973f, 0.971027f, 0.95982945f, 0.94699985f, 0.92483515f,
        0.8904601f, 0.8516549f, 0.8088053f, 0.7399313f, 0.6443592f, 0.54964006f, 0.46137187f, 0.3448498f, 0.2260074f,
        0.14366017f, 0.08990436f, 0.043343708f, 0.016237918f, 0.00598534f, 0.0022049907f, 4.9538445e-04f,
        6.6996225e-05f, 9.060129e-06f, 1.216627e-06f, 1.6047137e-07f, 0.0f, 0.0f, 0.0f},
    {3.0022985e-08f, -0.085069865f, -0.10013963f, -0.11504037f, -0.136954f, -0.16528286f, -0.19237472f, -0.21801606f,
        -0.25355473f, -0.29471394f, -0.32801995f, -0.35365674f, -0.3773422f, -0.38426766f, -0.36885718f, -0.3386068f,
        -0.279128f, -0.19883533f, -0.13294157f, -0.08576785f, -0.042392746f, -0.016104622f, -0.00596699f, -0.002202397f,
        -4.9464626e-04f, -6.691003e-05f, -9.048714e-06f, -1.6009943e-06f, -7.847832e-07f, 0.0f, 0.0f, 0.0f},
    {-0.33333677f, -0.32445088f, -0.3197511f, -0.31454015f, -0.3079575f, -0.29584733f, -0.2809174f, -0.26570687f,
        -0.23873943f, -0.1992966f, -0.15759873f, -0.114987805f, -0.05423531f, 0.014396864f, 0.06430674f, 0.09472352f,
        0.1109803f, 0.099593244f, 0.07513664f, 0.051854216f, 0.027017077f, 0.01056128f, 0.0039540525f, 0.0014649867f,
        3.296369e-04f, 4.460627e-05f, 6.0325297e-06f, 8.0167086e-07f, 7.943704e-08f, 0.0f, 0.0f, 0.0f},
    {1.1649159e-04f, 0.05314445f, 0.065930225f, 0.07787362f, 0.088138886f, 0.10468085f, 0.12124571f, 0.13355218f,
        0.1499346f, 0.16414481f, 0.16993491f, 0.16812633f, 0.15328756f, 0.11949015f, 0.079801776f, 0.04342382f,
        0.0036144159f, -0.021102615f, -0.025127621f, -0.020865887f, -0.012357089f, -0.0051545007f, -0.0019745093f,
        -7.376021e-04f, -1.7259068e-04f, -2.3382352e-05f, -3.1628283e-06f, 1.1133212e-06f, 2.3393775e-06f, 0.0f, 0.0f,
        0.0f},
    {0.13201596f, 11.066844f, -0.369078f, -10.71457f, 0.92685753f, 1.0649471f, -1.3931699f, 0.81742954f, 0.04092759f,
        0.045771994f, 0.04895675f, 0.0030901781f, -0.039047655f, -0.06594079f, -0.059731424f, -0.054182418f,
        -0.03209023f, -0.009533669f, 0.001363081f, 0.004578601f, 0.00397733f, 0.0019163247f, 7.713547e-04f,
        2.9291274e-04f, 6.859002e-05f, 9.318969e-06f, 1.2618606e-06f, 2.390567e-07f, 2.3285469e-07f, 0.0f, 0.0f, 0.0f},
};

// 2^(j / 32)
alignas(64) inline constexpr float powers_of_two[32] = {1.0f, 1.0218972f, 1.0442737f, 1.0671405f, 1.0905077f,
    1.1143868f, 1.1387886f, 1.1637249f, 1.1892071f, 1.2152474f, 1.2418578f, 1.269051f, 1.2968396f, 1.3252367f,
    1.3542556f, 1.38391f, 1.4142135f, 1.4451808f, 1.4768262f, 1.5091645f, 1.5422108f, 1.5759809f, 1.6104903f,
    1.6457555f, 1.6817929f, 1.7186193f, 1.7562522f, 1.7947091f, 1.8340081f, 1.8741677f, 1.9152066f, 1.9571441f};

// Of [3/4, 3/2), numbered by the first five bits of the fraction: 1 / c for a c near the middle, and log(c). Those that
// meet at 1 have c = 1.
alignas(64) inline constexpr float log_pieces[2][32] = {
    {1.0f, 0.9546178f, 0.9281467f, 0.9015071f, 0.87743896f, 0.8537763f, 0.83142495f, 0.8100589f, 0.7897216f,
        0.77118164f, 0.7538069f, 0.73519397f, 0.7200946f, 0.70387787f, 0.68860406f, 0.6743972f, 1.3179741f, 1.2913318f,
        1.2670481f, 1.240959f, 1.2171711f, 1.1978965f, 1.1753304f, 1.1547143f, 1.1334252f, 1.1145039f, 1.0921493f,
        1.0736839f, 1.0597413f, 1.0415998f, 1.0228274f, 1.0f},
    {0.0f, 0.04644423f, 0.074565455f, 0.10368738f, 0.13074788f, 0.15808609f, 0.18461424f, 0.21064833f, 0.23607479f,
        0.25983134f, 0.28261906f, 0.3076209f, 0.32837266f, 0.35115042f, 0.37308884f, 0.39393607f, -0.27609578f,
        -0.25567406f, -0.23668988f, -0.2158845f, -0.19652937f, -0.18056709f, -0.1615493f, -0.143853f, -0.12524423f,
        -0.10840934f, -0.08814755f, -0.07109559f, -0.058024783f, -0.040757753f, -0.02257074f, 0.0f}};

// The coefficient of each lane's piece, whose number is in the low five bits.
HWY_INLINE hn::Vec512<float> look_up(const float* row, __m512i pieces) {
  return {_mm512_permutex2var_ps(_mm512_load_ps(row), pieces, _mm512_load_ps(row + 16))};
}

// f's polynomial in t = y - m, without c0
HWY_INLINE hn::Vec512<float> slope_of_piece(const Pieces& f, __m512i pieces, hn::Vec512<float> t) {
  hn::Vec512<float> p = look_up(f[6], pieces);
  for (int k = 5; k >= 2; --k) {
    p = hn::MulAdd(p, t, look_up(f[k], pieces));
  }
  return p;
}

// y, which is NaN where x is: a minimum gives its second operand then.
template <class D>
HWY_INLINE hn::Vec512<float> magnitude_up_to(D d, float most, hn::Vec512<float> x) {
  return hn::Min(constant(d, most), hn::Abs(x));
}

// exp(x), |x| < 2^12, times 2^shift: x = n ln 2 + r with n a multiple of 1/32. The integer part of n is the exponent,
// the rest chooses a piece; the instruction that scales takes the integer part by itself.
template <int shift, class D>
HWY_INLINE hn::Vec512<float> exp_by_pieces(D d, hn::Vec512<float> x) {
  const auto last_is_one_32nd = constant(d, 0x1.8p18f);
  const auto sum = hn::MulAdd(x, constant(d, 0x1.715476p+0f), last_is_one_32nd);
  const auto n = hn::Sub(sum, last_is_one_32nd);
  const auto r = hn::NegMulAdd(n, constant(d, 0x1.7f7d1cp-20f), hn::NegMulAdd(n, constant(d, 0x1.62e4p-1f), x));
  const auto half_and_sixth = hn::MulAdd(r, constant(d, 0.16666667f), constant(d, 0.5f));
  const auto power = look_up(powers_of_two, _mm512_castps_si512(sum.raw));
  const auto e = hn::MulAdd(power, hn::MulAdd(half_and_sixth, hn::Mul(r, r), r), power);
  return times_power_of_two<shift>(d, e, n);
}

// log(x) = e ln 2 + log(c) + log(1 + r), x = 2^e m. The instructions that part x know subnormals, 0, infinity, NaN and
// what is negative: what comes out is right for them.
template <class D>
HWY_INLINE hn::Vec512<float> log_by_pieces(D d, hn::Vec512<float> x) {
  const hn::Vec512<float> m{_mm512_getmant_ps(x.raw, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan)};
  const auto one = constant(d, 1.0f);
  const __mmask16 below = _mm512_cmp_ps_mask(m.raw, one.raw, _CMP_LT_OQ);
  const __m512 exponent = _mm512_getexp_ps(x.raw); // of m in [1, 2)
  const hn::Vec512<float> e{_mm512_mask_add_ps(exponent, below, exponent, one.raw)};
  const __m512i pieces = _mm512_srli_epi32(_mm512_castps_si512(m.raw), 18);
  const auto r = hn::MulSub(m, look_up(log_pieces[0], pieces), one);
  const auto q = polynomial(d, r, -0.5f, 0.3333348f, -0.25002816f, 0.1944361f);
  const auto rest = hn::MulAdd(q, hn::Mul(r, r), r);
  return hn::MulAdd(e, constant(d, 0.6931472f), hn::Add(look_up(log_pieces[1], pieces), rest));
}

template <class D>
HWY_INLINE hn::Vec512<float> erf_by_pieces(D d, hn::Vec512<float> x) {
  const auto y = magnitude_up_to(d, 0x1.fffffep1f, x);
  // the integer part of 8 y, in the low bits of a sum that is rounded down
  constexpr int down = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
  const __m512i pieces = _mm512_castps_si512(_mm512_add_round_ps(y.raw, constant(d, 0x1.8p20f).raw, down));
  const auto t = hn::Sub(y, look_up(erf_pieces[0], pieces));
  const auto c0 = hn::IfThenElse(hn::Lt(y, constant(d, 0.125f)), y, look_up(erf_pieces[1], pieces));
  return hn::CopySign(hn::MulAdd(slope_of_piece(erf_pieces, pieces, t), t, c0), x);
}

template <class D>
HWY_INLINE hn::Vec512<float> tanh_by_pieces(D d, hn::Vec512<float> x) {
  const auto y = magnitude_up_to(d, 9.02f, x); // from there on it is 1
  const __m512i bits = _mm512_srli_epi32(_mm512_castps_si512(y.raw), 21);
  const __m512i first = _mm512_set1_epi32(0x3d800000 >> 21);
  const __m512i pieces = _mm512_sub_epi32(_mm512_max_epi32(bits, first), first);
  const auto t = hn::Sub(y, look_up(tanh_pieces[0], pieces));
  return hn::CopySign(hn::MulAdd(slope_of_piece(tanh_pieces, pieces, t), t, look_up(tanh_pieces[1], pieces)), x);
}

#endif

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
