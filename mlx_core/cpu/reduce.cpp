// Reductions over any axes of any layout: one plan, walked along rows or down columns, whichever the memory favours.
#include "mlx_core/cpu/reduce.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/equal_terms.h"
#include "mlx_core/cpu/reduce_rows.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/small_vector.h"

namespace mlx::core::cpu {

const ReduceKernels& find_reduce_kernels(Reduction op, Dtype dtype) {
  if (dtype.is_bool() || op == Reduction::all || op == Reduction::any) return find_logic_kernels(op, dtype);
  bool extremum = op == Reduction::min || op == Reduction::max;
  return extremum ? find_extremum_kernels(op, dtype) : find_sum_kernels(op, dtype);
}

RowReducer find_row_reducer(Reduction op, Dtype dtype) {
  const ReduceKernels& k = find_reduce_kernels(op, dtype);
  return {k.partial_size, k.block, k.rows, k.finish, k.identity};
}

namespace {

constexpr int64_t task_elements = 32 << 10;   // a task's least work
constexpr int64_t serial_elements = 64 << 10; // below this, one thread is quicker
constexpr int64_t strip_bytes = 4 << 10;      // a strip of columns: its few accumulators stay in the first-level cache
constexpr int64_t joined_columns = 64;        // rows this narrow, one after another, are taken many at a time
constexpr int64_t few_in_lane = 4;            // rows
constexpr int64_t run_columns = 256;          // as wide if lanes have few rows, which are run through side by side
constexpr int64_t gathered_columns = 64;      // a strip of columns that are apart in memory
constexpr int64_t short_run = 256;            // elements; longer ones are reduced where they lie
constexpr int64_t shortest_line = 64;         // bytes of results next to each other, of which there are many such lines
constexpr int64_t together = 8;               // units of pieces, which are next to each other in memory

using List = SmallVector<int64_t, 6>;

// Walks an axis list in row-major order, keeping the element offset of up to two operands.
struct Walk {
  Walk(const List& shape, const List& a, const List& b, int64_t flat) : shape(shape), a(a), b(b), index(shape.size()) {
    for (size_t d = shape.size(); d-- > 0;) {
      index[d] = flat % shape[d];
      flat /= shape[d];
      a_at += index[d] * a[d];
      if (!b.empty()) b_at += index[d] * b[d];
    }
  }
  int64_t left_in_axis() const { return shape.empty() ? 1 : shape.back() - index.back(); }
  void advance(int64_t steps) { // at most left_in_axis()
    for (size_t d = shape.size(); d-- > 0; steps = 1) {
      index[d] += steps;
      a_at += steps * a[d];
      if (!b.empty()) b_at += steps * b[d];
      if (index[d] < shape[d]) return;
      a_at -= shape[d] * a[d];
      if (!b.empty()) b_at -= shape[d] * b[d];
      index[d] = 0;
    }
  }
  const List &shape, &a, &b;
  List index;
  int64_t a_at = 0, b_at = 0;
};

// The input as kept axes (with output strides) and reduced axes, each list collapsed; one kept axis may be set aside
// as the columns. A unit is what one accumulation covers: a strip of `width` columns, or a single output element.
struct Plan {
  const ReduceKernels* k;
  const char* in;
  char* out;
  int in_size, out_size;
  List kept_shape, kept_in, kept_out;
  List reduced_shape, reduced_in;
  int64_t kept = 1, reduced = 1, blocks = 1;
  bool by_columns = false, joined = false, in_runs = false, brought_together = false, of_lines = false,
       of_groups = false;
  int64_t columns = 1, column_in = 1, column_out = 1; // extent and strides of the column axis
  int64_t width = 1, strips = 1, units = 1;
  List no_list;

