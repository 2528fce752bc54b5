// Running sums, products and extrema along lanes that run side by side; a few long lanes are cut into blocks.
#include "mlx_core/cpu/scan.h"

#include <limits>
#include <memory>
#include <utility>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// Short, for a sum within a block is off by a rounding of every element. No power of two: neighbouring blocks should
// not share the sets of a cache.
constexpr int64_t block_length = 52;

// What the blocks in front add up to: with twice the digits of float32, or a chain of 10^8 elements would lose five
// decimals.
template <typename C>
struct CarriedSum {
  using type = C;
};
template <>
struct CarriedSum<float> {
  using type = double;
};
template <>
struct CarriedSum<complex64_t> {
  using type = complex128_t;
};

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

// y_i = before + local_i, where local sums begin anew in each block and `before` is the sum of the blocks in front,
// rounded: when sums round, this is the order for every layout. The other operations give the same bits in any order.
template <typename Op, typename T>
class Scanner {
 public:
  using C = typename Op::Carried;
  using B = typename Op::Before;
  Scanner(const Lanes<2>& lanes, const T* in, bool inclusive, T* out)
      : lanes_(lanes), in_(in), out_(out), inclusive_(inclusive), length_(lanes.length) {
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
    int64_t groups = (lanes_.width + 3) / 4;
    parallel_items(lanes_.outer * groups, 4 * lanes_.length, [&](int64_t i) {
      int64_t w = i % groups * 4;
      if (w + 4 <= lanes_.width) {
        return rows<4>(i / groups, w);
      }
      for (; w < lanes_.width; ++w) {
        rows<1>(i / groups, w);
      }
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

  // W lanes from w on, side by side since each element waits for the one before it.
  template <int W>
  void rows(int64_t o, int64_t w) {
    auto [from, to] = lanes_.offsets(o, w);
    B before[W];
    std::fill_n(before, W, B(identity()));
    if (!inclusive_) {
      for (int k = 0; k < W; ++k) {
        out_[to + k * lanes_.pitch[1] - lanes_.step[1]] = static_cast<T>(identity());
      }
    }
    InterruptPoll poll(looks_after);
    for (int64_t i = 0; i < length_;) {
      // What does not round goes on from `before` as if there were no piece.
      int64_t n = std::min(shorter(length_ - i), looks_after);
      poll(n);
      chains<W, true>(
          in_ + from + i * lanes_.step[0], lanes_.pitch[0], out_ + to + i * lanes_.step[1], lanes_.pitch[1], n, before);
      i += n;
    }
  }

  // W chains of n elements; what comes `before` each is moved on past it. Without store only that.
  template <int W, bool store>
  void chains(const T* in, int64_t in_pitch, T* out, int64_t out_pitch, int64_t n, B (&before)[W]) {
    const int64_t in_step = lanes_.step[0], out_step = lanes_.step[1];
    const T* ins[W];
    T* outs[W];
    C local[W], first[W];
    for (int k = 0; k < W; ++k) {
      ins[k] = in + k * in_pitch;
      outs[k] = out + k * out_pitch;
      first[k] = static_cast<C>(before[k]);
      local[k] = Op::rounds ? identity() : first[k];
    }
    for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 4
      for (int k = 0; k < W; ++k) {
        local[k] = Op::combine(local[k], static_cast<C>(ins[k][i * in_step]));
        if constexpr (store) {
          outs[k][i * out_step] = static_cast<T>(Op::rounds ? Op::combine(first[k], local[k]) : local[k]);
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
      for (int64_t end = i + shorter(length_ - i); i < end; ++i, in += lanes_.step[0], out += lanes_.step[1]) {
        poll(count);
        row(in, out, count, first, local);
      }
      for (int64_t k = 0; k < count; ++k) {
        before[k] = move_on(before[k], local[k]);
      }
    }
  }
  static void row(const T* in, T* out, int64_t count, const C* before, C* local) {
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
        out[k + l] = static_cast<T>(Op::rounds ? Op::combine(before[k + l], next[l]) : next[l]);
      }
    }
    for (; k < count; ++k) {
      local[k] = Op::combine(local[k], static_cast<C>(in[k]));
      out[k] = static_cast<T>(Op::rounds ? Op::combine(before[k], local[k]) : local[k]);
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
    auto scan_blocks = [&](auto width, auto store, int64_t lane, int64_t b, B(&carried)[decltype(width)::value]) {
      auto [from, to] = lanes_.offsets(lane / lanes_.width, lane % lanes_.width);
      const int64_t in_pitch = block_length * lanes_.step[0], out_pitch = block_length * lanes_.step[1];
      chains<width, store>(in_ + from + b * in_pitch, in_pitch, out_ + to + b * out_pitch, out_pitch,
          std::min(block_length, length_ - b * block_length), carried);
    };
    each_group([&](auto width, int64_t lane, int64_t b, B* slots) {
      B totals[width];
      std::fill_n(totals, width(), B(identity()));
      scan_blocks(width, std::false_type(), lane, b, totals);
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
      scan_blocks(width, std::true_type(), lane, b, carried);
    });
  }

  const Lanes<2>& lanes_;
  const T* in_;
  T* out_;
  bool inclusive_;
  int64_t length_; // of what is combined
};

} // namespace

void scan(ScanOp op, Dtype dtype, const void* in, Ints shape, Ints strides, int axis, bool reverse, bool inclusive,
    void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, reverse, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  auto run = [&]<typename Op, typename T>(std::type_identity<Op>, std::type_identity<T>) {
    Scanner<Op, T>(lanes, static_cast<const T*>(in), inclusive, static_cast<T*>(out)).run();
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
