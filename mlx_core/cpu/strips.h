// Runs of steps of a fused plan, on a few vectors at a time that stay in registers from one step to the next. What a
// cheap step computes costs less than the load and the store that it needs by itself; and where a run begins and ends
// in memory, one strip's waiting for it goes on beside another's arithmetic.
//
// A strip is four vectors of each operand, or eight where a run needs but one register. The instructions work on two
// registers, a and b, of a strip each, and on the slots' memory; each calls the next one, with the registers as its
// arguments. The bits are those of the kernels. 16-bit floats are float32 in registers, rounded after each step; a run
// has steps of them, of float32, and of integers of 32 bits, and casts; narrower integers are only in memory. Or
// float16 is float16 in registers: see strips_float16.cpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/cpu/fetch_lines.h"

namespace mlx::core::cpu {

// What becomes a; b stays.
enum class StripForm : uint8_t {
  memory,   // a = f(first, second)
  a_memory, // a = f(a, first)
  memory_a, // a = f(first, a)
  a_b,      // a = f(a, b)
  b_a,      // a = f(b, a)
  a_a,      // a = f(a, a); or f(a), of one operand
};

// Which operand of a selection, or of a share, is in a; the others are in memory. The rest are of selections that
// compare by themselves: their condition is the first number of the comparison.
enum class SelectForm : uint8_t {
  memory,
  condition_in_a,
  first_in_a,
  second_in_a,
  first_in_b,           // and the second in a
  condition_and_first,  // in a; these and the next are of comparisons with a value of a row
  condition_and_second, // the same
  second_in_a_others_in_b,
  first_in_a_others_in_b,
};

inline constexpr int64_t fetch_ahead_bytes = 4096; // within a source

// The longest strip there is, in memory.
inline constexpr int64_t strip_bytes = 8 * 64;

using StripFunction = void (*)(); // of a type that only strips.cpp knows

// A reduction of what is in a, with the tree of the unfused one: its lanes, and where the result of a row goes, or that
// of a block of a longer one.
struct alignas(64) StripFold {
  static constexpr int64_t bytes = 256; // of all lanes
  char lanes[bytes];
  int64_t end, length; // elements: where the row ends, counted as the strips are; of a row, a whole number of lanes
  int64_t last;        // where the last row ends, which may be shorter
  char* out;           // of the first row that is not done
  int64_t out_bytes;   // of one result: a partial of a block, or one rounded to the dtype
};

struct StripStep {
  StripFunction run;
  uint16_t first, second; // slots
  uint16_t one_strip = 0; // see StripTable::find_choice
};

// What strips keep of a value that they divide by; the value itself comes first.
struct alignas(64) StripDivisor {
  char bytes[64];
};

// What strips go through: the elements from `first` to `last` of the slots' memory, and as many more on each line that
// follows, before which some of the slots move. The last elements of a line that is no whole number of strips are done
// twice, and those behind one that is less than a strip are done with it.
struct StripMove {
  uint16_t slot;
  int64_t bytes;
};
struct StripLines {
  int64_t first, last;
  int64_t following = 0;
  std::span<const StripMove> moves{};
};

// Strip by strip.
class StripWalk {
 public:
  StripWalk(const StripLines& lines, int64_t strip, char** at)
      : lines_(lines), strip_(strip), at_(at), offset_(lines.first), last_(lines.last), left_(lines.following) {}

  bool is_done() const { return left_ < 0; }
  int64_t offset() const { return offset_; }
  void go_on() {
    offset_ += strip_;
    if (offset_ + strip_ <= last_) {
      return;
    }
    if (offset_ < last_) { // so there was a whole one
      offset_ = last_ - strip_;
    } else if (left_-- > 0) {
      for (const StripMove& move : lines_.moves) {
        at_[move.slot] += move.bytes;
      }
      offset_ = last_;
      last_ += lines_.last - lines_.first;
    }
  }

