// Running sums, products and extrema along lanes that run side by side; a few long lanes are cut into blocks.
#include "mlx_core/cpu/scan.h"

#include <cstdlib>
#include <limits>
#include <memory>
#include <utility>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/scan_rows.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// Short, for a sum within a block is off by a rounding of every element. No power of two: neighbouring blocks should
// not share the sets of a cache.
constexpr int64_t block_length = 52;

template <typename T>
struct Sum {
  using Carried = Wide<T>;
  using Before = typename CarriedSum<Carried>::type;
  static constexpr bool rounds = !std::is_integral_v<T>, in_blocks = true;

  // -0 is what leaves every number as it is, -0 included; an exclusive sum begins with 0.
  static Carried identity(bool inclusive) {
    if constexpr (std::is_floating_point_v<Carried>) {
      return inclusive ? Carried(-0.0) : Carried(0);
    } else {
      return Carried(0);
    }
  }
  static Carried combine(Carried a, Carried b) {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); // wraps around
    } else {
      return a + b;
    }
  }
};

template <typename T>
struct Prod {
  using Carried = Wide<T>;
  using Before = Carried;
  // It is one chain: a block's product may overflow where the whole product, which has met a 0 or small numbers, does
  // not.
  static constexpr bool rounds = false, in_blocks = std::is_integral_v<T>;
  static Carried identity(bool) { return Carried(1); }
  static Carried combine(Carried a, Carried b) {
    if constexpr (std::is_same_v<T, bool>) {
      return a && b;
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    } else if constexpr (is_complex<T>) {
      return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
    } else {
      return a * b;
    }
  }
};

template <typename T, bool max>
struct Extremum {
  using Carried = Wide<T>;
  using Before = Carried;
  static constexpr bool rounds = false, in_blocks = true;
  static Carried identity(bool) {
    if constexpr (is_complex<T>) {
      auto part = Extremum<typename T::value_type, max>::identity(true);
      return {part, part};
    } else if constexpr (std::is_floating_point_v<Carried>) {
      return max ? -std::numeric_limits<Carried>::infinity() : std::numeric_limits<Carried>::infinity();
    } else {
      return max ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
    }
  }
  static Carried combine(Carried a, Carried b) {
    if constexpr (is_complex<T>) { // by real, then imaginary part
      bool nan_a = a != a, nan_b = b != b;
      bool better = max ? b.real() > a.real() || (b.real() == a.real() && b.imag() > a.imag())
                        : b.real() < a.real() || (b.real() == a.real() && b.imag() < a.imag());
      return !nan_a && (better || nan_b) ? b : a;
    } else {
      bool better = max ? b > a : b < a;
      return better | (b != b) ? b : a; // nothing is better than a NaN in a
    }
  }
};

// Chains side by side, the elements of each `step` apart.
template <typename P>
struct Chains {
  P* first;
  int64_t step, pitch;
};

// Of 16-bit floats, n in each of W chains of step 1 or -1: the same as float32, in the order of memory, converted by
// vectors and at once where there are no gaps.
template <typename Half>
class HalfChains {
 public:
  HalfChains(Chains<Half> chains, int64_t W, int64_t n)
      : chains_(chains), runs_(W), length_(n), low_(chains.first + std::min<int64_t>(0, chains.step * (n - 1))) {
    if (std::abs(chains.pitch) == n) {
      low_ += std::min<int64_t>(0, chains.pitch * (W - 1));
      runs_ = 1, length_ = W * n;
    }
  }
  template <typename C>
  Chains<C> as_floats(float* memory) const {
    return {memory + (chains_.first - low_), chains_.step, runs_ == 1 ? chains_.pitch : length_};
  }
  void load(float* to) const {
    for (int64_t k = 0; k < runs_; ++k) {
      const void* from = low_ + k * chains_.pitch;
      find_cast(dtype, float32)(&from, to + k * length_, length_);
    }
  }
  void store(const float* from) const {
    for (int64_t k = 0; k < runs_; ++k) {
      const void* run = from + k * length_;
      find_cast(float32, dtype)(&run, low_ + k * chains_.pitch, length_);
    }
  }

 private:
  static constexpr Dtype dtype = std::is_same_v<std::remove_const_t<Half>, float16_t> ? float16 : bfloat16;
  Chains<Half> chains_;
  int64_t runs_, length_;
  Half* low_;
};
constexpr int64_t most_converted = 40 * block_length; // at once, in the cache

