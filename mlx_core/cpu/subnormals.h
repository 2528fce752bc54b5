// A scope in which the CPU takes float32 and float64 subnormals for zeros, operands and results alike: they are some
// fifteen times slower than other numbers, and vanishing gradients are full of them.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace mlx::core::cpu {

// The thread's own mode comes back at the end of the scope.
class FlushSubnormals {
 public:
#if defined(__SSE2__)
  FlushSubnormals() : before_(_mm_getcsr()) {
    if ((before_ & flush) != flush) _mm_setcsr(before_ | flush);
  }
  ~FlushSubnormals() {
    if ((before_ & flush) != flush) _mm_setcsr((_mm_getcsr() & ~flush) | (before_ & flush));
  }

 private:
  static constexpr unsigned flush = 0x8040; // results (FTZ), operands (DAZ)
  unsigned before_;
#elif defined(__aarch64__)
  FlushSubnormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    if ((before_ & flush) == 0) asm volatile("msr fpcr, %0" : : "r"(before_ | flush) : "memory");
  }
  ~FlushSubnormals() {
    if ((before_ & flush) == 0) asm volatile("msr fpcr, %0" : : "r"(before_) : "memory");
  }

 private:
  static constexpr uint64_t flush = uint64_t{1} << 24; // FZ; FZ16 stays, so float16 keeps its subnormals
  uint64_t before_;
#else
  FlushSubnormals() {}
  ~FlushSubnormals() {}
#endif

 public:
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;
};

} // namespace mlx::core::cpu
