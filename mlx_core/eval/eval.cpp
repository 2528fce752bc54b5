// eval: walks the graph without recursion, hands elementwise runs to groups, and computes everything else in order.
#include <pthread.h>
#include <chrono>
#include <mutex>
#include <vector>

#include "mlx_core/environment.h"
#include "mlx_core/eval/background.h"
#include "mlx_core/eval/fork.h"
#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace detail {
std::atomic<uint64_t> oldest_open_frame{UINT64_MAX};
}
thread_local const char* RecordingScope::innermost = nullptr;

namespace {

// One evaluation at a time: it owns the scratch fields of all nodes. Recursive, because a primitive with a body
// evaluates it.
std::recursive_timed_mutex& eval_mutex() {
  alignas(std::recursive_timed_mutex) static unsigned char storage[sizeof(std::recursive_timed_mutex)];
  static std::recursive_timed_mutex* const mutex = [] {
    check_environment();
    get_active_memory(); // the allocator's own handlers are registered first, hence run inside these
    // The forking thread takes part: it waits for the evaluation in progress. In the child the thread has another
    // identity, and could not unlock what it locked, so the mutex is made anew.
    pthread_atfork(prepare_fork, after_fork, [] { new (storage) std::recursive_timed_mutex; });
    return new (storage) std::recursive_timed_mutex;
  }();
  return *mutex;
}

constexpr int32_t unseen = -1;
constexpr int32_t on_stack = -2;

class Evaluation {
 public:
  void run(std::span<const array> roots) {
    try {
      for (const array& root : roots) {
        visit(root.node());
      }
      for (size_t i = 0; i < order_.size(); ++i) {
        compute(order_[i]);
      }
      flush_all();
    } catch (const Interrupted&) {
      for (Frame& frame : stack_) {
        frame.node->eval_index = unseen;
      }
      stack_.clear();
      abandon();
      first_error_ = nullptr;
      throw;
    }
    order_.clear();
    if (first_error_) {
      std::rethrow_exception(std::exchange(first_error_, nullptr));
    }
  }

 private:
  struct Frame {
    Node* node;
    uint32_t next;
  };

  // Appends the lazy nodes behind `root`, operands first.
  void visit(Node* root) {
    push(root);
    InterruptPoll poll(4096);
    while (!stack_.empty()) {
      poll();
      Frame& top = stack_.back();
      if (top.next < top.node->operand_count) {
        push(top.node->operand_storage()[top.next++].node());
      } else {
        top.node->eval_index = static_cast<int32_t>(order_.size());
        order_.push_back(top.node);
        stack_.pop_back();
      }
    }
  }

  void push(Node* node) {
    Node::State state = node->state.load(std::memory_order_acquire);
    if (node->eval_index != unseen || state == Node::State::available) {
      return;
    }
    if (state == Node::State::failed) { // what depends on it fails with the same error
      first_error_ = first_error_ ? first_error_ : node->extra->error;
      return;
    }
    if (!node->primitive) {
      for (Frame& frame : stack_) {
        frame.node->eval_index = unseen;
      }
      stack_.clear();
      abandon();
      first_error_ = nullptr;
      if (node->extra && node->extra->batched) {
        fail("eval", "this array stands for one lane of a vmap over ", node->extra->batched->shape(), " (axis ",
            node->extra->batch_axis,
            "): it has no single value. Inside a vmapped function use mx.where instead of a "
            "Python condition, and do not keep per-lane arrays after it returns.");
      }
      if (const char* op = RecordingScope::op()) {
        fail<NoValue>(op, "the function reads the value of an array that depends on its arguments (one of shape ",
            node->shape, ", dtype ", node->dtype,
            "). It runs once, to be recorded, when they have no values. Use mx.where or mx.cond instead of a Python "
            "condition, and mx.while_loop, mx.fori_loop or mx.scan instead of a Python loop over values.");
      }
      fail<NoValue>("eval",
          "this array was made while a function was recorded, and has no value outside of it. Return from the function "
          "what you want to keep.");
    }
    node->eval_index = on_stack;
    stack_.push_back({node, 0});
  }

