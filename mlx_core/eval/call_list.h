// CallList: a program as a list of calls of the host's kernels, on memory that is kept from run to run. What runs a
// program of many steps on few values, or a body thousands of times, saves nodes, claims and allocations: a step costs
// what its kernel does.
//
// The results have the bits that evaluating the program has: the kernels are the same, and see the same layouts.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/cpu/copy_bytes.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/few_slices.h"
#include "mlx_core/cpu/native_loop.h"
#include "mlx_core/cpu/reduce.h"
#include "mlx_core/cpu/small_product.h"
#include "mlx_core/cpu/small_reduce.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/cpu/steps.h"
#include "mlx_core/eval/kept_steps.h"
#include "mlx_core/ops/on_views.h"
#include "mlx_core/program/program.h"

namespace mlx::core {

class CallRun;

class CallList {
 public:
  // Of the inputs the first ones are fed back, and those from `constants` on are the same in every run. With `once`
  // each run has inputs and outputs of its own (CallRun::run_on): large ones stay where they lie.
  struct Uses {
    size_t fed_back, constants;
    bool once = false;
    bool kept_steps = false; // the program has such (kept_steps.h): values may be of middle size
  };
  // Null where a step of a single run is more than elementwise, a view, a reduction, a product, moves elements, or runs
  // on views, where one holds functions, or where the values are many.
  static std::unique_ptr<const CallList> of(const Program& program, Uses uses);

  ~CallList();

  // Memory to run on: that of a run before, if it is small and nobody has it. What was bound to it is bound still.
  struct GiveBack {
    void operator()(CallRun* run) const;
  };
  std::unique_ptr<CallRun, GiveBack> run() const;

  // Whether a single run takes such inputs: some calls see how they lie in memory.
  bool takes(std::span<const array> inputs) const;
  int64_t work() const { return work_; } // element-steps of a run
  int64_t bytes() const { return bytes_; }
  // The input whose memory an output takes over where nobody else needs it; -1: none.
  int donor() const { return donor_; }
  bool may_throw() const { return throws_; } // of an index that is outside

  // Where something is: bytes from the start of the memory; row-major. What is not in the list's own memory has the
  // number of its base above these bits.
  struct Place {
    int64_t at = 0;
    size_t bytes = 0;
  };
  static constexpr int base_shift = 44;
  static size_t base_of(int64_t place) { return static_cast<size_t>(place >> base_shift); }
  static int64_t offset_in(int64_t place) { return place & ((int64_t{1} << base_shift) - 1); }

 private:
  friend class CallListPlaces;
  friend class CallListMoves;
  friend class CallListSmall;
  friend class CallListApplied;
  friend class CallListBuilder;
  friend class CallRun;

  enum class Kind : uint8_t {
    map,
    spread,
    gather,
    copy,
    move,
    fold,
    reduce,
    product,
    apply,
    arg_reduce,
    request,
    read_slices, // these were prepared
    write_slices,
    rearrange,
    small_reduce,
    small_product
  };
  struct Call {
    Kind kind;
    uint8_t code; // of a map that may be done on the spot
    int item_size;
    cpu::Kernel kernel;
    cpu::StepMap map;
    cpu::Spread spread;
    int64_t n, count;   // elements (of a copy: bytes), with padding and without
    int64_t in[4], out; // places
    uint32_t detail;    // which of those below of its kind
  };
  struct Layout { // strided, where it begins
    Sizes sizes;
    Strides strides;
  };
  struct Move { // between strided layouts
    Sizes sizes;
    Strides from, to;
  };
  struct Fold { // over trailing axes of a row-major operand
    cpu::RowReducer reducer;
    int64_t rows, length;
  };
  struct General { // the request that evaluation would make
    Reduction op;
    SmallVector<int64_t, 4> axes;
    bool zero_terms;
    View in[2], out; // without memory
  };
  struct Request { // a primitive that runs on views
    PrimitiveRef primitive;
    const OnViews* on;
    SmallVector<View, 4> in; // without memory
    View out;
  };
  struct Applied { // any other primitive, asked to evaluate arrays; one for each turn
    PrimitiveRef primitive;
    SmallVector<View, 3> in; // their offsets are places
    Specs out;
    bool in_place;              // the first operand becomes the result
    bool repeats;               // by a Repetition
    SmallVector<int64_t, 2> to; // places of the results
  };
  struct ArgReduction {
    bool max;
    Dtype dtype;
    Sizes sizes;
    Strides strides;
    int axis;
  };
  // Memory of one run: an input's, an output's, or neither's; in the last two cases it may begin as a copy of an input.
  struct Base {
    int64_t bytes;
    int input = -1, output = -1;
    bool begins_as_input = false; // then the memory is not the input's own, unless the output takes it over
    bool takes_over = false;
  };

