// Stacks on which lanes run, and the switch between two of them.
#pragma once

#include "abi.h"

namespace mlx::core::metal_emulator {

// Stores where the running stack stopped in *from and goes on at `to`; returns when something switches back.
extern "C" void mlx_metal_emulator_switch(void** from, void* to);

// The stack that begins there has a page at its lower end that nobody may touch. Kept by the thread for the next lane.
char* take_stack();
void give_stack(char* stack);
mlx_msl::Head* head_of(char* stack);
// Where to switch to so that `start` runs on the stack from its top. `start` never returns.
void* prepare_stack(char* stack, void (*start)());

} // namespace mlx::core::metal_emulator
