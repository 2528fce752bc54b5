// Evaluation of small steps that nobody else knows of: no other evaluation can come upon them, so that they are neither
// claimed nor grouped. The bits are those of an ordinary evaluation, which calls the same kernels.
#include <algorithm>
#include <vector>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/eval/at_once.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/eval/small_values.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

constexpr uint32_t most_steps = 4096;
constexpr int64_t most_reduced = 1024; // elements

class OwnSteps {
 public:
  ~OwnSteps() { clear(); }

  // Whether all that is to be computed for the roots is of this kind; puts it in order, operands first.
  bool collect(std::span<const array> roots, uint32_t held) {
    here_ = current_stream();
    for (const array& root : roots) {
      Node* node = root.node();
      if (node->available()) {
        if (node->operand_count != 0 || is_outstanding(node)) {
          return false;
        }
        continue;
      }
      if (node->pending > 16 * most_steps) { // which may count shared steps again and again
        return false;
      }
      uint32_t number = find(node);
      if (number == none) {
        if (!discover(node) || !walk()) {
          return false;
        }
        number = find(node);
      }
      Step& step = steps_[number];
      step.references += held + (step.is_root ? 0 : 1); // a handle's
      step.is_root = step.is_kept = true;
    }
    return std::all_of(steps_.begin(), steps_.end(),
        [](const Step& step) { return step.node->references.load(std::memory_order_acquire) <= step.references; });
  }

  void compute(Kernels& kernels) {
    InterruptHold to_its_end;
    SmallValues& values = small_values();
    values.begin(bytes_);
    for (uint32_t number : order_) {
      Step& step = steps_[number];
      if (step.node->primitive->eval_kind() == EvalKind::identity) {
        share(step.node, step.node->operands()[0].node());
      } else if (!step.way.kernel) {
        array self(as_array(step.node));
        step.node->primitive->eval(step.node->operands(), std::span<array>(&self, 1), kernels);
      } else {
        run(step, values);
      }
      if (step.is_kept) {
        step.node->state.store(Node::State::available, std::memory_order_release);
      }
    }
    for (size_t i = order_.size(); i-- > 0;) { // steps between go with the last that reads them
      if (Step& step = steps_[order_[i]]; step.is_root) {
        step.node->detach();
      }
    }
  }

  void clear() {
    for (const Step& step : steps_) {
      table_[step.cell] = none;
    }
    steps_.clear();
    order_.clear();
    open_.clear();
    bytes_ = 0;
  }

 private:
  static constexpr uint32_t none = UINT32_MAX, cells = 8192;
  struct Step {
    Node* node;
    uint32_t references; // that are known: edges from steps, and those of roots
    uint32_t cell;       // in the table
    Way way;             // of an elementwise step
    int64_t size;
    bool is_root = false;
    bool is_kept = false;                      // in memory of its own
    uint32_t operands[3] = {none, none, none}; // of an elementwise step: which steps these are
    SmallValues::Place place = {};
  };
  struct Open {
    uint32_t step, next; // operand
  };

  static array as_array(Node* node) {
    node->references.fetch_add(1, std::memory_order_relaxed);
    return array::from_node(node);
  }
  static void share(Node* node, const Node* operand) {
    node->buffer = operand->buffer;
    node->offset = operand->offset;
    node->strides = operand->strides;
    node->row_contiguous = operand->row_contiguous;
    std::copy(std::begin(operand->inline_value), std::end(operand->inline_value), node->inline_value);
  }
  static bool is_outstanding(const Node* node) {
    return node->buffer && node->buffer->writer.load(std::memory_order_acquire);
  }

