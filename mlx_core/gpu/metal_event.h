// A timeline: numbered pieces of work, each pending until it ends well or badly, and the Metal event that counts them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "mlx_core/gpu/metal_device.h"

namespace mlx::core::gpu {

class Timeline {
 public:
  // `flush` hands the piece of that number to the device, if that has not happened.
  explicit Timeline(std::function<void(uint64_t)> flush = nullptr);
  MTL::SharedEvent* event() const { return event_.get(); }

  void begin(uint64_t number);
  // Marks it done, then wakes and calls who waits. A text says why it failed. Sets the Metal event in any case: work
  // that failed may not have done so.
  void finish(uint64_t number, const std::string& failure);
  bool is_done(uint64_t number) const;
  std::string failure(uint64_t number) const;
  size_t pending() const;
  void flush(uint64_t number) const {
    if (flush_) flush_(number);
  }
  // Interruptible.
  void wait(uint64_t number) const;
  bool wait_for_a_while(uint64_t number, std::chrono::milliseconds most) const;
  void wait_until_pending_below(size_t most) const;
  // Calls it when the piece is done: at once, or on the thread that finishes it.
  void then(uint64_t number, std::function<void()> next);

 private:
  NS::SharedPtr<MTL::SharedEvent> event_;
  std::function<void(uint64_t)> flush_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::set<uint64_t> pending_;
  uint64_t begun_ = 0;
  std::map<uint64_t, std::string> failures_;
  std::multimap<uint64_t, std::function<void()>> next_;
};

} // namespace mlx::core::gpu
