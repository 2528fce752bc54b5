// How the primitives that hold programs are made again: branches, loops, checkpoints and custom functions. They are no
// public ops, hence no family of the registry.
#pragma once

#include "mlx_core/remake.h"

namespace mlx::core {

std::vector<array> remade_cond(const Parts& parts);       // cond.cpp
std::vector<array> remade_while_loop(const Parts& parts); // while_loop.cpp
std::vector<array> remade_sweeps(const Parts& parts);     // sweeps.cpp
std::vector<array> remade_scan(const Parts& parts);       // scan.cpp
std::vector<array> remade_function(const Parts& parts);   // function.cpp
std::vector<array> remade_custom(const Parts& parts);     // custom.cpp

inline std::span<const Remake> program_remakes() {
  static constexpr Remake rows[] = {{"Cond", remade_cond}, {"WhileLoop", remade_while_loop}, {"Sweeps", remade_sweeps},
      {"ScanLoop", remade_scan}, {"Function", remade_function}, {"CustomFunction", remade_custom}};
  return rows;
}

} // namespace mlx::core
