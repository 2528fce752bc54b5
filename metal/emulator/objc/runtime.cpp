// Selectors, classes, reference counts, and the way from a message to the C++ function behind it.
#include <objc/message.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <stdexcept>

#include "metal/emulator/objc/foundation.h"
#include "metal/emulator/objc/object.h"
#include "metal/emulator/objc/standin.h"

#if !defined(__x86_64__) || !defined(__linux__)
#error "The Metal stand-in runs on x86-64 Linux."
#endif

namespace mlx::core::metal_emulator::objc {

namespace {

struct Names {
  std::mutex mutex;
  std::map<std::string, SEL, std::less<>> selectors;
  std::map<std::string, ClassObject*, std::less<>> classes;
};

// Never destroyed: metal-cpp's own static objects ask for it before and after everything else.
Names& names() {
  static Names& instance = *new Names;
  return instance;
}

void define_all() {
  static std::once_flag once;
  std::call_once(once, [] {
    define_foundation();
    define_device();
    define_library();
    define_queue();
    define_encoder();
    define_events();
    define_capture();
  });
}

std::string shown(Object* self, SEL selector) {
  bool of_class = self->is_class();
  ClassObject& type = of_class ? *static_cast<ClassObject*>(self) : self->type();
  return std::string(of_class ? "+[" : "-[") + type.name + " " + sel_getName(selector) + "]";
}

void* not_implemented(Object* self, SEL selector) {
  ClassObject& type = self->is_class() ? *static_cast<ClassObject*>(self) : self->type();
  misuse(shown(self, selector) +
         (type.defined ? ": the stand-in does not implement this selector." : ": the stand-in has no such class."));
}
void* not_implemented_struct(void*, Object* self, SEL selector) { return not_implemented(self, selector); }

// A message to nil does nothing and answers 0, in whichever register the answer is looked for.
struct Zeros {
  uint64_t a, b;
};
Zeros answer_of_nil() {
  asm volatile("pxor %%xmm0, %%xmm0" ::: "xmm0"); // nothing below touches it
  return {0, 0};
}
void* struct_of_nil(void*, Object*, SEL selector) {
  misuse(std::string("A structure was asked of nil, which leaves it undefined: ") + sel_getName(selector));
}

void* gone(Object* self, SEL selector) {
  misuse(shown(self, selector) + " was sent to an object that had been released.");
}
void* gone_struct(void*, Object* self, SEL selector) { return gone(self, selector); }

Implementation implementation(Object* self, SEL selector) {
  define_all();
  return self->is_class() ? static_cast<ClassObject*>(self)->find(selector, true) : self->type().find(selector, false);
}

} // namespace

void misuse(const std::string& what) {
  std::fprintf(stderr, "[metal emulator] %s\n", what.c_str());
  throw Misuse("[metal emulator] " + what);
}

Implementation ClassObject::find(SEL selector, bool of_class_itself) const {
  for (const ClassObject* c = this; c; c = c->parent) {
    const Methods& methods = of_class_itself ? c->of_class : c->instance;
    if (auto found = methods.find(selector); found != methods.end()) return found->second;
  }
  return nullptr;
}

ClassObject& class_named(const char* name) {
  std::lock_guard lock(names().mutex);
  auto& entry = names().classes[name];
  if (!entry) entry = new ClassObject(name);
  return *entry;
}

Definition::Definition(const char* name, const char* parent) : type_(class_named(name)) {
  type_.defined = true;
  if (std::string_view(name) != parent) type_.parent = &class_named(parent);
}

Object::Object(ClassObject& type) : type_(&type) { type_->alive.fetch_add(1); }
Object::~Object() {
  if (type_) type_->alive.fetch_sub(1);
}

Object* Object::retain() {
  if (!is_class() && references_.fetch_add(1) <= 0) {
    misuse("An object of class " + type_->name + " was retained after it had been released for good.");
  }
  return this;
}
void Object::release() {
  if (is_class()) return;
  int64_t left = references_.fetch_sub(1) - 1;
  if (left < 0) misuse("An object of class " + type_->name + " was released more often than retained.");
  if (left == 0) destroy_if_unused();
}
void Object::pin() { pins_.fetch_add(1); }
void Object::unpin() {
  if (pins_.fetch_sub(1) == 1) destroy_if_unused();
}
void Object::destroy_if_unused() {
  if (pins_.load() == 0 && references_.load() == 0 && !dying_.exchange(true)) delete this;
}
bool Object::responds_to(SEL selector) const {
  return is_class() ? static_cast<const ClassObject*>(this)->find(selector, true) : type_->find(selector, false);
}
Object* Object::description() {
  return String::make("<" + (is_class() ? static_cast<ClassObject*>(this)->name : type_->name) + ">")->autorelease();
}

int64_t live_objects(const char* class_name) { return class_named(class_name).alive.load(); }

} // namespace mlx::core::metal_emulator::objc

