// Quantized arrays of GGUF: a row is cut into blocks of 32 or 256 elements, each with its own scale. They are unpacked
// when they are read, piece by piece.
#include <algorithm>
#include <cstring>
#include <vector>

#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/io/arrays/gguf.h"

namespace mlx::core::io::gguf {

namespace {

// Numbers of the format's types. Those that cannot be read are named in errors.
constexpr ElementType types[] = {
    {0, "F32", 1, 4, true, float32},
    {1, "F16", 1, 2, true, float16},
    {24, "I8", 1, 1, true, int8},
    {25, "I16", 1, 2, true, int16},
    {26, "I32", 1, 4, true, int32},
    {27, "I64", 1, 8, true, int64},
    {28, "F64", 1, 8, true, float64},
    {30, "BF16", 1, 2, true, bfloat16},
    {2, "Q4_0", 32, 18, false},
    {3, "Q4_1", 32, 20, false},
    {6, "Q5_0", 32, 22, false},
    {7, "Q5_1", 32, 24, false},
    {8, "Q8_0", 32, 34, false},
    {9, "Q8_1", 32, 40, false},
    {10, "Q2_K", 256, 84, false},
    {11, "Q3_K", 256, 110, false},
    {12, "Q4_K", 256, 144, false},
    {13, "Q5_K", 256, 176, false},
    {14, "Q6_K", 256, 210, false},
    {15, "Q8_K", 256, 292, false},
    {16, "IQ2_XXS", 256, 66, false},
    {17, "IQ2_XS", 256, 74, false},
    {18, "IQ3_XXS", 256, 98, false},
    {19, "IQ1_S", 256, 50, false},
    {20, "IQ4_NL", 32, 18, false},
    {21, "IQ3_S", 256, 110, false},
    {22, "IQ2_S", 256, 82, false},
    {23, "IQ4_XS", 256, 136, false},
    {29, "IQ1_M", 256, 56, false},
    {34, "TQ1_0", 256, 54, false},
    {35, "TQ2_0", 256, 66, false},
    {39, "MXFP4", 32, 17, false},
};

using Byte = unsigned char;

float half_at(const Byte* from) {
  float16_t value;
  static_assert(sizeof value == 2);
  std::memcpy(static_cast<void*>(&value), from, 2);
  return static_cast<float>(value);
}
uint32_t word_at(const Byte* from) {
  uint32_t value;
  std::memcpy(&value, from, 4);
  return value;
}

// Element i of 32 in 16 bytes: the low halves come first.
int nibble(const Byte* q, int i) { return i < 16 ? q[i] & 15 : q[i - 16] >> 4; }

void values_q4_0(const Byte* b, float* out) {
  float d = half_at(b);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(nibble(b + 2, i) - 8);
}
void values_q4_1(const Byte* b, float* out) {
  float d = half_at(b), m = half_at(b + 2);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(nibble(b + 4, i)) + m;
}
void values_q5_0(const Byte* b, float* out) {
  float d = half_at(b);
  uint32_t high = word_at(b + 2);
  for (int i = 0; i < 32; ++i) {
    int q = nibble(b + 6, i) | static_cast<int>((high >> i) & 1) << 4;
    out[i] = d * static_cast<float>(q - 16);
  }
}
void values_q5_1(const Byte* b, float* out) {
  float d = half_at(b), m = half_at(b + 2);
  uint32_t high = word_at(b + 4);
  for (int i = 0; i < 32; ++i) {
    int q = nibble(b + 8, i) | static_cast<int>((high >> i) & 1) << 4;
    out[i] = d * static_cast<float>(q) + m;
  }
}
void values_q8_0(const Byte* b, float* out) {
  float d = half_at(b);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(static_cast<int8_t>(b[2 + i]));
}

// Blocks of 256. Two bits of element e are in a byte that it shares with those 32, 64 and 96 further on.
int two_bits(const Byte* q, int e) { return (q[e / 128 * 32 + e % 32] >> (2 * (e / 32 % 4))) & 3; }
int one_bit(const Byte* q, int e) { return (q[e % 32] >> (e / 32)) & 1; }
int four_bits(const Byte* q, int e) { return (q[e / 64 * 32 + e % 32] >> (4 * (e / 32 % 2))) & 15; }

void values_q2_k(const Byte* b, float* out) {
  const Byte *scales = b, *q = b + 16;
  float d = half_at(b + 80), dmin = half_at(b + 82);
  for (int e = 0; e < 256; ++e) {
    int s = scales[e / 16];
    out[e] = d * static_cast<float>(s & 15) * static_cast<float>(two_bits(q, e)) - dmin * static_cast<float>(s >> 4);
  }
}
void values_q3_k(const Byte* b, float* out) {
  const Byte *high = b, *q = b + 32, *scales = b + 96;
  float d = half_at(b + 108);
  for (int e = 0; e < 256; ++e) {
    int g = e / 16;
    int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
    int scale = (low | ((scales[8 + g % 4] >> (2 * (g / 4))) & 3) << 4) - 32;
    int value = two_bits(q, e) - (one_bit(high, e) ? 0 : 4);
    out[e] = d * static_cast<float>(scale) * static_cast<float>(value);
  }
}
// Scale and minimum of group g of 32: six bits each, of which the last four groups have two elsewhere.
struct ScaleAndMinimum {
  int scale, minimum;
};
ScaleAndMinimum six_bits(const Byte* s, int g) {
  if (g < 4) {
    return {s[g] & 63, s[g + 4] & 63};
  }
  return {(s[g + 4] & 15) | ((s[g - 4] >> 2) & 0x30), (s[g + 4] >> 4) | ((s[g] >> 2) & 0x30)};
}
void values_q4_k(const Byte* b, float* out) {
  float d = half_at(b), dmin = half_at(b + 2);
  for (int e = 0; e < 256; ++e) {
    auto [scale, minimum] = six_bits(b + 4, e / 32);
    out[e] =
        d * static_cast<float>(scale) * static_cast<float>(four_bits(b + 16, e)) - dmin * static_cast<float>(minimum);
  }
}
void values_q5_k(const Byte* b, float* out) {
  float d = half_at(b), dmin = half_at(b + 2);
  for (int e = 0; e < 256; ++e) {
    auto [scale, minimum] = six_bits(b + 4, e / 32);
    int q = four_bits(b + 48, e) | one_bit(b + 16, e) << 4;
    out[e] = d * static_cast<float>(scale) * static_cast<float>(q) - dmin * static_cast<float>(minimum);
  }
}
void values_q6_k(const Byte* b, float* out) {
  float d = half_at(b + 208);
  for (int e = 0; e < 256; ++e) {
    int low = (b[e / 128 * 64 + e % 64] >> (4 * (e / 64 % 2))) & 15;
    int q = (low | two_bits(b + 128, e) << 4) - 32;
    auto scale = static_cast<int8_t>(b[192 + e / 16]);
    out[e] = d * static_cast<float>(scale) * static_cast<float>(q);
  }
}

using Values = void (*)(const Byte*, float*);
Values values_of(const ElementType& type) {
  switch (type.number) {
    case 2: return values_q4_0;
    case 3: return values_q4_1;
    case 6: return values_q5_0;
    case 7: return values_q5_1;
    case 8: return values_q8_0;
    case 10: return values_q2_k;
    case 11: return values_q3_k;
    case 12: return values_q4_k;
    case 13: return values_q5_k;
    case 14: return values_q6_k;
    default: return nullptr;
  }
}

// What one block becomes, at `to`.
void put(Byte* to, float value) {
  float16_t half(value);
  std::memcpy(to, static_cast<const void*>(&half), 2);
}

class Blocks final : public Content {
 public:
  Blocks(SourceRef source, int64_t begin, const ElementType& type, Unpacked what)
      : source_(std::move(source)), begin_(begin), type_(type), what_(what) {}

