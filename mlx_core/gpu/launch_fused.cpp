// Fused plans: the kernel for the plan's structure, and its grid.
#include <algorithm>
#include <bit>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/gpu/fused_msl.h"
#include "mlx_core/gpu/launch.h"

namespace mlx::core::gpu {

namespace {

using Way = FusedForm::Way;

bool is_complex_fold(const FusedPlan::Fold& fold) {
  return fold.from == complex64 && fold.op != Reduction::all && fold.op != Reduction::any;
}
// Whether the order in which it is reduced, and so the number of lanes, shows.
bool depends_on_order(const FusedPlan::Fold& fold) {
  return fold.from.is_floating() && fold.op != Reduction::all && fold.op != Reduction::any;
}

// Slots of arguments: 31, of which the constants need one, and the partials of folds some.
constexpr size_t most_buffers = 28, most_folds = 16;

} // namespace

bool supports(const kernel::Fused& k) {
  const FusedPlan& plan = k.plan;
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
  bool complex = std::any_of(plan.folds.begin(), plan.folds.end(), is_complex_fold);
  bool real = std::any_of(plan.folds.begin(), plan.folds.end(), depends_on_order);
  if (plan.row_length && form_of(k).way == Way::blocks) {
    buffers += plan.folds.size();
  }
  bool keeps_partials = plan.stages.size() == 1 || plan.row_length <= most_blocks * block_length;
  return buffers <= most_buffers && plan.folds.size() <= most_folds && !(complex && real) && keeps_partials;
}

void launch(Encoder& encoder, const kernel::Fused& k) {
  const FusedPlan& plan = k.plan;
  if (plan.size == 0) {
    return;
  }
  FusedForm form = form_of(k);
  auto text = [&] { return text_of(k, form); };
  std::string key = key_of(k, form);
  encoder.kernel_of_text(key, text, "fused");
  int slot = 0;
  for (const View& source : k.sources) {
    if (source.buffer) {
      encoder.read(slot++, source);
    }
  }
  for (const View& output : k.outputs) {
    encoder.write(slot++, output);
  }
  std::vector<View> partials;
  int64_t blocks = plan.row_length ? (plan.row_length + block_length - 1) / block_length : 0;
  if (form.way == Way::blocks) {
    for (const FusedPlan::Fold& fold : plan.folds) {
      bool logical = fold.op == Reduction::all || fold.op == Reduction::any;
      Dtype dtype = logical ? bool_ : fold.from == float16 || fold.from == bfloat16 ? Dtype(float32) : fold.from;
      partials.push_back(encoder.scratch(dtype, plan.rows() * blocks));
      encoder.write(slot++, partials.back());
    }
  }
  std::vector<int64_t> constants = constants_of(k, form);
  encoder.values(slot, std::span<const int64_t>(constants));
  auto group = static_cast<uint64_t>(group_threads);
  switch (form.way) {
    case Way::elements: {
      auto size = static_cast<uint64_t>(plan.size);
      constexpr uint64_t longest = uint64_t{1} << 30;
      if (form.wide && size > longest) {
        encoder.dispatch_threads({longest, (size + longest - 1) / longest, 1}, {group, 1, 1});
      } else {
        encoder.dispatch_elements(size);
      }
      break;
    }
    case Way::rows: {
      int64_t per_group = group_threads / threads_per_row(plan, form);
      encoder.dispatch_groups({static_cast<uint64_t>((plan.rows() + per_group - 1) / per_group), 1, 1}, {group, 1, 1});
      break;
    }
    case Way::blocks: {
      int64_t per_group = group_threads / form.lanes, count = plan.rows() * blocks;
      encoder.dispatch_groups({static_cast<uint64_t>((count + per_group - 1) / per_group), 1, 1}, {group, 1, 1});
      encoder.kernel_of_text(key, text, "finish");
      slot = 0;
      for (const View& partial : partials) {
        encoder.write(slot++, partial);
      }
      for (const FusedPlan::Fold& fold : plan.folds) {
        encoder.write(slot++, k.outputs[static_cast<size_t>(plan.slots[fold.output].output)]);
      }
      int64_t first = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(blocks)) / 2);
      int64_t words[] = {blocks, first};
      encoder.values(slot, std::span<const int64_t>(words));
      encoder.dispatch_groups({static_cast<uint64_t>(plan.rows()), 1, 1}, {group, 1, 1});
      break;
    }
  }
}

} // namespace mlx::core::gpu
