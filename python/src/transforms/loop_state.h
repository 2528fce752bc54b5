// What a loop carries from one turn to the next: its state, and the arrays around it that its body changes in place.
#pragma once

#include <functional>
#include <optional>

#include "python/src/transforms/outer_slots.h"
#include "python/src/transforms/outer_writes.h"
#include "python/src/trees/array_leaves.h"

namespace mlx::python {

// Calls fun(*args).
nb::object called(nb::handle fun, const nb::object& args);
// `value`, which `name` says where it comes from, as an array.
array scalar_of(const char* op, const char* name, nb::handle value);
NumberDtypes dtypes_of(const std::vector<array>& arrays);

// What becomes known of a loop's functions while they are recorded, so that they may have to be recorded again.
struct LoopWrites {
  OuterWrites outer;
  std::vector<OuterSlot> slots;   // around the loop, where they put other arrays
  std::vector<size_t> first_turn; // leaves of the state that the body changes in place and does not return
  bool condition_writes = false;
};

// The body may also change in place the arrays of the state that it is given. In the first turn these are the caller's,
// as in a loop of Python: where the body returns such an array in its place, the caller's ends as the state does; else
// it keeps what the first turn made of it.
class LoopState {
 public:
  LoopState(const char* op, nb::handle init, NumberDtypes& adopted, LoopWrites& writes,
      std::initializer_list<nb::handle> functions);

  // All that is carried, in the beginning.
  const std::vector<array>& arrays() const { return arrays_; }
  // What is carried behind one turn. `body` gets the state and returns the next one, which `name` says where it comes
  // from. `test`, if there is one, looks at that, and what it returns comes last.
  using Body = std::function<nb::object(nb::object state)>;
  using Test = std::function<array(nb::handle state)>;
  std::vector<array> turn(const std::vector<array>& in, const char* name, const Body& body, const Test& test = {});
  // The condition of a loop. What it changes has to be carried, which only a test behind a turn can do.
  array condition(const std::vector<array>& in, const Test& test);
  // Binds the handles that were changed to what the loop ended with. Returns the last state.
  nb::object end(std::span<const array> out);

 private:
  Leaves handles(const std::vector<array>& in) const;
  // Lets handles and slots around hold what is carried.
  void give(HandleLog& log, const std::vector<array>& in) const;
  // Whether there is something to record again for.
  bool look_at_arguments(
      const HandleLog& log, const std::vector<array>& in, const Leaves& given, const ArrayLeaves& after);
  void check_outer(const std::vector<array>& next) const;

  const char* op_;
  ArrayLeaves leaves_;
  NumberDtypes& adopted_;
  LoopWrites& writes_;
  std::vector<nb::handle> functions_;
  OuterSlots around_;
  std::vector<array>
      arrays_; // state, handles around, slots around, leaves changed by the first turn, whether that is to come
  size_t states_;
  std::vector<size_t> returned_; // leaves that are changed in place and returned in their place
};

} // namespace mlx::python
