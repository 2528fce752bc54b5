// Making programs, and comparing them.
#include "mlx_core/program/program.h"

#include <algorithm>
#include <cassert>

#include "mlx_core/eval/kept_steps.h"
#include "mlx_core/params.h"

namespace mlx::core {

int32_t ProgramWriter::add_input(Spec spec) {
  assert(program_->steps_.empty());
  program_->inputs_.push_back(std::move(spec));
  return static_cast<int32_t>(program_->slot_count_++);
}

int32_t ProgramWriter::add_step(Program::Step&& step) {
  step.first = static_cast<int32_t>(program_->slot_count_);
  program_->slot_count_ += step.outputs.size();
  program_->steps_.push_back(std::move(step));
  return program_->steps_.back().first;
}

std::vector<int32_t> ProgramWriter::append(const Program& other, std::span<const int32_t> inputs) {
  std::vector<int32_t> slot_of(inputs.begin(), inputs.end());
  slot_of.resize(other.slot_count());
  for (const Program::Step& step : other.steps()) {
    Program::Step copy = step;
    for (int32_t& operand : copy.operands) {
      operand = slot_of[static_cast<size_t>(operand)];
    }
    int32_t first = add_step(std::move(copy));
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      slot_of[static_cast<size_t>(step.first) + i] = first + static_cast<int32_t>(i);
    }
  }
  std::vector<int32_t> outputs;
  for (int32_t output : other.outputs()) {
    outputs.push_back(slot_of[static_cast<size_t>(output)]);
  }
  return outputs;
}

bool ProgramWriter::note_uses(std::span<const int32_t> outputs, std::vector<uint8_t>& kept) {
  Program& p = *program_;
  std::vector<uint8_t> needed(p.slot_count_); // by what comes later
  for (int32_t output : outputs) {
    needed[static_cast<size_t>(output)] = true;
  }
  kept.assign(p.steps_.size(), false);
  bool all = true;
  for (size_t i = p.steps_.size(); i-- > 0;) {
    Program::Step& step = p.steps_[i];
    for (size_t k = 0; k < step.outputs.size(); ++k) {
      kept[i] |= needed[static_cast<size_t>(step.first) + k];
    }
    all = all && kept[i];
    step.last_uses = 0;
    for (size_t k = step.operands.size(); k-- > 0 && kept[i];) {
      assert(step.operands[k] >= 0);
      auto slot = static_cast<size_t>(step.operands[k]);
      if (!needed[slot] && k < 32) {
        step.last_uses |= uint32_t{1} << k;
      }
      needed[slot] = true;
    }
  }
  return all;
}

void ProgramWriter::drop_steps(const std::vector<uint8_t>& kept, std::vector<int32_t>& outputs) {
  Program& p = *program_;
  std::vector<int32_t> slot_of(p.slot_count_, -1);
  p.slot_count_ = p.inputs_.size();
  for (size_t i = 0; i < p.inputs_.size(); ++i) {
    slot_of[i] = static_cast<int32_t>(i);
  }
  std::vector<Program::Step> steps(std::move(p.steps_));
  p.steps_.clear();
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!kept[i]) {
      continue;
    }
    for (int32_t& operand : steps[i].operands) {
      operand = slot_of[static_cast<size_t>(operand)];
    }
    auto from = static_cast<size_t>(steps[i].first);
    int32_t first = add_step(std::move(steps[i]));
    for (size_t k = 0; k < p.steps_.back().outputs.size(); ++k) {
      slot_of[from + k] = first + static_cast<int32_t>(k);
    }
  }
  for (int32_t& output : outputs) {
    output = slot_of[static_cast<size_t>(output)];
  }
}

SharedProgram ProgramWriter::finish(std::vector<int32_t> outputs) {
  Program& p = *program_;
  std::vector<uint8_t> kept;
  if (!note_uses(outputs, kept)) { // what only dropped steps use is used by nobody
    drop_steps(kept, outputs);
  }
  for (int32_t output : outputs) {
    auto slot = static_cast<size_t>(output);
    if (slot < p.inputs_.size()) {
      p.output_specs_.push_back(p.inputs_[slot]);
    } else {
      auto after = std::upper_bound(p.steps_.begin(), p.steps_.end(), output,
          [](int32_t at, const Program::Step& step) { return at < step.first; });
      const Program::Step& step = *std::prev(after);
      p.output_specs_.push_back(step.outputs[static_cast<size_t>(output - step.first)]);
    }
  }
  p.outputs_ = std::move(outputs);
  assert(fault_in(p).empty());
  return std::move(program_);
}

SharedProgram rewired(
    const Program& program, std::vector<Spec> inputs, std::span<const int32_t> to, std::span<const int32_t> outputs) {
  ProgramWriter writer;
  for (Spec& input : inputs) {
    writer.add_input(std::move(input));
  }
  // Steps keep their order, so their slots move by the difference of the numbers of inputs.
  auto moved = static_cast<int32_t>(inputs.size()) - static_cast<int32_t>(program.inputs().size());
  writer.append(program, to);
  std::vector<int32_t> kept;
  for (int32_t slot : outputs) {
    auto at = static_cast<size_t>(slot);
    kept.push_back(at < program.inputs().size() ? to[at] : slot + moved);
  }
  return writer.finish(std::move(kept));
}

const Program& Program::prepared() const {
  if (!was_run_.exchange(true, std::memory_order_relaxed)) {
    return *this;
  }
  std::call_once(once_, [&] {
    SharedProgram simplified = simplify(*this);
    KeptSteps steps = with_kept_steps(*simplified);
    simplified_ = steps.program ? std::move(steps.program) : std::move(simplified);
  });
  return *simplified_;
}

bool equivalent(const Program& a, const Program& b) {
  auto same_step = [](const Program::Step& x, const Program::Step& y) {
    return x.operands == y.operands && x.stream == y.stream && x.outputs.size() == y.outputs.size() &&
           equivalent(*x.primitive, *y.primitive);
  };
  auto same_spec = [](const Spec& x, const Spec& y) { return identical(x, y); };
  return &a == &b ||
         (std::ranges::equal(a.outputs(), b.outputs()) && std::ranges::equal(a.inputs(), b.inputs(), same_spec) &&
             std::ranges::equal(a.steps(), b.steps(), same_step));
}

uint64_t hash_of(const Program& program) {
  uint64_t hash = program.inputs().size();
  for (const Program::Step& step : program.steps()) {
    hash = mixed(hash, hash_of(*step.primitive));
    for (int32_t operand : step.operands) {
      hash = mixed(hash, static_cast<uint64_t>(operand));
    }
  }
  for (int32_t output : program.outputs()) {
    hash = mixed(hash, static_cast<uint64_t>(output));
  }
  return hash;
}

} // namespace mlx::core
