// Stacks on which lanes run, and the switch between two of them.
#pragma once

#include <vector>

#include "abi.h"

namespace mlx::core::metal_emulator {

// Stores where the running stack stopped in *from and goes on at `to`; returns when something switches back.
extern "C" void mlx_metal_emulator_switch(void** from, void* to);

// Stacks that are used again. The lowest page of each is one that nobody may touch.
class Stacks {
 public:
  Stacks() = default;
  Stacks(const Stacks&) = delete;
  ~Stacks();
  char* take(); // where it begins
  void give(char* stack) { free_.push_back(stack); }

 private:
  std::vector<char*> free_;
};
mlx_msl::Head* head_of(char* stack);
// Where to switch to so that `start` runs on the stack from its top. `start` never returns.
void* prepare_stack(char* stack, void (*start)());

} // namespace mlx::core::metal_emulator