// y_i = before + local_i, where local sums begin anew in each block and `before` is the sum of the blocks in front,
// rounded: when sums round, this is the order for every layout. The other operations give the same bits in any order.
template <typename Op, typename T>
class Scanner {
 public:
  using C = typename Op::Carried;
  using B = typename Op::Before;
  Scanner(const Lanes<2>& lanes, const T* in, bool inclusive, T* out, ScanRows by_vectors)
      : lanes_(lanes), in_(in), out_(out), inclusive_(inclusive), length_(lanes.length), by_vectors_(by_vectors) {
    if (!inclusive) { // the inclusive scan of all elements but the last, one place further on
      --length_;
      out_ += lanes.step[1];
    }
  }

  void run() {
    int64_t blocks = (length_ + block_length - 1) / block_length, count = lanes_.outer * lanes_.width;
    if (Op::in_blocks && blocks >= 8 && count < 16 && thread_count() > 1) {
      return run_in_blocks(blocks, count);
    }
    if (lanes_.adjacent()) {
      int64_t strip = lanes_.strip(), strips = (lanes_.width + strip - 1) / strip;
      parallel_items(lanes_.outer * strips, std::min(lanes_.width, strip) * lanes_.length, [&](int64_t i) {
        int64_t w = i % strips * strip;
        columns(i / strips, w, std::min(strip, lanes_.width - w));
      });
      return;
    }
    const bool consecutive = std::abs(lanes_.step[0]) == 1 && lanes_.step[0] == lanes_.step[1];
    const int64_t at_once = consecutive && by_vectors_.rows > 4 ? by_vectors_.rows : 4;
    const int64_t groups = (lanes_.width + at_once - 1) / at_once;
    parallel_items(lanes_.outer * groups, at_once * lanes_.length, [&](int64_t i) {
      int64_t w = i % groups * at_once;
      const int64_t end = std::min(lanes_.width, w + at_once);
      if (at_once > 4 && w + at_once == end) return vector_of_rows(i / groups, w);
      for (; w + 4 <= end; w += 4) rows<4>(i / groups, w);
      for (; w < end; ++w) rows<1>(i / groups, w);
    });
  }

 private:
  C identity() const { return Op::identity(inclusive_); }
  static constexpr int64_t shorter(int64_t left) { return Op::rounds ? std::min(left, block_length) : left; }
  // Elements of a chain, or rows of columns, between two looks whether to stop.
  static constexpr int64_t looks_after = 64 * 1024;

  static B move_on(B before, C block) { return joined(before, static_cast<B>(block)); }

  static B joined(B a, B b) {
    if constexpr (Op::rounds) {
      return a + b;
    } else {
      return Op::combine(a, b);
    }
  }

  // What exclusive scans begin with.
  void begin_rows(int64_t to, int64_t count) {
    for (int64_t k = 0; k < count && !inclusive_; ++k) {
      out_[to + k * lanes_.pitch[1] - lanes_.step[1]] = static_cast<T>(identity());
    }
  }

  void vector_of_rows(int64_t o, int64_t w) {
    auto [from, to] = lanes_.offsets(o, w);
    begin_rows(to, by_vectors_.rows);
    const C first = identity();
    by_vectors_.run(
        {in_ + from, lanes_.pitch[0], out_ + to, lanes_.pitch[1], length_, block_length, lanes_.step[0] < 0}, &first);
  }

  // W lanes from w on, side by side since each element waits for the one before it.
  template <int W>
  void rows(int64_t o, int64_t w) {
    auto [from, to] = lanes_.offsets(o, w);
    B before[W];
    std::fill_n(before, W, B(identity()));
    begin_rows(to, W);
    scan_chains<W, true>(
        {in_ + from, lanes_.step[0], lanes_.pitch[0]}, {out_ + to, lanes_.step[1], lanes_.pitch[1]}, length_, before);
  }

  // W chains of n elements; what comes `before` each is moved on past it. Without store only that.
  template <int W, bool store>
  void scan_chains(Chains<const T> in, Chains<T> out, int64_t n, B (&before)[W]) {
    if constexpr (is_half<T>) {
      if (std::abs(in.step) == 1 && std::abs(out.step) == 1) {
        constexpr int64_t most = most_converted / W;
        C wide_in[W * most], wide_out[W * most];
        InterruptPoll poll(looks_after);
        for (int64_t i = 0; i < n; i += most, in.first += most * in.step, out.first += most * out.step) {
          const int64_t count = std::min(most, n - i);
          poll(count);
          const HalfChains from(in, W, count);
          const HalfChains to(out, W, count);
          from.load(wide_in);
          scan_blocks<W, store>(
              from.template as_floats<const C>(wide_in), to.template as_floats<C>(wide_out), count, before);
          if (store) to.store(wide_out);
        }
        return;
      }
    }
    scan_blocks<W, store>(in, out, n, before);
  }

