// The host's kernels: each kind of work as a call of a function of cpu/.
#include <algorithm>
#include <vector>

#include "mlx_core/backend/custom_kernel.h"
#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/kernels.h"
#include "mlx_core/cpu/add_parts.h"
#include "mlx_core/cpu/convolve.h"
#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/fft.h"
#include "mlx_core/cpu/fused.h"
#include "mlx_core/cpu/gather.h"
#include "mlx_core/cpu/gemm.h"
#include "mlx_core/cpu/join.h"
#include "mlx_core/cpu/matrix_work.h"
#include "mlx_core/cpu/random_bits.h"
#include "mlx_core/cpu/range.h"
#include "mlx_core/cpu/reduce.h"
#include "mlx_core/cpu/scan.h"
#include "mlx_core/cpu/sort.h"
#include "mlx_core/cpu/special/evaluate.h"
#include "mlx_core/cpu/zero_terms.h"
#include "mlx_core/error.h"
#include "mlx_core/gpu/gpu.h"

namespace mlx::core {

namespace {

using cpu::Ints;

std::vector<cpu::IndexOperand> operands_of(std::span<const kernel::Index> indices) {
  std::vector<cpu::IndexOperand> out;
  out.reserve(indices.size());
  for (const kernel::Index& index : indices) {
    out.push_back({index.view.host(), index.view.dtype, index.view.strides, index.axis});
  }
  return out;
}

// The last batch axis goes to the kernel, the others are walked here.
void product(const kernel::Product& k) {
  const Dtype dtype = k.a.dtype;
  if (k.out.size() == 0) {
    return;
  }
  size_t outer = k.out.ndim() - 2;
  int64_t rows = k.out.sizes[outer], columns = k.out.sizes[outer + 1], terms = k.a.sizes[outer + 1];
  cpu::Matrix a{k.a.host(), k.a.strides[outer], k.a.strides[outer + 1]};
  cpu::Matrix b{k.b.host(), k.b.strides[outer], k.b.strides[outer + 1]};
  Sizes batch(k.out.sizes.begin(), k.out.sizes.begin() + outer);
  Strides of_a = k.a.strides, of_b = k.b.strides;
  int64_t* strides[] = {of_a.data(), of_b.data()};
  int axes = cpu::collapse_axes(static_cast<int>(outer), batch.data(), strides);
  auto last = static_cast<size_t>(axes > 0 ? axes - 1 : 0);
  int64_t lanes = axes > 0 ? batch[last] : 1, products = 1;
  for (size_t i = 0; i < last; ++i) {
    products *= batch[i];
  }
  for (int64_t p = 0; p < products; ++p) {
    int64_t from_a = 0, from_b = 0;
    for (int64_t rest = p, i = static_cast<int64_t>(last) - 1; i >= 0; --i) {
      auto axis = static_cast<size_t>(i);
      int64_t index = rest % batch[axis];
      rest /= batch[axis];
      from_a += index * of_a[axis];
      from_b += index * of_b[axis];
    }
    cpu::Matrix left = cpu::offset(a, from_a, dtype), right = cpu::offset(b, from_b, dtype);
    int64_t left_stride = axes > 0 ? of_a[last] : 0, right_stride = axes > 0 ? of_b[last] : 0;
    char* out = k.out.host<char>() + p * lanes * rows * columns * k.out.itemsize();
    cpu::gemm(dtype, lanes, rows, columns, terms, left, left_stride, right, right_stride, out, k.out.dtype);
    if (k.zero_terms) {
      cpu::leave_out_zero_terms(dtype, lanes, rows, columns, terms, left, left_stride, right, right_stride, out);
    }
  }
}

struct Run {
  void operator()(const kernel::Fused* k) const { cpu::run(k->plan, k->sources, k->outputs); }
  void operator()(const kernel::Copy* k) const {
    if (k->to.size() == 0) {
      return;
    }
    bool constant = std::all_of(k->from.strides.begin(), k->from.strides.end(), [](int64_t s) { return s == 0; });
    if (constant && k->to.is_row_major()) {
      return cpu::fill(k->to.host(), k->from.host(), k->to.size(), k->to.itemsize());
    }
    cpu::copy_strided(k->from.host(), k->from.strides, k->to.host(), k->to.strides, k->from.sizes, k->from.itemsize());
  }
  void operator()(const kernel::Join* k) const {
    std::vector<cpu::Joined> operands;
    for (const View& view : k->inputs) {
      operands.push_back({view.host(), view.sizes[static_cast<size_t>(k->axis)], view.strides});
    }
    cpu::join(operands, static_cast<size_t>(k->axis), k->out.sizes, k->out.host(), k->out.itemsize());
  }
  void operator()(const kernel::AddParts* k) const {
    std::vector<cpu::AddedPart> parts;
    for (size_t i = 0; i < k->parts.size(); ++i) {
      const kernel::AddParts::Part& part = k->parts[i];
      const View& view = k->inputs[i];
      const void* factor = part.factor ? k->inputs[part.factor].host() : nullptr;
      Sizes end = part.first;
      for (size_t d = 0; d < end.size(); ++d) {
        end[d] += view.sizes[d];
      }
      parts.push_back({view.host<char>(), factor, part.first, std::move(end), view.strides, part.subtracts, part.pads});
    }
    cpu::add_parts(k->out.dtype, std::move(parts), k->out.sizes, k->out.host());
  }
  void operator()(const kernel::Range* k) const {
    if (k->whole) {
      cpu::whole_range(k->whole_start, k->whole_step, k->out.dtype, k->out.size(), k->out.host());
    } else {
      cpu::real_range({k->start, k->step, k->divisor}, k->last, k->out.dtype, k->out.size(), k->out.host());
    }
  }
  void operator()(const kernel::RandomBits* k) const {
    int64_t keys = k->keys.size() / 2, bytes = k->out.size() * k->out.itemsize();
    if (keys > 0 && bytes > 0) {
      cpu::random_bits(k->keys.host<const uint32_t>(), keys, 2, bytes / keys, k->out.host());
    }
  }
  void operator()(const kernel::Product* k) const { product(*k); }
  void operator()(const kernel::Reduce* k) const {
    cpu::reduce(k->op, k->in.dtype, k->in.host(), k->in.sizes, k->in.strides, k->axes, k->out.host());
  }
  void operator()(const kernel::ArgReduce* k) const {
    if (k->out.size() > 0) {
      cpu::arg_reduce(k->max, k->in.dtype, k->in.host(), k->in.sizes, k->in.strides, k->axis, k->out.host());
    }
  }
  void operator()(const kernel::Scan* k) const {
    cpu::scan(
        k->op, k->in.dtype, k->in.host(), k->in.sizes, k->in.strides, k->axis, k->reverse, k->inclusive, k->out.host());
  }
  void operator()(const kernel::Recurrence* k) const {
    cpu::linear_recurrence(k->b.dtype, k->a.host(), k->a.strides, k->b.host(), k->b.strides, k->b.sizes, k->axis,
        k->reverse, k->out.host());
  }
  void operator()(const kernel::Fft* k) const {
    cpu::fft(k->in.dtype, k->in.host(), k->in.sizes, k->in.strides, k->axis, k->inverse, k->scale, k->out.dtype,
        k->out.sizes[static_cast<size_t>(k->axis)], k->out.host());
  }
  void operator()(const kernel::Convolve* k) const {
    cpu::convolve(
        {k->out.dtype, k->a.host(), k->a.sizes, k->a.strides, k->b.host(), k->b.sizes, k->b.strides, k->out.host(),
            k->out.sizes, k->stride, k->low, k->kernel_dilation, k->input_dilation, k->groups, k->flip, k->zero_terms});
  }
  void operator()(const kernel::Sort* k) const {
    cpu::sort(k->in.dtype, k->in.host(), k->in.sizes, k->in.strides, k->axis, k->out.host());
  }
  void operator()(const kernel::ArgSort* k) const {
    cpu::argsort(k->in.dtype, k->in.host(), k->in.sizes, k->in.strides, k->axis, k->out.host());
  }
  void operator()(const kernel::ArgPartition* k) const {
    cpu::argpartition(k->in.dtype, k->in.host(), k->in.sizes, k->in.strides, k->axis, k->kth, k->first,
        k->out.sizes[static_cast<size_t>(k->axis)], k->out.host());
  }
  void operator()(const kernel::SearchSorted* k) const {
    cpu::search_sorted(k->values.dtype, k->sorted.host(), k->sorted.sizes.back(), k->sorted.strides.back(),
        k->row_strides, k->values.host(), k->values.strides, k->values.sizes, k->right, k->out.host());
  }
  void operator()(const kernel::Gather* k) const {
    if (k->out.size() > 0) {
      cpu::gather(k->x.host(), k->x.sizes, k->x.strides, k->x.itemsize(), operands_of(k->indices), k->index_shape,
          k->slice, k->outer, k->out.host());
    }
  }
  void operator()(const kernel::Scatter* k) const {
    if (k->updates.size() > 0) {
      cpu::scatter(k->mode, k->out.dtype, k->out.host(), k->out.sizes, operands_of(k->indices), k->index_shape,
          k->slice, k->updates.host(), k->updates.strides);
    }
  }
  void operator()(const kernel::GatherAlong* k) const {
    if (k->out.size() > 0) {
      cpu::gather_along_axis(k->x.host(), k->x.strides, k->length, k->x.itemsize(), k->index.host(), k->index.dtype,
          k->index.strides, k->out.sizes, k->axis, k->out.host());
    }
  }
  void operator()(const kernel::ScatterAlong* k) const {
    if (k->index.size() > 0) {
      cpu::scatter_along_axis(k->mode, k->out.dtype, k->out.host(), k->out.sizes, k->axis, k->index.host(),
          k->index.dtype, k->index.strides, k->updates.host(), k->updates.strides, k->index.sizes);
    }
  }
  void operator()(const kernel::Custom* k) const {
    fail<std::runtime_error>("metal_kernel", "The kernel ", k->kernel.name,
        " is for the GPU, and its stream is one of the CPU. Call it with stream=mx.gpu.");
  }
  void operator()(const kernel::MatrixWork* k) const { cpu::run(*k); }
  void operator()(const kernel::Special* k) const { cpu::special::run(*k); }
};

class HostKernels final : public Kernels {
 public:
  Device device() const override { return Device::cpu; }
  bool supports(const kernel::Request&) const override { return true; }

