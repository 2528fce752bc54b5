// Events of the stand-in: a number that only grows, which queues and the host set and wait for.
#include "metal/emulator/objc/metal.h"

namespace mlx::core::metal_emulator::objc {

Event::Event(bool shared) : Labelled(class_named(shared ? "MTLSharedEvent" : "MTLEvent")) {}

uint64_t Event::value() const {
  std::lock_guard lock(mutex_);
  return value_;
}
void Event::set_value(uint64_t value) {
  std::lock_guard lock(mutex_);
  value_ = value;
  changed_.notify_all();
}
void Event::signal(uint64_t value) {
  std::lock_guard lock(mutex_);
  value_ = std::max(value_, value);
  changed_.notify_all();
}
bool Event::wait(uint64_t value, uint64_t milliseconds) {
  std::unique_lock lock(mutex_);
  auto until = std::chrono::system_clock::now() + std::chrono::milliseconds(std::min<uint64_t>(milliseconds, 1u << 30));
  return changed_.wait_until(lock, until, [&] { return value_ >= value; });
}
Object* Event::device() { return reinterpret_cast<Object*>(the_device()); }

void define_events() {
  Definition("MTLEvent")
      .method<&Event::device>("device")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
  Definition("MTLSharedEvent", "MTLEvent")
      .method<&Event::value>("signaledValue")
      .method<&Event::set_value>("setSignaledValue:")
      .method<&Event::wait>("waitUntilSignaledValue:timeoutMS:");
}

} // namespace mlx::core::metal_emulator::objc
