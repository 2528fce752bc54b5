// When pending graphs are computed without being asked for, and how far ahead of that a program may run.
#include "mlx_core/eval/pressure.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "mlx_core/eval/background.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

// Requests that the background has not finished, and who waits for that.
struct Requests {
  std::mutex mutex;
  std::condition_variable changed;
  int unfinished = 0;
};
Requests& requests() {
  static Requests& instance = *new Requests;
  return instance;
}

// Bytes that go when nothing is pending behind `root` any more: memory of computed arrays that only pending nodes hold.
size_t bytes_kept_alive(const array& root) {
  constexpr size_t most_looked_at = 1 << 16;
  std::unordered_map<Node*, uint32_t> edges; // of computed operands, from pending nodes
  std::unordered_map<Node*, bool> seen;
  std::vector<Node*> stack{root.node()};
  PlanningLock lock; // pending nodes keep their operands meanwhile
  while (!stack.empty() && seen.size() < most_looked_at) {
    Node* node = stack.back();
    stack.pop_back();
    if (node->available()) {
      ++edges[node];
    } else if (node->state.load() == Node::State::lazy && seen.emplace(node, true).second) {
      for (const array& operand : node->operands()) {
        stack.push_back(operand.node());
      }
    }
  }
  std::unordered_map<const Buffer*, uint32_t> buffers; // references to them that we know
  for (auto [node, count] : edges) {
    if (node->buffer && node->references.load() == count) {
      ++buffers[node->buffer.get()];
    }
  }
  size_t bytes = 0;
  for (auto [buffer, count] : buffers) {
    bytes += buffer->references.load() == count ? buffer->size : 0;
  }
  return bytes;
}

void finished_one() {
  std::lock_guard lock(requests().mutex);
  --requests().unfinished;
  requests().changed.notify_all();
}

void submit(const array& newest) {
  // What is built on it starts anew; but until it is computed it is no small thing.
  constexpr uint16_t much = 256;
  std::atomic_ref(newest.node()->pending).store(much, std::memory_order_relaxed);
  {
    std::lock_guard lock(requests().mutex);
    ++requests().unfinished;
  }
  try {
    compute_in_background(newest, finished_one);
  } catch (...) {
    finished_one();
    throw;
  }
}

// A program that is far ahead waits a little, but not for ever: the background may need a lock that this thread holds.
bool is_background_done(bool wait) {
  Requests& r = requests();
  std::unique_lock lock(r.mutex);
  if (wait) {
    r.changed.wait_until(
        lock, std::chrono::system_clock::now() + std::chrono::milliseconds(50), [&] { return r.unfinished == 0; });
  }
  return r.unfinished == 0;
}

} // namespace

void renew_pressure() { new (&requests()) Requests; }

namespace {

void relieve_nodes(const array& newest) {
  if (is_background_done(newest.node()->pending > 2 * detail::most_pending)) {
    submit(newest);
  }
}

void relieve_memory(const array& newest) {
  size_t limit = get_memory_limit(), in_use = get_active_memory(), step = limit / 32;
  std::atomic<size_t>& next_look = detail::bytes_to_look_at;
  if (in_use <= limit / 2) {
    next_look.store(limit / 2);
    return;
  }
  next_look.store(in_use + step); // not at every node
  if (newest.node()->pending > 1 && bytes_kept_alive(newest) > limit / 8) {
    if (is_background_done(true)) {
      submit(newest);
    }
    next_look.store(limit / 2 + step);
  }
}

} // namespace

void detail::relieve(const array& newest) noexcept {
  if (is_traced(*newest.node()) || is_evaluating()) {
    return;
  }
  InterruptHold hold; // it can be asked again soon, and this cannot throw
  try {
    newest.node()->pending > most_pending ? relieve_nodes(newest) : relieve_memory(newest);
  } catch (const std::exception&) { // no memory or no thread: the next node tries again
  }
}

} // namespace mlx::core
