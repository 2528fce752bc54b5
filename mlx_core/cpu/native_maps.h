// Elementwise steps as machine code: the instructions are those of the kernels. Where operands come from and results go
// is for the class of registers to say (native_registers.h, native_strips.cpp).
#pragma once

#include <algorithm>

#include "mlx_core/cpu/native_registers.h"
#include "mlx_core/cpu/steps.h"

namespace mlx::core::cpu::x86 {

constexpr int64_t most_bytes = 64, most_bools = 16;

inline bool is_number(Dtype dtype) { return dtype == float32 || dtype == float64 || dtype == int32 || dtype == uint32; }

// Whether an elementwise step is instructions.
inline bool is_instructions(const Step& step) {
  Dtype from = step.map.from;
  bool is_float = from == float32 || from == float64, is_int = from == int32 || from == uint32;
  bool has_bools = from == bool_ || step.map.to == bool_;
  if (step.map.operands == 0 || step.moves || (has_bools && step.count > most_bools) ||
      step.count * std::max(from.size(), step.map.to.size()) > most_bytes) {
    return false;
  }
  switch (step.map.body) {
    case Body::add:
    case Body::subtract:
    case Body::multiply:
    case Body::maximum:
    case Body::minimum:
    case Body::less:
    case Body::less_equal:
    case Body::greater:
    case Body::greater_equal:
    case Body::equal:
    case Body::not_equal: return is_number(from);
    case Body::divide:
    case Body::negative:
    case Body::abs:
    case Body::square:
    case Body::sqrt:
    case Body::rsqrt:
    case Body::reciprocal:
    case Body::gap:
    case Body::zero_times:
    case Body::zero_divide:
    case Body::share: return is_float;
    case Body::logical_and:
    case Body::logical_or:
    case Body::logical_xor:
    case Body::logical_not: return from == bool_;
    case Body::bitwise_and:
    case Body::bitwise_or:
    case Body::bitwise_xor: return is_int || from == bool_;
    case Body::select: return is_number(from) || from == bool_;
    case Body::left_shift:
    case Body::right_shift: return is_int;
    case Body::floor_divide:
    case Body::remainder: return is_int && step.count * 8 <= most_bytes;
    case Body::copy: {
      bool to_bool = step.map.to == bool_ && from.size() == 4 && is_number(from);
      bool of_ints = is_int && (step.map.to == int32 || step.map.to == uint32);
      bool of_bool = from == bool_ && is_number(step.map.to);
      return (from == step.map.to && (is_number(from) || from == bool_)) || of_bool || to_bool || of_ints ||
             (from == int32 && step.map.to == float32) || (from == float32 && step.map.to == int32);
    }
    default: return false;
  }
}

// Of bytes, so many to a vector: 8-bit integers and bools.
inline bool is_of_bytes(Dtype dtype) { return dtype == uint8 || dtype == int8 || dtype == bool_; }
inline bool is_byte_instructions(const StepMap& map) {
  if (!is_of_bytes(map.from) || !is_of_bytes(map.to)) {
    return false;
  }
  switch (map.body) {
    case Body::add:
    case Body::subtract:
    case Body::maximum:
    case Body::minimum: return map.from != bool_;
    case Body::less:
    case Body::less_equal:
    case Body::greater:
    case Body::greater_equal:
    case Body::equal:
    case Body::not_equal:
    case Body::bitwise_and:
    case Body::bitwise_or:
    case Body::bitwise_xor:
    case Body::bitwise_invert:
    case Body::select: return true;
    case Body::logical_and:
    case Body::logical_or:
    case Body::logical_xor:
    case Body::logical_not: return map.from == bool_;
    case Body::copy: return map.from == map.to;
    default: return false;
  }
}

template <class Registers>
class NativeMaps : protected Registers {
 protected:
  using Registers::code_, Registers::width_, Registers::take, Registers::load, Registers::store;
  using Registers::Registers;

