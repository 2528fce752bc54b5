// The tile executor of fused plans.
#include "mlx_core/cpu/fused.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/past_caches.h"
#include "mlx_core/cpu/reduce_rows.h"
#include "mlx_core/cpu/sharing.h"
#include "mlx_core/cpu/source_pieces.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

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

void run_step(const FusedPlan::Step& step, Kernel kernel, char* const* at, int64_t n) {
  const void* inputs[] = {at[step.inputs[0]], at[step.inputs[1]], at[step.inputs[2]]};
  kernel(inputs, at[step.output], n);
}

} // namespace

void BoundPlan::run() {
  const FusedPlan& plan = *plan_;
  std::vector<std::unique_ptr<char[]>> storage;
  std::vector<char*> partials;
  if (cut_ == Cut::parts_of_rows) {
    for (const RowReducer& reducer : reducers_) {
      storage.emplace_back(new char[static_cast<size_t>(plan.rows() * parts_ * reducer.partial_size)]);
      partials.push_back(storage.back().get());
    }
  } else if (cut_ == Cut::columns) {
    for (const ReduceKernels* fold : column_folds_) {
      storage.emplace_back(new char[static_cast<size_t>(elements_of_partials() * fold->partial_size)]);
      partials.push_back(storage.back().get());
    }
  }
  const int64_t loads = std::count_if(plan.sources.begin(), plan.sources.end(),
      [](const FusedPlan::Source& source) { return source.layout != FusedPlan::Layout::scalar; });
  const int64_t operations = operations_of_element();
  if (units_ == 1 || !is_worth_sharing(plan.size, loads, operations)) {
    run_units(partials.data(), 0, units_);
  } else {
    const int64_t chunks = pieces_to_share(units_, plan.size, loads + operations);
    parallel_for(
        chunks, [&](int64_t c) { run_units(partials.data(), units_ * c / chunks, units_ * (c + 1) / chunks); });
  }
  if (cut_ == Cut::columns) {
    if (!columns_.is_whole()) {
      finish_columns(partials.data());
    }
    return;
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
  size_t partial_bytes = cut_ != Cut::parts_of_rows ? static_cast<size_t>(partial_bytes_) : 0;
  ScratchUse use(static_cast<size_t>(scratch_bytes_) + partial_bytes);
  char *at[most_slots], *rows_at[most_slots];
  SmallVector<Repeated, 16> repeated(plan_->sources.size());
  SmallVector<Line, 16> lines(plan_->sources.size());
  Working w{use.memory(), at, rows_at, repeated.data(), lines.data(), use.memory() + scratch_bytes_};
  for (size_t i = 0; i < places_.size(); ++i) {
    at[i] = tile(w, places_[i].tile);
  }
  for (size_t i = 0; i < plan_->sources.size(); ++i) {
    if (plan_->sources[i].layout == FusedPlan::Layout::scalar) {
      find_spread(places_[i].item_size)(at[i], sources_[i].host(), places_[i].copies);
    }
  }
  for (size_t i = 0; i < strips_.scalars.size(); ++i) {
    const StripRow& scalar = strips_.scalars[i];
    give_row(w, scalar, strips_.rows.size() + i, const_cast<char*>(sources_[scalar.slot].host<char>()));
  }
  for (size_t i = 0; i < strips_.folds.size(); ++i) {
    if (!strips_.folds[i]) {
      continue;
    }
    auto* fold = reinterpret_cast<StripFold*>(w.scratch + folds_) + i;
    find_strips(plan_->folds[i].from)->clear_fold(plan_->folds[i].op, *fold);
    at[places_.size() + i] = reinterpret_cast<char*>(fold);
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
        Span span = span_of(unit);
        run_short(w, span.first, span.length);
        break;
      }
      case Cut::parts_of_rows: run_part(w, partials, unit); break;
      case Cut::long_rows: run_long(w, unit); break;
      case Cut::columns: run_columns(w, partials, unit); break;
    }
  }
  if (!results_.empty()) {
    flush_past_caches();
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
  for (uint32_t i = from; i < from + count; ++i) {
    run_step(plan_->row_steps[i], row_kernels_[i], w.rows_at, rows);
  }
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
        w.at[slot] = memory_from(w, place, first, n);
      } else if (place.row >= 0) {
        w.at[slot] = w.scratch + place.row + in_row * place.item_size;
      } else if (!place.of_lines) {
        const FusedPlan::Source& source = plan_->sources[slot];
        if (source.layout == FusedPlan::Layout::pieces) {
          w.at[slot] = const_cast<char*>(read_pieces(source, sources_, place.item_size, first, n, tile(w, place.tile)));
          continue;
        }
        const char* data = sources_[slot].host<char>();
        const char* there = in_line(w, slot, first, n);
        if (there && strips_.lays_out(slot)) {
          w.at[slot] = tile(w, place.tile);
          w.at[memory_of(slot)] = const_cast<char*>(there);
        } else if (there && source.strides.back() == 1) {
          w.at[slot] = const_cast<char*>(there);
        } else {
          w.at[slot] = tile(w, place.tile);
          if (place.repeat.period && w.repeated[slot].has(place.repeat, source, first, n)) {
            continue;
          }
          if (there && source.strides.back() == 0) { // one element for all of the line
            find_spread(place.item_size)(w.at[slot], there, n);
          } else {
            read_strided(data, source.sizes, source.strides, place.item_size, first, n, w.at[slot]);
          }
        }
      }
    }
  }
  steps(w, plan_->begin_of(stage).steps, plan_->stages[stage].steps, first, n);
  store_results(w, stage, first, n);
}

