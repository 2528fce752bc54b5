// What connects a kernel with the runner: the lane's head, checks of every access, bindings, positions, function
// constants.
#pragma once

#include "../../abi.h"

// Code of the shim that touches the runner's memory, which no check may see. Not inlined into checked code.
#define MSL_RAW __attribute__((no_sanitize("thread"), noinline))
#define MSL_TINY inline __attribute__((always_inline))
#define MSL_HIDDEN __attribute__((visibility("hidden")))
// Tells the places in the text apart that call an operation of a simdgroup or a barrier.
#define MSL_SITE unsigned long site = ::mlx_msl::site_of(__builtin_LINE(), __builtin_COLUMN(), __builtin_FILE())

#define MSL_WEAK extern "C" __attribute__((weak, visibility("hidden")))
extern "C" MSL_HIDDEN char __ehdr_start, _end;
extern "C" MSL_HIDDEN void msl_entry();
MSL_WEAK mlx_msl::Variable __start_msl_variables[], __stop_msl_variables[];
MSL_WEAK mlx_msl::Constant __start_msl_constants[], __stop_msl_constants[];
MSL_WEAK int __start_msl_limits[], __stop_msl_limits[];
extern "C" __attribute__((visibility("default"))) mlx_msl::Program msl_program = {&msl_entry,
    (mlx_msl::Address)&__ehdr_start, (mlx_msl::Address)&_end, __start_msl_variables, __stop_msl_variables,
    __start_msl_constants, __stop_msl_constants, __start_msl_limits, __stop_msl_limits};

namespace msl {

using mlx_msl::Access;
using mlx_msl::Address;
using mlx_msl::Context;
using mlx_msl::Exchange;
using mlx_msl::Head;
using mlx_msl::Wait;

MSL_TINY Head* head() {
  Address frame = (Address)__builtin_frame_address(0);
  return (Head*)((frame | (mlx_msl::stack_bytes - 1)) + 1 - mlx_msl::head_bytes);
}

MSL_TINY void check_access(Address address, Address bytes, Access access, Address site) {
  // A lane's own stack: from below this frame to the top.
  Head* self = head();
  if ((Address)self - address < mlx_msl::stack_bytes) return;
  Context* context = self->context;
  const mlx_msl::Range& range = context->ranges[context->recent[(site ^ (site >> 8)) & 255]];
  if (range.kind == mlx_msl::Range::buffer && address >= range.begin && address + bytes <= range.end) return;
  context->check(self, address, bytes, access, site);
}

} // namespace msl

// The compiler's thread sanitizer puts a call of these before every access that another lane could see.
#define MSL_HOOK extern "C" MSL_HIDDEN MSL_RAW __attribute__((used)) void
#define MSL_SITE_OF_CALL (msl::Address) __builtin_return_address(0)
#define MSL_HOOKS(name, bytes, access) \
  MSL_HOOK name(void* p) { msl::check_access((msl::Address)p, bytes, msl::Access::access, MSL_SITE_OF_CALL); }
#define MSL_HOOKS_OF(bytes)                              \
  MSL_HOOKS(__tsan_read##bytes, bytes, read)             \
  MSL_HOOKS(__tsan_write##bytes, bytes, write)           \
  MSL_HOOKS(__tsan_read_write##bytes, bytes, update)     \
  MSL_HOOKS(__tsan_unaligned_read##bytes, bytes, read)   \
  MSL_HOOKS(__tsan_unaligned_write##bytes, bytes, write) \
  MSL_HOOKS(__tsan_unaligned_read_write##bytes, bytes, update)
// clang-format off
MSL_HOOKS_OF(1) MSL_HOOKS_OF(2) MSL_HOOKS_OF(4) MSL_HOOKS_OF(8) MSL_HOOKS_OF(16)
    // clang-format on
    MSL_HOOK __tsan_init() {}
MSL_HOOK __tsan_vptr_update(void**, void*) {}
MSL_HOOK __tsan_vptr_read(void**) {}
extern "C" MSL_HIDDEN MSL_RAW __attribute__((used)) void* __tsan_memcpy(
    void* to, const void* from, unsigned long bytes) {
  msl::check_access((msl::Address)from, bytes, msl::Access::read, MSL_SITE_OF_CALL);
  msl::check_access((msl::Address)to, bytes, msl::Access::write, MSL_SITE_OF_CALL + 1);
  return __builtin_memmove(to, from, bytes);
}
extern "C" MSL_HIDDEN MSL_RAW __attribute__((used)) void* __tsan_memmove(
    void* to, const void* from, unsigned long bytes) {
  return __tsan_memcpy(to, from, bytes);
}
extern "C" MSL_HIDDEN MSL_RAW __attribute__((used)) void* __tsan_memset(void* to, int value, unsigned long bytes) {
  msl::check_access((msl::Address)to, bytes, msl::Access::write, MSL_SITE_OF_CALL);
  return __builtin_memset(to, value, bytes);
}

namespace msl {

// -- What a parameter of a kernel is bound to: its default argument, which turns into whatever the parameter is.

struct Pointer {
  Address address;
  template <class T>
  operator T*() const {
    return (T*)address;
  }
};
struct Reference {
  Address address;
  template <class T>
  operator T&() const {
    return *(T*)address;
  }
};
MSL_RAW inline Pointer buffer_pointer(int i) { return {head()->context->buffers[i]}; }
MSL_RAW inline Reference buffer_reference(int i) { return {head()->context->buffers[i]}; }
MSL_RAW inline Pointer threadgroup_pointer(int i) { return {head()->context->arguments[i]}; }
MSL_RAW inline Reference threadgroup_reference(int i) { return {head()->context->arguments[i]}; }

// -- `threadgroup` variables. Tag is a type of its own for each declaration, within each instance of a template.

template <class Tag, class T>
MSL_RAW T& threadgroup_variable() {
  static mlx_msl::Variable variable __attribute__((section("msl_variables"))) = {sizeof(T), alignof(T), Tag::name(), 0};
  return *(T*)head()->context->variables[variable.index];
}

// [[max_total_threads_per_threadgroup(n)]], which may depend on a template's arguments.
template <int N>
MSL_RAW int max_threads() {
  static int limit __attribute__((section("msl_limits"))) = N;
  return limit;
}

// -- Function constants. Those whose use reached a kernel's code are constants of that kernel.

template <class Tag, class T>
struct ConstantOf {
  MSL_RAW static mlx_msl::Constant& get() {
    static mlx_msl::Constant constant
        __attribute__((section("msl_constants"))) = {Tag::index(), sizeof(T), Tag::name(), Tag::optional, false, {}};
    return constant;
  }
};
template <class Tag, class T>
MSL_RAW __attribute__((pure)) T constant_value() {
  return *(const T*)ConstantOf<Tag, T>::get().bytes;
}
template <class Tag, class T>
MSL_RAW __attribute__((pure)) bool constant_defined() {
  return ConstantOf<Tag, T>::get().defined;
}

} // namespace msl
