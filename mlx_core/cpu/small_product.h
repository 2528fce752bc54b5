// Products of small matrices, done again and again: where everything is was found out before.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mlx_core/cpu/gemm.h"
#include "mlx_core/cpu/product_kernels.h"

namespace mlx::core::cpu {

// One of matrices in vectors; see tiny_product.cpp.
struct TinyProduct {
  // False where it is to be done otherwise.
  using Way = bool (*)(const TinyProduct& plan, const void* left, const void* right, void* out);
  Way way = nullptr;
  int64_t parts = 1;                         // of a number, which have lanes of their own
  int64_t terms = 0, span_a = 0, span_b = 0; // lanes from the first of what is looked up in a to its last
  int64_t lanes = 0;                         // of a vector
  std::vector<uint32_t> places;              // by vector of the result, and term: of all lanes, in a, then in b
};
// Without a way where there is none. Of `count` neighbours in a batch at once; strides in elements.
TinyProduct tiny_product(Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, int64_t count = 1,
    int64_t a_batch_stride = 0, int64_t b_batch_stride = 0);
// The same without its places: what tells how long it takes.
TinyProduct tiny_form(Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, int64_t count,
    int64_t a_batch_stride, int64_t b_batch_stride);

// With the bits of gemm(): an element is the sum of its terms in their order, whichever body adds them up.
struct SmallProduct {
  const ProductKernels* kernels;
  Dtype dtype;
  int64_t m, n, k;
  Matrix a, b;                                 // without memory
  bool zero_terms;                             // leave_out_zero_terms() follows
  TinyProduct tiny;                            // in place of the kernels
  int64_t batch = 1, a_batch = 0, b_batch = 0; // products, one behind the other in the result; bytes between operands

  void run(const void* left, const void* right, void* out) const;
};

// None where that has other terms or other ways: see gemm(). a and b tell strides only. Unless they fit into vectors,
// b's columns are consecutive. `whole`: both may be read for read_beyond bytes beyond their ends, and the result be
// written for rearranged_padding elements beyond its end.
std::optional<SmallProduct> small_product(
    Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool zero_terms, bool whole);

} // namespace mlx::core::cpu
