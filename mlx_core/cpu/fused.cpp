// The tile executor of fused plans.
#include "mlx_core/cpu/fused.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// Below this many element-steps a second thread costs more than it saves.
constexpr int64_t parallel_threshold = 96 * 1024;

// Scratch of one thread, kept between plans.
struct Scratch {
  std::unique_ptr<char, decltype(&std::free)> memory{nullptr, &std::free};
  size_t bytes = 0;
  bool busy = false; // while this thread waits for others it may run parts of another plan

  char* get(size_t wanted) {
    if (wanted > bytes) {
      memory.reset(static_cast<char*>(std::aligned_alloc(64, (wanted + 63) / 64 * 64)));
      if (!memory) {
        bytes = 0;
        throw std::bad_alloc();
      }
      bytes = wanted;
    }
    return memory.get();
  }
};
thread_local Scratch scratch;

// The thread's scratch, or memory of its own where that is in use.
class ScratchUse {
 public:
  explicit ScratchUse(size_t bytes) : threads_(scratch), shared_(!threads_.busy) {
    if (shared_) {
      memory_ = threads_.get(bytes);
      threads_.busy = true;
    } else {
      own_.reset(static_cast<char*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
      memory_ = own_.get();
      if (!memory_) {
        throw std::bad_alloc();
      }
    }
  }
  ~ScratchUse() {
    if (shared_) {
      threads_.busy = false;
    }
  }
  ScratchUse(const ScratchUse&) = delete;
  ScratchUse& operator=(const ScratchUse&) = delete;
  char* memory() const { return memory_; }

 private:
  Scratch& threads_;
  bool shared_;
  char* memory_;
  std::unique_ptr<char, decltype(&std::free)> own_{nullptr, &std::free};
};

// Each step on n elements, from `offset` bytes on in every slot.
void run_steps(
    std::span<const FusedPlan::Step> steps, const Kernel* kernels, char* const* at, int64_t offset, int64_t n) {
  for (size_t i = 0; i < steps.size(); ++i) {
    const FusedPlan::Step& step = steps[i];
    const void* inputs[] = {at[step.inputs[0]] + offset, at[step.inputs[1]] + offset, at[step.inputs[2]] + offset};
    kernels[i](inputs, at[step.output] + offset, n);
  }
}

} // namespace

void BoundPlan::run() {
  const FusedPlan& plan = *plan_;
  std::vector<std::unique_ptr<char[]>> storage;
  std::vector<char*> partials;
  if (cut_ == Cut::parts_of_rows) {
    for (const RowReducer& reducer : reducers_) {
      storage.emplace_back(new char[static_cast<size_t>(units_ * reducer.partial_size)]);
      partials.push_back(storage.back().get());
    }
  }
  auto parts = static_cast<int64_t>(plan.steps.size() + plan.sources.size() + plan.folds.size());
  if (units_ == 1 || plan.size < parallel_threshold / std::max<int64_t>(parts, 1) || thread_count() == 1) {
    run_units(partials.data(), 0, units_);
  } else {
    int64_t chunks = std::min<int64_t>(units_, 8 * thread_count());
    parallel_for(
        chunks, [&](int64_t c) { run_units(partials.data(), units_ * c / chunks, units_ * (c + 1) / chunks); });
  }
  for (size_t k = 0; k < partials.size(); ++k) {
    const Place& to = places_[plan.folds[k].output];
    for (int64_t row = 0; row < plan.rows(); ++row) {
      reducers_[k].finish(
          partials[k] + row * parts_ * reducers_[k].partial_size, parts_, to.memory + row * to.item_size);
    }
  }
}

void BoundPlan::run_units(char* const* partials, int64_t begin, int64_t end) const {
  size_t partial_bytes = cut_ == Cut::long_rows ? static_cast<size_t>(partial_bytes_) : 0;
  ScratchUse use(static_cast<size_t>(scratch_bytes_) + partial_bytes);
  constexpr size_t most_slots = 320;
  char *at[most_slots], *rows_at[most_slots];
  Working w{use.memory(), at, rows_at, use.memory() + scratch_bytes_};
  for (size_t i = 0; i < places_.size(); ++i) {
    at[i] = tile(w, places_[i].tile);
  }
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (plan_->sources[i].layout == FusedPlan::Layout::scalar) {
      find_spread(places_[i].item_size)(at[i], sources_[i].host(), longest_);
    }
  }
  if (plan_->row_length) {
    std::copy_n(at, places_.size(), rows_at);
    for (uint16_t slot : spread_) {
      at[slot] = tile(w, places_[slot].spread);
    }
  }
  InterruptPoll poll(1 << 18); // element-steps
  for (int64_t unit = begin; unit < end; ++unit) {
    poll(per_unit_ * static_cast<int64_t>(plan_->steps.size() + 1));
    switch (cut_) {
      case Cut::whole_rows: {
        int64_t first = unit * per_unit_;
        run_short(w, first, std::min(per_unit_, plan_->size - first));
        break;
      }
      case Cut::parts_of_rows: run_part(w, partials, unit); break;
      case Cut::long_rows: run_long(w, unit); break;
    }
  }
}

