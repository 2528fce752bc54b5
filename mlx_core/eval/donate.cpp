// Donation, and beginning an output with an operand's values.
#include "mlx_core/eval/donate.h"

#include "mlx_core/backend/kernels.h"

namespace mlx::core {

namespace {
[[gnu::tls_model("initial-exec")]] constinit thread_local Donation* innermost = nullptr;
}

bool can_donate(const Node& node) {
  return node.references.load(std::memory_order_acquire) == 1 && node.buffer.unique() && !node.buffer->pinned &&
         node.row_contiguous && node.available();
}

Donation::Donation(Node* donor) : donor_(donor), outer_(std::exchange(innermost, this)) {}
Donation::~Donation() { innermost = outer_; }

bool array::take_over(const array& operand) {
  Node* from = operand.node();
  if (!innermost || innermost->donor_ != from || from->dtype.size() != itemsize() ||
      size_of(from->shape) != size_of(shape()) || !can_donate(*from)) {
    return false;
  }
  innermost->taken_ = true;
  set_storage(std::move(from->buffer), from->offset, row_major_strides(shape()));
  return true;
}

void array::begin_with(const array& operand, Kernels& kernels) {
  if (take_over(operand)) {
    return;
  }
  allocate();
  kernels.run(kernel::Copy{operand.view(), view()});
}

} // namespace mlx::core
