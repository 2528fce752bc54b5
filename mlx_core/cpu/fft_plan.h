// Plans of Fourier transforms: how a length is factored, and the roots of unity that takes, each rounded once.
//
// A length is a leaf, transformed pass by pass (Stockham's form, so nothing is reordered), or a product n1 n2: n2
// transforms of length n1, roots of unity between, n1 transforms of length n2. Whoever runs a plan decides what lies in
// the lanes of a vector, other transforms or the n2 (then n1) parts of one; the arithmetic is the same, so are the
// bits.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace mlx::core::cpu {

// Smooth lengths are products of primes up to this one; others are convolutions of a smooth length (Bluestein).
inline constexpr int64_t largest_radix = 31;
// Tables have this many elements more than they need, so that whole vectors of them can be read.
inline constexpr int64_t table_slack = 16;

template <typename T>
struct FftPass {
  int radix;
  int64_t groups, stride;    // length = radix * groups * stride
  const T* roots = nullptr;  // for group p > 0 and output k > 0: cos and sin of -2 pi p k / (radix * groups)
  const T* kernel = nullptr; // of an odd radix r: cos and sin of 2 pi j k / r for j, k in 1, ..., (r - 1) / 2
};

template <typename T>
struct FftNode {
  explicit FftNode(int64_t length, int64_t largest_leaf);
  bool is_leaf() const { return !first; }
  // Of a product whose parts lie in vectors of so many lanes: the lanes that take part for each that is of use.
  double lanes_for_one(int lanes) const;
  int64_t bytes() const;

  int64_t n;
  std::vector<FftPass<T>> passes; // of a leaf
  // n = first->n * second->n. roots: cos and sin of -2 pi k j / n in rows j < n2 of `pitch` elements, k < n1.
  std::unique_ptr<FftNode> first, second;
  int64_t pitch = 0;
  double first_cost = 0, second_cost = 0;
  std::vector<T> cosines, sines;
  // The same of n = n1 n2 of 16 to 256, n1 being a leaf's first radix, as rows lie that are turned between the two: for
  // each few k, all j, and for each of these four blocks of 16 bytes. Where two blocks hold these k, the first two are
  // the one and the last two the other.
  std::vector<T> turned_cosines, turned_sines;

 private:
  void make_leaf();
  void make_product(int64_t n1);
  void make_turned(int64_t n1);
  std::vector<std::vector<T>> tables_;
};

template <typename T>
struct FftPlan {
  FftPlan(int64_t length, bool of_real);
  int64_t bytes() const;

  // Of a real transform of even length: n / 2 complex elements, and half_cosines and half_sines of -2 pi k / length for
  // k <= n / 2.
  int64_t length, n;
  bool packed;
  std::vector<T> half_cosines, half_sines;
  FftNode<T> node; // of n elements, or of the convolution's
  // Where n is not smooth: exp(-i pi j^2 / n) for j < n, interleaved, and the transform of its conjugate, both ways
  // round, divided by node.n.
  bool convolves() const { return node.n != n; }
  std::vector<T> chirp, spectrum;
};

// The plan of this length; a bounded number of them is kept. From any thread.
template <typename T>
std::shared_ptr<const FftPlan<T>> fft_plan(int64_t length, bool of_real);

// Transforms up to this length are done side by side, longer ones one by one where their elements are neighbours.
inline constexpr int64_t largest_small_fft = 128;

} // namespace mlx::core::cpu
