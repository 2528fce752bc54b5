// Computing few elements without a plan: the kernels of single operations, and memory for what lies between them.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/cpu/elementwise.h"

namespace mlx::core {

constexpr int64_t most_small = 128; // elements

// Values of a group while it is computed, in memory that each thread keeps.
class SmallValues {
 public:
  static constexpr int64_t vector_elements = 16; // scratch is computed in whole vectors, up to a multiple of that
  static int64_t padded(int64_t elements) { return (elements + vector_elements - 1) & -vector_elements; }

  // Of a value of so many elements.
  static int64_t bytes_of(int64_t elements, int item_size) { return (padded(elements) * item_size + 63) & -64; }

  // For values of so many bytes together.
  void begin(int64_t bytes) {
    auto needed = static_cast<size_t>(bytes);
    if (needed > size_) {
      memory_.reset(static_cast<char*>(std::aligned_alloc(64, needed)));
      size_ = memory_ ? needed : 0;
      if (!memory_) {
        throw std::bad_alloc();
      }
      std::memset(memory_.get(), 0, needed);
    }
    next_ = memory_.get();
  }
  char* next() const { return next_; } // what take() gives
  char* take(int64_t elements, int item_size) { return std::exchange(next_, next_ + bytes_of(elements, item_size)); }

  struct Place {
    const char* at;
    bool is_scratch;
  };
  std::vector<Place> places; // of sources, then of members

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> memory_;
  size_t size_ = 0;
  char* next_ = nullptr;
};

SmallValues& small_values(); // of this thread

// What computes a member; null where there is nothing.
struct Way {
  cpu::Kernel kernel;
  bool copies; // what only passes its operand on
};
Way way_of(const cpu::KernelTable& table, Node* node);

// Where an available node's elements are for each element of a space: its own memory, or scratch.
SmallValues::Place place_of(const Node* node, const Shape& space, int64_t size, char* scratch);

} // namespace mlx::core