  void compute(Node* node) {
    if (!node) {
      return;
    }
    std::exception_ptr error;
    for (const array& operand : node->operands()) {
      if (operand.node()->state.load(std::memory_order_relaxed) == Node::State::failed) {
        error = operand.node()->extra->error;
      }
    }
    if (error) {
      set_failed(node, error);
      return;
    }
    try {
      switch (node->primitive->eval_kind()) {
        case EvalKind::elementwise: join_group(node); return;
        case EvalKind::identity:
          if (Group* group = group_of(node->operands()[0].node())) {
            if (!group->is_full() && is_member(*group, node->operands()[0].node())) {
              group->add(node);
              return;
            }
            flush(*group);
            compute(node);
            return;
          }
          share_operand(node);
          break;
        case EvalKind::reduction: {
          Node* operand = node->operands()[0].node();
          Group* group = group_of(operand);
          if (group && is_member(*group, operand) && group->add_sink(node)) {
            return;
          }
          [[fallthrough]];
        }
        default:
          if (flush_operands(node)) { // a failure there decides this node too
            compute(node);
            return;
          }
          throw_if_interrupted();
          if (is_eval_observed()) [[unlikely]] {
            observed_pass(std::span<Node* const>(&node, 1), [&] { apply(node); });
          } else {
            apply(node);
          }
      }
      finish(node);
    } catch (const Interrupted&) {
      throw;
    } catch (...) {
      set_failed(node, std::current_exception());
    }
  }

  static void apply(Node* node) {
    node->references.fetch_add(1, std::memory_order_relaxed);
    array self = array::from_node(node);
    if (node->extra && !node->extra->outputs.empty()) {
      std::vector<array>& outputs = node->extra->outputs;
      node->primitive->eval_cpu(node->operands(), outputs);
      for (array& output : outputs) {
        output.node()->state.store(Node::State::available, std::memory_order_release);
      }
    } else {
      node->primitive->eval_cpu(node->operands(), std::span<array>(&self, 1));
    }
  }

  static void share_operand(Node* node) {
    Node* operand = node->operands()[0].node();
    node->buffer = operand->buffer;
    node->offset = operand->offset;
    node->strides = operand->strides;
    node->row_contiguous = operand->row_contiguous;
    std::copy(std::begin(operand->inline_value), std::end(operand->inline_value), node->inline_value);
  }

  // --- groups ---

  Group* group_of(const Node* node) {
    if (node->eval_group < 0) {
      return nullptr;
    }
    for (Group& group : groups_) {
      if (group.id == node->eval_group) {
        return &group;
      }
    }
    return nullptr;
  }
  // Members are elementwise; a sink's value exists only after the group ran.
  static bool is_member(const Group& group, const Node* node) {
    return node->eval_group == group.id && node->primitive->eval_kind() != EvalKind::reduction;
  }

  void join_group(Node* node) {
    Group* home = nullptr;
    for (const array& operand : node->operands()) {
      Group* group = group_of(operand.node());
      if (!group) {
        continue;
      }
      if (is_member(*group, operand.node()) && group->shape == node->shape && !group->is_full()) {
        home = group;
      } else {
        flush(*group);
        compute(node); // its operands are computed, or failed
        return;
      }
    }
    if (!home) {
      home = group_for(node->shape);
    }
    home->add(node);
    if (is_eval_op_by_op()) [[unlikely]] {
      flush(*home);
    }
  }

  Group* group_for(const Shape& shape) {
    Group* unused = nullptr;
    for (Group& group : groups_) {
      if (!group.is_open()) {
        unused = unused ? unused : &group;
      } else if (group.shape == shape) {
        if (!group.is_full()) {
          return &group;
        }
        flush(group);
        unused = &group;
      }
    }
    if (!unused) {
      unused = &groups_[next_victim_++ % std::size(groups_)];
      flush(*unused);
    }
    static int32_t next_id = 0; // under the mutex
    next_id = (next_id + 1) & 0x7fffffff;
    unused->open(next_id, shape);
    return unused;
  }

  // True when something had to be computed.
  bool flush_operands(Node* node) {
    bool any = false;
    for (const array& operand : node->operands()) {
      if (Group* group = group_of(operand.node())) {
        flush(*group);
        any = true;
      }
    }
    return any;
  }

