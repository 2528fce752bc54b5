// CallList: a program as a list of calls of the host's kernels, on memory that is kept from run to run. What runs a
// body thousands of times on few values saves nodes, claims and allocations: a step costs what its kernel does.
//
// The results have the bits that evaluating the program has: the kernels are the same, and see the same layouts.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/reduce.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/program/program.h"

namespace mlx::core {

class CallList {
 public:
  // Of the inputs the first ones are fed back, and those from `constants` on are the same in every run.
  struct Uses {
    size_t fed_back, constants;
  };
  // Null where a step is more than elementwise, a view, a reduction or a product, or where the values are many.
  static std::unique_ptr<const CallList> of(const Program& program, Uses uses);

  // Whether such inputs, from the `first` on, may be run on: some calls see how their inputs lie in memory.
  bool takes(std::span<const array> inputs, size_t first = 0) const;
  int64_t work() const { return work_; } // element-steps of a run

  struct Place {
    int64_t at = 0; // bytes from the start of the memory; row-major
    size_t bytes = 0;
  };

 private:
  friend class CallListBuilder;
  friend class CallRun;

  enum class Kind : uint8_t { map, spread, gather, fold, reduce, product };
  struct Call {
    Kind kind;
    int item_size;
    cpu::Kernel kernel;
    cpu::Spread spread;
    int64_t n, in[3], out; // elements; places
    uint32_t detail;       // which of layouts_, folds_ or general_
  };
  struct Layout { // strided, where it begins
    Sizes sizes;
    Strides strides;
  };
  struct Fold { // over trailing axes of a row-major operand
    cpu::RowReducer reducer;
    int64_t rows, length;
    int out_size;
  };
  struct General { // the request that evaluation would make
    Reduction op;
    Axes axes;
    bool zero_terms;
    View in[2], out; // without memory
  };

  // Of a run. There may be two that take turns: what one gives is in place for the other.
  struct Turn {
    std::vector<Call> calls;
    std::vector<Place> inputs, outputs;
  };
  Turn turns_[2];
  bool take_turns_ = false;
  std::vector<bool> sees_layout_; // by input
  std::vector<Call> constant_calls_;
  std::vector<Layout> layouts_;
  std::vector<Fold> folds_;
  std::vector<General> general_;
  std::vector<std::pair<int64_t, array>> values_; // of steps without operands, and where they go
  size_t fed_back_ = 0;
  int64_t bytes_ = 0, work_ = 0;
};

// The call list of a body that a primitive holds, made when the body was run often enough for it to pay.
class KeptCalls {
 public:
  // Before so many runs of the body on the stream of these kernels. Null where they are to be done in the ordinary way.
  const CallList* before(int64_t runs, const Program& body, CallList::Uses uses, const Kernels& kernels) const;

 private:
  mutable std::atomic<int64_t> runs_{0};
  mutable std::once_flag once_;
  mutable std::unique_ptr<const CallList> list_;
};

// A CallList with memory to run on.
class CallRun {
 public:
  explicit CallRun(const CallList& list);

  // Where the elements of an input go and those of an output are, row-major.
  char* input(size_t k) { return memory_.get() + turn_->inputs[k].at; }
  const char* output(size_t k) const { return memory_.get() + turn_->outputs[k].at; }
  size_t input_bytes(size_t k) const { return turn_->inputs[k].bytes; }
  size_t output_bytes(size_t k) const { return turn_->outputs[k].bytes; }
  // Copies an evaluated array there.
  void give(size_t k, const array& input);
  // A new array of what is in an input's place, or elsewhere.
  array taken(size_t k, const array& like) { return copied(input(k), {like.shape(), like.dtype()}); }
  static array copied(const char* elements, const Spec& spec);

  // Once the constants are there.
  void begin() { run(list_.constant_calls_); }
  void run() { run(turn_->calls); }
  // The first outputs become the inputs that are fed back.
  void feed_back();

 private:
  void run(const std::vector<CallList::Call>& calls);
  void run_general(const CallList::Call& call);

  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  const CallList& list_;
  const CallList::Turn* turn_ = &list_.turns_[0];
  std::unique_ptr<char, Free> memory_, staged_;
};

} // namespace mlx::core
