// Binding a fused plan: kernels, and places. Scratch is given out again as soon as nobody reads it.
#include <algorithm>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/past_caches.h"
#include "mlx_core/cpu/recompute.h"
#include "mlx_core/error.h"

namespace mlx::core::cpu {

namespace {

// Scratch ends where a strip may.
int64_t whole_strips(int64_t bytes) { return (bytes + strip_bytes - 1) / strip_bytes * strip_bytes; }

} // namespace

void BoundPlan::bind(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs, Runs runs) {
  sources_ = sources;
  odd_rows_ = true;
  lay_out(plan, outputs, runs);
  if (has_odd_rows() && !std::ranges::all_of(repeatable_, &Again::is_possible)) {
    odd_rows_ = false;
    lay_out(plan, outputs, runs);
  }
}

void BoundPlan::lay_out(const FusedPlan& plan, std::span<const View> outputs, Runs runs) {
  plan_ = &plan;
  cut();
  if (cut_ == Cut::long_rows) {
    recomputed_ = recomputed(plan, sources_, outputs);
    plan_ = &recomputed_;
  }
  find_kernels(runs);
  place_given(outputs);
  find_lines_of_rows();
  place_steps();
  repeatable_.clear();
  for (const StripRun& run : strips_.runs) {
    repeatable_.push_back(may_repeat(run, outputs));
  }
  give_up_lines();
  find_stored_lines();
  count_copies();
}

void BoundPlan::move_to(std::span<const View> sources, std::span<const View> outputs) {
  sources_ = sources;
  for (size_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    if (place.memory || place.result) {
      int16_t output = plan_->slots[i].output;
      char* memory = output >= 0 ? outputs[static_cast<size_t>(output)].host<char>() : sources[i].host<char>();
      (place.result ? place.result : place.memory) = memory;
    }
  }
  find_stored_lines();
}

namespace {

void kernels_of(std::span<const FusedPlan::Step> steps, std::vector<Kernel>& kernels) {
  const KernelTable& table = kernel_table();
  kernels.resize(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const FusedPlan::Step& step = steps[i];
    bool converts = step.body == Body::copy && step.from != step.to;
    kernels[i] = converts ? table.cast(step.from, step.to) : table.body(step.body, step.from);
    if (!kernels[i]) {
      fail<std::runtime_error>(
          "eval", "there is no kernel for body ", static_cast<int>(step.body), " and dtype ", step.from, ".");
    }
  }
}

} // namespace

// What an element costs, in loads and stores: how much there is to share out among threads.
int64_t BoundPlan::operations_of_element() const {
  auto cost = static_cast<int64_t>(plan_->folds.size());
  for (const FusedPlan::Step& step : plan_->steps) {
    cost += cost_of(step.body);
  }
  return std::max<int64_t>(cost, 1);
}

// Where strips go row by row through several: the sources whose rows are lines of memory, and that nothing else reads.
void BoundPlan::find_lines_of_rows() {
  int64_t row = plan_->row_length;
  for (uint16_t slot = 0; slot < orders_.size() && !strips_.row_of_step.empty(); ++slot) {
    places_[slot].of_lines = orders_[slot] == StripOrder::same;
  }
  auto is_needed_whole = [&](uint16_t slot) {
    if (slot < orders_.size()) {
      places_[slot].of_lines = false;
    }
  };
  for (const FusedPlan::Fold& fold : plan_->folds) {
    is_needed_whole(fold.input);
  }
  for (const FusedPlan::Step& step : plan_->row_steps) {
    std::for_each_n(step.inputs, step.input_count, is_needed_whole);
  }
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const FusedPlan::Step& step = plan_->steps[i];
    std::for_each_n(step.inputs, step.input_count, [&](uint16_t slot) {
      if (slot < orders_.size() && places_[slot].of_lines && !strips_.reads_one(*plan_, i, slot)) {
        is_needed_whole(slot);
      }
    });
  }
  if (short_line_) {
    row = short_line_;
  } else if (cut_ != Cut::whole_rows || per_unit_ <= row || !is_by_rows()) {
    return;
  }
  for (uint16_t slot = 0; slot < plan_->sources.size(); ++slot) {
    const FusedPlan::Source& source = plan_->sources[slot];
    bool in_lines = source.layout == FusedPlan::Layout::strided && !source.sizes.empty() &&
                    source.sizes.back() % row == 0 && source.strides.back() == 1;
    size_t others = 0;
    for (size_t i = 0, run = 0; i < plan_->steps.size() && in_lines; ++i) {
      while (run < strips_.runs.size() && strips_.runs[run].end <= i) {
        ++run;
      }
      others += reads(plan_->steps[i], slot) && (run == strips_.runs.size() || strips_.runs[run].begin > i);
    }
    bool is_folded = std::any_of(
        plan_->folds.begin(), plan_->folds.end(), [=](const FusedPlan::Fold& fold) { return fold.input == slot; });
    places_[slot].of_lines |= in_lines && others == 0 && !is_folded;
  }
  for (StripRun& run : strips_.runs) {
    run.lines = static_cast<uint32_t>(strips_.lines.size());
    std::copy_if(strips_.slots.begin() + run.slots, strips_.slots.begin() + run.stored,
        std::back_inserter(strips_.lines), [&](uint16_t slot) {
          return slot < plan_->sources.size() && places_[slot].of_lines && orders_[slot] != StripOrder::same;
        });
    run.lines_end = static_cast<uint32_t>(strips_.lines.size());
  }
}