  void emit_map(const Step& step) {
    Dtype from = step.map.from;
    bool is_double = from == float64, is_float = is_double || from == float32;
    int64_t size = from.size(), bytes = step.count * size, results = step.count * step.map.to.size();
    Width width = step.map.to == bool_ ? Width::x : width_;
    bool chooses = step.map.body == Body::select;
    int x[3] = {};
    for (int k = 0; k < step.map.operands; ++k) {
      x[k] = load(step.in[k], chooses && k == 0 ? step.count : bytes);
    }
    auto result = [&](int number) { store(step.out, number, results, width); };
    auto op = [&](Instruction what, int a, int b, Masked mask = {}) {
      int to = take();
      code_.vector(what, width_, to, a, b, mask);
      return to;
    };
    auto floats = [&](uint8_t opcode, int a, int b) { return op(of_float(is_double, opcode), a, b); };
    auto compare = [&](int mask, Predicate predicate, int a, int b) {
      if (is_float) {
        code_.vector(of_float(is_double, compare_op), width_, mask, a, b, {}, predicate);
      } else { // the same numbers for the order of integers, in their lowest bits
        bool is_signed = from == int32;
        code_.vector(is_signed ? compare_int : compare_unsigned, width_, mask, a, b, {}, predicate & 7);
      }
    };
    auto bools = [&](int mask) {
      int to = take();
      code_.vector(bytes_of_mask, Width::x, to, 0, mask);
      code_.vector(abs_8, Width::x, to, 0, to);
      result(to);
    };
    auto with = [&](Instruction what32, int a, int64_t constant32, uint64_t constant64) {
      int to = constant(is_double, constant32, constant64);
      code_.vector(what32, width_, to, a, to);
      return to;
    };
    auto one = [&] { return constant(is_double, 0x3f800000, 0x3ff0000000000000); };
    constexpr Instruction subtract_int{Map::m0f, Prefix::p66, false, 0xfa},
        multiply_int{Map::m0f38, Prefix::p66, false, 0x40};
    switch (step.map.body) {
      case Body::add: return result(is_float ? floats(add_op, x[0], x[1]) : op(add_32, x[0], x[1]));
      case Body::subtract: return result(is_float ? floats(subtract_op, x[0], x[1]) : op(subtract_int, x[0], x[1]));
      case Body::multiply: return result(is_float ? floats(multiply_op, x[0], x[1]) : op(multiply_int, x[0], x[1]));
      case Body::divide: return result(floats(divide_op, x[0], x[1]));
      case Body::square: return result(floats(multiply_op, x[0], x[0]));
      case Body::sqrt: return result(floats(root_op, 0, x[0]));
      case Body::rsqrt: return result(floats(divide_op, one(), floats(root_op, 0, x[0])));
      case Body::reciprocal: return result(floats(divide_op, one(), x[0]));
      case Body::negative: return result(with(xor_bits, x[0], 0x80000000, uint64_t{1} << 63));
      case Body::abs: return result(with(and_bits, x[0], 0x7fffffff, ~(uint64_t{1} << 63)));
      case Body::maximum:
      case Body::minimum: {
        bool largest = step.map.body == Body::maximum;
        if (!is_float) {
          auto opcode = static_cast<uint8_t>((largest ? 0x3d : 0x39) + (from == uint32 ? 2 : 0));
          return result(op({Map::m0f38, Prefix::p66, false, opcode}, x[0], x[1]));
        }
        int to = floats(largest ? maximum_op : minimum_op, x[0], x[1]);
        compare(1, unordered, x[0], x[0]);
        code_.vector(is_double ? copy_64 : copy_32, width_, to, 0, x[0], {1});
        return result(to);
      }
      case Body::gap: {
        int to = floats(subtract_op, x[0], x[1]);
        compare(1, equal, x[0], x[1]);
        return clear(to, is_double), result(to);
      }
      case Body::zero_times:
      case Body::zero_divide: {
        bool divides = step.map.body == Body::zero_divide;
        int to = floats(divides ? divide_op : multiply_op, x[0], x[1]), zero = op(xor_bits, to, to);
        compare(1, equal, x[0], zero);
        int size_of_b = divides ? with(and_bits, x[1], 0x7fffffff, ~(uint64_t{1} << 63)) : x[1];
        compare(2, equal, size_of_b, divides ? constant(is_double, 0x7f800000, uint64_t{0x7ff} << 52) : zero);
        code_.bytes({0xc5, 0xf4, 0x45, 0xca}); // korw k1, k1, k2
        return clear(to, is_double), result(to);
      }
      case Body::share: {
        int half = constant(is_double, 0x3f000000, 0x3fe0000000000000);
        compare(1, equal, x[1], x[2]);
        int to = op(of_float(is_double, multiply_op), x[0], half, {1, true});
        compare(1, greater, x[1], x[2]);
        code_.vector(is_double ? copy_64 : copy_32, width_, to, 0, x[0], {1});
        return result(to);
      }
      case Body::less: return compare(1, less, x[0], x[1]), bools(1);
      case Body::less_equal: return compare(1, less_equal, x[0], x[1]), bools(1);
      case Body::greater: return compare(1, less, x[1], x[0]), bools(1);
      case Body::greater_equal: return compare(1, less_equal, x[1], x[0]), bools(1);
      case Body::equal: return compare(1, equal, x[0], x[1]), bools(1);
      case Body::not_equal: return compare(1, not_equal, x[0], x[1]), bools(1);
      case Body::logical_and:
      case Body::bitwise_and: return result(op(and_bits, x[0], x[1]));
      case Body::logical_or:
      case Body::bitwise_or: return result(op(or_bits, x[0], x[1]));
      case Body::logical_xor:
      case Body::bitwise_xor: return result(op(xor_bits, x[0], x[1]));
      case Body::logical_not: return result(with(xor_bits, x[0], 0x01010101, 0));
      case Body::left_shift: return result(op({Map::m0f38, Prefix::p66, false, 0x47}, x[0], x[1]));
      case Body::right_shift: { // of signed numbers what is shifted in is the sign
        uint8_t opcode = from == int32 ? 0x46 : 0x45;
        return result(op({Map::m0f38, Prefix::p66, false, opcode}, x[0], x[1]));
      }
      case Body::floor_divide: return result(floor_quotient(step, x[0], x[1]));
      case Body::remainder: {
        int times = op(multiply_int, floor_quotient(step, x[0], x[1]), x[1]);
        return result(op(subtract_int, x[0], times, {1, true}));
      }
      case Body::select: {
        code_.vector(test_8, Width::x, 1, x[0], x[0]);
        return result(op(size == 1 ? blend_8 : size == 4 ? blend_32 : blend_64, x[2], x[1], {1}));
      }
      case Body::copy: return emit_cast(step, x[0], result, bools);
      default: return;
    }
  }

