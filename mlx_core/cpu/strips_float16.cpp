// Strips of float16 that is float16 in registers, too, where vectors compute with it (AVX512-FP16). A sum, product,
// quotient or root of numbers of 11 digits that is rounded to 24 digits and then to 11 is what is rounded once: the
// bits are those of the other strips, which compute in float32.
#include <hwy/highway.h>

#include <cstring>

#include "mlx_core/cpu/instruction_set.h"
#include "mlx_core/cpu/strip_forms.h"

#if defined(__x86_64__) && ((defined(__clang__) && __clang_major__ >= 14) || (!defined(__clang__) && __GNUC__ >= 12))
#define MLX_HAS_FLOAT16_VECTORS 1
#include <immintrin.h>
#endif

namespace mlx::core::cpu {

#ifdef MLX_HAS_FLOAT16_VECTORS

namespace {

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512fp16")

using V = __m512h;
using Mask = __mmask32;
constexpr int64_t lanes = 32;

HWY_INLINE V load(const void* from) { return _mm512_loadu_ph(from); }
HWY_INLINE V lanes_of(Mask mask) { return _mm512_castsi512_ph(_mm512_movm_epi16(mask)); }
HWY_INLINE Mask mask_of(V v) { return _mm512_movepi16_mask(_mm512_castph_si512(v)); }
HWY_INLINE V all(uint16_t bits) { return _mm512_castsi512_ph(_mm512_set1_epi16(static_cast<int16_t>(bits))); }
HWY_INLINE Mask is_zero(V v) { return _mm512_cmp_ph_mask(v, _mm512_setzero_ph(), _CMP_EQ_OQ); }
HWY_INLINE Mask is_nan(V v) { return _mm512_cmp_ph_mask(v, v, _CMP_UNORD_Q); }
HWY_INLINE Mask is_infinite(V v) { return _mm512_fpclass_ph_mask(v, 0x18); }

struct Add {
  static HWY_INLINE V of(V x, V y) { return _mm512_add_ph(x, y); }
};
struct Subtract {
  static HWY_INLINE V of(V x, V y) { return _mm512_sub_ph(x, y); }
};
struct Multiply {
  static HWY_INLINE V of(V x, V y) { return _mm512_mul_ph(x, y); }
};
struct Divide {
  static HWY_INLINE V of(V x, V y) { return _mm512_div_ph(x, y); }
};
struct Maximum { // the second of the two if one is NaN or both are zeros
  static HWY_INLINE V of(V x, V y) { return _mm512_mask_blend_ph(is_nan(x), _mm512_max_ph(x, y), x); }
};
struct Minimum {
  static HWY_INLINE V of(V x, V y) { return _mm512_mask_blend_ph(is_nan(x), _mm512_min_ph(x, y), x); }
};
struct ZeroTimes {
  static HWY_INLINE V of(V x, V y) {
    return _mm512_maskz_mul_ph(_knot_mask32(_kor_mask32(is_zero(x), is_zero(y))), x, y);
  }
};
struct ZeroDivide {
  static HWY_INLINE V of(V x, V y) {
    return _mm512_maskz_div_ph(_knot_mask32(_kor_mask32(is_zero(x), is_infinite(y))), x, y);
  }
};
template <int predicate>
struct Compare {
  static HWY_INLINE V of(V x, V y) { return lanes_of(_mm512_cmp_ph_mask(x, y, predicate)); }
};
struct NanEqual {
  static HWY_INLINE V of(V x, V y) {
    const __mmask32 nans = _kand_mask32(_mm512_cmp_ph_mask(x, x, _CMP_UNORD_Q), _mm512_cmp_ph_mask(y, y, _CMP_UNORD_Q));
    return lanes_of(_kor_mask32(_mm512_cmp_ph_mask(x, y, _CMP_EQ_OQ), nans));
  }
};
struct And {
  static HWY_INLINE V of(V x, V y) {
    return _mm512_castsi512_ph(_mm512_and_si512(_mm512_castph_si512(x), _mm512_castph_si512(y)));
  }
};
struct Or {
  static HWY_INLINE V of(V x, V y) {
    return _mm512_castsi512_ph(_mm512_or_si512(_mm512_castph_si512(x), _mm512_castph_si512(y)));
  }
};
struct Xor {
  static HWY_INLINE V of(V x, V y) {
    return _mm512_castsi512_ph(_mm512_xor_si512(_mm512_castph_si512(x), _mm512_castph_si512(y)));
  }
};

struct Same {
  static HWY_INLINE V of(V x) { return x; }
};
struct Negative {
  static HWY_INLINE V of(V x) { return Xor::of(x, all(0x8000)); }
};
struct Abs {
  static HWY_INLINE V of(V x) { return And::of(x, all(0x7fff)); }
};
struct Square {
  static HWY_INLINE V of(V x) { return _mm512_mul_ph(x, x); }
};
struct Sqrt {
  static HWY_INLINE V of(V x) { return _mm512_sqrt_ph(x); }
};
struct Reciprocal {
  static HWY_INLINE V of(V x) { return _mm512_div_ph(all(0x3c00), x); }
};
struct Not {
  static HWY_INLINE V of(V x) { return Xor::of(x, all(0xffff)); }
};
struct OneOrZero {
  static HWY_INLINE V of(V x) { return And::of(x, all(0x3c00)); }
};

using Run = void (*)(V, V, V, V, V, V, V, V, const StripStep*, char* const*, int64_t);

#define MLX_STRIP V a0, V a1, V a2, V a3, V b0, V b1, V b2, V b3, const StripStep *step, char *const *at, int64_t offset
#define MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3) \
  return reinterpret_cast<Run>(step[1].run)(a0, a1, a2, a3, b0, b1, b2, b3, step + 1, at, offset)

struct Four {
  const char* from;
  HWY_INLINE V operator[](int k) const { return load(from + 64 * k); }
};
HWY_INLINE Four slot(char* const* at, uint16_t number, int64_t offset) { return {at[number] + 2 * offset}; }

template <class Op, StripForm form>
void binary(MLX_STRIP) {
  const Four x = slot(at, step->first, offset);
  if constexpr (form == StripForm::memory) {
    const Four y = slot(at, step->second, offset);
    const V x0 = Op::of(x[0], y[0]), x1 = Op::of(x[1], y[1]), x2 = Op::of(x[2], y[2]), x3 = Op::of(x[3], y[3]);
    MLX_NEXT_STEP(x0, x1, x2, x3, b0, b1, b2, b3);
  } else if constexpr (form == StripForm::memory_a) {
    a0 = Op::of(x[0], a0), a1 = Op::of(x[1], a1), a2 = Op::of(x[2], a2), a3 = Op::of(x[3], a3);
  } else if constexpr (form == StripForm::b_a) {
    a0 = Op::of(b0, a0), a1 = Op::of(b1, a1), a2 = Op::of(b2, a2), a3 = Op::of(b3, a3);
  } else if constexpr (form == StripForm::a_memory) {
    a0 = Op::of(a0, x[0]), a1 = Op::of(a1, x[1]), a2 = Op::of(a2, x[2]), a3 = Op::of(a3, x[3]);
  } else if constexpr (form == StripForm::a_b) {
    a0 = Op::of(a0, b0), a1 = Op::of(a1, b1), a2 = Op::of(a2, b2), a3 = Op::of(a3, b3);
  } else {
    a0 = Op::of(a0, a0), a1 = Op::of(a1, a1), a2 = Op::of(a2, a2), a3 = Op::of(a3, a3);
  }
  MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
}

template <class Op, bool comes_first, StripForm form>
void with_row(MLX_STRIP) {
  uint16_t bits;
  std::memcpy(&bits, at[step->first], sizeof bits);
  const V y = all(bits);
  V x0 = a0, x1 = a1, x2 = a2, x3 = a3;
  if constexpr (form != StripForm::a_a) {
    const Four x = slot(at, step->second, offset);
    x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
  }
  if constexpr (comes_first) {
    x0 = Op::of(y, x0), x1 = Op::of(y, x1), x2 = Op::of(y, x2), x3 = Op::of(y, x3);
  } else {
    x0 = Op::of(x0, y), x1 = Op::of(x1, y), x2 = Op::of(x2, y), x3 = Op::of(x3, y);
  }
  MLX_NEXT_STEP(x0, x1, x2, x3, b0, b1, b2, b3);
}

template <class Op, StripForm form>
void unary(MLX_STRIP) {
  const Four x = slot(at, step->first, offset);
  if constexpr (form == StripForm::memory) {
    MLX_NEXT_STEP(Op::of(x[0]), Op::of(x[1]), Op::of(x[2]), Op::of(x[3]), b0, b1, b2, b3);
  } else {
    MLX_NEXT_STEP(Op::of(a0), Op::of(a1), Op::of(a2), Op::of(a3), b0, b1, b2, b3);
  }
}

template <bool of_bytes>
HWY_INLINE Mask condition(const char* memory, int64_t first) {
  if constexpr (of_bytes) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(memory + first));
    return _mm256_test_epi8_mask(bytes, bytes);
  } else {
    return mask_of(load(memory + 2 * first));
  }
}