void BoundPlan::store_results(const Working& w, size_t stage, int64_t first, int64_t n) const {
  for (uint16_t slot : results_) {
    const Place& place = places_[slot];
    if (place.stage == static_cast<int32_t>(stage)) {
      store_past_caches(place.result + first * place.item_size, w.at[slot], n * place.item_size);
    }
  }
}

// Where n elements lie one after another: in memory, or in the tile, where they are of several lines with gaps between.
char* BoundPlan::memory_from(const Working& w, const Place& place, int64_t first, int64_t n) const {
  int64_t at = first;
  if (const int64_t line = place.lines.length; line > 0) {
    int64_t in_line = first % line;
    if (in_line + n > line) {
      return tile(w, place.tile);
    }
    at = place.lines.start(first / line) + in_line;
  }
  return place.memory + at * place.item_size;
}

// Takes such elements from their tiles to memory.
void BoundPlan::store_lines(const Working& w, int64_t first, int64_t n) const {
  for (uint16_t slot : lined_) {
    const Place& place = places_[slot];
    const char* from = tile(w, place.tile);
    int64_t size = place.item_size, line = place.lines.length, in_line = first % line;
    for (int64_t done = 0, count; done < n && w.at[slot] == from; done += count, in_line = 0) {
      const int64_t number = (first + done) / line;
      int64_t rows = in_line == 0 ? std::max<int64_t>((n - done) / line, 1) : 1;
      rows = place.lines.left(number, rows);
      int64_t columns = std::min(n - done, line - in_line);
      char* to = place.memory + (place.lines.start(number) + in_line) * size;
      copy_block(
          from + done * size, line * size, size, to, place.lines.apart * size, size, rows, columns, place.item_size);
      count = rows * columns;
    }
  }
}

// Before steps that begin where a row or a block of one does: where the results go of rows that are so long, up to the
// last element.
void BoundPlan::begin_fold(
    const Working& w, size_t fold, char* out, int64_t out_bytes, int64_t length, int64_t last) const {
  if (!strips_.has_fold(fold)) {
    return;
  }
  auto* to = reinterpret_cast<StripFold*>(w.at[places_.size() + fold]);
  to->end = std::min(length, last);
  to->length = length;
  to->last = last;
  to->out = out;
  to->out_bytes = out_bytes;
}

void BoundPlan::kernels(char* const* at, uint32_t begin, uint32_t end, int64_t n) const {
  for (uint32_t i = begin; i < end; ++i) {
    if (i < bytes_.size() && bytes_[i] && i + bytes_[i]->steps() <= end) {
      const uint32_t last = i + bytes_[i]->steps();
      rest_of_bytes(at, i, last, bytes_[i]->run_bytes(at, n), n);
      i = last - 1;
    } else {
      run_step(plan_->steps[i], kernels_[i], at, n);
    }
  }
}

