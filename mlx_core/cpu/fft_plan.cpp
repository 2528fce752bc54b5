// Factoring the lengths of Fourier transforms, tables of roots of unity, and the plans that are kept.
#include "mlx_core/cpu/fft_plan.h"

#include <algorithm>
#include <cmath>
#include <list>
#include <mutex>
#include <numbers>
#include <type_traits>

#include "mlx_core/cpu/fft.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// A leaf's elements lie in the first-level cache, a vector of each.
constexpr int64_t largest_inner_leaf = 1024;

// exp(-2 pi i k / n), as products of two roots from tables of about sqrt(n), in a type wider than T.
template <typename T>
class Roots {
 public:
  using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

  explicit Roots(int64_t n) : n_(n) {
    while (n_ >> (2 * shift_) > 1) ++shift_;
    int64_t low = int64_t{1} << shift_;
    for (int64_t i = 0; i < low; ++i) low_.push_back(exact(i));
    for (int64_t i = 0; i <= n_ >> shift_; ++i) high_.push_back(exact(i << shift_));
  }
  // 0 <= k < n
  void write(int64_t k, T* cosine, T* sine) const {
    const Root& a = high_[static_cast<size_t>(k >> shift_)];
    const Root& b = low_[static_cast<size_t>(k & ((int64_t{1} << shift_) - 1))];
    *cosine = static_cast<T>(a.cosine * b.cosine - a.sine * b.sine);
    *sine = static_cast<T>(a.cosine * b.sine + a.sine * b.cosine);
  }

 private:
  struct Root {
    Wide cosine, sine;
  };
  // The angle is brought into the first eighth of the circle, where both functions are exact to the last place.
  Root exact(int64_t k) const {
    int64_t eighths = 8 * k, octant = eighths / n_;
    int64_t rest = eighths - octant * n_; // of n_: of an eighth
    bool mirrored = octant % 2 != 0;
    auto part = static_cast<Wide>(mirrored ? n_ - rest : rest) / static_cast<Wide>(n_);
    Wide angle = part * (std::numbers::pi_v<Wide> / 4), c = std::cos(angle), s = std::sin(angle);
    // How the first eighth lies in this one: octants 1 and 2 swap cosine and sine, and so on around.
    switch ((octant + 1) / 2 % 4) {
      case 0: return mirrored ? Root{c, s} : Root{c, -s};
      case 1: return mirrored ? Root{s, -c} : Root{-s, -c};
      case 2: return mirrored ? Root{-c, -s} : Root{-c, s};
      default: return mirrored ? Root{-s, c} : Root{s, c};
    }
  }

  int64_t n_;
  int shift_ = 0;
  std::vector<Root> low_, high_;
};

// In the order of the passes. Empty where a prime factor is above largest_radix.
std::vector<int> radices_of(int64_t n) {
  std::vector<int> out;
  int twos = 0;
  while (n % 2 == 0) n /= 2, ++twos;
  for (int64_t p = 3; p <= largest_radix && n > 1; p += 2) {
    while (n % p == 0) n /= p, out.push_back(static_cast<int>(p));
  }
  if (n > 1) {
    return {};
  }
  // 2^t in passes of 8 and 4.
  while (twos > 4 || twos == 3) out.push_back(8), twos -= 3;
  while (twos > 1) out.push_back(4), twos -= 2;
  if (twos == 1) out.push_back(2);
  if (out.empty()) out.push_back(1);
  return out;
}

bool is_smooth(int64_t n) { return !radices_of(n).empty(); }

// What a vector of each element costs, in rough units of operations.
double cost_of(int64_t n) {
  double cost = 0;
  for (int r : radices_of(n)) {
    cost += r == 8 ? 11 : r == 4 ? 8 : r == 2 ? 5 : 6 + 2 * r;
  }
  return cost;
}

// Lanes of vectors of so many that hold `count` elements, for each of these.
double lanes_of(int64_t count, int lanes) {
  return static_cast<double>((count + lanes - 1) / lanes * lanes) / static_cast<double>(count);
}