using namespace mlx::core::metal_emulator::objc;

extern "C" {

SEL sel_registerName(const char* name) {
  std::lock_guard lock(names().mutex);
  auto [at, is_new] = names().selectors.try_emplace(name, nullptr);
  if (is_new) at->second = reinterpret_cast<SEL>(const_cast<char*>(at->first.c_str())); // nodes of a map stay
  return at->second;
}
const char* sel_getName(SEL selector) { return reinterpret_cast<const char*>(selector); }
void* objc_lookUpClass(const char* name) { return &class_named(name); }
void* objc_getProtocol(const char*) { return nullptr; }

// What the entry points below jump to.
__attribute__((visibility("hidden"), used)) Implementation mlx_metal_emulator_find(Object* self, SEL selector) {
  if (!self) return reinterpret_cast<Implementation>(&answer_of_nil);
  if (self->let_go()) return reinterpret_cast<Implementation>(&gone);
  Implementation found = implementation(self, selector);
  return found ? found : reinterpret_cast<Implementation>(&not_implemented);
}
__attribute__((visibility("hidden"), used)) Implementation mlx_metal_emulator_find_struct(Object* self, SEL selector) {
  if (!self) return reinterpret_cast<Implementation>(&struct_of_nil);
  if (self->let_go()) return reinterpret_cast<Implementation>(&gone_struct);
  Implementation found = implementation(self, selector);
  return found ? found : reinterpret_cast<Implementation>(&not_implemented_struct);
}

// The arguments lie where the method expects them, whatever their types: keep all registers that may hold some, find
// the method, put them back and jump to it. A structure that is returned in memory moves the receiver by one register.
asm(R"(
.macro MLX_METAL_EMULATOR_SEND name, find, self, selector
  .globl \name
  .type \name, @function
\name:
  .cfi_startproc
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, %rbp
  .cfi_def_cfa_register %rbp
  subq $192, %rsp
  movq %rdi, 0(%rsp)
  movq %rsi, 8(%rsp)
  movq %rdx, 16(%rsp)
  movq %rcx, 24(%rsp)
  movq %r8, 32(%rsp)
  movq %r9, 40(%rsp)
  movq %rax, 48(%rsp)
  movups %xmm0, 64(%rsp)
  movups %xmm1, 80(%rsp)
  movups %xmm2, 96(%rsp)
  movups %xmm3, 112(%rsp)
  movups %xmm4, 128(%rsp)
  movups %xmm5, 144(%rsp)
  movups %xmm6, 160(%rsp)
  movups %xmm7, 176(%rsp)
  movq \self(%rsp), %rdi
  movq \selector(%rsp), %rsi
  call \find
  movq %rax, %r11
  movq 0(%rsp), %rdi
  movq 8(%rsp), %rsi
  movq 16(%rsp), %rdx
  movq 24(%rsp), %rcx
  movq 32(%rsp), %r8
  movq 40(%rsp), %r9
  movq 48(%rsp), %rax
  movups 64(%rsp), %xmm0
  movups 80(%rsp), %xmm1
  movups 96(%rsp), %xmm2
  movups 112(%rsp), %xmm3
  movups 128(%rsp), %xmm4
  movups 144(%rsp), %xmm5
  movups 160(%rsp), %xmm6
  movups 176(%rsp), %xmm7
  leave
  .cfi_def_cfa %rsp, 8
  jmp *%r11
  .cfi_endproc
  .size \name, .-\name
.endm
  .text
MLX_METAL_EMULATOR_SEND objc_msgSend, mlx_metal_emulator_find, 0, 8
MLX_METAL_EMULATOR_SEND objc_msgSend_fpret, mlx_metal_emulator_find, 0, 8
MLX_METAL_EMULATOR_SEND objc_msgSend_stret, mlx_metal_emulator_find_struct, 8, 16
.purgem MLX_METAL_EMULATOR_SEND
)");

} // extern "C"
