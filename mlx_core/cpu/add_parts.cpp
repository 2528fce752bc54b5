// Parts of an array added up: a block of the result gets its share of each part while it is in cache.
#include "mlx_core/cpu/add_parts.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

// Elements.
constexpr int64_t most_at_once = 2048, most_by_lines = 16 * 1024, parallel_work = 64 * 1024, shortest_line = 64;

// Merges the last axis into the one before wherever all parts take the whole of it; two remain.
void merge_axes(std::vector<AddedPart>& parts, Sizes& sizes) {
  while (sizes.size() > 2) {
    size_t last = sizes.size() - 1;
    bool all = std::all_of(parts.begin(), parts.end(), [&](const AddedPart& p) {
      int64_t count = p.end[last - 1] - p.first[last - 1];
      return p.first[last] == 0 && p.end[last] == sizes[last] &&
             (count == 1 || p.strides[last - 1] == p.strides[last] * sizes[last]);
    });
    if (!all) {
      return;
    }
    for (AddedPart& p : parts) {
      p.first[last - 1] *= sizes[last];
      p.end[last - 1] *= sizes[last];
      p.strides[last - 1] = p.strides[last];
      p.first.pop_back(), p.end.pop_back(), p.strides.pop_back();
    }
    sizes[last - 1] *= sizes[last];
    sizes.pop_back();
  }
}

// Over two axes or more. A block is some lines of the last axis, or a piece of a long one.
class Adder {
 public:
  Adder(Dtype dtype, std::span<const AddedPart> parts, std::span<const int64_t> sizes, void* out)
      : parts_(parts),
        sizes_(sizes),
        length_(sizes.back()),
        lines_(sizes[sizes.size() - 2]),
        out_(static_cast<char*>(out)),
        size_(dtype.size()),
        adders_(find_line_adders(dtype)),
        add_(find_kernel(Body::add, dtype)),
        subtract_(find_kernel(Body::subtract, dtype)),
        multiply_(find_kernel(Body::zero_times, dtype)),
        starts_at_(sizes.size(), 0),
        ends_at_(sizes.begin(), sizes.end()),
        at_once_{std::clamp<int64_t>(most_at_once / length_, 1, lines_), std::min(length_, most_at_once)} {
    negative_zero_[size_ - 1] = negative_zero_[(dtype.is_complex() ? size_ / 2 : size_) - 1] = '\x80';
    for (const AddedPart& p : parts) {
      for (size_t d = 0; d < sizes.size() && p.pads; ++d) {
        starts_at_[d] = std::max(starts_at_[d], p.first[d]);
        ends_at_[d] = std::min(ends_at_[d], p.end[d]);
      }
    }
    by_lines_ = adders_.together && length_ >= shortest_line &&
                std::all_of(parts.begin(), parts.end(), [](const AddedPart& p) { return p.strides.back() == 1; });
    if (by_lines_) {
      int64_t all_lines = 1;
      for (int64_t length : sizes.first(sizes.size() - 1)) all_lines *= length;
      at_once_[0] =
          std::clamp<int64_t>(std::min(most_by_lines / at_once_[1], all_lines / (4 * thread_count())), 1, lines_);
    }
  }

  int64_t blocks() const {
    int64_t count = ceil_div(lines_, at_once_[0]) * ceil_div(length_, at_once_[1]);
    for (int64_t length : sizes_.first(sizes_.size() - 2)) {
      count *= length;
    }
    return count;
  }

  void run(int64_t begin, int64_t end) const {
    auto bytes = static_cast<size_t>(at_once_[1] * size_);
    std::vector<char> scratch(bytes * 2), factors; // a line of a part; its product
    std::vector<const char*> factor_of(parts_.size());
    factors.resize(adders_.each ? 0 : bytes * parts_.size());
    for (size_t k = 0; k < parts_.size() && !adders_.each; ++k) {
      if (parts_[k].factor) {
        factor_of[k] = factors.data() + k * bytes;
        find_spread(size_)(factors.data() + k * bytes, parts_[k].factor, at_once_[1]);
      }
    }
    for (int64_t number = begin; number < end; ++number) {
      const Block block = block_of(number);
      if (by_lines_) {
        several_lines(block, scratch.data());
      } else {
        one_by_one(block, factor_of.data(), scratch.data());
      }
    }
  }

 private:
  struct Block {
    Sizes first, end; // along every axis
    char* out;
  };

