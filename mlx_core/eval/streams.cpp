// Cutting a graph at its changes of stream.
#include "mlx_core/eval/streams.h"

#include <map>
#include <unordered_map>

#include "mlx_core/eval/background.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

class StreamCut {
 public:
  explicit StreamCut(StreamNumber own) : own_(own) {}

  // Operands first, without recursion.
  void visit(const array& root) {
    push(root.node());
    while (!stack_.empty()) {
      auto& [node, next] = stack_.back();
      if (next < node->operand_count) {
        push(node->operand_storage()[next++].node());
      } else {
        leave(node);
        stack_.pop_back();
      }
    }
    if (root.node()->stream != own_ && is_open(root.node())) {
      elsewhere[root.node()->stream].push_back(root);
    }
  }

  std::map<StreamNumber, std::vector<array>> elsewhere;
  std::vector<array> here; // of the own stream, what waits for no other and is read by what does

 private:
  enum class Waits : uint8_t { open, no, for_others };

  static bool is_open(const Node* node) { return node->state.load(std::memory_order_acquire) == Node::State::lazy; }

  void push(Node* node) {
    if (is_open(node) && node->primitive && waits_.try_emplace(node, Waits::open).second) {
      stack_.push_back({node, 0});
    }
  }

  void leave(Node* node) {
    bool waits = false;
    for (const array& operand : node->operands()) {
      auto found = waits_.find(operand.node());
      if (found == waits_.end()) {
        continue;
      }
      if (operand.node()->stream != node->stream) {
        waits = true;
        if (node->stream == own_) {
          elsewhere[operand.node()->stream].push_back(operand);
        }
      }
      waits = waits || found->second == Waits::for_others;
    }
    waits_[node] = waits ? Waits::for_others : Waits::no;
    for (const array& operand : node->operands()) {
      auto found = waits_.find(operand.node());
      if (waits && node->stream == own_ && found != waits_.end() && found->second == Waits::no &&
          operand.node()->stream == own_) {
        here.push_back(operand);
      }
    }
  }

  StreamNumber own_;
  std::vector<std::pair<Node*, uint32_t>> stack_;
  std::unordered_map<const Node*, Waits> waits_;
};

} // namespace

void begin_on_other_streams(std::span<const array> roots) {
  if (is_evaluating() || is_eval_observed()) { // a body of something that is on its stream; or watched step by step
    return;
  }
  StreamCut cut(roots[0].node()->stream);
  {
    PlanningLock lock;
    for (const array& root : roots) {
      cut.visit(root);
    }
  }
  if (cut.elsewhere.empty()) {
    return;
  }
  for (auto& [stream, arrays] : cut.elsewhere) {
    compute_in_background(std::move(arrays), stream);
  }
  if (!cut.here.empty()) {
    try {
      eval(std::span<const array>(cut.here));
    } catch (const Interrupted&) {
      throw;
    } catch (...) { // kept by the arrays
    }
  }
}

} // namespace mlx::core
