// Fused plans that reduce other axes than the last: a run of elements goes through the steps, and from there, in cache,
// into the accumulators of its columns. The tree is that of reduce.cpp, whatever the cut.
#include <algorithm>
#include <bit>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/reduce_kernels.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t whole_strips = 64; // elements
constexpr int64_t most_joined = 256; // elements of a row: those of all lanes stay in the second-level cache

int64_t offset_of(const Sizes& lengths, const Sizes& apart, int64_t index) {
  int64_t offset = 0;
  for (size_t i = lengths.size(); i-- > 0; index /= lengths[i]) {
    offset += index % lengths[i] * apart[i];
  }
  return offset;
}

} // namespace

void ColumnCut::cut(const FusedPlan::Columns& columns, int64_t lanes_of_fold) {
  *this = ColumnCut();
  size_t rank = columns.lengths.size();
  gathered = columns.are_gathered();
  if (columns.is_reduced(rank - 1) && !gathered) {
    adjacent = columns.lengths[--rank];
  }
  row = columns.lengths[--rank] * adjacent;
  following = columns.lengths[rank - 1];
  int64_t apart = row;
  auto divide = [this] { // for the threads
    while (units() < 2 * thread_count() && abreast > 1) {
      abreast /= 2;
    }
  };
  for (size_t i = rank; i-- > 0; apart *= columns.lengths[i]) {
    bool is_reduced = columns.is_reduced(i);
    (is_reduced ? rows : outer) *= columns.lengths[i];
    Sizes& lengths = is_reduced ? reduced : kept;
    Sizes& distances = is_reduced ? reduced_apart : kept_apart;
    lengths.insert(lengths.begin(), columns.lengths[i]);
    distances.insert(distances.begin(), apart);
  }
  if (gathered) {
    blocks = (rows * row + reduce_block - 1) / reduce_block;
    neighbours = kept.back(); // the axis before the row's
    abreast = std::clamp<int64_t>(tile_size / row, 1, neighbours);
    divide();
    return;
  }
  lanes = lanes_of_fold / adjacent;
  block_rows = reduce_block / adjacent;
  blocks = (rows + block_rows - 1) / block_rows;
  joined = row <= most_joined;
  strips = (row + tile_size - 1) / tile_size;
  width = std::min(row, ((row + strips - 1) / strips + 63) / 64 * 64);
  small_groups = columns.are_small_groups() && joined;
  if (small_groups) {
    neighbours = outer;
    abreast = std::clamp<int64_t>(tile_size / (rows * row), 1, neighbours);
    divide();
  }
  if (!joined) {
    constexpr int64_t least_rows = 16; // of a unit
    while (units() < 2 * thread_count() && 2 * parts <= lanes && rows >= 2 * parts * least_rows) {
      parts *= 2;
    }
  }
}

// Where lanes are done one after another: as many runs as the tree is deep.
int64_t ColumnCut::accumulators() const {
  return width * (small_groups ? abreast + 2 * lanes
                     : joined  ? lanes
                               : std::bit_width(static_cast<uint64_t>(lanes)) + 1);
}

void BoundPlan::cut_columns() {
  cut_ = Cut::columns;
  column_folds_.clear();
  partial_bytes_ = 0;
  for (const FusedPlan::Fold& fold : plan_->folds) {
    column_folds_.push_back(&find_reduce_kernels(fold.op, fold.from));
  }
  columns_.cut(plan_->columns, column_folds_[0]->lanes);
  folds_only_ = std::none_of(plan_->slots.begin(), plan_->slots.end(),
      [](const FusedPlan::Slot& slot) { return slot.output >= 0 && !slot.of_rows; });
  units_ = columns_.units();
  per_unit_ = std::max<int64_t>(plan_->size / units_, 1);
  for (size_t k = 0; k < column_folds_.size(); ++k) {
    partial_bytes_ += accumulator_bytes(k);
  }
}

// Results of units, where they are not yet those of the plan.
int64_t BoundPlan::elements_of_partials() const {
  return columns_.is_whole() ? 0 : columns_.outer * columns_.columns_of_row() * columns_.blocks * columns_.parts;
}

int64_t BoundPlan::accumulator_bytes(size_t fold) const {
  return columns_.gathered ? columns_.abreast * reduce_block * plan_->folds[fold].from.size()
                           : columns_.accumulators() * column_folds_[fold]->partial_size;
}

char* BoundPlan::accumulator(const Working& w, size_t fold, int64_t number) const {
  char* first = w.partials;
  for (size_t k = 0; k < fold; ++k) {
    first += accumulator_bytes(k);
  }
  return first + number * columns_.width * column_folds_[fold]->partial_size;
}

