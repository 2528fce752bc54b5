// Writing elements of an array at once.
#include "mlx_core/eval/write_now.h"

#include <cstring>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/eval/donate.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

bool may_write_now(const array& x) {
  const Node& node = *x.node();
  return can_donate(node) && node.operand_count == 0 && node.buffer->writer.load(std::memory_order_acquire) == 0 &&
         detail::oldest_open_frame.load(std::memory_order_acquire) == UINT64_MAX && !RecordingScope::op() &&
         KeptCalls::possible(kernels_on(node.stream)) && KeptCalls::possible(kernels_on(current_stream()));
}

void write_now(
    const array& x, int64_t offset, const Sizes& sizes, const Strides& strides, const void* elements, bool one) {
  auto itemsize = static_cast<size_t>(x.itemsize());
  char* to = static_cast<char*>(x.node()->data()) + offset * x.itemsize();
  int64_t count = 1;
  bool dense = true;
  for (size_t i = sizes.size(); i-- > 0;) {
    dense = dense && (sizes[i] == 1 || strides[i] == count);
    count *= sizes[i];
  }
  if (dense && (!one || count == 1)) {
    copy_bytes(to, static_cast<const char*>(elements), static_cast<size_t>(count) * itemsize);
  } else {
    Strides from = one ? Strides(sizes.size(), 0) : row_major_strides(Shape(sizes.begin(), sizes.end()));
    cpu::copy_strided(elements, from, to, strides, sizes, x.itemsize());
  }
}

} // namespace mlx::core
