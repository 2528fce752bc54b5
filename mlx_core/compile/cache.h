// Cache: entries by key, of which the least recently used goes when there are too many. RecordingLog: what is told of
// them.
#pragma once

#include <atomic>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "mlx_core/compile.h"

namespace mlx::core {

// Counts the calls of a compiled function, and keeps the reasons of its last recordings. Safe to share between threads.
class RecordingLog {
 public:
  void count_call() { calls_.fetch_add(1, std::memory_order_relaxed); }
  // The number of this recording, from 1.
  size_t count_trace() { return traces_.fetch_add(1, std::memory_order_relaxed) + 1; }
  size_t calls() const { return calls_.load(std::memory_order_relaxed); }
  size_t traces() const { return traces_.load(std::memory_order_relaxed); }
  void note(std::string reason) {
    constexpr size_t kept = 16;
    std::lock_guard lock(mutex_);
    reasons_.push_back(std::move(reason));
    if (reasons_.size() > kept) {
      reasons_.pop_front();
    }
  }
  void set_operations(std::pair<size_t, size_t> operations) {
    std::lock_guard lock(mutex_);
    operations_ = operations;
  }
  template <typename Cache>
  CompileStats stats(const Cache& cache) const {
    std::lock_guard lock(mutex_);
    return {calls(), traces(), cache.size(), cache.evictions(), operations_, {reasons_.begin(), reasons_.end()}};
  }

 private:
  std::atomic<size_t> calls_ = 0, traces_ = 0;
  mutable std::mutex mutex_;
  std::pair<size_t, size_t> operations_;
  std::deque<std::string> reasons_;
};

// Several entries may have one key; they differ in what only looking at them shows. Safe to share between threads: an
// entry in use outlives its place here.
template <typename Entry>
class Cache {
 public:
  explicit Cache(size_t capacity) : capacity_(capacity) {}

  // The entries of a key, most recently used first; null behind the last. Asking for one is using it.
  std::shared_ptr<Entry> at(const std::string& key, size_t number) {
    std::lock_guard lock(mutex_);
    auto found = by_key_.find(key);
    if (found == by_key_.end() || number >= found->second.size()) {
      return nullptr;
    }
    Position position = *std::next(found->second.begin(), static_cast<ptrdiff_t>(number));
    used_.splice(used_.begin(), used_, position);
    return position->entry;
  }

  // The first entry of a key that fits. That is asked outside of the lock, as it may run code of the user's.
  template <typename F>
  std::shared_ptr<Entry> find(const std::string& key, F&& fits) {
    for (size_t i = 0;; ++i) {
      std::shared_ptr<Entry> entry = at(key, i);
      if (!entry || fits(*entry)) {
        return entry;
      }
    }
  }

  void insert(const std::string& key, std::shared_ptr<Entry> entry) {
    std::shared_ptr<Entry> evicted; // let go outside of the lock
    std::lock_guard lock(mutex_);
    used_.push_front({key, std::move(entry)});
    by_key_[key].push_front(used_.begin());
    if (used_.size() > capacity_) {
      evicted = remove_last();
      ++evictions_;
    }
  }

  // Lets an entry of this key go, if it is there.
  void erase(const std::string& key, const std::shared_ptr<Entry>& entry) {
    std::shared_ptr<Entry> gone; // outside of the lock
    std::lock_guard lock(mutex_);
    auto found = by_key_.find(key);
    if (found == by_key_.end()) {
      return;
    }
    std::list<Position>& positions = found->second;
    for (auto position = positions.begin(); position != positions.end(); ++position) {
      if ((*position)->entry == entry) {
        gone = std::move((*position)->entry);
        used_.erase(*position);
        positions.erase(position);
        break;
      }
    }
    if (positions.empty()) {
      by_key_.erase(found);
    }
  }

  void clear() {
    std::list<Item> gone;
    std::lock_guard lock(mutex_);
    by_key_.clear();
    gone.swap(used_);
  }

  // Calls f with each entry, unless the cache is in use at this very moment.
  template <typename F>
  void try_each(F&& f) const {
    if (std::unique_lock lock(mutex_, std::try_to_lock); lock) {
      for (const Item& item : used_) {
        f(item.entry);
      }
    }
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return used_.size();
  }
  size_t evictions() const {
    std::lock_guard lock(mutex_);
    return evictions_;
  }

 private:
  struct Item {
    std::string key;
    std::shared_ptr<Entry> entry;
  };
  using Position = typename std::list<Item>::iterator;

  std::shared_ptr<Entry> remove_last() {
    Position last = std::prev(used_.end());
    std::list<Position>& positions = by_key_.at(last->key);
    positions.remove(last);
    if (positions.empty()) {
      by_key_.erase(last->key);
    }
    std::shared_ptr<Entry> entry = std::move(last->entry);
    used_.pop_back();
    return entry;
  }

  size_t capacity_;
  size_t evictions_ = 0;
  mutable std::mutex mutex_;
  std::list<Item> used_; // most recently used first
  std::unordered_map<std::string, std::list<Position>> by_key_;
};

} // namespace mlx::core
