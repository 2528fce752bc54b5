// Common subexpressions, applications that pass their operand on, and what nobody needs any more.
#include <algorithm>
#include <typeinfo>
#include <unordered_map>

#include "mlx_core/interrupt.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/params.h"
#include "mlx_core/program/program.h"

namespace mlx::core {

namespace {

bool equal(const Program::Step& a, const Program::Step& b) {
  return typeid(*a.primitive) == typeid(*b.primitive) && a.operands == b.operands && a.stream == b.stream &&
         equivalent(*a.primitive, *b.primitive);
}

// stop_gradient is an identity too, but not to a derivative.
bool is_plain_identity(const Primitive& p) {
  return p.eval_kind() == EvalKind::identity && dynamic_cast<const Linear*>(&p);
}

} // namespace

SharedProgram simplify(const Program& program, std::span<const int32_t> same_input) {
  ProgramWriter writer;
  std::vector<int32_t> slot_of(program.slot_count()); // what stands for each slot now
  for (size_t i = 0; i < program.inputs().size(); ++i) {
    int32_t slot = writer.add_input(program.inputs()[i]);
    slot_of[i] = same_input.empty() ? slot : same_input[i];
  }
  std::unordered_multimap<uint64_t, size_t> seen;
  InterruptPoll poll(1024);
  for (const Program::Step& step : program.steps()) {
    poll();
    Program::Step now = step;
    uint64_t hash = hash_of(*step.primitive);
    for (int32_t& operand : now.operands) {
      operand = slot_of[static_cast<size_t>(operand)];
      hash = mixed(hash, static_cast<uint64_t>(operand));
    }
    auto at = static_cast<size_t>(step.first);
    if (is_plain_identity(*step.primitive)) {
      slot_of[at] = now.operands[0];
      continue;
    }
    auto [begin, end] = seen.equal_range(hash);
    auto twin = std::find_if(begin, end, [&](const auto& entry) { return equal(writer.steps()[entry.second], now); });
    int32_t first = 0;
    if (twin != end) {
      first = writer.steps()[twin->second].first;
    } else {
      seen.emplace(hash, writer.steps().size());
      first = writer.add_step(std::move(now));
    }
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      slot_of[at + i] = first + static_cast<int32_t>(i);
    }
  }
  std::vector<int32_t> outputs;
  for (int32_t output : program.outputs()) {
    outputs.push_back(slot_of[static_cast<size_t>(output)]);
  }
  return without_undone_moves(writer.finish(std::move(outputs)));
}

} // namespace mlx::core