  // Of a run. Two take turns, unless it is a list for single runs: what one gives is in place for the other.
  struct Turn {
    std::vector<Call> calls;
    std::vector<Place> inputs, outputs;
  };
  Turn turns_[2];
  std::vector<bool> sees_layout_; // by input
  std::vector<Call> constant_calls_;
  std::vector<Layout> layouts_;
  std::vector<Move> moves_;
  std::vector<Fold> folds_;
  std::vector<General> general_;
  std::vector<Request> requests_;
  std::vector<cpu::FewSlices> picks_;
  std::vector<ArgReduction> arg_reductions_;
  std::vector<Applied> applied_;
  std::vector<cpu::Rearrangement> rearrangements_;
  std::vector<cpu::SmallReduction> small_reductions_;
  std::vector<cpu::SmallProduct> small_products_;
  std::vector<Base> bases_;                       // from number 1 on
  std::vector<std::pair<int64_t, array>> values_; // of steps without operands, and where they go
  size_t fed_back_ = 0, constants_ = 0;
  int donor_ = -1;
  bool throws_ = false;
  int64_t bytes_ = 0, work_ = 0;
  mutable std::atomic<CallRun*> spare_{nullptr};
};

// The call list of a body that a primitive holds, made when the body was run often enough for it to pay.
class KeptCalls {
 public:
  static constexpr int64_t worth_it = 16; // runs
  // Before so many runs of the body on the stream of these kernels. Null where they are to be done in the ordinary way.
  const CallList* before(int64_t runs, const Program& body, CallList::Uses uses, const Kernels& kernels) const;
  // The same where that gave one before, to anybody.
  const CallList& kept() const { return *list_; }
  // Whether lists may be run there: a GPU's functions have other last bits, and observers want to see what is computed.
  static bool possible(const Kernels& kernels);

 private:
  mutable std::atomic<int64_t> runs_{0};
  mutable std::once_flag once_;
  mutable std::unique_ptr<const CallList> list_;
};

// A CallList with memory to run on.
class CallRun {
 public:
  explicit CallRun(const CallList& list);

  // Where the elements of an input go and those of an output are, row-major, in this turn.
  char* input(size_t k) { return memory_.get() + list_.turns_[turn_].inputs[k].at; }
  const char* output(size_t k) const { return memory_.get() + list_.turns_[turn_].outputs[k].at; }
  size_t input_bytes(size_t k) const { return list_.turns_[turn_].inputs[k].bytes; }
  // Copies an evaluated array there. A large constant of a loop stays where it lies, if it lies in order; begin() is
  // called after that.
  void give(size_t k, const array& input);
  // The same of a constant of a list for single runs; a large one stays where it lies.
  void give_constant(size_t k, const array& input) {
    if (CallList::base_of(list_.turns_[0].inputs[k].at) == 0) {
      give(k, input);
    }
  }
  // A new array of what is in an input's place, or elsewhere.
  array taken(size_t k, const array& like) { return copied(input(k), {like.shape(), like.dtype()}); }
  static array copied(const char* elements, const Spec& spec);

