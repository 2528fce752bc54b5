// What tests may ask of the Objective-C stand-in beside what Metal has: plain C++, no Metal types.
//
// Variables of the environment, read whenever they matter:
//   MLX_METAL_EMULATOR_DEVICE   "none": this machine has no GPU
//   MLX_METAL_EMULATOR_MEMORY   bytes of memory that the device has (default: the machine's)
//   MLX_METAL_EMULATOR_MACOS    the version of macOS that it claims to run (default 15.0)
//   MLX_METAL_EMULATOR_TIMEOUT  seconds that a command buffer waits for an event before it fails (default 120)
//   MLX_METAL_EMULATOR_SEED     orders the dispatches between two barriers of a concurrent encoder; 0: as encoded
#pragma once

#include <cstdint>

namespace mlx::core::metal_emulator::objc {

// Objects of this class that exist, such as "MTLBuffer".
int64_t live_objects(const char* class_name);
// Objects put into an autorelease pool while there was none, which are never released.
int64_t objects_without_pool();
// Messages and dispatches are counted, to see what a test costs.
uint64_t dispatches_run();
uint64_t command_buffers_run();
// In place of MLX_METAL_EMULATOR_SEED.
void set_dispatch_seed(uint64_t seed);

} // namespace mlx::core::metal_emulator::objc