// Where a line is no whole number of strips, and its last elements cannot be done twice: then they are brought
// together.
void BoundPlan::give_up_lines() {
  bool fits = true;
  for (size_t i = 0; i < strips_.runs.size(); ++i) {
    const StripRun& run = strips_.runs[i];
    fits = fits && (run.lines == run.lines_end || repeatable_[i].is_possible || short_line_ % run.table->elements == 0);
  }
  if (fits || !short_line_) {
    return;
  }
  for (StripRun& run : strips_.runs) {
    std::for_each(strips_.lines.begin() + run.lines, strips_.lines.begin() + run.lines_end,
        [this](uint16_t slot) { places_[slot].of_lines = false; });
    run.lines_end = run.lines;
  }
}

// Results whose lines have gaps between them: strips that go line by line store them there, where nothing else reads
// them.
void BoundPlan::find_stored_lines() {
  for (uint16_t slot : lined_) {
    Place& place = places_[slot];
    place.lines_by = -1;
    const auto reads_it = [=](const FusedPlan::Step& step) { return reads(step, slot); };
    for (const StripRun& run : strips_.runs) {
      const auto begin = plan_->steps.begin() + run.begin, end = plan_->steps.begin() + run.end;
      const bool read_elsewhere = std::any_of(end, plan_->steps.end(), reads_it) ||
                                  std::any_of(plan_->folds.begin(), plan_->folds.end(),
                                      [=](const FusedPlan::Fold& fold) { return fold.input == slot; });
      const bool gives = std::any_of(begin, end, [=](const FusedPlan::Step& step) { return step.output == slot; });
      if (gives && short_line_ == place.lines.length && short_line_ >= run.table->elements && !read_elsewhere) {
        place.lines_by = static_cast<int32_t>(&run - strips_.runs.data());
      }
    }
  }
}

// Of scalars: a strip, or one for each row of a unit, where nothing else reads it, or one for each element.
void BoundPlan::count_copies() {
  for (uint16_t slot = 0; slot < plan_->sources.size(); ++slot) {
    if (plan_->sources[slot].layout != FusedPlan::Layout::scalar) {
      continue;
    }
    const bool by_elements =
        !plan_->row_length ||
        std::any_of(plan_->steps.begin(), plan_->steps.end(), [=](const auto& step) { return reads(step, slot); }) ||
        std::any_of(plan_->folds.begin(), plan_->folds.end(), [=](const auto& fold) { return fold.input == slot; });
    places_[slot].copies = places_[slot].of_lines ? strip_bytes / places_[slot].item_size
                           : by_elements          ? longest_
                                                  : std::max<int64_t>(longest_ / plan_->row_length, 1);
  }
}

