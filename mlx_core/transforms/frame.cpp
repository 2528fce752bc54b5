// Opening and closing frames, and placeholders.
#include "mlx_core/transforms/frame.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "mlx_core/ops/linear.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

std::atomic<uint64_t> next_frame{1};
thread_local std::vector<Frame*> open_frames;
// To be done when no frame is open any more.
struct AtEnd {
  std::set<std::shared_ptr<const void>> kept;
  std::vector<std::weak_ptr<Frame::Forgetful>> forgetful;
  size_t next_look = 64; // for those that are gone already

  void add(const std::shared_ptr<Frame::Forgetful>& it) {
    if (forgetful.size() >= next_look) {
      std::erase_if(forgetful, [](const auto& other) { return other.expired(); });
      next_look = 2 * forgetful.size() + 64;
    }
    forgetful.push_back(it);
  }
  ~AtEnd() {
    for (const std::weak_ptr<Frame::Forgetful>& weak : forgetful) {
      if (std::shared_ptr<Frame::Forgetful> it = weak.lock()) {
        it->forget();
      }
    }
  }
};
thread_local std::unique_ptr<AtEnd> at_end;
AtEnd& needed_at_end() {
  if (!at_end) {
    at_end = std::make_unique<AtEnd>();
  }
  return *at_end;
}

// Of all threads: an array may be evaluated on another thread than the one that traces it.
struct OpenIds {
  std::mutex mutex;
  std::set<uint64_t> ids;
  void publish() {
    detail::oldest_open_frame.store(ids.empty() ? UINT64_MAX : *ids.begin(), std::memory_order_release);
  }
};
OpenIds& open_ids() {
  static OpenIds& instance = *new OpenIds;
  return instance;
}

// What a differentiated function is given: the primal itself, under another identity.
class Primal final : public Linear {
 public:
  const char* name() const override { return "Primal"; }
  EvalKind eval_kind() const override { return EvalKind::identity; }
  Dependence dependence() const override { return Dependence::elementwise; }
  Role role() const override { return Role::argument; }
  Specs infer(Operands operands) const override { return {{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    outputs[0].share(operands[0], operands[0].strides());
  }
  array transpose(const array& cotangent, const array&) const override { return cotangent; }
  Mapped vmap(Operands operands, const MapAxes& axes) const override { return {{operands[0]}, axes}; }
};

} // namespace

Frame::Frame(Kind kind) : kind_(kind), id_(next_frame.fetch_add(1)) {
  OpenIds& open = open_ids();
  {
    std::lock_guard lock(open.mutex);
    open.ids.insert(id_);
    open.publish();
  }
  open_frames.push_back(this);
}

Frame::~Frame() {
  open_frames.pop_back();
  std::unique_ptr<AtEnd> ended; // let go outside of the lock: it may be the user's
  if (open_frames.empty()) {
    ended = std::move(at_end);
  }
  OpenIds& open = open_ids();
  std::lock_guard lock(open.mutex);
  open.ids.erase(id_);
  open.publish();
}

const std::vector<Frame*>& Frame::open() { return open_frames; }

uint64_t Frame::outermost_reversed() {
  auto first = std::find_if(open_frames.begin(), open_frames.end(), [](const Frame* frame) { return frame->reverse; });
  return first == open_frames.end() ? UINT64_MAX : (*first)->id();
}

void Frame::keep(std::shared_ptr<const void> needed) {
  if (!open_frames.empty()) {
    needed_at_end().kept.insert(std::move(needed));
  }
}

void Frame::forget_later(const std::shared_ptr<Forgetful>& it) {
  if (!open_frames.empty()) {
    needed_at_end().add(it);
  }
}

array Frame::primal(const array& primal) {
  static const PrimitiveRef& identity = *new PrimitiveRef(make_primitive<Primal>());
  array placeholder = array::make(identity, Spec{primal.shape(), primal.dtype()}, {primal});
  placeholder.node()->level = id_;
  placeholders_.push_back(placeholder);
  return placeholder;
}

array Frame::abstract(const Shape& shape, Dtype dtype) {
  check_shape("array", shape);
  array placeholder = array::make(PrimitiveRef(), Spec{shape, dtype}, std::span<const array>());
  placeholder.node()->level = id_;
  placeholders_.push_back(placeholder);
  return placeholder;
}

array Frame::lane(const array& batched, int axis) {
  Shape shape = batched.shape();
  shape.erase(shape.begin() + axis);
  array placeholder = abstract(shape, batched.dtype());
  Node::Extra& extra = placeholder.node()->ensure_extra();
  extra.batched = batched;
  extra.batch_axis = axis;
  return placeholder;
}

} // namespace mlx::core
