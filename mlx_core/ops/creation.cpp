// Arrays from sizes and constants. Constant arrays are views of one element: they take no memory.
#include <cmath>

#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

namespace {
constexpr NoRule no_argument{"it has no array argument"};
constexpr NoRule shape_only{"its values do not depend on the argument's"};
} // namespace

// --- constants ---

static constexpr OpInfo full_info{.name = "full",
    .primitive = "Broadcast",
    .summary = "An array of a given shape filled with vals, which broadcast to it.",
    .example = ">>> mx.full((2, 2), 7)\narray([[7, 7],\n       [7, 7]], dtype=int32)",
    .details = "dtype defaults to that of vals. The gradient with respect to vals sums over where each value went."};
static array filled(const char* op, const Shape& shape, const array& vals, Dtype dtype, const StreamOrDevice& s) {
  check_shape(op, shape);
  return broadcast_to(vals.dtype() == dtype ? vals : astype(vals, dtype, s), shape, s);
}
array full(const Shape& shape, const array& vals, Dtype dtype, StreamOrDevice s) {
  return filled("full", shape, vals, dtype, s);
}
array full(const Shape& shape, const array& vals, StreamOrDevice s) { return full(shape, vals, vals.dtype(), s); }

static constexpr OpInfo full_like_info{.name = "full_like",
    .primitive = "Broadcast",
    .summary = "An array of a's shape filled with vals, which broadcast to it.",
    .example = ">>> mx.full_like(mx.zeros((2,)), 7)\narray([7, 7], dtype=float32)",
    .details = "dtype defaults to that of a."};
array full_like(const array& a, const array& vals, std::optional<Dtype> dtype, StreamOrDevice s) {
  return full(a.shape(), vals, dtype.value_or(a.dtype()), s);
}

static constexpr OpInfo zeros_info{.name = "zeros",
    .primitive = "Broadcast",
    .summary = "An array of zeros.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.zeros((2, 2))\narray([[0, 0],\n       [0, 0]], dtype=float32)"};
array zeros(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return filled("zeros", shape, array(0, dtype), dtype, s);
}

static constexpr OpInfo ones_info{.name = "ones",
    .primitive = "Broadcast",
    .summary = "An array of ones.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.ones((3,), mx.int32)\narray([1, 1, 1], dtype=int32)"};
array ones(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return filled("ones", shape, array(1, dtype), dtype, s);
}

static constexpr OpInfo zeros_like_info{.name = "zeros_like",
    .primitive = "Broadcast",
    .summary = "An array of zeros of a's shape and dtype.",
    .differentiable = Differentiable::zero,
    .no_derivative = shape_only,
    .example = ">>> mx.zeros_like(mx.array([1.0, 2.0]))\narray([0, 0], dtype=float32)"};
array zeros_like(const array& a, StreamOrDevice s) { return zeros(a.shape(), a.dtype(), s); }

static constexpr OpInfo ones_like_info{.name = "ones_like",
    .primitive = "Broadcast",
    .summary = "An array of ones of a's shape and dtype.",
    .differentiable = Differentiable::zero,
    .no_derivative = shape_only,
    .example = ">>> mx.ones_like(mx.array([3.0, 2.0]))\narray([1, 1], dtype=float32)"};
array ones_like(const array& a, StreamOrDevice s) { return ones(a.shape(), a.dtype(), s); }

// --- ranges ---

// Element i is start + i * step, computed in float64 (int64 for integer dtypes) and rounded once.
class Arange final : public Primitive {
 public:
  static constexpr OpInfo info{.name = "arange",
      .primitive = "Arange",
      .summary = "Evenly spaced numbers from start (0) up to, and without, stop.",
      .differentiable = Differentiable::no,
      .no_derivative = no_argument,
      .example = ">>> mx.arange(1, 7, 2)\narray([1, 3, 5], dtype=int32)",
      .details =
          "There are ceil((stop - start) / step) of them, at least 0. The dtype defaults to an integer one when "
          "every argument is an integer, else to float32. Raises when an integer dtype cannot hold the numbers."};

