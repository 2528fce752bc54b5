// exp of each matrix of a stack: scaling and squaring with Pade approximants (Higham, SIAM J. Matrix Anal. Appl. 26,
// 2005), in float64.
#include <algorithm>

#include "mlx_core/cpu/matrix_stack.h"
#include "mlx_core/cpu/matrix_work.h"

namespace mlx::core::cpu {

namespace {

// Degrees, and the largest 1-norm for which each is as good as float64.
struct Degree {
  int degree;
  double largest_norm;
};
constexpr Degree degrees[] = {{3, 1.495585217958292e-2}, {5, 2.539398330063230e-1}, {7, 9.504178996162932e-1},
    {9, 2.097847961257068e0}, {13, 5.371920351148152e0}};

// A matrix [[a, e], [0, a]], whose exponential holds the derivative of exp at a along e; of derivatives of derivatives,
// a and e are such matrices again. All that the approximants are made of has the same form, so the first row of blocks
// stands for the matrix, and a product takes 3 or 4 products of the halves instead of 8: m rows, n columns, one after
// another. Block s, a set of levels, of a product is the sum of a[t] b[s - t] over the subsets t of s.
template <typename W>
class Nested {
 public:
  // The form of a matrix of n rows.
  Nested(const W* a, int64_t n) : n_(n), m_(n) {
    while (m_ % 2 == 0 && m_ > 0 && halves(a)) m_ /= 2;
  }
  Int rows() const { return static_cast<Int>(m_); }
  Int columns() const { return static_cast<Int>(n_); }
  int64_t size() const { return m_ * n_; }
  bool is_plain() const { return m_ == n_; }

  void read(const W* full, W* blocks) const {
    for (int64_t column = 0; column < n_; ++column) std::copy_n(full + column * n_, m_, blocks + column * m_);
  }
  void write(const W* blocks, W* full) const {
    std::fill_n(full, n_ * n_, W(0));
    for (int64_t t = 0; t < count(); ++t) {
      for (int64_t s = 0; s < count(); ++s) {
        if ((s & t) != t) continue; // block (t, s) is s - t
        for (int64_t column = 0; column < m_; ++column) {
          std::copy_n(block(blocks, s ^ t) + column * m_, m_, full + (s * m_ + column) * n_ + t * m_);
        }
      }
    }
  }
  void multiply(const W* a, const W* b, W* out, Workspace<W>& space) const {
    if (is_plain()) {
      return lapack::gemm(false, false, rows(), columns(), rows(), a, b, out);
    }
    W* part = space.matrix(9, size());
    std::fill_n(out, size(), W(0));
    for (int64_t t = 0; t < count(); ++t) {
      lapack::gemm(false, false, rows(), columns(), rows(), block(a, t), b, part);
      for (int64_t u = 0; u < count(); ++u) {
        if ((t & u) == 0) add(block(out, t | u), block(part, u));
      }
    }
  }
  // b becomes a^-1 b; a is overwritten. LAPACK's info.
  Int divide(W* a, W* b, Workspace<W>& space) const {
    Int* pivots = space.integers(rows());
    if (Int info = lapack::getrf(rows(), rows(), a, pivots); info != 0) {
      return info;
    }
    W* part = space.matrix(9, size());
    for (int64_t s = 0; s < count(); ++s) {
      if (Int info = lapack::getrs('N', rows(), is_plain() ? columns() : rows(), a, pivots, block(b, s)); info != 0) {
        return info;
      }
      for (int64_t t = 1; t < count(); ++t) {
        if ((s & t) != 0) continue;
        lapack::gemm(false, false, rows(), rows(), rows(), block(a, t), block(b, s), part);
        W* rest = block(b, s | t);
        for (int64_t e = 0; e < m_ * m_; ++e) rest[e] -= part[e];
      }
    }
    return 0;
  }
  // The last columns have all blocks.
  double one_norm(const W* a) const {
    double norm = 0;
    for (int64_t column = 0; column < m_; ++column) {
      double sum = 0;
      for (int64_t s = 0; s < count(); ++s) {
        for (int64_t row = 0; row < m_; ++row) sum += std::abs(block(a, s)[column * m_ + row]);
      }
      norm = sum > norm || std::isnan(sum) ? sum : norm;
    }
    return norm;
  }

 private:
  int64_t count() const { return m_ == 0 ? 1 : n_ / m_; }
  template <typename V>
  V* block(V* a, int64_t s) const {
    return a + s * m_ * m_;
  }
  void add(W* to, const W* from) const {
    for (int64_t e = 0; e < m_ * m_; ++e) to[e] += from[e];
  }
  // Whether each block of the first row has the form.
  bool halves(const W* a) const {
    int64_t half = m_ / 2;
    for (int64_t column = 0; column < n_; ++column) {
      const W* at = a + column * n_;
      if (column % m_ < half) {
        if (std::any_of(at + half, at + m_, [](W x) { return x != W(0); })) return false;
      } else if (!std::equal(at + half, at + m_, a + (column - half) * n_)) {
        return false;
      }
    }
    return true;
  }

