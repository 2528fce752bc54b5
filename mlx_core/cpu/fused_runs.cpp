// Running a fused plan once, with what was bound lately, and one that is bound for many runs.
#include <memory>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/fused.h"
#include "mlx_core/cpu/narrow_steps.h"
#include "mlx_core/cpu/one_step_lines.h"
#include "mlx_core/cpu/recent_plans.h"

namespace mlx::core::cpu {

// A pointer, for the loader has little room for what all threads have.
static thread_local std::unique_ptr<BoundPlan> kept;

void run(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs) {
  if (plan.size == 0 || run_narrow_first(plan, sources, outputs) || run_line_by_line(plan, sources, outputs)) {
    return;
  }
  struct Busy {
    bool& flag;
    explicit Busy(bool& f) : flag(f) { flag = true; }
    ~Busy() { flag = false; }
  };
  if (BoundPlan* recent = recently_bound(plan, sources, outputs)) {
    Busy busy(recent->busy);
    recent->run_again();
    return;
  }
  std::unique_ptr<BoundPlan> own; // while this thread waits for others it may run another plan
  if (!kept) {
    kept = std::make_unique<BoundPlan>();
  }
  BoundPlan& threads = *kept;
  BoundPlan& bound = threads.busy ? *(own = std::make_unique<BoundPlan>()) : threads;
  Busy busy(bound.busy);
  bound.bind(plan, sources, outputs);
  bound.run();
}

RepeatedPlan::RepeatedPlan(FusedPlan plan, std::vector<View> sources, std::vector<View> outputs)
    : plan_(std::move(plan)), sources_(std::move(sources)), outputs_(std::move(outputs)) {
  if (plan_.size > 0 && !may_run_narrow_first(plan_)) {
    bound_ = std::make_unique<BoundPlan>();
    bound_->bind(plan_, sources_, outputs_, BoundPlan::Runs::many);
  }
}

RepeatedPlan::~RepeatedPlan() = default;

void RepeatedPlan::run() {
  if (bound_) {
    bound_->run_again();
  } else {
    cpu::run(plan_, sources_, outputs_);
  }
}

void RepeatedPlan::move() {
  if (bound_) {
    bound_->move_to(sources_, outputs_);
  }
}

} // namespace mlx::core::cpu
