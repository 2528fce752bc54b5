// Types and functions of single threads, against plain C++.
#include <bit>
#include <cmath>
#include <complex>

#include "dispatch.h"

using namespace shaders;

namespace {

const Library& types() { return library("types.metal"); }

uint16_t to_bfloat(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
float from_bfloat(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

// Normal numbers alone.
uint16_t to_half(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  uint32_t rounded = bits + 0xfff + ((bits >> 13) & 1);
  return uint16_t(((bits >> 16) & 0x8000) | (((rounded & 0x7fffffff) >> 13) - (112 << 10)));
}
float from_half(uint16_t h) {
  return std::bit_cast<float>(uint32_t(h & 0x8000) << 16 | (uint32_t(h & 0x7fff) + (112 << 10)) << 13);
}

void near(float a, double b, double relative = 2e-6) {
  CHECK(std::abs(a - b) <= relative * std::max(1.0, std::abs(b)));
}

void arithmetic(const std::string& name, uint16_t (*to)(float), float (*from)(uint16_t)) {
  float as[] = {1.5f, -0.3f, 2.25f, 3.1f}, bs[] = {0.4f, 7.7f, -1.1f, 3.3f};
  Buffer<uint16_t> a(4), b(4), out(20);
  Buffer<float> wide(4);
  for (int i = 0; i < 4; ++i) a[i] = to(as[i]), b[i] = to(bs[i]);
  call(types(), name, {4}, {4}, {a, b, out, wide});
  for (int i = 0; i < 4; ++i) {
    float x = from(a[i]), y = from(b[i]), z = from(to(-x + y));
    CHECK_EQ(out[5 * i], to(x + y));
    CHECK_EQ(out[5 * i + 1], to(x * y));
    CHECK_EQ(out[5 * i + 2], to(x / y));
    CHECK_EQ(out[5 * i + 3], x < y ? to(z) : to(x - y));
    CHECK_EQ(out[5 * i + 4], to(std::exp(x)));
    CHECK_EQ(wide[i], x + y);
  }
}

template <typename T>
void integers(const std::string& name) {
  std::vector<T> values = {T(1), T(0), T(-1), T(100), std::numeric_limits<T>::max(), std::numeric_limits<T>::min()};
  size_t n = values.size() * values.size();
  Buffer<T> a(n), b(n);
  Buffer<int64_t> out(10 * n);
  for (size_t i = 0; i < n; ++i) a[i] = values[i / values.size()], b[i] = values[i % values.size()];
  call(types(), name, {n}, {64}, {a, b, out});
  using U = std::make_unsigned_t<T>;
  for (size_t i = 0; i < n; ++i) {
    int64_t x = a[i], y = b[i], bits = 8 * sizeof(T);
    int64_t low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
    int64_t expected[] = {std::countl_zero(U(x)), std::min<int64_t>(std::countr_zero(U(x)), bits), std::popcount(U(x)),
        (x * y) >> bits, T(std::rotl(U(x), 3)), std::min(x, y), std::max(x, y), T(x < 0 ? -x : x),
        std::clamp(x + y, low, high), high - low};
    for (int k = 0; k < 10; ++k) CHECK_EQ(out[10 * i + k], expected[k]);
  }
}

} // namespace

TEST(literals_are_floats_or_halves) {
  Buffer<float> out(4);
  Buffer<uint16_t> halves(2);
  call(types(), "literals", {1}, {1}, {out, halves});
  CHECK_EQ(out[0], 0.0f);
  CHECK_EQ(out[1], 1e-3f);
  CHECK_EQ(out[2], 3.0f);
  CHECK_EQ(out[3], 2.5f);
  CHECK_EQ(halves[0], 0x3e00);
  CHECK_EQ(halves[1], to_half(from_half(to_half(0.1f)) + 1));
}

TEST(half_and_bfloat_round_each_result) {
  arithmetic("arithmetic_half", to_half, from_half);
  arithmetic("arithmetic_bfloat", to_bfloat, from_bfloat);
}

TEST(vectors_swizzles_and_reinterpretation) {
  struct Float4 {
    float x, y, z, w;
    bool operator==(const Float4&) const = default;
  };
  Buffer<Float4> a{{1, 2, 3, 4}}, out(8);
  Buffer<int> flags(6);
  call(types(), "vectors", {1}, {1}, {a, out, flags});
  CHECK((out[0] == Float4{4, 3, 2, 1}));
  CHECK((out[1] == Float4{1, 2, 10, 4}));
  CHECK((out[2] == Float4{5, 3, 8, 2}));
  CHECK((out[3] == Float4{3, 6, 9, 12}));
  CHECK((out[4] == Float4{2, -1, 0, 30}));
  CHECK((out[5] == Float4{4, 8, 12, 2}));
  CHECK((out[6] == Float4{1, 2, -3, -4}));
  CHECK((out[7] == Float4{2, 2, 3, 3.5f}));
  int expected[] = {1, 14, 6, 4001, 0x3f800000, 1608};
  for (int i = 0; i < 6; ++i) CHECK_EQ(flags[i], expected[i]);
}

TEST(a_complex_number_is_a_struct_of_the_text) {
  Buffer<std::complex<float>> a{{1, 2}, {-0.5f, 3}}, out(2);
  Buffer<float> norms(2);
  call(types(), "complex_numbers", {2}, {2}, {a, out, norms});
  for (int i = 0; i < 2; ++i) {
    CHECK_EQ(out[i], a[i] * a[i] + 1.0f);
    CHECK_EQ(norms[i], std::norm(a[i]));
  }
}

TEST(overloads_for_address_spaces_are_one_function) {
  Buffer<int> a{30}, out(3), c{200};
  call(types(), "overloads", {1}, {1}, {a, out, c}, {constant(7, 3)});
  CHECK_EQ(out[0], 235);
  CHECK_EQ(out[1], 12112);
  CHECK_EQ(out[2], 414);
}

TEST(functions_of_integers_of_each_width) {
  integers<int8_t>("integers_char");
  integers<uint16_t>("integers_ushort");
  integers<int32_t>("integers_int");
}

TEST(functions_of_floats) {
  Buffer<float> a{0.3f, -1.7f, 2.5f, 10}, out(64);
  call(types(), "mathematics", {4}, {4}, {a, out});
  for (int i = 0; i < 4; ++i) {
    double x = a[i];
    float* got = &out[16 * i];
    near(got[0], std::exp(x));
    near(got[1], std::log(std::abs(x) + 1));
    near(got[2], 2 * std::sin(x));
    near(got[3], std::sqrt(std::abs(x) / (x * x + 1)));
    near(got[4], std::pow(std::abs(x), 1.5));
    near(got[5], x * x + 1);
    near(got[6], std::clamp(x, -1.0, 1.0));
    near(got[7], std::floor(x) + std::ceil(x) + std::rint(x) + std::trunc(x) + (x - std::floor(x)));
    CHECK_EQ(got[8], 0.0f); // x / 0 is infinite
    near(got[9], std::fmod(x, double(0.7f)));
    near(got[10], x < 0 ? -3 : 3);
    CHECK_EQ(got[11], a[i]);
    near(got[12], std::tanh(x) + std::atan2(x, 2.0) + std::asinh(x));
    CHECK_EQ(got[13], 1.0f);
    CHECK_EQ(got[14], 65504.0f);
    CHECK_EQ(got[15], 1.0f);
  }
}
