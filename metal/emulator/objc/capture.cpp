// The capture manager of the stand-in: a capture is a text file with a line for each dispatch.
#include <cstdio>

#include "metal/emulator/objc/metal.h"

namespace mlx::core::metal_emulator::objc {

namespace {

struct Capture {
  std::mutex mutex;
  std::FILE* file = nullptr;
  std::atomic<bool> open{false};
};
Capture& capture() {
  static Capture& instance = *new Capture;
  return instance;
}

class CaptureDescriptor final : public Object {
 public:
  static constexpr const char* class_name = "MTLCaptureDescriptor";
  CaptureDescriptor() : Object(class_of<CaptureDescriptor>()) {}
  Ref<Object> object;
  Ref<Url> url;
  int64_t destination = 1;
  void set_object(Object* value) { object = Ref<Object>(value); }
  void set_url(Url* value) { url = Ref<Url>(value); }
};

class CaptureManager final : public Object {
 public:
  static constexpr const char* class_name = "MTLCaptureManager";
  CaptureManager() : Object(class_of<CaptureManager>()) {}
  bool supports(int64_t destination) const { return destination == 2; } // a file
  bool start(CaptureDescriptor* descriptor, Object** error) {
    Capture& c = capture();
    std::lock_guard lock(c.mutex);
    auto refuse = [&](const std::string& why) {
      Error::report(error, "MTLCaptureError", 1, why);
      return false;
    };
    if (c.file) return refuse("A capture is already open.");
    if (!descriptor->object) return refuse("The capture has no object.");
    if (descriptor->destination != 2 || !descriptor->url) return refuse("The stand-in captures into files only.");
    c.file = std::fopen(descriptor->url->path.c_str(), "wbx");
    if (!c.file) return refuse("The file " + descriptor->url->path + " exists, or cannot be written.");
    c.open.store(true);
    return true;
  }
  void stop() {
    Capture& c = capture();
    std::lock_guard lock(c.mutex);
    c.open.store(false);
    if (c.file) std::fclose(std::exchange(c.file, nullptr));
  }
  bool is_capturing() const { return capture().open.load(); }
};

Object* shared_manager() {
  static auto* instance = new CaptureManager;
  return instance;
}

} // namespace

void trace(const std::function<std::string()>& line) {
  Capture& c = capture();
  if (!c.open.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(c.mutex);
  if (c.file) std::fprintf(c.file, "%s\n", line().c_str());
}

void define_capture() {
  Definition("MTLCaptureDescriptor")
      .creates<CaptureDescriptor>()
      .method<&CaptureDescriptor::set_object>("setCaptureObject:")
      .method<&CaptureDescriptor::set_url>("setOutputURL:")
      .property<&CaptureDescriptor::destination>("destination", "setDestination:");
  Definition("MTLCaptureManager")
      .class_method<&shared_manager>("sharedCaptureManager")
      .method<&CaptureManager::supports>("supportsDestination:")
      .method<&CaptureManager::start>("startCaptureWithDescriptor:error:")
      .method<&CaptureManager::stop>("stopCapture")
      .method<&CaptureManager::is_capturing>("isCapturing");
}

} // namespace mlx::core::metal_emulator::objc