  Block block_of(int64_t number) const {
    size_t rank = sizes_.size();
    Block block{Sizes(rank, 0), Sizes(rank, 0), out_};
    for (size_t d = rank; d-- > 0;) {
      int64_t each = d + 2 < rank ? 1 : at_once_[d + 2 - rank], count = ceil_div(sizes_[d], each);
      block.first[d] = number % count * each;
      block.end[d] = std::min(block.first[d] + each, sizes_[d]);
      number /= count;
    }
    int64_t offset = 0;
    for (size_t d = 0; d < rank; ++d) {
      offset = offset * sizes_[d] + block.first[d];
    }
    block.out += offset * size_;
    return block;
  }

  void one_by_one(const Block& block, const char* const* factor_of, char* scratch) const {
    clear(block);
    for (size_t k = 0; k < parts_.size(); ++k) {
      add(block, parts_[k], factor_of ? factor_of[k] : nullptr, scratch);
    }
  }

  // Lines that have the same parts: in registers, where most of a line is where all of these are.
  void several_lines(Block block, char* scratch) const {
    constexpr int64_t most_else = 64; // elements
    const size_t last = sizes_.size() - 1, of_lines = last - 1;
    const int64_t begin = block.first[last], n = block.end[last] - begin, end = block.end[of_lines];
    auto has_block = [&](const Sizes& from, const Sizes& to) {
      bool all = true;
      for (size_t d = 0; d < of_lines; ++d) all = all && block.first[d] >= from[d] && block.first[d] < to[d];
      return all;
    };
    auto of_line = [=](int64_t from, int64_t to) {
      return Between{std::max<int64_t>(from - begin, 0), std::min(to - begin, n)};
    };
    std::vector<AddedLines> terms(parts_.size());
    while (block.first[of_lines] < end) {
      const int64_t line = block.first[of_lines];
      int64_t next = end, low = 0, high = n;
      auto has = [&](const Sizes& from, const Sizes& to) { // and up to where that changes
        if (!has_block(from, to)) return false;
        const bool is_there = line >= from[of_lines] && line < to[of_lines];
        if (line < from[of_lines]) next = std::min(next, from[of_lines]);
        if (is_there) next = std::min(next, to[of_lines]);
        return is_there;
      };
      size_t count = 0;
      for (const AddedPart& p : parts_) {
        if (!has(p.first, p.end)) continue;
        int64_t offset = begin - p.first[last];
        for (size_t d = 0; d < last; ++d) offset += (block.first[d] - p.first[d]) * p.strides[d];
        const Between between = of_line(p.first[last], p.end[last]);
        terms[count++] = {p.data + offset * size_, p.strides[of_lines], p.factor, p.subtracts, between};
        low = std::max(low, between.first), high = std::min(high, between.end);
      }
      const Between negative = has(starts_at_, ends_at_) ? of_line(starts_at_[last], ends_at_[last]) : Between{};
      const std::span all = std::span(terms).first(count);
      if (n - (high - low) <= most_else) {
        adders_.together(block.out, length_, negative, all.data(), static_cast<int64_t>(count), next - line, n);
      } else if (!by_pieces(block.out, all, negative, next - line, n)) {
        next = line + 1; // what is added one by one stays in the first-level cache
        block.end[of_lines] = next;
        one_by_one(block, nullptr, scratch);
      }
      block.out += (next - line) * length_ * size_;
      block.first[of_lines] = next;
    }
  }

  // The same of lines of which parts have long pieces, as every other pixel. False where they are short.
  bool by_pieces(
      char* out, std::span<const AddedLines> terms, const Between& negative, int64_t lines, int64_t n) const {
    constexpr int64_t long_enough = 16; // elements
    std::vector<int64_t> cuts{0, n};
    auto cut_at = [&](const Between& has) {
      if (has.first < has.end) cuts.insert(cuts.end(), {has.first, has.end});
    };
    cut_at(negative);
    for (const AddedLines& of : terms) cut_at(of.has);
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    if (n < long_enough * static_cast<int64_t>(cuts.size() - 1)) {
      return false;
    }
    std::vector<AddedLines> here(terms.size());
    for (size_t k = 0; k + 1 < cuts.size(); ++k) {
      const int64_t from = cuts[k], length = cuts[k + 1] - from;
      auto has_it = [=](const Between& has) { return has.first <= from && from < has.end; };
      int64_t count = 0;
      for (const AddedLines& of : terms) {
        if (has_it(of.has)) {
          const char* term = static_cast<const char*>(of.term) + from * size_;
          here[static_cast<size_t>(count++)] = {term, of.apart, of.factor, of.subtracts, {0, length}};
        }
      }
      adders_.together(out + from * size_, length_, has_it(negative) ? Between{0, length} : Between{}, here.data(),
          count, lines, length);
    }
    return true;
  }

