// Fourier transforms along one axis: which way the transforms of an array go, and threads.
#include "mlx_core/cpu/fft.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/fft_kernels.h"
#include "mlx_core/cpu/lanes.h"

namespace mlx::core::cpu {

namespace {

// A transform of at least this many elements is worth several threads.
constexpr int64_t divided_length = 1 << 14;
constexpr size_t most_kept_bytes = 4 << 20;
constexpr int64_t most_line_bytes = 4608, most_near_bytes = 1 << 20; // of results

// Aligned memory of a thread: what is not too much is kept for the next call, the rest is the allocator's.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : bytes_((static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64 + 64) {
    if (bytes_ > most_kept_bytes) {
      large_ = allocate(bytes_);
      return;
    }
    Kept& kept = kept_of_thread();
    if (kept.bytes >= bytes_) {
      memory_ = std::move(kept.memory), bytes_ = kept.bytes, kept.bytes = 0;
    } else {
      memory_.reset(static_cast<char*>(std::aligned_alloc(64, bytes_)));
      if (!memory_) {
        throw std::bad_alloc();
      }
    }
  }
  ~Scratch() {
    Kept& kept = kept_of_thread();
    if (memory_ && bytes_ > kept.bytes) {
      kept.memory = std::move(memory_), kept.bytes = bytes_;
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() const { return static_cast<T*>(large_ ? large_->data : static_cast<void*>(memory_.get())); }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  using Memory = std::unique_ptr<char, Free>;
  struct Kept {
    Memory memory;
    size_t bytes = 0;
  };
  static Kept& kept_of_thread() {
    static thread_local Kept kept;
    return kept;
  }
  size_t bytes_;
  Memory memory_;
  BufferRef large_;
};

template <typename T>
struct Transforms {
  FftTask<T> task;
  const FftKernels<T>& kernels;
  Lanes<2> lanes; // of in and out, in elements
  const T* in;
  T* out;
  int in_parts, out_parts; // T's of an element: 2 of complex ones
  int64_t in_length, out_length;

  template <size_t which>
  int64_t place(int64_t i) const {
    return lanes.outer == 1 ? lanes.start[which] + i * lanes.pitch[which]
                            : lanes.offsets(i / lanes.width, i % lanes.width)[which];
  }
  const T* input(int64_t i) const { return in + place<0>(i) * in_parts; }
  T* output(int64_t i) const { return out + place<1>(i) * out_parts; }

  void side_by_side() const {
    const int64_t count = lanes.outer * lanes.width, most = kernels.lanes;
    const bool in_adjacent = lanes.pitch[0] == 1 && lanes.width > 1,
               out_adjacent = lanes.pitch[1] == 1 && lanes.width > 1;
    const bool by_group = in_adjacent || out_adjacent; // lanes of one group
    const int64_t per_group = (lanes.width + most - 1) / most;
    const int64_t steps = by_group ? lanes.outer * per_group : (count + most - 1) / most;
    parallel_items(steps, most * task.plan.n * 8, [&](int64_t step) {
      int64_t first = step * most, lanes_here = std::min(most, count - first);
      if (by_group) {
        first = step / per_group * lanes.width + step % per_group * most;
        lanes_here = std::min(most, lanes.width - step % per_group * most);
      }
      FftLanes<T, const T*> from{{}, lanes.step[0] * in_parts, in_adjacent};
      FftLanes<T, T*> to{{}, lanes.step[1] * out_parts, out_adjacent};
      for (int64_t l = 0; l < lanes_here; ++l) {
        from.lane[static_cast<size_t>(l)] = input(first + l);
        to.lane[static_cast<size_t>(l)] = output(first + l);
      }
      if (lanes.step[0] == 1 && !by_group && first + lanes_here < count) { // the next ones come from memory meanwhile
        for (int64_t l = 0, next = first + lanes_here; l < most && next + l < count; ++l) {
          const T* row = input(next + l);
          for (int64_t at = 0; at < in_length * in_parts; at += 64 / static_cast<int64_t>(sizeof(T))) {
            __builtin_prefetch(row + at, 0, 2);
          }
        }
      }
      Scratch<T> scratch(kernels.scratch(task.plan, 1));
      kernels.side_by_side(task, static_cast<int>(lanes_here), from, to, scratch.get());
    });
  }

  void rows(int64_t at_once) const {
    const int64_t count = lanes.outer * lanes.width;
    parallel_items((count + at_once - 1) / at_once, at_once * task.plan.n * 8, [&](int64_t step) {
      Scratch<T> scratch(kernels.scratch(task.plan, 1));
      std::array<const T*, 16> from;
      std::array<T*, 16> to;
      const int64_t first = step * at_once, here = std::min(at_once, count - first);
      for (int64_t i = 0; i < here; ++i) {
        from[static_cast<size_t>(i)] = input(first + i), to[static_cast<size_t>(i)] = output(first + i);
      }
      kernels.rows(task, static_cast<int>(here), from.data(), to.data(), scratch.get());
    });
  }

  void one_by_one() const {
    const int64_t count = lanes.outer * lanes.width;
    const bool divided = task.plan.node.n >= divided_length && count < thread_count();
    const int threads = divided ? thread_count() : 1;
    const int64_t row = (in_length * in_parts + 15) / 16 * 16, out_row = (out_length * out_parts + 15) / 16 * 16;
    // Where what is read and written is in no near cache and the first-level one has room for two transforms, the next
    // one's lines come in as this one's are used.
    const int64_t out_bytes = out_row * static_cast<int64_t>(sizeof(T));
    const bool by_lines = lanes.step[0] == 1 && lanes.step[1] == 1 && out_bytes <= most_line_bytes &&
                          count * out_bytes >= most_near_bytes && !task.plan.convolves();
    auto transform = [&](int64_t i) {
      const int64_t own = kernels.scratch(task.plan, threads);
      Scratch<T> scratch(own + row + out_row + 32);
      const T* from = input(i);
      T* to = output(i);
      T *copied = scratch.get() + (own + 15) / 16 * 16, *result = copied + row;
      if (lanes.step[0] != 1) {
        copy_strided(from, Strides1{lanes.step[0]}.ints(), copied, Strides1{1}.ints(), Strides1{in_length}.ints(),
            in_parts * static_cast<int>(sizeof(T)));
        from = copied;
      }
      FftTask<T> own_task = task;
      if (i + 1 < count && by_lines) {
        own_task.next_in = input(i + 1) - from, own_task.next_out = output(i + 1) - to;
      } else if (i + 1 < count && lanes.step[0] == 1 && row <= 4096) { // the next one comes from memory meanwhile
        const T* next = input(i + 1);
        for (int64_t at = 0; at < row; at += 64 / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(next + at, 0, 2);
      }
      kernels.one(own_task, from, lanes.step[1] == 1 ? to : result, scratch.get(), threads);
      if (lanes.step[1] != 1) {
        copy_strided(result, Strides1{1}.ints(), to, Strides1{lanes.step[1]}.ints(), Strides1{out_length}.ints(),
            out_parts * static_cast<int>(sizeof(T)));
      }
    };
    if (divided) {
      for (int64_t i = 0; i < count; ++i) transform(i);
    } else {
      parallel_items(count, task.plan.node.n * 8, transform);
    }
  }

  void run() const {
    const bool neighbours = lanes.step[0] == 1 && lanes.step[1] == 1;
    const bool adjacent = lanes.pitch[0] == 1 && lanes.pitch[1] == 1 && 2 * lanes.width >= kernels.lanes;
    const int64_t at_once = neighbours ? kernels.rows_at_once(task) : 0;
    if (at_once > 0) {
      rows(at_once);
    } else if (task.plan.convolves() || (!task.plan.node.is_leaf() && (neighbours || !adjacent) && !fills_lanes())) {
      one_by_one();
    } else {
      side_by_side();
    }
  }

 private:
  // Whether vectors are better filled with one number of each of several transforms than with several of one; what is
  // done of as many stays in the second-level cache.
  bool fills_lanes() const {
    constexpr int64_t longest = 1400;
    constexpr double much = 1.2;
    const int64_t count = lanes.outer * lanes.width, most = kernels.lanes, steps = (count + most - 1) / most;
    return task.plan.node.n <= longest && task.plan.node.lanes_for_one(kernels.lanes) * static_cast<double>(count) >
                                              much * static_cast<double>(steps * most);
  }

  struct Strides1 {
    int64_t value;
    Ints ints() const { return Ints(&value, 1); }
  };
};

template <typename T>
void transform(Dtype in_dtype, const T* in, Ints shape, Ints strides, int axis, bool inverse, double scale,
    Dtype out_dtype, int64_t out_length, T* out) {
  std::vector<int64_t> out_shape(shape.begin(), shape.end());
  const int64_t in_length = out_shape[static_cast<size_t>(axis)];
  out_shape[static_cast<size_t>(axis)] = out_length;
  std::vector<int64_t> out_strides = row_major(out_shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty() || out_length == 0) {
    return;
  }
  FftKind kind = !in_dtype.is_complex()    ? FftKind::from_real
                 : !out_dtype.is_complex() ? FftKind::to_real
                                           : FftKind::complex;
  auto plan = fft_plan<T>(kind == FftKind::to_real ? out_length : in_length, kind != FftKind::complex);
  Transforms<T>{{*plan, kind, inverse, static_cast<T>(scale)}, fft_kernels(T()), lanes, in, out,
      in_dtype.is_complex() ? 2 : 1, out_dtype.is_complex() ? 2 : 1, in_length, out_length}
      .run();
}

} // namespace

template <typename T>
void transform_spectrum(FftPlan<T>& plan) {
  const FftKernels<T>& kernels = fft_kernels(T());
  Scratch<T> scratch(kernels.scratch(plan, 1));
  kernels.node(plan, plan.spectrum.data(), plan.spectrum.data(), T(1) / static_cast<T>(plan.node.n), scratch.get());
}
template void transform_spectrum(FftPlan<float>& plan);
template void transform_spectrum(FftPlan<double>& plan);

void fft(Dtype in_dtype, const void* in, Ints shape, Ints strides, int axis, bool inverse, double scale,
    Dtype out_dtype, int64_t out_length, void* out) {
  if (real_of(in_dtype) == float64) {
    transform(in_dtype, static_cast<const double*>(in), shape, strides, axis, inverse, scale, out_dtype, out_length,
        static_cast<double*>(out));
  } else {
    transform(in_dtype, static_cast<const float*>(in), shape, strides, axis, inverse, scale, out_dtype, out_length,
        static_cast<float*>(out));
  }
}

} // namespace mlx::core::cpu
