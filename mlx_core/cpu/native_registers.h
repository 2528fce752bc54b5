// What machine code of a loop (native_loop.cpp) has in registers of what it has in memory.
#pragma once

#include <algorithm>
#include <bit>
#include <vector>

#include "mlx_core/cpu/x86_code.h"

namespace mlx::core::cpu {

namespace x86 {

constexpr Instruction load_any{Map::m0f, Prefix::none, false, 0x10}, store_any{Map::m0f, Prefix::none, false, 0x11};
constexpr Instruction load_4{Map::m0f, Prefix::pf3, false, 0x10}, store_4{Map::m0f, Prefix::pf3, false, 0x11};
constexpr Instruction load_8{Map::m0f, Prefix::pf2, true, 0x10}, store_8{Map::m0f, Prefix::pf2, true, 0x11};
constexpr Instruction load_bytes{Map::m0f, Prefix::pf2, false, 0x6f}, store_bytes{Map::m0f, Prefix::pf2, false, 0x7f};
constexpr Instruction copy_32{Map::m0f, Prefix::p66, false, 0x6f}, copy_64{Map::m0f, Prefix::p66, true, 0x6f};
constexpr Instruction rotate_32{Map::m0f3a, Prefix::p66, false, 0x03};
constexpr Instruction spread_32{Map::m0f38, Prefix::p66, false, 0x58},
    spread_64{Map::m0f38, Prefix::p66, true, 0x59}; // the first element of a register
constexpr Instruction spread_gpr_32{Map::m0f38, Prefix::p66, false, 0x7c},
    spread_gpr_64{Map::m0f38, Prefix::p66, true, 0x7c};
constexpr Instruction and_bits{Map::m0f, Prefix::p66, false, 0xdb}, or_bits{Map::m0f, Prefix::p66, false, 0xeb},
    xor_bits{Map::m0f, Prefix::p66, false, 0xef};
constexpr Instruction test_8{Map::m0f38, Prefix::p66, false, 0x26}, test_32{Map::m0f38, Prefix::p66, false, 0x27};
constexpr Instruction bytes_of_mask{Map::m0f38, Prefix::pf3, false, 0x28}, abs_8{Map::m0f38, Prefix::p66, false, 0x1c};
constexpr Instruction blend_8{Map::m0f38, Prefix::p66, false, 0x66}, blend_32{Map::m0f38, Prefix::p66, false, 0x64},
    blend_64{Map::m0f38, Prefix::p66, true, 0x64}; // the second operand where the mask is set
constexpr Instruction to_float{Map::m0f, Prefix::none, false, 0x5b}, to_int{Map::m0f, Prefix::pf3, false, 0x5b};
constexpr Instruction add_32{Map::m0f, Prefix::p66, false, 0xfe},
    minimum_unsigned_32{Map::m0f38, Prefix::p66, false, 0x3b};
constexpr Instruction look_up_32{Map::m0f38, Prefix::p66, false, 0x16}; // at places in the first operand
constexpr Instruction multiply_add_32{Map::m0f38, Prefix::p66, false, 0xb8};
constexpr Instruction compare_int{Map::m0f3a, Prefix::p66, false, 0x1f},
    compare_unsigned{Map::m0f3a, Prefix::p66, false, 0x1e};

// The same of float32 and of float64.
constexpr Instruction of_float(bool is_double, uint8_t opcode) {
  return {Map::m0f, is_double ? Prefix::p66 : Prefix::none, is_double, opcode};
}
constexpr uint8_t add_op = 0x58, multiply_op = 0x59, subtract_op = 0x5c, divide_op = 0x5e, minimum_op = 0x5d,
                  maximum_op = 0x5f, root_op = 0x51, compare_op = 0xc2;
enum Predicate : uint8_t {
  equal = 0x00,
  unordered = 0x03,
  not_equal = 0x04,
  less = 0x11,
  less_equal = 0x12,
  not_less_equal = 0x16, // or no number
  greater = 0x1e
};

} // namespace x86

// Emits loads, stores and copies. Memory always has what a register has: registers only save reading it.
class NativeRegisters {
 protected:
  using Memory = x86::Memory;
  using Width = x86::Width;

  // `memory`: what is at offset 0 from rbx. `width`: of vectors that are no bools.
  NativeRegisters(const char* memory, Width width) : width_(width), memory_(memory) {}

  struct Cached { // what a register has of memory, from its first element on
    const char* place;
    int64_t bytes;
    int number; // of the register
    int64_t used;
  };

  Memory at(const void* place) const {
    return {x86::Base::rbx, static_cast<int32_t>(static_cast<const char*>(place) - memory_)};
  }

