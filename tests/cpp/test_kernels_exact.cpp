// The elementwise kernels with one right answer: integers and bool, comparisons, predicates, bits, choices and
// conversions between any two dtypes, on the best instruction set of the machine.
#include "kernel_grid.h"

using namespace grid;
using mlx::core::Body;

namespace {

using Wide = __int128;

// The value modulo the width of T.
template <class T>
T wrap(Wide x) {
  return static_cast<T>(static_cast<std::make_unsigned_t<T>>(x));
}
template <class T>
Wide floor_quotient(T a, T b) {
  if (b == 0) {
    return 0;
  }
  Wide q = Wide{a} / b;
  return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}
template <class T>
T power(T base, T exponent) {
  if (exponent < 0) { // the exact power, cut to an integer
    return base == 1 || (base == static_cast<T>(-1) && exponent % 2 == 0) ? 1 : base == static_cast<T>(-1) ? base : 0;
  }
  using U = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>;
  U result = 1, factor = static_cast<U>(base);
  for (auto e = static_cast<uint64_t>(exponent); e; e >>= 1) {
    result *= e & 1 ? factor : 1;
    factor *= factor;
  }
  return static_cast<T>(result);
}
template <class T>
T shifted(T a, T count, bool left) {
  Wide bits = 8 * sizeof(T);
  bool out = count < 0 || count >= bits;
  return left ? (out ? T{0} : wrap<T>(Wide{a} << count)) : wrap<T>(out ? Wide{a < 0 ? -1 : 0} : Wide{a} >> count);
}

template <class T>
void check_integers(Dtype dtype) {
  std::vector<T> all = integers<T>(40, 5), a, b;
  pairs(all, a, b);
  auto expect1 = [&](const char* name, Body body, auto truth) {
    std::string what = std::string(name) + " " + grid::name_of(dtype);
    std::vector<T> got = grid::run<T>(what, cpu::find_kernel(body, dtype), {input(a)}, a.size());
    note("exact " + what, got);
    for (size_t i = 0; i < a.size(); ++i) {
      if (!fail_once(what + " of " + std::to_string(a[i]), got[i] == static_cast<T>(truth(a[i])))) {
        return;
      }
    }
  };
  auto expect2 = [&](const char* name, Body body, auto truth) {
    std::string what = std::string(name) + " " + grid::name_of(dtype);
    std::vector<T> got = grid::run<T>(what, cpu::find_kernel(body, dtype), {input(a), input(b)}, a.size());
    note("exact " + what, got);
    for (size_t i = 0; i < a.size(); ++i) {
      if (!fail_once(
              what + " of " + std::to_string(a[i]) + ", " + std::to_string(b[i]) + " is " + std::to_string(got[i]),
              got[i] == static_cast<T>(truth(a[i], b[i])))) {
        return;
      }
    }
  };
  expect1("copy", Body::copy, [](T x) { return x; });
  expect1("negative", Body::negative, [](T x) { return wrap<T>(-Wide{x}); });
  expect1("abs", Body::abs, [](T x) { return wrap<T>(x < 0 ? -Wide{x} : Wide{x}); });
  expect1("sign", Body::sign, [](T x) { return (x > 0) - (x < 0); });
  expect1("square", Body::square, [](T x) { return wrap<T>(Wide{x} * x); });
  expect1("bitwise_invert", Body::bitwise_invert, [](T x) { return ~x; });
  expect2("add", Body::add, [](T x, T y) { return wrap<T>(Wide{x} + y); });
  expect2("subtract", Body::subtract, [](T x, T y) { return wrap<T>(Wide{x} - y); });
  expect2("multiply", Body::multiply, [](T x, T y) { return wrap<T>(Wide{x} * y); });
  expect2("maximum", Body::maximum, [](T x, T y) { return std::max(x, y); });
  expect2("minimum", Body::minimum, [](T x, T y) { return std::min(x, y); });
  expect2("floor_divide", Body::floor_divide, [](T x, T y) { return wrap<T>(floor_quotient(x, y)); });
  expect2("remainder", Body::remainder,
      [](T x, T y) { return y == 0 ? T{0} : wrap<T>(Wide{x} - floor_quotient(x, y) * y); });
  expect2("power", Body::power, power<T>);
  expect2("bitwise_and", Body::bitwise_and, [](T x, T y) { return x & y; });
  expect2("bitwise_or", Body::bitwise_or, [](T x, T y) { return x | y; });
  expect2("bitwise_xor", Body::bitwise_xor, [](T x, T y) { return x ^ y; });
  expect2("left_shift", Body::left_shift, [](T x, T y) { return shifted(x, y, true); });
  expect2("right_shift", Body::right_shift, [](T x, T y) { return shifted(x, y, false); });
}

// --- what every dtype has ---

template <class T>
std::vector<T> values() {
  if constexpr (std::is_same_v<T, bool>) {
    return {};
  } else if constexpr (std::is_integral_v<T>) {
    return integers<T>(24, 7);
  } else if constexpr (cpu::is_complex<T>) {
    std::vector<T> all;
    for (auto re : special<typename T::value_type>()) {
      all.emplace_back(re, 1);
      all.emplace_back(-1, re);
    }
    return all;
  } else {
    std::vector<T> all = special<T>();
    for (const T& x : draw<T>(20, -300, 300, 9)) {
      all.push_back(x);
    }
    return all;
  }
}

template <class T>
auto plain(T x) { // to compare with
  if constexpr (cpu::is_half<T>) {
    return static_cast<float>(x);
  } else {
    return x;
  }
}
template <class T>
bool is_nan(T x) {
  auto value = plain(x);
  return !(value == value);
}
template <class T>
bool less(T x, T y) {
  if constexpr (cpu::is_complex<T>) {
    return !is_nan(x) && !is_nan(y) && (x.real() < y.real() || (x.real() == y.real() && x.imag() < y.imag()));
  } else {
    return plain(x) < plain(y);
  }
}
template <class T>
bool test_parts(T x, bool (*test)(double), bool all) {
  if constexpr (cpu::is_complex<T>) {
    bool re = test(static_cast<double>(x.real())), im = test(static_cast<double>(x.imag()));
    return all ? re && im : re || im;
  } else if constexpr (std::is_integral_v<T>) {
    return test(0.0);
  } else {
    return test(static_cast<double>(plain(x)));
  }
}

template <class T>
void check_tests(Dtype dtype) {
  std::vector<T> all = values<T>(), a, b;
  pairs(all, a, b);
  auto expect = [&](const char* name, Body body, std::vector<Input> inputs, auto truth) {
    std::string what = std::string(name) + " " + grid::name_of(dtype);
    cpu::Kernel kernel = cpu::find_kernel(body, dtype);
    if (!fail_once(what + " is missing", kernel != nullptr)) {
      return;
    }
    std::vector<uint8_t> got = grid::run<uint8_t>(what, kernel, inputs, a.size());
    note("exact " + what, got);
    for (size_t i = 0; i < a.size(); ++i) {
      if (!fail_once(what + " of element " + std::to_string(i) + ": " + check::show(plain(a[i])) + ", " +
                         check::show(plain(b[i])),
              (got[i] != 0) == truth(a[i], b[i]) && got[i] <= 1)) {
        return;
      }
    }
  };
  std::vector<Input> two{input(a), input(b)}, one{input(a)};
  const T zero{};
  auto nonzero = [&](T x) { return !(plain(x) == plain(zero)); };
  expect("equal", Body::equal, two, [](T x, T y) { return plain(x) == plain(y); });
  expect("not_equal", Body::not_equal, two, [](T x, T y) { return !(plain(x) == plain(y)); });
  expect("nan_equal", Body::nan_equal, two, [](T x, T y) { return plain(x) == plain(y) || (is_nan(x) && is_nan(y)); });
  expect("less", Body::less, two, [](T x, T y) { return less(x, y); });
  expect("greater", Body::greater, two, [](T x, T y) { return less(y, x); });
  auto comparable = [](T x, T y) { return less(x, y) || plain(x) == plain(y); };
  expect("less_equal", Body::less_equal, two, comparable);
  expect("greater_equal", Body::greater_equal, two, [&](T x, T y) { return comparable(y, x); });
  expect("logical_and", Body::logical_and, two, [&](T x, T y) { return nonzero(x) && nonzero(y); });
  expect("logical_or", Body::logical_or, two, [&](T x, T y) { return nonzero(x) || nonzero(y); });
  expect("logical_xor", Body::logical_xor, two, [&](T x, T y) { return nonzero(x) != nonzero(y); });
  expect("logical_not", Body::logical_not, one, [&](T x, T) { return !nonzero(x); });
  expect("isnan", Body::isnan, one, [](T x, T) { return is_nan(x); });
  expect(
      "isinf", Body::isinf, one, [](T x, T) { return test_parts(x, [](double d) { return std::isinf(d); }, false); });
  expect("isfinite", Body::isfinite, one,
      [](T x, T) { return test_parts(x, [](double d) { return std::isfinite(d); }, true); });

  // select
  std::vector<uint8_t> choice(a.size());
  for (size_t i = 0; i < choice.size(); ++i) {
    choice[i] = (i * 2654435761u >> 16) & 1;
  }
  std::string what = "select " + grid::name_of(dtype);
  std::vector<T> got =
      grid::run<T>(what, cpu::find_kernel(Body::select, dtype), {input(choice), input(a), input(b)}, a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    T truth = choice[i] ? a[i] : b[i];
    settle_nan(truth);
    if (!fail_once(what, std::memcmp(&got[i], &truth, sizeof(T)) == 0)) {
      break;
    }
  }
}

// Of a number that is shared by the elements of a pair.
template <class T>
void check_shares(Dtype dtype) {
  std::vector<T> all = values<T>(), a, b, g;
  pairs(all, a, b);
  for (size_t i = 0; i < a.size(); ++i) {
    g.push_back(all[(i * 2654435761u >> 16) % all.size()]);
  }
  std::string what = "share " + grid::name_of(dtype);
  std::vector<T> got =
      grid::run<T>(what, cpu::find_kernel(Body::share, dtype), {input(g), input(a), input(b)}, a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    T truth = plain(a[i]) > plain(b[i]) ? g[i] : plain(a[i]) == plain(b[i]) ? static_cast<T>(plain(g[i]) / 2) : T{};
    settle_nan(truth);
    if (!fail_once(what, std::memcmp(&got[i], &truth, sizeof(T)) == 0)) {
      break;
    }
  }
}

// --- conversions ---

// One element, by the rules of elementwise.h.
template <class From, class To>
To converted(From x) {
  if constexpr (cpu::is_complex<From> && cpu::is_complex<To>) {
    using Part = typename To::value_type;
    return {static_cast<Part>(x.real()), static_cast<Part>(x.imag())};
  } else if constexpr (std::is_same_v<To, bool>) {
    return !(plain(x) == plain(From{}));
  } else if constexpr (cpu::is_complex<From>) {
    return converted<typename From::value_type, To>(x.real());
  } else if constexpr (cpu::is_complex<To>) {
    return To(converted<From, typename To::value_type>(x), 0);
  } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    return static_cast<To>(x);
  } else if constexpr (std::is_integral_v<To>) {
    auto value = plain(x);
    if (value != value) {
      return 0;
    }
    long double wide = std::trunc(static_cast<long double>(value));
    return wide <= static_cast<long double>(std::numeric_limits<To>::min())   ? std::numeric_limits<To>::min()
           : wide >= static_cast<long double>(std::numeric_limits<To>::max()) ? std::numeric_limits<To>::max()
                                                                              : static_cast<To>(wide);
  } else if constexpr (cpu::is_half<To>) {
    return To(static_cast<float>(plain(x)));
  } else {
    return static_cast<To>(plain(x));
  }
}

