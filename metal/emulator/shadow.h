// What happened to each byte of threadgroup memory: finds reads of what was never written, and two lanes that touch a byte
// with no barrier between them, in whatever order they ran.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "abi.h"

namespace mlx::core::metal_emulator {

class Shadow {
 public:
  void begin_dispatch(size_t bytes) {
    cells_.assign(bytes, Cell{});
    epoch_ = 0;
  }
  void begin_threadgroup() {
    first_epoch_ = ++epoch_;
    for (auto& step : steps_) step = 0;
  }
  void barrier() { ++epoch_; }
  void simd_barrier(unsigned simdgroup) { ++steps_[simdgroup]; }

  // What is wrong with this access by a lane of the threadgroup, if anything.
  std::optional<std::string> access(size_t offset, size_t bytes, mlx_msl::Access access, unsigned lane) {
    using mlx_msl::Access;
    bool reads = access != Access::write, writes = access != Access::read, atomic = access == Access::atomic;
    unsigned simdgroup = lane / mlx_msl::simd_width;
    uint16_t me = atomic ? uint16_t(atomics | simdgroup) : uint16_t(lane);
    // Padding of a struct is copied although nobody writes it, so of a long read one written byte is enough.
    size_t fresh = 0;
    for (size_t i = offset; reads && i < offset + bytes; ++i) fresh += cells_[i].written.epoch < first_epoch_;
    if (bytes <= 8 ? fresh > 0 : fresh == bytes) {
      return "reads threadgroup memory that no thread of the threadgroup has written";
    }
    for (size_t i = offset; i < offset + bytes; ++i) {
      Cell& cell = cells_[i];
      if (conflict(cell.written, me, simdgroup)) return race("wrote", cell.written.who);
      if (writes && conflict(cell.read, me, simdgroup)) return race("read", cell.read.who);
      if (reads && !atomic) note(cell.read, me, simdgroup);
      if (writes) note(cell.written, me, simdgroup);
    }
    return std::nullopt;
  }

 private:
  // `who` is a lane, or one of these with a simdgroup in its lower bits, or all of the bits for several simdgroups.
  static constexpr uint16_t several = 0x8000, atomics = 0xc000, simdgroups = 0x3f;
  struct Touch {
    uint32_t epoch = 0; // counts barriers of threadgroups
    uint16_t step = 0;  // counts barriers of the simdgroup
    uint16_t who = 0;
  };
  struct Cell {
    Touch written, read;
  };

  static unsigned simdgroup_of(uint16_t who) { return who < several ? who / mlx_msl::simd_width : who & simdgroups; }
  bool conflict(const Touch& touch, uint16_t me, unsigned simdgroup) const {
    if (touch.epoch != epoch_ || touch.who == me) return false;
    if (me >= atomics && touch.who >= atomics) return false;
    return simdgroup_of(touch.who) != simdgroup || touch.step == steps_[simdgroup];
  }
  void note(Touch& touch, uint16_t me, unsigned simdgroup) {
    uint16_t step = steps_[simdgroup];
    if (touch.epoch == epoch_ && touch.who != me) {
      if (simdgroup_of(touch.who) != simdgroup) {
        me = (me & atomics) | simdgroups | several;
      } else if (touch.step == step) {
        me = (me & atomics) | several | simdgroup;
      }
    }
    touch = {epoch_, step, me};
  }
  static std::string race(const char* what, uint16_t who) {
    std::string other = who < several ? "thread " + std::to_string(who) : "another thread";
    return "touches threadgroup memory that " + other + " of the threadgroup " + what +
        ", with no barrier for threadgroup memory between";
  }

  std::vector<Cell> cells_;
  uint32_t epoch_ = 0, first_epoch_ = 0;
  uint16_t steps_[mlx_msl::simd_width] = {};
};

} // namespace mlx::core::metal_emulator
