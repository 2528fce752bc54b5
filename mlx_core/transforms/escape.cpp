// A placeholder has no value of its own, so one that is kept could never be read: that is an error where it happens.
#include "mlx_core/transforms/escape.h"

#include <atomic>
#include <unordered_set>

#include "mlx_core/eval/background.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

std::atomic<void (*)()> collect_garbage{nullptr};

const array* kept_placeholder(const Frame& frame) {
  for (const array& placeholder : frame.placeholders()) {
    if (placeholder.node()->references.load(std::memory_order_acquire) > 1) {
      return &placeholder;
    }
  }
  return nullptr;
}

// Whether a transform that is open now will put something else in its place.
bool will_be_replaced(const array& placeholder) {
  for (const Frame* frame : Frame::open()) {
    if (frame->id() == placeholder.node()->level) {
      return !frame->returned;
    }
  }
  return false;
}

} // namespace

bool outlive_their_transform(std::span<const array> arrays) {
  std::unordered_set<const Node*> seen;
  std::vector<array> stack(arrays.begin(), arrays.end());
  InterruptPoll poll(4096);
  while (!stack.empty()) {
    poll();
    array top = std::move(stack.back());
    stack.pop_back();
    if (top.node()->level == 0 || top.is_available() || !seen.insert(top.node()).second) {
      continue;
    }
    if (!top.has_primitive() && !will_be_replaced(top)) {
      return true;
    }
    stack.insert(stack.end(), top.operands().begin(), top.operands().end());
  }
  return false;
}

void set_collect_garbage(void (*collect)()) { collect_garbage.store(collect); }

void check_escapes(const Frame& frame, const char* op, const char* remedy) {
  const array* kept = kept_placeholder(frame);
  if (!kept) {
    return;
  }
  if (void (*collect)() = collect_garbage.load()) {
    collect();
  } else {
    wait_for_background();
  }
  kept = kept_placeholder(frame);
  if (!kept) {
    return;
  }
  std::string place = origin_at(kept->node()->origin).place();
  fail(op, "an array inside the function (", frame.kind() == Frame::Kind::vmap ? "one lane, " : "", "shape ",
      kept->shape(), ", dtype ", kept->dtype(),
      "), or one computed from it, is still referenced after the function returned",
      place.empty() ? place : " (" + std::string(op) + " was called at " + place + ")", ". ", remedy);
}

} // namespace mlx::core