  // A step for which is_byte_instructions() holds, of 64 bytes.
  void emit_bytes(const Step& step) {
    constexpr Width all = Width::z;
    const bool is_signed = step.map.from == int8;
    int x[3] = {};
    for (int k = 0; k < step.map.operands; ++k) {
      x[k] = load(step.in[k], most_bytes);
    }
    auto result = [&](int number) { store(step.out, number, most_bytes, all); };
    auto op = [&](Instruction what, int a, int b, Masked mask = {}) {
      int to = take();
      code_.vector(what, all, to, a, b, mask);
      return to;
    };
    auto plain = [&](uint8_t opcode) { result(op({Map::m0f, Prefix::p66, false, opcode}, x[0], x[1])); };
    auto compare = [&](Predicate predicate, int a, int b) {
      const uint8_t opcode = is_signed ? 0x3f : 0x3e;
      code_.vector({Map::m0f3a, Prefix::p66, false, opcode}, all, 1, a, b, {}, predicate & 7);
      int to = take();
      code_.vector(bytes_of_mask, all, to, 0, 1);
      code_.vector(abs_8, all, to, 0, to);
      result(to);
    };
    auto turned = [&](int64_t bits) {
      int to = constant(false, bits, 0);
      code_.vector(xor_bits, all, to, x[0], to);
      result(to);
    };
    switch (step.map.body) {
      case Body::add: return plain(0xfc);
      case Body::subtract: return plain(0xf8);
      case Body::maximum:
        return is_signed ? result(op({Map::m0f38, Prefix::p66, false, 0x3c}, x[0], x[1])) : plain(0xde);
      case Body::minimum:
        return is_signed ? result(op({Map::m0f38, Prefix::p66, false, 0x38}, x[0], x[1])) : plain(0xda);
      case Body::less: return compare(less, x[0], x[1]);
      case Body::less_equal: return compare(less_equal, x[0], x[1]);
      case Body::greater: return compare(less, x[1], x[0]);
      case Body::greater_equal: return compare(less_equal, x[1], x[0]);
      case Body::equal: return compare(equal, x[0], x[1]);
      case Body::not_equal: return compare(not_equal, x[0], x[1]);
      case Body::logical_and:
      case Body::bitwise_and: return plain(and_bits.opcode);
      case Body::logical_or:
      case Body::bitwise_or: return plain(or_bits.opcode);
      case Body::logical_xor:
      case Body::bitwise_xor: return plain(xor_bits.opcode);
      case Body::logical_not: return turned(0x01010101);
      case Body::bitwise_invert: return turned(step.map.from == bool_ ? 0x01010101 : 0xffffffff);
      case Body::select: code_.vector(test_8, all, 1, x[0], x[0]); return result(op(blend_8, x[2], x[1], {1}));
      case Body::copy: return result(op(copy_32, 0, x[0]));
      default: return;
    }
  }

