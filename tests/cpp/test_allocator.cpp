// Blocks of memory: never two owners of one, and figures that add up, whichever thread takes and gives them.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <mutex>
#include <random>
#include <semaphore>
#include <thread>
#include <vector>

#include "check.h"
#include "mlx_core/mlx.h"

using namespace mlx::core;

namespace {

size_t capacity_of(size_t bytes) {
  size_t before = get_active_memory();
  BufferRef held = allocate(bytes);
  return get_active_memory() - before;
}

// Sizes on both sides of where blocks come from slabs.
constexpr std::array<size_t, 9> sizes{1, 64, 65, 300, 512, 1000, 1024, 1025, 9000};

struct Held {
  BufferRef buffer;
  unsigned char mark;
};

void fill(const Held& held) { std::memset(held.buffer->data, held.mark, held.buffer->size); }

bool is_intact(const Held& held) {
  auto* at = static_cast<const unsigned char*>(held.buffer->data);
  for (size_t i = 0; i < held.buffer->size; ++i) {
    if (at[i] != held.mark) {
      return false;
    }
  }
  return reinterpret_cast<uintptr_t>(at) % 64 == 0;
}

// What threads give each other.
struct Table {
  std::mutex mutex;
  std::vector<Held> held;
  int broken = 0;
};

void take_and_give(Table& table, unsigned seed, int steps) {
  std::mt19937 draw(seed);
  for (int i = 0; i < steps; ++i) {
    Held mine{allocate(sizes[draw() % sizes.size()]), static_cast<unsigned char>(draw())};
    fill(mine);
    std::lock_guard lock(table.mutex);
    table.held.push_back(std::move(mine));
    while (table.held.size() > 3000 || (!table.held.empty() && draw() % 4 == 0)) {
      std::swap(table.held[draw() % table.held.size()], table.held.back());
      table.broken += !is_intact(table.held.back());
      table.held.pop_back();
    }
  }
}

size_t bytes_of(const Table& table) {
  std::array<size_t, sizes.size()> capacities;
  for (size_t i = 0; i < sizes.size(); ++i) {
    capacities[i] = capacity_of(sizes[i]);
  }
  size_t bytes = 0;
  for (const Held& held : table.held) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      bytes += held.buffer->size == sizes[i] ? capacities[i] : 0;
    }
  }
  return bytes;
}

} // namespace

TEST(threads_that_come_and_go_hand_each_other_blocks) {
  size_t before = get_active_memory();
  Table table;
  for (unsigned round = 0; round < 6; ++round) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) {
      threads.emplace_back([&table, seed = 10 * round + i] { take_and_give(table, seed, 4000); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CHECK_EQ(get_active_memory() - before, bytes_of(table));
  }
  for (const Held& held : table.held) {
    table.broken += !is_intact(held);
  }
  CHECK_EQ(table.broken, 0);
  CHECK(!table.held.empty());
  table.held.clear();
  CHECK_EQ(get_active_memory(), before);
}

TEST(figures_of_one_thread_are_exact) {
  size_t before = get_active_memory(), most = before, now = before;
  std::array<size_t, sizes.size()> capacities;
  for (size_t i = 0; i < sizes.size(); ++i) {
    capacities[i] = capacity_of(sizes[i]);
  }
  reset_peak_memory();
  CHECK_EQ(get_peak_memory(), before);
  std::mt19937 draw(1);
  std::vector<std::pair<BufferRef, size_t>> held;
  for (int i = 0; i < 20000; ++i) {
    bool grows = i / 2000 % 2 == 0;
    if (draw() % 8 < (grows ? 5 : 3) || held.empty()) {
      size_t which = draw() % sizes.size();
      held.emplace_back(allocate(sizes[which]), capacities[which]);
      now += capacities[which];
    } else {
      std::swap(held[draw() % held.size()], held.back());
      now -= held.back().second;
      held.pop_back();
    }
    most = std::max(most, now);
    if (i % 97 == 0) {
      CHECK_EQ(get_active_memory(), now);
      CHECK_EQ(get_peak_memory(), most);
    }
    if (i % 5003 == 0) {
      reset_peak_memory();
      most = now;
    }
  }
}

TEST(a_forked_child_counts_what_threads_held) {
  size_t before = get_active_memory();
  std::vector<BufferRef> held;
  std::binary_semaphore started(0), done(0);
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) {
      held.push_back(allocate(100));
    }
    started.release();
    done.acquire(); // until the child is there
  });
  started.acquire();
  size_t expected = 100 * capacity_of(100);
  pid_t child = fork();
  if (child == 0) {
    bool right = get_active_memory() - before == expected;
    held.clear();
    _exit(right && get_active_memory() == before ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  CHECK_EQ(get_active_memory() - before, expected);
  done.release();
  other.join();
  held.clear();
  CHECK_EQ(get_active_memory(), before);
}