// The stage's steps on values of rows, from this row on; then those values that its other steps are the first to read,
// spread over n elements.
void BoundPlan::row_values(const Working& w, size_t stage, int64_t row, int64_t rows, int64_t n) const {
  if (stage == 0) {
    for (uint16_t slot : moving_rows_) {
      w.rows_at[slot] = places_[slot].memory + row * places_[slot].item_size;
    }
  }
  uint32_t from = plan_->begin_of(stage).row_steps, count = plan_->stages[stage].row_steps - from;
  run_steps(std::span(plan_->row_steps).subspan(from, count), row_kernels_.data() + from, w.rows_at, 0, rows);
  for (uint16_t slot : spread_) {
    if (places_[slot].stage == static_cast<int32_t>(stage)) {
      find_spread_each(places_[slot].item_size)(w.at[slot], w.rows_at[slot], rows, n / rows);
    }
  }
}

// The stage's steps on the n elements from `first` on, which is the row's element in_row.
void BoundPlan::elements(const Working& w, size_t stage, int64_t first, int64_t in_row, int64_t n) const {
  if (stage == 0 || cut_ == Cut::long_rows) {
    for (uint16_t slot : moving_) {
      const Place& place = places_[slot];
      if (place.memory) {
        w.at[slot] = place.memory + first * place.item_size;
      } else if (place.row >= 0) {
        w.at[slot] = w.scratch + place.row + in_row * place.item_size;
      } else {
        const FusedPlan::Source& source = plan_->sources[slot];
        read_strided(sources_[slot].host(), source.sizes, source.strides, place.item_size, first, n, w.at[slot]);
      }
    }
  }
  steps(w, plan_->begin_of(stage).steps, plan_->stages[stage].steps, n);
}

// Steps on n elements: runs of cheap ones in strips, which leave what is less than a strip to the kernels.
void BoundPlan::steps(const Working& w, uint32_t begin, uint32_t end, int64_t n) const {
  std::span<const FusedPlan::Step> all(plan_->steps);
  for (const StripRun& run : strips_.runs) {
    if (run.begin < begin || run.begin >= end) {
      continue;
    }
    run_steps(all.subspan(begin, run.begin - begin), kernels_.data() + begin, w.at, 0, n);
    int64_t whole = n / run.table->elements * run.table->elements;
    run.table->run(strips_.code.data() + run.code, w.at, 0, whole);
    if (whole < n) {
      run_steps(all.subspan(run.begin, run.end - run.begin), kernels_.data() + run.begin, w.at,
          whole * run.table->item_size, n - whole);
    }
    begin = run.end;
  }
  run_steps(all.subspan(begin, end - begin), kernels_.data() + begin, w.at, 0, n);
}

void BoundPlan::run_short(const Working& w, int64_t first, int64_t n) const {
  int64_t length = plan_->row_length, rows = length ? n / length : 0;
  for (size_t stage = 0; stage < plan_->stages.size(); ++stage) {
    if (length) {
      row_values(w, stage, first / length, rows, n);
    }
    elements(w, stage, first, 0, n);
    for (uint32_t i = plan_->begin_of(stage).folds; i < plan_->stages[stage].folds; ++i) {
      const FusedPlan::Fold& fold = plan_->folds[i];
      reducers_[i].rows(
          w.at[fold.input], length, length * places_[fold.input].item_size, rows, w.rows_at[fold.output]);
    }
  }
}

void BoundPlan::run_part(const Working& w, char* const* partials, int64_t unit) const {
  int64_t row = unit / parts_, in_row = unit % parts_ * tile_size;
  int64_t n = std::min(tile_size, plan_->row_length - in_row);
  row_values(w, 0, row, 1, n);
  elements(w, 0, row * plan_->row_length + in_row, in_row, n);
  for (size_t i = 0; i < plan_->folds.size(); ++i) {
    reducers_[i].block(w.at[plan_->folds[i].input], n, partials[i] + unit * reducers_[i].partial_size);
  }
}

void BoundPlan::run_long(const Working& w, int64_t row) const {
  for (size_t stage = 0; stage < plan_->stages.size(); ++stage) {
    uint32_t first_fold = plan_->begin_of(stage).folds, end_fold = plan_->stages[stage].folds;
    row_values(w, stage, row, 1, std::min(tile_size, plan_->row_length));
    for (int64_t part = 0; part < parts_; ++part) {
      int64_t in_row = part * tile_size, n = std::min(tile_size, plan_->row_length - in_row);
      elements(w, stage, row * plan_->row_length + in_row, in_row, n);
      char* partials = w.partials;
      for (uint32_t i = first_fold; i < end_fold; ++i) {
        reducers_[i].block(w.at[plan_->folds[i].input], n, partials + part * reducers_[i].partial_size);
        partials += parts_ * reducers_[i].partial_size;
      }
    }
    char* partials = w.partials;
    for (uint32_t i = first_fold; i < end_fold; ++i) {
      reducers_[i].finish(partials, parts_, w.rows_at[plan_->folds[i].output]);
      partials += parts_ * reducers_[i].partial_size;
    }
  }
}

thread_local BoundPlan kept;

void run(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs) {
  if (plan.size == 0) {
    return;
  }
  std::unique_ptr<BoundPlan> own; // while this thread waits for others it may run another plan
  BoundPlan& threads = kept;
  BoundPlan& bound = threads.busy ? *(own = std::make_unique<BoundPlan>()) : threads;
  struct Busy {
    bool& flag;
    explicit Busy(bool& f) : flag(f) { flag = true; }
    ~Busy() { flag = false; }
  } busy(bound.busy);
  bound.bind(plan, sources, outputs);
  bound.run();
}

} // namespace mlx::core::cpu