  // Once the constants are there.
  void begin() {
    place_bases();
    forget_moved();
    run_steps(loop_of(constant_calls_, {}), 1);
    has_begun_ = true;
  }
  bool has_begun() const { return has_begun_; } // so that constants, if they are still the same, are there
  void run() { run_steps(loop_of(calls_[turn_], calls_[turn_ ^ 1]), 1); }

  // Of each of so many runs, which are fed back, rows of memory that go to inputs before and come from outputs after
  // it.
  struct Row {
    size_t input_or_output;
    char* at;      // of the first run
    int64_t apart; // bytes
  };
  void run_rows(std::span<const Row> to_inputs, std::span<const Row> from_outputs, int64_t runs);
  // Runs that are fed back, at most so many, until one leaves 0 in its last output, which is of one byte. Whether there
  // are more; adds their number to `runs`.
  bool run_while(int64_t most, int64_t& runs);

  // A whole run of a list that is made for single runs, once the constants were given: from these inputs, constants
  // included, to these outputs of an evaluation.
  void run_on(std::span<const array> inputs, std::span<array> outputs, Kernels& kernels);

  // Of constants that lie elsewhere it keeps none but small copies.
  void let_go();

 private:
  friend struct CallList::GiveBack;
  using Bound = cpu::Step; // a call with its addresses
  struct Elsewhere {       // an address that each run sets
    uint32_t call;
    uint8_t list;  // of calls: a turn, or 2: the constant ones
    uint8_t which; // operand, or 4: the result
    uint32_t base;
    int64_t offset;
  };

  struct Constant {
    std::optional<array> whole;
    bool is_copy = false, is_one = false; // of one that lies otherwise; of one element, everywhere
    const array& hold(const array& input);
  };

  struct Repeated {
    std::unique_ptr<Repetition> repetition;
    SmallVector<std::pair<BufferRef, int64_t>, 4> elsewhere; // memory that each run sets, and its place
  };

  std::vector<Bound> bound(const std::vector<CallList::Call>& calls, uint8_t list);
  void prepare(const CallList::Call& call, Bound& to) const;
  const cpu::NativeLoop* native_for(const cpu::StepLoop& loop, int64_t runs);
  const array& in_order(size_t k, const array& input, size_t base);
  void place_bases();
  void forget_moved();
  int64_t run_steps(const cpu::StepLoop& loop, int64_t runs, size_t turn = 0);
  cpu::StepLoop loop_of(std::span<const Bound> turn, std::span<const Bound> other);
  void run_other(const Bound& call);
  void run_request(const Bound& call);
  void run_general(const Bound& call);
  void run_applied(const Bound& call);
  Repeated repetition(const CallList::Applied& applied, std::vector<array> operands) const;
  void move_repetitions();
  char* address(int64_t place) const {
    size_t base = CallList::base_of(place);
    return (base ? bases_[base] : memory_.get()) + CallList::offset_in(place);
  }

  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  const CallList& list_;
  size_t turn_ = 0;
  std::unique_ptr<char, Free> memory_;
  std::vector<Bound> constant_calls_, calls_[2];
  std::vector<Elsewhere> elsewhere_;
  std::vector<char*> bases_;
  bool moved_ = false;                       // one of these since it was bound
  bool is_whole_ = true, has_begun_ = false; // no run was broken off
  std::vector<Constant> constants_;          // by base: those that stay where they lie
  std::vector<std::vector<array>> operands_; // of primitives that are applied, once they were
  std::vector<Repeated> repetitions_;        // of those that have such
  std::vector<kernel::Product> products_;    // by number of the general call
  std::vector<CallList::Request> requests_;  // with the memory of the run
  std::unique_ptr<cpu::NativeLoop> native_;  // of the turns
  int64_t runs_ = 0, made_native_ = 0;       // so far; how often it was made, or tried
};

} // namespace mlx::core
