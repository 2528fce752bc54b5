// Steps that are instructions for nearly all numbers, and a call of their function for the others: code makes a detour
// then, and comes back.
#pragma once

#include <algorithm>
#include <bit>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "mlx_core/cpu/huge_angles.h"
#include "mlx_core/cpu/native_maps.h"
#include "mlx_core/cpu/small_product.h"

namespace mlx::core::cpu::x86 {

// Vectors that code reads; those alike are one.
class Tables {
 public:
  const uint32_t* of(const uint32_t* elements) {
    for (const std::unique_ptr<Table>& known : all_) {
      if (std::equal(known->elements, known->elements + lanes, elements)) {
        return known->elements;
      }
    }
    std::copy_n(elements, lanes, all_.emplace_back(std::make_unique<Table>())->elements);
    return all_.back()->elements;
  }
  const uint32_t* of(uint32_t element) {
    uint32_t elements[lanes];
    std::fill_n(elements, lanes, element);
    return of(elements);
  }

 private:
  static constexpr size_t lanes = 16;
  struct alignas(64) Table {
    uint32_t elements[lanes];
  };
  std::vector<std::unique_ptr<Table>> all_;
};

// Whether it is a product of matrices that fit into a vector each (tiny_product.cpp).
inline bool is_vector_product(const Step& step) {
  constexpr int64_t most = most_bytes / 4, most_terms = 8; // of which each needs two registers
  const SmallProduct* p = step.product;
  return p && !step.moves && p->tiny.way && p->dtype == float32 && p->batch == 1 && p->tiny.terms <= most_terms &&
         std::max({p->tiny.span_a, p->tiny.span_b, p->m * p->n}) <= most && p->tiny.lanes == most;
}

// Whether it is a sine or cosine of a vector's float32 numbers.
inline bool is_angle_function(const Step& step) {
  return (step.map.body == Body::sin || step.map.body == Body::cos) && step.map.operands == 1 && !step.moves &&
         step.map.from == float32 && step.count * 4 <= most_bytes;
}

class NativeDetours : protected NativeMaps<NativeRegisters> {
 protected:
  NativeDetours(const char* memory, Width width, Tables& tables)
      : NativeMaps<NativeRegisters>(memory, width), tables_(tables) {}

  // Sums of what is looked up in both operands, as tiny() in tiny_product.cpp has them. Where one of its numbers may
  // have been subnormal, or terms of zero are to be left out of a NaN, the function does it once more.
  void emit_product(const Step& step) {
    const SmallProduct& p = *step.product;
    const TinyProduct& tiny = p.tiny;
    int a = load(step.in[0], tiny.span_a * 4), b = load(step.in[1], tiny.span_b * 4);
    int below = load_table(tables_.of(~uint32_t{0})); // -1
    int least = take(), watched = take(), x = take(), y = take(), sum = take();
    code_.vector(copy_32, width_, least, 0, below);
    // The smallest magnitude but zero, shifted by one.
    auto watch = [&](int value, Masked mask) {
      code_.vector(add_32, width_, watched, value, value);
      code_.vector(add_32, width_, watched, watched, below);
      code_.vector(minimum_unsigned_32, width_, least, least, watched, mask);
    };
    for (auto [number, span] : {std::pair(a, tiny.span_a), std::pair(b, tiny.span_b)}) {
      set_mask(1, (int64_t{1} << span) - 1);
      watch(number, {1});
    }
    code_.vector(xor_bits, width_, sum, sum, sum);
    for (int64_t term = 0; term < tiny.terms; ++term) {
      const uint32_t* places = tiny.places.data() + term * 2 * tiny.lanes;
      code_.vector(look_up_32, width_, x, load_table(tables_.of(places)), a);
      code_.vector(look_up_32, width_, y, load_table(tables_.of(places + tiny.lanes)), b);
      code_.vector(multiply_add_32, width_, sum, x, y);
      watch(sum, {});
    }
    constexpr uint32_t least_normal = uint32_t{2} << 23; // shifted by one
    code_.vector(compare_unsigned, width_, 1, least, load_table(tables_.of(least_normal)), {}, less & 7);
    if (p.zero_terms) {
      code_.vector(of_float(false, compare_op), width_, 2, sum, sum, {}, unordered);
    }
    store(step.out, sum, p.m * p.n * 4, width_);
    detour_if_any(1, p.zero_terms ? 2 : 1, step);
  }

