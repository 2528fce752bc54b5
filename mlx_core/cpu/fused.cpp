// The tile executor of fused plans.
#include "mlx_core/cpu/fused.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/reduce.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// Elements that a step processes at once: one block of a reduction.
constexpr int64_t tile_size = reduce_block;
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
  explicit ScratchUse(size_t bytes) : shared_(!scratch.busy) {
    if (shared_) {
      memory_ = scratch.get(bytes);
      scratch.busy = true;
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
      scratch.busy = false;
    }
  }
  ScratchUse(const ScratchUse&) = delete;
  ScratchUse& operator=(const ScratchUse&) = delete;
  char* memory() const { return memory_; }

 private:
  bool shared_;
  char* memory_;
  std::unique_ptr<char, decltype(&std::free)> own_{nullptr, &std::free};
};

template <typename T>
void fill_with(void* to, const void* value, int64_t n) {
  T v;
  std::memcpy(&v, value, sizeof(T));
  std::fill_n(static_cast<T*>(to), n, v);
}
struct Wide {
  uint64_t parts[2];
};
void fill_run(void* to, const void* value, int64_t n, int item_size) {
  switch (item_size) {
    case 1: return fill_with<uint8_t>(to, value, n);
    case 2: return fill_with<uint16_t>(to, value, n);
    case 4: return fill_with<uint32_t>(to, value, n);
    case 8: return fill_with<uint64_t>(to, value, n);
    default: return fill_with<Wide>(to, value, n);
  }
}

// A plan with this machine's kernels, and a place for each slot. The space is cut into units: of whole rows that
// together are at most a tile; or where rows are longer, of a tile within a row, or of one row that is gone through for
// each stage.
class Bound {
 public:
  Bound(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs);
  void run();

 private:
  enum class Cut : uint8_t { whole_rows, parts_of_rows, long_rows };
  struct Place {
    char* memory = nullptr; // of all elements; null: scratch
    int32_t tile = -1;      // number of a tile of scratch
    int32_t spread = -1;    // of one value for each row: the tile that has it for each element
    int64_t row = -1;       // offset in scratch of a whole long row
    int item_size = 0;
  };
  struct Working { // of one thread
    char* scratch;
    char** at;      // for each slot, its run of elements, or of one value for each row
    char* partials; // of the folds of one long row
  };

  void place_slots(std::span<const View> sources, std::span<const View> outputs);
  void note_uses();
  void run_units(char* const* partials, int64_t begin, int64_t end) const;
  void run_short(const Working& w, int64_t first, int64_t n) const;
  void run_part(const Working& w, char* const* partials, int64_t unit) const;
  void run_long(const Working& w, int64_t row) const;

  void begin_rows(const Working& w, int64_t row) const;
  void row_values(const Working& w, size_t stage, int64_t row, int64_t rows, int64_t n) const;
  void elements(const Working& w, size_t stage, int64_t first, int64_t in_row, int64_t n) const;
  void run_step(const FusedPlan::Step& step, Kernel kernel, const Working& w, int64_t n, bool of_rows) const;

  char* tile(const Working& w, int32_t number) const { return w.scratch + tile_bytes_ * number; }

  const FusedPlan& plan_;
  std::span<const View> sources_;
  Cut cut_ = Cut::whole_rows;
  int64_t per_unit_ = 0, parts_ = 1, units_ = 0; // elements of a unit; tiles of a row; units
  SmallVector<Place, 12> places_;
  SmallVector<Kernel, 8> kernels_, row_kernels_;
  SmallVector<RowReducer, 2> reducers_;
  SmallVector<int32_t, 12> first_stage_, last_use_; // by slot: where its spread tile is filled; twice the last step
  int32_t tiles_ = 0;
  int64_t tile_bytes_ = 0, scratch_bytes_ = 0, partial_bytes_ = 0;
};

Kernel kernel_of(const FusedPlan::Step& step) {
  return step.body == Body::copy && step.from != step.to ? find_cast(step.from, step.to)
                                                         : find_kernel(step.body, step.from);
}