  template <int W, bool store, typename V>
  void scan_blocks(Chains<const V> in, Chains<V> out, int64_t n, B (&before)[W]) {
    InterruptPoll poll(looks_after);
    for (int64_t i = 0; i < n;) {
      // What does not round goes on from `before` as if there were no piece.
      const int64_t count = std::min(shorter(n - i), looks_after);
      poll(count);
      scan_block<W, store>(in, out, count, before);
      i += count, in.first += count * in.step, out.first += count * out.step;
    }
  }

  template <int W, bool store, typename V>
  void scan_block(Chains<const V> in, Chains<V> out, int64_t n, B (&before)[W]) {
    const int64_t in_step = in.step, out_step = out.step;
    const V* ins[W];
    V* outs[W];
    C local[W], first[W];
    for (int k = 0; k < W; ++k) {
      ins[k] = in.first + k * in.pitch;
      outs[k] = out.first + k * out.pitch;
      first[k] = static_cast<C>(before[k]);
      local[k] = Op::rounds ? identity() : first[k];
    }
    for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 4
      for (int k = 0; k < W; ++k) {
        local[k] = Op::combine(local[k], static_cast<C>(ins[k][i * in_step]));
        if constexpr (store) {
          outs[k][i * out_step] = static_cast<V>(Op::rounds ? Op::combine(first[k], local[k]) : local[k]);
        }
      }
    }
    for (int k = 0; k < W; ++k) {
      before[k] = Op::rounds ? move_on(before[k], local[k]) : B(local[k]);
    }
  }

  // `count` adjacent lanes, row by row.
  void columns(int64_t o, int64_t w, int64_t count) {
    auto [from, to] = lanes_.offsets(o, w);
    const T* in = in_ + from;
    T* out = out_ + to;
    B before[widest_strip];
    C first[widest_strip], local[widest_strip];
    std::fill_n(before, count, B(identity()));
    if (!inclusive_) {
      std::fill_n(out - lanes_.step[1], count, static_cast<T>(identity()));
    }
    InterruptPoll poll(looks_after);
    for (int64_t i = 0; i < length_;) {
      std::fill_n(local, count, identity());
      std::transform(before, before + count, first, [](B b) { return static_cast<C>(b); });
      const int64_t most = is_half<T> ? std::max<int64_t>(1, most_converted / count) : 1;
      for (int64_t end = i + shorter(length_ - i); i < end;) {
        const int64_t n = std::min(most, end - i);
        poll(n * count);
        some_rows(in, out, n, count, first, local);
        i += n, in += n * lanes_.step[0], out += n * lanes_.step[1];
      }
      for (int64_t k = 0; k < count; ++k) {
        before[k] = move_on(before[k], local[k]);
      }
    }
  }
  void some_rows(const T* in, T* out, int64_t n, int64_t count, const C* before, C* local) const {
    if constexpr (is_half<T>) {
      C wide_in[most_converted], wide_out[most_converted];
      const HalfChains from(Chains<const T>{in, 1, lanes_.step[0]}, n, count);
      const HalfChains to(Chains<T>{out, 1, lanes_.step[1]}, n, count);
      const auto ins = from.template as_floats<const C>(wide_in);
      const auto outs = to.template as_floats<C>(wide_out);
      from.load(wide_in);
      for (int64_t i = 0; i < n; ++i) {
        row(ins.first + i * ins.pitch, outs.first + i * outs.pitch, count, before, local);
      }
      to.store(wide_out);
    } else {
      row(in, out, count, before, local);
    }
  }
  template <typename V>
  static void row(const V* in, V* out, int64_t count, const C* before, C* local) {
    int64_t k = 0;
    for (; k + 8 <= count; k += 8) { // a fixed number of them becomes vector instructions
      C next[8];
      for (int l = 0; l < 8; ++l) {
        next[l] = Op::combine(local[k + l], static_cast<C>(in[k + l]));
      }
      for (int l = 0; l < 8; ++l) {
        local[k + l] = next[l];
      }
      for (int l = 0; l < 8; ++l) {
        out[k + l] = static_cast<V>(Op::rounds ? Op::combine(before[k + l], next[l]) : next[l]);
      }
    }
    for (; k < count; ++k) {
      local[k] = Op::combine(local[k], static_cast<C>(in[k]));
      out[k] = static_cast<V>(Op::rounds ? Op::combine(before[k], local[k]) : local[k]);
    }
  }

  // A few long lanes: totals of all blocks, what they add up to in front of each, then the blocks, four side by side.
  void run_in_blocks(int64_t blocks, int64_t count) {
    std::unique_ptr<B[]> before(new B[static_cast<size_t>(count * blocks)]);
    auto each_group = [&](auto body) {
      int64_t groups = (blocks + 3) / 4;
      parallel_items(count * groups, 4 * block_length, [&](int64_t i) {
        int64_t lane = i / groups, b = i % groups * 4;
        B* slots = before.get() + lane * blocks + b;
        if ((b + 4) * block_length <= length_) {
          return body(std::integral_constant<int, 4>(), lane, b, slots);
        }
        for (; b < blocks; ++b) {
          body(std::integral_constant<int, 1>(), lane, b, slots++);
        }
      });
    };
    auto scan_some = [&](auto width, auto store, int64_t lane, int64_t b, B(&carried)[decltype(width)::value]) {
      auto [from, to] = lanes_.offsets(lane / lanes_.width, lane % lanes_.width);
      const int64_t in_pitch = block_length * lanes_.step[0], out_pitch = block_length * lanes_.step[1];
      scan_chains<width, store>({in_ + from + b * in_pitch, lanes_.step[0], in_pitch},
          {out_ + to + b * out_pitch, lanes_.step[1], out_pitch}, std::min(block_length, length_ - b * block_length),
          carried);
    };
    each_group([&](auto width, int64_t lane, int64_t b, B* slots) {
      B totals[width];
      std::fill_n(totals, width(), B(identity()));
      scan_some(width, std::false_type(), lane, b, totals);
      std::copy_n(totals, width(), slots);
    });
    for (int64_t lane = 0; lane < count; ++lane) {
      B sum = B(identity());
      for (int64_t b = 0; b < blocks; ++b) {
        B& slot = before[static_cast<size_t>(lane * blocks + b)];
        sum = joined(sum, std::exchange(slot, sum));
      }
      if (!inclusive_) {
        auto [from, to] = lanes_.offsets(lane / lanes_.width, lane % lanes_.width);
        out_[to - lanes_.step[1]] = static_cast<T>(identity());
      }
    }
    each_group([&](auto width, int64_t lane, int64_t b, B* slots) {
      B carried[width];
      std::copy_n(slots, width(), carried);
      scan_some(width, std::true_type(), lane, b, carried);
    });
  }

  const Lanes<2>& lanes_;
  const T* in_;
  T* out_;
  bool inclusive_;
  int64_t length_; // of what is combined
  ScanRows by_vectors_;
};

} // namespace

