// Addresses that stand for buffers and threadgroup arguments that are not bound: touching them can be told from other faults.
#pragma once

#include "abi.h"
#include "runner.h"

namespace mlx::core::metal_emulator {

constexpr size_t unbound_bytes = size_t(64) << 20; // of each slot
constexpr size_t unbound_slots = 62;               // 31 buffers, then 31 threadgroup arguments

mlx_msl::Address unbound_begin();

} // namespace mlx::core::metal_emulator
