// Programs as lists of calls, kept from call to call.
#include "mlx_core/compile/prepared.h"

#include <algorithm>
#include <map>

#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/kept_steps.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

// A function whose evaluation is a list of calls. Its last operands are the same each time.
class PreparedCalls final : public Function {
 public:
  PreparedCalls(SharedProgram body, std::unique_ptr<const CallList> list, size_t first_constant)
      : Function(std::move(body)), list_(std::move(list)), first_constant_(first_constant) {}

  int reusable_operand() const override { return list_->donor(); }
  // Whether computing the results takes no longer than making nodes for them and evaluating these, which is when errors
  // are raised.
  bool is_cheap(Operands operands) const {
    constexpr int64_t some = 1 << 12, for_each = 1 << 10; // what a node and its evaluation cost, too
    constexpr size_t most_steps = 512;                    // none of which looks out
    int64_t most_work = some + for_each * static_cast<int64_t>(body().outputs().size());
    return list_->work() <= most_work && list_->bytes() <= most_work && list_->donor() < 0 && !list_->may_throw() &&
           body().steps().size() <= most_steps &&
           std::all_of(
               operands.begin(), operands.end(),
               [](const array& a) { return a.is_available() && a.node()->operand_count == 0; }) &&
           list_->takes(operands);
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    if (!KeptCalls::possible(kernels) || !list_->takes(operands)) {
      Function::eval(operands, outputs, kernels);
      return;
    }
    auto run = list_->run();
    if (!run->has_begun()) {
      for (size_t k = first_constant_; k < operands.size(); ++k) {
        run->give_constant(k, operands[k]);
      }
      run->begin();
    }
    run->run_on(operands, outputs, kernels);
  }

 private:
  std::unique_ptr<const CallList> list_;
  size_t first_constant_;
};

constexpr size_t most_steps = 1 << 17, most_operands = 4096;

} // namespace

Prepared::Prepared(SharedProgram program, std::span<const array> constants)
    : program_(std::move(program)), constants_(constants.size()) {
  may_be_ = !program_->steps().empty() && program_->steps().size() <= most_steps &&
            std::all_of(constants.begin(), constants.end(), [](const array& a) { return a.node()->level == 0; });
}

void Prepared::make() const {
  read_.clear(); // an interrupt may have ended an attempt before
  outputs_.clear();
  repeat_ = false;
  const Program& whole = *program_;
  size_t inputs = whole.inputs().size();
  std::vector<int32_t> to(inputs, -1);
  std::vector<Spec> specs;
  size_t first_constant = 0;
  std::vector<bool> used(inputs, false);
  for (const Program::Step& step : whole.steps()) {
    for (int32_t slot : step.operands) {
      if (static_cast<size_t>(slot) < inputs) {
        used[static_cast<size_t>(slot)] = true;
      }
    }
  }
  for (size_t k = 0; k < inputs; ++k) {
    if (used[k]) {
      to[k] = static_cast<int32_t>(read_.size());
      specs.push_back(whole.inputs()[k]);
      read_.push_back(k);
      first_constant += k < inputs - constants_;
    }
  }
  reads_first_ = read_.empty() || read_.back() + 1 == read_.size();
  std::map<int32_t, int> known;
  std::vector<int32_t> results;
  for (int32_t slot : whole.outputs()) {
    if (static_cast<size_t>(slot) < inputs) {
      outputs_.push_back(~slot);
    } else {
      auto [at, is_new] = known.emplace(slot, static_cast<int>(results.size()));
      if (is_new) {
        results.push_back(slot);
      }
      outputs_.push_back(at->second);
      repeat_ = repeat_ || !is_new;
    }
  }
  if (results.empty() || std::max(read_.size(), results.size()) > most_operands) {
    return;
  }
  SharedProgram body = rewired(whole, std::move(specs), to, results);
  auto keep_list = [&](SharedProgram steps, bool kept_steps) {
    if (auto list = steps ? CallList::of(*steps, {0, first_constant, true, kept_steps}) : nullptr) {
      calls_ = make_primitive<PreparedCalls>(std::move(steps), std::move(list), first_constant);
    }
    return static_cast<bool>(calls_);
  };
  // Passes that are bound once, beside calls for single steps; or calls alone; or passes as nodes of a graph, in which
  // other steps are one pass with reductions.
  constexpr size_t fewest = 2;         // steps of a pass that is bound once
  constexpr int64_t least_work = 8192; // element-steps of one
  KeptSteps bound = with_kept_steps(*body, fewest, least_work), steps = with_kept_steps(whole);
  if ((!bound.reduces || steps.saved <= 0) && keep_list(std::move(bound.program), true)) {
    return;
  }
  if (steps.saved > 0 || !keep_list(std::move(body), false)) {
    kept_ = std::move(steps.program);
  }
}

std::optional<std::vector<array>> Prepared::operator()(Inputs inputs) const {
  if (!may_be_ || !was_run_.exchange(true, std::memory_order_relaxed) ||
      detail::oldest_open_frame.load(std::memory_order_acquire) != UINT64_MAX ||
      !KeptCalls::possible(kernels_on(current_stream()))) {
    return std::nullopt;
  }
  std::call_once(once_, [&] { make(); });
  if (kept_) {
    std::vector<array> all;
    all.reserve(kept_->slot_count());
    for (std::span<const array> part : inputs) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return replay_as_recorded(*kept_, std::move(all));
  }
  if (!calls_) {
    return std::nullopt;
  }
  auto input = [&](size_t k) -> const array& {
    for (std::span<const array> part : inputs) {
      if (k < part.size()) {
        return part[k];
      }
      k -= part.size();
    }
    fail<std::logic_error>("compile", "a recording was given too few inputs.");
  };
  SmallVector<array, 8> operands;
  std::span<const array> given = inputs[0].first(std::min(read_.size(), inputs[0].size()));
  if (!reads_first_ || given.size() < read_.size()) {
    operands.reserve(read_.size());
    for (size_t k : read_) {
      operands.push_back(input(k));
    }
    given = {operands.begin(), operands.size()};
  }
  const Program& body = static_cast<const PreparedCalls&>(*calls_).body();
  std::span<const Spec> specs = body.output_specs();
  std::vector<array> results;
  if (const auto& calls = static_cast<const PreparedCalls&>(*calls_); !has_several_streams() && calls.is_cheap(given)) {
    results.reserve(specs.size());
    for (const Spec& spec : specs) {
      results.push_back(array::uninitialized(spec.shape, spec.dtype));
    }
    calls.eval(given, results, kernels_on(current_stream()));
  } else if (specs.size() == 1) {
    results.push_back(array::make(calls_, specs[0], given));
  } else {
    results = array::make_many(calls_, Specs(specs.begin(), specs.end()), given);
  }
  if (outputs_.size() == results.size() &&
      std::all_of(outputs_.begin(), outputs_.end(), [i = 0](int k) mutable { return k == i++; })) {
    return results;
  }
  std::vector<array> outputs;
  outputs.reserve(outputs_.size());
  for (int k : outputs_) {
    if (k < 0) {
      outputs.push_back(input(static_cast<size_t>(~k)));
    } else {
      array& result = results[static_cast<size_t>(k)];
      outputs.push_back(repeat_ ? result : std::move(result));
    }
  }
  return outputs;
}

} // namespace mlx::core
