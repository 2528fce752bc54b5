// A size as a number beside arrays, which a recording with symbolic sizes leaves open.
#include "mlx_core/ops/shape/size_number.h"

#include "mlx_core/ops/no_operands.h"

namespace mlx::core {

namespace {

class SizeNumber final : public NoOperands {
 public:
  SizeNumber(Dim size, Dtype dtype) : size_(size), dtype_(dtype) {}
  const char* name() const override { return "SizeNumber"; }
  void visit(ParamVisitor& v) const override {
    v("size", size_);
    v("dtype", dtype_);
  }
  Specs infer(Operands) const override { return {Spec{Shape{}, dtype_}}; }
  void eval_cpu(Operands, std::span<array> outputs) const override {
    outputs[0].allocate();
    store_element(outputs[0].mutable_data(), dtype_, static_cast<int64_t>(size_));
  }

 private:
  Dim size_;
  Dtype dtype_;
};

} // namespace

array size_number(Dim size, Dtype dtype) {
  if (!size.is_symbolic()) {
    return array(static_cast<int64_t>(size), dtype);
  }
  return applied(make_primitive<SizeNumber>(size, dtype), std::span<const array>());
}

} // namespace mlx::core
