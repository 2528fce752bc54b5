// A fused plan bound to this machine: kernels for its steps, and a place for each slot.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/view.h"
#include "mlx_core/cpu/column_cut.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/native_strips.h"
#include "mlx_core/cpu/reduce.h"
#include "mlx_core/cpu/repeat.h"
#include "mlx_core/cpu/strips.h"

namespace mlx::core::cpu {

// Elements that a step processes at once: one block of a reduction.
inline constexpr int64_t tile_size = reduce_block;

// A line of the space, its last axis, of a source that is strided: from which element to which, and the first's memory.
struct Line {
  int64_t begin = 0, end = 0;
  int64_t following = 0, apart = 0; // lines along the axis before the last, and bytes from one to the next
  const char* data = nullptr;

  bool has_next() const { return following > 0; }
  void go_on(int64_t lines = 1) {
    int64_t elements = lines * (end - begin);
    begin += elements;
    end += elements;
    data += lines * apart;
    following -= lines;
  }
};

// The space is cut into units: of whole rows that
// together are at most a tile; or where rows are longer, of a span within a row, or of one row that is gone through for
// each stage; or of columns, where other axes are reduced. It is bound to one plan after another, and keeps its lists.
class BoundPlan {
 public:
  enum class Runs : uint8_t { once, many };
  void bind(
      const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs, Runs runs = Runs::once);
  // The same plan on other memory, where what was apart stays apart.
  void move_to(std::span<const View> sources, std::span<const View> outputs);
  void run();
  // The same, as machine code where that is worth making.
  void run_again();

  bool busy = false; // between binding and the end of the run

 private:
  static constexpr size_t most_slots = 896;

  enum class Cut : uint8_t { whole_rows, parts_of_rows, long_rows, columns };
  struct Place {
    char* memory = nullptr; // of all elements; null: scratch
    char* result = nullptr; // memory that a tile of scratch is stored to, past the caches
    int64_t row = -1;       // offset in scratch of a whole long row
    int32_t tile = -1;      // number of a tile of scratch
    int32_t spread = -1;    // of one value for each row: the tile that has it for each element
    int32_t stage = 0;      // the first that reads the spread tile; of long rows' elements, the one that gives them
    FusedPlan::Lines lines; // of memory with gaps, as of the slot
    int32_t lines_by = -1;  // of such: the run of strips that stores each line where it lies
    int64_t copies = 0;     // of a scalar: how many are read, one after another
    int item_size = 0;
    bool settled = false;  // elements that have their place
    bool of_lines = false; // a source that strips read line by line, a row each, or one element where it is
    Repeat repeat;         // of a source
  };
  struct Working { // of one thread
    char* scratch;
    char** at;          // for each slot, its run of elements
    char** rows_at;     // for each slot, its run of one value for each row
    Repeated* repeated; // for each source, what is in its tile
    Line* lines;        // for each source
    char* partials;     // of the folds of one long row; accumulators of columns
  };
  struct Span {
    int64_t first, length;
  };

  void lay_out(const FusedPlan& plan, std::span<const View> outputs, Runs runs);
  void cut();
  void cut_at_lines();
  bool pays_line_by_line(int64_t line) const;
  void give_up_lines();
  void find_orders();
  Span span_of(int64_t unit) const;
  void find_kernels(Runs runs);
  int64_t operations_of_element() const;
  FetchAhead fetch_ahead() const;
  bool is_large(Dtype dtype) const;
  void place_given(std::span<const View> outputs);
  bool is_stored_past_caches(uint16_t slot, const View& output) const;
  void place_steps();
  void place_read(uint16_t slot, size_t stage);
  void count_copies();
  bool pays_row_by_row(int64_t row) const;
  bool pays_by_values_of_lines(int64_t line) const;
  bool is_one_of_row(uint16_t slot) const;
  bool has_odd_rows() const;
  bool is_by_rows() const;
  bool only_folds_rows() const;
  void find_lines_of_rows();
  void find_stored_lines();
  int32_t take_tile(int item_size);
  std::vector<int32_t>& spare_of(int item_size) { return spare_[std::countr_zero(static_cast<unsigned>(item_size))]; }
  void run_units(char* const* partials, int64_t begin, int64_t end) const;
  void run_short(const Working& w, int64_t first, int64_t n) const;
  void run_part(const Working& w, char* const* partials, int64_t unit) const;
  void run_long(const Working& w, int64_t row) const;
  void fold_rows(const Working& w, size_t fold, int64_t rows) const;
  void run_span(const Working& w, size_t stage, int64_t row, int64_t in_row, int64_t n, char* const* partials) const;

