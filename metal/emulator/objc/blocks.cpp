// What code compiled with -fblocks calls: blocks and __block variables move from the stack to the heap when a block is
// copied, and are counted there. After clang's "Block Implementation Specification"; the library that Debian has for it
// cannot be part of a shared one.
#include <Block.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

enum Flags : int32_t { count_mask = 0xFFFF, on_heap = 1 << 24, has_helpers = 1 << 25, is_global = 1 << 28 };
enum Field : int { field_block = 7, field_variable = 8, field_mask = 15, from_variable = 128 };

struct Descriptor {
  unsigned long reserved, size;
  void (*copy)(void* to, const void* from); // these two only with has_helpers
  void (*dispose)(const void*);
};
struct Block {
  void* isa;
  int32_t flags, reserved;
  void (*invoke)(void*, ...);
  Descriptor* descriptor;
};
struct Variable { // declared __block
  void* isa;
  Variable* current; // itself, or its copy on the heap
  int32_t flags, size;
  void (*move)(Variable* to, Variable* from); // these two only with has_helpers
  void (*destroy)(Variable*);
};

std::atomic_ref<int32_t> counted(int32_t& flags) { return std::atomic_ref<int32_t>(flags); }

void* memory(size_t bytes) {
  void* got = std::malloc(bytes);
  if (!got) throw std::bad_alloc();
  return got;
}

Variable* shared(Variable* variable) {
  Variable* current = variable->current;
  if (counted(current->flags).load() & on_heap) {
    counted(current->flags).fetch_add(1);
    return current;
  }
  auto* copy = static_cast<Variable*>(memory(static_cast<size_t>(variable->size)));
  std::memcpy(static_cast<void*>(copy), variable, static_cast<size_t>(variable->size));
  copy->flags = (variable->flags & ~count_mask) | on_heap | 2; // held by the scope that declares it and by the block
  copy->current = copy;
  variable->current = copy;
  if (variable->flags & has_helpers) variable->move(copy, variable);
  return copy;
}

void release(Variable* variable) {
  variable = variable->current;
  if (!(counted(variable->flags).load() & on_heap)) return;
  if ((counted(variable->flags).fetch_sub(1) & count_mask) != 1) return;
  if (variable->flags & has_helpers) variable->destroy(variable);
  std::free(variable);
}

} // namespace

extern "C" {

// Classes that the compiler puts into blocks.
void* _NSConcreteStackBlock[32] = {};
void* _NSConcreteMallocBlock[32] = {};
void* _NSConcreteGlobalBlock[32] = {};

void* _Block_copy(const void* given) {
  auto* block = const_cast<Block*>(static_cast<const Block*>(given));
  if (!block || (block->flags & is_global)) return block;
  if (counted(block->flags).load() & on_heap) {
    counted(block->flags).fetch_add(1);
    return block;
  }
  auto* copy = static_cast<Block*>(memory(block->descriptor->size));
  std::memcpy(static_cast<void*>(copy), block, block->descriptor->size);
  copy->flags = (block->flags & ~count_mask) | on_heap | 1;
  copy->isa = _NSConcreteMallocBlock;
  if (copy->flags & has_helpers) copy->descriptor->copy(copy, block);
  return copy;
}

void _Block_release(const void* given) {
  auto* block = const_cast<Block*>(static_cast<const Block*>(given));
  if (!block || !(counted(block->flags).load() & on_heap)) return;
  if ((counted(block->flags).fetch_sub(1) & count_mask) != 1) return;
  if (block->flags & has_helpers) block->descriptor->dispose(block);
  std::free(block);
}

void _Block_object_assign(void* to, const void* object, int field) {
  auto* target = static_cast<const void**>(to);
  if (field & from_variable) {
    *target = object; // a variable does not keep what it points at
  } else if ((field & field_mask) == field_block) {
    *target = _Block_copy(object);
  } else if ((field & field_mask) == field_variable) {
    *target = shared(const_cast<Variable*>(static_cast<const Variable*>(object)));
  } else {
    *target = object;
  }
}

void _Block_object_dispose(const void* object, int field) {
  if (field & from_variable) return;
  if ((field & field_mask) == field_block) _Block_release(object);
  if ((field & field_mask) == field_variable) release(const_cast<Variable*>(static_cast<const Variable*>(object)));
}

} // extern "C"