// n1 of the product n1 n2 that is quickest where vectors hold parts of one transform, with the most lanes there are.
int64_t first_factor(int64_t n) {
  constexpr int most_lanes = 16;
  double least = 0;
  int64_t best = 0;
  auto consider = [&](int64_t n1) {
    int64_t n2 = n / n1;
    double cost = cost_of(n1) * lanes_of(n2, most_lanes) + cost_of(n2) * lanes_of(n1, most_lanes);
    cost *= n1 > largest_inner_leaf || n2 > largest_inner_leaf ? 1.5 : 1;
    cost += 1e-3 * static_cast<double>(std::max(n1, n2)) / std::sqrt(static_cast<double>(n));
    if (best == 0 || cost < least) {
      least = cost, best = n1;
    }
  };
  for (int64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) {
      consider(d);
      consider(n / d);
    }
  }
  return best;
}

// The least of 2^a times 1, 3, 5, 9 or 15 that is not below. It is above largest_radix, so no leaf: convolutions are
// done one by one.
int64_t convolution_length(int64_t least) {
  int64_t best = 0;
  for (int64_t odd : {1, 3, 5, 9, 15}) {
    int64_t m = odd;
    while (m < least) m *= 2;
    best = best == 0 ? m : std::min(best, m);
  }
  return best;
}

template <typename T>
int64_t bytes_of(const std::vector<T>& v) {
  return static_cast<int64_t>(v.size() * sizeof(T));
}

} // namespace

template <typename T>
FftNode<T>::FftNode(int64_t length, int64_t largest_leaf) : n(length) {
  if (n <= largest_leaf || first_factor(n) == 0) {
    make_leaf();
  } else {
    make_product(first_factor(n));
  }
}

template <typename T>
double FftNode<T>::lanes_for_one(int lanes) const {
  return (first_cost * lanes_of(second->n, lanes) + second_cost * lanes_of(first->n, lanes)) /
         (first_cost + second_cost);
}

template <typename T>
void FftNode<T>::make_leaf() {
  int64_t rest = n, stride = 1;
  for (int radix : radices_of(n)) {
    FftPass<T> pass{radix, rest / radix, stride};
    if (pass.groups > 1) {
      Roots<T> roots(rest);
      std::vector<T> table;
      for (int64_t p = 1; p < pass.groups; ++p) {
        for (int64_t k = 1; k < radix; ++k) {
          T root[2];
          roots.write(p * k, root, root + 1);
          table.insert(table.end(), root, root + 2);
        }
      }
      tables_.push_back(std::move(table));
      pass.roots = tables_.back().data();
    }
    if (radix % 2 != 0 && radix > 1) {
      Roots<T> roots(radix);
      std::vector<T> table;
      for (int j = 1; j <= radix / 2; ++j) {
        for (int k = 1; k <= radix / 2; ++k) {
          T root[2];
          roots.write(j * k % radix, root, root + 1);
          table.insert(table.end(), {root[0], -root[1]});
        }
      }
      tables_.push_back(std::move(table));
      pass.kernel = tables_.back().data();
    }
    passes.push_back(pass);
    rest /= radix;
    stride *= radix;
  }
  if (n == 16 || n == 32 || n == 64 || n == 128) make_turned(passes[0].radix);
}

template <typename T>
void FftNode<T>::make_turned(int64_t n1) {
  constexpr int64_t block = 16 / sizeof(T);
  const int64_t n2 = n / n1, together = n1 % (2 * block) == 0 && n2 % (2 * block) == 0 ? 2 * block : block;
  turned_cosines.resize(static_cast<size_t>(n1 / together * n2 * table_slack));
  turned_sines.resize(turned_cosines.size());
  Roots<T> roots(n);
  for (int64_t first_k = 0, at = 0; first_k < n1; first_k += together) {
    for (int64_t j = 0; j < n2; ++j, at += table_slack) {
      for (int64_t i = 0; i < 4 * block; ++i) {
        const int64_t k = first_k + i % block + (together > block && i >= 2 * block ? block : 0);
        auto to = static_cast<size_t>(at + i);
        roots.write(j * k, &turned_cosines[to], &turned_sines[to]);
      }
    }
  }
}

template <typename T>
void FftNode<T>::make_product(int64_t n1) {
  int64_t n2 = n / n1;
  first = std::make_unique<FftNode>(n1, largest_inner_leaf);
  second = std::make_unique<FftNode>(n2, largest_inner_leaf);
  first_cost = cost_of(n1), second_cost = cost_of(n2);
  pitch = (n1 + table_slack - 1) / table_slack * table_slack;
  cosines.resize(static_cast<size_t>(n2 * pitch));
  sines.resize(static_cast<size_t>(n2 * pitch));
  Roots<T> roots(n);
  InterruptPoll poll(1 << 18);
  for (int64_t j = 0; j < n2; ++j) {
    poll(n1);
    for (int64_t k = 0; k < n1; ++k) {
      auto at = static_cast<size_t>(j * pitch + k);
      roots.write(k * j, &cosines[at], &sines[at]);
    }
  }
  if (n == 256 && n1 == 16) make_turned(n1);
}