Bound::Bound(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs)
    : plan_(plan), sources_(sources) {
  bool alone = plan.stages.size() == 1;
  if (plan.row_length > tile_size) {
    cut_ = alone ? Cut::parts_of_rows : Cut::long_rows;
    parts_ = (plan.row_length + tile_size - 1) / tile_size;
    per_unit_ = alone ? tile_size : plan.row_length;
    units_ = plan.rows() * (alone ? parts_ : 1);
  } else {
    int64_t row = std::max<int64_t>(plan.row_length, 1);
    per_unit_ = tile_size / row * row;
    units_ = (plan.size + per_unit_ - 1) / per_unit_;
  }
  for (const FusedPlan::Step& step : plan.steps) {
    kernels_.push_back(kernel_of(step));
  }
  for (const FusedPlan::Step& step : plan.row_steps) {
    row_kernels_.push_back(kernel_of(step));
  }
  for (const FusedPlan::Fold& fold : plan.folds) {
    reducers_.push_back(find_row_reducer(fold.op, fold.from));
    partial_bytes_ += parts_ * reducers_.back().partial_size;
  }
  note_uses();
  place_slots(sources, outputs);
}

// Which step reads a slot last, and which values of rows are read as elements, from which stage on.
void Bound::note_uses() {
  last_use_ = SmallVector<int32_t, 12>(plan_.slots.size(), -1);
  first_stage_ = SmallVector<int32_t, 12>(plan_.slots.size(), -1);
  for (size_t stage = 0; stage < plan_.stages.size(); ++stage) {
    FusedPlan::Stage from = plan_.begin_of(stage), to = plan_.stages[stage];
    for (uint32_t i = from.steps; i < to.steps; ++i) {
      const FusedPlan::Step& step = plan_.steps[i];
      for (int k = 0; k < step.input_count; ++k) {
        uint16_t slot = step.inputs[k];
        last_use_[slot] = static_cast<int32_t>(2 * i);
        if (plan_.slots[slot].of_rows && first_stage_[slot] < 0) {
          first_stage_[slot] = static_cast<int32_t>(stage);
        }
      }
    }
    for (uint32_t i = from.folds; i < to.folds; ++i) { // after the stage's last step
      last_use_[plan_.folds[i].input] = static_cast<int32_t>(2 * to.steps) - 1;
    }
  }
}

void Bound::place_slots(std::span<const View> sources, std::span<const View> outputs) {
  places_.resize(plan_.slots.size());
  int64_t item = 1, whole_rows = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    const FusedPlan::Slot& slot = plan_.slots[i];
    Place& place = places_[i];
    place.item_size = slot.dtype.size();
    item = std::max<int64_t>(item, place.item_size);
    if (slot.output >= 0) {
      place.memory = outputs[static_cast<size_t>(slot.output)].host<char>();
    } else if (i < sources.size() && (plan_.sources[i].layout == FusedPlan::Layout::flat ||
                                         plan_.sources[i].layout == FusedPlan::Layout::rows)) {
      place.memory = sources[i].host<char>();
    } else if (i < sources.size() || slot.of_rows) {
      place.tile = tiles_++;
    }
    if (first_stage_[i] >= 0) {
      place.spread = tiles_++;
    }
  }
  // Scratch whose last reader a step is serves the next step, unless it outlives its stage in a long row.
  SmallVector<int32_t, 12> spare;
  size_t stage = 0;
  for (size_t m = 0; m < plan_.steps.size(); ++m) {
    const FusedPlan::Step& step = plan_.steps[m];
    while (m >= plan_.stages[stage].steps) {
      ++stage;
    }
    Place& place = places_[step.output];
    bool outlives = last_use_[step.output] >= static_cast<int32_t>(2 * plan_.stages[stage].steps);
    if (!place.memory && cut_ == Cut::long_rows && outlives) {
      place.row = whole_rows;
      whole_rows += (plan_.row_length * place.item_size + 63) / 64 * 64;
    } else if (!place.memory) {
      if (spare.empty()) {
        spare.push_back(tiles_++);
      }
      place.tile = spare.back();
      spare.pop_back();
    }
    for (int k = 0; k < step.input_count; ++k) {
      uint16_t in = step.inputs[k];
      bool seen = (k > 0 && step.inputs[0] == in) || (k > 1 && step.inputs[1] == in);
      if (!seen && in >= sources.size() && !plan_.slots[in].of_rows && places_[in].tile >= 0 &&
          last_use_[in] == static_cast<int32_t>(2 * m)) {
        spare.push_back(places_[in].tile);
      }
    }
  }
  tile_bytes_ = tile_size * item;
  int64_t tiles = tile_bytes_ * tiles_;
  for (Place& place : places_) {
    place.row += place.row >= 0 ? tiles : 0;
  }
  scratch_bytes_ = tiles + whole_rows;
}

