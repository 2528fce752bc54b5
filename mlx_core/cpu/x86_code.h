// Machine code for x86-64 with AVX-512: an assembler of the few instructions that native_loop.cpp and native_strips.cpp
// need, and memory to run them from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mlx::core::cpu::x86 {

// Encodings as in Intel's manual, volume 2: opcode map, prefix, W, opcode.
enum class Map : uint8_t { m0f = 1, m0f38 = 2, m0f3a = 3 };
enum class Prefix : uint8_t { none, p66, pf3, pf2 };
struct Instruction {
  Map map;
  Prefix prefix;
  bool w; // elements of 64 bits
  uint8_t opcode;
};
enum class Width : uint8_t { x, y, z }; // of 16, 32, 64 bytes
constexpr int64_t bytes_of(Width width) { return int64_t{16} << static_cast<int>(width); }

// The numbers of registers. All but rsp and r12 are bases without an index.
enum class Base : uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };
struct Memory {
  Base base;
  int32_t offset;
  int index_shift = -1; // rsi, shifted by so many bits, is added; or nothing
};
struct Masked {
  int number = 0; // of the mask register; 0: none
  bool zeroes = false;
};

class Code {
 public:
  static constexpr int no_immediate = -1;
  // destination, first source (0 where an instruction has none), second source: a register or memory.
  void vector(Instruction what, Width width, int to, int a, int b, Masked mask = {}, int immediate = no_immediate);
  void vector(Instruction what, Width width, int to, int a, Memory b, Masked mask = {}, int immediate = no_immediate);

  void bytes(std::initializer_list<int> all);
  void word32(int64_t value);
  void word64(const void* value);

  size_t size() const { return code_.size(); }
  const uint8_t* data() const { return code_.data(); }
  // A jump whose distance, of four bytes, is known later: what is in front of the place returned.
  size_t jump(std::initializer_list<int> opcode);
  void land(size_t jump, size_t at);

 private:
  void prefix(Instruction what, Width width, int to, int a, int high_of_b, Masked mask);
  std::vector<uint8_t> code_;
};

// Pages that hold code, and may be run but not written.
class Pages {
 public:
  explicit Pages(const Code& code);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  const void* begin() const { return memory_; } // null where the system does not allow it

 private:
  void* memory_ = nullptr;
  size_t size_ = 0;
};

} // namespace mlx::core::cpu::x86
