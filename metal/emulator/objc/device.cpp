// The device of the stand-in, its buffers and residency sets.
#include <Block.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "metal/emulator/objc/metal.h"

extern "C" void* MTLCreateSystemDefaultDevice();
extern "C" void* MTLCopyAllDevices();

namespace mlx::core::metal_emulator::objc {

namespace {

std::atomic<uint64_t> allocated{0};

uint64_t memory() { return setting("MLX_METAL_EMULATOR_MEMORY", machine_memory()); }

bool reserve(uint64_t bytes) {
  uint64_t before = allocated.load();
  do {
    if (bytes > memory() || before > memory() - bytes) return false;
  } while (!allocated.compare_exchange_weak(before, before + bytes));
  return true;
}

class Architecture final : public Object {
 public:
  static constexpr const char* class_name = "MTLArchitecture";
  Architecture() : Object(class_of<Architecture>()) {}
  Object* name() { return String::make("linux_emulator")->autorelease(); }
};

class Fence final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLFence";
  Fence() : Labelled(class_of<Fence>()) {}
};

class ResidencySetDescriptor final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLResidencySetDescriptor";
  ResidencySetDescriptor() : Labelled(class_of<ResidencySetDescriptor>()) {}
  uint64_t capacity = 0;
};

} // namespace

class Device final : public Object {
 public:
  static constexpr const char* class_name = "MTLDevice";
  Device() : Object(class_of<Device>()) {}

  Object* name() { return String::make("Metal emulator (CPU)")->autorelease(); }
  Object* architecture() {
    auto* architecture = new Architecture;
    return architecture->autorelease();
  }
  uint64_t longest_buffer() const { return memory() / 2; }
  uint64_t working_set() const { return memory() / 4 * 3; }
  uint64_t allocated_size() const { return allocated.load(); }
  uint64_t threadgroup_memory() const { return 32768; }
  Size3 threads_per_threadgroup() const { return {1024, 1024, 1024}; }
  uint64_t registry_id() const { return 1; }
  bool yes() const { return true; }
  bool no() const { return false; }
  // As an M1: Apple 1 to 7, Mac 2, Common 1 to 3, Metal 3.
  bool supports_family(int64_t family) const {
    return (family >= 1001 && family <= 1007) || family == 2002 || (family >= 3001 && family <= 3003) || family == 5001;
  }

  Object* buffer(uint64_t length, uint64_t options) { return Buffer::with_length(length, options); }
  Object* buffer_with_bytes(const void* bytes, uint64_t length, uint64_t options) {
    return Buffer::with_copy(bytes, length, options);
  }
  Object* buffer_without_copy(void* bytes, uint64_t length, uint64_t options, void* deallocator) {
    return Buffer::without_copy(bytes, length, options, deallocator);
  }
  Object* queue() { return new CommandQueue(64); }
  Object* queue_of(uint64_t most) { return new CommandQueue(most); }
  Object* event() { return new Event(false); }
  Object* shared_event() { return new Event(true); }
  Object* fence() { return new Fence; }
  Object* residency_set(Object*, Object** error) {
    if (system_version().major < 15) {
      misuse("-[MTLDevice newResidencySetWithDescriptor:error:] needs macOS 15.");
    }
    (void)error;
    return new ResidencySet;
  }
  Object* pipeline(ShaderFunction* function, Object** error) {
    if (!function) misuse("-[MTLDevice newComputePipelineStateWithFunction:error:]: the function is nil.");
    if (!function->function) return Error::report(error, "MTLComputePipelineErrorDomain", 1, function->failure);
    return new Pipeline(function->function);
  }
  Object* library(String* source, CompileOptions* options, Object** error) {
    return ShaderLibrary::from_source(source->text, options, error);
  }
  Object* library_of_file(String* path, Object** error);
  Object* library_at(Url* url, Object** error);
  Object* library_of_data(void* data, Object** error);
};

Device* the_device() {
  static auto* device = new Device;
  return device;
}

// ---- Buffers ----

Buffer::Buffer(void* data, uint64_t length, uint64_t options, bool owned)
    : Labelled(class_of<Buffer>()), data_(data), length_(length), options_(options), owned_(owned) {}

