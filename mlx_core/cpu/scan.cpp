// Running sums, products and extrema. A lane is cut into blocks: the blocks' totals are carried along first, then every block is
// scanned by itself and combined with what it was carried. One order for every layout and number of threads.
#include "mlx_core/cpu/scan.h"

#include <limits>
#include <memory>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/lanes.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t block_length = 1024;
constexpr int64_t strip = 256; // adjacent lanes at once

template <typename T>
struct Sum {
  using Carried = Wide<T>;
  static constexpr bool in_blocks = true;
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
  // A block's product may overflow where the whole product, which has met a 0 or small numbers, does not.
  static constexpr bool in_blocks = std::is_integral_v<T>;
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
  static constexpr bool in_blocks = true;
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

// `identity` is what a lane starts from; carries[lane * blocks + b] is what comes before block b of a lane.
template <typename Op, typename T>
class Scanner {
 public:
  using C = typename Op::Carried;
  Scanner(const Lanes<2>& lanes, const T* in, bool inclusive, T* out)
      : lanes_(lanes), in_(in), out_(out), inclusive_(inclusive) {
    block_ = Op::in_blocks ? block_length : lanes.length;
    blocks_ = (lanes.length + block_ - 1) / block_;
  }

  void run() {
    int64_t count = lanes_.outer * lanes_.width;
    carries_.reset(new C[static_cast<size_t>(count * blocks_)]);
    if (blocks_ > 1) {
      pass<Pass::totals>();
    }
    for (int64_t lane = 0; lane < count; ++lane) {
      C* carry = carries_.get() + lane * blocks_;
      carry[0] = Op::identity(inclusive_);
      for (int64_t b = 1; b < blocks_; ++b) {
        carry[b] = Op::combine(carry[b - 1], carry[b]);
      }
    }
    pass<Pass::results>();
  }

 private:
  // The total of each block but the last, as the next one's carry; then the results.
  enum class Pass { totals, results };
  template <Pass wanted>
  void pass() {
    int64_t last = wanted == Pass::results ? blocks_ : blocks_ - 1, width = lanes_.width;
    if (lanes_.adjacent()) {
      int64_t strips = (width + strip - 1) / strip;
      parallel_items(lanes_.outer * last * strips, std::min(width, strip) * std::min(block_, lanes_.length), [&](int64_t i) {
        int64_t w = i % strips * strip;
        columns<wanted>(i / strips / last, w, std::min(strip, width - w), i / strips % last);
      });
      return;
    }
    // Four chains at once, since each waits for itself: neighbouring blocks of a lane, or the same block of four lanes.
    bool along = last >= 4;
    int64_t lane_groups = along ? width : (width + 3) / 4, block_groups = along ? (last + 3) / 4 : last;
    parallel_items(lanes_.outer * lane_groups * block_groups, 4 * std::min(block_, lanes_.length), [&](int64_t i) {
      int64_t b = i % block_groups * (along ? 4 : 1), w = i / block_groups % lane_groups * (along ? 1 : 4);
      int64_t o = i / block_groups / lane_groups;
      if (along) {
        int64_t full = std::min(last, lanes_.length / block_);
        b + 4 <= full ? chains<wanted, 4>(o, w, b, true) : each<wanted>(o, w, b, std::min<int64_t>(4, last - b), true);
      } else {
        w + 4 <= width ? chains<wanted, 4>(o, w, b, false) : each<wanted>(o, w, b, width - w, false);
      }
    });
  }
  template <Pass wanted>
  void each(int64_t o, int64_t w, int64_t b, int64_t count, bool along) {
    for (int64_t k = 0; k < count; ++k) {
      chains<wanted, 1>(o, along ? w : w + k, along ? b + k : b, along);
    }
  }

  C* carry_of(int64_t o, int64_t w, int64_t b) { return carries_.get() + (o * lanes_.width + w) * blocks_ + b; }

  // Where block b starts in both arrays, and how many elements it combines. An exclusive scan is the inclusive one of all elements
  // but the last, written one place further on, behind the carry.
  struct Block {
    const T* in;
    T* out;
    int64_t length;
  };
  Block block_at(int64_t o, int64_t w, int64_t b, Pass wanted) const {
    auto [from, to] = lanes_.offsets(o, w);
    Block block{
        in_ + from + b * block_ * lanes_.step[0], out_ + to + b * block_ * lanes_.step[1],
        std::min(block_, lanes_.length - b * block_)};
    if (wanted == Pass::results && !inclusive_) {
      block.out += lanes_.step[1];
      --block.length;
    }
    return block;
  }

