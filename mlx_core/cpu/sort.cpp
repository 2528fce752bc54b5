// Sorting: each row is gathered into consecutive scratch, sorted there, and spread out again.
#include "mlx_core/cpu/sort.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

template <typename T>
bool is_nan(T value) {
  if constexpr (std::is_same_v<T, complex64_t> || std::is_same_v<T, complex128_t>) {
    return is_nan(value.real()) || is_nan(value.imag());
  } else if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
    return is_nan(static_cast<float>(value));
  } else {
    return value != value;
  }
}

// A strict order: two NaNs are equal, neither comes before the other.
template <typename T>
bool before(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return a < b;
  } else {
    if (is_nan(a) || is_nan(b)) {
      return !is_nan(a);
    }
    if constexpr (std::is_same_v<T, complex64_t> || std::is_same_v<T, complex128_t>) {
      return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
    } else if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
      return static_cast<float>(a) < static_cast<float>(b);
    } else {
      return a < b;
    }
  }
}
template <typename T>
struct Element {
  T value;
};
// bool vectors have no elements to point at.
template <>
struct Element<bool> {
  uint8_t value;
};

// The rows of an array along one axis, by number.
struct Rows {
  Rows(Ints shape, Ints strides, int axis) : shape(shape), strides(strides), axis(static_cast<size_t>(axis)) {
    length = shape[this->axis];
    in_step = strides[this->axis];
    for (size_t i = 0; i < shape.size(); ++i) {
      count *= i == this->axis ? 1 : shape[i];
      out_step *= i > this->axis ? shape[i] : 1;
    }
  }
  // The first element of a row in the strided input and in the row-major output.
  std::pair<int64_t, int64_t> offsets(int64_t row) const {
    int64_t in = 0, out = 0, step = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      if (i != axis) {
        int64_t index = row % shape[i];
        row /= shape[i];
        in += index * strides[i];
        out += index * step;
      }
      step *= shape[i];
    }
    return {in, out};
  }
  Ints shape, strides;
  size_t axis;
  int64_t length = 0, in_step = 0, out_step = 1, count = 1;
};

// Calls body(in offset, out offset, scratch) for each row; a task has enough rows to be worth a thread.
template <typename Scratch, typename F>
void each_row(const Rows& rows, F body) {
  if (rows.length == 0 || rows.count == 0) {
    return;
  }
  int64_t per_task = std::max<int64_t>(1, 16384 / rows.length);
  parallel_for((rows.count + per_task - 1) / per_task, [&](int64_t task) {
    Scratch scratch;
    for (int64_t r = task * per_task, end = std::min(rows.count, r + per_task); r < end; ++r) {
      auto [in, out] = rows.offsets(r);
      body(in, out, scratch);
    }
  });
}

template <typename T>
void read_row(const T* in, const Rows& rows, std::vector<Element<T>>& values) {
  values.resize(static_cast<size_t>(rows.length));
  for (int64_t i = 0; i < rows.length; ++i) {
    values[static_cast<size_t>(i)].value = in[i * rows.in_step];
  }
}

template <typename T>
void sort_rows(const T* in, const Rows& rows, T* out) {
  using Values = std::vector<Element<T>>;
  each_row<Values>(rows, [&](int64_t from, int64_t to, Values& values) {
    read_row(in + from, rows, values);
    std::stable_sort(values.begin(), values.end(), [](auto a, auto b) { return before<T>(a.value, b.value); });
    for (int64_t i = 0; i < rows.length; ++i) {
      out[to + i * rows.out_step] = values[static_cast<size_t>(i)].value;
    }
  });
}

template <typename T>
void argsort_rows(const T* in, const Rows& rows, uint32_t* out) {
  struct Scratch {
    std::vector<Element<T>> values;
    std::vector<uint32_t> order;
  };
  each_row<Scratch>(rows, [&](int64_t from, int64_t to, Scratch& scratch) {
    read_row(in + from, rows, scratch.values);
    scratch.order.resize(scratch.values.size());
    std::iota(scratch.order.begin(), scratch.order.end(), 0u);
    std::stable_sort(scratch.order.begin(), scratch.order.end(), [&](uint32_t a, uint32_t b) {
      return before<T>(scratch.values[a].value, scratch.values[b].value);
    });
    for (int64_t i = 0; i < rows.length; ++i) {
      out[to + i * rows.out_step] = scratch.order[static_cast<size_t>(i)];
    }
  });
}

template <typename F>
void with_elements(Dtype dtype, const void* in, F&& f) {
  switch (dtype.val) {
    case Dtype::Val::bool_: return f(static_cast<const bool*>(in));
    case Dtype::Val::uint8: return f(static_cast<const uint8_t*>(in));
    case Dtype::Val::uint16: return f(static_cast<const uint16_t*>(in));
    case Dtype::Val::uint32: return f(static_cast<const uint32_t*>(in));
    case Dtype::Val::uint64: return f(static_cast<const uint64_t*>(in));
    case Dtype::Val::int8: return f(static_cast<const int8_t*>(in));
    case Dtype::Val::int16: return f(static_cast<const int16_t*>(in));
    case Dtype::Val::int32: return f(static_cast<const int32_t*>(in));
    case Dtype::Val::int64: return f(static_cast<const int64_t*>(in));
    case Dtype::Val::float16: return f(static_cast<const float16_t*>(in));
    case Dtype::Val::bfloat16: return f(static_cast<const bfloat16_t*>(in));
    case Dtype::Val::float32: return f(static_cast<const float*>(in));
    case Dtype::Val::float64: return f(static_cast<const double*>(in));
    case Dtype::Val::complex64: return f(static_cast<const complex64_t*>(in));
    case Dtype::Val::complex128: return f(static_cast<const complex128_t*>(in));
  }
}

} // namespace

void sort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out) {
  Rows rows(shape, strides, axis);
  with_elements(dtype, in, [&](auto* elements) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(elements)>>;
    sort_rows<T>(elements, rows, static_cast<T*>(out));
  });
}

void argsort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out) {
  Rows rows(shape, strides, axis);
  with_elements(dtype, in, [&](auto* elements) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(elements)>>;
    argsort_rows<T>(elements, rows, static_cast<uint32_t*>(out));
  });
}

} // namespace mlx::core::cpu
