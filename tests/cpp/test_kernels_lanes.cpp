// The kernels that run along axes, on the best instruction set of the machine: reductions, the place of an extremum,
// running sums, sorting, moving elements and random bits, each against a plain loop.
#include <algorithm>
#include <numeric>

#include "kernel_grid.h"
#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/order.h"
#include "mlx_core/cpu/random_bits.h"
#include "mlx_core/cpu/reduce.h"
#include "mlx_core/cpu/scan.h"
#include "mlx_core/cpu/sort.h"

using namespace grid;
using mlx::core::Reduction;
using mlx::core::ScanOp;
using Complex = std::complex<long double>;

namespace {

// bool is uint8_t in vectors.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

template <class T>
std::vector<Stored<T>> elements(size_t count, unsigned seed) {
  if constexpr (std::is_same_v<T, bool>) {
    std::vector<uint8_t> values = integers<uint8_t>(count, seed);
    for (uint8_t& value : values) {
      value &= 1;
    }
    values.resize(count);
    return values;
  } else if constexpr (std::is_integral_v<T>) {
    std::vector<T> values = integers<T>(count, seed);
    values.resize(count);
    return values;
  } else if constexpr (cpu::is_complex<T>) {
    using Part = typename T::value_type;
    std::vector<Part> re = draw<Part>(count, -1, 1, seed), im = draw<Part>(count, -1, 1, seed + 1);
    std::vector<T> values;
    for (size_t i = 0; i < count; ++i) {
      values.emplace_back(re[i], im[i]);
    }
    return values;
  } else {
    return draw<T>(count, -2, 2, seed);
  }
}

template <class T>
auto wide(T x) {
  if constexpr (cpu::is_complex<T>) {
    return Complex(x);
  } else if constexpr (std::is_integral_v<T>) {
    return x;
  } else {
    return widen(x);
  }
}
template <class T>
bool first_before(T a, T b) {
  return cpu::before(a, b);
}

// A plain reduction of some elements, and how far a result may be from it.
template <class T>
bool agrees(Reduction op, const std::vector<Stored<T>>& in, Stored<T> got) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<Stored<T>>>;
    U sum = 0, product = 1;
    for (auto x : in) {
      sum += static_cast<U>(x);
      product *= static_cast<U>(x);
    }
    switch (op) {
      case Reduction::sum: return got == static_cast<Stored<T>>(sum);
      case Reduction::prod: return got == static_cast<Stored<T>>(product);
      case Reduction::min: return got == *std::min_element(in.begin(), in.end());
      default: return got == *std::max_element(in.begin(), in.end());
    }
  } else {
    if (op == Reduction::min || op == Reduction::max) {
      auto found = op == Reduction::min ? std::min_element(in.begin(), in.end(), first_before<T>)
                                        : std::max_element(in.begin(), in.end(), first_before<T>);
      return wide(*found) == wide(got);
    }
    auto result = wide(T(op == Reduction::sum ? 0.0f : 1.0f));
    long double size = 0;
    for (const T& x : in) {
      result = op == Reduction::sum ? result + wide(x) : result * wide(x);
      size += std::abs(wide(x));
    }
    int digits = 0;
    if constexpr (cpu::is_complex<T>) {
      digits = std::numeric_limits<typename T::value_type>::digits;
    } else {
      digits = format<T>().digits;
    }
    long double terms = static_cast<long double>(in.size());
    long double scale = op == Reduction::sum ? size : std::abs(result) * terms;
    long double smallest = std::ldexp(1.0L, cpu::is_half<T> && digits == 11 ? -24 : -126); // products underflow
    return std::abs(wide(got) - result) <= 4 * scale * std::ldexp(1.0L, -digits) + smallest;
  }
}

constexpr int64_t lengths[] = {
    1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1023, 1024, 1025, 2049, 5000};