 private:
  const StripLines& lines_;
  int64_t strip_;
  char** at_;
  int64_t offset_, last_, left_;
};

// How the elements of a source lie in memory. `same`: one for all of a line.
enum class StripOrder : uint8_t { consecutive, every_other, reversed, same };

// What this machine has for a dtype.
struct StripTable {
  int64_t elements; // of a strip
  // Null where there is none. Every body that has a form has a_a; copy has all of one operand. Of greater and
  // greater_equal there are none: they are less and less_equal of the operands turned round.
  StripFunction (*find)(Body body, StripForm form);
  // With one value of `first`, at its row, for all: a = f(x, value), or where that comes first f(value, x); or null.
  // x is a, or in memory `second`.
  StripFunction (*find_row)(Body body, bool comes_first, StripForm form);
  void (*prepare_divisor)(const void* value, StripDivisor& to); // divide of find_row reads that, not the value
  StripFunction (*find_quotient)(StripForm form); // the same of the value itself, for few elements; or null
  StripFunction (*function)(Body body);           // longer bodies, on a alone: before they are rounded
  // Bools that a run gives and nobody else reads are masks: lanes, as wide as the registers', of all ones or none. Of
  // connectives of them, and the copy that makes numbers of them.
  StripFunction (*find_of_masks)(Body body, StripForm form);
  // Of the condition `first`, a mask or in bytes, `second`, and the `first` of the next entry, which is no instruction;
  // its `second`: 1, 2 for the operands of which there is one strip for all, 3 for both.
  StripFunction (*find_select)(SelectForm form, bool of_bytes);
  // With a condition that is no more than a comparison, of `first` with `second`, or with one value there, at its row;
  // of the next entry, `first` and `second` are what is chosen from, and `one_strip` tells of these what it does above.
  // Null where there is none.
  StripFunction (*find_choice)(Body comparison, bool with_row, SelectForm form);
  StripFunction (*find_share)(SelectForm form); // of three numbers, given like those of a selection
  // Of memory of integers of 16 or 8 bits or of bools, numbers, exactly; or null.
  StripFunction (*find_load)(Dtype from);
  // Of numbers of the other kind in a, integers of floats or floats of integers; or null.
  StripFunction (*find_cast)(Dtype from);
  // first = a, as integers of 16 or 8 bits; or null.
  StripFunction (*find_store)(Dtype to);
  StripFunction keep;              // b = a
  StripFunction round;             // a, to the dtype; null where registers are of it
  StripFunction store, store_mask; // first = a
  StripFunction store_bools;       // the same, of a mask in a, as bools
  StripFunction load_bools;        // a = first, of bools a mask
  StripFunction end;
  StripFunction (*find_fold)(Reduction op); // into the StripFold that is `first`; null where there is none
  void (*clear_fold)(Reduction op, StripFold& fold);
  StripFunction every_other, reversed; // `second`, consecutive, = `first` in that order; or null
  void (*run)(const StripStep* steps, char** at, const StripLines& lines);
  // The n elements there are of a strip, to and from memory that has room for a whole one.
  void (*fill_pad)(void* pad, const void* from, int64_t n);
  void (*empty_pad)(const void* pad, void* to, int64_t n);
  StripFunction fetch = nullptr; // into the caches what lies so many lines of them as `second` behind `first`

  // Whether both have the same registers: then a run may have steps of both.
  bool suits(const StripTable* other) const { return other && other->run == run; }
};
// Null where strips do not pay.
const StripTable* find_strips(Dtype dtype);
const StripTable* find_integer_strips(Dtype dtype);
// Of eight vectors: its instructions are those of the forms without b, by themselves and with the value of a row, and
// those that lay out sources; and reductions of rows that are a whole number of strips. Null where there are none.
const StripTable* find_wide_strips(Dtype dtype);
// Of float16 that is not widened, for arithmetic and comparisons without reductions; or null.
const StripTable* find_float16_strips();

// A slot that is one value of a row, or for all, and whether it divides.
struct StripRow {
  uint16_t slot;
  bool divides;
};

// A run of neighbouring steps, and where its instructions begin.
struct StripRun {
  uint32_t begin, end; // steps of the plan
  uint32_t code;
  uint32_t slots, stored, slots_end; // in Strips::slots: those that are read from memory, and from `stored` on written
  uint32_t ordered, ordered_end; // in Strips::ordered: sources that the run lays out in scratch before it reads them
  uint32_t rows, rows_end;       // in Strips::rows: values of rows, or of lines, that it reads where they are
  const StripTable* table;
  uint32_t lines = 0, lines_end = 0; // in Strips::lines: sources of which each row is a line of memory, so as well
};

// What a plan's runs bring into the caches before it is needed: what the next unit reads, by the last run; or what lies
// ahead within sources, by runs that have nothing but cheap steps, or those alone that have strips of eight vectors;
// and within results.
struct FetchAhead {
  int64_t next_unit = 0; // elements of a unit, or none
  bool within = false, within_cheapest = false, results = false;
};

inline bool reads(const FusedPlan::Step& step, uint16_t slot) {
  return std::find(step.inputs, step.inputs + step.input_count, slot) != step.inputs + step.input_count;
}

// The runs of a plan's elements' steps, in order, and their instructions.
struct Strips {
  std::vector<StripRun> runs;
  std::vector<StripStep> code;
  std::vector<uint16_t> slots;
  std::vector<uint8_t> folds; // whether each of the plan's folds is done by a run
  std::vector<uint16_t> ordered, lines;
  std::vector<StripRow> rows;
  std::vector<StripRow> scalars;    // the same of sources of one element, of all runs
  std::vector<int32_t> row_of_step; // the slot of rows that a step reads where it is; or -1
  std::vector<uint8_t> one_strip;   // which operands of a step are numbers, of which it reads one strip: 1, 2 or 3
  std::vector<int32_t> compares;    // of a selection, the step before it whose comparison it does by itself; or -1

