// Groups of few elements: a kernel call for each member, without a plan. What a plan saves in passes over memory is
// less than what it costs to make. The bits are those of the plan: kernels do not see where an element stands.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/eval/fuse.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

constexpr int64_t most_small = 128;     // elements
constexpr int64_t vector_elements = 16; // scratch is computed in whole vectors, up to a multiple of that

// Values of a group while it is computed, in memory that each thread keeps.
class SmallValues {
 public:
  // For so many values of up to so many bytes.
  void begin(size_t values, int64_t bytes) {
    auto needed = values * static_cast<size_t>(bytes);
    if (needed > size_) {
      memory_.reset(static_cast<char*>(std::aligned_alloc(64, needed)));
      size_ = memory_ ? needed : 0;
      if (!memory_) {
        throw std::bad_alloc();
      }
      std::memset(memory_.get(), 0, needed);
    }
    next_ = memory_.get();
    bytes_ = bytes;
  }
  char* take() { return std::exchange(next_, next_ + bytes_); }

  struct Place {
    const char* at;
    bool is_scratch;
  };
  std::vector<Place> places; // of sources, then of members

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> memory_;
  size_t size_ = 0;
  char* next_ = nullptr;
  int64_t bytes_ = 0;
};

[[gnu::tls_model("initial-exec")]] thread_local SmallValues small_values;

// What computes a member; null where there is nothing.
struct Way {
  cpu::Kernel kernel;
  bool copies; // what only passes its operand on
};
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

// Where a source's elements are for each element of the space: its own memory, or scratch.
SmallValues::Place place_of(const Node* node, const Shape& space, int64_t size, int64_t padded, char* scratch) {
  bool one = true, same = node->row_contiguous && node->shape.size() <= space.size();
  for (size_t i = 0; i < node->shape.size(); ++i) {
    one = one && (node->shape[i] == Dim(1) || node->strides[i] == 0);
  }
  if (one) {
    cpu::find_spread(node->dtype.size())(scratch, node->data(), padded);
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

} // namespace

bool Group::run_small(Kernels& kernels) {
  if (row_length_ || size_ == 0 || size_ > most_small || kernels.device() != Device::cpu) {
    return false;
  }
  const cpu::KernelTable& table = cpu::kernel_table();
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
  constexpr int64_t widest = 16;
  int64_t padded = (size_ + vector_elements - 1) / vector_elements * vector_elements;
  size_t source_count = sources_.size();
  SmallValues& values = small_values;
  values.begin(source_count + members_.size(), padded * widest);
  if (values.places.size() < source_count + members_.size()) {
    values.places.resize(source_count + members_.size());
  }
  SmallValues::Place* places = values.places.data();
  for (size_t i = 0; i < source_count; ++i) {
    places[i] = place_of(sources_[i].node, shape, size_, padded, values.take());
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
      out = values.take();
    }
    bool whole = !member.kept;
    const void* in[3];
    for (size_t k = 0; k < node->operand_count; ++k) {
      int32_t edge = edges_[member.edges + k];
      const SmallValues::Place& place = places[edge < 0 ? source_count + static_cast<size_t>(~edge) : static_cast<size_t>(edge)];
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
