// Scans and recurrences along an axis: a thread for a lane, or blocks of long lanes in three steps.
#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

namespace {

constexpr uint32_t block_length = 1024; // of scan.metal

const char* name_of(ScanOp op) {
  switch (op) {
    case ScanOp::sum: return "sum";
    case ScanOp::prod: return "prod";
    case ScanOp::max: return "max";
    case ScanOp::min: return "min";
  }
  return "";
}

// From the other end.
void turn(int64_t& first, int64_t& step, int64_t length) {
  first += (length - 1) * step;
  step = -step;
}

} // namespace

bool supports(const kernel::Scan& k) {
  Lanes lanes = lanes_of(k.in.sizes, k.in.strides, k.axis);
  return has_shader_type(k.in.dtype) && !(k.op == ScanOp::sum && k.in.dtype.is_bool()) &&
         k.in.size() <= most_elements && fits(lanes.sizes, lanes.strides);
}

void launch(Encoder& encoder, const kernel::Scan& k) {
  if (k.out.size() == 0) {
    return;
  }
  Lanes from = lanes_of(k.in.sizes, k.in.strides, k.axis), to = lanes_of(k.in.sizes, row_major(k.in.sizes), k.axis);
  Bound in = from_lowest(k.in);
  arguments::Scan a{};
  a.in = layout_of(from.sizes, from.strides);
  a.out = layout_of(to.sizes, to.strides);
  a.from = in.first;
  a.step_from = from.step;
  a.step_to = to.step;
  a.lanes = static_cast<uint32_t>(View::size_of(from.sizes));
  a.length = static_cast<uint32_t>(from.length);
  a.inclusive = k.inclusive;
  if (k.reverse) {
    turn(a.from, a.step_from, from.length);
    turn(a.to, a.step_to, from.length);
  }
  ScanOp op = k.op;
  Dtype dtype = op == ScanOp::sum || op == ScanOp::prod ? unsigned_of(k.in.dtype) : k.in.dtype;
  if (dtype.is_bool()) { // as numbers 0 and 1, whose minimum starts with 1
    op = op == ScanOp::min ? ScanOp::prod : op;
    dtype = uint8;
  }
  auto begin = [&](std::string name) {
    encoder.kernel("scan", kernel_name(name + name_of(op), dtype));
    encoder.read(0, in.view);
  };
  const bool chain = op == ScanOp::prod && dtype.is_inexact();
  if (chain || a.length <= 32 || (a.lanes >= 256 && (a.step_from != 1 || a.lanes >= 4096))) {
    begin(chain ? "scan_chain_" : "scan_columns_");
    encoder.write(1, k.out);
    encoder.value(2, a);
    encoder.dispatch_elements(a.lanes);
    return;
  }
  a.blocks = static_cast<uint32_t>(pieces(a.length - (k.inclusive ? 0 : 1), block_length));
  const uint64_t units = uint64_t{a.lanes} * a.blocks;
  const Dtype carried = carried_in(dtype);
  View before;
  if (a.blocks > 1) {
    before = encoder.scratch(carried, static_cast<int64_t>(units));
    begin("scan_totals_");
    encoder.write(1, before);
    encoder.value(2, a);
    encoder.dispatch_groups({pieces(units, 2)}, {64});
    encoder.kernel("scan", kernel_name(std::string("scan_before_") + name_of(op), carried));
    encoder.write(0, before);
    encoder.value(1, a);
    encoder.dispatch_elements(a.lanes);
  }
  begin("scan_blocks_");
  encoder.write(1, k.out);
  encoder.value(2, a);
  if (a.blocks > 1) {
    encoder.read(3, before);
  }
  encoder.dispatch_groups({pieces(units, 2)}, {64});
}

bool supports(const kernel::Recurrence& k) {
  Lanes a = lanes_of(k.b.sizes, k.a.strides, k.axis), b = lanes_of(k.b.sizes, k.b.strides, k.axis);
  return has_shader_type(k.b.dtype) && k.b.dtype.is_inexact() && k.b.size() <= most_elements &&
         fits(a.sizes, a.strides) && fits(b.sizes, b.strides);
}

void launch(Encoder& encoder, const kernel::Recurrence& k) {
  if (k.out.size() == 0) {
    return;
  }
  Lanes of_a = lanes_of(k.b.sizes, k.a.strides, k.axis), of_b = lanes_of(k.b.sizes, k.b.strides, k.axis);
  Lanes of_out = lanes_of(k.b.sizes, row_major(k.b.sizes), k.axis);
  Bound a = from_lowest(k.a, k.b.sizes), b = from_lowest(k.b);
  arguments::Recurrence r{};
  r.a = layout_of(of_a.sizes, of_a.strides);
  r.b = layout_of(of_b.sizes, of_b.strides);
  r.out = layout_of(of_out.sizes, of_out.strides);
  r.from_a = a.first;
  r.from_b = b.first;
  r.step_a = of_a.step;
  r.step_b = of_b.step;
  r.step_to = of_out.step;
  r.lanes = static_cast<uint32_t>(View::size_of(of_b.sizes));
  r.length = static_cast<uint32_t>(of_b.length);
  if (k.reverse) {
    turn(r.from_a, r.step_a, of_b.length);
    turn(r.from_b, r.step_b, of_b.length);
    turn(r.to, r.step_to, of_b.length);
  }
  encoder.kernel("scan", kernel_name("recurrence", k.b.dtype));
  encoder.read(0, a.view);
  encoder.read(1, b.view);
  encoder.write(2, k.out);
  encoder.value(3, r);
  encoder.dispatch_elements(r.lanes);
}

} // namespace mlx::core::gpu
