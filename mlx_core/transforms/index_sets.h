// Sets of element numbers, each kept once and known by a number, so that equal sets cost nothing more.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace mlx::core {

using SetId = int32_t;

class IndexSets {
 public:
  static constexpr SetId empty = 0;

  IndexSets() { sets_.emplace_back(); }
  SetId singleton(int32_t element) { return intern({element}); }
  SetId united(SetId a, SetId b);
  SetId united(std::vector<SetId> ids);
  // Ascending.
  std::span<const int32_t> elements(SetId id) const { return sets_[static_cast<size_t>(id)]; }

 private:
  SetId intern(std::vector<int32_t> sorted);

  std::vector<std::vector<int32_t>> sets_;
  std::unordered_multimap<uint64_t, SetId> by_hash_;
  std::unordered_map<uint64_t, SetId> pairs_;
};

} // namespace mlx::core
