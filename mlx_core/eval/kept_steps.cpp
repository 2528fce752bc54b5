// Gathering steps, and running those that were gathered.
#include "mlx_core/eval/kept_steps.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>

#include "mlx_core/cpu/fused.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/kept_passes.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/params.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

// --- running ---

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

// Elementwise steps over one space, or with an inset. Its inputs are what they read of others.
class GatheredSteps;

// Its passes are bound once.
class RepeatedSteps final : public Repetition {
 public:
  RepeatedSteps(const GatheredSteps& steps, std::vector<array> operands, std::vector<array> results)
      : steps_(steps), operands_(std::move(operands)), results_(std::move(results)), sources_(views_of(operands_)) {}
  void run() override;
  bool move() override {
    for (const std::unique_ptr<cpu::RepeatedPlan>& plan : plans_) {
      plan->move();
    }
    return true;
  }

 private:
  const GatheredSteps& steps_;
  std::vector<array> operands_, results_;
  std::vector<View> sources_;
  Exponents exponents_; // that the passes are for
  std::optional<PassMemory> memory_;
  std::vector<std::unique_ptr<cpu::RepeatedPlan>> plans_;
};

class GatheredSteps final : public Function {
 public:
  GatheredSteps(SharedProgram steps, std::optional<Inset> inset)
      : Function(std::move(steps)), inset_(std::move(inset)) {
    for (const Program::Step& step : body().steps()) {
      bool elementwise = step.primitive->eval_kind() == EvalKind::elementwise;
      if (elementwise && static_cast<const Elementwise&>(*step.primitive).body() == Body::power) {
        powers_.push_back(&step);
      }
    }
  }
  ~GatheredSteps() override { delete kept_.load(); }

  const Inset* inset() const { return inset_ ? &*inset_ : nullptr; }
  Exponents exponents(Operands operands, std::span<const View> views) const {
    return exponents_of(body(), powers_, operands, views);
  }
  KeptPasses passes(Operands operands, const Exponents& exponents) const {
    return passes_of(body(), inset(), operands, {exponents.begin(), exponents.size()});
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
      kept.reset(new Kept{layouts, passes(operands, layouts.exponents)});
    }
    if (!inset_) {
      kernels.run(kernel::Fused{kept->passes.passes[0].plan, sources, results});
    } else {
      PassMemory memory(kept->passes, inset(), sources);
      memory.refresh();
      for (const KeptPasses::Pass& pass : kept->passes.passes) {
        std::vector<View> read = memory.sources(pass), written = PassMemory::results(pass, results);
        kernels.run(kernel::Fused{pass.plan, read, written});
      }
    }
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
    KeptPasses passes;
  };
  std::optional<Inset> inset_;
  std::vector<const Program::Step*> powers_; // of the body
  mutable std::atomic<Kept*> kept_{nullptr};
};

void RepeatedSteps::run() {
  Exponents now = steps_.exponents(operands_, sources_);
  if (plans_.empty() || now != exponents_) {
    exponents_ = now;
    KeptPasses passes = steps_.passes(operands_, now);
    memory_.emplace(passes, steps_.inset(), sources_);
    plans_.clear();
    for (KeptPasses::Pass& pass : passes.passes) {
      std::vector<View> read = steps_.inset() ? memory_->sources(pass) : sources_;
      plans_.push_back(std::make_unique<cpu::RepeatedPlan>(
          std::move(pass.plan), std::move(read), PassMemory::results(pass, views_of(results_))));
    }
  }
  memory_->refresh();
  for (const std::unique_ptr<cpu::RepeatedPlan>& plan : plans_) {
    plan->run();
  }
}

// --- gathering ---

