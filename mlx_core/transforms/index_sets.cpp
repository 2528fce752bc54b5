// Interning and uniting sets of element numbers.
#include "mlx_core/transforms/index_sets.h"

#include <algorithm>
#include <utility>

namespace mlx::core {

namespace {

uint64_t mixed(uint64_t hash, uint32_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
  return hash ^ (hash >> 29);
}

size_t hash_of(std::span<const int32_t> elements) {
  uint64_t hash = elements.size();
  for (int32_t element : elements) {
    hash = mixed(hash, static_cast<uint32_t>(element));
  }
  return hash;
}

} // namespace

SetId IndexSets::intern(std::span<const int32_t> sorted) {
  if (sorted.empty()) {
    return empty;
  }
  size_t mask = interned_.size() - 1, at = hash_of(sorted) & mask;
  for (; interned_[at] != none; at = (at + 1) & mask) {
    if (std::ranges::equal(elements(interned_[at]), sorted)) {
      return interned_[at];
    }
  }
  auto id = static_cast<SetId>(count());
  interned_[at] = id;
  elements_.insert(elements_.end(), sorted.begin(), sorted.end());
  starts_.push_back(static_cast<int64_t>(elements_.size()));
  if (2 * count() > interned_.size()) {
    grow_interned();
  }
  return id;
}

void IndexSets::grow_interned() {
  size_t mask = 2 * interned_.size() - 1;
  interned_.assign(mask + 1, none);
  for (SetId id = empty + 1; id < static_cast<SetId>(count()); ++id) {
    size_t at = hash_of(elements(id)) & mask;
    while (interned_[at] != none) {
      at = (at + 1) & mask;
    }
    interned_[at] = id;
  }
}

// Where the union of two sets is noted, or is to be.
IndexSets::Pair& IndexSets::pair_at(SetId a, SetId b) {
  size_t mask = pairs_.size() - 1;
  size_t at = mixed(mixed(0, static_cast<uint32_t>(a)), static_cast<uint32_t>(b)) & mask;
  while (pairs_[at].a != none && (pairs_[at].a != a || pairs_[at].b != b)) {
    at = (at + 1) & mask;
  }
  return pairs_[at];
}

SetId IndexSets::united(SetId a, SetId b) {
  if (a == b || b == empty) {
    return a;
  }
  if (a == empty) {
    return b;
  }
  if (a > b) {
    std::swap(a, b);
  }
  if (Pair& known = pair_at(a, b); known.a != none) {
    return known.both;
  }
  std::span<const int32_t> x = elements(a), y = elements(b);
  scratch_.clear();
  std::set_union(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(scratch_));
  SetId id = intern(scratch_);
  pair_at(a, b) = {a, b, id};
  if (2 * ++pair_count_ > pairs_.size()) {
    std::vector<Pair> old(2 * pairs_.size());
    old.swap(pairs_);
    for (const Pair& pair : old) {
      if (pair.a != none) {
        pair_at(pair.a, pair.b) = pair;
      }
    }
  }
  return id;
}

SetId IndexSets::united(std::vector<SetId> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.size() <= 2) {
    return ids.empty() ? empty : united(ids.front(), ids.back());
  }
  scratch_.clear();
  for (SetId id : ids) {
    scratch_.insert(scratch_.end(), elements(id).begin(), elements(id).end());
  }
  std::sort(scratch_.begin(), scratch_.end());
  scratch_.erase(std::unique(scratch_.begin(), scratch_.end()), scratch_.end());
  return intern(scratch_);
}

} // namespace mlx::core