  // Of integers, rounded down, by float64: the quotient of numbers of 32 bits is nearer to a whole one only where it is
  // one. Zero where the divisor is: mask register 1 says where it is not.
  int floor_quotient(const Step& step, int a, int b) {
    constexpr Instruction of_signed{Map::m0f, Prefix::pf3, false, 0xe6},
        of_unsigned{Map::m0f, Prefix::pf3, false, 0x7a}, to_signed{Map::m0f, Prefix::p66, true, 0xe6},
        to_unsigned{Map::m0f, Prefix::none, true, 0x78}, round_64{Map::m0f3a, Prefix::p66, true, 0x09};
    constexpr int down = 9; // and no exceptions
    bool is_signed = step.map.from == int32;
    Width width = step.count <= 2 ? Width::x : step.count <= 4 ? Width::y : Width::z;
    int dividend = take(), divisor = take(), quotient = take();
    code_.vector(is_signed ? of_signed : of_unsigned, width, dividend, 0, a);
    code_.vector(is_signed ? of_signed : of_unsigned, width, divisor, 0, b);
    code_.vector(of_float(true, divide_op), width, quotient, dividend, divisor);
    code_.vector(round_64, width, quotient, 0, quotient, {}, down);
    code_.vector(test_32, width_, 1, b, b);
    code_.vector(is_signed ? to_signed : to_unsigned, width, quotient, 0, quotient, {1, true});
    return quotient;
  }

  template <class Result, class Bools>
  void emit_cast(const Step& step, int x, Result result, Bools bools) {
    if (step.map.from == bool_ && step.map.to != bool_) {
      code_.vector(test_8, Width::x, 1, x, x);
      bool is_double = step.map.to == float64;
      int64_t one = step.map.to == float32 ? 0x3f800000 : 1;
      return result(constant(is_double, one, 0x3ff0000000000000, {1, true}));
    }
    if (step.map.to == bool_ && step.map.from != bool_) {
      if (step.map.from == float32) {
        int zero = take();
        code_.vector(xor_bits, width_, zero, zero, zero);
        code_.vector(of_float(false, compare_op), width_, 1, x, zero, {}, not_equal);
      } else {
        code_.vector(test_32, width_, 1, x, x);
      }
      return bools(1);
    }
    int to = take();
    bool of_ints = step.map.from != float32, to_ints = step.map.to != float32;
    if (!of_ints && to_ints) { // truncated; what is too large is the largest there is, NaN zero
      code_.vector(to_int, width_, to, 0, x);
      int limit = constant(false, 0x4f000000, 0);
      code_.vector(of_float(false, compare_op), width_, 1, limit, x, {}, less_equal);
      put_constant(to, false, 0x7fffffff, 0, {1});
      code_.vector(of_float(false, compare_op), width_, 1, x, x, {}, unordered);
      clear(to, false);
    } else {
      code_.vector(step.map.from == int32 && !to_ints ? to_float : copy_32, width_, to, 0, x);
    }
    result(to);
  }

  // Zero where mask register 1 is set.
  void clear(int number, bool is_double) {
    Instruction what = xor_bits;
    what.w = is_double;
    code_.vector(what, width_, number, number, number, {1});
  }

  // In each element; where the mask says so.
  int constant(bool is_double, int64_t bits32, uint64_t bits64, Masked mask = {}) {
    int to = take();
    put_constant(to, is_double, bits32, bits64, mask);
    return to;
  }
  void put_constant(int to, bool is_double, int64_t bits32, uint64_t bits64, Masked mask) {
    if (is_double) {
      code_.bytes({0x48, 0xb8}); // mov rax, bits
      code_.word64(reinterpret_cast<const void*>(bits64));
    } else {
      code_.bytes({0xb8}); // mov eax, bits
      code_.word32(bits32);
    }
    code_.vector(is_double ? spread_gpr_64 : spread_gpr_32, width_, to, 0, 0, mask);
  }
};

} // namespace mlx::core::cpu::x86