  // What the sum begins with: -0 where all are added, which makes nothing else of the first, and 0 elsewhere.
  void clear(const Block& block) const {
    size_t last = sizes_.size() - 1;
    int64_t n = block.end[last] - block.first[last];
    std::memset(block.out, 0, static_cast<size_t>((block.end[last - 1] - block.first[last - 1]) * n * size_));
    within(block, starts_at_, ends_at_, [&](char* sum, int64_t, int64_t, int64_t lines, int64_t width) {
      for (int64_t i = 0; i < lines; ++i, sum += length_ * size_) {
        find_spread(size_)(sum, negative_zero_, width);
      }
    });
  }

  // Calls f with where the block's elements of a box begin, what place in the box's last two axes that is, and how many
  // lines and elements of each these are; of none it does not.
  template <typename F>
  void within(const Block& block, const Sizes& first, const Sizes& end, F&& f) const {
    size_t last = sizes_.size() - 1;
    for (size_t d = 0; d + 1 < last; ++d) {
      if (block.first[d] < first[d] || block.first[d] >= end[d]) {
        return;
      }
    }
    int64_t line = std::max(block.first[last - 1], first[last - 1]), low = std::max(block.first[last], first[last]);
    int64_t lines = std::min(block.end[last - 1], end[last - 1]) - line, n = std::min(block.end[last], end[last]) - low;
    if (lines > 0 && n > 0) {
      int64_t offset = (line - block.first[last - 1]) * length_ + low - block.first[last];
      f(block.out + offset * size_, line - first[last - 1], low - first[last], lines, n);
    }
  }

  void add(const Block& block, const AddedPart& p, const char* factor, char* scratch) const {
    size_t last = sizes_.size() - 1;
    within(block, p.first, p.end, [&](char* sum, int64_t line, int64_t low, int64_t lines, int64_t n) {
      int64_t offset = line * p.strides[last - 1] + low * p.strides[last];
      for (size_t d = 0; d + 1 < last; ++d) {
        offset += (block.first[d] - p.first[d]) * p.strides[d];
      }
      const char* term = p.data + offset * size_;
      if (adders_.each && p.strides[last] == 1) {
        return adders_.each(sum, length_, term, p.strides[last - 1], p.factor, lines, n, p.subtracts);
      }
      for (int64_t i = 0; i < lines; ++i, sum += length_ * size_, term += p.strides[last - 1] * size_) {
        add_line(p, term, factor, sum, n, scratch);
      }
    });
  }

  void add_line(const AddedPart& p, const char* term, const char* factor, char* sum, int64_t n, char* scratch) const {
    char* product = scratch + at_once_[1] * size_;
    if (int64_t stride = p.strides.back(); stride != 1) {
      copy_line(term, stride * size_, scratch, size_, n, size_);
      term = scratch;
    }
    if (adders_.each) {
      return adders_.each(sum, n, term, n, p.factor, 1, n, p.subtracts);
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
  int64_t length_, lines_; // of the last axis, and along the one before
  char* out_;
  int size_;          // of an element
  LineAdders adders_; // or, for other dtypes:
  Kernel add_, subtract_, multiply_;
  Sizes starts_at_, ends_at_; // the box of what all parts that pad have
  int64_t at_once_[2];        // lines, elements of a line
  bool by_lines_ = false;     // whether several of them are added in registers
  char negative_zero_[16] = {};
};

} // namespace

void add_parts(Dtype dtype, std::vector<AddedPart> parts, Sizes sizes, void* out) {
  while (sizes.size() < 2) {
    sizes.insert(sizes.begin(), 1);
    for (AddedPart& p : parts) {
      p.first.insert(p.first.begin(), 0), p.end.insert(p.end.begin(), 1), p.strides.insert(p.strides.begin(), 0);
    }
  }
  merge_axes(parts, sizes);
  auto work = static_cast<int64_t>(parts.size());
  for (int64_t length : sizes) {
    work *= length;
  }
  if (work == 0) {
    return;
  }
  Adder adder(dtype, parts, sizes, out);
  int64_t blocks = adder.blocks(), chunks = work < parallel_work ? 1 : std::min<int64_t>(blocks, 8 * thread_count());
  parallel_for(chunks, [&](int64_t c) { adder.run(blocks * c / chunks, blocks * (c + 1) / chunks); });
}

} // namespace mlx::core::cpu
