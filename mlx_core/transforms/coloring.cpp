// Greedy colourings.
#include "mlx_core/transforms/coloring.h"

#include <algorithm>
#include <numeric>

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

// Steps of color_symmetric: for each column, the rows of the neighbours of its neighbours.
double star_work(const Pattern& pattern) {
  std::vector<double> degree, second(static_cast<size_t>(pattern.rows()));
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    degree.push_back(static_cast<double>(pattern.row(i).size()));
  }
  double work = 0;
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    for (int32_t j : pattern.row(i)) {
      second[static_cast<size_t>(i)] += degree[static_cast<size_t>(j)];
    }
  }
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    for (int32_t j : pattern.row(i)) {
      work += second[static_cast<size_t>(j)];
    }
  }
  return work;
}

// Forbids the colours that would make a path of four columns with two colours through `column`.
void forbid_paths(const Pattern& pattern, int32_t column, Palette& palette) {
  for (int32_t w : pattern.row(column)) {
    if (w == column) {
      continue;
    }
    palette.forbid(palette.of(w), column);
    for (int32_t x : pattern.row(w)) {
      if (x == w || x == column || !palette.colored(x)) {
        continue;
      }
      if (!palette.colored(w)) {
        palette.forbid(palette.of(x), column);
        continue;
      }
      for (int32_t y : pattern.row(x)) {
        if (y != x && y != w && palette.of(y) == palette.of(w)) {
          palette.forbid(palette.of(x), column);
          break;
        }
      }
    }
  }
}

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
  constexpr double affordable = 3e8;
  if (star_work(pattern) > affordable) {
    return color_columns(pattern);
  }
  // Columns with many neighbours first: the hub of a star costs one colour then, not one for each neighbour.
  std::vector<int32_t> order(static_cast<size_t>(pattern.column_count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(
      order.begin(), order.end(), [&](int32_t a, int32_t b) { return pattern.row(a).size() > pattern.row(b).size(); });
  Palette palette(pattern.column_count);
  for (int32_t column : order) {
    forbid_paths(pattern, column, palette);
    palette.choose(column);
  }
  return palette.take();
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
