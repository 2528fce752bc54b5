// Kernels and places of few elements.
#include "mlx_core/eval/small_values.h"

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

SmallValues& small_values() {
  [[gnu::tls_model("initial-exec")]] static thread_local SmallValues values;
  return values;
}

Way way_of(const cpu::KernelTable& table, Node* node) {
  Dtype from = node->operands().back().dtype();
  bool elementwise = node->primitive->eval_kind() == EvalKind::elementwise;
  Body body = elementwise ? static_cast<const Elementwise&>(*node->primitive).body() : Body::copy;
  if (body != Body::copy) {
    return {table.body(body, from), false};
  }
  bool copies = from == node->dtype;
  return {copies ? nullptr : table.cast(from, node->dtype), copies};
}

SmallValues::Place place_of(const Node* node, const Shape& space, int64_t size, char* scratch) {
  bool one = true, same = node->row_contiguous && node->shape.size() <= space.size();
  for (size_t i = 0; i < node->shape.size(); ++i) {
    one = one && (node->shape[i] == Dim(1) || node->strides[i] == 0);
  }
  if (one) {
    cpu::find_spread(node->dtype.size())(scratch, node->data(), SmallValues::padded(size));
    return {scratch, true};
  }
  if (same && size_of(node->shape) == size) {
    return {static_cast<const char*>(node->data()), false};
  }
  Sizes sizes = sizes_of(space);
  Strides strides(space.size(), 0);
  size_t shift = space.size() - node->shape.size();
  for (size_t i = 0; i < node->shape.size(); ++i) {
    strides[shift + i] = sizes[shift + i] != static_cast<int64_t>(node->shape[i]) ? 0 : node->strides[i];
  }
  cpu::read_strided(node->data(), sizes, strides, node->dtype.size(), 0, size, scratch);
  return {scratch, true};
}

} // namespace mlx::core
