// Fused plans: the kernel for the plan's structure, and its grid.
#include <vector>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/gpu/fused_msl.h"
#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

namespace {

using Way = FusedForm::Way;

// Slots of arguments: 31, of which the constants need one, and the partials of folds some.
constexpr size_t most_buffers = 28, most_folds = 16;

} // namespace

bool supports(const kernel::Fused& k) {
  const FusedPlan& plan = k.plan;
  if (plan.columns.any()) {
    return false;
  }
  size_t buffers = k.outputs.size();
  for (size_t i = 0; i < plan.sources.size(); ++i) {
    buffers += k.sources[i].buffer ? 1 : 0;
    if (!k.sources[i].buffer && plan.sources[i].layout != FusedPlan::Layout::scalar) {
      return false;
    }
  }
  for (const FusedPlan::Slot& slot : plan.slots) {
    if (!has_shader_type(slot.dtype)) {
      return false;
    }
  }
  for (const auto* steps : {&plan.row_steps, &plan.steps}) {
    for (const FusedPlan::Step& step : *steps) {
      if (!has_functor(step.body, step.from, step.to)) {
        return false;
      }
    }
  }
  if (plan.row_length && form_of(k).way == Way::blocks) {
    buffers += plan.folds.size();
  }
  bool keeps_partials = plan.stages.size() == 1 || plan.row_length <= most_blocks * block_length;
  return buffers <= most_buffers && plan.folds.size() <= most_folds && keeps_partials;
}

namespace {

Dtype accumulator_of(const FusedPlan::Fold& fold) {
  if (fold.op == Reduction::all || fold.op == Reduction::any) {
    return bool_;
  }
  return fold.from == float16 || fold.from == bfloat16 ? Dtype(float32) : fold.from;
}
std::vector<View> partials_of(Encoder& encoder, const FusedPlan& plan, int64_t count) {
  std::vector<View> partials;
  for (const FusedPlan::Fold& fold : plan.folds) {
    partials.push_back(encoder.scratch(accumulator_of(fold), plan.rows() * count));
  }
  return partials;
}
int64_t runs_of(int64_t count) { return (count + block_length - 1) / block_length; }
Grid groups_of(int64_t units, int64_t per_group) {
  return {static_cast<uint64_t>((units + per_group - 1) / per_group), 1, 1};
}

constexpr Grid group_size{static_cast<uint64_t>(group_threads), 1, 1};

// The partials of rows of several blocks, level by level.
template <typename Kernel>
void fold_partials(Encoder& encoder, const kernel::Fused& k, std::vector<View> partials, int64_t count, Kernel kernel) {
  const FusedPlan& plan = k.plan;
  for (bool last = false; !last; count = runs_of(count)) {
    int64_t runs = runs_of(count);
    last = runs == 1;
    kernel(last ? "finish" : "combine");
    int slot = 0;
    for (const View& partial : partials) {
      encoder.read(slot++, partial);
    }
    std::vector<View> next;
    if (last) {
      for (const FusedPlan::Fold& fold : plan.folds) {
        encoder.write(slot++, k.outputs[static_cast<size_t>(plan.slots[fold.output].output)]);
      }
    } else {
      next = partials_of(encoder, plan, runs);
      for (const View& partial : next) {
        encoder.write(slot++, partial);
      }
    }
    int64_t words[] = {count, runs, plan.rows()};
    encoder.values(slot, std::span<const int64_t>(words));
    encoder.dispatch_groups(groups_of(plan.rows() * runs, group_threads / 32), group_size);
    partials = std::move(next);
  }
}

} // namespace

void launch(Encoder& encoder, const kernel::Fused& k) {
  const FusedPlan& plan = k.plan;
  if (plan.size == 0) {
    return;
  }
  FusedForm form = form_of(k);
  std::string key = key_of(k, form);
  auto kernel = [&](const char* name) { encoder.kernel_of_text(key, [&] { return text_of(k, form); }, name); };
  kernel("fused");
  int slot = 0;
  for (size_t i = 0; i < k.sources.size(); ++i) {
    const FusedPlan::Source& source = plan.sources[i];
    if (source.layout == FusedPlan::Layout::strided) {
      encoder.read(slot++, from_lowest(k.sources[i].laid_out(source.sizes, source.strides)).view);
    } else if (k.sources[i].buffer) {
      encoder.read(slot++, k.sources[i]);
    }
  }
  for (const View& output : k.outputs) {
    encoder.write(slot++, output);
  }
  std::vector<View> partials;
  int64_t blocks = plan.row_length ? runs_of(plan.row_length) : 0;
  if (form.way == Way::blocks) {
    partials = partials_of(encoder, plan, blocks);
    for (const View& partial : partials) {
      encoder.write(slot++, partial);
    }
  }
  std::vector<int64_t> constants = constants_of(k, form);
  encoder.values(slot, std::span<const int64_t>(constants));
  switch (form.way) {
    case Way::elements: {
      auto size = static_cast<uint64_t>(plan.size);
      constexpr uint64_t longest = uint64_t{1} << 30;
      if (form.wide && size > longest) {
        encoder.dispatch_threads({longest, (size + longest - 1) / longest, 1}, group_size);
      } else {
        encoder.dispatch_elements(size);
      }
      break;
    }
    case Way::rows:
      encoder.dispatch_groups(groups_of(plan.rows(), group_threads / threads_per_row(plan, form)), group_size);
      break;
    case Way::blocks:
      encoder.dispatch_groups(groups_of(plan.rows() * blocks, group_threads / 32), group_size);
      fold_partials(encoder, k, std::move(partials), blocks, kernel);
      break;
  }
}

} // namespace mlx::core::gpu
