// Launch functions run on the stand-in: an Encoder that runs each dispatch at once, arrays with all kinds of layouts,
// and comparisons. No device library takes part.
#pragma once

#include <complex>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "metal/arguments.h"
#include "mlx_core/gpu/launch.h"
#include "runner.h"

namespace launching {

using namespace mlx::core;
namespace runner = mlx::core::metal_emulator;

// Guarded memory as a Buffer, filled with what no test expects.
class Memory {
 public:
  explicit Memory(size_t bytes) {
    bytes = (bytes + 63) / 64 * 64; // buffers of a device have such lengths; the runner checks to the byte
    buffer_.data = runner::allocate_guarded(bytes ? bytes : 64);
    buffer_.size = bytes;
    std::memset(buffer_.data, 0xa5, bytes);
  }
  Memory(const Memory&) = delete;
  ~Memory() { runner::free_guarded(buffer_.data); }
  Buffer* get() { return &buffer_; }

 private:
  Buffer buffer_;
};

class Encoder final : public gpu::Encoder {
 public:
  Encoder() : errors_(std::make_unique<Memory>(4 * mlx_arguments::error_words)) {
    std::memset(errors_->get()->data, 0, errors_->get()->size);
  }
  void kernel(
      std::string_view library, const std::string& name, std::span<const gpu::FunctionConstant> constants) override;
  void kernel_of_text(std::string_view, const std::function<std::string()>&, const std::string&, MathMode) override {
    throw std::runtime_error("not here");
  }
  uint32_t most_threads() const override {
    return static_cast<uint32_t>(function_->max_total_threads_per_threadgroup());
  }
  void read(int slot, const View& view) override { bind(slot, view); }
  void write(int slot, const View& view) override { bind(slot, view); }
  void bytes(int slot, const void* data, size_t size) override {
    Memory& copy = kept_.emplace_back(size);
    std::memcpy(copy.get()->data, data, size);
    dispatch_.buffers[slot] = {copy.get()->data, size};
  }
  void threadgroup_memory(int slot, size_t size) override {
    dispatch_.threadgroup_bytes[slot] = static_cast<uint32_t>(size);
  }
  void dispatch_threads(gpu::Grid threads, gpu::Grid group) override { go(threads, group); }
  void dispatch_groups(gpu::Grid groups, gpu::Grid group) override {
    go({groups.x * group.x, groups.y * group.y, groups.z * group.z}, group);
  }
  View scratch(Dtype dtype, int64_t elements) override {
    Memory& memory = kept_.emplace_back(static_cast<size_t>(elements * dtype.size()));
    return {memory.get(), 0, nullptr, dtype, {elements}, {1}};
  }
  View index_errors() override {
    return {errors_->get(), 0, nullptr, uint32, {int64_t{mlx_arguments::error_words}}, {1}};
  }
  const uint32_t* errors() { return static_cast<const uint32_t*>(errors_->get()->data); }

  int dispatches = 0;
  // Kernels of a library that no Encoder of this program has run.
  static std::vector<std::string> never_run(const std::string& library);

 private:
  void bind(int slot, const View& view) {
    if (view.buffer) {
      if (view.offset < 0 || static_cast<size_t>(view.offset) > view.buffer->size) {
        throw std::runtime_error("an offset outside of the buffer");
      }
      dispatch_.buffers[slot] = {
          static_cast<char*>(view.buffer->data) + view.offset, view.buffer->size - static_cast<size_t>(view.offset)};
    } else {
      if (!view.inline_value) throw std::runtime_error("an array without memory is bound");
      bytes(slot, view.inline_value, static_cast<size_t>(view.itemsize()));
    }
  }
  void go(gpu::Grid threads, gpu::Grid group);

