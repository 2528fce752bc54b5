// exp of each matrix of a stack: scaling and squaring with Pade approximants (Higham, SIAM J. Matrix Anal. Appl. 26,
// 2005), in float64.
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

// One matrix of W, without gaps.
template <typename W>
class Exponential {
 public:
  Exponential(W* a, Int n, Workspace<W>& space) : a_(a), n_(n), size_(static_cast<int64_t>(n) * n), space_(space) {}

  // In place of a; LAPACK's info.
  Int run() {
    double norm = one_norm(a_);
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
      lapack::gemm(false, false, n_, n_, n_, a_, a_, square);
      std::copy_n(square, size_, a_);
      if (!std::isfinite(one_norm(a_))) {
        break; // it stays so
      }
    }
    return 0;
  }

 private:
  double one_norm(const W* m) const {
    double norm = 0;
    for (int64_t column = 0; column < n_; ++column) {
      double sum = 0;
      for (int64_t row = 0; row < n_; ++row) sum += std::abs(m[column * n_ + row]);
      norm = sum > norm || std::isnan(sum) ? sum : norm;
    }
    return norm;
  }
  // to += factor * from
  void add(W* to, double factor, const W* from) const {
    for (int64_t e = 0; e < size_; ++e) to[e] += factor * from[e];
  }
  void add_identity(W* to, double factor) const {
    for (int64_t j = 0; j < n_; ++j) to[j * n_ + j] += factor;
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
      lapack::gemm(false, false, n_, n_, n_, p == 1 ? a_ : even(p - 1), p == 1 ? a_ : even(1), power);
    }
    if (degree == 13) { // a^6 times the upper half
      for (int p = 1; p <= 3; ++p) add(odd, b[7 + 2 * p], even(p)), add(v, b[6 + 2 * p], even(p));
      lapack::gemm(false, false, n_, n_, n_, even(3), odd, u);
      std::copy_n(u, size_, odd);
      lapack::gemm(false, false, n_, n_, n_, even(3), v, u);
      std::copy_n(u, size_, v);
    }
    for (int p = 1; p <= powers; ++p) add(odd, b[2 * p + 1], even(p)), add(v, b[2 * p], even(p));
    add_identity(odd, b[1]), add_identity(v, b[0]);
    lapack::gemm(false, false, n_, n_, n_, a_, odd, u);
    for (int64_t e = 0; e < size_; ++e) a_[e] = v[e] + u[e], v[e] -= u[e];
    Int* pivots = space_.integers(n_);
    if (Int info = lapack::getrf(n_, n_, v, pivots); info != 0) {
      return info;
    }
    return lapack::getrs('N', n_, n_, v, pivots, a_);
  }
  const W* even(int p) { return space_.matrix(static_cast<size_t>(3 + p), size_); }

  W* a_;
  Int n_;
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
      if (Int info = Exponential<W>(m, n, space).run(); info != 0) {
        return info;
      }
      out.write(i, m);
      return 0;
    };
    for_each_matrix<W>(k.op, n == 0 ? 0 : a.count(), 16 * std::pow(n, 3), one, did_not_converge);
  });
}

} // namespace mlx::core::cpu