 protected:
  void submit(const kernel::Request& request) override {
    if (gpu::built_in) [[unlikely]] { // what a GPU still writes
      auto wait = [](const View& view) { host_ready(view.buffer); };
      kernel::for_each_view(request, wait, wait);
    }
    std::visit(Run{}, request);
  }
};

} // namespace

bool is_row_major(std::span<const int64_t> sizes, std::span<const int64_t> strides) {
  int64_t expected = 1;
  for (size_t i = sizes.size(); i-- > 0; expected *= sizes[i]) {
    if (sizes[i] != 1 && strides[i] != expected) {
      return false;
    }
  }
  return true;
}

void collapse(Sizes& sizes, Strides& strides) {
  int64_t* rows[] = {strides.data()};
  auto axes = static_cast<size_t>(cpu::collapse_axes(static_cast<int>(sizes.size()), sizes.data(), rows));
  sizes.resize(axes);
  strides.resize(axes);
}

bool is_defined(Body body, Dtype from, Dtype to) {
  return (body == Body::copy && from != to) || cpu::find_kernel(body, from) != nullptr;
}

Kernels& host_kernels() {
  static HostKernels kernels;
  return kernels;
}

Kernels& kernels_on(StreamNumber stream) {
  if (stream == 0 || !gpu::built_in) {
    return host_kernels();
  }
  return stream_at(stream).device == Device::gpu ? gpu::kernels_on(stream) : host_kernels();
}

} // namespace mlx::core
