// Gathering steps, and running those that were gathered.
#include "mlx_core/eval/kept_steps.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "mlx_core/cpu/fused.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/fuse.h"
#include "mlx_core/params.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

// --- running ---

FusedPlan::Source source_of(const array& operand, const Program& body) {
  const Shape& space = body.steps()[0].outputs[0].shape;
  return source_of(operand.shape(), operand.strides(), operand.is_row_contiguous(), size_of(space), space);
}

FusedPlan::Step planned(const Program::Step& step, Dtype from) {
  FusedPlan::Step planned{static_cast<const Elementwise&>(*step.primitive).body(), from, step.outputs[0].dtype, {},
      static_cast<uint8_t>(step.operands.size()), static_cast<uint16_t>(step.first)};
  std::copy(step.operands.begin(), step.operands.end(), planned.inputs);
  return planned;
}

using Exponents = SmallVector<double, 2>;
Exponents exponents_of(const Program& body, std::span<const Program::Step* const> powers,
    std::span<const array> operands, std::span<const View> views) {
  Exponents exponents;
  for (const Program::Step* power : powers) {
    auto exponent = static_cast<size_t>(power->operands.back());
    exponents.push_back(exponent >= operands.size() ? 0
                                                    : known_exponent(planned(*power, power->outputs[0].dtype),
                                                          source_of(operands[exponent], body), views[exponent]));
  }
  return exponents;
}

// The slots are those of the body.
FusedPlan plan_of(const Program& body, std::span<const array> operands, std::span<const double> exponents) {
  FusedPlan plan;
  plan.size = size_of(body.steps()[0].outputs[0].shape);
  for (const array& operand : operands) {
    plan.sources.push_back(source_of(operand, body));
    plan.slots.push_back({operand.dtype(), false, -1});
  }
  size_t powers = 0;
  for (const Program::Step& step : body.steps()) {
    plan.steps.push_back(planned(step, plan.slots[static_cast<size_t>(step.operands.back())].dtype));
    plan.slots.push_back({step.outputs[0].dtype, false, -1});
    if (plan.steps.back().body == Body::power) {
      simplify_power(plan.steps.back(), exponents[powers++]);
    }
  }
  plan.stages.push_back({0, static_cast<uint32_t>(plan.steps.size()), 0});
  for (size_t i = 0; i < body.outputs().size(); ++i) {
    plan.slots[static_cast<size_t>(body.outputs()[i])].output = static_cast<int16_t>(i);
  }
  return plan;
}

std::vector<View> views_of(std::span<const array> arrays) {
  std::vector<View> views;
  for (const array& a : arrays) {
    views.push_back(a.view());
  }
  return views;
}

struct Layouts {                   // what a plan depends on
  SmallVector<Strides, 8> strides; // of the operands
  Exponents exponents;             // of the steps that are powers: see known_exponent
  bool operator==(const Layouts&) const = default;
};

// Elementwise steps over one space. Its inputs are what they read of others.
class GatheredSteps;

// Its plan is bound once.
class RepeatedSteps final : public Repetition {
 public:
  RepeatedSteps(const GatheredSteps& steps, std::vector<array> operands, std::vector<array> results)
      : steps_(steps), operands_(std::move(operands)), results_(std::move(results)), sources_(views_of(operands_)) {}
  void run() override;

 private:
  const GatheredSteps& steps_;
  std::vector<array> operands_, results_;
  std::vector<View> sources_;
  Exponents exponents_; // that the plan is for
  std::unique_ptr<cpu::RepeatedPlan> plan_;
};

class GatheredSteps final : public Function {
 public:
  explicit GatheredSteps(SharedProgram steps) : Function(std::move(steps)) {
    for (const Program::Step& step : body().steps()) {
      if (static_cast<const Elementwise&>(*step.primitive).body() == Body::power) {
        powers_.push_back(&step);
      }
    }
  }
  ~GatheredSteps() override { delete kept_.load(); }

  Exponents exponents(Operands operands, std::span<const View> views) const {
    return exponents_of(body(), powers_, operands, views);
  }
  FusedPlan plan(Operands operands, const Exponents& exponents) const {
    return plan_of(body(), operands, {exponents.begin(), exponents.size()});
  }

