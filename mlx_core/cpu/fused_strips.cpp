// Strips of fused plans: runs of steps on whole lines, on several of them, and on what is left of one.
#include <algorithm>
#include <cassert>
#include <utility>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/copy_block.h"

namespace mlx::core::cpu {

// The memory of element `first` of a strided source, if n from there on are of one line; else null. To find any other
// line but the next takes divisions.
const char* BoundPlan::in_line(const Working& w, uint16_t slot, int64_t first, int64_t n) const {
  const FusedPlan::Source& source = plan_->sources[slot];
  const int item_size = places_[slot].item_size;
  Line& line = w.lines[slot];
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
    line.data = sources_[slot].host<char>() + offset * item_size;
  }
  return first + n <= line.end ? line.data + (first - line.begin) * source.strides.back() * item_size : nullptr;
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
        return const_cast<char*>(in_line(w, slot, first + done, each));
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
          w.at[slot] = place.memory + (place.lines.start((first + done) / each) - done) * place.item_size;
        }
      }
      if (int64_t lines = lines_together(w, run, first + done, each, n - done); lines > 0) {
        strips_of_lines(w, run, done, each, lines);
        done += (lines - 1) * each;
      } else {
        strips(w, run, done, done + each);
      }
    }
  }
  kernels(w.at, begin, end, n);
}

void BoundPlan::run_again() {
  constexpr int64_t worth_it = 1 << 18; // elements
  if (run_again_ < worth_it && (run_again_ += plan_->size) >= worth_it) {
    make_native();
  }
  run();
}

void BoundPlan::make_native() {
  for (const StripRun& run : strips_.runs) {
    native_.push_back(NativeStrips::of(*plan_, strips_, run));
  }
  bytes_.resize(plan_->steps.size());
  auto run = strips_.runs.begin();
  for (const FusedPlan::Stage& stage : plan_->stages) {
    for (uint32_t i = plan_->begin_of(static_cast<size_t>(&stage - plan_->stages.data())).steps; i < stage.steps;) {
      while (run != strips_.runs.end() && run->end <= i) {
        ++run;
      }
      const uint32_t end = run == strips_.runs.end() ? stage.steps : std::min(stage.steps, run->begin);
      if (i >= end) {
        i = run->end;
        continue;
      }
      bytes_[i] = NativeStrips::of_bytes(*plan_, i, end);
      i += bytes_[i] ? bytes_[i]->steps() : 1;
    }
  }
}

void BoundPlan::go_through(const StripRun& run, char** at, const StripLines& lines) const {
  const auto number = static_cast<size_t>(&run - strips_.runs.data());
  if (number < native_.size() && native_[number]) {
    native_[number]->run(at, lines);
  } else {
    run.table->run(strips_.code.data() + run.code, at, lines);
  }
}

// How many lines from this one on, of the n elements that are left, strips go through by themselves: those that are as
// far from each other as the next is, as are values of rows that are not prepared first. A line that is shorter than a
// strip is done with what follows it, which the next ones do again; so there has to be more.
int64_t BoundPlan::lines_together(
    const Working& w, const StripRun& run, int64_t first, int64_t length, int64_t n) const {
  int64_t strip = run.table->elements, beyond = std::max<int64_t>(strip - length, 0);
  bool whole = length % strip == 0 || (again(run).is_possible && again(run).kept.empty());
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
  for (uint16_t slot : lined_) {
    if (stores_lines(run, slot)) {
      lines = places_[slot].lines.left(first / length, lines);
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
      moves.push_back({slot, (place.lines.apart - length) * place.item_size});
    }
  }
  go_through(run, w.at, {first, first + length, lines - 1, {moves.begin(), moves.size()}});
}

// A run of steps on elements from a whole number of strips on.
void BoundPlan::strips(const Working& w, const StripRun& run, int64_t first, int64_t last) const {
  const int64_t strip = run.table->elements, whole = first + (last - first) / strip * strip;
  const bool repeats = whole < last && whole > first && again(run).is_possible;
  if (repeats && !again(run).kept.empty()) {
    return strips_in_place(w, run, first, last);
  }
  if (whole > first) {
    go_through(run, w.at, {first, repeats ? last : whole});
  }
  if (whole < last && !repeats) {
    part_of_strip(w, run, whole, last - whole);
  }
}

// The same where what the last strip reads would be overwritten: that is kept before.
void BoundPlan::strips_in_place(const Working& w, const StripRun& run, int64_t first, int64_t last) const {
  const int64_t strip = run.table->elements, whole = first + (last - first) / strip * strip, begin = last - strip;
  const std::vector<uint16_t>& kept = again(run).kept;
  auto pad = [&](size_t i) { return w.scratch + pads_ + static_cast<int64_t>(i) * strip_bytes; };
  for (size_t i = 0; i < kept.size(); ++i) {
    const int64_t size = places_[kept[i]].item_size;
    std::copy_n(w.at[kept[i]] + begin * size, strip * size, pad(i));
  }
  go_through(run, w.at, {first, whole});
  SmallVector<char*, 8> there;
  for (size_t i = 0; i < kept.size(); ++i) {
    there.push_back(std::exchange(w.at[kept[i]], pad(i) - begin * places_[kept[i]].item_size));
  }
  go_through(run, w.at, {begin, last});
  for (size_t i = 0; i < kept.size(); ++i) {
    w.at[kept[i]] = there[i];
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
  go_through(run, w.at, {first, first + run.table->elements});
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

} // namespace mlx::core::cpu
