// Sets of element numbers, each kept once and known by a number, so that equal sets cost nothing more.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mlx::core {

using SetId = int32_t;

class IndexSets {
 public:
  static constexpr SetId empty = 0;

  IndexSets() : starts_{0, 0}, interned_(64, none), pairs_(64) {}
  SetId singleton(int32_t element) { return intern({&element, 1}); }
  SetId united(SetId a, SetId b);
  SetId united(std::vector<SetId> ids);
  // Ascending. Valid until the next set is made.
  std::span<const int32_t> elements(SetId id) const {
    auto at = static_cast<size_t>(id);
    return {elements_.data() + starts_[at], static_cast<size_t>(starts_[at + 1] - starts_[at])};
  }

 private:
  static constexpr SetId none = -1;
  struct Pair { // of two sets, and their union
    SetId a = none, b = none, both = none;
  };

  size_t count() const { return starts_.size() - 1; }
  SetId intern(std::span<const int32_t> sorted);
  void grow_interned();
  Pair& pair_at(SetId a, SetId b);

  // Sets one after the other; then two tables with open addressing.
  std::vector<int64_t> starts_;
  std::vector<int32_t> elements_;
  std::vector<SetId> interned_;
  std::vector<Pair> pairs_;
  size_t pair_count_ = 0;
  std::vector<int32_t> scratch_;
};

} // namespace mlx::core