  std::optional<int64_t> repeatable_work() const override { return 0; } // but for what is read and written
  std::unique_ptr<Repetition> repeated(std::vector<array> operands, std::vector<array> results) const override {
    return std::make_unique<RepeatedSteps>(*this, std::move(operands), std::move(results));
  }

  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    if (!KeptCalls::possible(kernels)) {
      step_by_step(operands, outputs);
      return;
    }
    for (array& output : outputs) {
      output.allocate();
    }
    std::vector<View> sources = views_of(operands), results = views_of(outputs);
    Layouts layouts{{}, exponents(operands, sources)};
    for (const array& operand : operands) {
      layouts.strides.push_back(operand.strides());
    }
    std::unique_ptr<Kept> kept(kept_.exchange(nullptr));
    if (!kept || kept->layouts != layouts) {
      kept.reset(new Kept{layouts, plan(operands, layouts.exponents)});
    }
    kernels.run(kernel::Fused{kept->plan, sources, results});
    Kept* none = nullptr; // two threads may have run it
    if (kept_.compare_exchange_strong(none, kept.get())) {
      kept.release();
    }
  }

 private:
  void step_by_step(Operands operands, std::span<array> outputs) const {
    LevelFloor outside(0);
    std::vector<array> results = replay(body(), operands);
    mlx::core::eval(std::span<const array>(results));
    for (size_t i = 0; i < results.size(); ++i) {
      outputs[i].share(results[i], results[i].strides());
    }
  }

  struct Kept {
    Layouts layouts;
    FusedPlan plan;
  };
  std::vector<const Program::Step*> powers_; // of the body
  mutable std::atomic<Kept*> kept_{nullptr};
};

void RepeatedSteps::run() {
  Exponents now = steps_.exponents(operands_, sources_);
  if (!plan_ || now != exponents_) {
    exponents_ = now;
    plan_ = std::make_unique<cpu::RepeatedPlan>(steps_.plan(operands_, now), sources_, views_of(results_));
  }
  plan_->run();
}

// --- gathering ---

constexpr int64_t smallest = 2048, largest = 1 << 17; // elements
constexpr size_t most = 256;                          // steps of one operation
constexpr size_t most_operands = 128;                 // that are no steps of it

class Gatherer {
 public:
  Gatherer(const Program& program, size_t fewest, int64_t least_work)
      : program_(program),
        fewest_(fewest),
        least_work_(least_work),
        moved_(program.slot_count()),
        run_of_(program.slot_count(), none),
        of_fold_(program.slot_count()),
        is_folded_(program.slot_count()),
        uses_(program.slot_count()),
        in_body_(program.slot_count(), none) {}

  KeptSteps gather() {
    note_slots();
    for (size_t k = 0; k < program_.inputs().size(); ++k) {
      moved_[k] = writer_.add_input(program_.inputs()[k]);
    }
    for (const Program::Step& step : program_.steps()) {
      if (may_be_gathered(step)) {
        run_for(step).steps.push_back(&step);
      } else {
        close_operands(step, nullptr);
        add(step);
      }
    }
    for (Run& run : runs_) {
      close(run);
    }
    if (kept_ == 0) {
      return {};
    }
    std::vector<int32_t> outputs;
    for (int32_t slot : program_.outputs()) {
      outputs.push_back(moved_[static_cast<size_t>(slot)]);
    }
    return {writer_.finish(std::move(outputs)), kept_};
  }

 private:
  static constexpr int none = -1;
  struct Run {
    std::vector<const Program::Step*> steps; // none: it is not open
    size_t operands = 0;                     // of others, those that count twice included
    bool is_open() const { return !steps.empty(); }
    const Shape& space() const { return steps[0]->outputs[0].shape; }
  };

  void note_slots() {
    for (const Spec& input : program_.inputs()) {
      specs_.push_back(&input);
    }
    for (const Program::Step& step : program_.steps()) {
      bool folds = step.primitive->eval_kind() == EvalKind::reduction, of_fold = folds;
      for (int32_t operand : step.operands) {
        auto slot = static_cast<size_t>(operand);
        ++uses_[slot];
        is_folded_[slot] |= folds;
        of_fold = of_fold || (of_fold_[slot] && size_of(step.outputs[0].shape) < smallest);
      }
      for (const Spec& output : step.outputs) {
        specs_.push_back(&output);
      }
      of_fold_[static_cast<size_t>(step.first)] =
          of_fold || (step.primitive->keeps_order() && of_fold_[static_cast<size_t>(step.operands[0])]);
    }
    for (int32_t slot : program_.outputs()) {
      ++uses_[static_cast<size_t>(slot)];
    }
  }

  // What is reduced, or made of what a reduction gave, is one pass with that.
  bool may_be_gathered(const Program::Step& step) const {
    if (step.primitive->eval_kind() != EvalKind::elementwise || step.stream > 0 ||
        is_folded_[static_cast<size_t>(step.first)]) {
      return false;
    }
    int64_t size = size_of(step.outputs[0].shape);
    return size >= smallest && size <= largest &&
           std::none_of(step.operands.begin(), step.operands.end(),
               [this](int32_t slot) { return of_fold_[static_cast<size_t>(slot)]; });
  }