// What is less than a vector, one step after another.
void BoundPlan::rest_of_bytes(char* const* at, uint32_t begin, uint32_t end, int64_t done, int64_t n) const {
  if (done == n) {
    return;
  }
  std::array<char*, most_slots> from;
  for (uint32_t i = begin; i < end; ++i) {
    const FusedPlan::Step& step = plan_->steps[i];
    for (int k = 0; k < step.input_count; ++k) {
      from[step.inputs[k]] = at[step.inputs[k]] + done;
    }
    from[step.output] = at[step.output] + done;
    run_step(step, kernels_[i], from.data(), n - done);
  }
}

void BoundPlan::run_short(const Working& w, int64_t first, int64_t n) const {
  int64_t length = plan_->row_length, rows = length ? n / length : 0;
  for (size_t stage = 0; stage < plan_->stages.size(); ++stage) {
    if (length) {
      row_values(w, stage, first / length, rows, n);
    }
    uint32_t first_fold = plan_->begin_of(stage).folds, end_fold = plan_->stages[stage].folds;
    for (uint32_t i = first_fold; i < end_fold; ++i) {
      uint16_t output = plan_->folds[i].output;
      begin_fold(w, i, w.rows_at[output], places_[output].item_size, length, n);
    }
    elements(w, stage, first, 0, n);
    for (uint32_t i = first_fold; i < end_fold; ++i) {
      if (!strips_.has_fold(i)) {
        fold_rows(w, i, rows);
      }
    }
  }
  store_lines(w, first, n);
}

// The stage's steps and reductions on n elements of a long row, from a block's first on; `partials`: the row's, of each
// of the stage's reductions.
void BoundPlan::run_span(
    const Working& w, size_t stage, int64_t row, int64_t in_row, int64_t n, char* const* partials) const {
  uint32_t first_fold = plan_->begin_of(stage).folds, end_fold = plan_->stages[stage].folds;
  auto partial = [&](uint32_t i, int64_t at) { // of the block that begins there
    return partials[i - first_fold] + at / tile_size * reducers_[i].partial_size;
  };
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    begin_fold(w, i, partial(i, in_row), reducers_[i].partial_size, tile_size, n);
  }
  elements(w, stage, row * plan_->row_length + in_row, in_row, n);
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    uint16_t input = plan_->folds[i].input;
    for (int64_t at = 0; at < n && !strips_.has_fold(i); at += tile_size) {
      const char* block = w.at[input] + at * places_[input].item_size;
      reducers_[i].block(block, std::min(tile_size, n - at), partial(i, in_row + at));
    }
  }
  store_lines(w, row * plan_->row_length + in_row, n);
}

void BoundPlan::run_part(const Working& w, char* const* partials, int64_t unit) const {
  int64_t spans = (plan_->row_length + span_ - 1) / span_, row = unit / spans, in_row = unit % spans * span_;
  int64_t n = std::min(span_, plan_->row_length - in_row);
  row_values(w, 0, row, 1, n);
  SmallVector<char*, 8> of_row(reducers_.size());
  for (size_t i = 0; i < reducers_.size(); ++i) {
    of_row[i] = partials[i] + row * parts_ * reducers_[i].partial_size;
  }
  run_span(w, 0, row, in_row, n, of_row.data());
}

void BoundPlan::run_long(const Working& w, int64_t row) const {
  SmallVector<char*, 8> partials(reducers_.size());
  for (size_t stage = 0; stage < plan_->stages.size(); ++stage) {
    uint32_t first_fold = plan_->begin_of(stage).folds, end_fold = plan_->stages[stage].folds;
    row_values(w, stage, row, 1, std::min(span_, plan_->row_length));
    char* next = w.partials;
    for (uint32_t i = first_fold; i < end_fold; ++i) {
      partials[i - first_fold] = next;
      next += parts_ * reducers_[i].partial_size;
    }
    const bool any = first_fold < end_fold || plan_->begin_of(stage).steps < plan_->stages[stage].steps; // of elements
    for (int64_t in_row = 0; any && in_row < plan_->row_length; in_row += span_) {
      run_span(w, stage, row, in_row, std::min(span_, plan_->row_length - in_row), partials.data());
    }
    for (uint32_t i = first_fold; i < end_fold; ++i) {
      reducers_[i].finish(partials[i - first_fold], parts_, w.rows_at[plan_->folds[i].output]);
    }
  }
}

} // namespace mlx::core::cpu