  void row_values(const Working& w, size_t stage, int64_t row, int64_t rows, int64_t n) const;
  void elements(const Working& w, size_t stage, int64_t first, int64_t in_row, int64_t n) const;
  char* memory_from(const Working& w, const Place& place, int64_t first, int64_t n) const;
  void store_lines(const Working& w, int64_t first, int64_t n) const;
  void begin_fold(const Working& w, size_t fold, char* out, int64_t out_bytes, int64_t length, int64_t last) const;
  void store_results(const Working& w, size_t stage, int64_t first, int64_t n) const;
  const char* in_line(const Working& w, uint16_t slot, int64_t first, int64_t n) const;
  void give_row(const Working& w, const StripRow& row, size_t number, char* value) const;
  void steps(const Working& w, uint32_t begin, uint32_t end, int64_t first, int64_t n) const;
  int64_t lines_together(const Working& w, const StripRun& run, int64_t first, int64_t length, int64_t n) const;
  void strips_of_lines(const Working& w, const StripRun& run, int64_t first, int64_t length, int64_t lines) const;
  void strips(const Working& w, const StripRun& run, int64_t first, int64_t last) const;
  void fill_ordered(const Working& w, const StripRun& run, uint32_t number, int64_t first, int64_t n) const;
  void strips_in_place(const Working& w, const StripRun& run, int64_t first, int64_t last) const;
  void part_of_strip(const Working& w, const StripRun& run, int64_t first, int64_t n) const;
  // Whether a run of strips may do elements twice, and the sources of which these are kept before: it overwrites them.
  struct Again {
    bool is_possible;
    std::vector<uint16_t> kept;
  };
  Again may_repeat(const StripRun& run, std::span<const View> outputs) const;
  const Again& again(const StripRun& run) const { return repeatable_[static_cast<size_t>(&run - strips_.runs.data())]; }

  void make_native();
  // What the run's instructions do, on such lines of memory.
  void go_through(const StripRun& run, char** at, const StripLines& lines) const;
  void kernels(char* const* at, uint32_t begin, uint32_t end, int64_t n) const;
  void rest_of_bytes(char* const* at, uint32_t begin, uint32_t end, int64_t done, int64_t n) const;

  // Columns: see fused_columns.cpp.
  void cut_columns();
  int64_t elements_of_partials() const;
  void run_columns(const Working& w, char* const* partials, int64_t unit) const;
  void groups_of_rows(const Working& w, int64_t unit) const;
  void joined_columns(const Working& w, int64_t base, int64_t first_row, int64_t n) const;
  void lanes_of_columns(const Working& w, std::span<const int64_t> firsts, int64_t width, int64_t offset, int64_t apart,
      int64_t depth) const;
  void gathered_block(const Working& w, char* const* partials, int64_t unit) const;
  void finish_columns(char* const* partials) const;
  void finish_columns(size_t fold, int64_t strip, char* partials) const;
  int64_t accumulator_bytes(size_t fold) const;
  char* accumulator(const Working& w, size_t fold, int64_t number) const;

  bool stores_lines(const StripRun& run, uint16_t slot) const {
    return places_[slot].lines_by == &run - strips_.runs.data();
  }
  // Where the strips look for the memory of a source in another order.
  size_t memory_of(uint16_t source) const { return places_.size() + plan_->folds.size() + source; }
  char* tile(const Working& w, int32_t number) const { return w.scratch + tile_bytes_ * number; }

  const FusedPlan* plan_ = nullptr;
  FusedPlan recomputed_;
  std::span<const View> sources_;
  bool row_by_row_ = false; // whether strips go through rows one by one, though a unit has several
  bool odd_rows_ = true;    // whether strips may go through such, unless they would overwrite what they read
  Cut cut_ = Cut::whole_rows;
  int64_t per_unit_ = 0, parts_ = 1, units_ = 0; // elements of a unit; tiles of a row; units
  int64_t span_ = tile_size;                     // elements of long rows, or of several short ones, that go together
  int64_t line_ = 0;                             // the space's last axis, where no unit goes beyond its end; or 0
  int64_t short_line_ = 0;                       // the same, where units are several and strips go line by line
  bool by_values_ = false;                       // whether they do for what is one value for all of a line
  int64_t longest_ = 0;                          // run of elements
  std::vector<Place> places_;
  std::vector<Kernel> kernels_, row_kernels_;
  Strips strips_;
  std::vector<Again> repeatable_;                     // of the runs of strips
  std::vector<std::unique_ptr<NativeStrips>> native_; // those of the runs that are machine code
  std::vector<std::unique_ptr<NativeStrips>> bytes_;  // by step: those of bytes that begin there
  int64_t run_again_ = 0;                             // elements, until there is that
  std::vector<StripOrder> orders_;                    // of the sources
  std::vector<RowReducer> reducers_;
  ColumnCut columns_;
  bool folds_only_ = false;                             // of columns: no other slot has memory
  std::vector<const ReduceKernels*> column_folds_;      // of columns
  std::vector<uint16_t> moving_, moving_rows_, spread_; // slots: whose run changes from unit to unit; that are spread
  std::vector<uint16_t> results_;                       // slots that are stored past the caches
  std::vector<uint16_t> lined_;                         // slots: whose memory has gaps
  std::array<std::vector<int32_t>, 5> spare_; // tiles, by items' sizes: strips go on in one while others are behind
  int32_t tiles_ = 0;
  int64_t tile_bytes_ = 0, scratch_bytes_ = 0, row_bytes_ = 0, partial_bytes_ = 0;
  int64_t pads_ = 0;         // offset in scratch: a strip for each that is moving
  int64_t ordered_pads_ = 0; // offset in scratch: two strips for each source in another order
  int64_t folds_ = 0;        // offset in scratch: a StripFold for each that strips do
  int64_t divisors_ = 0;     // offset in scratch: a StripDivisor for each value of rows or for all
};

} // namespace mlx::core::cpu