void Bound::run() {
  std::vector<std::unique_ptr<char[]>> storage;
  std::vector<char*> partials;
  if (cut_ == Cut::parts_of_rows) {
    for (const RowReducer& reducer : reducers_) {
      storage.emplace_back(new char[static_cast<size_t>(units_ * reducer.partial_size)]);
      partials.push_back(storage.back().get());
    }
  }
  auto parts = static_cast<int64_t>(plan_.steps.size() + plan_.sources.size() + plan_.folds.size());
  if (units_ == 1 || plan_.size < parallel_threshold / std::max<int64_t>(parts, 1) || thread_count() == 1) {
    run_units(partials.data(), 0, units_);
  } else {
    int64_t chunks = std::min<int64_t>(units_, 8 * thread_count());
    parallel_for(
        chunks, [&](int64_t c) { run_units(partials.data(), units_ * c / chunks, units_ * (c + 1) / chunks); });
  }
  for (size_t k = 0; k < partials.size(); ++k) {
    const Place& to = places_[plan_.folds[k].output];
    for (int64_t row = 0; row < plan_.rows(); ++row) {
      reducers_[k].finish(
          partials[k] + row * parts_ * reducers_[k].partial_size, parts_, to.memory + row * to.item_size);
    }
  }
}

void Bound::run_units(char* const* partials, int64_t begin, int64_t end) const {
  size_t partial_bytes = cut_ == Cut::long_rows ? static_cast<size_t>(partial_bytes_) : 0;
  ScratchUse use(static_cast<size_t>(scratch_bytes_) + partial_bytes);
  constexpr size_t most_slots = 320;
  char* at[most_slots];
  Working w{use.memory(), at, use.memory() + scratch_bytes_};
  for (size_t i = 0; i < places_.size(); ++i) {
    at[i] = places_[i].tile >= 0 ? tile(w, places_[i].tile) : nullptr;
  }
  int64_t longest = std::min({per_unit_, plan_.size, tile_size});
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (plan_.sources[i].layout == FusedPlan::Layout::scalar) {
      fill_run(at[i], sources_[i].host(), longest, places_[i].item_size);
    }
  }
  InterruptPoll poll(1 << 18); // element-steps
  for (int64_t unit = begin; unit < end; ++unit) {
    poll(per_unit_ * static_cast<int64_t>(plan_.steps.size() + 1));
    switch (cut_) {
      case Cut::whole_rows: {
        int64_t first = unit * per_unit_;
        run_short(w, first, std::min(per_unit_, plan_.size - first));
        break;
      }
      case Cut::parts_of_rows: run_part(w, partials, unit); break;
      case Cut::long_rows: run_long(w, unit); break;
    }
  }
}

void Bound::run_step(const FusedPlan::Step& step, Kernel kernel, const Working& w, int64_t n, bool of_rows) const {
  const void* inputs[3];
  for (int k = 0; k < 3; ++k) {
    uint16_t slot = step.inputs[k];
    inputs[k] = !of_rows && places_[slot].spread >= 0 ? tile(w, places_[slot].spread) : w.at[slot];
  }
  kernel(inputs, w.at[step.output], n);
}

// Where the values of rows from this one on are.
void Bound::begin_rows(const Working& w, int64_t row) const {
  for (size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].memory && plan_.slots[i].of_rows) {
      w.at[i] = places_[i].memory + row * places_[i].item_size;
    }
  }
}

// The stage's steps on values of rows; then those values that its other steps read, spread over n elements.
void Bound::row_values(const Working& w, size_t stage, int64_t row, int64_t rows, int64_t n) const {
  if (stage == 0) {
    begin_rows(w, row);
  }
  for (uint32_t i = plan_.begin_of(stage).row_steps; i < plan_.stages[stage].row_steps; ++i) {
    run_step(plan_.row_steps[i], row_kernels_[i], w, rows, true);
  }
  for (size_t i = 0; i < places_.size(); ++i) {
    if (first_stage_[i] == static_cast<int32_t>(stage)) {
      int item = places_[i].item_size;
      char* to = tile(w, places_[i].spread);
      for (int64_t r = 0; r < rows; ++r) {
        fill_run(to + r * (n / rows) * item, w.at[i] + r * item, n / rows, item);
      }
    }
  }
}

