// Program: what a function did, as steps over numbered slots. It is immutable, shared, and holds no array: what the
// function used beside its parameters comes in as further inputs.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "mlx_core/primitive.h"

namespace mlx::core {

class Program {
 public:
  // One application. Slots are numbered: the inputs, then the outputs of the steps in order.
  struct Step {
    PrimitiveRef primitive;
    Specs outputs;
    SmallVector<int32_t, 3> operands; // slots
    int32_t first = 0;                // slot of its first output
    uint32_t origin = 0;
    int32_t stream = -1;    // its number; -1: that of the caller
    uint32_t last_uses = 0; // bit k: nothing after this step needs the slot of operand k, which is none of the outputs
  };

  std::span<const Spec> inputs() const { return inputs_; }
  std::span<const Step> steps() const { return steps_; }
  std::span<const int32_t> outputs() const { return outputs_; } // slots
  std::span<const Spec> output_specs() const { return output_specs_; }
  size_t slot_count() const { return slot_count_; }

  // What evaluation runs: at first this one, later simplify(*this) with its plans kept, which costs more than a run.
  const Program& prepared() const;

 private:
  friend class ProgramWriter;

  std::vector<Spec> inputs_;
  std::vector<Step> steps_;
  std::vector<int32_t> outputs_;
  std::vector<Spec> output_specs_;
  size_t slot_count_ = 0;
  mutable std::atomic<bool> was_run_ = false;
  mutable std::once_flag once_;
  mutable SharedProgram simplified_;
};

// Makes a program step by step.
class ProgramWriter {
 public:
  // So many steps will be added.
  void reserve(size_t steps) { program_->steps_.reserve(steps); }
  // Before any step. Returns its slot.
  int32_t add_input(Spec spec);
  // Returns the slot of its first output.
  int32_t add_step(Program::Step&& step);
  // The steps of another program around these slots, one for each of its inputs; the slots of its outputs. A slot of -1
  // stands for an input that nothing needed depends on.
  std::vector<int32_t> append(const Program& other, std::span<const int32_t> inputs);

  std::span<const Spec> inputs() const { return program_->inputs_; }
  std::span<const Program::Step> steps() const { return program_->steps_; }
  // The program, without steps that no output needs.
  SharedProgram finish(std::vector<int32_t> outputs);

 private:
  // Where each slot is used last, and which steps an output needs. Whether these are all.
  bool note_uses(std::span<const int32_t> outputs, std::vector<uint8_t>& kept);
  void drop_steps(const std::vector<uint8_t>& kept, std::vector<int32_t>& outputs);
  std::shared_ptr<Program> program_ = std::make_shared<Program>();
};

// --- program.cpp ---
// The same steps around other inputs: input i of `program` is input to[i] (-1: nothing needed depends on it), and with
// other outputs, which are slots of `program`.
SharedProgram rewired(
    const Program& program, std::vector<Spec> inputs, std::span<const int32_t> to, std::span<const int32_t> outputs);
// By what they do: equivalent primitives applied to the same slots, around inputs of the same shapes and dtypes.
bool equivalent(const Program& a, const Program& b);
uint64_t hash_of(const Program& program);

// --- simplify.cpp ---
// Without what is computed twice and what does nothing. Never changes a bit of the result: it merges applications of
// equal primitives to the same operands, and inputs that `same_input` maps to an earlier one (each to itself, if not;
// empty: all to themselves).
SharedProgram simplify(const Program& program, std::span<const int32_t> same_input = {});

// --- undone_moves.cpp ---
// With what elementwise steps do between a permutation of axes and its inverse done on the elements where they lie, so
// that both go; where that is less work.
SharedProgram without_undone_moves(SharedProgram program);

// --- verify.cpp ---
// What makes no sense in it, as text; empty when all is well. Asserted of every program in builds with assertions.
std::string fault_in(const Program& program);

// --- replay.cpp ---
// The outputs for these inputs: new nodes, none of them evaluated. Where the inputs have the shapes and dtypes that the
// program was recorded with, no shape rule runs.
std::vector<array> replay(const Program& program, std::vector<array> inputs);
std::vector<array> replay(const Program& program, Operands inputs);
// The same for inputs that are known to have those shapes and dtypes.
std::vector<array> replay_as_recorded(const Program& program, std::vector<array> inputs);
// For inputs of which some have lanes along an axis: by the vmap rules of the steps. An output that none of them
// reaches has no lanes.
Mapped replay_batched(const Program& program, std::vector<array> inputs, MapAxes axes);
// Evaluates it on evaluated inputs, outside of every transform. What runs a program many times calls this: nothing of
// one run is left behind but its results, inputs that nobody else holds may be changed in place, and Ctrl-C stops it.
std::vector<array> run(const Program& program, std::vector<array> inputs);
// An evaluated array as a leaf that no transform follows.
array as_leaf(const array& a);
// The shapes and dtypes of the outputs for such inputs.
Specs output_specs(const Program& program, std::span<const Spec> inputs);

} // namespace mlx::core
