// as_strided: the elements of an array at places given by strides.
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/shape/shape.h"
#include "mlx_core/ops/shape/strided_windows.h"

namespace mlx::core {

// The operand has one axis. Whatever its layout, its elements lie at equal distances, so this is a view.
class AsStrided final : public ViewOp {
 public:
  static constexpr OpInfo info{.name = "as_strided",
      .primitive = "AsStrided",
      .summary =
          "The elements at offset + i * strides[0] + j * strides[1] + ... of the flattened array, for each place "
          "(i, j, ...) of shape.",
      .example =
          ">>> mx.as_strided(mx.array([1, 2, 3, 4]), (3, 2), (1, 1))\narray([[1, 2],\n       [2, 3],\n       [3, 4]], "
          "dtype=int32)",
      .details =
          "Strides count elements of the array in row-major order, whatever its layout in memory; they may be 0 or "
          "negative, "
          "and places may share elements, whose gradient is then the sum of theirs. Without shape it is a's, without "
          "strides they are those of a row-major array of that shape. ValueError where a place is outside the array."};

  AsStrided(Shape shape, Strides strides, int64_t offset)
      : shape_(std::move(shape)), strides_(std::move(strides)), offset_(offset) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override {
    v("shape", shape_);
    v("strides", std::span<const int64_t>(strides_.begin(), strides_.size()));
    v("offset", offset_);
  }
  Specs infer(Operands operands) const override { return {Spec{shape_, operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    int64_t step = operands[0].strides()[0];
    Strides strides = strides_;
    for (int64_t& stride : strides) {
      stride *= step;
    }
    outputs[0].share(operands[0], std::move(strides), size_of(shape_) == 0 ? 0 : offset_ * step);
  }
  // Places that share an element add up in it.
  array transpose(const array& cotangent, const array& x) const override {
    if (!x.shape(0).is_symbolic() && size_of(shape_) != 0) {
      if (std::optional<array> sum = sum_of_windows(cotangent, strides_, offset_, x.shape(0))) {
        return *std::move(sum);
      }
    }
    array places = applied(self(*this), {position_numbers(x.shape())});
    return scatter_add(zeros(x.shape(), cotangent.dtype()), {places}, expand_dims(cotangent, {-1}), {0});
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    array x = batch_first(operands[0], axes[0]);
    Strides strides = strides_;
    strides.insert(strides.begin(), static_cast<int64_t>(x.shape()[1]));
    auto lanes = make_primitive<AsStrided>(prepended(x.shape()[0], shape_), std::move(strides), offset_);
    return {{applied(lanes, {flatten(x)})}, {0}};
  }

 private:
  Shape shape_;
  Strides strides_;
  int64_t offset_;
};

array as_strided(const array& a, Shape shape, Strides strides, int64_t offset, StreamOrDevice s) {
  StreamScope on(s);
  auto shown = [&] {
    return " (shape " + to_string(shape) + ", strides " + to_string(Shape(strides.begin(), strides.end())) +
           ", offset " + std::to_string(offset) + ")";
  };
  if (strides.size() != shape.size()) {
    fail("as_strided", "there should be one stride for each axis", shown(), ".");
  }
  int64_t first = offset, last = offset;
  Dim size = a.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t length = shape[i];
    if (length < 0) {
      fail("as_strided", "a length is negative", shown(), ".");
    }
    int64_t& end = strides[i] < 0 ? first : last;
    int64_t span;
    if (__builtin_mul_overflow(length - 1, strides[i], &span) || __builtin_add_overflow(end, span, &end)) {
      fail("as_strided", "strides are too large", shown(), ".");
    }
  }
  check_shape("as_strided", shape);
  bool empty = size_of(shape) == 0;
  offset = empty ? 0 : offset;
  for (size_t i = 0; i < shape.size(); ++i) {
    bool steps = !empty && shape[i] > 1;
    strides[i] = steps || size >= std::abs(strides[i]) ? strides[i] : 0; // no step is made, so none is too large
  }
  if (!empty && (first < 0 || size <= last)) {
    fail("as_strided", "places from ", first, " to ", last, " are read of an array with ", size, " elements", shown(),
        "; they must lie in 0 to ", size - 1, ".");
  }
  return applied(make_primitive<AsStrided>(std::move(shape), std::move(strides), offset), {flatten(a)});
}

std::span<const OpInfo* const> strided_ops() {
  static constexpr const OpInfo* ops[] = {&AsStrided::info};
  return ops;
}

} // namespace mlx::core