// The stage's steps on the n elements from `first` on, which is the row's element in_row.
void Bound::elements(const Working& w, size_t stage, int64_t first, int64_t in_row, int64_t n) const {
  bool loads = stage == 0 || cut_ == Cut::long_rows;
  for (size_t i = 0; loads && i < places_.size(); ++i) {
    const Place& place = places_[i];
    if (plan_.slots[i].of_rows) {
      continue;
    }
    if (place.memory) {
      w.at[i] = place.memory + first * place.item_size;
    } else if (place.row >= 0) {
      w.at[i] = w.scratch + place.row + in_row * place.item_size;
    } else if (i < sources_.size() && plan_.sources[i].layout == FusedPlan::Layout::strided) {
      const FusedPlan::Source& source = plan_.sources[i];
      read_strided(sources_[i].host(), source.sizes, source.strides, place.item_size, first, n, w.at[i]);
    }
  }
  for (uint32_t i = plan_.begin_of(stage).steps; i < plan_.stages[stage].steps; ++i) {
    run_step(plan_.steps[i], kernels_[i], w, n, false);
  }
}

void Bound::run_short(const Working& w, int64_t first, int64_t n) const {
  int64_t length = plan_.row_length, rows = length ? n / length : 0;
  for (size_t stage = 0; stage < plan_.stages.size(); ++stage) {
    if (length) {
      row_values(w, stage, first / length, rows, n);
    }
    elements(w, stage, first, 0, n);
    for (uint32_t i = plan_.begin_of(stage).folds; i < plan_.stages[stage].folds; ++i) {
      const FusedPlan::Fold& fold = plan_.folds[i];
      int64_t row_bytes = length * places_[fold.input].item_size;
      alignas(16) char partial[64];
      for (int64_t row = 0; row < rows; ++row) {
        reducers_[i].block(w.at[fold.input] + row * row_bytes, length, partial);
        reducers_[i].finish(partial, 1, w.at[fold.output] + row * places_[fold.output].item_size);
      }
    }
  }
}

void Bound::run_part(const Working& w, char* const* partials, int64_t unit) const {
  int64_t row = unit / parts_, in_row = unit % parts_ * tile_size;
  int64_t n = std::min(tile_size, plan_.row_length - in_row);
  row_values(w, 0, row, 1, n);
  elements(w, 0, row * plan_.row_length + in_row, in_row, n);
  for (size_t i = 0; i < plan_.folds.size(); ++i) {
    reducers_[i].block(w.at[plan_.folds[i].input], n, partials[i] + unit * reducers_[i].partial_size);
  }
}

void Bound::run_long(const Working& w, int64_t row) const {
  for (size_t stage = 0; stage < plan_.stages.size(); ++stage) {
    uint32_t first_fold = plan_.begin_of(stage).folds, end_fold = plan_.stages[stage].folds;
    row_values(w, stage, row, 1, std::min(tile_size, plan_.row_length));
    for (int64_t part = 0; part < parts_; ++part) {
      int64_t in_row = part * tile_size, n = std::min(tile_size, plan_.row_length - in_row);
      elements(w, stage, row * plan_.row_length + in_row, in_row, n);
      char* partials = w.partials;
      for (uint32_t i = first_fold; i < end_fold; ++i) {
        reducers_[i].block(w.at[plan_.folds[i].input], n, partials + part * reducers_[i].partial_size);
        partials += parts_ * reducers_[i].partial_size;
      }
    }
    char* partials = w.partials;
    for (uint32_t i = first_fold; i < end_fold; ++i) {
      reducers_[i].finish(partials, parts_, w.at[plan_.folds[i].output]);
      partials += parts_ * reducers_[i].partial_size;
    }
  }
}

} // namespace

void run(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs) {
  if (plan.size > 0) {
    Bound(plan, sources, outputs).run();
  }
}

} // namespace mlx::core::cpu
