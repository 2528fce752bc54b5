// Encoding instructions of x86-64.
#include "mlx_core/cpu/x86_code.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace mlx::core::cpu::x86 {

// The four bytes of EVEX. Bits of register numbers stand there inverted.
void Code::prefix(Instruction what, Width width, int to, int a, int high_of_b, Masked mask) {
  int p0 = static_cast<int>(what.map) | (to & 8 ? 0 : 0x80) | (to & 16 ? 0 : 0x10) | (high_of_b & 2 ? 0 : 0x40) |
           (high_of_b & 1 ? 0 : 0x20);
  int p1 = (what.w ? 0x80 : 0) | (~a & 15) << 3 | 4 | static_cast<int>(what.prefix);
  int p2 = (mask.zeroes ? 0x80 : 0) | static_cast<int>(width) << 5 | (a & 16 ? 0 : 8) | mask.number;
  bytes({0x62, p0, p1, p2, what.opcode});
}

void Code::vector(Instruction what, Width width, int to, int a, int b, Masked mask, int immediate) {
  prefix(what, width, to, a, b >> 3, mask);
  bytes({0xc0 | (to & 7) << 3 | (b & 7)});
  if (immediate != no_immediate) {
    bytes({immediate});
  }
}

void Code::vector(Instruction what, Width width, int to, int a, Memory b, Masked mask, int immediate) {
  const int base = static_cast<int>(b.base);
  prefix(what, width, to, a, base >> 3, mask);
  if (b.index_shift >= 0) {
    bytes({0x84 | (to & 7) << 3, b.index_shift << 6 | static_cast<int>(Base::rsi) << 3 | (base & 7)});
  } else {
    bytes({0x80 | (to & 7) << 3 | (base & 7)});
  }
  word32(b.offset);
  if (immediate != no_immediate) {
    bytes({immediate});
  }
}

void Code::bytes(std::initializer_list<int> all) {
  for (int byte : all) {
    code_.push_back(static_cast<uint8_t>(byte));
  }
}

void Code::word32(int64_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    code_.push_back(static_cast<uint8_t>(value >> shift));
  }
}

void Code::word64(const void* value) {
  auto bits = reinterpret_cast<uintptr_t>(value);
  word32(static_cast<int64_t>(bits));
  word32(static_cast<int64_t>(bits >> 32));
}

size_t Code::jump(std::initializer_list<int> opcode) {
  bytes(opcode);
  word32(0);
  return code_.size();
}

void Code::land(size_t jump, size_t at) {
  int64_t distance = static_cast<int64_t>(at) - static_cast<int64_t>(jump);
  for (size_t i = 0; i < 4; ++i) {
    code_[jump - 4 + i] = static_cast<uint8_t>(distance >> (8 * i));
  }
}

Pages::Pages(const Code& code) {
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_ = (code.size() + page - 1) / page * page;
  void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return;
  }
  std::memcpy(memory, code.data(), code.size());
  if (mprotect(memory, size_, PROT_READ | PROT_EXEC) != 0) {
    munmap(memory, size_);
    return;
  }
  memory_ = memory;
}

Pages::~Pages() {
  if (memory_) {
    munmap(memory_, size_);
  }
}

} // namespace mlx::core::cpu::x86