template <class T>
void check_reductions(Dtype dtype) {
  bool ordered = !dtype.is_bool();
  for (Reduction op : {Reduction::sum, Reduction::prod, Reduction::min, Reduction::max}) {
    if (!ordered) {
      continue; // sums promote bools before
    }
    for (int64_t n : lengths) {
      std::string what =
          "reduction " + std::to_string(int(op)) + " of " + std::to_string(n) + " " + grid::name_of(dtype);
      std::vector<Stored<T>> in = elements<T>(static_cast<size_t>(3 * n + 1), 31);
      const int64_t rows[] = {3, n}, row_strides[] = {n, 1}, columns[] = {n, 3}, column_strides[] = {3, 1};
      const int64_t along_rows[] = {1}, along_columns[] = {0};
      std::vector<Stored<T>> by_row(3), by_column(3);
      const auto* from = in.data() + 1; // not aligned
      cpu::reduce(op, dtype, from, rows, row_strides, along_rows, by_row.data());
      cpu::reduce(op, dtype, from, columns, column_strides, along_columns, by_column.data());
      note(what + " rows", by_row);
      note(what + " columns", by_column);
      for (int64_t k = 0; k < 3; ++k) {
        std::vector<Stored<T>> row(from + k * n, from + (k + 1) * n), column;
        for (int64_t i = 0; i < n; ++i) {
          column.push_back(from[i * 3 + k]);
        }
        if (!fail_once(what + " along rows", agrees<T>(op, row, by_row[static_cast<size_t>(k)])) ||
            !fail_once(what + " along columns", agrees<T>(op, column, by_column[static_cast<size_t>(k)]))) {
          return;
        }
      }
    }
  }
  for (int64_t n : lengths) { // all, any, and the place of an extremum
    std::vector<Stored<T>> in = elements<T>(static_cast<size_t>(n), 37);
    const int64_t shape[] = {n}, strides[] = {1}, axes[] = {0};
    auto is_set = [](Stored<T> x) {
      if constexpr (cpu::is_half<T>) {
        return static_cast<float>(x) != 0;
      } else {
        return x != Stored<T>(0);
      }
    };
    uint8_t all = 2, any = 2;
    cpu::reduce(Reduction::all, dtype, in.data(), shape, strides, axes, &all);
    cpu::reduce(Reduction::any, dtype, in.data(), shape, strides, axes, &any);
    CHECK_EQ(all != 0, std::all_of(in.begin(), in.end(), is_set));
    CHECK_EQ(any != 0, std::any_of(in.begin(), in.end(), is_set));
    if (!dtype.is_bool()) {
      uint32_t least = 0, most = 0;
      cpu::arg_reduce(false, dtype, in.data(), shape, strides, 0, &least);
      cpu::arg_reduce(true, dtype, in.data(), shape, strides, 0, &most);
      auto first = std::min_element(in.begin(), in.end(), first_before<Stored<T>>);
      auto last = std::max_element(in.begin(), in.end(), first_before<Stored<T>>);
      CHECK_EQ(int64_t{least}, first - in.begin());
      CHECK_EQ(int64_t{most}, last - in.begin());
    }
  }
}

template <class T>
void check_scans(Dtype dtype) {
  for (ScanOp op : {ScanOp::sum, ScanOp::prod, ScanOp::max, ScanOp::min}) {
    for (int64_t n : lengths) {
      for (bool reverse : {false, true}) {
        std::string what = "scan " + std::to_string(int(op)) + " of " + std::to_string(n) + " " + grid::name_of(dtype);
        std::vector<T> in = elements<T>(static_cast<size_t>(2 * n), 41), out(in.size()), across(in.size());
        const int64_t rows[] = {2, n}, row_strides[] = {n, 1}, columns[] = {n, 2}, column_strides[] = {2, 1};
        cpu::scan(op, dtype, in.data(), rows, row_strides, 1, reverse, true, out.data());
        cpu::scan(op, dtype, in.data(), columns, column_strides, 0, reverse, true, across.data());
        note(what, out);
        note(what + " across", across);
        Reduction same = op == ScanOp::sum    ? Reduction::sum
                         : op == ScanOp::prod ? Reduction::prod
                         : op == ScanOp::max  ? Reduction::max
                                              : Reduction::min;
        for (int64_t j : {int64_t{0}, n / 3, n - 1}) {
          std::vector<T> row, column;
          for (int64_t i = reverse ? n - 1 : 0; reverse ? i >= j : i <= j; i += reverse ? -1 : 1) {
            row.push_back(in[static_cast<size_t>(n + i)]);
            column.push_back(in[static_cast<size_t>(2 * i + 1)]);
          }
          if (!fail_once(what, agrees<T>(same, row, out[static_cast<size_t>(n + j)])) ||
              !fail_once(what + " across", agrees<T>(same, column, across[static_cast<size_t>(2 * j + 1)]))) {
            return;
          }
        }
      }
    }
  }
}