void scan(ScanOp op, Dtype dtype, const void* in, Ints shape, Ints strides, int axis, bool reverse, bool inclusive,
    void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, reverse, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  const ScanRows by_vectors = find_scan_rows(op, dtype);
  auto run = [&]<typename Op, typename T>(std::type_identity<Op>, std::type_identity<T>) {
    Scanner<Op, T>(lanes, static_cast<const T*>(in), inclusive, static_cast<T*>(out), by_vectors).run();
  };
  switch (op) {
    case ScanOp::sum:
      return with_wrapping_type(dtype, [&]<typename T>(std::type_identity<T> t) {
        if constexpr (!std::is_same_v<T, bool>) {
          run(std::type_identity<Sum<T>>(), t);
        }
      });
    case ScanOp::prod:
      return with_wrapping_type(
          dtype, [&]<typename T>(std::type_identity<T> t) { run(std::type_identity<Prod<T>>(), t); });
    case ScanOp::max:
      return with_type(
          dtype, [&]<typename T>(std::type_identity<T> t) { run(std::type_identity<Extremum<T, true>>(), t); });
    case ScanOp::min:
      return with_type(
          dtype, [&]<typename T>(std::type_identity<T> t) { run(std::type_identity<Extremum<T, false>>(), t); });
  }
}

} // namespace mlx::core::cpu