void BoundPlan::run_columns(const Working& w, char* const* partials, int64_t unit) const {
  const ColumnCut& cut = columns_;
  if (cut.gathered) {
    return gathered_block(w, partials, unit);
  }
  if (cut.small_groups) {
    return groups_of_rows(w, unit);
  }
  int64_t part = unit % cut.parts, block = unit / cut.parts % cut.blocks, strip = unit / cut.parts / cut.blocks;
  int64_t in_row = strip % cut.strips * cut.width, width = cut.width_of(strip % cut.strips);
  int64_t base = offset_of(cut.kept, cut.kept_apart, strip / cut.strips) + in_row;
  int64_t first_row = block * cut.block_rows, n = cut.rows_of(block);
  if (cut.joined) {
    joined_columns(w, base, first_row, n);
  } else {
    int64_t firsts[reduce_block];
    for (int64_t r = 0; r < n; ++r) {
      bool follows = r > 0 && (first_row + r) % cut.following != 0;
      firsts[r] = follows ? firsts[r - 1] + cut.row : base + offset_of(cut.reduced, cut.reduced_apart, first_row + r);
    }
    if (part < n) {
      lanes_of_columns(w, std::span(firsts, static_cast<size_t>(n)), width, part, cut.parts, 0);
    }
  }
  for (size_t k = 0; k < column_folds_.size(); ++k) {
    char* result = accumulator(w, k, 0);
    if (cut.is_whole()) {
      finish_columns(k, strip, result);
    } else {
      int64_t size = column_folds_[k]->partial_size;
      int64_t to =
          (strip / cut.strips * cut.row + in_row) * cut.blocks * cut.parts + (unit % (cut.blocks * cut.parts)) * width;
      std::copy_n(result, width * size, partials[k] + to * size);
    }
  }
}

// A block of elements that lie in several runs, of each result that goes abreast. Where nothing is written but scratch,
// a run goes on to the end of a strip, a part of which costs more, and runs that are no whole rows are joined by what
// is between them: elsewhere that would be written before its own block reads what was there.
void BoundPlan::gathered_block(const Working& w, char* const* partials, int64_t unit) const {
  const ColumnCut& cut = columns_;
  int64_t block = unit % cut.blocks, group = unit / cut.blocks, in_group = group % cut.groups() * cut.abreast;
  int64_t result = group / cut.groups() * cut.neighbours + in_group;
  int64_t abreast = std::min(cut.abreast, cut.neighbours - in_group), first = block * reduce_block;
  int64_t base = offset_of(cut.kept, cut.kept_apart, result), n = std::min(reduce_block, cut.rows * cut.row - first);
  for (int64_t i = 0, run; i < n; i += run) {
    int64_t in_row = (first + i) % cut.row;
    run = std::min(n - i, cut.row - in_row);
    int64_t at = base + offset_of(cut.reduced, cut.reduced_apart, (first + i) / cut.row) + in_row;
    int64_t joined = folds_only_ || run == cut.row ? abreast : 1;
    for (int64_t j = 0; j < abreast; j += joined, at += joined * cut.row) {
      int64_t span = (joined - 1) * cut.row + run, whole = (span + whole_strips - 1) / whole_strips * whole_strips;
      elements(w, 0, at, 0, folds_only_ && at + whole <= plan_->size ? whole : span);
      for (size_t k = 0; k < column_folds_.size(); ++k) {
        uint16_t input = plan_->folds[k].input;
        int64_t size = places_[input].item_size;
        for (int64_t r = 0; r < joined; ++r) {
          char* to = accumulator(w, k, 0) + ((j + r) * reduce_block + i) * size;
          std::copy_n(w.at[input] + r * cut.row * size, run * size, to);
        }
      }
    }
  }
  for (size_t k = 0; k < column_folds_.size(); ++k) {
    const ReduceKernels& kernels = *column_folds_[k];
    const Place& to = places_[plan_->folds[k].output];
    int64_t size = places_[plan_->folds[k].input].item_size;
    for (int64_t j = 0; j < abreast; ++j) {
      alignas(16) char partial[16];
      kernels.block(accumulator(w, k, 0) + j * reduce_block * size, n, partial);
      if (cut.is_whole()) {
        kernels.finish(partial, 1, to.memory + (result + j) * to.item_size);
      } else {
        int64_t number = (result + j) * cut.blocks + block;
        std::copy_n(partial, kernels.partial_size, partials[k] + number * kernels.partial_size);
      }
    }
  }
}

void BoundPlan::groups_of_rows(const Working& w, int64_t unit) const {
  const ColumnCut& cut = columns_;
  const int64_t group = unit * cut.abreast, size = cut.rows * cut.row,
                count = std::min(cut.abreast, cut.neighbours - group);
  elements(w, 0, group * size, 0, count * size);
  for (size_t k = 0; k < column_folds_.size(); ++k) {
    const ReduceKernels& fold = *column_folds_[k];
    const uint16_t input = plan_->folds[k].input;
    const Place& to = places_[plan_->folds[k].output];
    char* results = accumulator(w, k, 0);
    fold.groups(w.at[input], cut.rows, cut.row, count, results);
    fold.store(results, count * cut.row, to.memory + group * cut.row * to.item_size);
  }
}

