// Fourier transforms along an axis. A threadgroup transforms a lane in its memory, pass by pass: with radix r, m groups
// and stride s (length = r m s) the transform of elements q + s (p + m k), k < r, times exp(-2 pi i p k / (r m)), goes to
// q + s (r p + k). The host passes exp(-2 pi i k / length), rounded once. Of real lanes half of the outputs, or inputs,
// are there; the others are their conjugates.
#include <metal_stdlib>
using namespace metal;

#include "complex.h"
#include "layout.h"

constant constexpr uint most_fft = mlx_arguments::most_fft, largest_fft_radix = mlx_arguments::largest_fft_radix;

inline complex64_t turned(complex64_t z) { return make_complex64(z.im, -z.re); } // times -i

// r values, in place.
inline void small_transform(thread complex64_t* x, uint r, uint length, constant complex64_t* roots) {
  if (r == 2) {
    const complex64_t a = x[0], b = x[1];
    x[0] = a + b;
    x[1] = a - b;
  } else if (r == 4) {
    const complex64_t a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = turned(x[1] - x[3]);
    x[0] = a + c;
    x[1] = b + d;
    x[2] = a - c;
    x[3] = b - d;
  } else { // odd: pairs of outputs share their sums
    const uint pairs = r / 2, apart = length / r;
    complex64_t sums[largest_fft_radix / 2], differences[largest_fft_radix / 2];
    const complex64_t first = x[0];
    complex64_t total = first;
    for (uint k = 0; k < pairs; ++k) {
      sums[k] = x[k + 1] + x[r - 1 - k];
      differences[k] = turned(x[k + 1] - x[r - 1 - k]);
      total = total + sums[k];
    }
    for (uint j = 1; j <= pairs; ++j) {
      complex64_t even = first, odd = make_complex64(0.0f, 0.0f);
      for (uint k = 1; k <= pairs; ++k) {
        const complex64_t root = roots[j * k % r * apart];
        even = even + make_complex64(root.re * sums[k - 1].re, root.re * sums[k - 1].im);
        odd = odd - make_complex64(root.im * differences[k - 1].re, root.im * differences[k - 1].im);
      }
      x[j] = even + odd;
      x[r - j] = even - odd;
    }
    x[0] = total;
  }
}

inline complex64_t to_complex(float x) { return make_complex64(x, 0.0f); }
inline complex64_t to_complex(complex64_t z) { return z; }
inline void put(device float* to, complex64_t z) { *to = z.re; }
inline void put(device complex64_t* to, complex64_t z) { *to = z; }

template <typename In, typename Out>
[[kernel, max_total_threads_per_threadgroup(256)]] void fft(device const In* in [[buffer(0)]],
    device Out* out [[buffer(1)]], constant mlx_arguments::Fft& a [[buffer(2)]],
    constant complex64_t* roots [[buffer(3)]], uint lane [[threadgroup_position_in_grid]],
    uint thread_number [[thread_index_in_threadgroup]], uint threads [[threads_per_threadgroup]]) {
  threadgroup complex64_t memory[2 * most_fft];
  threadgroup complex64_t* from = memory;
  threadgroup complex64_t* to = memory + most_fft;
  device const In* row = in + a.from + offset_of(a.in, lane);
  const bool halved = a.given < a.length; // conjugates are missing
  for (uint j = thread_number; j < a.given; j += threads) {
    complex64_t z = to_complex(row[long(j) * a.step_from]);
    if (halved && (j == 0 || 2 * j == a.length)) {
      z.im = 0.0f;
    }
    z.im = a.inverse ? -z.im : z.im;
    from[j] = z;
    if (halved && j > 0 && 2 * j != a.length) {
      from[a.length - j] = make_complex64(z.re, -z.im);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  uint stride = 1, rest = a.length;
  for (uint pass = 0; pass < a.passes; ++pass) {
    const uint r = a.radices[pass], groups = rest / r;
    for (uint number = thread_number; number < groups * stride; number += threads) {
      const uint p = number / stride, q = number - p * stride;
      complex64_t x[largest_fft_radix];
      for (uint k = 0; k < r; ++k) {
        x[k] = from[q + stride * (p + groups * k)];
      }
      small_transform(x, r, a.length, roots);
      to[q + stride * r * p] = x[0];
      for (uint k = 1; k < r; ++k) {
        to[q + stride * (r * p + k)] = p == 0 ? x[k] : x[k] * roots[p * k * stride];
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    threadgroup complex64_t* other = from;
    from = to;
    to = other;
    stride *= r;
    rest = groups;
  }
  device Out* result = out + offset_of(a.out, lane);
  for (uint k = thread_number; k < a.wanted; k += threads) {
    complex64_t z = from[k];
    put(result + long(k) * a.step_to, make_complex64(z.re * a.scale, (a.inverse ? -z.im : z.im) * a.scale));
  }
}

#define ONE(name, In, Out) template [[host_name("fft_" #name)]] [[kernel]] decltype(fft<In, Out>) fft<In, Out>;
ONE(complex, complex64_t, complex64_t)
ONE(from_real, float, complex64_t)
ONE(to_real, complex64_t, float)