  int64_t block_length(int64_t b) const { return std::min(reduce_block, reduced - b * reduce_block); }
};

void split_axes(Plan& plan, Ints shape, Ints strides, Ints axes) {
  size_t next = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    bool reduce = next < axes.size() && axes[next] == static_cast<int64_t>(d);
    next += reduce;
    (reduce ? plan.reduced : plan.kept) *= shape[d];
    if (shape[d] == 1) continue;
    (reduce ? plan.reduced_shape : plan.kept_shape).push_back(shape[d]);
    (reduce ? plan.reduced_in : plan.kept_in).push_back(strides[d]);
  }
  plan.kept_out.resize(plan.kept_shape.size());
  for (int64_t d = static_cast<int64_t>(plan.kept_shape.size()) - 1, stride = 1; d >= 0; --d) {
    plan.kept_out[d] = stride;
    stride *= plan.kept_shape[d];
  }
  int64_t* kept_strides[] = {plan.kept_in.data(), plan.kept_out.data()};
  auto n = static_cast<size_t>(
      collapse_axes(static_cast<int>(plan.kept_shape.size()), plan.kept_shape.data(), kept_strides));
  plan.kept_shape.resize(n), plan.kept_in.resize(n), plan.kept_out.resize(n);
  int64_t* reduced_strides[] = {plan.reduced_in.data()};
  n = static_cast<size_t>(
      collapse_axes(static_cast<int>(plan.reduced_shape.size()), plan.reduced_shape.data(), reduced_strides));
  plan.reduced_shape.resize(n), plan.reduced_in.resize(n);
}

// Groups of rows, all of which follow one another in memory. With more elements it is quicker to have the leaves of the
// tree in registers.
bool are_groups(const Plan& plan) {
  constexpr int64_t most = 4096; // elements
  if (plan.kept_shape.size() != 2 || plan.reduced_shape.size() != 1) return false;
  const int64_t columns = plan.kept_shape[1], group = plan.reduced * columns;
  return plan.kept_in[1] == 1 && plan.reduced_in[0] == columns && plan.kept_in[0] == group && group <= most &&
         plan.blocks == 1 && go_by_levels(plan.reduced, columns);
}

// Columns when memory runs faster along some kept axis than along every reduced one, or where what is reduced is a few
// elements here and there. Both ways give the same bits.
void choose_way(Plan& plan) {
  auto steps = [](int64_t stride) { return stride == 0 ? INT64_MAX : std::abs(stride); };
  int64_t reduced_step = INT64_MAX, kept_step = INT64_MAX;
  size_t column = 0;
  for (int64_t stride : plan.reduced_in) reduced_step = std::min(reduced_step, steps(stride));
  for (size_t d = 0; d < plan.kept_in.size(); ++d) {
    if (steps(plan.kept_in[d]) < kept_step) kept_step = steps(plan.kept_in[d]), column = d;
  }
  plan.blocks = (plan.reduced + reduce_block - 1) / reduce_block;
  plan.units = plan.kept;
  if (are_groups(plan)) {
    plan.by_columns = plan.of_groups = true;
    plan.columns = plan.width = plan.kept_shape[1];
    plan.units = plan.kept_shape[0];
    return;
  }
  bool in_order = !plan.kept_in.empty() && column + 1 == plan.kept_in.size();
  bool rows = plan.reduced_in.size() == 1 && reduced_step == 1;
  bool few_apart =
      in_order && !rows && plan.reduced <= short_row && (kept_step > 1 || plan.kept_shape.back() < short_run);
  plan.of_lines = few_apart && plan.kept_in.back() == 1 && plan.kept_shape.back() * plan.in_size >= shortest_line;
  plan.brought_together = few_apart && !plan.of_lines;
  if (plan.brought_together) return;
  constexpr int64_t few = 64;
  bool scattered = plan.reduced <= few && plan.reduced_in.size() > 1 && kept_step != INT64_MAX;
  plan.by_columns = plan.of_lines || kept_step < reduced_step || (scattered && plan.kept_shape[column] >= short_row);
  if (!plan.by_columns) return;
  plan.columns = plan.kept_shape[column];
  plan.column_in = plan.kept_in[column];
  plan.column_out = plan.kept_out[column];
  for (List* list : {&plan.kept_shape, &plan.kept_in, &plan.kept_out}) list->erase(list->begin() + column);
  if (plan.of_lines) {
    plan.width = plan.columns;
    plan.units = plan.kept / plan.columns;
    return;
  }
  int64_t step = plan.reduced_in.empty() ? 0 : plan.reduced_in.back();
  plan.joined = plan.column_in == 1 && step == plan.columns && plan.columns <= joined_columns;
  plan.width = plan.column_in == 1 ? std::clamp(plan.columns / (2 * thread_count()) / 64 * 64,
                                         strip_bytes / 4 / plan.in_size, strip_bytes / plan.in_size)
                                   : gathered_columns;
  plan.width = std::min(plan.columns, plan.width);
  plan.in_runs = plan.column_in == 1 && step == plan.columns && plan.width == plan.columns &&
                 plan.columns <= run_columns && plan.reduced_in.size() == 1 &&
                 plan.reduced <= few_in_lane * plan.k->lanes;
  plan.strips = (plan.columns + plan.width - 1) / plan.width;
  plan.units = plan.kept / plan.columns * plan.strips;
}

// ---- one block of one unit ----

// Memory of a task, not zeroed. A little is on the stack: allocating takes longer than a small reduction.
class Memory {
 public:
  void reserve(int64_t bytes) {
    if (bytes >= static_cast<int64_t>(sizeof(here_))) {
      apart_.reset(new Wide[static_cast<size_t>(bytes) / sizeof(Wide) + 1]);
    }
  }
  char* begin() { return apart_ ? apart_[0].bytes : here_; }