  Arange(double start, double step, Dim size, Dtype dtype) : start_(start), step_(step), size_(size), dtype_(dtype) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override {
    v("start", start_);
    v("step", step_);
    v("size", size_);
    v("dtype", dtype_);
  }
  Specs infer(Operands) const override { return {Spec{Shape{size_}, dtype_}}; }
  void eval_cpu(Operands, std::span<array> outputs) const override {
    array& y = outputs[0];
    y.allocate();
    constexpr int64_t run = 1024, per_task = 64 * run;
    int64_t size = size_;
    char* out = static_cast<char*>(y.mutable_data());
    cpu::parallel_for((size + per_task - 1) / per_task, [&](int64_t task) {
      for (int64_t i = task * per_task, end = std::min(size, i + per_task); i < end; i += run) {
        write(i, std::min(run, end - i), out + i * dtype_.size());
      }
    });
  }
  MLX_ZERO_DERIVATIVES
  Mapped vmap(Operands, const MapAxes&) const override {
    return {{applied(self(*this), std::span<const array>())}, {std::nullopt}};
  }

 private:
  // Through uint64 where int64 ends; the bits are those of the uint64 that is written.
  static int64_t truncated(double value) {
    return value >= 0x1p63 ? static_cast<int64_t>(static_cast<uint64_t>(value)) : static_cast<int64_t>(value);
  }
  void write(int64_t first, int64_t count, void* out) const {
    if (dtype_.is_integer()) {
      int64_t values[1024];
      int64_t start = truncated(start_), step = truncated(start_ + step_) - start;
      for (int64_t i = 0; i < count; ++i) {
        values[i] = start + (first + i) * step;
      }
      convert(values, int64, out, count);
    } else {
      double values[1024];
      for (int64_t i = 0; i < count; ++i) {
        values[i] = start_ + static_cast<double>(first + i) * step_;
      }
      convert(values, float64, out, count);
    }
  }
  void convert(const void* values, Dtype from, void* out, int64_t count) const {
    if (from == dtype_) {
      std::memcpy(out, values, static_cast<size_t>(count * from.size()));
    } else {
      cpu::find_cast(from, dtype_)(&values, out, count);
    }
  }
  double start_, step_;
  Dim size_;
  Dtype dtype_;
};

namespace {

void check_holds(double value, Dtype dtype) {
  if (!dtype.is_integer()) {
    return;
  }
  int bits = 8 * dtype.size() - (dtype.is_signed() ? 1 : 0);
  double above = std::ldexp(1.0, bits);
  if (value <= (dtype.is_signed() ? -above - 1 : -1.0) || value >= above) {
    fail("arange", "the numbers reach ", value, ", which dtype ", dtype, " cannot hold; pass a wider dtype.");
  }
}

} // namespace

array arange(double start, double stop, double step, Dtype dtype, StreamOrDevice s) {
  check_stream(s);
  if (dtype.is_bool()) {
    fail("arange", "dtype bool has no range of numbers; pass a numeric dtype.");
  }
  if (std::isnan(start) || std::isnan(stop) || std::isnan(step) || std::isinf(start) || std::isinf(stop)) {
    fail("arange", "start ", start, ", stop ", stop, " and step ", step, " do not give a length.");
  }
  if (step == 0) {
    fail("arange", "step must not be zero.");
  }
  double length =
      std::isinf(step) ? ((step > 0) == (stop > start) && stop != start ? 1 : 0) : std::ceil((stop - start) / step);
  if (length > 2147483647.0 && length * dtype.size() > 0x1p46) {
    fail("arange", "start ", start, ", stop ", stop, " and step ", step, " give ", length,
        " numbers, which is too many.");
  }
  auto size = static_cast<int64_t>(std::max(length, 0.0));
  if (std::isinf(step)) {
    step = 0;
  }
  if (size > 0) {
    check_holds(start, dtype);
    check_holds(start + static_cast<double>(size - 1) * step, dtype);
  }
  return applied(make_primitive<Arange>(start, step, size, dtype), std::span<const array>());
}
array arange(double start, double stop, StreamOrDevice s) { return arange(start, stop, 1.0, float32, s); }
array arange(int stop, StreamOrDevice s) { return arange(0.0, stop, 1.0, int32, s); }

static constexpr OpInfo linspace_info{.name = "linspace",
    .summary = "num evenly spaced numbers from start to stop.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.linspace(0, 1, 5)\narray([0, 0.25, 0.5, 0.75, 1], dtype=float32)",
    .details = "With endpoint the last is stop itself; without, the spacing is (stop - start) / num."};
