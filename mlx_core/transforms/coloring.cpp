// Greedy colourings.
#include "mlx_core/transforms/coloring.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace mlx::core {

namespace {

// The lowest colour that was not forbidden for a column.
class Palette {
 public:
  explicit Palette(int64_t columns) : coloring_{std::vector<int32_t>(static_cast<size_t>(columns), -1), 0} {}

  int32_t of(int32_t column) const { return coloring_.color[static_cast<size_t>(column)]; }
  bool colored(int32_t column) const { return of(column) >= 0; }
  void forbid(int32_t color, int32_t for_column) {
    if (color >= 0) {
      forbidden_[static_cast<size_t>(color)] = for_column;
    }
  }
  void choose(int32_t column) {
    int32_t color = 0;
    while (color < coloring_.count && forbidden_[static_cast<size_t>(color)] == column) {
      ++color;
    }
    if (color == coloring_.count) {
      ++coloring_.count;
      forbidden_.push_back(-1);
    }
    coloring_.color[static_cast<size_t>(column)] = color;
  }
  Coloring take() { return std::move(coloring_); }

 private:
  Coloring coloring_;
  std::vector<int32_t> forbidden_; // by color: the last column it was forbidden for
};

size_t longest_row(const Pattern& pattern) {
  size_t longest = 0;
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    longest = std::max(longest, pattern.row(i).size());
  }
  return longest;
}

Coloring all_different(int64_t columns) {
  Coloring coloring{std::vector<int32_t>(static_cast<size_t>(columns)), static_cast<int32_t>(columns)};
  std::iota(coloring.color.begin(), coloring.color.end(), 0);
  return coloring;
}

// A star colouring under construction. A column w remembers what it forbids to the neighbours that are coloured later:
// while it has no colour, the colours of its neighbours, so that it never lies between two equal ones; and once it has
// one, the colours of those neighbours x that have a second neighbour of w's colour, as v - w - x - y would have two.
class StarColoring {
 public:
  explicit StarColoring(const Pattern& pattern)
      : pattern_(pattern), palette_(pattern.column_count), columns_(static_cast<size_t>(pattern.column_count)) {}

  void color(int32_t v) {
    for (int32_t w : pattern_.row(v)) {
      if (w == v) {
        continue;
      }
      palette_.forbid(palette_.of(w), v);
      const Column& column = columns_[static_cast<size_t>(w)];
      for (int32_t color : palette_.colored(w) ? column.closed : column.seen) {
        palette_.forbid(color, v);
      }
      steps_ += column.closed.size() + column.seen.size() + 1;
    }
    palette_.choose(v);
    for (int32_t x : pattern_.row(v)) {
      if (x != v) {
        join(v, x);
      }
    }
  }

  double steps() const { return static_cast<double>(steps_); }
  Coloring take() { return palette_.take(); }

 private:
  struct Column {
    std::vector<int32_t> seen;   // colours of its neighbours
    std::vector<int32_t> closed; // colours that no further neighbour may have
  };
  // The neighbours of x that have some colour.
  struct Neighbours {
    int32_t first = -1;
    int32_t count = 0;
  };
  Neighbours& neighbours(int32_t x, int32_t color) {
    return of_color_[static_cast<uint64_t>(static_cast<uint32_t>(x)) << 32 | static_cast<uint32_t>(color)];
  }
  void close(int32_t w, int32_t color) {
    std::vector<int32_t>& closed = columns_[static_cast<size_t>(w)].closed;
    if (std::find(closed.begin(), closed.end(), color) == closed.end()) {
      closed.push_back(color);
    }
  }

  // v has just got its colour, and x is its neighbour.
  void join(int32_t v, int32_t x) {
    int32_t color = palette_.of(v);
    Neighbours& like_v = neighbours(x, color);
    if (like_v.count++ == 0) {
      like_v.first = v;
      columns_[static_cast<size_t>(x)].seen.push_back(color);
    }
    if (palette_.colored(x) && like_v.count > 1) { // v - x - first: neither gets another neighbour of x's colour
      close(v, palette_.of(x));
      close(like_v.first, palette_.of(x));
    }
  }

  const Pattern& pattern_;
  Palette palette_;
  std::vector<Column> columns_;
  std::unordered_map<uint64_t, Neighbours> of_color_;
  size_t steps_ = 0;
};

} // namespace

Coloring color_columns(const Pattern& pattern) {
  if (static_cast<int64_t>(longest_row(pattern)) == pattern.column_count) {
    return all_different(pattern.column_count);
  }
  Pattern rows_of = transposed(pattern);
  Palette palette(pattern.column_count);
  for (int32_t column = 0; column < pattern.column_count; ++column) {
    for (int32_t row : rows_of.row(column)) {
      for (int32_t other : pattern.row(row)) {
        palette.forbid(palette.of(other), column);
      }
    }
    palette.choose(column);
  }
  return palette.take();
}

Coloring color_symmetric(const Pattern& pattern) {
  int64_t n = pattern.column_count;
  if (static_cast<int64_t>(pattern.columns.size()) == n * n) {
    return all_different(n);
  }
  // Columns with many neighbours first: the hub of a star costs one colour then, not one for each neighbour.
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(
      order.begin(), order.end(), [&](int32_t a, int32_t b) { return pattern.row(a).size() > pattern.row(b).size(); });
  constexpr double affordable = 1e9;
  StarColoring star(pattern);
  for (int32_t column : order) {
    star.color(column);
    if (star.steps() > affordable) { // nearly full: there is little to gain
      return color_columns(pattern);
    }
  }
  return star.take();
}

std::vector<bool> alone_in_row(const Pattern& pattern, const Coloring& coloring) {
  std::vector<int32_t> uses(static_cast<size_t>(coloring.count));
  std::vector<bool> alone;
  alone.reserve(pattern.columns.size());
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    for (int32_t j : pattern.row(i)) {
      ++uses[static_cast<size_t>(coloring.color[static_cast<size_t>(j)])];
    }
    for (int32_t j : pattern.row(i)) {
      alone.push_back(uses[static_cast<size_t>(coloring.color[static_cast<size_t>(j)])] == 1);
    }
    for (int32_t j : pattern.row(i)) {
      uses[static_cast<size_t>(coloring.color[static_cast<size_t>(j)])] = 0;
    }
  }
  return alone;
}

} // namespace mlx::core