template <class From, class To>
void check_cast(Dtype from, Dtype to) {
  std::string what = grid::name_of(from) + " to " + grid::name_of(to);
  std::vector<From> x = values<From>();
  for (int i = 0; i < 3; ++i) { // longer than any vector
    x.insert(x.end(), x.begin(), x.begin() + static_cast<std::ptrdiff_t>(values<From>().size()));
  }
  using Out = std::conditional_t<std::is_same_v<To, bool>, uint8_t, To>;
  std::vector<Out> got = grid::run<Out>(what, cpu::find_cast(from, to), {input(x)}, x.size());
  note("cast " + what, got);
  for (size_t i = 0; i < x.size(); ++i) {
    Out truth = converted<From, To>(x[i]);
    settle_nan(truth);
    if (!fail_once(what + " of " + check::show(plain(x[i])) + " is " + check::show(plain(got[i])) + ", not " +
                       check::show(plain(truth)),
            std::memcmp(&got[i], &truth, sizeof(Out)) == 0)) {
      return;
    }
  }
}

template <class From>
void check_casts(Dtype from) {
  for (int i = 0; i < dtype_count; ++i) {
    cpu::with_type(dtype_at(i), [&](auto to) { check_cast<From, typename decltype(to)::type>(from, dtype_at(i)); });
  }
}

} // namespace