 private:
  struct alignas(64) Wide {
    char bytes[64];
  };
  std::unique_ptr<Wide[]> apart_;
  alignas(64) char here_[2048];
};

// Space one task uses: the accumulators of a strip, and a row or segment read from a strided layout.
struct Workspace {
  explicit Workspace(const Plan& plan) {
    int64_t most = std::min(reduce_block, plan.reduced);
    bool columns_apart = plan.by_columns && plan.column_in != 1;
    gathered.reserve(
        (columns_apart ? plan.width * most : std::max(plan.width, most)) * std::max(plan.in_size, plan.out_size));
    if (!plan.by_columns) return;
    // The tree's depth in buffers when lanes come one by one.
    int64_t depth = std::bit_width(static_cast<uint64_t>(plan.k->lanes)) + 1;
    int64_t buffers = plan.in_runs ? std::max<int64_t>(plan.k->lanes / 4, 1) : plan.joined ? plan.k->lanes : depth;
    lanes.reserve(buffers * plan.width * plan.k->partial_size);
  }
  char* row() { return gathered.begin(); }
  char* acc() { return lanes.begin(); }
  Memory gathered, lanes;
};

void row_block(const Plan& plan, const char* in, int64_t b, Workspace& space, void* partial) {
  int64_t first = b * reduce_block, n = plan.block_length(b);
  if (plan.reduced_in.size() <= 1 && (plan.reduced == 1 || plan.reduced_in[0] == 1)) {
    return plan.k->block(in + first * plan.in_size, n, partial);
  }
  int64_t piece = plan.reduced_shape.back();
  if (plan.reduced_in.back() == 1 && first % piece + n <= piece) { // where it lies
    Walk at(plan.reduced_shape, plan.reduced_in, plan.no_list, first);
    return plan.k->block(in + at.a_at * plan.in_size, n, partial);
  }
  read_strided(in, plan.reduced_shape, plan.reduced_in, plan.in_size, first, n, space.row());
  plan.k->block(space.row(), n, partial);
}

// Where the vectors of a block lie, in bytes, and how many there are; none where pieces are not made of whole ones.
constexpr int64_t most_vectors = reduce_block / 2;
int64_t vectors_of_block(const Plan& plan, int64_t b, int64_t* offsets) {
  const int64_t vector = plan.k->vector, n = plan.block_length(b);
  if (vector < 2 || plan.reduced_in.back() != 1 || plan.reduced_shape.back() % vector != 0 || n % vector != 0 ||
      n < plan.k->lanes) {
    return 0;
  }
  Walk at(plan.reduced_shape, plan.reduced_in, plan.no_list, b * reduce_block);
  int64_t count = 0;
  for (int64_t i = 0, run; i < n; i += run, at.advance(run)) {
    run = std::min(n - i, at.left_in_axis());
    for (int64_t k = 0; k < run; k += vector) offsets[count++] = (at.a_at + k) * plan.in_size;
  }
  return count;
}

// Narrow rows that follow one another in memory: all lanes side by side are one long row.
void joined_block(const Plan& plan, const char* in, int64_t width, int64_t b, Workspace& space) {
  const ReduceKernels& k = *plan.k;
  int64_t n = plan.block_length(b);
  Walk at(plan.reduced_shape, plan.reduced_in, plan.no_list, b * reduce_block);
  for (int64_t r = 0; r < n;) {
    int64_t lane = r % k.lanes, run = std::min({n - r, k.lanes - lane, at.left_in_axis()});
    const char* row = in + at.a_at * plan.in_size;
    (r < k.lanes ? k.start : k.accumulate)(row, run * width, space.acc() + lane * width * k.partial_size);
    r += run;
    at.advance(run);
  }
  fold(k.combine, space.acc(), std::min<int64_t>(n, k.lanes), width, k.partial_size);
}

// Narrow rows that follow one another, few to a lane: the rows of a quarter of the lanes, side by side, are one long
// row of a tree of four lanes.
void run_block(const Plan& plan, const char* in, int64_t width, Workspace& space) {
  const ReduceKernels& k = *plan.k;
  int64_t n = plan.reduced, quarter = std::max(k.lanes / 4, 1), tree_lanes = k.lanes / quarter;
  int64_t runs = (n + quarter - 1) / quarter, last = n - (runs - 1) * quarter, offsets[4 * few_in_lane];
  for (int64_t r = 0; r < runs; ++r) offsets[r] = r * quarter * width * plan.in_size;
  k.columns(in, offsets, runs, tree_lanes, last * width, 1, 0, space.acc());
  if (runs > 1 && last < quarter) { // the last run is shorter
    k.columns(in + last * width * plan.in_size, offsets, runs - 1, tree_lanes, (quarter - last) * width, 1, 0,
        space.acc() + last * width * k.partial_size);
  }
  fold(k.combine, space.acc(), std::min(n, quarter), width, k.partial_size);
}

// Reduces rows [b * reduce_block, ...) of `width` columns starting at in to `width` partials at space.acc().
void column_block(const Plan& plan, const char* in, int64_t width, int64_t b, Workspace& space) {
  if (plan.in_runs) return run_block(plan, in, width, space);
  if (plan.joined) return joined_block(plan, in, width, b, space);
  int64_t n = plan.block_length(b), offsets[reduce_block];
  Walk at(plan.reduced_shape, plan.reduced_in, plan.no_list, b * reduce_block);
  for (int64_t r = 0; r < n; ++r, at.advance(1)) offsets[r] = at.a_at * plan.in_size;
  if (plan.column_in != 1) { // bring the columns together first
    int64_t row_bytes = width * plan.in_size;
    for (int64_t r = 0; r < n; ++r) {
      copy_line(in + offsets[r], plan.column_in * plan.in_size, space.row() + r * row_bytes, plan.in_size, width,
          plan.in_size);
      offsets[r] = r * row_bytes;
    }
    in = space.row();
  }
  plan.k->columns(in, offsets, n, plan.k->lanes, width, 1, 0, space.acc());
}

// ---- units ----

// Where a unit reads and writes.
struct Unit {
  const char* in;
  char* out;
  int64_t width;
};

Unit unit_at(const Plan& plan, const Walk& at, int64_t strip) {
  int64_t c = strip * plan.width;
  return {plan.in + (at.a_at + c * plan.column_in) * plan.in_size,
      plan.out + (at.b_at + c * plan.column_out) * plan.out_size, std::min(plan.width, plan.columns - c)};
}

void store_strip(const Plan& plan, const void* acc, const Unit& unit, Workspace& space) {
  if (plan.column_out == 1) return plan.k->store(acc, unit.width, unit.out);
  plan.k->store(acc, unit.width, space.row());
  copy_line(space.row(), plan.out_size, unit.out, plan.column_out * plan.out_size, unit.width, plan.out_size);
}

void block_of_unit(const Plan& plan, const Unit& unit, int64_t b, Workspace& space, char* partial) {
  if (!plan.by_columns) return row_block(plan, unit.in, b, space, partial);
  column_block(plan, unit.in, unit.width, b, space);
  std::copy_n(space.acc(), unit.width * plan.k->partial_size, partial);
}

void finish_unit(const Plan& plan, const Unit& unit, char* partials, Workspace& space) {
  if (!plan.by_columns) return plan.k->finish(partials, plan.blocks, unit.out);
  fold(plan.k->combine, partials, plan.blocks, unit.width, plan.k->partial_size);
  store_strip(plan, partials, unit, space);
}

template <typename F>
void each_unit(const Plan& plan, int64_t first, int64_t last, F f) {
  Walk at(plan.kept_shape, plan.kept_in, plan.kept_out, first / plan.strips);
  int64_t strip = first % plan.strips;
  for (int64_t u = first; u < last; ++u) {
    f(u, unit_at(plan, at, strip));
    if (++strip == plan.strips) strip = 0, at.advance(1);
  }
}

// Few elements for each result, in short runs or apart: the first ones of many results are brought together, then the
// second ones, and so on, for vectors to run across results. Where the last few lie side by side, and results' next to
// each other, whole runs are brought first, and picked apart in the cache.
void bring_together(const Plan& plan, int64_t first, int64_t last) {
  int64_t size = plan.in_size, bytes = strip_bytes * 4, at_once = bytes / (plan.reduced * size), offsets[short_row];
  int64_t levels = std::bit_width(static_cast<uint64_t>(plan.k->lanes)) + 1;
  at_once = std::min(at_once, last - first);
  bytes = plan.reduced * at_once * size;
  Memory rows, acc;
  rows.reserve(2 * bytes);
  acc.reserve(levels * at_once * plan.k->partial_size);
  List shape = plan.kept_shape, strides = plan.kept_in;
  int64_t side_by_side = 1;
  if (plan.reduced_in.size() > 1 && plan.reduced_in.back() == 1 && strides.back() == plan.reduced_shape.back()) {
    side_by_side = plan.reduced_shape.back();
    shape.push_back(side_by_side), strides.push_back(1);
  }
  for (int64_t u = first; u < last; u += at_once) {
    int64_t n = std::min(at_once, last - u);
    for (int64_t r = 0; r < plan.reduced; ++r) offsets[r] = r * n * size;
    Walk at(plan.reduced_shape, plan.reduced_in, plan.no_list, 0);
    for (int64_t r = 0; r < plan.reduced; r += side_by_side, at.advance(side_by_side)) {
      char* to = rows.begin() + (side_by_side > 1 ? bytes : offsets[r]);
      read_strided(plan.in + at.a_at * size, shape, strides, plan.in_size, u * side_by_side, n * side_by_side, to);
      for (int64_t i = 0; i < side_by_side && side_by_side > 1; ++i) {
        copy_line(to + i * size, side_by_side * size, rows.begin() + offsets[r + i], size, n, plan.in_size);
      }
    }
    plan.k->columns(rows.begin(), offsets, plan.reduced, plan.k->lanes, n, 1, 0, acc.begin());
    plan.k->store(acc.begin(), n, plan.out + u * plan.out_size);
  }
}

void groups_of_rows(const Plan& plan, int64_t first, int64_t last) {
  const int64_t group = plan.reduced * plan.columns;
  const int64_t most = std::max<int64_t>(1, strip_bytes * 4 / (group * plan.in_size));
  Memory acc;
  acc.reserve((most + 2 * plan.k->lanes) * plan.columns * plan.k->partial_size);
  for (int64_t u = first; u < last; u += most) {
    const int64_t n = std::min(last - u, most);
    plan.k->groups(plan.in + u * group * plan.in_size, plan.reduced, plan.columns, n, acc.begin());
    plan.k->store(acc.begin(), n * plan.columns, plan.out + u * plan.columns * plan.out_size);
  }
}

// Few elements for each result, in lines next to each other: many lines at a time, a line a unit.
void lines_of_columns(const Plan& plan, int64_t first, int64_t last) {
  int64_t line_bytes = plan.columns * plan.in_size, offsets[short_row];
  int64_t most = std::max<int64_t>(1, strip_bytes * 4 / (plan.reduced * line_bytes));
  Memory acc;
  acc.reserve((std::bit_width(static_cast<uint64_t>(plan.k->lanes)) + 1) * most * plan.columns * plan.k->partial_size);
  Walk row(plan.reduced_shape, plan.reduced_in, plan.no_list, 0);
  for (int64_t r = 0; r < plan.reduced; ++r, row.advance(1)) offsets[r] = row.a_at * plan.in_size;
  const int64_t step = plan.kept_in.empty() ? 0 : plan.kept_in.back() * plan.in_size;
  Walk at(plan.kept_shape, plan.kept_in, plan.kept_out, first);
  for (int64_t u = first, n; u < last; u += n, at.advance(n)) {
    n = std::min({last - u, at.left_in_axis(), most});
    plan.k->columns(
        plan.in + at.a_at * plan.in_size, offsets, plan.reduced, plan.k->lanes, plan.columns, n, step, acc.begin());
    plan.k->store(acc.begin(), n * plan.columns, plan.out + at.b_at * plan.out_size);
  }
}

// Rows that are gathered from pieces, several blocks of them.
bool in_pieces(const Plan& plan) {
  return !plan.by_columns && plan.blocks > 1 && (plan.reduced_in.size() != 1 || plan.reduced_in[0] != 1);
}

// Units [first, last), each whole.
void run_units(const Plan& plan, int64_t first, int64_t last) {
  if (plan.brought_together) return bring_together(plan, first, last);
  if (plan.of_lines) return lines_of_columns(plan, first, last);
  if (plan.of_groups) return groups_of_rows(plan, first, last);
  Workspace space(plan);
  bool consecutive = plan.reduced == 1 || (plan.reduced_in.size() == 1 && plan.reduced_in[0] == 1);
  if (!plan.by_columns && plan.blocks == 1 && consecutive) {
    Walk at(plan.kept_shape, plan.kept_in, plan.kept_out, first);
    int64_t row_bytes = plan.kept_in.empty() ? 0 : plan.kept_in.back() * plan.in_size;
    for (int64_t u = first; u < last;) {
      int64_t run = std::min(last - u, at.left_in_axis());
      const char* from = plan.in + at.a_at * plan.in_size;
      char* to = plan.out + u * plan.out_size;
      reduce_rows(*plan.k, plan.in_size, plan.out_size, from, plan.reduced, row_bytes, run, to);
      u += run;
      at.advance(run);
    }
    return;
  }
  InterruptPoll poll(1 << 18); // elements
  if (in_pieces(plan)) {
    int64_t size = plan.blocks * plan.k->partial_size;
    std::unique_ptr<char[]> partials(new char[static_cast<size_t>(together * size)]);
    std::vector<Unit> units;
    int64_t offsets[most_vectors];
    each_unit(plan, first, last, [&](int64_t u, const Unit& unit) {
      units.push_back(unit);
      if (units.size() < together && u + 1 < last) return;
      for (int64_t b = 0; b < plan.blocks; ++b) {
        poll(reduce_block * static_cast<int64_t>(units.size()));
        char* partial = partials.get() + b * plan.k->partial_size;
        const int64_t vectors = vectors_of_block(plan, b, offsets);
        for (const Unit& each : units) {
          char* to = std::exchange(partial, partial + size);
          vectors > 0 ? plan.k->vectors(each.in, offsets, vectors, to) : row_block(plan, each.in, b, space, to);
        }
      }
      for (size_t i = 0; i < units.size(); ++i) {
        plan.k->finish(partials.get() + static_cast<int64_t>(i) * size, plan.blocks, units[i].out);
      }
      units.clear();
    });
    return;
  }
  Memory partials;
  if (plan.blocks > 1) partials.reserve(plan.blocks * plan.width * plan.k->partial_size);
  each_unit(plan, first, last, [&](int64_t, const Unit& unit) {
    if (plan.by_columns && plan.blocks == 1) {
      column_block(plan, unit.in, unit.width, 0, space);
      return store_strip(plan, space.acc(), unit, space);
    }
    for (int64_t b = 0; b < plan.blocks; ++b) {
      poll(reduce_block * unit.width);
      block_of_unit(plan, unit, b, space, partials.begin() + b * unit.width * plan.k->partial_size);
    }
    finish_unit(plan, unit, partials.begin(), space);
  });
}

// Few units of many blocks: the blocks are shared out, and the units finished afterwards.
void run_blocks(const Plan& plan) {
  int64_t unit_bytes = plan.blocks * plan.width * plan.k->partial_size;
  // Not zeroed: of billions of elements of broadcast data it is the largest thing here.
  std::unique_ptr<char[]> partials(new char[static_cast<size_t>(plan.units * unit_bytes)]);
  std::vector<Unit> all(static_cast<size_t>(plan.units));
  each_unit(plan, 0, plan.units, [&](int64_t u, const Unit& unit) { all[static_cast<size_t>(u)] = unit; });
  int64_t jobs = plan.units * plan.blocks;
  int64_t per_task = std::max<int64_t>(1, task_elements / (reduce_block * plan.width));
  parallel_for((jobs + per_task - 1) / per_task, [&](int64_t task) {
    Workspace space(plan);
    for (int64_t job = task * per_task; job < std::min(jobs, (task + 1) * per_task); ++job) {
      int64_t u = job / plan.blocks, b = job % plan.blocks;
      const Unit& unit = all[static_cast<size_t>(u)];
      block_of_unit(plan, unit, b, space, partials.get() + u * unit_bytes + b * unit.width * plan.k->partial_size);
    }
  });
  Workspace space(plan);
  for (int64_t u = 0; u < plan.units; ++u) {
    finish_unit(plan, all[static_cast<size_t>(u)], partials.get() + u * unit_bytes, space);
  }
}

} // namespace

