// Objects, classes and selectors of the Objective-C stand-in: C++ objects with a reference count, whose member
// functions are reached by the names that metal-cpp sends.
#pragma once

#include <objc/runtime.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace mlx::core::metal_emulator::objc {

using Implementation = void (*)();

class ClassObject;

// What every id points at. It begins with a vtable where Apple's begins with its class; nobody looks.
class Object {
 public:
  explicit Object(ClassObject& type);
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object();

  ClassObject& type() const { return *type_; }
  Object* retain();
  void release();
  Object* autorelease();
  uint64_t retain_count() const { return static_cast<uint64_t>(references_.load()); }
  Object* initialise() { return this; }
  bool responds_to(SEL selector) const;
  virtual Object* description();
  virtual uint64_t hash() const { return reinterpret_cast<uintptr_t>(this); }
  virtual bool is_equal(Object* other) const { return this == other; }
  bool is_class() const { return type_ == nullptr; }

  // What the stand-in itself holds: the memory stays, but the program has let go.
  void pin();
  void unpin();
  bool let_go() const { return references_.load() <= 0; }

 protected:
  struct OfClass {};
  explicit Object(OfClass) : type_(nullptr) {} // classes have no class

 private:
  ClassObject* type_;
  std::atomic<int64_t> references_{1};
  std::atomic<int64_t> pins_{0};
  std::atomic<bool> dying_{false};
  void destroy_if_unused();
};

// Pairs of a selector and what it calls.
using Methods = std::unordered_map<SEL, Implementation>;

class ClassObject final : public Object {
 public:
  explicit ClassObject(std::string name) : Object(OfClass{}), name(std::move(name)) {}
  const std::string name;
  ClassObject* parent = nullptr;
  bool defined = false;
  Methods instance, of_class;
  std::atomic<int64_t> alive{0}; // objects
  Implementation find(SEL selector, bool of_class) const;
};

// The program did what Metal or Objective-C forbid: says so on the standard error, for the exception may meet a
// destructor.
class Misuse : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};
[[noreturn]] void misuse(const std::string& what);

namespace detail {

template <auto Member>
struct Call;

template <class T, class R, class... A, R (T::*Member)(A...)>
struct Call<Member> {
  static R call(Object* self, SEL, A... arguments) { return (static_cast<T*>(self)->*Member)(arguments...); }
};
template <class T, class R, class... A, R (T::*Member)(A...) const>
struct Call<Member> {
  static R call(Object* self, SEL, A... arguments) { return (static_cast<T*>(self)->*Member)(arguments...); }
};
template <class R, class... A, R (*Function)(A...)>
struct Call<Function> {
  static R call(Object*, SEL, A... arguments) { return Function(arguments...); }
};

// A property that is stored and read, nothing more.
template <auto Field>
struct Property;
template <class T, class V, V T::* Field>
struct Property<Field> {
  static V get(Object* self, SEL) { return static_cast<T*>(self)->*Field; }
  static void set(Object* self, SEL, V value) { static_cast<T*>(self)->*Field = value; }
};

} // namespace detail

// Describes one class: Definition("MTLBuffer").method<&Buffer::length>("length");
class Definition {
 public:
  explicit Definition(const char* name, const char* parent = "NSObject");
  template <auto Member>
  Definition& method(const char* selector) {
    type_.instance[sel_registerName(selector)] = reinterpret_cast<Implementation>(&detail::Call<Member>::call);
    return *this;
  }
  template <auto Function>
  Definition& class_method(const char* selector) {
    type_.of_class[sel_registerName(selector)] = reinterpret_cast<Implementation>(&detail::Call<Function>::call);
    return *this;
  }
  template <auto Field>
  Definition& property(const char* getter, const char* setter) {
    type_.instance[sel_registerName(getter)] = reinterpret_cast<Implementation>(&detail::Property<Field>::get);
    type_.instance[sel_registerName(setter)] = reinterpret_cast<Implementation>(&detail::Property<Field>::set);
    return *this;
  }
  // `alloc` makes a T.
  template <class T>
  Definition& creates() {
    return class_method<&Definition::make<T>>("alloc");
  }

 private:
  template <class T>
  static Object* make() {
    return new T;
  }
  ClassObject& type_;
};

// The class of that name, made when it is first asked for.
ClassObject& class_named(const char* name);
// The same, looked up once for each T, which names it by `T::class_name`.
template <class T>
ClassObject& class_of() {
  static ClassObject& type = class_named(T::class_name);
  return type;
}

// A counted pointer to an object: retains unless it adopts.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_) object_->retain();
  }
  static Ref adopt(T* object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_) object_->release();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  T* detach() { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

// Each file's classes.
void define_foundation();
void define_device();
void define_library();
void define_queue();
void define_encoder();
void define_events();
void define_capture();

} // namespace mlx::core::metal_emulator::objc