Buffer* Buffer::with_length(uint64_t length, uint64_t options) {
  if (length == 0 || length > the_device()->longest_buffer() || !reserve(length)) return nullptr;
  void* data = allocate_guarded(length, 16);
  if (!data) {
    allocated.fetch_sub(length);
    return nullptr;
  }
  // Metal clears new memory; a host that keeps freed buffers for reuse cannot count on it, so this one never may.
  std::memset(data, 0xFF, length);
  return new Buffer(data, length, options, true);
}
Buffer* Buffer::with_copy(const void* bytes, uint64_t length, uint64_t options) {
  Buffer* buffer = with_length(length, options);
  if (buffer) std::memcpy(buffer->data_, bytes, length);
  return buffer;
}
Buffer* Buffer::without_copy(void* bytes, uint64_t length, uint64_t options, void* deallocator) {
  auto page = static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
  if (length == 0 || length % page != 0 || reinterpret_cast<uintptr_t>(bytes) % page != 0) return nullptr;
  auto* buffer = new Buffer(bytes, length, options, false);
  if (deallocator) buffer->deallocator_ = _Block_copy(deallocator);
  return buffer;
}
Buffer::~Buffer() {
  if (owned_) {
    free_guarded(data_);
    allocated.fetch_sub(length_);
  }
  if (deallocator_) {
    using Block = void (^)(void*, uint64_t);
    reinterpret_cast<Block>(deallocator_)(data_, length_);
    _Block_release(deallocator_);
  }
}
Object* Buffer::device() { return the_device(); }
uint64_t Buffer::bytes_allocated() { return allocated.load(); }

// ---- Residency: what was added and removed counts from the next commit on. ----

void ResidencySet::add_all(Object* const* allocations, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) add(allocations[i]);
}
void ResidencySet::remove_all() {
  for (auto& [object, ref] : members_) remove(object);
}
void ResidencySet::commit() {
  for (auto& [adds, object] : changes_) {
    if (adds) {
      members_.emplace(object.get(), object);
    } else {
      members_.erase(object.get());
    }
  }
  changes_.clear();
}
uint64_t ResidencySet::bytes() const {
  uint64_t sum = 0;
  for (auto& [object, ref] : members_) {
    if (auto* buffer = dynamic_cast<Buffer*>(object)) sum += buffer->length();
  }
  return sum;
}

// ---- Libraries from bytes: shader text stands where a Mac has compiled code. ----

Object* Device::library_of_file(String* path, Object** error) {
  FILE* file = std::fopen(path->text.c_str(), "rb");
  if (!file) return Error::report(error, "MTLLibraryErrorDomain", 6, "There is no library at " + path->text + ".");
  std::string text;
  char piece[4096];
  for (size_t n; (n = std::fread(piece, 1, sizeof piece, file)) > 0;) text.append(piece, n);
  std::fclose(file);
  if (text.starts_with("MTLB")) {
    return Error::report(
        error, "MTLLibraryErrorDomain", 2, path->text + " was compiled for Apple's GPUs; the stand-in takes text.");
  }
  return ShaderLibrary::from_source(text, nullptr, error);
}
Object* Device::library_at(Url* url, Object** error) {
  auto path = Ref<String>::adopt(String::make(url->path));
  return library_of_file(path.get(), error);
}

namespace {
struct DispatchData {
  std::string bytes;
};
} // namespace

Object* Device::library_of_data(void* data, Object** error) {
  auto* bytes = static_cast<DispatchData*>(data);
  if (bytes->bytes.starts_with("MTLB")) {
    return Error::report(
        error, "MTLLibraryErrorDomain", 2, "The library was compiled for Apple's GPUs; the stand-in takes text.");
  }
  return ShaderLibrary::from_source(bytes->bytes, nullptr, error);
}

