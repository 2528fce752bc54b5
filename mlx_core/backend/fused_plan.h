// A fused plan: elementwise steps over one iteration space, and reductions of its rows, which later steps may read. It
// holds neither pointers nor kernels: each device makes of it what it can run.
//
// The space is `size` elements in row-major order; its rows, where anything is reduced, are `row_length` consecutive
// ones. A slot is a value: a source, or what a step or fold gives. It has an element for each of the space, or one for
// each row (`of_rows`), which counts for all elements of the row. Stages come one after another: softmax is
//   stage 0: fold max of x; stage 1: steps x - max, exp of it, fold sum; stage 2: step exp / sum.
// Every device computes a stage for some rows, then the next; values between steps round to their dtype.
//
// Or what is reduced are other axes than the last: then there are no rows and one stage, and nobody reads the folds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "mlx_core/backend/body.h"
#include "mlx_core/shape.h"

namespace mlx::core {

struct FusedPlan {
  enum class Layout : uint8_t {
    flat,    // an element for each of the space, row-major
    scalar,  // one element
    rows,    // an element for each row, consecutive
    strided, // at `strides`, over `sizes`: the space with neighbouring axes merged
    pieces,  // put together of several arrays, over `sizes`; the host only
  };
  // A box of such a source: along each axis of `sizes`, element i is its element first + i * step.
  struct Piece {
    uint16_t view; // of the request's sources: those of the slots first
    Sizes first, count;
    Strides steps, strides; // apart in the space, at least 1; in memory
    int64_t offset;         // where its first element is: so many elements behind the view's
    bool operator==(const Piece&) const = default;
  };
  // The space's axes where others than the last ones are reduced: every second one, of those that are longer than 1,
  // with neighbours merged that both are reduced or both are not.
  struct Columns {
    Sizes lengths; // empty: there is no such thing
    bool first_is_reduced = false;

    // One axis more on the inside; not of length 1.
    void add(int64_t length, bool reduced) {
      if (!any()) {
        first_is_reduced = reduced;
      }
      if (any() && is_reduced(lengths.size() - 1) == reduced) {
        lengths.back() *= length;
      } else {
        lengths.push_back(length);
      }
    }
    bool any() const { return !lengths.empty(); }
    bool is_reduced(size_t axis) const { return (axis % 2 == 0) == first_is_reduced; }
    // Whether the last axis is reduced and not of a few elements that a vector has side by side.
    bool are_gathered() const {
      constexpr int64_t most_adjacent = 16;
      int64_t last = lengths.back();
      return is_reduced(lengths.size() - 1) && (last > most_adjacent || (last & (last - 1)) != 0);
    }
    // Whether the middle one of three axes is reduced, and so few rows are that those of several results go together.
    bool are_small_groups() const {
      constexpr int64_t many = 256, most = 1024; // elements
      if (lengths.size() != 3 || first_is_reduced) {
        return false;
      }
      int64_t group = lengths[1] * lengths[2];
      return group <= most && (group >= many || go_by_levels(lengths[1], lengths[2]));
    }
    int64_t kept() const {
      int64_t count = 1;
      for (size_t i = 0; i < lengths.size(); ++i) {
        count *= is_reduced(i) ? 1 : lengths[i];
      }
      return count;
    }
    bool operator==(const Columns&) const = default;
  };
  struct Source {
    Layout layout;
    Sizes sizes;               // strided and pieces only
    Strides strides;           // strided only
    std::vector<Piece> pieces; // each lies over those before it, which together are all there is

    // Of one that is strided, with the axes along which it is broadcast as those that are reduced; none where no axis
    // is.
    Columns broadcast_axes() const {
      Columns axes;
      if (layout == Layout::strided && std::find(strides.begin(), strides.end(), 0) != strides.end()) {
        for (size_t d = 0; d < sizes.size(); ++d) {
          axes.add(sizes[d], strides[d] == 0);
        }
      }
      return axes;
    }
    // Whether it is one element for all of a line.
    bool is_one_of_line() const { return layout == Layout::strided && !sizes.empty() && strides.back() == 0; }
    // Whether it is one array, whose lines are runs of memory, with one element around it: what is padded, and most
    // cotangents of slices.
    bool is_padded() const {
      bool is = pieces.size() == 2 && pieces[1].count.back() > 0 &&
                (pieces[1].strides.back() == 1 || pieces[1].strides.back() == 0);
      for (size_t d = 0; is && d < sizes.size(); ++d) {
        const Piece& around = pieces[0];
        is = around.count[d] == sizes[d] && (around.strides[d] == 0 || sizes[d] == 1) && pieces[1].steps[d] == 1;
      }
      return is;
    }
    bool operator==(const Source&) const = default;
  };
  struct Step {
    Body body;
    Dtype from, to; // the last input's, the output's
    uint16_t inputs[3];
    uint8_t input_count;
    uint16_t output;
    bool operator==(const Step&) const = default;
  };
  // One value for each row, or for each element of the axes that are kept, with the tree of the unfused reduction.
  struct Fold {
    Reduction op;
    Dtype from; // the input's
    uint16_t input, output;
    bool operator==(const Fold&) const = default;
  };
  // Elements that leave gaps: lines of so many that follow one another, each so far from the one before; and where
  // every so many of these end a block, the blocks so far from each other. The host only.
  struct Lines {
    int64_t length = 0, apart = 0; // length 0: there are no gaps
    int64_t in_block = 0, blocks_apart = 0;
    // Where a line begins.
    int64_t start(int64_t number) const {
      return in_block == 0 ? number * apart : number / in_block * blocks_apart + number % in_block * apart;
    }
    // How many lines, from this one on, are equally far from each other.
    int64_t left(int64_t number, int64_t most) const {
      return in_block == 0 ? most : std::min(most, in_block - number % in_block);
    }
    bool operator==(const Lines&) const = default;
  };
  struct Slot {
    Dtype dtype;
    bool of_rows = false; // or what a fold over other axes gives
    int16_t output = -1;  // which output of the request it fills; -1: none, it is scratch
    Lines lines;          // of an output that leaves gaps
    bool operator==(const Slot&) const = default;
  };
  // Where its parts of the lists end; they begin where those of the stage before end.
  struct Stage {
    uint32_t row_steps, steps, folds; // done in this order
    bool operator==(const Stage&) const = default;
  };

  int64_t size = 0;
  int64_t row_length = 0; // 0: nothing concerns rows
  Columns columns;
  std::vector<Slot> slots; // those of the sources first, in their order
  std::vector<Source> sources;
  std::vector<Step> row_steps; // on slots of_rows and scalars
  std::vector<Step> steps;
  std::vector<Fold> folds;
  std::vector<Stage> stages;

  // Where the parts of a stage begin in the lists.
  Stage begin_of(size_t stage) const { return stage == 0 ? Stage{} : stages[stage - 1]; }
  int64_t rows() const { return row_length ? size / row_length : 0; }
  void clear() {
    size = row_length = 0;
    columns.lengths.clear();
    slots.clear();
    sources.clear();
    row_steps.clear();
    steps.clear();
    folds.clear();
    stages.clear();
  }
};

} // namespace mlx::core
