// Memory of nodes: what each thread has free, what threads share, and how many nodes there are.
//
// Nodes are often freed by another thread than the one that makes them (async_eval). So a thread keeps a bounded number
// of free ones, and hands batches of them through a shared list.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace mlx::core::detail {

struct NodePool {
  static constexpr size_t pooled_operands = 3; // nodes with more are rare and come from malloc
  static constexpr uint32_t batch = 64;        // how many go through the shared list at a time
  static constexpr uint32_t most_own = 16 * batch;
  static constexpr uint32_t most_shared = 1024; // batches, of each operand count

  // Free nodes of this thread, by operand count, linked through their first word.
  void* free[pooled_operands + 1];
  uint32_t count[pooled_operands + 1];
  uint32_t limit;               // most_own; 0 before the pool is known to others, once the thread exits, under ASan
  bool is_gone;                 // nodes may outlive the pool while a thread exits
  std::atomic<int64_t> balance; // nodes made minus nodes freed by this thread, which alone writes it
  NodePool *previous, *next;

  void* take(size_t operands, size_t bytes) {
    void* node = operands <= pooled_operands ? free[operands] : nullptr;
    if (!node) [[unlikely]] {
      node = refill(operands, bytes);
    } else {
      free[operands] = *static_cast<void**>(node);
      --count[operands];
    }
    balance.store(balance.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return node;
  }
  void give(void* node, size_t operands) {
    balance.store(balance.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    if (operands <= pooled_operands && count[operands] < limit) [[likely]] {
      *static_cast<void**>(node) = free[operands];
      free[operands] = node;
      ++count[operands];
    } else {
      overflow(node, operands);
    }
  }

  void join(); // the pools of all threads
  void leave();

 private:
  void* refill(size_t operands, size_t bytes); // throws std::bad_alloc
  void overflow(void* node, size_t operands);
};

// Read on every operation: placed in the static TLS block, which needs no call to find.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local NodePool node_pool;

// How many nodes there are, of all threads. For tests: exact only while no thread makes or frees any.
int64_t live_nodes();

} // namespace mlx::core::detail