  void flush_all() {
    for (Group& group : groups_) {
      if (group.is_open()) {
        flush(group);
      }
    }
  }

  void flush(Group& group) {
    throw_if_interrupted();
    std::exception_ptr error;
    bool interrupted = false;
    try {
      if (is_eval_observed()) [[unlikely]] {
        observed_pass(group.all_nodes(), [&] { group.run(); });
      } else {
        group.run();
      }
    } catch (const Interrupted&) {
      if (!group.has_donated()) { // abandon() leaves its nodes lazy
        throw;
      }
      // What they would be computed from again is half overwritten.
      error = std::make_exception_ptr(std::runtime_error(
          "[eval] The computation of this array was interrupted after it had begun to overwrite what it is computed "
          "from; make the array again."));
      interrupted = true;
    } catch (...) {
      error = std::current_exception();
    }
    // Letting a node's operands go can free earlier members, which are behind us: operands come first in the lists.
    for (std::vector<Node*>* list : {&group.members, &group.sinks}) {
      for (Node* node : *list) {
        if (error) {
          node->buffer = BufferRef();
          set_failed(node, error);
        } else if (Group::was_computed(node)) {
          finish(node);
        } else {
          forget(node);
        }
      }
    }
    group.close();
    if (interrupted) {
      first_error_ = nullptr;
      throw Interrupted();
    }
  }

  // --- leaving the evaluation ---

  void forget(Node* node) {
    order_[static_cast<size_t>(node->eval_index)] = nullptr;
    node->eval_index = unseen;
    node->eval_group = -1;
    node->eval_uses = 0;
    node->eval_slot = -1;
  }

  void finish(Node* node) {
    forget(node);
    node->state.store(Node::State::available, std::memory_order_release);
    if (!is_traced(*node)) {
      node->detach();
    }
  }

  void set_failed(Node* node, std::exception_ptr error) {
    forget(node);
    node->ensure_extra().error = error;
    node->state.store(Node::State::failed, std::memory_order_release);
    if (!first_error_) {
      first_error_ = error;
    }
  }

  void abandon() {
    for (Group& group : groups_) {
      group.close();
    }
    for (Node* node : order_) {
      if (node) {
        node->buffer = BufferRef(); // it may have been allocated when the interrupt came
        forget(node);
      }
    }
    order_.clear();
  }

  std::vector<Node*> order_; // null once a node has left
  std::vector<Frame> stack_;
  Group groups_[4];
  size_t next_victim_ = 0;
  std::exception_ptr first_error_;
};

// Evaluations nest when a primitive evaluates its body; each depth keeps its own working memory.
struct Depth {
  std::vector<std::unique_ptr<Evaluation>> evaluations;
  size_t depth = 0;
};
Depth& depth() {
  static Depth& instance = *new Depth;
  return instance;
}

} // namespace

void hold_evaluation() {
  std::recursive_timed_mutex& mutex = eval_mutex();
  if (mutex.try_lock()) {
    return;
  }
  // By the system's clock: the thread sanitizer does not know waits by the other one.
  while (!mutex.try_lock_until(std::chrono::system_clock::now() + std::chrono::milliseconds(10))) {
    throw_if_interrupted();
  }
}
void release_evaluation() { eval_mutex().unlock(); }

void prepare_fork() {
  pause_background();
  eval_mutex().lock();
}
void after_fork() {
  eval_mutex().unlock();
  resume_background();
}

void eval(std::span<const array> arrays) {
  bool done = true;
  for (const array& a : arrays) {
    // One computed inside a transform kept its operands; the transform may be over.
    done = done && a.is_available() && (a.node()->operand_count == 0 || is_traced(*a.node()));
  }
  if (done) {
    return;
  }
  hold_evaluation();
  std::lock_guard lock(eval_mutex(), std::adopt_lock);
  for (const array& a : arrays) {
    if (a.is_available() && !is_traced(*a.node())) {
      a.node()->detach();
    }
  }
  Depth& d = depth();
  if (d.depth == d.evaluations.size()) {
    d.evaluations.push_back(std::make_unique<Evaluation>());
  }
  struct Leave {
    Depth& d;
    ~Leave() { --d.depth; }
  } leave{d};
  d.evaluations[d.depth++]->run(arrays);
}

} // namespace mlx::core
