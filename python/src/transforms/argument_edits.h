// What a recorded function does to its arguments. It gets copies of them around arrays of the recording; arrays that it
// updates in place, and containers that it changes, are carried over to the caller's.
#pragma once

#include <nanobind/nanobind.h>

#include <span>
#include <vector>

#include "python/src/transforms/container_changes.h"

namespace nb = nanobind;

namespace mlx::python {

class ArgumentEdits {
 public:
  // The caller's arguments: a tuple and a dict.
  ArgumentEdits(nb::handle args, nb::handle kwargs) : args_(args), kwargs_(kwargs) {}

  // What the function gets, before it runs.
  void watch(nb::handle args, nb::handle kwargs);
  // After it ran: moves the arrays that are to be in the caller's places to the end of `outputs`. Nothing here holds
  // an array of the recording afterwards. How many these are.
  size_t take(std::vector<array>& outputs);
  // Makes the changes, with the last of the call's outputs.
  void apply(std::span<const array> outputs);

 private:
  nb::handle args_, kwargs_;
  Leaves given_;                // handles, in the order of the leaves
  std::vector<array> before_;   // what they held
  std::vector<size_t> changed_; // handles
  ContainerChanges changes_;
  EditedArrays edited_;
};

} // namespace mlx::python