  int64_t n_, m_;
};

// One matrix of W, by its first row of blocks.
template <typename W>
class Exponential {
 public:
  Exponential(W* a, const Nested<W>& form, Workspace<W>& space)
      : a_(a), form_(form), size_(form.size()), space_(space) {}

  // In place of a; LAPACK's info.
  Int run() {
    double norm = form_.one_norm(a_);
    const Degree* degree = degrees;
    while (degree->degree < 13 && norm > degree->largest_norm) ++degree;
    int squarings = norm > degree->largest_norm ? std::max(0, std::ilogb(norm / degree->largest_norm) + 1) : 0;
    for (int64_t e = 0; e < size_; ++e) a_[e] *= std::ldexp(1.0, -squarings);
    if (Int info = approximate(degree->degree); info != 0) {
      return info;
    }
    W* square = space_.matrix(1, size_);
    for (int i = 0; i < squarings; ++i) {
      throw_if_interrupted();
      form_.multiply(a_, a_, square, space_);
      std::copy_n(square, size_, a_);
      if (!std::isfinite(form_.one_norm(a_))) {
        break; // it stays so
      }
    }
    return 0;
  }

 private:
  // to += factor * from
  void add(W* to, double factor, const W* from) const {
    for (int64_t e = 0; e < size_; ++e) to[e] += factor * from[e];
  }
  void add_identity(W* to, double factor) const {
    for (int64_t j = 0; j < form_.rows(); ++j) to[j * form_.rows() + j] += factor;
  }
  // a becomes (v - u)^-1 (v + u), u = a (b1 + b3 a^2 + ...), v = b0 + b2 a^2 + ...
  Int approximate(int degree) {
    double b[14] = {1};
    for (int j = 1; j <= degree; ++j) b[j] = b[j - 1] * (degree - j + 1) / ((2 * degree - j + 1) * j);
    W *odd = space_.matrix(1, size_), *v = space_.matrix(2, size_), *u = space_.matrix(3, size_);
    std::fill_n(odd, size_, W(0));
    std::fill_n(v, size_, W(0));
    int powers = degree == 13 ? 3 : (degree - 1) / 2; // a^2, a^4, ...
    for (int p = 1; p <= powers; ++p) {
      W* power = space_.matrix(static_cast<size_t>(3 + p), size_);
      form_.multiply(p == 1 ? a_ : even(p - 1), p == 1 ? a_ : even(1), power, space_);
    }
    if (degree == 13) { // a^6 times the upper half
      for (int p = 1; p <= 3; ++p) add(odd, b[7 + 2 * p], even(p)), add(v, b[6 + 2 * p], even(p));
      form_.multiply(even(3), odd, u, space_);
      std::copy_n(u, size_, odd);
      form_.multiply(even(3), v, u, space_);
      std::copy_n(u, size_, v);
    }
    for (int p = 1; p <= powers; ++p) add(odd, b[2 * p + 1], even(p)), add(v, b[2 * p], even(p));
    add_identity(odd, b[1]), add_identity(v, b[0]);
    form_.multiply(a_, odd, u, space_);
    for (int64_t e = 0; e < size_; ++e) a_[e] = v[e] + u[e], v[e] -= u[e];
    return form_.divide(v, a_, space_);
  }
  const W* even(int p) { return space_.matrix(static_cast<size_t>(3 + p), size_); }

  W* a_;
  const Nested<W>& form_;
  int64_t size_;
  Workspace<W>& space_;
};

} // namespace

void run_exponential(const kernel::MatrixWork& k) {
  with_matrix_type(k.inputs[0].dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using W = std::conditional_t<lapack::is_complex<T>, std::complex<double>, double>;
    Stack<T> a(k.inputs[0]), out(k.outputs[0]);
    Int n = a.rows();
    auto one = [&](int64_t i, Workspace<W>& space) -> int64_t {
      W* m = space.matrix(0, a.elements());
      if (!a.read(i, m)) {
        out.fill(i, not_a_number<T>());
        return 0;
      }
      Nested<W> form(m, n);
      W* blocks = form.is_plain() ? m : space.matrix(8, form.size());
      if (!form.is_plain()) form.read(m, blocks);
      if (Int info = Exponential<W>(blocks, form, space).run(); info != 0) {
        return info;
      }
      if (!form.is_plain()) form.write(blocks, m);
      out.write(i, m);
      return 0;
    };
    for_each_matrix<W>(k.op, n == 0 ? 0 : a.count(), 16 * std::pow(n, 3), one, did_not_converge);
  });
}

} // namespace mlx::core::cpu