template <SelectForm form, bool of_bytes>
void select(MLX_STRIP) {
  const char* memory = at[step->first];
  const uint16_t one_strip = step[1].second;
  const Four x = slot(at, step->second, one_strip & 1 ? 0 : offset);
  const Four y = slot(at, step[1].first, one_strip & 2 ? 0 : offset);
  ++step;
  const auto one = [&](V a, int k) {
    const Mask mask = form == SelectForm::condition_in_a ? mask_of(a) : condition<of_bytes>(memory, offset + k * lanes);
    const V first = form == SelectForm::first_in_a ? a : x[k], second = form == SelectForm::second_in_a ? a : y[k];
    return _mm512_mask_blend_ph(mask, second, first);
  };
  MLX_NEXT_STEP(one(a0, 0), one(a1, 1), one(a2, 2), one(a3, 3), b0, b1, b2, b3);
}

template <SelectForm form>
void share(MLX_STRIP) {
  const uint16_t one_strip = step[1].second;
  const Four g = slot(at, step->first, offset);
  const Four x = slot(at, step->second, one_strip & 1 ? 0 : offset);
  const Four y = slot(at, step[1].first, one_strip & 2 ? 0 : offset);
  ++step;
  const auto one = [&](V a, int k) {
    const V whole = form == SelectForm::condition_in_a ? a : g[k];
    const V first = form == SelectForm::first_in_a ? a : x[k], second = form == SelectForm::second_in_a ? a : y[k];
    const V half = _mm512_maskz_mul_ph(_mm512_cmp_ph_mask(first, second, _CMP_EQ_OQ), whole, all(0x3800));
    return _mm512_mask_blend_ph(_mm512_cmp_ph_mask(first, second, _CMP_GT_OQ), half, whole);
  };
  MLX_NEXT_STEP(one(a0, 0), one(a1, 1), one(a2, 2), one(a3, 3), b0, b1, b2, b3);
}