array linspace(double start, double stop, int num, Dtype dtype, bool endpoint, StreamOrDevice s) {
  check_stream(s);
  if (num < 0) {
    fail("linspace", "num is ", num, "; the number of samples must not be negative.");
  }
  int intervals = endpoint ? num - 1 : num;
  std::vector<double> values(static_cast<size_t>(num));
  for (int i = 0; i < num; ++i) {
    values[static_cast<size_t>(i)] = intervals > 0 ? start + (stop - start) * i / intervals : start;
  }
  if (endpoint && num > 1) {
    values.back() = stop;
  }
  return array(values.begin(), Shape{num}, dtype);
}

// --- matrices ---

namespace {

// compare(row + k, column) for each place of an n by m matrix.
array by_diagonal(const char* op, array (*compare)(const array&, const array&, StreamOrDevice), Dim n, Dim m, int64_t k,
    StreamOrDevice s) {
  check_shape(op, {n, m});
  bool narrow = !n.is_symbolic() && !m.is_symbolic() && n < (1 << 28) && m < (1 << 28) && std::abs(k) < (1 << 29);
  auto range = [&](int64_t from, Dim count) {
    return applied(make_primitive<Arange>(static_cast<double>(from), 1.0, count, narrow ? int32 : int64),
        std::span<const array>());
  };
  return compare(expand_dims(range(k, n), {1}), range(0, m), s);
}

} // namespace

static constexpr OpInfo eye_info{.name = "eye",
    .summary = "An n by m matrix with ones on the k-th diagonal and zeros elsewhere.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.eye(2)\narray([[1, 0],\n       [0, 1]], dtype=float32)",
    .details = "m defaults to n. Positive k is above the main diagonal."};
array eye(int n, int m, int k, Dtype dtype, StreamOrDevice s) {
  if (n < 0 || m < 0) {
    fail("eye", "n is ", n, " and m is ", m, "; neither may be negative.");
  }
  return astype(by_diagonal("eye", equal, n, m, k, s), dtype, s);
}
array eye(int n, StreamOrDevice s) { return eye(n, n, 0, float32, s); }

static constexpr OpInfo identity_info{.name = "identity",
    .summary = "The n by n identity matrix.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.identity(2)\narray([[1, 0],\n       [0, 1]], dtype=float32)"};
array identity(int n, Dtype dtype, StreamOrDevice s) { return eye(n, n, 0, dtype, s); }

static constexpr OpInfo tri_info{.name = "tri",
    .summary = "An n by m matrix with ones at and below the k-th diagonal and zeros above.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.tri(2, 3)\narray([[1, 0, 0],\n       [1, 1, 0]], dtype=float32)"};
array tri(int n, int m, int k, Dtype dtype, StreamOrDevice s) {
  return astype(by_diagonal("tri", greater_equal, std::max(n, 0), std::max(m, 0), k, s), dtype, s);
}

namespace {

array lower_mask(const char* op, const array& x, int64_t k, StreamOrDevice s) {
  if (x.ndim() < 2) {
    fail(op, "x has shape ", x.shape(), "; at least two dimensions are needed.");
  }
  return by_diagonal(op, greater_equal, x.shape(-2), x.shape(-1), k, s);
}

} // namespace

static constexpr OpInfo tril_info{.name = "tril",
    .summary = "The matrices in the last two axes with zeros above the k-th diagonal.",
    .example = ">>> mx.tril(mx.array([[1, 2], [3, 4]]))\narray([[1, 0],\n       [3, 4]], dtype=int32)"};
array tril(const array& x, int k, StreamOrDevice s) {
  return where(lower_mask("tril", x, k, s), x, array(0, x.dtype()), s);
}

static constexpr OpInfo triu_info{.name = "triu",
    .summary = "The matrices in the last two axes with zeros below the k-th diagonal.",
    .example = ">>> mx.triu(mx.array([[1, 2], [3, 4]]))\narray([[1, 2],\n       [0, 4]], dtype=int32)"};
array triu(const array& x, int k, StreamOrDevice s) {
  return where(lower_mask("triu", x, int64_t{k} - 1, s), array(0, x.dtype()), x, s);
}

std::span<const OpInfo* const> creation_ops() {
  static constexpr const OpInfo* ops[] = {&full_info, &full_like_info, &zeros_info, &zeros_like_info, &ones_info,
      &ones_like_info, &Arange::info, &linspace_info, &eye_info, &identity_info, &tri_info, &tril_info, &triu_info};
  return ops;
}

} // namespace mlx::core