  // W blocks of a lane from b on, or block b of W lanes from w on.
  template <Pass wanted, int W>
  void chains(int64_t o, int64_t w, int64_t b, bool along) {
    auto [in, out, n] = block_at(o, w, b, wanted);
    const int64_t in_step = lanes_.step[0], out_step = lanes_.step[1], carry_pitch = along ? 1 : blocks_;
    const int64_t in_pitch = along ? block_ * in_step : lanes_.pitch[0];
    const int64_t out_pitch = along ? block_ * out_step : lanes_.pitch[1];
    C* carry = carry_of(o, w, b);
    C acc[W], before[W];
    for (int k = 0; k < W; ++k) {
      acc[k] = Op::identity(inclusive_);
      if constexpr (wanted == Pass::results) {
        before[k] = carry[k * carry_pitch];
        if (!inclusive_) {
          out[k * out_pitch - out_step] = static_cast<T>(before[k]);
        }
      }
    }
    for (int64_t i = 0; i < n; ++i, in += in_step, out += out_step) {
      for (int k = 0; k < W; ++k) {
        acc[k] = Op::combine(acc[k], static_cast<C>(in[k * in_pitch]));
        if constexpr (wanted == Pass::results) {
          out[k * out_pitch] = static_cast<T>(Op::combine(before[k], acc[k]));
        }
      }
    }
    if constexpr (wanted == Pass::totals) {
      for (int k = 0; k < W; ++k) {
        carry[k * carry_pitch + 1] = acc[k];
      }
    }
  }

  // Block b of `count` adjacent lanes, row by row.
  template <Pass wanted>
  void columns(int64_t o, int64_t w, int64_t count, int64_t b) {
    auto [in, out, n] = block_at(o, w, b, wanted);
    const int64_t in_step = lanes_.step[0], out_step = lanes_.step[1];
    C* carry = carry_of(o, w, b);
    C acc[strip], before[strip];
    for (int64_t k = 0; k < count; ++k) {
      acc[k] = Op::identity(inclusive_);
      if constexpr (wanted == Pass::results) {
        before[k] = carry[k * blocks_];
        if (!inclusive_) {
          out[k - out_step] = static_cast<T>(before[k]);
        }
      }
    }
    for (int64_t i = 0; i < n; ++i, in += in_step, out += out_step) {
      auto elements = [&, in = in, out = out](int64_t k, auto width) { // a fixed number of them becomes vector instructions
        C next[width];
        for (int l = 0; l < width; ++l) {
          next[l] = Op::combine(acc[k + l], static_cast<C>(in[k + l]));
        }
        for (int l = 0; l < width; ++l) {
          acc[k + l] = next[l];
          if constexpr (wanted == Pass::results) {
            out[k + l] = static_cast<T>(Op::combine(before[k + l], next[l]));
          }
        }
      };
      int64_t k = 0;
      for (; k + 8 <= count; k += 8) {
        elements(k, std::integral_constant<int, 8>());
      }
      for (; k < count; ++k) {
        elements(k, std::integral_constant<int, 1>());
      }
    }
    if constexpr (wanted == Pass::totals) {
      for (int64_t k = 0; k < count; ++k) {
        carry[k * blocks_ + 1] = acc[k];
      }
    }
  }

  const Lanes<2>& lanes_;
  const T* in_;
  T* out_;
  bool inclusive_;
  int64_t block_, blocks_;
  std::unique_ptr<C[]> carries_;
};

} // namespace

void scan(
    ScanOp op, Dtype dtype, const void* in, Ints shape, Ints strides, int axis, bool reverse, bool inclusive, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, reverse, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    auto run = [&]<typename Op>(std::type_identity<Op>) {
      Scanner<Op, T>(lanes, static_cast<const T*>(in), inclusive, static_cast<T*>(out)).run();
    };
    switch (op) {
      case ScanOp::sum:
        if constexpr (!std::is_same_v<T, bool>) {
          run(std::type_identity<Sum<T>>());
        }
        return;
      case ScanOp::prod: return run(std::type_identity<Prod<T>>());
      case ScanOp::max: return run(std::type_identity<Extremum<T, true>>());
      case ScanOp::min: return run(std::type_identity<Extremum<T, false>>());
    }
  });
}

} // namespace mlx::core::cpu
