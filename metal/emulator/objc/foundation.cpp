// Strings, errors, collections, process facts and autorelease pools of the Objective-C stand-in.
#include "metal/emulator/objc/foundation.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "metal/emulator/objc/standin.h"

namespace mlx::core::metal_emulator::objc {

Object* String::with_bytes(const char* bytes, uint64_t) {
  text = bytes ? bytes : "";
  return this;
}
Object* String::with_string(String* other) {
  text = other->text;
  return this;
}
Object* String::without_copy(void* bytes, uint64_t length, uint64_t, bool free_when_done) {
  text.assign(static_cast<const char*>(bytes), length);
  if (free_when_done) std::free(bytes);
  return this;
}
// In UTF-16 units; a byte that continues a character counts for none.
uint64_t String::length() const {
  uint64_t units = 0;
  for (unsigned char c : text) units += (c & 0xC0) == 0x80 ? 0 : c >= 0xF0 ? 2 : 1;
  return units;
}
bool String::is_equal(Object* other) const {
  auto* string = dynamic_cast<String*>(other);
  return string && string->text == text;
}

namespace {

Object* empty_string() { return String::make("")->autorelease(); }
Object* string_of(const char* bytes, uint64_t) { return String::make(bytes ? bytes : "")->autorelease(); }
Object* copy_of(String* other) { return String::make(other->text)->autorelease(); }

} // namespace

Error* Error::make(const char* domain, int64_t code, const std::string& text) {
  auto* error = new Error;
  error->code = code;
  error->domain = Ref<String>::adopt(String::make(domain));
  error->text = Ref<String>::adopt(String::make(text));
  error->autorelease();
  return error;
}
Object* Error::report(Object** error, const char* domain, int64_t code, const std::string& text) {
  if (error) *error = make(domain, code, text);
  return nullptr;
}
Object* Error::with_domain(String* domain_, int64_t code_, Object*) {
  domain = Ref<String>(domain_);
  code = code_;
  text = Ref<String>::adopt(String::make("error " + std::to_string(code_)));
  return this;
}

Object* Array::with_objects(Object* const* objects, uint64_t count) {
  items.clear();
  for (uint64_t i = 0; i < count; ++i) items.emplace_back(objects[i]);
  return this;
}
Object* Array::at(uint64_t index) {
  if (index >= items.size()) {
    misuse("-[NSArray objectAtIndex:]: " + std::to_string(index) + " of " + std::to_string(items.size()) + " objects.");
  }
  return items[index].get();
}

Object* Dictionary::with_objects(Object* const* objects, Object* const* keys, uint64_t count) {
  items.clear();
  for (uint64_t i = 0; i < count; ++i) items.emplace_back(Ref<Object>(keys[i]), Ref<Object>(objects[i]));
  return this;
}
Object* Dictionary::at(Object* key) {
  for (auto& [k, value] : items) {
    if (k->is_equal(key)) return value.get();
  }
  return nullptr;
}

Object* Url::with_path(String* text) {
  path = text->text;
  return this;
}

namespace {

Object* array_of(Object* const* objects, uint64_t count) {
  auto* array = new Array;
  array->with_objects(objects, count);
  return array->autorelease();
}
Object* empty_array() { return array_of(nullptr, 0); }
Object* array_of_one(Object* object) { return array_of(&object, 1); }

Object* dictionary_of(Object* const* objects, Object* const* keys, uint64_t count) {
  auto* dictionary = new Dictionary;
  dictionary->with_objects(objects, keys, count);
  return dictionary->autorelease();
}
Object* empty_dictionary() { return dictionary_of(nullptr, nullptr, 0); }
Object* dictionary_of_one(Object* object, Object* key) { return dictionary_of(&object, &key, 1); }

Object* file_url(String* path) {
  auto* url = new Url;
  url->with_path(path);
  return url->autorelease();
}

class ProcessInfo final : public Object {
 public:
  static constexpr const char* class_name = "NSProcessInfo";
  ProcessInfo() : Object(class_of<ProcessInfo>()) {}
  SystemVersion version() const { return system_version(); }
  bool is_at_least(SystemVersion wanted) const {
    SystemVersion v = system_version();
    if (v.major != wanted.major) return v.major > wanted.major;
    if (v.minor != wanted.minor) return v.minor > wanted.minor;
    return v.patch >= wanted.patch;
  }
  uint64_t memory() const { return machine_memory(); }
  uint64_t processors() const { return static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_ONLN)); }
};
Object* process_info() {
  static auto* instance = new ProcessInfo;
  return instance;
}

// Pools of one thread lie on a stack; objects on another, of which each pool holds the part from `first` on.
struct Pools {
  std::vector<Object*> objects;
  std::vector<class Pool*> pools;
};
Pools& pools() {
  static thread_local Pools instance;
  return instance;
}
std::atomic<int64_t> without_pool{0};

class Pool final : public Object {
 public:
  static constexpr const char* class_name = "NSAutoreleasePool";
  Pool() : Object(class_of<Pool>()) {}
  ~Pool() override { leave(); }
  Object* enter() {
    first_ = pools().objects.size();
    pools().pools.push_back(this);
    open_ = true;
    return this;
  }
  void drain() { release(); }
  void add(Object* object) { object->autorelease(); }

