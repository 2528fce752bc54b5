// Evaluation of a few small elementwise steps that nobody else knows of: no other evaluation can come upon them, so that
// they are neither claimed nor grouped. The bits are those of an ordinary evaluation, which calls the same kernels.
#include <algorithm>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/eval/at_once.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/eval/small_values.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

constexpr size_t most_steps = 16;

struct Step {
  Node* node;
  uint32_t references; // that are known: edges from steps, and those of roots
  Way way;
  bool is_root;
  SmallValues::Place place; // of its elements, once computed
};

class OwnSteps {
 public:
  // Operands first. False where something is more than that.
  bool collect(std::span<const array> roots, uint32_t held) {
    for (const array& root : roots) {
      Node* node = root.node();
      if (node->available()) {
        if (node->operand_count != 0 || (node->buffer && node->buffer->writer.load(std::memory_order_acquire))) {
          return false;
        }
        continue;
      }
      Step* step = find(node);
      bool is_new = !step || !step->is_root;
      if (!step && !(step = add(node, 0))) {
        return false;
      }
      step->references += held + (is_new ? 1 : 0); // a handle's, and those of the span where it has copies
      step->is_root = true;
    }
    return std::all_of(steps_, steps_ + count_, [](const Step& step) {
      return step.node->references.load(std::memory_order_acquire) <= step.references;
    });
  }

  void compute() {
    SmallValues& values = small_values();
    int64_t widest = 0;
    for (size_t i = 0; i < count_; ++i) {
      widest = std::max(widest, sizes_[i]);
    }
    values.begin(count_ * 4, widest);
    for (size_t i = 0; i < count_; ++i) {
      run(steps_[i], sizes_[i], values);
    }
    // Nothing can fail any more. Steps between go with the last that reads them.
    for (size_t i = count_; i-- > 0;) {
      if (steps_[i].is_root) {
        steps_[i].node->detach();
        steps_[i].node->state.store(Node::State::available, std::memory_order_release);
      }
    }
  }
  // After a failure: as if nothing had been done.
  void undo() noexcept {
    for (size_t i = 0; i < count_; ++i) {
      steps_[i].node->buffer = BufferRef();
    }
  }

 private:
  Step* find(const Node* node) {
    Step* found = std::find_if(steps_, steps_ + count_, [&](const Step& step) { return step.node == node; });
    return found == steps_ + count_ ? nullptr : found;
  }

  Step* add(Node* node, int depth) {
    if (node->state.load(std::memory_order_acquire) != Node::State::lazy || !node->primitive || is_traced(*node) ||
        node->stream != here_ || node->operand_count == 0 || node->extra || depth == static_cast<int>(most_steps)) {
      return nullptr;
    }
    if (node->primitive->eval_kind() != EvalKind::elementwise) {
      return nullptr;
    }
    int64_t size = size_of(node->shape);
    Way way = way_of(table_, node);
    if (size == 0 || size > most_small || !way.kernel) {
      return nullptr;
    }
    for (const array& operand : node->operands()) {
      Node* from = operand.node();
      if (from->available()) {
        if (from->buffer && from->buffer->writer.load(std::memory_order_acquire)) {
          return nullptr;
        }
        continue;
      }
      Step* step = find(from);
      if (!step) {
        step = add(from, depth + 1);
      }
      if (!step || !(from->shape == node->shape)) {
        return nullptr;
      }
      ++step->references;
    }
    if (count_ == most_steps) {
      return nullptr;
    }
    sizes_[count_] = size;
    steps_[count_] = {node, 0, way, false, {}};
    return &steps_[count_++];
  }

  void run(Step& step, int64_t size, SmallValues& values) {
    Node* node = step.node;
    const void* in[3];
    bool whole = !step.is_root;
    std::span<array> operands = node->operands();
    for (size_t k = 0; k < operands.size(); ++k) {
      const Step* made = operands[k].node()->available() ? nullptr : find(operands[k].node());
      SmallValues::Place place =
          made ? made->place : place_of(operands[k].node(), node->shape, size, values.take());
      in[k] = place.at;
      whole = whole && place.is_scratch;
    }
    char* out;
    if (step.is_root) {
      node->buffer = allocate(static_cast<size_t>(size * node->dtype.size()));
      node->offset = 0;
      node->strides = row_major_strides(node->shape);
      out = static_cast<char*>(node->buffer->data);
    } else {
      out = values.take();
    }
    step.way.kernel(in, out, whole ? SmallValues::padded(size) : size);
    step.place = {out, !step.is_root};
  }

  Step steps_[most_steps];
  int64_t sizes_[most_steps];
  size_t count_ = 0;
  StreamNumber here_ = current_stream();
  const cpu::KernelTable& table_ = cpu::kernel_table();
};

} // namespace

bool eval_own_steps(std::span<const array> roots, uint32_t held) {
  OwnSteps steps;
  if (has_several_streams() || is_evaluating() || !KeptCalls::possible(kernels_on(current_stream())) ||
      !steps.collect(roots, held)) {
    return false;
  }
  try {
    steps.compute();
  } catch (...) {
    steps.undo();
    throw;
  }
  return true;
}

} // namespace mlx::core
