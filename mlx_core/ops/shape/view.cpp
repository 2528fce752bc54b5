// view: the same bits as elements of another dtype.
#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

// Complex numbers are their two parts, one after the other. Only there is a view a (linear) function of the values.
static bool are_parts(Dtype a, Dtype b) {
  return (a.is_complex() && real_of(a) == b) || (b.is_complex() && real_of(b) == a);
}

class BitView final : public Primitive {
 public:
  static constexpr OpInfo info{.name = "view",
      .primitive = "View",
      .summary = "The bits of the elements read as elements of another dtype.",
      .differentiable = Differentiable::no,
      .no_derivative =
          {"the bits of a number are no smooth function of it. Only a view between a complex dtype and the dtype "
           "of its parts has one, being linear"},
      .example = ">>> mx.array([1.0, -2.0]).view(mx.int32)\narray([1065353216, -1073741824], dtype=int32)",
      .details =
          "Where the dtypes differ in size the last axis becomes longer or shorter by their ratio; ValueError where it "
          "does not divide, or for a scalar. Whether memory is shared is not said: no array can be changed through "
          "another. Bools from bytes are True where the byte is not 0."};

  explicit BitView(Dtype dtype) : dtype_(dtype) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::moves_data; }
  void visit(ParamVisitor& v) const override { v("dtype", dtype_); }
  Specs infer(Operands operands) const override {
    const array& x = operands[0];
    Shape shape = x.shape();
    int from = x.itemsize(), to = dtype_.size();
    if (from != to) {
      if (shape.empty()) {
        fail("view", "a scalar of dtype ", x.dtype(), " has ", from, " bytes and cannot be viewed as ", dtype_,
            ", which has ", to, "; give it an axis with mx.expand_dims(a, 0).");
      }
      Dim bytes = shape.back() * from, count = bytes / to;
      if (!(count * to == bytes)) {
        fail("view", "the last axis of shape ", x.shape(), " has ", bytes, " bytes as ", x.dtype(),
            ", which is no multiple of the ", to, " bytes of ", dtype_, ".");
      }
      shape.back() = count;
    }
    return {Spec{std::move(shape), dtype_}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array& x = operands[0];
    array& y = outputs[0];
    if (x.itemsize() == y.itemsize()) {
      return y.share(x, x.strides());
    }
    // A part of an array of small elements may begin where no large one can.
    bool aligned = reinterpret_cast<uintptr_t>(x.raw_data()) % static_cast<uintptr_t>(y.itemsize()) == 0;
    if (x.is_row_contiguous() && aligned) {
      return y.share(x, row_major_strides(y.shape()));
    }
    y.allocate();
    View to = y.view();
    to.dtype = x.dtype();
    kernels.run(kernel::Copy{x.view(), to.laid_out(sizes_of(x.shape()), row_major_strides(x.shape()))});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    bool moves = tangents[0] && are_parts(primals[0].dtype(), dtype_);
    return {moves ? Tangent(view(*tangents[0], dtype_)) : std::nullopt};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    bool moves = cotangents[0] && are_parts(primals[0].dtype(), dtype_);
    return {moves ? Tangent(view(*cotangents[0], primals[0].dtype())) : std::nullopt};
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{view(batch_first(operands[0], axes[0]), dtype_)}, {0}}; // the last axis stays the last
  }

 private:
  Dtype dtype_;
};

array view(const array& a, Dtype dtype, StreamOrDevice s) {
  StreamScope on(s);
  if (a.dtype() == dtype) {
    return a;
  }
  if (dtype.is_bool()) { // a bool that is neither 0 nor 1 would not behave as one
    array bytes = view(a, uint8);
    return not_equal(bytes, array(0, uint8));
  }
  return applied(make_primitive<BitView>(dtype), {a});
}

std::span<const OpInfo* const> view_ops() {
  static constexpr const OpInfo* ops[] = {&BitView::info};
  return ops;
}

} // namespace mlx::core
