// Interning and uniting sets of element numbers.
#include "mlx_core/transforms/index_sets.h"

#include <algorithm>

namespace mlx::core {

SetId IndexSets::intern(std::vector<int32_t> sorted) {
  if (sorted.empty()) {
    return empty;
  }
  uint64_t hash = 0xcbf29ce484222325ull; // FNV-1a over whole words
  for (int32_t element : sorted) {
    hash = (hash ^ static_cast<uint32_t>(element)) * 0x100000001b3ull;
  }
  auto [first, last] = by_hash_.equal_range(hash);
  for (auto found = first; found != last; ++found) {
    if (sets_[static_cast<size_t>(found->second)] == sorted) {
      return found->second;
    }
  }
  auto id = static_cast<SetId>(sets_.size());
  sets_.push_back(std::move(sorted));
  by_hash_.emplace(hash, id);
  return id;
}

SetId IndexSets::united(SetId a, SetId b) {
  if (a == b || b == empty) {
    return a;
  }
  if (a == empty) {
    return b;
  }
  uint64_t key = static_cast<uint64_t>(std::min(a, b)) << 32 | static_cast<uint64_t>(std::max(a, b));
  if (auto found = pairs_.find(key); found != pairs_.end()) {
    return found->second;
  }
  std::span<const int32_t> x = elements(a), y = elements(b);
  std::vector<int32_t> both;
  both.reserve(x.size() + y.size());
  std::set_union(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(both));
  SetId id = intern(std::move(both));
  pairs_.emplace(key, id);
  return id;
}

SetId IndexSets::united(std::vector<SetId> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.size() <= 2) {
    return ids.empty() ? empty : united(ids.front(), ids.back());
  }
  std::vector<int32_t> all;
  for (SetId id : ids) {
    all.insert(all.end(), elements(id).begin(), elements(id).end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return intern(std::move(all));
}

} // namespace mlx::core