// Processors fetch what lies ahead too late. Where rows go through several stages, what the next unit reads is waited
// for in its first stage, while nothing is fetched in the last one, which waits for its results' memory: so there it is
// fetched, unless it is likely to be near, or would leave the second-level cache before it is read. Where there is one
// stage, steps that are cheap wait for their sources and results.
FetchAhead BoundPlan::fetch_ahead() const {
  constexpr int64_t least_of_stages = int64_t{12} << 20, most_ahead = int64_t{256} << 10; // bytes
  constexpr int64_t least_within = int64_t{24} << 20, least_within_cheapest = int64_t{2} << 20;
  int64_t bytes = 0; // of an element of all flat sources
  for (size_t i = 0; i < plan_->sources.size(); ++i) {
    bytes += plan_->sources[i].layout == FusedPlan::Layout::flat ? plan_->slots[i].dtype.size() : 0;
  }
  if (plan_->stages.size() > 1) {
    const bool in_units = cut_ == Cut::long_rows || cut_ == Cut::whole_rows;
    const bool pays = in_units && bytes * plan_->size >= least_of_stages && bytes * per_unit_ <= most_ahead;
    return {.next_unit = pays ? per_unit_ : 0};
  }
  const bool near = std::none_of(plan_->slots.begin(), plan_->slots.end(),
      [this](const FusedPlan::Slot& slot) { return slot.output >= 0 && is_large(slot.dtype); });
  return {.within = bytes * plan_->size >= least_within,
      .within_cheapest = bytes * plan_->size >= least_within_cheapest,
      .results = near};
}

// Whether results of a dtype are stored past the caches, as far as their size goes: steps take their time as well.
bool BoundPlan::is_large(Dtype dtype) const { return is_past_caches(plan_->size * dtype.size() / 2); }

void BoundPlan::find_kernels(Runs runs) {
  kernels_of(plan_->steps, kernels_);
  kernels_of(plan_->row_steps, row_kernels_);
  constexpr int64_t worth_strips = 2048; // elements: below, looking for them once costs more than they save
  strips_.clear();
  native_.clear();
  bytes_.clear();
  run_again_ = 0;
  if (plan_->size >= worth_strips || runs == Runs::many) {
    find_orders();
    strips_.find(*plan_, orders_, is_by_rows(), is_by_rows() ? plan_->row_length : short_line_, fetch_ahead());
  }
  reducers_.clear();
  if (cut_ == Cut::columns) {
    return;
  }
  partial_bytes_ = 0;
  for (const FusedPlan::Fold& fold : plan_->folds) {
    reducers_.push_back(find_row_reducer(fold.op, fold.from));
    partial_bytes_ += parts_ * reducers_.back().partial_size;
  }
}