TEST(integers) {
  for (int i = 0; i < dtype_count; ++i) {
    cpu::with_type(dtype_at(i), [&](auto type) {
      using T = typename decltype(type)::type;
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        check_integers<T>(dtype_at(i));
      }
    });
  }
}

TEST(tests_and_choices) {
  for (int i = 0; i < dtype_count; ++i) {
    cpu::with_type(dtype_at(i), [&](auto type) {
      using T = typename decltype(type)::type;
      if constexpr (!std::is_same_v<T, bool>) {
        check_tests<T>(dtype_at(i));
        if constexpr (std::is_floating_point_v<T> || cpu::is_half<T>) {
          check_shares<T>(dtype_at(i));
        }
      }
    });
  }
}

TEST(bools) {
  std::vector<uint8_t> a, b, all{0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0};
  pairs(all, a, b);
  struct Row {
    const char* name;
    Body body;
    bool (*truth)(bool, bool);
  };
  const Row rows[] = {{"or", Body::logical_or, [](bool x, bool y) { return x || y; }},
      {"and", Body::logical_and, [](bool x, bool y) { return x && y; }},
      {"xor", Body::logical_xor, [](bool x, bool y) { return x != y; }},
      {"add", Body::add, [](bool x, bool y) { return x || y; }},
      {"multiply", Body::multiply, [](bool x, bool y) { return x && y; }},
      {"subtract", Body::subtract, [](bool x, bool y) { return x != y; }},
      {"power", Body::power, [](bool x, bool y) { return x || !y; }},
      {"equal", Body::equal, [](bool x, bool y) { return x == y; }},
      {"less", Body::less, [](bool x, bool y) { return !x && y; }}};
  for (const Row& row : rows) {
    std::vector<uint8_t> got =
        grid::run<uint8_t>(row.name, cpu::find_kernel(row.body, mlx::core::bool_), {input(a), input(b)}, a.size());
    for (size_t i = 0; i < a.size(); ++i) {
      CHECK_EQ(got[i] != 0, row.truth(a[i] != 0, b[i] != 0));
    }
  }
}

TEST(conversions) {
  for (int i = 0; i < dtype_count; ++i) {
    cpu::with_type(dtype_at(i), [&](auto type) {
      using T = typename decltype(type)::type;
      if constexpr (!std::is_same_v<T, bool>) {
        check_casts<T>(dtype_at(i));
      }
    });
  }
}