void keep(V a0, V a1, V a2, V a3, V, V, V, V, const StripStep* step, char* const* at, int64_t offset) {
  MLX_NEXT_STEP(a0, a1, a2, a3, a0, a1, a2, a3);
}

void store(MLX_STRIP) {
  char* to = at[step->first] + 2 * offset;
  _mm512_storeu_ph(to, a0);
  _mm512_storeu_ph(to + 64, a1);
  _mm512_storeu_ph(to + 128, a2);
  _mm512_storeu_ph(to + 192, a3);
  MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
}

void load_bools(V, V, V, V, V b0, V b1, V b2, V b3, const StripStep* step, char* const* at, int64_t offset) {
  const char* from = at[step->first];
  const auto one = [=](int64_t k) { return lanes_of(condition<true>(from, offset + k * lanes)); };
  MLX_NEXT_STEP(one(0), one(1), one(2), one(3), b0, b1, b2, b3);
}
void store_bools(MLX_STRIP) {
  char* to = at[step->first] + offset;
  const auto one = [=](V a, int k) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k * lanes), _mm256_maskz_set1_epi8(mask_of(a), 1));
  };
  one(a0, 0), one(a1, 1), one(a2, 2), one(a3, 3);
  MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
}

void end(V, V, V, V, V, V, V, V, const StripStep*, char* const*, int64_t) {}

#undef MLX_STRIP
#undef MLX_NEXT_STEP

void run(const StripStep* steps, char** at, const StripLines& lines) {
  const V none = _mm512_setzero_ph();
  for (StripWalk walk(lines, 4 * lanes, at); !walk.is_done(); walk.go_on()) {
    reinterpret_cast<Run>(steps->run)(none, none, none, none, none, none, none, none, steps, at, walk.offset());
  }
  _mm256_zeroupper();
}

StripFunction erased(Run f) { return reinterpret_cast<StripFunction>(f); }