  Run& run_for(const Program::Step& step) {
    const Shape& space = step.outputs[0].shape;
    auto found = std::find_if(
        runs_.begin(), runs_.end(), [&](const Run& run) { return run.is_open() && identical(run.space(), space); });
    if (found != runs_.end() &&
        (found->steps.size() == most || found->operands + step.operands.size() > most_operands)) {
      close(*found);
    }
    if (found == runs_.end()) {
      found = std::find_if(runs_.begin(), runs_.end(), [](const Run& run) { return !run.is_open(); });
    }
    if (found == runs_.end()) {
      found = runs_.begin() + static_cast<ptrdiff_t>(next_++ % runs_.size());
      close(*found);
    }
    close_operands(step, &*found);
    for (int32_t slot : step.operands) {
      found->operands += run_of_[static_cast<size_t>(slot)] == none;
    }
    run_of_[static_cast<size_t>(step.first)] = static_cast<int>(&*found - runs_.data());
    return *found;
  }

  // The runs that give what it reads, but for its own.
  void close_operands(const Program::Step& step, const Run* own) {
    for (int32_t slot : step.operands) {
      if (int run = run_of_[static_cast<size_t>(slot)]; run != none && &runs_[static_cast<size_t>(run)] != own) {
        close(runs_[static_cast<size_t>(run)]);
      }
    }
  }

  void close(Run& run) {
    size_t steps = run.steps.size();
    if (steps < fewest_ || (steps > 0 && static_cast<int64_t>(steps) * size_of(run.space()) < least_work_)) {
      for (const Program::Step* step : run.steps) {
        add(*step);
      }
    } else {
      add_gathered(run);
    }
    run = Run();
  }

  void add(const Program::Step& step) {
    Program::Step moved = step;
    for (int32_t& slot : moved.operands) {
      slot = moved_[static_cast<size_t>(slot)];
    }
    int32_t first = writer_.add_step(std::move(moved));
    for (size_t k = 0; k < step.outputs.size(); ++k) {
      auto slot = static_cast<size_t>(step.first) + k;
      moved_[slot] = first + static_cast<int32_t>(k);
      run_of_[slot] = none;
    }
  }

  void add_gathered(const Run& run) {
    ProgramWriter body;
    Program::Step step; // of the program
    for (const Program::Step* member : run.steps) {
      in_body_[static_cast<size_t>(member->first)] = 0;
    }
    std::vector<size_t> read;
    for (const Program::Step* member : run.steps) {
      for (int32_t operand : member->operands) {
        auto slot = static_cast<size_t>(operand);
        --uses_[slot];
        if (in_body_[slot] == none) {
          in_body_[slot] = body.add_input(*specs_[slot]);
          step.operands.push_back(moved_[slot]);
          read.push_back(slot);
        }
      }
    }
    std::vector<int32_t> outputs;
    std::vector<size_t> given;
    for (const Program::Step* member : run.steps) {
      Program::Step inner = *member;
      for (int32_t& slot : inner.operands) {
        slot = in_body_[static_cast<size_t>(slot)];
      }
      auto slot = static_cast<size_t>(member->first);
      in_body_[slot] = body.add_step(std::move(inner));
      if (uses_[slot] > 0) {
        outputs.push_back(in_body_[slot]);
        given.push_back(slot);
        step.outputs.push_back(member->outputs[0]);
      }
    }
    for (size_t slot : read) {
      in_body_[slot] = none;
    }
    step.primitive = make_primitive<GatheredSteps>(body.finish(std::move(outputs)));
    step.origin = run.steps.front()->origin;
    step.stream = run.steps.front()->stream;
    int32_t first = writer_.add_step(std::move(step));
    for (const Program::Step* member : run.steps) {
      run_of_[static_cast<size_t>(member->first)] = in_body_[static_cast<size_t>(member->first)] = none;
    }
    for (size_t k = 0; k < given.size(); ++k) {
      moved_[given[k]] = first + static_cast<int32_t>(k);
    }
    kept_ += run.steps.size();
  }

  const Program& program_;
  size_t fewest_;      // steps of one operation
  int64_t least_work_; // element-steps of one
  ProgramWriter writer_;
  std::vector<const Spec*> specs_; // by slot
  std::vector<int32_t> moved_;     // by slot: the slot in what is written
  std::vector<int> run_of_;        // by slot: the open run that gives it
  std::vector<uint8_t> of_fold_;   // by slot: few elements, made of what a reduction gave
  std::vector<uint8_t> is_folded_; // by slot: a reduction reads it
  std::vector<int32_t> uses_;      // by slot: by steps that no operation has yet, and as outputs
  std::vector<int32_t> in_body_;   // by slot, while an operation is made: the slot in its body
  std::array<Run, 4> runs_;
  size_t next_ = 0, kept_ = 0;
};

} // namespace

KeptSteps with_kept_steps(const Program& program, size_t fewest, int64_t least_work) {
  bool host = kernels_on(current_stream()).device() == Device::cpu;
  return host ? Gatherer(program, fewest, least_work).gather() : KeptSteps();
}

} // namespace mlx::core