template <typename T>
int64_t FftNode<T>::bytes() const {
  int64_t total = bytes_of(cosines) + bytes_of(sines) + bytes_of(turned_cosines) + bytes_of(turned_sines);
  for (const std::vector<T>& table : tables_) total += bytes_of(table);
  return total + (first ? first->bytes() + second->bytes() : 0);
}

template <typename T>
FftPlan<T>::FftPlan(int64_t of_length, bool of_real)
    : length(of_length),
      n(of_real && length % 2 == 0 ? length / 2 : length),
      packed(n != length),
      node(is_smooth(n) ? n : convolution_length(2 * n - 1), is_smooth(n) ? largest_small_fft : largest_radix) {
  if (packed) {
    Roots<T> roots(length);
    auto count = static_cast<size_t>(n / 2 + 1);
    half_cosines.resize(count + table_slack);
    half_sines.resize(count + table_slack);
    for (size_t k = 0; k < count; ++k) {
      roots.write(static_cast<int64_t>(k), &half_cosines[k], &half_sines[k]);
    }
  }
  if (convolves()) {
    Roots<T> roots(2 * n);
    chirp.resize(static_cast<size_t>(2 * n));
    spectrum.resize(static_cast<size_t>(2 * node.n));
    int64_t square = 0; // j^2 modulo 2 n
    for (int64_t j = 0; j < n; ++j) {
      T* root = &chirp[static_cast<size_t>(2 * j)];
      roots.write(square, root, root + 1);
      for (int64_t at : {j, j == 0 ? 0 : node.n - j}) {
        spectrum[static_cast<size_t>(2 * at)] = root[0];
        spectrum[static_cast<size_t>(2 * at) + 1] = -root[1];
      }
      square += 2 * j + 1;
      square -= square >= 2 * n ? 2 * n : 0;
      square -= square >= 2 * n ? 2 * n : 0;
    }
    transform_spectrum(*this);
  }
}

template <typename T>
int64_t FftPlan<T>::bytes() const {
  return node.bytes() + bytes_of(chirp) + bytes_of(spectrum) + bytes_of(half_cosines) + bytes_of(half_sines);
}

namespace {

// Those used last, within a number of plans and of bytes; the last one in any case.
template <typename T>
class Plans {
 public:
  std::shared_ptr<const FftPlan<T>> get(int64_t length, bool of_real) {
    {
      std::lock_guard lock(mutex_);
      for (auto at = plans_.begin(); at != plans_.end(); ++at) {
        if (at->length == length && at->of_real == of_real) {
          plans_.splice(plans_.begin(), plans_, at);
          return plans_.front().plan;
        }
      }
    }
    auto plan = std::make_shared<const FftPlan<T>>(length, of_real); // two threads may make one each
    int64_t bytes = plan->bytes();
    std::lock_guard lock(mutex_);
    plans_.push_front({length, of_real, bytes, plan});
    bytes_ += bytes;
    while (plans_.size() > 1 && (plans_.size() > most_plans || bytes_ > most_bytes)) {
      bytes_ -= plans_.back().bytes;
      plans_.pop_back();
    }
    return plan;
  }

 private:
  static constexpr size_t most_plans = 64;
  static constexpr int64_t most_bytes = 64 << 20;
  struct Kept {
    int64_t length;
    bool of_real;
    int64_t bytes;
    std::shared_ptr<const FftPlan<T>> plan;
  };
  std::mutex mutex_;
  std::list<Kept> plans_;
  int64_t bytes_ = 0;
};

} // namespace

template <typename T>
std::shared_ptr<const FftPlan<T>> fft_plan(int64_t length, bool of_real) {
  static Plans<T>& plans = *new Plans<T>;
  return plans.get(length, of_real);
}

template struct FftNode<float>;
template struct FftNode<double>;
template struct FftPlan<float>;
template struct FftPlan<double>;
template std::shared_ptr<const FftPlan<float>> fft_plan<float>(int64_t length, bool of_real);
template std::shared_ptr<const FftPlan<double>> fft_plan<double>(int64_t length, bool of_real);

} // namespace mlx::core::cpu