void define_device() {
  Definition("MTLArchitecture").method<&Architecture::name>("name");
  Definition("MTLFence").method<&Labelled::label>("label").method<&Labelled::set_label>("setLabel:");
  Definition("MTLDevice")
      .method<&Device::name>("name")
      .method<&Device::architecture>("architecture")
      .method<&Device::longest_buffer>("maxBufferLength")
      .method<&Device::working_set>("recommendedMaxWorkingSetSize")
      .method<&Device::allocated_size>("currentAllocatedSize")
      .method<&Device::threadgroup_memory>("maxThreadgroupMemoryLength")
      .method<&Device::threads_per_threadgroup>("maxThreadsPerThreadgroup")
      .method<&Device::registry_id>("registryID")
      .method<&Device::yes>("hasUnifiedMemory")
      .method<&Device::no>("isLowPower")
      .method<&Device::no>("isHeadless")
      .method<&Device::no>("isRemovable")
      .method<&Device::supports_family>("supportsFamily:")
      .method<&Device::buffer>("newBufferWithLength:options:")
      .method<&Device::buffer_with_bytes>("newBufferWithBytes:length:options:")
      .method<&Device::buffer_without_copy>("newBufferWithBytesNoCopy:length:options:deallocator:")
      .method<&Device::queue>("newCommandQueue")
      .method<&Device::queue_of>("newCommandQueueWithMaxCommandBufferCount:")
      .method<&Device::event>("newEvent")
      .method<&Device::shared_event>("newSharedEvent")
      .method<&Device::fence>("newFence")
      .method<&Device::residency_set>("newResidencySetWithDescriptor:error:")
      .method<&Device::pipeline>("newComputePipelineStateWithFunction:error:")
      .method<&Device::library>("newLibraryWithSource:options:error:")
      .method<&Device::library_of_file>("newLibraryWithFile:error:")
      .method<&Device::library_at>("newLibraryWithURL:error:")
      .method<&Device::library_of_data>("newLibraryWithData:error:");
  Definition("MTLBuffer")
      .method<&Buffer::contents>("contents")
      .method<&Buffer::length>("length")
      .method<&Buffer::length>("allocatedSize")
      .method<&Buffer::options>("resourceOptions")
      .method<&Buffer::storage_mode>("storageMode")
      .method<&Buffer::address>("gpuAddress")
      .method<&Buffer::device>("device")
      .method<&Buffer::did_modify>("didModifyRange:")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
  Definition("MTLResidencySetDescriptor")
      .creates<ResidencySetDescriptor>()
      .property<&ResidencySetDescriptor::capacity>("initialCapacity", "setInitialCapacity:")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
  Definition("MTLResidencySet")
      .method<&ResidencySet::add>("addAllocation:")
      .method<&ResidencySet::add_all>("addAllocations:count:")
      .method<&ResidencySet::remove>("removeAllocation:")
      .method<&ResidencySet::remove_all>("removeAllAllocations")
      .method<&ResidencySet::commit>("commit")
      .method<&ResidencySet::request>("requestResidency")
      .method<&ResidencySet::end>("endResidency")
      .method<&ResidencySet::contains>("containsAllocation:")
      .method<&ResidencySet::count>("allocationCount")
      .method<&ResidencySet::bytes>("allocatedSize")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
}

} // namespace mlx::core::metal_emulator::objc

using namespace mlx::core::metal_emulator::objc;

extern "C" {

void* MTLCreateSystemDefaultDevice() {
  const char* which = std::getenv("MLX_METAL_EMULATOR_DEVICE");
  return which && std::string_view(which) == "none" ? nullptr : the_device()->retain();
}
void* MTLCopyAllDevices() {
  Object* device = static_cast<Object*>(MTLCreateSystemDefaultDevice());
  auto* all = new Array;
  all->with_objects(&device, device ? 1 : 0);
  if (device) device->release();
  return all;
}

// Devices come and go on a Mac with an external one; here none does.
void* MTLCopyAllDevicesWithObserver(void** observer, void*) {
  if (observer) *observer = nullptr;
  return MTLCopyAllDevices();
}
void MTLRemoveDeviceObserver(void*) {}

void* dispatch_data_create(const void* bytes, size_t size, void*, void* destructor) {
  if (destructor) misuse("dispatch_data_create with a destructor: the stand-in only copies.");
  return new DispatchData{std::string(static_cast<const char*>(bytes), size)};
}
size_t dispatch_data_get_size(void* data) { return static_cast<DispatchData*>(data)->bytes.size(); }
void dispatch_release(void* object) { delete static_cast<DispatchData*>(object); }

} // extern "C"
