// Which nodes of a reduction's tree are equal when its elements are, and computing each once.
#include "mlx_core/cpu/equal_terms.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>
#include <vector>

#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t strip_bytes = 1 << 10; // of partials: those of all nodes stay in cache
constexpr int64_t task_elements = 1 << 13;

struct alignas(64) Wide {
  char bytes[64];
};

} // namespace

EqualTree::EqualTree(int64_t n, int64_t lanes) {
  int64_t whole = n / reduce_block, rest = n % reduce_block;
  std::vector<Run> blocks;
  if (whole > 0) {
    blocks.push_back({whole, block(reduce_block, lanes)});
  }
  if (rest > 0) {
    blocks.push_back({1, block(rest, lanes)});
  }
  result = fold(std::move(blocks));
}

int32_t EqualTree::given(int32_t left, int32_t right) {
  auto [at, is_new] = known_.try_emplace({left, right}, values());
  if (is_new) {
    steps.push_back({left, right});
  }
  return at->second;
}

int32_t EqualTree::lane(int64_t elements) {
  int32_t value = 0;
  for (int64_t i = 1; i < elements; ++i) {
    value = given(value, element);
  }
  return value;
}

int32_t EqualTree::block(int64_t n, int64_t lanes) {
  int64_t longer = n % lanes, shortest = n / lanes;
  std::vector<Run> runs;
  if (longer > 0) {
    runs.push_back({longer, lane(shortest + 1)});
  }
  if (shortest > 0) {
    runs.push_back({lanes - longer, lane(shortest)});
  }
  return fold(std::move(runs));
}

// As fold() of reduce_kernels.h does: i with i + half, until one is left.
int32_t EqualTree::fold(std::vector<Run> runs) {
  int64_t count = 0;
  for (const Run& run : runs) {
    count += run.length;
  }
  while (count > 1) {
    auto half = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count)) / 2);
    std::vector<Run> joined;
    size_t left = 0, right = 0;
    int64_t in_left = 0, in_right = half; // of the run
    while (in_right >= runs[right].length) {
      in_right -= runs[right++].length;
    }
    for (int64_t i = 0, length; i < half; i += length) {
      bool has_right = i < count - half;
      length = std::min(runs[left].length - in_left, has_right ? count - half - i : half - i);
      length = has_right ? std::min(length, runs[right].length - in_right) : length;
      int32_t value = has_right ? given(runs[left].value, runs[right].value) : runs[left].value;
      if (!joined.empty() && joined.back().value == value) {
        joined.back().length += length;
      } else {
        joined.push_back({length, value});
      }
      if ((in_left += length) == runs[left].length) {
        ++left, in_left = 0;
      }
      if (has_right && (in_right += length) == runs[right].length) {
        ++right, in_right = 0;
      }
    }
    runs = std::move(joined);
    count = half;
  }
  return runs[0].value;
}

void reduce_equal(
    const ReduceKernels& k, int in_size, int out_size, const void* in, Ints shape, Ints strides, int64_t n, void* out) {
  EqualTree tree(n, k.lanes);
  int64_t kept = 1;
  for (int64_t length : shape) {
    kept *= length;
  }
  auto strips = [&](int64_t first, int64_t last) {
    int64_t width = std::min(strip_bytes / k.partial_size, last - first);
    int64_t apart = width * k.partial_size / static_cast<int64_t>(sizeof(Wide)) + 1;
    std::unique_ptr<Wide[]> memory(new Wide[static_cast<size_t>(apart * tree.values())]);
    std::unique_ptr<Wide[]> elements(new Wide[static_cast<size_t>(width * in_size) / sizeof(Wide) + 1]);
    auto value = [&](int32_t number) { return memory[static_cast<size_t>(number * apart)].bytes; };
    for (int64_t i = first, count; i < last; i += count) {
      count = std::min(width, last - i);
      read_strided(in, shape, strides, in_size, i, count, elements.get());
      k.start(elements.get(), count, value(0));
      for (int32_t s = 1; s < tree.values(); ++s) {
        EqualTree::Step step = tree.steps[static_cast<size_t>(s) - 1];
        std::copy_n(value(step.left), count * k.partial_size, value(s));
        if (step.right == EqualTree::element) {
          k.accumulate(elements.get(), count, value(s));
        } else {
          k.combine(value(step.right), count, value(s));
        }
      }
      k.store(value(tree.result), count, static_cast<char*>(out) + i * out_size);
    }
  };
  int64_t tasks = kept * tree.values() / task_elements;
  if (tasks <= 1) {
    return strips(0, kept);
  }
  tasks = std::min(tasks, 4 * int64_t{thread_count()});
  parallel_for(tasks, [&](int64_t t) { strips(kept * t / tasks, kept * (t + 1) / tasks); });
}

} // namespace mlx::core::cpu
