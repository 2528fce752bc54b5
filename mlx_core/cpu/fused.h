// Running fused plans on the host: a run of elements at a time, so that values between steps stay in cache.
#pragma once

#include <memory>
#include <span>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/view.h"

namespace mlx::core::cpu {

// On the calling thread when small, else on the pool. The result does not depend on which. An output may be the memory
// of a flat source that no later step reads.
void run(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs);

class BoundPlan;

// A plan that is bound to this machine once, and run again and again on memory that lies in the same way: no output is
// that of a source. One run at a time.
class KeptPlan {
 public:
  explicit KeptPlan(FusedPlan plan);
  ~KeptPlan();
  KeptPlan(const KeptPlan&) = delete;
  KeptPlan& operator=(const KeptPlan&) = delete;
  void run(std::span<const View> sources, std::span<const View> outputs);

 private:
  FusedPlan plan_;
  std::unique_ptr<BoundPlan> bound_; // null before the first run
};

} // namespace mlx::core::cpu
