// The tile executor of fused plans.
#include "mlx_core/cpu/fused.h"

#include <algorithm>
#include <cassert>
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

constexpr size_t most_slots = 896;

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

// The memory of element `first` of a strided source, if n from there on are of one line; else null. `line` is the one
// that was asked for last: to find any other but the next takes divisions.
const char* in_line(
    const FusedPlan::Source& source, const char* data, int item_size, int64_t first, int64_t n, Line& line) {
  if (source.sizes.empty()) {
    return nullptr;
  }
  int64_t length = source.sizes.back();
  size_t rank = source.sizes.size();
  if (first >= line.end && first - line.end < length && line.has_next()) {
    line.go_on();
  } else if (first < line.begin || first >= line.end) {
    int64_t number = first / length, offset = 0;
    line.begin = number * length;
    line.end = line.begin + length;
    line.following = rank > 1 ? source.sizes[rank - 2] - 1 - number % source.sizes[rank - 2] : 0;
    line.apart = rank > 1 ? source.strides[rank - 2] * item_size : 0;
    for (size_t d = rank - 1; d-- > 0; number /= source.sizes[d]) {
      offset += number % source.sizes[d] * source.strides[d];
    }
    line.data = data + offset * item_size;
  }
  return first + n <= line.end ? line.data + (first - line.begin) * source.strides.back() * item_size : nullptr;
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
  const int64_t cost = cost_of_element();
  if (units_ == 1 || !is_worth_sharing(plan.size, cost)) {
    run_units(partials.data(), 0, units_);
  } else {
    const int64_t chunks = pieces_to_share(units_, plan.size, cost);
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
        const char* there = in_line(source, data, place.item_size, first, n, w.lines[slot]);
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
  if (place.line > 0) {
    int64_t in_line = first % place.line;
    if (in_line + n > place.line) {
      return tile(w, place.tile);
    }
    at = first / place.line * place.apart + in_line;
  }
  return place.memory + at * place.item_size;
}

// Takes such elements from their tiles to memory.
void BoundPlan::store_lines(const Working& w, int64_t first, int64_t n) const {
  for (uint16_t slot : lined_) {
    const Place& place = places_[slot];
    const char* from = tile(w, place.tile);
    int64_t size = place.item_size, in_line = first % place.line;
    for (int64_t done = 0, count; done < n && w.at[slot] == from; done += count, in_line = 0) {
      int64_t rows = in_line == 0 ? std::max<int64_t>((n - done) / place.line, 1) : 1;
      int64_t columns = std::min(n - done, place.line - in_line);
      char* to = place.memory + ((first + done) / place.line * place.apart + in_line) * size;
      copy_block(
          from + done * size, place.line * size, size, to, place.apart * size, size, rows, columns, place.item_size);
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

// To the strips, the value of a row, which is `number` of those.
void BoundPlan::give_row(const Working& w, const StripRow& row, size_t number, char* value) const {
  char*& at = w.at[Strips::place_of_row(*plan_, row.slot)];
  at = value;
  if (row.divides) {
    auto* divisor = reinterpret_cast<StripDivisor*>(w.scratch + divisors_) + number;
    strips_.table_of(plan_->slots[row.slot].dtype)->prepare_divisor(value, *divisor);
    at = divisor->bytes;
  }
}

// Steps on the n elements from `first` on, runs of them in strips.
void BoundPlan::steps(const Working& w, uint32_t begin, uint32_t end, int64_t first, int64_t n) const {
  for (const StripRun& run : strips_.runs) {
    if (run.begin < begin || run.begin >= end) {
      continue;
    }
    kernels(w.at, begin, run.begin, n);
    begin = run.end;
    if (run.rows == run.rows_end && run.lines == run.lines_end) {
      strips(w, run, 0, n);
      continue;
    }
    // Rows of one element lie in lines as elements without rows do.
    int64_t each = cut_ != Cut::whole_rows || line_ ? n
                   : short_line_                    ? short_line_
                   : plan_->row_length              ? plan_->row_length
                                                    : n;
    for (int64_t done = 0; done < n; done += each) {
      auto line = [&](uint16_t slot) {
        Line& last = w.lines[slot]; // mostly the one before; a call for each short line takes 20 % more
        if (last.has_next() && last.end == first + done && last.end - last.begin == each) {
          last.go_on();
          return const_cast<char*>(last.data);
        }
        const FusedPlan::Source& source = plan_->sources[slot];
        int size = places_[slot].item_size;
        const char* there = in_line(source, sources_[slot].host<char>(), size, first + done, each, w.lines[slot]);
        return const_cast<char*>(there);
      };
      for (uint32_t i = run.rows; i < run.rows_end; ++i) {
        uint16_t slot = strips_.rows[i].slot;
        bool of_rows = plan_->slots[slot].of_rows;
        give_row(w, strips_.rows[i], i, of_rows ? w.rows_at[slot] + done / each * places_[slot].item_size : line(slot));
      }
      for (uint32_t i = run.lines; i < run.lines_end; ++i) {
        uint16_t slot = strips_.lines[i];
        w.at[slot] = line(slot) - done * places_[slot].item_size;
      }
      for (uint16_t slot : lined_) {
        if (const Place& place = places_[slot]; stores_lines(run, slot)) {
          w.at[slot] = place.memory + ((first + done) / place.line * place.apart - done) * place.item_size;
        }
      }
      if (int64_t lines = lines_together(w, run, each, n - done); lines > 0) {
        strips_of_lines(w, run, done, each, lines);
        done += (lines - 1) * each;
      } else {
        strips(w, run, done, done + each);
      }
    }
  }
  kernels(w.at, begin, end, n);
}

// How many lines from this one on, of the n elements that are left, strips go through by themselves: those that are as
// far from each other as the next is, as are values of rows that are not prepared first. A line that is shorter than a
// strip is done with what follows it, which the next ones do again; so there has to be more.
int64_t BoundPlan::lines_together(const Working& w, const StripRun& run, int64_t length, int64_t n) const {
  int64_t strip = run.table->elements, beyond = std::max<int64_t>(strip - length, 0);
  bool whole = length % strip == 0 || repeatable_[static_cast<size_t>(&run - strips_.runs.data())];
  if (run.ordered != run.ordered_end || !whole) {
    return 0;
  }
  int64_t lines = (n - beyond) / length;
  auto goes_on = [&](uint16_t slot, bool is_read_beyond) {
    const Line& line = w.lines[slot];
    if (line.end - line.begin != length || (is_read_beyond && line.apart <= 0)) {
      return false;
    }
    int64_t last = is_read_beyond ? ceil_div(beyond * places_[slot].item_size, line.apart) : 0;
    lines = std::min(lines, line.following + 1 - last);
    return true;
  };
  for (uint32_t i = run.lines; i < run.lines_end; ++i) {
    if (!goes_on(strips_.lines[i], beyond > 0)) {
      return 0;
    }
  }
  for (uint32_t i = run.rows; i < run.rows_end; ++i) {
    const StripRow& row = strips_.rows[i];
    if (row.divides || (!plan_->slots[row.slot].of_rows && !goes_on(row.slot, false))) {
      return 0;
    }
  }
  return lines;
}

void BoundPlan::strips_of_lines(
    const Working& w, const StripRun& run, int64_t first, int64_t length, int64_t lines) const {
  SmallVector<StripMove, 16> moves;
  for (uint32_t i = run.lines; i < run.lines_end; ++i) {
    uint16_t slot = strips_.lines[i];
    Line& line = w.lines[slot];
    moves.push_back({slot, line.apart - length * places_[slot].item_size});
    line.go_on(lines - 1);
  }
  for (uint32_t i = run.rows; i < run.rows_end; ++i) {
    uint16_t slot = strips_.rows[i].slot;
    bool of_rows = plan_->slots[slot].of_rows;
    moves.push_back({static_cast<uint16_t>(Strips::place_of_row(*plan_, slot)),
        of_rows ? places_[slot].item_size : w.lines[slot].apart});
    if (!of_rows) {
      w.lines[slot].go_on(lines - 1);
    }
  }
  for (uint16_t slot : lined_) {
    if (const Place& place = places_[slot]; stores_lines(run, slot)) {
      moves.push_back({slot, (place.apart - place.line) * place.item_size});
    }
  }
  run.table->run(
      strips_.code.data() + run.code, w.at, {first, first + length, lines - 1, {moves.begin(), moves.size()}});
}

// A run of steps on elements from a whole number of strips on.
void BoundPlan::strips(const Working& w, const StripRun& run, int64_t first, int64_t last) const {
  int64_t strip = run.table->elements;
  bool repeats = last - first >= strip && repeatable_[static_cast<size_t>(&run - strips_.runs.data())];
  int64_t whole = repeats ? last : first + (last - first) / strip * strip;
  if (whole > first) {
    run.table->run(strips_.code.data() + run.code, w.at, {first, whole});
  }
  if (whole < last) {
    part_of_strip(w, run, whole, last - whole);
  }
}

// The n elements from `first` on of a source in another order, in a pad that has room for a whole strip.
void BoundPlan::fill_ordered(const Working& w, const StripRun& run, uint32_t number, int64_t first, int64_t n) const {
  uint16_t source = strips_.ordered[number];
  int64_t size = places_[source].item_size, strip = run.table->elements;
  char *pad = w.scratch + ordered_pads_ + number * 2 * strip_bytes, *&at = w.at[memory_of(source)];
  if (orders_[source] == StripOrder::every_other) {
    copy_line(at + 2 * first * size, 2 * size, pad, 2 * size, n, static_cast<int>(size));
    at = pad - 2 * first * size;
  } else {
    std::copy_n(at - (first + n - 1) * size, n * size, pad + (strip - n) * size);
    at = pad + (strip - 1 + first) * size;
  }
}

// A strip of which only n elements are asked for. Scratch has room for all of it; what has memory takes its part from
// and to a pad.
void BoundPlan::part_of_strip(const Working& w, const StripRun& run, int64_t first, int64_t n) const {
  struct Moved {
    uint16_t slot;
    char *at, *pad;
  };
  Moved moved[most_slots];
  size_t count = 0;
  auto item_size = [&](uint16_t slot) { return places_[slot].item_size; };
  auto table_of = [&](uint16_t slot) { return strips_.table_of(plan_->slots[slot].dtype); };
  for (uint32_t i = run.slots; i < run.slots_end; ++i) {
    uint16_t slot = strips_.slots[i];
    char* at = w.at[slot];
    bool is_scratch = at >= w.scratch && at < w.scratch + pads_;
    assert(!is_scratch || (first + run.table->elements) * item_size(slot) <= tile_bytes_);
    if (is_scratch || std::any_of(moved, moved + count, [=](const Moved& m) { return m.slot == slot; })) {
      continue;
    }
    char* pad = w.scratch + pads_ + static_cast<int64_t>(count) * strip_bytes;
    if (i < run.stored && !table_of(slot)) {
      std::copy_n(at + first * item_size(slot), n * item_size(slot), pad);
    } else if (i < run.stored) {
      table_of(slot)->fill_pad(pad, at + first * item_size(slot), n);
    }
    moved[count++] = {slot, at, pad};
  }
  for (uint32_t i = run.ordered; i < run.ordered_end; ++i) {
    fill_ordered(w, run, i, first, n);
  }
  for (const Moved& m : std::span(moved, count)) {
    w.at[m.slot] = m.pad - first * item_size(m.slot);
  }
  run.table->run(strips_.code.data() + run.code, w.at, {first, first + run.table->elements});
  for (const Moved& m : std::span(moved, count)) {
    w.at[m.slot] = m.at;
    auto stored = strips_.slots.begin() + run.stored, end = strips_.slots.begin() + run.slots_end;
    if (std::find(stored, end, m.slot) != end) {
      char* to = m.at + first * item_size(m.slot);
      if (const StripTable* table = table_of(m.slot)) {
        table->empty_pad(m.pad, to, n);
      } else {
        std::copy_n(m.pad, n * item_size(m.slot), to); // bools and narrow integers
      }
    }
  }
}

void BoundPlan::kernels(char* const* at, uint32_t begin, uint32_t end, int64_t n) const {
  for (uint32_t i = begin; i < end; ++i) {
    run_step(plan_->steps[i], kernels_[i], at, n);
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