template <class Op>
StripFunction of_two(StripForm form) {
  return with_form_of_two(form, [](auto form) { return erased(&binary<Op, form()>); });
}
template <class Op>
StripFunction of_one(StripForm form) {
  return with_form_of_one(form, [](auto form) { return erased(&unary<Op, form()>); });
}

// f of an operation of two operands; of other bodies none.
template <class F>
StripFunction with_two_operands(Body body, F f) {
  switch (body) {
    case Body::add: return f(Add());
    case Body::subtract: return f(Subtract());
    case Body::multiply: return f(Multiply());
    case Body::divide: return f(Divide());
    case Body::maximum: return f(Maximum());
    case Body::minimum: return f(Minimum());
    case Body::zero_times: return f(ZeroTimes());
    case Body::zero_divide: return f(ZeroDivide());
    case Body::equal: return f(Compare<_CMP_EQ_OQ>());
    case Body::not_equal: return f(Compare<_CMP_NEQ_UQ>());
    case Body::nan_equal: return f(NanEqual());
    case Body::less: return f(Compare<_CMP_LT_OQ>());
    case Body::less_equal: return f(Compare<_CMP_LE_OQ>());
    default: return nullptr;
  }
}

StripFunction find(Body body, StripForm form) {
  switch (body) {
    case Body::copy: return of_one<Same>(form);
    case Body::negative: return of_one<Negative>(form);
    case Body::abs: return of_one<Abs>(form);
    case Body::square: return of_one<Square>(form);
    case Body::sqrt: return of_one<Sqrt>(form);
    case Body::reciprocal: return of_one<Reciprocal>(form);
    default: return with_two_operands(body, [=]<class Op>(Op) { return of_two<Op>(form); });
  }
}
StripFunction find_row(Body body, bool comes_first, StripForm form) {
  return with_two_operands(body, [=]<class Op>(Op) {
    return with_form_of_one(form, [=](auto form) {
      return comes_first ? erased(&with_row<Op, true, form()>) : erased(&with_row<Op, false, form()>);
    });
  });
}
StripFunction find_quotient(StripForm form) { return find_row(Body::divide, false, form); }
StripFunction find_of_masks(Body body, StripForm form) {
  switch (body) {
    case Body::bitwise_and:
    case Body::logical_and: return of_two<And>(form);
    case Body::bitwise_or:
    case Body::logical_or: return of_two<Or>(form);
    case Body::bitwise_xor:
    case Body::logical_xor: return of_two<Xor>(form);
    case Body::bitwise_invert:
    case Body::logical_not: return of_one<Not>(form);
    case Body::copy: return of_one<OneOrZero>(form);
    default: return nullptr;
  }
}
StripFunction find_select(SelectForm form, bool of_bytes) {
  return with_form_of_select(
      form, of_bytes, [](auto form, auto of_bytes) { return erased(&select<form(), of_bytes()>); });
}

StripFunction find_share(SelectForm form) {
  return with_form_of_three(form, [](auto form) { return erased(&share<form()>); });
}

HWY_POP_ATTRIBUTES

void prepare_divisor(const void* value, StripDivisor& to) { std::memcpy(&to, value, sizeof(uint16_t)); }
void copy_pad(void* to, const void* from, int64_t n) {
  std::memcpy(to, from, static_cast<size_t>(n) * sizeof(uint16_t));
}
void empty_pad(const void* pad, void* to, int64_t n) { copy_pad(to, pad, n); }

StripFunction none(Body) { return nullptr; }
StripFunction no_load(Dtype) { return nullptr; }
StripFunction no_choice(Body, bool, SelectForm) { return nullptr; }
StripFunction no_fold(Reduction) { return nullptr; }

} // namespace

const StripTable* find_float16_strips() {
  static const StripTable table{4 * lanes, &find, &find_row, &prepare_divisor, &find_quotient, &none, &find_of_masks,
      &find_select, &no_choice, &find_share, &no_load, &no_load, &no_load, erased(&keep), nullptr, erased(&store),
      erased(&store), erased(&store_bools), erased(&load_bools), erased(&end), &no_fold, nullptr, nullptr, nullptr,
      &run, &copy_pad, &empty_pad};
  static const bool is_there = extensions().float16;
  return is_there ? &table : nullptr;
}

#else

const StripTable* find_float16_strips() { return nullptr; }

#endif

} // namespace mlx::core::cpu