void reduce(Reduction op, Dtype dtype, const void* in, Ints shape, Ints strides, Ints axes, void* out) {
  Plan plan;
  plan.k = &find_reduce_kernels(op, dtype);
  plan.in = static_cast<const char*>(in);
  plan.out = static_cast<char*>(out);
  plan.in_size = dtype.size();
  plan.out_size = op == Reduction::all || op == Reduction::any ? 1 : dtype.size();
  split_axes(plan, shape, strides, axes);
  if (plan.kept == 0) return;
  if (plan.reduced == 0) {
    plan.k->identity(out);
    return fill(plan.out + plan.out_size, out, plan.kept - 1, plan.out_size);
  }
  constexpr int64_t worth_a_tree = 512; // elements
  if (plan.reduced_in.size() == 1 && plan.reduced_in[0] == 0 && plan.kept * plan.reduced >= worth_a_tree) {
    return reduce_equal(*plan.k, plan.in_size, plan.out_size, in, plan.kept_shape, plan.kept_in, plan.reduced, out);
  }
  choose_way(plan);
  if (plan.kept * plan.reduced < serial_elements) return run_units(plan, 0, plan.units);
  if (plan.units < 32 && plan.blocks > 1) return run_blocks(plan);
  int64_t least = in_pieces(plan) ? std::clamp<int64_t>(plan.units / (4 * thread_count()), 1, together) : 1;
  int64_t per_task = std::max(least, task_elements / (plan.reduced * plan.width));
  parallel_for((plan.units + per_task - 1) / per_task,
      [&](int64_t task) { run_units(plan, task * per_task, std::min(plan.units, (task + 1) * per_task)); });
}

} // namespace mlx::core::cpu
