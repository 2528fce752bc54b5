// Which transform frames are open, and what is being recorded: what evaluation needs to know of transforms.
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>

#include "mlx_core/array.h"

namespace mlx::core {

// Frames get increasing ids. A node's level is the id of the innermost frame it depends on (0: none).
namespace detail {
extern std::atomic<uint64_t> oldest_open_frame; // of all threads; max when none is open
}

// While it lives, nodes made on this thread get at least this level, also those that depend on no frame: what a
// function makes can be told from what it finds.
class LevelFloor {
 public:
  explicit LevelFloor(uint64_t level);
  ~LevelFloor();
  LevelFloor(const LevelFloor&) = delete;
  LevelFloor& operator=(const LevelFloor&) = delete;

 private:
  uint64_t outer_;
};

// Somebody asked for the value of an array that stands for one, in a function that is or was recorded.
class NoValue : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// What a recording is for: a body belongs to one node; a program stands for the function from then on.
enum class Recorded : uint8_t { body, program };

// While it lives, arrays without a value on this thread are those of a function that `op` records: reading one is an
// error of that op.
class RecordingScope {
 public:
  explicit RecordingScope(const char* op, Recorded what = Recorded::body)
      : op_(op), program_(what == Recorded::program || of_program()), outer_(innermost) {
    innermost = this;
  }
  ~RecordingScope() { innermost = outer_; }
  RecordingScope(const RecordingScope&) = delete;
  RecordingScope& operator=(const RecordingScope&) = delete;
  // The innermost op that is recording; null when there is none.
  static const char* op() { return innermost ? innermost->op_ : nullptr; }
  // Whether a program is being recorded, or a body inside of one. A compiled function that is called then is part of
  // that program: it runs, and is not recorded by itself.
  static bool of_program() { return innermost && innermost->program_; }

 private:
  const char* op_;
  bool program_;
  const RecordingScope* outer_;
  static thread_local const RecordingScope* innermost;
};

// A traced node keeps its operands when it is evaluated: an open transform may still walk through it. Nodes of frames
// that closed inside an open one count too.
inline bool is_traced(const Node& node) {
  return node.level >= detail::oldest_open_frame.load(std::memory_order_acquire);
}

} // namespace mlx::core
