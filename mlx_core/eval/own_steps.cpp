// Evaluation of small steps that nobody else knows of: no other evaluation can come upon them, so that they are neither
// claimed nor grouped. The bits are those of an ordinary evaluation, which calls the same kernels.
#include <algorithm>
#include <vector>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/eval/at_once.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/donate.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/eval/share.h"
#include "mlx_core/eval/small_values.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

constexpr uint32_t most_steps = 4096;
constexpr uint32_t most_works = 512; // that are no maps, reductions or views
constexpr int64_t most_read = 1024;  // elements

class OwnSteps {
 public:
  ~OwnSteps() { clear(); }

  // Whether all that is to be computed for the roots is of this kind; puts it in order, operands first.
  bool collect(std::span<const array> roots, uint32_t held) {
    here_ = current_stream();
    traced_ = detail::oldest_open_frame.load(std::memory_order_acquire);
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
        number = static_cast<uint32_t>(steps_.size());
        if (!discover(node) || !walk()) {
          return false;
        }
      }
      Step& step = steps_[number];
      if (!step.is_root) {
        roots_.push_back(number);
      }
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
      if (step.kernel) {
        run(step, values);
      } else if (step.node->primitive->eval_kind() == EvalKind::identity) {
        share_value(*step.node, *step.node->operands()[0].node());
      } else {
        Uncounted self(step.node);
        step.node->primitive->eval(step.node->operands(), std::span<array>(&self.value, 1), kernels);
      }
      if (step.is_kept) {
        step.node->state.store(Node::State::available, std::memory_order_release);
      }
    }
    for (size_t i = roots_.size(); i-- > 0;) { // steps between go with the last that reads them
      steps_[roots_[i]].node->detach();
    }
  }

  void clear() {
    steps_.clear();
    order_.clear();
    open_.clear();
    roots_.clear();
    bytes_ = 0;
    works_ = 0;
  }

 private:
  static constexpr uint32_t none = UINT32_MAX;
  struct Step {
    Node* node;
    cpu::Kernel kernel;  // of an elementwise step
    const char* at;      // in scratch, once it is computed there
    uint32_t references; // that are known: edges from steps, and those of roots
    int32_t size;
    uint32_t operands[3];  // of an elementwise step: which steps these are
    bool is_root, is_kept; // kept: in memory of its own
  };
  struct Open {
    uint32_t step, next; // operand
  };

  static bool is_outstanding(const Node* node) {
    return node->buffer && node->buffer->writer.load(std::memory_order_acquire);
  }

  // A node's note says which step it is, if it is one: those of earlier evaluations are never erased.
  uint32_t find(const Node* node) const {
    return node->note < steps_.size() && steps_[node->note].node == node ? node->note : none;
  }

  bool discover(Node* node) {
    if (node->state.load(std::memory_order_acquire) != Node::State::lazy || !node->primitive ||
        node->level >= traced_ || node->stream != here_ || node->extra || steps_.size() == most_steps) {
      return false;
    }
    int64_t size = size_of(node->shape);
    if (size == 0 || size > most_read) {
      return false;
    }
    cpu::Kernel kernel = nullptr;
    switch (node->primitive->eval_kind()) {
      case EvalKind::elementwise:
        kernel = size > most_small ? nullptr : way_of(kernels_, node).kernel;
        if (!kernel) {
          return false;
        }
        break;
      case EvalKind::general: ++works_; [[fallthrough]];
      case EvalKind::reduction:
        if (!is_small_work(*node)) {
          return false;
        }
        break;
      case EvalKind::view:
      case EvalKind::identity: break;
      default: return false;
    }
    auto number = static_cast<uint32_t>(steps_.size());
    node->note = number;
    open_.push_back({number, 0});
    bytes_ += kernel ? SmallValues::bytes_of(size, node->dtype.size()) : 0;
    steps_.push_back({node, kernel, nullptr, 0, static_cast<int32_t>(size), {none, none, none}, false, !kernel});
    return true;
  }

  // Where it is known how results depend on operands, the work is one for kernels: it evaluates nothing of its own, and
  // calls nobody. What can take over an operand's memory goes the ordinary way.
  bool is_small_work(Node& node) {
    Dependence dependence = node.primitive->dependence();
    if (dependence == Dependence::opaque || works_ > most_works) {
      return false;
    }
    int reusable = node.primitive->reusable_operand();
    if (reusable >= 0 && can_donate(*node.operands()[static_cast<size_t>(reusable)].node())) {
      return false;
    }
    bool special = dependence == Dependence::elementwise; // whose elements may take microseconds
    return std::all_of(node.operands().begin(), node.operands().end(),
        [&](const array& operand) { return size_of(operand.shape()) <= (special ? most_small : most_read); });
  }

  // From the step that was discovered last.
  bool walk() {
    while (!open_.empty()) {
      Open& top = open_.back();
      uint32_t number = top.step;
      Node* node = steps_[number].node;
      if (top.next == node->operand_count) {
        order_.push_back(number);
        open_.pop_back();
        continue;
      }
      uint32_t operand = top.next++; // discovering others moves `top`, and steps
      Node* from = node->operands()[operand].node();
      bool is_map = steps_[number].kernel;
      int32_t size = steps_[number].size;
      if (from->available()) {
        if (is_outstanding(from)) {
          return false;
        }
        bytes_ += is_map ? SmallValues::bytes_of(size, from->dtype.size()) : 0; // where it is not read as it lies
        continue;
      }
      uint32_t made = find(from);
      if (made == none) {
        made = static_cast<uint32_t>(steps_.size());
        if (!discover(from)) {
          return false;
        }
      }
      Step& step = steps_[made];
      ++step.references;
      step.is_kept |= !is_map || step.size != size; // as many elements lie as they are read
      if (is_map) {
        steps_[number].operands[operand] = made;
        bytes_ += SmallValues::bytes_of(size, from->dtype.size()); // if it is kept
      }
    }
    return true;
  }

  void run(Step& step, SmallValues& values) {
    Node* node = step.node;
    const void* in[3];
    bool whole = !step.is_kept;
    for (size_t k = 0; k < node->operand_count; ++k) {
      if (uint32_t made = step.operands[k]; made != none && !steps_[made].is_kept) {
        in[k] = steps_[made].at;
        continue;
      }
      const Node* from = node->operand_storage()[k].node();
      SmallValues::Place place = place_of(from, node->shape, step.size, values.next());
      if (place.is_scratch) {
        values.take(step.size, from->dtype.size());
      }
      in[k] = place.at;
      whole = whole && place.is_scratch;
    }
    if (step.is_kept) {
      node->buffer = allocate(static_cast<size_t>(step.size * node->dtype.size()));
      node->offset = 0;
      node->strides = row_major_strides(node->shape);
      step.kernel(in, node->buffer->data, step.size);
    } else {
      char* out = values.take(step.size, node->dtype.size());
      step.kernel(in, out, whole ? SmallValues::padded(step.size) : step.size);
      step.at = out;
    }
  }

  std::vector<Step> steps_;
  std::vector<uint32_t> order_, roots_;
  std::vector<Open> open_;
  int64_t bytes_ = 0; // of scratch
  uint32_t works_ = 0;
  StreamNumber here_ = 0;
  uint64_t traced_ = 0; // the level from which on nodes belong to a transform
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
  {
    PlanningLock lock(std::try_to_lock); // another thread may be about to evaluate some of them
    if (!lock || !steps.collect(roots, held)) {
      return false;
    }
  }
  try {
    steps.compute(kernels);
  } catch (...) { // an ordinary evaluation finds it again, and what is to be said and done about it
    return false;
  }
  return true;
}

} // namespace mlx::core
