// eval: the public entry to evaluation.
#include <memory>
#include <vector>

#include "mlx_core/eval/at_once.h"
#include "mlx_core/eval/evaluation.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/eval/streams.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace detail {
std::atomic<uint64_t> oldest_open_frame{UINT64_MAX};
}
thread_local const RecordingScope* RecordingScope::innermost = nullptr;

namespace {

// Evaluations nest when a primitive evaluates its body; each depth of each thread keeps its working memory.
struct Depth {
  std::vector<std::unique_ptr<Evaluation>> evaluations;
  size_t depth = 0;
};
[[gnu::tls_model("initial-exec")]] thread_local Depth nesting;

// The evaluation object of the next depth, for as long as this lives.
class Nested {
 public:
  Nested() : nesting_(nesting) {
    if (nesting_.depth == nesting_.evaluations.size()) {
      nesting_.evaluations.push_back(std::make_unique<Evaluation>());
    }
    evaluation_ = nesting_.evaluations[nesting_.depth++].get();
  }
  ~Nested() { --nesting_.depth; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;
  Evaluation& operator*() const { return *evaluation_; }
  bool is_outermost() const { return nesting_.depth == 1; }

 private:
  Depth& nesting_;
  Evaluation* evaluation_;
};

// Waits for the nodes that others compute. False when one of them was given back, and is to be computed here.
bool wait_for_others(const Evaluation& evaluation) {
  bool all = true;
  for (const Node* node : evaluation.awaited()) {
    wait_until_left(node, node->owner.load(std::memory_order_relaxed));
    all = all && node->state.load(std::memory_order_acquire) != Node::State::lazy;
  }
  return all;
}

// A device may be asked for more than it has done; what is evaluated can be read.
void wait_for_devices(std::span<const array> arrays) {
  for (const array& a : arrays) {
    host_ready(*a.node());
  }
}

} // namespace

void eval(std::span<const array> arrays) {
  bool done = true;
  for (const array& a : arrays) {
    // One computed inside a transform kept its operands; the transform may be over.
    done = done && a.is_available() && (a.node()->operand_count == 0 || is_traced(*a.node()));
  }
  if (done) {
    wait_for_devices(arrays);
    return;
  }
  if (has_several_streams()) [[unlikely]] {
    begin_on_other_streams(arrays);
  }
  Nested nested;
  Evaluation& evaluation = *nested;
  Evaluating here(evaluation);
  std::vector<Node::Detached> dropped; // let go outside the lock
  for (;;) {
    {
      PlanningLock lock;
      for (const array& a : arrays) {
        if (a.is_available() && a.node()->operand_count != 0 && !is_traced(*a.node())) {
          dropped.push_back(a.node()->take_operands());
        }
      }
      evaluation.plan(arrays);
    }
    try {
      if (wait_for_others(evaluation)) {
        break;
      }
    } catch (...) {
      evaluation.abandon();
      throw;
    }
    evaluation.abandon();
  }
  evaluation.execute();
  if (nested.is_outermost()) { // what a body computes is read through raw_data, which waits by itself
    wait_for_devices(arrays);
  }
}

bool eval_if_cheap(std::span<const array> arrays) {
  if (is_evaluating() || !may_be_evaluated_at_once(arrays)) {
    return false;
  }
  Nested nested;
  Evaluation& evaluation = *nested;
  Evaluating here(evaluation, std::try_to_lock);
  if (!here.has_begun()) {
    return false;
  }
  {
    PlanningLock lock;
    evaluation.plan(arrays);
  }
  if (!evaluation.awaited().empty()) { // another thread came first
    evaluation.abandon();
    return false;
  }
  InterruptHold to_its_end;
  evaluation.execute(false);
  return true;
}

} // namespace mlx::core
