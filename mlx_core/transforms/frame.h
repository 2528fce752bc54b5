// Frames: the transforms that are open on this thread, and the placeholders they hand to the function.
#pragma once

#include <memory>
#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

class Frame {
 public:
  enum class Kind : uint8_t { differentiate, vmap, trace };

  explicit Frame(Kind kind);
  ~Frame();
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  Kind kind() const { return kind_; }
  uint64_t id() const { return id_; }
  // Of a vmap.
  Dim lanes = 0;
  Randomness randomness = Randomness::different;
  // Of a trace: whether what is recorded is differentiated where its arguments are.
  bool passes_derivatives = false;
  // Of a differentiation: whether nodes made now will be walked backwards by it.
  bool reverse = false;
  // Of a vmap: the function has returned. Its lanes have done their work, and nothing may use them any more.
  bool returned = false;

  // The identity of `primal`, distinct from it, so that a function may also capture what it is given.
  array primal(const array& primal);
  // One lane of `batched`, which has its lanes along axis.
  array lane(const array& batched, int axis);
  // An array of this shape and dtype without a value.
  array abstract(const Shape& shape, Dtype dtype);

  // The placeholders made so far.
  const std::vector<array>& placeholders() const { return placeholders_; }

  // The frames open on this thread, outermost first.
  static const std::vector<Frame*>& open();
  // Whether nodes made now will be walked backwards: what a derivative needs of them may be kept.
  static bool will_reverse() { return outermost_reversed() != UINT64_MAX; }
  // The id of the first of these frames, which those nodes have as their level at least; UINT64_MAX: there is none.
  static uint64_t outermost_reversed();
  // Keeps `needed` until no frame is open on this thread. Nothing is kept when none is open now.
  static void keep(std::shared_ptr<const void> needed);
  // Calls forget() then, if it is still there.
  struct Forgetful {
    virtual ~Forgetful() = default;
    virtual void forget() = 0;
  };
  static void forget_later(const std::shared_ptr<Forgetful>& it);

 private:
  Kind kind_;
  uint64_t id_;
  std::vector<array> placeholders_;
};

} // namespace mlx::core
