// The slow paths of the node pools: exchanging batches, and threads that come and go.
#include "mlx_core/node_pool.h"

#include <pthread.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

namespace mlx::core::detail {

constinit thread_local NodePool node_pool{};

namespace {

// The address sanitizer is to see each node come and go.
#ifdef __SANITIZE_ADDRESS__
constexpr bool keeps_nodes = false;
#else
constexpr bool keeps_nodes = true;
#endif

void*& next_of(void* node) { return *static_cast<void**>(node); }

void free_list(void* head) {
  while (head) {
    std::free(std::exchange(head, next_of(head)));
  }
}

// Batches are linked through the second word of their first node.
void*& next_batch(void* batch) { return static_cast<void**>(batch)[1]; }

// Takes the pool out of the shared ones when the thread exits. Apart from the pool, so that reading that needs no
// guard.
struct PoolOwner {
  bool exists = false;
  ~PoolOwner() {
    if (exists) {
      node_pool.leave();
    }
  }
};
thread_local PoolOwner pool_owner;

struct Shared {
  std::mutex mutex;
  void* batches[NodePool::pooled_operands + 1] = {};
  uint32_t count[NodePool::pooled_operands + 1] = {};
  NodePool* pools = nullptr;        // of the threads that run
  std::atomic<int64_t> departed{0}; // balance of those that do not

  // A forked child has no other threads.
  void keep_only(NodePool* own) {
    for (NodePool* pool = pools; pool; pool = pool->next) {
      if (pool != own) {
        departed += pool->balance.load();
      }
    }
    own->previous = own->next = nullptr;
    pools = pool_owner.exists ? own : nullptr;
  }
};

// Never destroyed: nodes may be freed during process exit.
Shared& shared() {
  static Shared& instance = *[] {
    pthread_atfork([] { shared().mutex.lock(); }, [] { shared().mutex.unlock(); },
        [] {
          shared().keep_only(&node_pool);
          shared().mutex.unlock();
        });
    return new Shared;
  }();
  return instance;
}

} // namespace

void NodePool::join() {
  Shared& s = shared();
  {
    std::lock_guard lock(s.mutex);
    previous = nullptr;
    next = s.pools;
    if (next) {
      next->previous = this;
    }
    s.pools = this;
    limit = keeps_nodes ? most_own : 0;
  }
  pool_owner.exists = true;
}

void NodePool::leave() {
  Shared& s = shared();
  {
    std::lock_guard lock(s.mutex);
    (previous ? previous->next : s.pools) = next;
    if (next) {
      next->previous = previous;
    }
    s.departed += balance.load(std::memory_order_relaxed);
    limit = 0;
    is_gone = true;
  }
  for (size_t i = 0; i <= pooled_operands; ++i) {
    free_list(std::exchange(free[i], nullptr));
    count[i] = 0;
  }
}

void* NodePool::refill(size_t operands, size_t bytes) {
  if (!is_gone && !pool_owner.exists) {
    join();
  }
  Shared& s = shared();
  if (operands <= pooled_operands && !is_gone) {
    std::lock_guard lock(s.mutex);
    if (void* head = s.batches[operands]) {
      s.batches[operands] = next_batch(head);
      --s.count[operands];
      free[operands] = next_of(head);
      count[operands] = batch - 1;
      return head;
    }
  }
  void* node = std::malloc(bytes);
  if (!node) {
    throw std::bad_alloc();
  }
  if (is_gone) {
    ++s.departed;
  }
  return node;
}

void NodePool::overflow(void* node, size_t operands) {
  if (!is_gone && !pool_owner.exists) {
    join();
  }
  if (is_gone || operands > pooled_operands || !keeps_nodes) {
    if (is_gone) {
      --shared().departed;
    }
    std::free(node);
    return;
  }
  if (count[operands] < limit) { // it was not known until now
    next_of(node) = free[operands];
    free[operands] = node;
    ++count[operands];
    return;
  }
  next_of(node) = free[operands]; // the batch: this one, and those behind it
  void* last = node;
  for (uint32_t i = 1; i < batch; ++i) {
    last = next_of(last);
  }
  free[operands] = std::exchange(next_of(last), nullptr);
  count[operands] -= batch - 1;
  Shared& s = shared();
  {
    std::lock_guard lock(s.mutex);
    if (s.count[operands] < most_shared) {
      next_batch(node) = s.batches[operands];
      s.batches[operands] = node;
      ++s.count[operands];
      return;
    }
  }
  free_list(node);
}

int64_t live_nodes() {
  Shared& s = shared();
  std::lock_guard lock(s.mutex);
  int64_t live = s.departed.load();
  for (NodePool* pool = s.pools; pool; pool = pool->next) {
    live += pool->balance.load(std::memory_order_relaxed);
  }
  return live;
}

} // namespace mlx::core::detail