  std::deque<Memory> kept_;
  std::unique_ptr<Memory> errors_;
  std::shared_ptr<const runner::Function> function_;
  runner::Dispatch dispatch_;
};

// To be a program's last test: all kernels of these files ran.
inline void check_all_ran(std::initializer_list<const char*> libraries) {
  for (const char* library : libraries) {
    for (const std::string& name : Encoder::never_run(library)) {
      check::fail(__FILE__, __LINE__, name + " of " + library + ".metal was not run");
    }
  }
}

// How an array lies in memory.
enum class Layout { rows, columns, backwards, spaced };
inline constexpr Layout layouts[] = {Layout::rows, Layout::columns, Layout::backwards, Layout::spaced};

// Elements in row-major order, and the same in memory.
template <typename T>
class Array {
 public:
  std::vector<T> elements;
  View view;

  Array(Sizes sizes, std::vector<T> values, Layout layout = Layout::rows) : elements(std::move(values)) {
    const auto ndim = sizes.size();
    Strides strides(sizes.begin(), sizes.end());
    int64_t stride = layout == Layout::spaced ? 2 : 1, first = layout == Layout::spaced ? 3 : 0;
    for (size_t i = 0; i < ndim; ++i) {
      size_t axis = layout == Layout::columns ? i : ndim - 1 - i;
      strides[axis] = stride;
      stride *= sizes[axis] + (layout == Layout::spaced && i == 0 ? 1 : 0);
      if (layout == Layout::backwards && sizes[axis] > 0) {
        first += (sizes[axis] - 1) * strides[axis];
        strides[axis] = -strides[axis];
      }
    }
    memory_ = std::make_shared<Memory>(static_cast<size_t>((stride + 4)) * sizeof(T));
    view = {elements.empty() ? nullptr : memory_->get(), first * int64_t{sizeof(T)}, nullptr, Dtype(dtype_of<T>::val),
        sizes, strides};
    for (size_t i = 0; i < elements.size(); ++i) at(static_cast<int64_t>(i)) = elements[i];
  }
  explicit Array(Sizes sizes) : Array(sizes, std::vector<T>(static_cast<size_t>(View::size_of(sizes)))) {
    std::memset(memory_->get()->data, 0xa5, memory_->get()->size);
  }
  // Element of that row-major number, where it lies.
  T& at(int64_t number) {
    int64_t offset = 0;
    for (size_t i = view.ndim(); i-- > 0;) {
      offset += number % view.sizes[i] * view.strides[i];
      number /= view.sizes[i];
    }
    return view.host<T>()[offset];
  }
  std::vector<T> read() {
    std::vector<T> all(elements.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = at(static_cast<int64_t>(i));
    return all;
  }

 private:
  std::shared_ptr<Memory> memory_;
};

// ---- values ----

template <typename T>
inline constexpr bool is_complex = false;
template <typename T>
inline constexpr bool is_complex<std::complex<T>> = true;
template <typename T>
inline constexpr bool is_16_bit = std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;
template <typename T>
inline constexpr bool is_inexact = is_complex<T> || is_16_bit<T> || std::is_floating_point_v<T>;

// In double, which is exact for all but integers of 64 bits.
template <typename T>
auto wide(T x) {
  if constexpr (is_complex<T>)
    return std::complex<double>(x);
  else if constexpr (is_16_bit<T>)
    return double{static_cast<float>(x)};
  else
    return static_cast<double>(x);
}
inline bool is_nan(double x) { return x != x; }
inline bool is_nan(std::complex<double> x) { return is_nan(x.real()) || is_nan(x.imag()); }
inline bool is_less(double a, double b) { return a < b; }
inline bool is_less(std::complex<double> a, std::complex<double> b) {
  return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
}
// Integers of 64 bits are compared as what they are.
template <typename T>
bool less_than(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return a < b;
  else
    return is_less(wide(a), wide(b));
}
template <typename T>
bool not_a_number(T x) {
  if constexpr (std::is_integral_v<T>)
    return false;
  else
    return is_nan(wide(x));
}
template <typename T>
bool comes_before(T a, T b) {
  if (not_a_number(a) || not_a_number(b)) return !not_a_number(a) && not_a_number(b);
  return less_than(a, b);
}

template <typename T>
T number(double x) {
  if constexpr (is_complex<T>)
    return T(static_cast<float>(x), static_cast<float>(1 - x));
  else if constexpr (is_16_bit<T>)
    return T(static_cast<float>(x));
  else if constexpr (std::is_same_v<T, bool>)
    return x > 0;
  else if constexpr (std::is_unsigned_v<T>)
    return static_cast<T>(static_cast<int64_t>(x * 100));
  else
    return static_cast<T>(std::is_integral_v<T> ? x * 100 : x);
}
// Of [-1, 1), integers a hundred times that, or `few` different ones.
template <typename T>
std::vector<T> random_numbers(int64_t count, uint32_t seed, int few = 0) {
  std::mt19937 random(seed);
  std::vector<T> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) {
    double x = double(random()) / 2147483648.0 - 1;
    out[i] = number<T>(few ? double(random() % static_cast<uint32_t>(few)) / few - 0.25 : x);
  }
  return out;
}
template <typename T>
void add_nans(std::vector<T>& values, uint32_t seed) {
  if constexpr (is_inexact<T>) {
    std::mt19937 random(seed);
    for (int i = 0; i < 3 && !values.empty(); ++i) {
      float nan = std::numeric_limits<float>::quiet_NaN();
      if constexpr (is_complex<T>)
        values[random() % values.size()] = i ? T(nan, 0) : T(0, nan);
      else
        values[random() % values.size()] = T(nan);
    }
  }
}

// f(a value of the type, its name), for the types that shaders have.
template <typename F>
void each_inexact_type(F f) {
  f(float{}), f(float16_t{}), f(bfloat16_t{}), f(std::complex<float>{});
}
template <typename F>
void each_integer_type(F f) {
  f(uint8_t{}), f(uint16_t{}), f(uint32_t{}), f(uint64_t{}), f(int8_t{}), f(int16_t{}), f(int32_t{}), f(int64_t{});
}
template <typename F>
void each_type(F f) {
  f(bool{}), each_integer_type(f), each_inexact_type(f);
}

// ---- comparison ----

inline std::string text(double x) { return std::to_string(x); }
inline std::string text(std::complex<double> x) { return text(x.real()) + "+" + text(x.imag()) + "j"; }

template <typename T>
bool same(T a, T b) {
  if (not_a_number(a) || not_a_number(b)) return not_a_number(a) == not_a_number(b);
  if constexpr (std::is_integral_v<T>)
    return a == b;
  else
    return wide(a) == wide(b);
}
template <typename T>
void check_same(
    const char* file, int line, const std::string& what, const std::vector<T>& got, const std::vector<T>& want) {
  int shown = 0;
  for (size_t i = 0; i < want.size() && shown < 3; ++i) {
    if (!same<T>(got[i], want[i])) {
      check::fail(file, line,
          what + " " + std::string(name_of(Dtype(dtype_of<T>::val))) + " at " + std::to_string(i) + ": " +
              text(wide(T(got[i]))) + " is not " + text(wide(T(want[i]))));
      ++shown;
    }
  }
}
#define CHECK_SAME(what, got, want) check_same(__FILE__, __LINE__, what, got, want)

// Half a step of the type at x.
template <typename T>
double rounding(double x) {
  double step = std::is_same_v<T, float16_t> ? 0x1p-11 : std::is_same_v<T, bfloat16_t> ? 0x1p-8 : 0x1p-24;
  return std::abs(x) * step + (std::is_same_v<T, float16_t> ? 0x1p-25 : 0x1p-140);
}
// Within rounding of the result, and `ulps` steps of what it is summed in, of magnitude `scale`.
template <typename T, typename D>
bool close(T got, D want, double scale, double ulps) {
  if (is_nan(want)) return not_a_number(got);
  if (wide(got) == want) return true;
  double error = std::abs(wide(got) - want);
  return error <= rounding<T>(std::abs(want)) * 1.01 * (is_complex<T> ? 2 : 1) + ulps * 0x1p-24 * scale;
}

} // namespace launching
