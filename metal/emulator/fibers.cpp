// Stacks of lanes and the switch between them, for x86-64.
#include "fibers.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <vector>

#if !defined(__x86_64__)
#error "the runner of Metal shaders switches stacks by code for x86-64"
#endif

// Only what a called function must keep: a switch is a call to those that make it.
asm(R"(
.text
.globl mlx_metal_emulator_switch
.hidden mlx_metal_emulator_switch
.type mlx_metal_emulator_switch, @function
mlx_metal_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size mlx_metal_emulator_switch, .-mlx_metal_emulator_switch
)");

namespace mlx::core::metal_emulator {

namespace {

constexpr size_t bytes = mlx_msl::stack_bytes;

char* map_stack() {
  void* twice = mmap(nullptr, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (twice == MAP_FAILED) throw std::bad_alloc();
  char* begin = static_cast<char*>(twice);
  char* stack = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(begin) + bytes - 1) & ~(bytes - 1));
  if (stack != begin) munmap(begin, stack - begin);
  if (char* end = begin + 2 * bytes; end != stack + bytes) munmap(stack + bytes, end - (stack + bytes));
  if (mprotect(stack + 4096, bytes - 4096, PROT_READ | PROT_WRITE) != 0) {
    munmap(stack, bytes);
    throw std::bad_alloc();
  }
  return stack;
}

struct Pool {
  std::vector<char*> free;
  ~Pool() {
    for (char* stack : free) munmap(stack, bytes);
  }
};

Pool& pool() {
  thread_local Pool one;
  return one;
}

} // namespace

char* take_stack() {
  auto& free = pool().free;
  if (free.empty()) return map_stack();
  char* stack = free.back();
  free.pop_back();
  return stack;
}

void give_stack(char* stack) { pool().free.push_back(stack); }

mlx_msl::Head* head_of(char* stack) { return reinterpret_cast<mlx_msl::Head*>(stack + bytes - mlx_msl::head_bytes); }

void* prepare_stack(char* stack, void (*start)()) {
  // As after a call: the stack pointer is 8 away from a multiple of 16 when `start` begins.
  auto* top = reinterpret_cast<void**>(stack + bytes - mlx_msl::head_bytes) - 1;
  *top = nullptr;
  *--top = reinterpret_cast<void*>(start);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  return top;
}

} // namespace mlx::core::metal_emulator
