// The Foundation classes that a Metal host uses: strings, errors, arrays, dictionaries, addresses of files.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "metal/emulator/objc/object.h"

namespace mlx::core::metal_emulator::objc {

class String final : public Object {
 public:
  static constexpr const char* class_name = "NSString";
  explicit String(std::string text = {}) : Object(class_of<String>()), text(std::move(text)) {}
  static String* make(std::string text) { return new String(std::move(text)); }
  std::string text;

  Object* with_bytes(const char* bytes, uint64_t encoding);
  Object* with_string(String* other);
  Object* without_copy(void* bytes, uint64_t length, uint64_t encoding, bool free_when_done);
  const char* utf8() const { return text.c_str(); }
  const char* encoded(uint64_t) const { return text.c_str(); }
  uint64_t length() const;
  uint64_t bytes(uint64_t) const { return text.size(); }
  Object* appended(String* other) { return make(text + other->text)->autorelease(); }
  Object* description() override { return this; }
  uint64_t hash() const override { return std::hash<std::string>()(text); }
  bool is_equal(Object* other) const override;
};

class Error final : public Object {
 public:
  static constexpr const char* class_name = "NSError";
  Error() : Object(class_of<Error>()) {}
  // Autoreleased, as every error that comes through an NSError** is.
  static Error* make(const char* domain, int64_t code, const std::string& text);
  // Stores one where the caller wants it; answers nil.
  static Object* report(Object** error, const char* domain, int64_t code, const std::string& text);
  int64_t code = 0;
  Ref<String> domain, text;

  Object* with_domain(String* domain_, int64_t code_, Object* information);
  Object* get_domain() { return domain.get(); }
  Object* localized_description() { return text.get(); }
  Object* user_information() { return nullptr; }
  Object* description() override { return text.get(); }
};

class Array final : public Object {
 public:
  static constexpr const char* class_name = "NSArray";
  Array() : Object(class_of<Array>()) {}
  std::vector<Ref<Object>> items;
  Object* with_objects(Object* const* objects, uint64_t count);
  uint64_t count() const { return items.size(); }
  Object* at(uint64_t index);
};

class Dictionary final : public Object {
 public:
  static constexpr const char* class_name = "NSDictionary";
  Dictionary() : Object(class_of<Dictionary>()) {}
  std::vector<std::pair<Ref<Object>, Ref<Object>>> items; // key, value
  Object* with_objects(Object* const* objects, Object* const* keys, uint64_t count);
  uint64_t count() const { return items.size(); }
  Object* at(Object* key);
};

class Url final : public Object {
 public:
  static constexpr const char* class_name = "NSURL";
  Url() : Object(class_of<Url>()) {}
  std::string path;
  Object* with_path(String* text);
  const char* file() const { return path.c_str(); }
};

// An autorelease pool while it lives.
class PoolScope {
 public:
  PoolScope();
  ~PoolScope();

 private:
  Object* pool_;
};

// The version that MLX_METAL_EMULATOR_MACOS names.
struct SystemVersion {
  int64_t major, minor, patch;
};
SystemVersion system_version();
// Of the environment: a positive whole number, or what is given.
uint64_t setting(const char* name, uint64_t otherwise);
uint64_t machine_memory();

} // namespace mlx::core::metal_emulator::objc