// Places for what has memory, for sources that are read into scratch, and for values of rows.
void BoundPlan::place_given(std::span<const View> outputs) {
  places_.resize(plan_->slots.size());
  moving_.clear();
  lined_.clear();
  moving_rows_.clear();
  spread_.clear();
  results_.clear();
  tiles_ = 0;
  row_bytes_ = 0;
  int widest = 1;
  const FusedPlan::Slot* slots = plan_->slots.data();
  for (size_t i = 0; i < places_.size(); ++i) {
    const FusedPlan::Slot& slot = slots[i];
    Place& place = places_[i] = Place();
    place.item_size = strips_.item_size(*plan_, i);
    widest = std::max(widest, place.item_size);
    bool moves = slot.output >= 0;
    if (moves) {
      const View& output = outputs[static_cast<size_t>(slot.output)];
      moves = !is_stored_past_caches(static_cast<uint16_t>(i), output);
      (moves ? place.memory : place.result) = output.host<char>();
      if (!moves) {
        place.tile = tiles_++;
        results_.push_back(static_cast<uint16_t>(i));
      } else if (slot.lines.length > 0) {
        place.lines = slot.lines;
        place.tile = tiles_++;
        lined_.push_back(static_cast<uint16_t>(i));
      }
    } else if (i < plan_->sources.size()) {
      FusedPlan::Layout layout = plan_->sources[i].layout;
      moves = layout != FusedPlan::Layout::scalar;
      if (layout == FusedPlan::Layout::flat || layout == FusedPlan::Layout::rows) {
        place.memory = sources_[i].host<char>();
      } else {
        place.tile = tiles_++;
      }
      if (layout == FusedPlan::Layout::strided) {
        place.repeat.find(plan_->sources[i], tile_size / 2);
      }
    } else if (slot.of_rows) {
      place.tile = tiles_++;
    } else {
      continue; // when its readers are known
    }
    place.settled = !slot.of_rows;
    if (moves) {
      (slot.of_rows ? moving_rows_ : moving_).push_back(static_cast<uint16_t>(i));
    }
  }
  // The last strip of a line goes beyond it, wherever it begins.
  tile_bytes_ = whole_strips(longest_ * widest) + (short_line_ ? strip_bytes : 0);
}

// Results of elements, but for those that overwrite a source, whose lines are there, and those that a later stage
// reads.
bool BoundPlan::is_stored_past_caches(uint16_t slot, const View& output) const {
  const FusedPlan& plan = *plan_;
  if (!is_large(plan.slots[slot].dtype) || plan.slots[slot].of_rows || plan.slots[slot].lines.length > 0 ||
      cut_ == Cut::columns ||
      std::any_of(sources_.begin(), sources_.end(), [&](const View& v) { return v.host() == output.host(); })) {
    return false;
  }
  const auto gives = [=](const FusedPlan::Step& step) { return step.output == slot; };
  const auto given = std::find_if(plan.steps.begin(), plan.steps.end(), gives) - plan.steps.begin();
  const auto stage = std::find_if(plan.stages.begin(), plan.stages.end(),
      [=](const FusedPlan::Stage& to) { return given < static_cast<int64_t>(to.steps); });
  return stage != plan.stages.end() &&
         std::none_of(plan.steps.begin() + stage->steps, plan.steps.end(),
             [=](const FusedPlan::Step& step) { return reads(step, slot); }) &&
         std::none_of(plan.folds.begin() + stage->folds, plan.folds.end(),
             [=](const FusedPlan::Fold& fold) { return fold.input == slot; });
}

int32_t BoundPlan::take_tile(int item_size) {
  std::vector<int32_t>& spare = spare_of(item_size);
  if (spare.empty()) {
    return tiles_++;
  }
  int32_t number = spare.back();
  spare.pop_back();
  return number;
}