  void fill(array& out, bool) const override {
    out.allocate();
    auto* to = static_cast<Byte*>(out.mutable_data());
    int64_t size = bytes_from_block();
    int64_t blocks = static_cast<int64_t>(out.nbytes()) / size;
    int64_t at_once = std::max<int64_t>(1, (int64_t{1} << 20) / type_.bytes);
    cpu::parallel_for((blocks + at_once - 1) / at_once, [&](int64_t piece) {
      int64_t first = piece * at_once, count = std::min(blocks - first, at_once);
      std::vector<Byte> packed(static_cast<size_t>(count * type_.bytes));
      source_->read(
          begin_ + first * type_.bytes, static_cast<int64_t>(packed.size()), reinterpret_cast<char*>(packed.data()));
      for (int64_t i = 0; i < count; ++i) {
        unpack(packed.data() + i * type_.bytes, to + (first + i) * size);
      }
    });
  }
  std::string label() const override { return source_->name(); }

 private:
  bool is_q8() const { return type_.number == 8; }
  bool is_q4_1() const { return type_.number == 3; }
  int64_t bytes_from_block() const {
    switch (what_) {
      case Unpacked::weights: return is_q8() ? 32 : 16;
      case Unpacked::values: return 2 * type_.elements;
      default: return 2;
    }
  }
  void unpack(const Byte* block, Byte* to) const {
    switch (what_) {
      case Unpacked::weights: {
        const Byte* q = block + (is_q4_1() ? 4 : 2);
        for (int i = 0; i < (is_q8() ? 32 : 16); ++i) { // elements next to each other, the first one lowest
          to[i] = static_cast<Byte>(is_q8() ? q[i] ^ 0x80 : nibble(q, 2 * i) | nibble(q, 2 * i + 1) << 4);
        }
        return;
      }
      case Unpacked::scales: std::memcpy(to, block, 2); return;
      case Unpacked::biases: // of q without a sign
        is_q4_1() ? static_cast<void>(std::memcpy(to, block + 2, 2)) : put(to, half_at(block) * (is_q8() ? -128 : -8));
        return;
      case Unpacked::values: {
        float values[256];
        values_of(type_)(block, values);
        for (int i = 0; i < type_.elements; ++i) {
          put(to + 2 * i, values[i]);
        }
      }
    }
  }

  SourceRef source_;
  int64_t begin_;
  const ElementType& type_;
  Unpacked what_;
};

} // namespace

std::span<const ElementType> element_types() { return types; }

bool is_affine(const ElementType& type, int* bits) {
  *bits = type.number == 8 ? 8 : 4;
  return type.number == 2 || type.number == 3 || type.number == 8;
}

bool has_values(const ElementType& type) { return values_of(type) != nullptr; }

array lazy_blocks(const SourceRef& source, int64_t begin, const ElementType& type, Shape shape, Unpacked what) {
  Dtype dtype = what == Unpacked::weights ? uint32 : float16;
  return lazy(std::make_shared<Blocks>(source, begin, type, what), std::move(shape), dtype);
}

} // namespace mlx::core::io::gguf
