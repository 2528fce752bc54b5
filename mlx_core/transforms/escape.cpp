// A placeholder has no value of its own, so one that is kept could never be read: that is an error where it happens.
#include "mlx_core/transforms/escape.h"

#include <atomic>

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

} // namespace

void set_collect_garbage(void (*collect)()) { collect_garbage.store(collect); }

void check_escapes(const Frame& frame, const char* op, const char* remedy) {
  const array* kept = kept_placeholder(frame);
  if (!kept) {
    return;
  }
  if (void (*collect)() = collect_garbage.load()) {
    collect();
    kept = kept_placeholder(frame);
    if (!kept) {
      return;
    }
  }
  std::string place = origin_at(kept->node()->origin).place();
  fail(op, "an array inside the function (", frame.kind() == Frame::Kind::vmap ? "one lane, " : "", "shape ",
      kept->shape(), ", dtype ", kept->dtype(),
      "), or one computed from it, is still referenced after the function returned",
      place.empty() ? place : " (" + std::string(op) + " was called at " + place + ")", ". ", remedy);
}

} // namespace mlx::core
