// Parts of an array added up: a piece of a line of the result gets its share of each part while it is in cache.
#include "mlx_core/cpu/add_parts.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t most_at_once = 1024, parallel_work = 64 * 1024; // elements

// Merges the last axis into the one before wherever all parts take the whole of it.
void merge_axes(std::vector<AddedPart>& parts, Sizes& sizes) {
  while (sizes.size() > 1) {
    size_t last = sizes.size() - 1;
    bool all = std::all_of(parts.begin(), parts.end(), [&](const AddedPart& p) {
      return p.count[last] == sizes[last] &&
             (p.count[last - 1] == 1 || p.strides[last - 1] == p.strides[last] * p.count[last]);
    });
    if (!all) {
      return;
    }
    for (AddedPart& p : parts) {
      p.first[last - 1] *= sizes[last];
      p.count[last - 1] *= sizes[last];
      p.strides[last - 1] = p.strides[last];
      p.first.pop_back(), p.count.pop_back(), p.strides.pop_back();
    }
    sizes[last - 1] *= sizes[last];
    sizes.pop_back();
  }
}

class Adder {
 public:
  Adder(Dtype dtype, std::span<const AddedPart> parts, std::span<const int64_t> sizes, void* out)
      : parts_(parts),
        sizes_(sizes),
        out_(static_cast<char*>(out)),
        size_(dtype.size()),
        add_line_(find_add_line(dtype)),
        add_(find_kernel(Body::add, dtype)),
        subtract_(find_kernel(Body::subtract, dtype)),
        multiply_(find_kernel(Body::zero_times, dtype)),
        starts_at_(sizes.size(), 0),
        ends_at_(sizes.begin(), sizes.end()),
        pieces_((sizes.back() + most_at_once - 1) / most_at_once) {
    bool is_complex = dtype.is_complex();
    negative_zero_[size_ - 1] = '\x80';
    negative_zero_[(is_complex ? size_ / 2 : size_) - 1] = '\x80';
    for (const AddedPart& p : parts) {
      for (size_t d = 0; d < sizes.size() && p.pads; ++d) {
        starts_at_[d] = std::max(starts_at_[d], p.first[d]);
        ends_at_[d] = std::min(ends_at_[d], p.first[d] + p.count[d]);
      }
    }
  }

  int64_t units() const {
    int64_t count = pieces_;
    for (size_t d = 0; d + 1 < sizes_.size(); ++d) {
      count *= sizes_[d];
    }
    return count;
  }

  void run(int64_t begin, int64_t end) const {
    auto bytes = static_cast<size_t>(std::min(most_at_once, sizes_.back()) * size_);
    std::vector<char> scratch(bytes * 2), factors; // a line of a part; its product
    std::vector<const char*> factor_of(parts_.size());
    factors.resize(
        add_line_ ? 0 : bytes * static_cast<size_t>(std::count_if(parts_.begin(), parts_.end(), has_factor)));
    char* next = factors.data();
    for (size_t k = 0; k < parts_.size(); ++k) {
      if (parts_[k].factor && !add_line_) {
        auto longest = std::min({most_at_once, sizes_.back(), parts_[k].count.back()});
        find_spread(size_)(next, parts_[k].factor, longest);
        factor_of[k] = std::exchange(next, next + bytes);
      }
    }
    Sizes index(sizes_.size() - 1, 0); // along the other axes
    int64_t line = begin / pieces_;
    for (size_t d = index.size(); d-- > 0; line /= sizes_[d]) {
      index[d] = line % sizes_[d];
    }
    int64_t piece = begin % pieces_;
    for (int64_t unit = begin; unit < end; ++unit) {
      int64_t from = piece * most_at_once, to = std::min(from + most_at_once, sizes_.back());
      char* out = out_ + (unit / pieces_ * sizes_.back() + from) * size_;
      clear(index, from, to, out);
      for (size_t k = 0; k < parts_.size(); ++k) {
        add(parts_[k], factor_of[k], index, from, to, out, scratch.data());
      }
      if (++piece == pieces_) {
        piece = 0;
        for (size_t d = index.size(); d-- > 0 && ++index[d] == sizes_[d];) {
          index[d] = 0;
        }
      }
    }
  }

 private:
  static bool has_factor(const AddedPart& p) { return p.factor != nullptr; }

  // What the sum begins with: -0 where all are added, which makes nothing else of the first, and 0 elsewhere.
  void clear(const Sizes& index, int64_t from, int64_t to, char* out) const {
    int64_t low = std::max(from, starts_at_.back()), high = std::min(to, ends_at_.back());
    bool is_in = low < high;
    for (size_t d = 0; d < index.size(); ++d) {
      is_in = is_in && index[d] >= starts_at_[d] && index[d] < ends_at_[d];
    }
    std::memset(out, 0, static_cast<size_t>((to - from) * size_));
    if (is_in) {
      find_spread(size_)(out + (low - from) * size_, negative_zero_, high - low);
    }
  }

  void add(const AddedPart& p, const char* factor, const Sizes& index, int64_t from, int64_t to, char* out,
      char* scratch) const {
    int64_t low = std::max(from, p.first.back()), high = std::min(to, p.first.back() + p.count.back());
    int64_t n = high - low, stride = p.strides.back();
    if (n <= 0) {
      return;
    }
    int64_t offset = (low - p.first.back()) * stride;
    for (size_t d = 0; d < index.size(); ++d) {
      int64_t at = index[d] - p.first[d];
      if (at < 0 || at >= p.count[d]) {
        return;
      }
      offset += at * p.strides[d];
    }
    const char* term = p.data + offset * size_;
    char* sum = out + (low - from) * size_;
    char* product = scratch + std::min(most_at_once, sizes_.back()) * size_;
    if (stride != 1) {
      copy_line(term, stride * size_, scratch, size_, n, size_);
      term = scratch;
    }
    if (add_line_) {
      return add_line_(sum, term, p.factor, n, p.subtracts);
    }
    if (factor) {
      const void* factors[] = {term, factor};
      multiply_(factors, product, n);
      term = product;
    }
    const void* terms[] = {sum, term};
    (p.subtracts ? subtract_ : add_)(terms, sum, n);
  }

  std::span<const AddedPart> parts_;
  std::span<const int64_t> sizes_;
  char* out_;
  int size_;         // of an element
  AddLine add_line_; // or, for other dtypes:
  Kernel add_, subtract_, multiply_;
  Sizes starts_at_, ends_at_; // the box of what all parts that pad have
  int64_t pieces_;            // of a line
  char negative_zero_[16] = {};
};

} // namespace

void add_parts(Dtype dtype, std::vector<AddedPart> parts, Sizes sizes, void* out) {
  if (sizes.empty()) {
    sizes.push_back(1);
    for (AddedPart& p : parts) {
      p.first.push_back(0), p.count.push_back(1), p.strides.push_back(1);
    }
  }
  merge_axes(parts, sizes);
  int64_t work = static_cast<int64_t>(parts.size());
  for (int64_t length : sizes) {
    work *= length;
  }
  if (work == 0) {
    return;
  }
  Adder adder(dtype, parts, sizes, out);
  int64_t units = adder.units(), chunks = work < parallel_work ? 1 : std::min<int64_t>(units, 8 * thread_count());
  parallel_for(chunks, [&](int64_t c) { adder.run(units * c / chunks, units * (c + 1) / chunks); });
}

} // namespace mlx::core::cpu