  uint32_t& cell_of(const Node* node) {
    uint32_t cell = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(node) * 0x9e3779b97f4a7c15u >> 51);
    while (table_[cell] != none && steps_[table_[cell]].node != node) {
      cell = (cell + 1) % cells;
    }
    return table_[cell];
  }
  uint32_t find(const Node* node) { return cell_of(node); }

  bool discover(Node* node) {
    if (node->state.load(std::memory_order_acquire) != Node::State::lazy || !node->primitive || is_traced(*node) ||
        node->stream != here_ || node->operand_count == 0 || node->extra || steps_.size() == most_steps) {
      return false;
    }
    int64_t size = size_of(node->shape);
    if (size == 0 || size > most_small) {
      return false;
    }
    Way way{nullptr, false};
    EvalKind kind = node->primitive->eval_kind();
    if (kind == EvalKind::elementwise) {
      way = way_of(kernels_, node);
      if (!way.kernel) {
        return false;
      }
    } else if (kind == EvalKind::reduction) {
      if (size_of(node->operands()[0].shape()) > most_reduced) {
        return false;
      }
    } else if (kind != EvalKind::view && kind != EvalKind::identity) {
      return false;
    }
    uint32_t& cell = cell_of(node);
    cell = static_cast<uint32_t>(steps_.size());
    open_.push_back({cell, 0});
    steps_.push_back({node, 0, static_cast<uint32_t>(&cell - table_.data()), way, size, false, !way.kernel});
    return true;
  }

  // From the step that was discovered last.
  bool walk() {
    while (!open_.empty()) {
      Open& top = open_.back();
      Node* node = steps_[top.step].node;
      if (top.next == node->operand_count) {
        order_.push_back(top.step);
        bytes_ += SmallValues::bytes_of(steps_[top.step].size, node->dtype.size());
        open_.pop_back();
        continue;
      }
      uint32_t operand = top.next++, step = top.step; // discovering others moves `top`
      Node* from = node->operands()[operand].node();
      bool is_map = steps_[step].way.kernel != nullptr;
      if (from->available()) {
        if (is_outstanding(from)) {
          return false;
        }
        bytes_ += is_map ? SmallValues::bytes_of(steps_[step].size, from->dtype.size()) : 0;
        continue;
      }
      bool as_it_is = is_map && from->shape == node->shape;
      bytes_ += is_map ? SmallValues::bytes_of(steps_[step].size, from->dtype.size()) : 0;
      uint32_t number = find(from);
      if (number == none) {
        number = static_cast<uint32_t>(steps_.size());
        if (!discover(from)) {
          return false;
        }
      }
      if (is_map) {
        steps_[step].operands[operand] = number;
      }
      ++steps_[number].references;
      steps_[number].is_kept |= !as_it_is;
    }
    return true;
  }

  void run(Step& step, SmallValues& values) {
    Node* node = step.node;
    const void* in[3];
    bool whole = !step.is_kept;
    std::span<array> operands = node->operands();
    for (size_t k = 0; k < operands.size(); ++k) {
      const Node* from = operands[k].node();
      uint32_t made = step.operands[k];
      SmallValues::Place place = made == none || steps_[made].is_kept ? place_of(from, node->shape, step.size,
                                                                            values.take(step.size, from->dtype.size()))
                                                                      : steps_[made].place;
      in[k] = place.at;
      whole = whole && place.is_scratch;
    }
    char* out;
    if (step.is_kept) {
      node->buffer = allocate(static_cast<size_t>(step.size * node->dtype.size()));
      node->offset = 0;
      node->strides = row_major_strides(node->shape);
      out = static_cast<char*>(node->buffer->data);
    } else {
      out = values.take(step.size, node->dtype.size());
    }
    step.way.kernel(in, out, whole ? SmallValues::padded(step.size) : step.size);
    step.place = {out, !step.is_kept};
  }

  std::vector<Step> steps_;
  std::vector<uint32_t> order_;
  std::vector<Open> open_;
  std::vector<uint32_t> table_ = std::vector<uint32_t>(cells, none); // open addressing: numbers of steps by node
  int64_t bytes_ = 0;                                                // of scratch
  StreamNumber here_ = 0;
  const cpu::KernelTable& kernels_ = cpu::kernel_table();
};

// Each thread keeps its working memory.
OwnSteps& own_steps() {
  [[gnu::tls_model("initial-exec")]] static thread_local OwnSteps steps;
  return steps;
}

} // namespace

bool eval_own_steps(std::span<const array> roots, uint32_t held) {
  Kernels& kernels = kernels_on(current_stream());
  if (has_several_streams() || is_evaluating() || !KeptCalls::possible(kernels)) {
    return false;
  }
  OwnSteps& steps = own_steps();
  struct Clear {
    OwnSteps& steps;
    ~Clear() { steps.clear(); }
  } clear{steps};
  if (!steps.collect(roots, held)) {
    return false;
  }
  steps.compute(kernels);
  return true;
}

} // namespace mlx::core