 private:
  void leave() {
    if (!open_) return;
    Pools& all = pools();
    while (!all.pools.empty() && all.pools.back() != this) { // a pool takes those inside of it along
      all.pools.back()->open_ = false;
      all.pools.pop_back();
    }
    if (all.pools.empty()) misuse("An autorelease pool was drained by another thread than the one that made it.");
    while (all.objects.size() > first_) {
      Object* object = all.objects.back();
      all.objects.pop_back();
      object->release();
    }
    all.pools.pop_back();
    open_ = false;
  }
  size_t first_ = 0;
  bool open_ = false;
};

} // namespace

Object* Object::autorelease() {
  if (is_class()) return this;
  if (pools().pools.empty()) {
    without_pool.fetch_add(1);
  } else {
    pools().objects.push_back(this);
  }
  return this;
}

PoolScope::PoolScope() : pool_((new Pool)->enter()) {}
PoolScope::~PoolScope() { pool_->release(); }

int64_t objects_without_pool() { return without_pool.load(); }

uint64_t setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  if (!text || !*text) return otherwise;
  char* end = nullptr;
  unsigned long long value = std::strtoull(text, &end, 10);
  if (*end) misuse(std::string(name) + " is '" + text + "'; it should be a whole number.");
  return value;
}

uint64_t machine_memory() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
}

SystemVersion system_version() {
  const char* text = std::getenv("MLX_METAL_EMULATOR_MACOS");
  long long major = 15, minor = 0, patch = 0;
  if (text && *text && std::sscanf(text, "%lld.%lld.%lld", &major, &minor, &patch) < 1) {
    misuse(std::string("MLX_METAL_EMULATOR_MACOS is '") + text + "'; it should be a version such as 15.0.");
  }
  return {major, minor, patch};
}

void define_foundation() {
  Definition("NSObject")
      .method<&Object::retain>("retain")
      .method<&Object::release>("release")
      .method<&Object::autorelease>("autorelease")
      .method<&Object::retain_count>("retainCount")
      .method<&Object::initialise>("init")
      .method<&Object::responds_to>("respondsToSelector:")
      .method<&Object::description>("description")
      .method<&Object::description>("debugDescription")
      .method<&Object::hash>("hash")
      .method<&Object::is_equal>("isEqual:");
  Definition("NSAutoreleasePool")
      .creates<Pool>()
      .method<&Pool::enter>("init")
      .method<&Pool::drain>("drain")
      .method<&Pool::add>("addObject:");
  Definition("NSString")
      .creates<String>()
      .class_method<&empty_string>("string")
      .class_method<&string_of>("stringWithCString:encoding:")
      .class_method<&copy_of>("stringWithString:")
      .method<&String::with_bytes>("initWithCString:encoding:")
      .method<&String::with_string>("initWithString:")
      .method<&String::without_copy>("initWithBytesNoCopy:length:encoding:freeWhenDone:")
      .method<&String::utf8>("UTF8String")
      .method<&String::utf8>("fileSystemRepresentation")
      .method<&String::encoded>("cStringUsingEncoding:")
      .method<&String::length>("length")
      .method<&String::bytes>("lengthOfBytesUsingEncoding:")
      .method<&String::is_equal>("isEqualToString:")
      .method<&String::appended>("stringByAppendingString:");
  Definition("NSError")
      .creates<Error>()
      .method<&Error::with_domain>("initWithDomain:code:userInfo:")
      .method<&Error::get_domain>("domain")
      .property<&Error::code>("code", "setCode:")
      .method<&Error::user_information>("userInfo")
      .method<&Error::localized_description>("localizedDescription");
  Definition("NSArray")
      .creates<Array>()
      .class_method<&empty_array>("array")
      .class_method<&array_of_one>("arrayWithObject:")
      .class_method<&array_of>("arrayWithObjects:count:")
      .method<&Array::with_objects>("initWithObjects:count:")
      .method<&Array::count>("count")
      .method<&Array::at>("objectAtIndex:");
  Definition("NSDictionary")
      .creates<Dictionary>()
      .class_method<&empty_dictionary>("dictionary")
      .class_method<&dictionary_of_one>("dictionaryWithObject:forKey:")
      .class_method<&dictionary_of>("dictionaryWithObjects:forKeys:count:")
      .method<&Dictionary::with_objects>("initWithObjects:forKeys:count:")
      .method<&Dictionary::count>("count")
      .method<&Dictionary::at>("objectForKey:");
  Definition("NSURL")
      .creates<Url>()
      .class_method<&file_url>("fileURLWithPath:")
      .method<&Url::with_path>("initFileURLWithPath:")
      .method<&Url::file>("fileSystemRepresentation");
  Definition("NSProcessInfo")
      .class_method<&process_info>("processInfo")
      .method<&ProcessInfo::version>("operatingSystemVersion")
      .method<&ProcessInfo::is_at_least>("isOperatingSystemAtLeastVersion:")
      .method<&ProcessInfo::memory>("physicalMemory")
      .method<&ProcessInfo::processors>("processorCount")
      .method<&ProcessInfo::processors>("activeProcessorCount");
}

} // namespace mlx::core::metal_emulator::objc
