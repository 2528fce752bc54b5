// Views and small writes at once.
#include "mlx_core/eval/at_once.h"

#include "mlx_core/cpu/copy.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/donate.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

// Nobody may come and ask how the result was made.
bool is_plain(const Node& node) {
  StreamNumber here = current_stream();
  return node.operand_count == 0 && node.buffer && node.buffer->writer.load(std::memory_order_acquire) == 0 &&
         detail::oldest_open_frame.load(std::memory_order_acquire) == UINT64_MAX && !RecordingScope::op() &&
         KeptCalls::possible(kernels_on(here)) &&
         (node.stream == here || kernels_on(node.stream).device() == Device::cpu);
}

} // namespace

bool may_view_now(const array& x) {
  constexpr size_t worth_freeing = 1 << 16; // of more, a small view may get memory of its own: see memory.cpp
  const Node& node = *x.node();
  return node.available() && is_plain(node) &&
         (node.buffer->size < worth_freeing || !memory_is_tight(detail::bytes_in_use.load(std::memory_order_relaxed)));
}

array view_now(const array& x, int64_t offset, Shape shape, Strides strides) {
  const Node& node = *x.node();
  return array(node.buffer, node.offset + offset * x.itemsize(), std::move(shape), std::move(strides), x.dtype());
}

std::optional<array> repeated_number(const array& x) {
  PlanningLock lock(std::try_to_lock); // another thread may be about to evaluate it
  const array* a = &x;
  while (!a->is_available() && a->ndim() > 0) {
    const Node& node = *a->node();
    bool is_lazy = lock && node.state.load(std::memory_order_acquire) == Node::State::lazy;
    if (!is_lazy || node.level != 0 || !node.primitive || !node.primitive->keeps_order()) {
      return std::nullopt;
    }
    a = &a->operands()[0];
  }
  const Node& node = *a->node();
  if (node.level != 0 || (a->ndim() > 0 && !is_one_element(sizes_of(node.shape), node.strides))) {
    return std::nullopt;
  }
  return a->ndim() == 0 ? *a : view_now(*a, 0, Shape{}, Strides{});
}

namespace {

// Whether computing these takes no more than so many cheap steps on this thread's stream.
template <size_t most_steps>
bool are_cheap(std::span<const array> arrays) {
  constexpr int64_t most_elements = 1024;
  StreamNumber here = current_stream();
  const Node* steps[most_steps];
  size_t count = 0;
  PlanningLock lock(std::try_to_lock); // another thread may be about to evaluate them
  if (!lock) {
    return false;
  }
  auto add = [&](const array& x) {
    if (!x.is_available()) {
      if (count == most_steps) {
        return false;
      }
      steps[count++] = x.node();
    }
    return true;
  };
  for (const array& x : arrays) {
    if (!add(x)) {
      return false;
    }
  }
  for (size_t i = 0; i < count; ++i) {
    Node* node = const_cast<Node*>(steps[i]);
    if (node->state.load(std::memory_order_acquire) != Node::State::lazy || !node->primitive || node->stream != here) {
      return false;
    }
    EvalKind kind = node->primitive->eval_kind();
    if ((kind != EvalKind::elementwise && kind != EvalKind::view && kind != EvalKind::identity) ||
        size_of(node->shape) > most_elements) {
      return false;
    }
    for (const array& operand : node->operands()) {
      if (!add(operand)) {
        return false;
      }
    }
  }
  return true;
}

} // namespace

bool is_cheap(const array& x) { return !x.is_available() && are_cheap<6>({&x, 1}); }

bool may_be_evaluated_at_once(std::span<const array> arrays) {
  for (const array& a : arrays) {
    const Node& node = *a.node();
    if (node.available() && (node.operand_count != 0 || (node.buffer && node.buffer->writer.load()))) {
      return false;
    }
  }
  return !has_several_streams() && KeptCalls::possible(kernels_on(current_stream())) && are_cheap<16>(arrays);
}

bool may_soon_be_written(const array& x) {
  const Node& node = *x.node();
  return node.references.load(std::memory_order_acquire) == 1 && node.available() && node.row_contiguous &&
         is_plain(node) && !node.buffer->pinned;
}

bool may_write_now(const array& x) { return can_donate(*x.node()) && is_plain(*x.node()); }

void write_now(
    const array& x, int64_t offset, const Sizes& sizes, const Strides& strides, const void* elements, bool one) {
  auto itemsize = static_cast<size_t>(x.itemsize());
  char* to = static_cast<char*>(x.node()->data()) + offset * x.itemsize();
  int64_t count = View::size_of({sizes.begin(), sizes.size()});
  if (is_row_major(sizes, strides) && (!one || count == 1)) {
    cpu::copy_bytes(to, static_cast<const char*>(elements), static_cast<size_t>(count) * itemsize);
  } else {
    Strides from = one ? Strides(sizes.size(), 0) : row_major_strides(Shape(sizes.begin(), sizes.end()));
    cpu::copy_strided(elements, from, to, strides, sizes, x.itemsize());
  }
}

} // namespace mlx::core