// Backwards, so that the first read that is met is the last: from there down to the step that gives it, a value has a
// tile of scratch. In a long row, what a later stage reads has a place of its own.
void BoundPlan::place_steps() {
  const FusedPlan& plan = *plan_;
  if (cut_ == Cut::long_rows || !results_.empty()) {
    for (size_t stage = 0; stage < plan.stages.size(); ++stage) {
      for (uint32_t i = plan.begin_of(stage).steps; i < plan.stages[stage].steps; ++i) {
        places_[plan.steps[i].output].stage = static_cast<int32_t>(stage);
      }
    }
  }
  for (std::vector<int32_t>& tiles : spare_) {
    tiles.clear();
  }
  const FusedPlan::Step* steps = plan.steps.data();
  Place* places = places_.data();
  for (size_t stage = plan.stages.size(); stage-- > 0;) {
    FusedPlan::Stage from = plan.begin_of(stage), to = plan.stages[stage];
    for (uint32_t i = from.folds; i < to.folds; ++i) {
      if (!places_[plan.folds[i].input].settled) {
        place_read(plan.folds[i].input, stage);
      }
    }
    for (uint32_t i = to.steps; i-- > from.steps;) {
      const FusedPlan::Step& step = steps[i];
      auto place_inputs = [&](size_t number) {
        for (int k = 0; k < steps[number].input_count; ++k) {
          uint16_t slot = steps[number].inputs[k];
          if (!places[slot].settled && !strips_.reads_one(plan, number, slot)) {
            place_read(slot, stage);
          }
        }
      };
      place_inputs(i);
      if (!strips_.compares.empty() && strips_.compares[i] >= 0) {
        place_inputs(static_cast<size_t>(strips_.compares[i]));
      }
      Place& out = places[step.output];
      if (!out.memory && out.row < 0) {
        out.tile = out.tile < 0 ? take_tile(out.item_size) : out.tile;
        spare_of(out.item_size).push_back(out.tile);
      }
    }
  }
  int64_t tiles = tile_bytes_ * tiles_;
  if (row_bytes_ > 0) {
    for (Place& place : places_) {
      place.row += place.row >= 0 ? tiles : 0;
    }
  }
  pads_ = tiles + row_bytes_;
  folds_ = pads_ + static_cast<int64_t>(moving_.size()) * strip_bytes;
  divisors_ = folds_ + static_cast<int64_t>(strips_.folds.size() * sizeof(StripFold));
  size_t divisors = strips_.rows.size() + strips_.scalars.size();
  ordered_pads_ = divisors_ + static_cast<int64_t>(divisors * sizeof(StripDivisor));
  scratch_bytes_ = ordered_pads_ + static_cast<int64_t>(strips_.ordered.size()) * 2 * strip_bytes;
}

void BoundPlan::place_read(uint16_t slot, size_t stage) {
  Place& place = places_[slot];
  if (plan_->slots[slot].of_rows) {
    if (place.spread < 0) {
      place.spread = tiles_++;
      spread_.push_back(slot);
    }
    place.stage = static_cast<int32_t>(stage);
    return;
  }
  place.settled = true;
  if (cut_ == Cut::long_rows && static_cast<int32_t>(stage) > place.stage) {
    place.row = row_bytes_;
    row_bytes_ += whole_strips(plan_->row_length * place.item_size);
    moving_.push_back(slot);
  } else {
    place.tile = take_tile(place.item_size);
  }
}

// Whether elements that a run does again come out the same: it only writes its results, and what it reads is still
// there once it has written them, or can be kept, as that of sources in whose place they are written. What it folds
// would count twice.
BoundPlan::Again BoundPlan::may_repeat(const StripRun& run, std::span<const View> outputs) const {
  auto slots = strips_.slots.begin();
  auto steps = plan_->steps.begin();
  for (size_t i = 0; i < strips_.folds.size(); ++i) {
    bool folds = strips_.folds[i] && std::any_of(steps + run.begin, steps + run.end,
                                         [&](const auto& step) { return step.output == plan_->folds[i].input; });
    if (folds) {
      return {false, {}};
    }
  }
  Again again{true, {}};
  std::for_each(slots + run.slots, slots + run.stored, [&](uint16_t read) {
    const Place& from = places_[read];
    const bool is_source = read < sources_.size();
    std::for_each(slots + run.stored, slots + run.slots_end, [&](uint16_t written) {
      const Place& to = places_[written];
      const int16_t output = plan_->slots[written].output;
      const bool in_place = is_source && output >= 0 &&
                            sources_[read].host() == outputs[static_cast<size_t>(output)].host() &&
                            orders_[read] == StripOrder::consecutive;
      const bool same = to.memory || from.memory ? to.memory == from.memory : to.tile == from.tile;
      if (in_place && std::ranges::find(again.kept, read) == again.kept.end()) {
        again.kept.push_back(read);
      } else if (!in_place && same && written != read) {
        again.is_possible = false;
      }
    });
  });
  return again;
}

} // namespace mlx::core::cpu
