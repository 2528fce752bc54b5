// Running fused plans on the host: a run of elements at a time, so that values between steps stay in cache.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/view.h"

namespace mlx::core::cpu {

// On the calling thread when small, else on the pool. The result does not depend on which. An output may be the memory
// of a flat source that no later step reads.
void run(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs);

class BoundPlan;

// A plan that is run again and again on the same memory: bound once. Of one thread at a time.
class RepeatedPlan {
 public:
  RepeatedPlan(FusedPlan plan, std::vector<View> sources, std::vector<View> outputs);
  ~RepeatedPlan();
  void run();
  // What its views are of is elsewhere now; what was apart is apart.
  void move();

 private:
  FusedPlan plan_;
  std::vector<View> sources_, outputs_;
  std::unique_ptr<BoundPlan> bound_; // null where it may go another way
};

} // namespace mlx::core::cpu
