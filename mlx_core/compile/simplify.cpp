// Plan::simplify: common subexpressions, applications that pass their operand on, and what nobody needs any more.
#include <algorithm>
#include <typeinfo>
#include <unordered_map>

#include "mlx_core/compile/plan.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

namespace {

uint64_t mixed(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x9e3779b97f4a7c15ull + (hash >> 29); }

bool equal(const Plan::Step& a, const Plan::Step& b) {
  return typeid(*a.primitive) == typeid(*b.primitive) && a.operands.size() == b.operands.size() &&
         std::equal(a.operands.begin(), a.operands.end(), b.operands.begin()) && equivalent(*a.primitive, *b.primitive);
}

// stop_gradient is an identity too, but not to a derivative.
bool is_plain_identity(const Primitive& p) {
  return p.eval_kind() == EvalKind::identity && dynamic_cast<const Linear*>(&p);
}

} // namespace

void Plan::simplify(std::span<const int32_t> same_input) {
  std::vector<int32_t> slot_of(static_cast<size_t>(slot_count_)); // what stands for each slot now
  std::copy(same_input.begin(), same_input.end(), slot_of.begin());
  std::unordered_multimap<uint64_t, size_t> seen;
  std::vector<Step> kept;
  int32_t next = static_cast<int32_t>(input_count_);
  InterruptPoll poll(1024);
  for (Step& step : steps_) {
    poll();
    uint64_t hash = hash_of(*step.primitive);
    for (int32_t& operand : step.operands) {
      operand = slot_of[static_cast<size_t>(operand)];
      hash = mixed(hash, static_cast<uint64_t>(operand));
    }
    size_t at = static_cast<size_t>(step.first);
    if (is_plain_identity(*step.primitive)) {
      slot_of[at] = step.operands[0];
      continue;
    }
    auto [begin, end] = seen.equal_range(hash);
    auto twin = std::find_if(begin, end, [&](const auto& entry) { return equal(kept[entry.second], step); });
    int32_t first = twin != end ? kept[twin->second].first : next;
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      slot_of[at + i] = first + static_cast<int32_t>(i);
    }
    if (twin == end) {
      step.first = next;
      next += static_cast<int32_t>(step.outputs.size());
      seen.emplace(hash, kept.size());
      kept.push_back(std::move(step));
    }
  }
  steps_ = std::move(kept);
  slot_count_ = next;
  for (int32_t& output : outputs_) {
    output = slot_of[static_cast<size_t>(output)];
  }
}

} // namespace mlx::core
