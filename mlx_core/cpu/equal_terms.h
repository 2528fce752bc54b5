// Reductions of equal elements, as along an axis that is broadcast: the tree of reduce.cpp, each of its nodes that has
// the same terms as another done once.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/reduce_kernels.h"

namespace mlx::core::cpu {

// The tree of n >= 1 equal elements. Its values are numbered as they are computed: the element is number 0, then comes
// what each of the steps gives.
class EqualTree {
 public:
  static constexpr int32_t element = -1;
  struct Step {
    int32_t left, right; // joined; or the element, which is accumulated to the left
  };
  // So many neighbours that are equal.
  struct Run {
    int64_t length;
    int32_t value;
  };

  EqualTree(int64_t n, int64_t lanes);
  std::vector<Step> steps;
  int32_t result;
  int32_t values() const { return static_cast<int32_t>(steps.size()) + 1; }

 private:
  int32_t given(int32_t left, int32_t right);
  int32_t lane(int64_t elements);
  int32_t block(int64_t n, int64_t lanes);
  int32_t fold(std::vector<Run> runs);

  std::map<std::pair<int32_t, int32_t>, int32_t> known_;
};

// out[i] = the reduction of n >= 1 elements that are all the i-th of the layout, in row-major order. Parallel when
// large.
void reduce_equal(const ReduceKernels& kernels, int in_size, int out_size, const void* in, Ints shape, Ints strides,
    int64_t n, void* out);

} // namespace mlx::core::cpu
