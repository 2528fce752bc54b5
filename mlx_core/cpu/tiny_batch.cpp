// How many products to do at once.
#include "mlx_core/cpu/tiny_batch.h"

#include <algorithm>

#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/copy_rows.h"

namespace mlx::core::cpu {

std::optional<TinyBatch> TinyBatch::of(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a,
    int64_t a_batch_stride, Matrix b, int64_t b_batch_stride, void* out) {
  constexpr int64_t least_batch = 32, most_work = 128, most_count = 16;
  if (batch < least_batch || m * n * k > most_work) {
    return {};
  }
  int64_t best = 0;
  double least_cost = 0; // instructions for each product, about
  for (int64_t count = 1; count <= most_count; ++count) {
    const TinyProduct plan = tiny_form(dtype, m, n, k, a, b, count, a_batch_stride, b_batch_stride);
    if (!plan.way) {
      break;
    }
    auto look_up = [&](int64_t span) { return span > plan.lanes ? 4 : 1; };
    const int64_t vectors = ceil_div(count * m * n * plan.parts, plan.lanes);
    const double cost =
        static_cast<double>(6 + vectors * plan.terms * (1 + look_up(plan.span_a) + look_up(plan.span_b))) /
        double(count);
    if (best == 0 || cost < least_cost) {
      least_cost = cost;
      best = count;
    }
  }
  if (best == 0) {
    return {};
  }
  TinyBatch tiny;
  tiny.count_ = best;
  tiny.plan_ = tiny_product(dtype, m, n, k, a, b, best, a_batch_stride, b_batch_stride);
  const int64_t size = dtype.size(), parts = tiny.plan_.parts, lanes = tiny.plan_.lanes, results = m * n * parts;
  tiny.last_read_ = batch;
  auto set = [&](Operand& operand, const Matrix& x, int64_t stride, int64_t span, int64_t last_of_one) {
    operand.data = static_cast<const char*>(x.data);
    operand.stride = stride * size;
    if (stride == 0) {
      copy_contiguous(operand.shared, x.data, static_cast<size_t>(span * size / parts));
    } else { // the first that would read beyond what the last one reads
      const int64_t read = ceil_div(span, lanes) * lanes;
      tiny.last_read_ = std::min(tiny.last_read_, batch - ceil_div(read - (last_of_one + 1) * parts, stride * parts));
    }
  };
  set(tiny.a_, a, a_batch_stride, tiny.plan_.span_a, (m - 1) * a.row_stride + (k - 1) * a.column_stride);
  set(tiny.b_, b, b_batch_stride, tiny.plan_.span_b, (k - 1) * b.row_stride + (n - 1) * b.column_stride);
  tiny.out_ = static_cast<char*>(out);
  tiny.result_bytes_ = m * n * size;
  tiny.written_ = ceil_div(ceil_div(tiny.count_ * results, lanes) * lanes, results);
  return tiny;
}

} // namespace mlx::core::cpu