  // A register that no operand of this step is in.
  int take() {
    uint32_t taken = busy_;
    for (const Cached& c : cached_) {
      taken |= uint32_t{1} << c.number;
    }
    int number = std::countr_one(taken);
    if (number == registers) {
      auto oldest = cached_.end();
      for (auto c = cached_.begin(); c != cached_.end(); ++c) {
        if (!(busy_ >> c->number & 1) && (oldest == cached_.end() || c->used < oldest->used)) {
          oldest = c;
        }
      }
      number = oldest->number;
      cached_.erase(oldest);
    }
    keep(number);
    return number;
  }
  // Until the end of the step.
  void keep(int number) { busy_ |= uint32_t{1} << number; }

  void forget(const char* place, int64_t bytes) {
    std::erase_if(cached_, [=](const Cached& c) { return c.place < place + bytes && place < c.place + c.bytes; });
  }
  void note(const void* place, int64_t bytes, int number) {
    cached_.push_back({static_cast<const char*>(place), bytes, number, ++clock_});
  }

  // So many bytes from there on, in a register.
  int load(const void* from, int64_t bytes) {
    const auto* place = static_cast<const char*>(from);
    for (Cached& c : cached_) {
      int64_t offset = place - c.place;
      if (offset < 0 || offset % 4 != 0 || offset + bytes > c.bytes) {
        continue;
      }
      c.used = ++clock_;
      keep(c.number);
      if (offset == 0) {
        return c.number;
      }
      int source = c.number;
      int64_t rest = c.bytes - offset;
      int to = take();
      code_.vector(x86::rotate_32, width_, to, source, source, {}, static_cast<int>(offset / 4));
      note(place, rest, to);
      return to;
    }
    int to = take();
    code_.vector(x86::load_any, width_, to, 0, at(place));
    note(place, bytes, to);
    return to;
  }

  // What never changes and lies anywhere, in the elements of a vector. Uses rax.
  int load_table(const uint32_t* table) {
    for (Cached& c : cached_) {
      if (c.place == reinterpret_cast<const char*>(table)) {
        c.used = ++clock_;
        keep(c.number);
        return c.number;
      }
    }
    int to = take();
    read_table(to, table);
    note(table, x86::bytes_of(width_), to);
    return to;
  }
  // After a function was called: all that registers have of memory, which has it still.
  void reload(const std::vector<Cached>& all) {
    for (const Cached& c : all) {
      auto distance = c.place - memory_;
      if (distance >= 0 && distance < (int64_t{1} << 30)) {
        code_.vector(x86::load_any, width_, c.number, 0, at(c.place));
      } else {
        read_table(c.number, c.place);
      }
    }
  }

  // A result, with what its register has beyond it: places go on for a vector.
  void store(void* to, int number, int64_t bytes, Width width) {
    code_.vector(x86::store_any, width, number, 0, at(to));
    forget(static_cast<const char*>(to), x86::bytes_of(width));
    note(to, bytes, number);
  }

  // Exactly so many bytes.
  void move_exactly(bool stores, int number, Memory memory, int64_t bytes) {
    if (bytes == 4 || bytes == 8) {
      x86::Instruction one = bytes == 4 ? (stores ? x86::store_4 : x86::load_4) : (stores ? x86::store_8 : x86::load_8);
      code_.vector(one, Width::x, number, 0, memory);
    } else if (bytes == 16 || bytes == 32 || bytes == 64) {
      Width width = bytes == 16 ? Width::x : bytes == 32 ? Width::y : Width::z;
      code_.vector(stores ? x86::store_any : x86::load_any, width, number, 0, memory);
    } else if (bytes % 4 == 0) {
      code_.vector(stores ? x86::store_any : x86::load_any, width_, number, 0, memory, {2, !stores});
    } else {
      code_.vector(stores ? x86::store_bytes : x86::load_bytes, Width::x, number, 0, memory, {2, !stores});
    }
  }
  // The mask register that move_exactly looks at. Uses rax.
  void mask_for(int64_t bytes) {
    if (bytes != 4 && bytes != 8 && bytes != 16 && bytes != 32 && bytes != 64) {
      set_mask(2, (1 << (bytes % 4 == 0 ? bytes / 4 : bytes)) - 1);
    }
  }
  void set_mask(int number, int64_t bits) {
    code_.bytes({0xb8}); // mov eax, bits
    code_.word32(bits);
    code_.bytes({0xc5, 0xf8, 0x92, 0xc0 | number << 3}); // kmovw
  }

  x86::Code code_;
  Width width_;
  std::vector<Cached> cached_;
  uint32_t busy_ = 0; // registers of the step at hand, a bit each

 private:
  void read_table(int to, const void* table) {
    code_.bytes({0x48, 0xb8}); // mov rax, table
    code_.word64(table);
    code_.vector(x86::load_any, width_, to, 0, Memory{x86::Base::rax, 0});
  }

  static constexpr int registers = 32;
  const char* memory_;
  int64_t clock_ = 0;
};

} // namespace mlx::core::cpu