template <class T>
void check_sorts(Dtype dtype) {
  for (int64_t n : lengths) {
    std::vector<Stored<T>> in = elements<T>(static_cast<size_t>(n), 43);
    if constexpr (!std::is_integral_v<T> && !cpu::is_complex<T>) {
      std::vector<T> ends = special<T>();
      std::copy_n(ends.begin(), std::min(in.size(), ends.size()), in.begin());
    }
    std::vector<Stored<T>> sorted(in.size()), truth(in);
    std::vector<uint32_t> order(in.size()), places(in.size());
    const int64_t shape[] = {n}, strides[] = {1};
    cpu::sort(dtype, in.data(), shape, strides, 0, sorted.data());
    cpu::argsort(dtype, in.data(), shape, strides, 0, order.data());
    std::stable_sort(truth.begin(), truth.end(), first_before<Stored<T>>);
    std::iota(places.begin(), places.end(), 0);
    std::stable_sort(places.begin(), places.end(), [&](uint32_t i, uint32_t j) { return first_before(in[i], in[j]); });
    for (auto* values : {&sorted, &truth}) {
      for (auto& value : *values) {
        settle_nan(value);
        if constexpr (!std::is_integral_v<T> && !cpu::is_complex<T>) {
          value = widen(value) == 0 ? T(0.0f) : value; // -0 comes first, but is equal
        }
      }
    }
    std::string what = "sort of " + std::to_string(n) + " " + grid::name_of(dtype);
    note(what, sorted);
    fail_once(what, std::memcmp(sorted.data(), truth.data(), truth.size() * sizeof(truth[0])) == 0);
    fail_once("arg" + what, order == places);
    std::vector<uint32_t> parted(in.size());
    cpu::argpartition(dtype, in.data(), shape, strides, 0, n / 2, 0, n, parted.data());
    Stored<T> middle = in[parted[static_cast<size_t>(n / 2)]], right = in[places[static_cast<size_t>(n / 2)]];
    fail_once("argpartition, " + what, !first_before(middle, right) && !first_before(right, middle));
    std::vector<uint32_t> found(in.size());
    const int64_t none[] = {0};
    cpu::search_sorted(dtype, truth.data(), n, 1, none, in.data(), strides, shape, false, found.data());
    for (size_t i = 0; i < in.size(); ++i) {
      auto at = std::lower_bound(truth.begin(), truth.end(), in[i], first_before<Stored<T>>) - truth.begin();
      if (!fail_once("search_sorted, " + what, int64_t{found[i]} == at)) {
        break;
      }
    }
  }
}

template <typename F>
void each_type(F&& f) {
  for (int i = 0; i < dtype_count; ++i) {
    cpu::with_type(dtype_at(i), [&](auto type) { f(type, dtype_at(i)); });
  }
}

} // namespace

TEST(reductions) {
  each_type([](auto type, Dtype dtype) { check_reductions<typename decltype(type)::type>(dtype); });
}
TEST(scans) {
  each_type([](auto type, Dtype dtype) {
    using T = typename decltype(type)::type;
    if constexpr (!std::is_same_v<T, bool>) {
      check_scans<T>(dtype);
    }
  });
}
TEST(sorts) {
  each_type([](auto type, Dtype dtype) { check_sorts<typename decltype(type)::type>(dtype); });
}

TEST(copies_between_layouts) {
  for (int item : {1, 2, 4, 8, 16}) {
    for (int64_t n : {1, 3, 8, 17, 33, 100}) {
      std::vector<char> in(static_cast<size_t>(n * n * item)), out(in.size()), back(in.size());
      for (size_t i = 0; i < in.size(); ++i) {
        in[i] = static_cast<char>(i * 131 >> 3);
      }
      const int64_t shape[] = {n, n}, straight[] = {n, 1}, turned[] = {1, n};
      cpu::copy_strided(in.data(), turned, out.data(), straight, shape, item);
      cpu::copy_strided(out.data(), straight, back.data(), turned, shape, item);
      CHECK(back == in);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const char *a = out.data() + (i * n + j) * item, *b = in.data() + (j * n + i) * item;
          CHECK(std::memcmp(a, b, static_cast<size_t>(item)) == 0);
        }
      }
      const int64_t line[] = {n}, reversed[] = {-1};
      std::vector<char> read(static_cast<size_t>(n * item));
      cpu::read_strided(in.data() + (n - 1) * item, line, reversed, item, 0, n, read.data());
      for (int64_t i = 0; i < n; ++i) {
        const char *a = read.data() + i * item, *b = in.data() + (n - 1 - i) * item;
        CHECK(std::memcmp(a, b, static_cast<size_t>(item)) == 0);
      }
    }
  }
}

TEST(random_bits) {
  const uint32_t keys[] = {0, 0, 1, 2, 0xffffffffu, 0xffffffffu};
  for (int64_t bytes : {1, 4, 7, 8, 64, 1000, 4097}) {
    std::vector<uint8_t> all(static_cast<size_t>(3 * bytes)), one(static_cast<size_t>(bytes));
    cpu::random_bits(keys, 3, 2, bytes, all.data());
    note("random " + std::to_string(bytes), all);
    for (int64_t k = 0; k < 3; ++k) {
      cpu::random_bits(keys + 2 * k, 1, 2, bytes, one.data());
      CHECK(std::equal(one.begin(), one.end(), all.begin() + k * bytes));
    }
  }
  // Threefry-2x32 of key 0 and the counters 0 and 1.
  uint32_t words[2];
  const uint32_t zero[] = {0, 0};
  cpu::random_bits(zero, 1, 2, 8, words);
  CHECK_EQ(words[0], 928981903u);
  CHECK_EQ(words[1], 3453687069u);
}