// Rows that follow one another are one long run of elements, and so are the accumulators of their lanes.
void BoundPlan::joined_columns(const Working& w, int64_t base, int64_t first_row, int64_t n) const {
  const ColumnCut& cut = columns_;
  int64_t at_once = std::max<int64_t>(tile_size / cut.row, 1);
  at_once = at_once > cut.lanes ? at_once / cut.lanes * cut.lanes : at_once;
  for (int64_t r = 0, count; r < n; r += count) {
    count = std::min({at_once, n - r, cut.following - (first_row + r) % cut.following});
    elements(w, 0, base + offset_of(cut.reduced, cut.reduced_apart, first_row + r), 0, count * cut.row);
    for (size_t k = 0; k < column_folds_.size(); ++k) {
      const ReduceKernels& fold = *column_folds_[k];
      uint16_t input = plan_->folds[k].input;
      for (int64_t i = r, run; i < r + count; i += run) {
        int64_t lane = i % cut.lanes;
        run = std::min(r + count - i, cut.lanes - lane);
        (i < cut.lanes ? fold.start : fold.accumulate)(
            w.at[input] + (i - r) * cut.row * places_[input].item_size, run * cut.row, accumulator(w, k, lane));
      }
    }
  }
  for (size_t k = 0; k < column_folds_.size(); ++k) {
    fold(column_folds_[k]->combine, accumulator(w, k, 0), std::min(n, cut.lanes), cut.row,
        column_folds_[k]->partial_size);
  }
}

// Lanes offset, offset + apart, ... of the rows that begin at `firsts`, joined into the accumulators number `depth` in
// the order of fold(): a multiple of twice `apart` belongs to the left.
void BoundPlan::lanes_of_columns(const Working& w, std::span<const int64_t> firsts, int64_t width, int64_t offset,
    int64_t apart, int64_t depth) const {
  auto n = static_cast<int64_t>(firsts.size()), lanes = columns_.lanes, used = std::min(n, lanes);
  auto add_row = [&](int64_t r, bool is_first) {
    elements(w, 0, firsts[static_cast<size_t>(r)], 0, width);
    for (size_t k = 0; k < column_folds_.size(); ++k) {
      (is_first ? column_folds_[k]->start : column_folds_[k]->accumulate)(
          w.at[plan_->folds[k].input], width, accumulator(w, k, depth));
    }
  };
  int64_t right = offset + apart;
  if (right >= used) {
    for (int64_t r = offset; r < n; r += lanes) {
      add_row(r, r == offset);
    }
    return;
  }
  lanes_of_columns(w, firsts, width, offset, 2 * apart, depth);
  if (right + 2 * apart >= used && right + lanes >= n) { // a single row
    return add_row(right, false);
  }
  lanes_of_columns(w, firsts, width, right, 2 * apart, depth + 1);
  for (size_t k = 0; k < column_folds_.size(); ++k) {
    column_folds_[k]->combine(accumulator(w, k, depth + 1), width, accumulator(w, k, depth));
  }
}

// Joins the partials of a strip, those of its parts and blocks one after another, and writes the results.
void BoundPlan::finish_columns(size_t k, int64_t strip, char* partials) const {
  const ColumnCut& cut = columns_;
  const ReduceKernels& kernels = *column_folds_[k];
  int64_t size = kernels.partial_size, width = cut.width_of(strip % cut.strips), columns = width / cut.adjacent;
  alignas(64) char turned[tile_size * 16];
  for (int64_t b = 0; b < cut.blocks; ++b) {
    char* block = partials + b * cut.parts * width * size;
    fold(kernels.combine, block, std::min(cut.rows_of(b), cut.parts), width, kernels.partial_size);
    if (cut.adjacent > 1) { // neighbours are the last lanes to be joined
      copy_block(
          block, size, cut.adjacent * size, turned, columns * size, size, cut.adjacent, columns, kernels.partial_size);
      fold(kernels.combine, turned, cut.adjacent, columns, kernels.partial_size);
      block = turned;
    }
    if (b > 0 || cut.adjacent > 1) {
      std::copy_n(block, columns * size, partials + b * columns * size);
    }
  }
  fold(kernels.combine, partials, cut.blocks, columns, kernels.partial_size);
  const Place& to = places_[plan_->folds[k].output];
  int64_t first = (strip / cut.strips * cut.row + strip % cut.strips * cut.width) / cut.adjacent;
  kernels.store(partials, columns, to.memory + first * to.item_size);
}

// Joins the partials of all strips.
void BoundPlan::finish_columns(char* const* partials) const {
  const ColumnCut& cut = columns_;
  for (size_t k = 0; cut.gathered && k < column_folds_.size(); ++k) {
    const Place& to = places_[plan_->folds[k].output];
    int64_t size = cut.blocks * column_folds_[k]->partial_size;
    for (int64_t i = 0; i < cut.outer; ++i) {
      column_folds_[k]->finish(partials[k] + i * size, cut.blocks, to.memory + i * to.item_size);
    }
  }
  for (int64_t strip = 0; !cut.gathered && strip < cut.outer * cut.strips; ++strip) {
    int64_t first = strip / cut.strips * cut.row + strip % cut.strips * cut.width;
    for (size_t k = 0; k < column_folds_.size(); ++k) {
      finish_columns(k, strip, partials[k] + first * cut.blocks * cut.parts * column_folds_[k]->partial_size);
    }
  }
}

} // namespace mlx::core::cpu
