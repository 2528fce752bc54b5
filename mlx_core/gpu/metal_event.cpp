// Timelines, and the events that are points on them.
#include "mlx_core/gpu/metal_event.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::gpu {

namespace {
// Failures are remembered for events that are asked late; more than this many are not expected to be.
constexpr size_t most_failures = 1024;
} // namespace

Timeline::Timeline(std::function<void(uint64_t)> flush)
    : event_(NS::TransferPtr(device().newSharedEvent())), flush_(std::move(flush)) {}

void Timeline::begin(uint64_t number) {
  std::lock_guard lock(mutex_);
  pending_.insert(number);
  begun_ = std::max(begun_, number);
}

void Timeline::finish(uint64_t number, const std::string& failure) {
  std::vector<std::function<void()>> next;
  {
    std::lock_guard lock(mutex_);
    pending_.erase(number);
    if (!failure.empty()) {
      failures_[number] = failure;
      if (failures_.size() > most_failures) failures_.erase(failures_.begin());
    }
    uint64_t reached = pending_.empty() ? begun_ : *pending_.begin() - 1;
    if (reached > event_->signaledValue()) event_->setSignaledValue(reached);
    auto [first, end] = next_.equal_range(number);
    for (auto at = first; at != end; ++at) next.push_back(std::move(at->second));
    next_.erase(first, end);
    changed_.notify_all();
  }
  for (auto& call : next) call();
}

bool Timeline::is_done(uint64_t number) const {
  std::lock_guard lock(mutex_);
  return !pending_.contains(number);
}
std::string Timeline::failure(uint64_t number) const {
  std::lock_guard lock(mutex_);
  auto found = failures_.find(number);
  return found == failures_.end() ? "" : found->second;
}
size_t Timeline::pending() const {
  std::lock_guard lock(mutex_);
  return pending_.size();
}
void Timeline::wait(uint64_t number) const {
  std::unique_lock lock(mutex_);
  wait_interruptibly(changed_, lock, [&] { return !pending_.contains(number); });
}
void Timeline::wait_until_pending_below(size_t most) const {
  std::unique_lock lock(mutex_);
  wait_interruptibly(changed_, lock, [&] { return pending_.size() < most; });
}
bool Timeline::wait_for_a_while(uint64_t number, std::chrono::milliseconds most) const {
  auto until = std::chrono::steady_clock::now() + most;
  std::unique_lock lock(mutex_);
  wait_interruptibly(
      changed_, lock, [&] { return !pending_.contains(number) || std::chrono::steady_clock::now() > until; });
  return !pending_.contains(number);
}
void Timeline::then(uint64_t number, std::function<void()> next) {
  {
    std::lock_guard lock(mutex_);
    if (pending_.contains(number)) {
      next_.emplace(number, std::move(next));
      return;
    }
  }
  next();
}

bool Event::is_done() const { return !timeline_ || timeline_->is_done(value_); }
std::string Event::error() const { return timeline_ ? timeline_->failure(value_) : ""; }
void Event::wait() const {
  if (!timeline_) return;
  if (!timeline_->is_done(value_)) {
    timeline_->flush(value_);
    timeline_->wait(value_);
  }
  if (std::string failure = timeline_->failure(value_); !failure.empty()) throw DeviceError(failure);
}

HostEvent::HostEvent() : timeline_(std::make_shared<Timeline>()) { timeline_->begin(1); }
HostEvent::~HostEvent() { fail("[gpu] What the GPU was to wait for on the host was given up."); }
Event HostEvent::event() const { return Event(timeline_, 1); }
void HostEvent::signal() {
  if (!timeline_->is_done(1)) timeline_->finish(1, "");
}
void HostEvent::fail(const std::string& why) {
  if (!timeline_->is_done(1)) timeline_->finish(1, why);
}

} // namespace mlx::core::gpu
