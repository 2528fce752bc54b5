// Products of few rows by few columns with many terms, a vector of blocks of terms at a time: covariances, Gram
// matrices, normal equations.
#pragma once

#include "mlx_core/cpu/gemm_pieces.h"

namespace mlx::core::cpu {

// Whether sum_blocks() is quicker than a tile that reads the terms one after another.
bool takes_blocks(const Product& product);

// The sums of blocks [first, last) of `tile_terms` terms each, with the bits of tiles. Block i's are written to
// sums + i * m * n elements. Returns from which block on there was nothing done: a vector has more blocks than are
// left.
int64_t sum_blocks(const Product& product, int64_t first, int64_t last, void* sums);

// Lane l of a vector is of block l: of all that adds up, terms are added in their order.
struct BlocksOfTerms {
  // Numbers of a term: putting more in order takes longer than what tiles lose. A side that is both counts once.
  static constexpr int64_t most_numbers = 8;
  static constexpr int64_t terms_together = 16; // which are put in order at once: they stay near

  // The terms of one side, `count` for each: `count` lines, each of consecutive terms, or else terms of consecutive
  // numbers without gaps between terms.
  struct Side {
    const void* data;
    int64_t count, line_stride;
    bool by_lines;
  };
  Side a, b;
  bool same; // a and b: the product is symmetric
};
// Of as many blocks as a vector has lanes, to sums[block][row][column].
using SumBlocks = void (*)(const BlocksOfTerms&, void* sums);

} // namespace mlx::core::cpu