constexpr int64_t smallest = 2048, largest = 1 << 17;     // elements
constexpr int64_t for_pass = 1 << 16, for_step = 1 << 11; // in elements of a step, which pass for 15 ps more in a call
constexpr int64_t for_function = 8, for_double_function = 64; // what half of one takes, the same way
constexpr size_t most = 256;                                  // steps of one operation
constexpr size_t most_operands = 128;                         // that are no steps of it

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
        with_fold_(program.slot_count()),
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
      } else if (std::vector<const Program::Step*> part = part_for(step); part.empty() || !add_inset(step, part)) {
        close_operands(step, nullptr);
        add(step);
      }
    }
    for (Run& run : runs_) {
      close(run);
    }
    if (kept_ == 0) {
      return {nullptr, saved_, reduces_};
    }
    std::vector<int32_t> outputs;
    for (int32_t slot : program_.outputs()) {
      outputs.push_back(moved_[static_cast<size_t>(slot)]);
    }
    return {writer_.finish(std::move(outputs)), saved_, reduces_};
  }

 private:
  static constexpr int none = -1;
  struct Run {
    std::vector<const Program::Step*> steps; // none: it is not open
    size_t operands = 0;                     // of others, those that count twice included
    std::optional<Inset> inset;              // one of them puts a part into an array
    std::vector<const Program::Step*> part;  // steps that give it
    bool is_open() const { return !steps.empty(); }
    size_t count() const { return part.size() + steps.size(); }
    const Shape& space() const { return steps[0]->outputs[0].shape; }
    std::vector<const Program::Step*> all() const {
      std::vector<const Program::Step*> all = part;
      all.insert(all.end(), steps.begin(), steps.end());
      return all;
    }
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

  static bool reads(const Program::Step* step, const std::vector<uint8_t>& marked) {
    return std::ranges::any_of(step->operands, [&](int32_t slot) { return marked[static_cast<size_t>(slot)] != 0; });
  }

  // What is reduced, or made of what a reduction gave, is one pass with that.
  bool may_be_gathered(const Program::Step& step) const {
    if (step.primitive->eval_kind() != EvalKind::elementwise || step.stream > 0 ||
        is_folded_[static_cast<size_t>(step.first)]) {
      return false;
    }
    int64_t size = size_of(step.outputs[0].shape);
    return size >= smallest && size <= largest && !reads(&step, of_fold_);
  }

  // The steps that give what this one puts into an array, where they are of a run and nobody else needs what they give.
  std::vector<const Program::Step*> part_for(const Program::Step& step) const {
    std::vector<const Program::Step*> part;
    int64_t size = size_of(step.outputs[0].shape);
    if (step.stream > 0 || step.operands.size() != 2 || size < smallest || size > largest) {
      return part;
    }
    int number = run_of_[static_cast<size_t>(step.operands[1])];
    if (number == none || runs_[static_cast<size_t>(number)].inset) {
      return part;
    }
    const Run& run = runs_[static_cast<size_t>(number)];
    if (run.steps.size() >= most / 2 || run.operands >= most_operands / 2) {
      return part;
    }
    std::map<int32_t, int32_t> uses{{step.operands[1], 1}}; // by the part, by slot
    for (size_t i = run.steps.size(); i-- > 0;) {
      if (auto used = uses.find(run.steps[i]->first); used != uses.end()) {
        if (used->second < uses_[static_cast<size_t>(used->first)]) {
          return {};
        }
        part.push_back(run.steps[i]);
        for (int32_t operand : run.steps[i]->operands) {
          ++uses[operand];
        }
      }
    }
    std::reverse(part.begin(), part.end());
    return part;
  }

  bool add_inset(const Program::Step& step, const std::vector<const Program::Step*>& part) {
    std::optional<Inset> inset = Inset::around(step, part.back()->outputs[0]);
    if (!inset) {
      return false;
    }
    Run& before = runs_[static_cast<size_t>(run_of_[static_cast<size_t>(step.operands[1])])];
    size_t operands = before.operands;
    std::erase_if(
        before.steps, [&](const Program::Step* s) { return std::find(part.begin(), part.end(), s) != part.end(); });
    if (!before.is_open()) {
      before = Run();
    }
    for (const Program::Step* s : part) {
      run_of_[static_cast<size_t>(s->first)] = none;
    }
    Run& run = run_for(step, part.size() + 1, operands, true);
    for (const Program::Step* s : part) {
      run_of_[static_cast<size_t>(s->first)] = static_cast<int>(&run - runs_.data());
    }
    run.operands += operands;
    run.inset = std::move(inset);
    run.part = part;
    run.steps.push_back(&step);
    return true;
  }

  Run& run_for(const Program::Step& step, size_t steps = 1, size_t operands = 0, bool is_inset = false) {
    const Shape& space = step.outputs[0].shape;
    auto found = std::find_if(
        runs_.begin(), runs_.end(), [&](const Run& run) { return run.is_open() && identical(run.space(), space); });
    operands += step.operands.size();
    if (found != runs_.end() &&
        (found->count() + steps > most || found->operands + operands > most_operands || (is_inset && found->inset))) {
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
    std::vector<const Program::Step*> members = run.all();
    const int64_t elements = run.is_open() ? static_cast<int64_t>(size_of(run.space())) : 0;
    const int64_t work = elements * static_cast<int64_t>(members.size());
    bool joins_fold =
        std::ranges::any_of(members, [this](const Program::Step* step) { return reads(step, with_fold_); });
    saved_ += !run.is_open() || joins_fold ? work : work - for_pass;
    int64_t weight = 0;
    for (const Program::Step* step : members) {
      weight += weight_of(*step);
    }
    if (weight < static_cast<int64_t>(fewest_) || elements * weight < least_work_) {
      for (const Program::Step* step : members) {
        add(*step);
      }
    } else {
      add_gathered(run);
    }
    run = Run();
  }

  // Bytes that become bytes: a pass has no registers for such, and does them step by step.
  bool is_of_bools(const Program::Step& step) const {
    return step.outputs[0].dtype == bool_ && std::ranges::all_of(step.operands, [this](int32_t slot) {
      return specs_[static_cast<size_t>(slot)]->dtype == bool_;
    });
  }

  // Beside calls, which one thread does each, a function alone is worth a pass.
  int64_t weight_of(const Program::Step& step) const {
    if (is_of_bools(step)) {
      return 0;
    }
    bool elementwise = step.primitive->eval_kind() == EvalKind::elementwise;
    return elementwise && least_work_ > 0 ? cost_of(static_cast<const Elementwise&>(*step.primitive).body()) : 1;
  }

  void add(const Program::Step& step) {
    note_saved(step);
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

  // Of a step that is not gathered. Elements reduced, and those made of the results, are one pass with that: of rows,
  // several reductions are.
  void note_saved(const Program::Step& step) {
    saved_ -= for_step;
    auto large = [](const Spec& spec) {
      int64_t size = size_of(spec.shape);
      return size >= smallest ? size : 0;
    };
    if (step.primitive->eval_kind() == EvalKind::reduction) {
      const Spec& of = *specs_[static_cast<size_t>(step.operands[0])];
      const Axes& axes = static_cast<const Reduce&>(*step.primitive).axes();
      bool rows = !axes.empty() && axes.back() + 1 == static_cast<int>(of.shape.size());
      saved_ += large(of) > 0 ? large(of) - (rows ? for_pass / 4 : for_pass) : 0;
      reduces_ = reduces_ || large(of) > 0;
    } else if (step.primitive->eval_kind() == EvalKind::elementwise) {
      auto slot = static_cast<size_t>(step.first);
      bool begins = is_folded_[slot] || reads(&step, of_fold_);
      saved_ += begins ? large(step.outputs[0]) : 0;
      if (cost_of(static_cast<const Elementwise&>(*step.primitive).body()) > 1) { // threads share a pass, but no call
        saved_ += large(step.outputs[0]) * (step.outputs[0].dtype == float64 ? for_double_function : for_function);
      }
      with_fold_[slot] = begins || reads(&step, with_fold_);
    }
  }

  void add_gathered(const Run& run) {
    std::vector<const Program::Step*> members = run.all();
    ProgramWriter body;
    Program::Step step; // of the program
    for (const Program::Step* member : members) {
      in_body_[static_cast<size_t>(member->first)] = 0;
    }
    std::vector<size_t> read;
    for (const Program::Step* member : members) {
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
    for (const Program::Step* member : members) {
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
    step.primitive = make_primitive<GatheredSteps>(body.finish(std::move(outputs)), run.inset);
    step.origin = members.front()->origin;
    step.stream = members.front()->stream;
    int32_t first = writer_.add_step(std::move(step));
    for (const Program::Step* member : members) {
      run_of_[static_cast<size_t>(member->first)] = in_body_[static_cast<size_t>(member->first)] = none;
    }
    for (size_t k = 0; k < given.size(); ++k) {
      moved_[given[k]] = first + static_cast<int32_t>(k);
    }
    kept_ += members.size();
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
  std::vector<uint8_t> with_fold_; // by slot: given by what is one pass with a reduction
  std::vector<int32_t> uses_;      // by slot: by steps that no operation has yet, and as outputs
  std::vector<int32_t> in_body_;   // by slot, while an operation is made: the slot in its body
  std::array<Run, 4> runs_;
  size_t next_ = 0, kept_ = 0;
  int64_t saved_ = 0; // see KeptSteps
  bool reduces_ = false;
};

} // namespace

KeptSteps with_kept_steps(const Program& program, size_t fewest, int64_t least_work) {
  bool host = kernels_on(current_stream()).device() == Device::cpu;
  return host ? Gatherer(program, fewest, least_work).gather() : KeptSteps();
}

} // namespace mlx::core