  // What sin_reduced() and what is around it (trigonometric-inl.h) come to where the multiple of pi that is subtracted
  // is none, for sines, and one half for cosines: the operations that are left have the same results.
  void emit_angle_function(const Step& step) {
    bool is_sine = step.map.body == Body::sin;
    auto all = [&](float value) { return load_table(tables_.of(std::bit_cast<uint32_t>(value))); };
    auto op = [&](uint8_t opcode, int to, int a, int b) { code_.vector(of_float(false, opcode), width_, to, a, b); };
    constexpr Instruction multiply_then_add{Map::m0f38, Prefix::p66, false, 0xa8}, // by the first operand, the second
        subtract_product{Map::m0f38, Prefix::p66, false, 0xbc};                    // of both operands
    int x = load(step.in[0], step.count * 4), y = take(), low = -1;
    set_mask(2, (int64_t{1} << step.count) - 1);
    code_.vector(and_bits, width_, y, x, load_table(tables_.of(uint32_t{0x7fffffff})), {2, true});
    code_.vector(of_float(false, compare_op), width_, 1, y, all(is_sine ? 1.5f : 3.0f), {2}, not_less_equal);
    int r = y;
    if (!is_sine) {
      int a = take(), u = take();
      r = take(), low = take();
      op(subtract_op, a, y, all(0.5f * pi_pieces[0]));
      op(subtract_op, u, a, all(0.5f * pi_pieces[1]));
      op(subtract_op, a, a, u);
      op(subtract_op, a, a, all(0.5f * pi_pieces[1]));
      op(subtract_op, r, u, all(0.5f * pi_pieces[2]));
      op(subtract_op, low, u, r);
      op(subtract_op, low, low, all(0.5f * pi_pieces[2]));
      op(add_op, low, a, low);
      op(subtract_op, low, low, all(0.5f * pi_pieces[3]));
    }
    int z = take(), p = take();
    op(multiply_op, z, r, r);
    size_t power = std::size(sine_terms) - 1;
    code_.vector(copy_32, width_, p, 0, all(sine_terms[power]));
    while (power-- > 0) {
      code_.vector(multiply_then_add, width_, p, z, all(sine_terms[power]));
    }
    op(multiply_op, p, p, z);
    if (is_sine) {
      op(multiply_op, p, p, r);
    } else {
      int slope = take();
      code_.vector(copy_32, width_, slope, 0, all(1.0f));
      code_.vector(subtract_product, width_, slope, z, all(0.5f));
      op(multiply_op, low, low, slope);
      code_.vector(multiply_then_add, width_, p, r, low);
    }
    op(add_op, p, r, p);
    int sign = load_table(tables_.of(uint32_t{1} << 31));
    if (is_sine) { // no larger than 1, and of x' sign
      code_.vector(and_bits, width_, z, x, sign);
      sign = z;
    } else {
      op(minimum_op, p, p, all(1.0f));
      op(maximum_op, p, p, all(-1.0f));
    }
    code_.vector(xor_bits, width_, p, p, sign);
    store(step.out, p, step.count * 4, width_);
    detour_if_any(1, 1, step);
  }

  struct Detour { // to the call of a step's function, and back
    size_t jump, back;
    const Step* step;
    std::vector<Cached> cached;
  };
  std::vector<Detour> detours_; // rare, and behind the end

 private:
  // Where a bit of one of two mask registers is set.
  void detour_if_any(int a, int b, const Step& step) {
    code_.bytes({0xc5, 0xf8, 0x98, 0xc0 | a << 3 | b}); // kortestw
    size_t jump = code_.jump({0x0f, 0x85});             // jne
    detours_.push_back({jump, code_.size(), &step, cached_});
  }

  Tables& tables_;
};

} // namespace mlx::core::cpu::x86