  void clear() {
    runs.clear(), code.clear(), slots.clear(), folds.clear(), ordered.clear();
    rows.clear(), scalars.clear(), lines.clear(), row_of_step.clear(), one_strip.clear(), compares.clear();
    masks_.clear();
  }
  // The plan's: null where it has no strips.
  const StripTable* table_of(Dtype dtype) const { return float16_ && dtype == float16 ? float16_ : find_strips(dtype); }
  bool has_fold(size_t i) const { return !folds.empty() && folds[i]; }
  // Masks are as wide as the registers' lanes.
  int item_size(const FusedPlan& plan, size_t slot) const {
    return is_mask(slot) ? masks_[slot] : plan.slots[slot].dtype.size();
  }
  bool lays_out(uint16_t source) const { return std::find(ordered.begin(), ordered.end(), source) != ordered.end(); }
  // To the instructions, the StripFold of fold i is slot `slots.size() + i` of the plan's; the memory of a source in
  // another order than consecutive is slot `slots.size() + folds.size() + source`; and the value of a row has a place
  // behind those. `by_rows`: runs are of one row each. `line`: elements for which a row, or a line, has a value, or 0.
  void find(const FusedPlan& plan, std::span<const StripOrder> orders, bool by_rows, int64_t line, FetchAhead ahead);
  static size_t place_of_row(const FusedPlan& plan, uint16_t slot) {
    return plan.slots.size() + plan.folds.size() + plan.sources.size() + slot;
  }
  // Whether a step reads no more of a slot than one element or strip.
  bool reads_one(const FusedPlan& plan, size_t step, uint16_t slot) const;

 private:
  void count_reads(const FusedPlan& plan);
  int32_t row_of(const FusedPlan& plan, const FusedPlan::Step& step) const;
  bool is_prepared(const FusedPlan& plan, int32_t slot) const;
  void find_rows(const FusedPlan& plan, uint32_t begin, uint32_t end);
  bool take_folds(const FusedPlan& plan, size_t stage, uint32_t begin, uint32_t end);
  void add_run(const FusedPlan& plan, const StripTable& table, uint32_t begin, uint32_t end);
  bool is_mask(size_t slot) const { return !masks_.empty() && masks_[slot] > 0; }
  const StripTable* table_of(const FusedPlan::Step& step, const StripTable* run) const;
  bool loads(const FusedPlan::Step& step) const;
  bool narrows(const FusedPlan::Step& step) const;
  bool casts(const FusedPlan::Step& step) const;
  bool reads_bytes(const FusedPlan::Step& step) const;
  uint8_t bytes_of_mask(const FusedPlan::Step& step) const;
  uint32_t end_of_private(const FusedPlan& plan, uint32_t begin, uint32_t end) const;
  void take_comparisons(const FusedPlan& plan, uint32_t begin, uint32_t end);
  void take_counts(uint32_t begin, uint32_t end);
  void add_choice(const FusedPlan& plan, uint32_t begin, uint32_t number, int32_t a, int32_t b);
  SelectForm add_select(const FusedPlan::Step& step, int32_t a);
  bool pays_to_keep(uint32_t begin, uint32_t number, int32_t a) const;
  void read_slot(uint16_t slot);
  void lay_out(const FusedPlan& plan, uint32_t begin, uint32_t end, const StripTable* wide);
  void fetch_ahead(const FusedPlan& plan, const StripTable& table, uint32_t begin);
  const StripTable* wide_of(const FusedPlan& plan, const StripTable& table, uint32_t begin, uint32_t end) const;
  std::span<const StripOrder> orders_;
  bool by_rows_ = false, prepares_divisors_ = false; // of rows; those of all are prepared
  FetchAhead ahead_;
  const StripTable* float16_ = nullptr; // where it need not be widened
  std::vector<uint16_t> reads_;         // of each slot, that are still to come from memory
  std::vector<StripForm> forms_;        // of the run's steps
  std::vector<SelectForm> selects_;     // the same, of selections
  std::vector<uint8_t> keeps_;          // whether what is in a goes to b before each of the run's steps
  struct Choice {
    Body comparison;
    bool with_row;
    SelectForm form;
    uint16_t compared[2], chosen[2];
    uint16_t one_strip;
  };
  std::vector<Choice> choices_;        // of the run's selections that compare by themselves
  std::vector<uint8_t> taken_;         // whether each of the run's steps is a comparison that those do
  std::vector<FusedPlan::Step> steps_; // the run's, without the values of rows
  std::vector<uint8_t> is_listed_;     // whether each slot is among those that the run reads from memory
  std::vector<int32_t> last_read_;     // of each slot: the run's last step that reads it; or -1
  std::vector<uint8_t> masks_;         // of each slot: bytes of an element, where it is a mask; else 0
};

} // namespace mlx::core::cpu
