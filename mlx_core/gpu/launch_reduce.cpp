// Reductions and arg-reductions: passes over blocks of the elements of a result until one block is left.
#include <algorithm>
#include <cstdlib>

#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

namespace {

constexpr uint32_t block_length = 1024, arg_block_length = 4096; // of reduce.metal, arg_reduce.metal
constexpr uint32_t few = 16;                                     // elements that one thread reduces

const char* name_of(Reduction op) {
  switch (op) {
    case Reduction::sum: return "sum";
    case Reduction::prod: return "prod";
    case Reduction::min: return "min";
    case Reduction::max: return "max";
    case Reduction::all: return "all";
    case Reduction::any: return "any";
  }
  return "";
}

// Of bool, each reduction is one of truth.
Reduction of_truth(Reduction op) {
  bool all = op == Reduction::all || op == Reduction::prod || op == Reduction::min;
  return all ? Reduction::all : Reduction::any;
}

// The axes that are kept and those that are not.
struct Parts {
  Sizes kept, reduced;
  Strides kept_strides, reduced_strides;

  explicit Parts(const View& in, std::span<const int64_t> axes) {
    for (size_t i = 0; i < in.ndim(); ++i) {
      bool goes = std::find(axes.begin(), axes.end(), static_cast<int64_t>(i)) != axes.end();
      (goes ? reduced : kept).push_back(in.sizes[i]);
      (goes ? reduced_strides : kept_strides).push_back(in.strides[i]);
    }
  }
};

// Whether neighbours in memory belong to different results.
bool by_columns(const arguments::Layout& kept, uint32_t outs, int64_t step) {
  return outs >= 32 && kept.axes > 0 && std::abs(kept.strides[kept.axes - 1]) < std::abs(step);
}

} // namespace

bool supports(const kernel::Reduce& k) {
  Parts parts(k.in, k.axes);
  return has_shader_type(k.in.dtype) && k.in.size() <= most_elements && k.out.size() <= most_elements &&
         fits(parts.kept, parts.kept_strides) && fits(parts.reduced, parts.reduced_strides);
}

void launch(Encoder& encoder, const kernel::Reduce& k) {
  if (k.out.size() == 0) {
    return;
  }
  Parts parts(k.in, k.axes);
  const bool truth = k.in.dtype.is_bool() || k.op == Reduction::all || k.op == Reduction::any;
  const Reduction op = truth ? of_truth(k.op) : k.op;
  const bool wraps = op == Reduction::sum || op == Reduction::prod;
  Dtype in = truth || wraps ? unsigned_of(k.in.dtype) : k.in.dtype;
  const Dtype result = truth ? bool_ : in, carried = carried_in(result);
  arguments::Reduce a{};
  a.kept = layout_of(parts.kept, parts.kept_strides);
  a.reduced = layout_of(parts.reduced, parts.reduced_strides);
  a.outs = static_cast<uint32_t>(k.out.size());
  a.length = static_cast<uint32_t>(View::size_of(parts.reduced));
  Bound in_memory = from_lowest(k.in);
  View from = memory_of(in_memory, k.out);
  a.from = in_memory.first;
  for (bool first_pass = true;; first_pass = false) {
    a.blocks = static_cast<uint32_t>(std::max<uint64_t>(1, pieces(a.length, block_length)));
    const bool last = a.blocks == 1;
    const Dtype to = last ? result : carried;
    View out = last ? k.out : encoder.scratch(to, int64_t{a.outs} * a.blocks);
    bool columns = a.reduced.axes > 0 && by_columns(a.kept, a.outs, a.reduced.strides[a.reduced.axes - 1]);
    bool by_thread = first_pass && a.length <= few;
    std::string name = by_thread ? "reduce_few_" : columns ? "reduce_columns_" : "reduce_rows_";
    encoder.kernel("reduce", kernel_name(kernel_name(name + name_of(op), in), to));
    encoder.read(0, from);
    encoder.write(1, out);
    encoder.value(2, a);
    if (by_thread) {
      encoder.dispatch_elements(a.outs);
    } else if (columns) {
      encoder.dispatch_groups({pieces(a.outs, 32) * a.blocks}, {256});
    } else {
      encoder.dispatch_groups({pieces(uint64_t{a.outs} * a.blocks, 8)}, {256});
    }
    if (last) {
      return;
    }
    const int64_t sizes[] = {a.outs, a.blocks}, strides[] = {a.blocks, 1};
    a.kept = layout_of({sizes, 1}, {strides, 1});
    a.reduced = layout_of({sizes + 1, 1}, {strides + 1, 1});
    a.length = a.blocks;
    a.from = 0;
    from = out;
    in = truth ? uint8 : carried;
  }
}

bool supports(const kernel::ArgReduce& k) {
  Lanes lanes = lanes_of(k.in.sizes, k.in.strides, k.axis);
  return has_shader_type(k.in.dtype) && k.in.size() <= most_elements && fits(lanes.sizes, lanes.strides);
}

void launch(Encoder& encoder, const kernel::ArgReduce& k) {
  if (k.out.size() == 0) {
    return;
  }
  Lanes lanes = lanes_of(k.in.sizes, k.in.strides, k.axis);
  Bound in = from_lowest(k.in);
  arguments::ArgReduce a{};
  a.kept = layout_of(lanes.sizes, lanes.strides);
  a.from = in.first;
  a.step = lanes.step;
  a.outs = static_cast<uint32_t>(k.out.size());
  a.length = static_cast<uint32_t>(lanes.length);
  a.from_axis = 1;
  const std::string suffix = kernel_name(k.max ? "_max" : "_min", k.in.dtype.is_bool() ? uint8 : k.in.dtype);
  if (by_columns(a.kept, a.outs, a.step)) {
    encoder.kernel("arg_reduce", "arg_columns" + suffix);
    encoder.read(0, in.view);
    encoder.write(2, k.out);
    encoder.value(3, a);
    encoder.dispatch_elements(a.outs);
    return;
  }
  View candidates = k.out; // not read in the first pass
  for (;;) {
    a.blocks = static_cast<uint32_t>(pieces(a.length, arg_block_length));
    View out = a.blocks == 1 ? k.out : encoder.scratch(uint32, int64_t{a.outs} * a.blocks);
    encoder.kernel("arg_reduce", "arg_rows" + suffix);
    encoder.read(0, in.view);
    if (!a.from_axis) {
      encoder.read(1, candidates);
    }
    encoder.write(2, out);
    encoder.value(3, a);
    encoder.dispatch_groups({pieces(uint64_t{a.outs} * a.blocks, 8)}, {256});
    if (a.blocks == 1) {
      return;
    }
    candidates = out;
    a.length = a.blocks;
    a.from_axis = 0;
  }
}

} // namespace mlx::core::gpu
