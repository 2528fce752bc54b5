// Groups of few elements, or of one step on some more: a kernel call for each member, without a plan. What a plan saves
// in passes over memory is less than what it costs to make. The bits are those of the plan: kernels do not see where an
// element stands.
#include <cstring>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/small_values.h"

namespace mlx::core {

// One step on operands that have an element for each of the space.
bool Group::run_one() {
  if (members_[0].role != Role::space) {
    return false;
  }
  Node* node = members_[0].node;
  Way way = way_of(cpu::kernel_table(), node);
  const void* in[3];
  for (size_t k = 0; k < node->operand_count; ++k) {
    const Node* operand = node->operands()[k].node();
    if (!operand->row_contiguous || size_of(operand->shape) != size_ ||
        (operand->buffer && operand->buffer->writer.load(std::memory_order_acquire))) {
      return false;
    }
    in[k] = operand->data();
  }
  if (!way.kernel) {
    return false;
  }
  node->buffer = allocate(static_cast<size_t>(size_ * node->dtype.size()));
  node->offset = 0;
  node->strides = row_major_strides(shape);
  way.kernel(in, node->buffer->data, size_);
  return true;
}

bool Group::run_small(Kernels& kernels) {
  if (row_length_ || columns_.any() || size_ == 0 || kernels.device() != Device::cpu) {
    return false;
  }
  const cpu::KernelTable& table = cpu::kernel_table();
  constexpr int64_t most_of_one = 1 << 14; // elements, of which a second thread saves nothing
  if (size_ > most_small) {
    return members_.size() == 1 && size_ <= most_of_one && run_one();
  }
  Way ways[most_members];
  for (size_t i = 0; i < members_.size(); ++i) {
    ways[i] = way_of(table, members_[i].node);
    if (!ways[i].kernel && !ways[i].copies) {
      return false;
    }
  }
  for (const Source& read : sources_) {
    if (read.node->buffer && read.node->buffer->writer.load(std::memory_order_acquire)) {
      return false;
    }
  }
  int64_t padded = SmallValues::padded(size_);
  size_t source_count = sources_.size();
  SmallValues& values = small_values();
  constexpr int widest = 16;
  values.begin(static_cast<int64_t>(source_count + members_.size()) * SmallValues::bytes_of(size_, widest));
  if (values.places.size() < source_count + members_.size()) {
    values.places.resize(source_count + members_.size());
  }
  SmallValues::Place* places = values.places.data();
  for (size_t i = 0; i < source_count; ++i) {
    places[i] = place_of(sources_[i].node, shape, size_, values.take(size_, widest));
  }
  Strides strides = row_major_strides(shape);
  for (size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    Node* node = member.node;
    member.kept = needed_outside(node);
    char* out;
    if (member.kept) {
      node->buffer = allocate(static_cast<size_t>(size_ * node->dtype.size()));
      node->offset = 0;
      node->strides = strides;
      out = static_cast<char*>(node->buffer->data);
    } else {
      out = values.take(size_, node->dtype.size());
    }
    bool whole = !member.kept;
    const void* in[3];
    for (size_t k = 0; k < node->operand_count; ++k) {
      int32_t edge = edges_[member.edges + k];
      const SmallValues::Place& place =
          places[edge < 0 ? source_count + static_cast<size_t>(~edge) : static_cast<size_t>(edge)];
      in[k] = place.at;
      whole = whole && place.is_scratch;
    }
    if (cpu::Kernel kernel = ways[i].kernel) {
      kernel(in, out, whole ? padded : size_);
    } else {
      std::memcpy(out, in[0], static_cast<size_t>(size_ * node->dtype.size()));
    }
    places[source_count + i] = {out, !member.kept};
  }
  return true;
}

} // namespace mlx::core
