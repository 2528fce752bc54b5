// Stacks of small matrices: as many at once as a vector has lanes.
#pragma once

#include <array>

#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/matrix_stack.h"
#include "mlx_core/cpu/small_matrices.h"

namespace mlx::core::cpu {

// Whether a task on such matrices has kernels of its own.
template <typename T>
bool is_small(Int n, Int columns = 1) {
  return std::is_floating_point_v<T> && n > 0 && n <= largest_small && columns > 0 && columns <= largest_small;
}

inline constexpr int64_t most_small_elements = largest_small * largest_small;

// The elements of one group of matrices.
template <typename T>
class Group {
 public:
  static constexpr size_t most_lanes = 64 / sizeof(T);
  explicit Group(int64_t elements) : lanes_(small_kernels<T>().lanes), elements_(elements) {}
  T* data() { return data_; }
  T& at(int64_t element, int64_t lane) { return data_[static_cast<size_t>(element * lanes_ + lane)]; }

  // Matrices [first, first + count) of a stack; the lanes behind them repeat the last one.
  template <typename From>
  void read(const Stack<From>& stack, int64_t first, int64_t count) {
    const int64_t m = stack.rows(), n = stack.columns();
    if (std::is_same_v<From, T> && count == lanes_ && stack.is_dense()) {
      copy_block(stack.at(first), static_cast<int64_t>(sizeof(T)), elements_ * static_cast<int64_t>(sizeof(T)), data(),
          lanes_ * static_cast<int64_t>(sizeof(T)), sizeof(T), elements_, lanes_, sizeof(T));
      return;
    }
    const int64_t down = stack.down(), across = stack.across();
    std::array<const From*, most_lanes> from;
    for (int64_t g = 0; g < count; ++g) from[static_cast<size_t>(g)] = stack.at(first + g);
    for (int64_t row = 0; row < m; ++row) {
      for (int64_t column = 0; column < n; ++column) {
        const int64_t offset = row * down + column * across;
        T* to = &at(row * n + column, 0);
        for (int64_t g = 0; g < count; ++g) to[g] = static_cast<T>(from[static_cast<size_t>(g)][offset]);
        std::fill(to + count, to + lanes_, to[count - 1]);
      }
    }
  }
  // Into consecutive row-major matrices.
  template <typename To>
  void write(const Stack<To>& stack, int64_t first, int64_t count) {
    To* to = stack.at(first);
    if (std::is_same_v<To, T>) {
      copy_block(data(), static_cast<int64_t>(sizeof(T)), lanes_ * static_cast<int64_t>(sizeof(T)), to,
          elements_ * static_cast<int64_t>(sizeof(T)), sizeof(T), count, elements_, sizeof(T));
      return;
    }
    for (int64_t g = 0; g < count; ++g) {
      for (int64_t e = 0; e < elements_; ++e) to[g * elements_ + e] = static_cast<To>(at(e, g));
    }
  }
  // Of each lane, whether all its elements are finite.
  std::array<bool, most_lanes> finite_lanes() {
    std::array<bool, most_lanes> finite;
    finite.fill(true);
    if (any_not_finite(sizeof(T) == 4 ? float32 : float64, elements_ * lanes_, data_)) {
      for (int64_t i = 0; i < elements_ * lanes_; ++i) finite[static_cast<size_t>(i % lanes_)] &= is_finite(data_[i]);
    }
    return finite;
  }
  // Of square matrices.
  std::array<T, most_lanes> largest_column_sums(int64_t n) {
    std::array<T, most_lanes> largest{};
    for (int64_t column = 0; column < n; ++column) {
      std::array<T, most_lanes> sums{};
      for (int64_t row = 0; row < n; ++row) {
        for (int64_t g = 0; g < lanes_; ++g) sums[static_cast<size_t>(g)] += std::abs(at(row * n + column, g));
      }
      for (size_t g = 0; g < most_lanes; ++g) largest[g] = std::max(largest[g], sums[g]);
    }
    return largest;
  }
  void transpose(int64_t n) {
    for (int64_t row = 1; row < n; ++row) {
      for (int64_t column = 0; column < row; ++column) {
        std::swap_ranges(&at(row * n + column, 0), &at(row * n + column, 0) + lanes_, &at(column * n + row, 0));
      }
    }
  }
  void write_identity(int64_t n) {
    std::fill_n(data(), elements_ * lanes_, T(0));
    for (int64_t i = 0; i < n; ++i) std::fill_n(&at(i * n + i, 0), lanes_, T(1));
  }
  void clear_above_diagonal(int64_t n) {
    for (int64_t row = 0; row + 1 < n; ++row) std::fill_n(&at(row * n + row + 1, 0), (n - row - 1) * lanes_, T(0));
  }
  // Leaves the first elements.
  void cut(int64_t elements) { elements_ = elements; }
  void fill(int64_t lane, T value) {
    for (int64_t e = 0; e < elements_; ++e) at(e, lane) = value;
  }

 private:
  int64_t lanes_, elements_;
  alignas(64) T data_[most_small_elements * most_lanes];
};

// Calls body(first, count, failed) for each group of a stack, where failed(lane, info) notes a matrix without a result.
// What a thread does at once is too short to be interrupted.
template <typename T, typename Body, typename Explain>
void for_each_group(const char* op, int64_t count, double cost, Body&& body, Explain&& explain) {
  const int64_t lanes = small_kernels<T>().lanes, groups = (count + lanes - 1) / lanes;
  const auto together =
      static_cast<int64_t>(std::clamp(400000 / ((cost + 200) * static_cast<double>(lanes)), 1.0, 1e6));
  Failures failures(count);
  parallel_for((groups + together - 1) / together, [&](int64_t piece) {
    for (int64_t g = piece * together; g < std::min(groups, (piece + 1) * together); ++g) {
      const int64_t first = g * lanes;
      body(first, std::min(lanes, count - first),
          [&](int64_t lane, int64_t info) { failures.note(first + lane, info); });
    }
  });
  failures.raise(op, explain);
}

} // namespace mlx::core::cpu
