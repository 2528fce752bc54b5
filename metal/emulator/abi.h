// What the runner and a compiled kernel know of each other; compiled with the library and, without any header, with kernels.
#pragma once

namespace mlx_msl {

using Address = unsigned long;

constexpr unsigned simd_width = 32;
constexpr unsigned slot_bytes = 64;        // the largest value that lanes exchange
constexpr unsigned max_ranges = 128;       // buffers, threadgroup arguments and variables, the program's own data
constexpr unsigned max_variables = 64;     // `threadgroup` variables of one kernel
constexpr Address stack_bytes = 256 << 10; // of one lane; stacks are aligned to their size

enum class Access : int { read, write, update, atomic };
// What a lane waits for. A matrix operation needs all 32 lanes, a simd function those that are active.
enum class Wait : int { none, simd, matrix, simd_barrier, barrier };

struct Range {
  enum Kind : int { none, buffer, argument, variable, program };
  Address begin, end;
  Kind kind;
  int index;       // of the buffer, the argument or the variable
  unsigned shadow; // where the shadow of threadgroup memory begins
};

struct Exchange {
  unsigned active; // one bit for each lane that took part
  alignas(16) unsigned char slots[simd_width][slot_bytes];
};

struct Context;

// Lies at the top of the stack on which a lane runs, so that a kernel finds it without thread-local storage.
struct Head {
  Context* context;
  unsigned position_in_grid[3];
  unsigned position_in_threadgroup[3];
  unsigned index_in_threadgroup;
  unsigned lane, simdgroup;
};
constexpr Address head_bytes = 128;
static_assert(sizeof(Head) <= head_bytes, "the head of a stack is too small");

// One dispatch, of which one threadgroup at a time runs. The functions are called on lanes' stacks.
struct Context {
  void (*check)(Head*, Address, Address bytes, Access, Address site); // the slow path of an access
  const Exchange* (*wait)(Head*, Wait, const void* value, unsigned bytes, unsigned flags, Address site);
  bool (*spurious_failure)(Head*); // whether a weak exchange fails for no reason, now
  unsigned ranges_count;
  Range ranges[max_ranges];
  unsigned recent[256]; // the range that a site in the code touched last, by a hash of the site
  Address buffers[31], arguments[31], variables[max_variables];
  unsigned grid[3];             // threads
  unsigned group_size[3];       // of this threadgroup, smaller at the grid's edge
  unsigned full_group_size[3];  // of those inside
  unsigned group_position[3];
  unsigned groups[3];
};

// What a kernel's code uses, gathered by the linker: only what reached the code is there.
struct Variable {
  unsigned bytes, alignment;
  const char* name;
  int index; // set by the runner
};
struct Constant {
  int index;
  unsigned size;
  const char* name;
  bool optional; // the text asks with is_function_constant_defined, so the host may leave it out
  bool defined;
  alignas(16) unsigned char bytes[16];
};

// A kernel exports one of these as `msl_program`.
struct Program {
  void (*entry)();
  Address begin, end; // of its data
  Variable *variables_begin, *variables_end;
  Constant *constants_begin, *constants_end;
  int *limits_begin, *limits_end; // max_total_threads_per_threadgroup
};

} // namespace mlx_msl
