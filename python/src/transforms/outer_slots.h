// Where the arrays around recorded functions are: variables, elements of lists and dicts, attributes. A function may
// put another array there (n = n + 1), which has a value in the recording only.
#pragma once

#include <initializer_list>
#include <vector>

#include "python/src/array/convert.h"

namespace mlx::python {

// A place that held an array before the function ran.
struct OuterSlot {
  nb::object container; // a cell, dict, list, or an object with slots
  nb::object key;       // of a dict
  int64_t index = 0;    // in a list; the offset of a slot
  nb::object before;

  bool operator==(const OuterSlot& other) const {
    return container.is(other.container) && key.is(other.key) && index == other.index;
  }
  nb::object now() const;
  // Does nothing where it is gone.
  void put(nb::handle value) const noexcept;
};

class OuterSlots {
 public:
  // Those that these functions see, and the functions that they see.
  explicit OuterSlots(std::initializer_list<nb::handle> functions);

  // Adds those where a function, whose log is open yet, has put an array of its own like the one before. Whether there
  // were any that are not among `known`.
  bool find(HandleLog& log, std::vector<OuterSlot>& known) const;
  void restore_all() const;

  // While a function runs. Afterwards the known slots have again what was there, and if it failed, so have others where
  // it has put arrays of its own.
  class Run {
   public:
    Run(const OuterSlots& slots, const std::vector<OuterSlot>& known, HandleLog& log)
        : slots_(slots), known_(known), log_(log) {}
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    void done() { done_ = true; }

   private:
    const OuterSlots& slots_;
    const std::vector<OuterSlot>& known_;
    HandleLog& log_;
    bool done_ = false;
  };

 private:
  static constexpr size_t most_places = 2000; // that are looked at, the nearest first
  static bool is_own(HandleLog& log, nb::handle value);

  std::vector<OuterSlot> slots_;
};

} // namespace mlx::python
