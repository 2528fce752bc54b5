// vmap: run the function on one lane's placeholders, then replay what it did over the whole batch.
#include "mlx_core/ops.h"
#include "mlx_core/transforms/escape.h"
#include "mlx_core/transforms/lanes.h"

namespace mlx::core {

std::vector<array> vmap_call(const VectorFunction& fun, const VmapAxes& in_axes, const std::vector<array>& args,
    const std::function<VmapAxes(const std::vector<array>&)>& out_axes_of, Randomness randomness) {
  return vmap_call(fun, in_axes, args, out_axes_of, ChunkSize(), randomness);
}

std::vector<array> vmap_call(const VectorFunction& fun, const VmapAxes& in_axes, const std::vector<array>& args,
    const std::function<VmapAxes(const std::vector<array>&)>& out_axes_of, ChunkSize chunk_size,
    Randomness randomness) {
  if (!in_axes.empty() && in_axes.size() != args.size()) {
    fail("vmap", "in_axes has ", in_axes.size(), " entries but the function was called with ", args.size(), " arrays.");
  }
  std::optional<Dim> lanes;
  size_t first = 0;
  std::vector<std::optional<int>> axes;
  for (size_t i = 0; i < args.size(); ++i) {
    std::optional<int> axis = in_axes.empty() ? std::optional<int>(0) : in_axes[i];
    if (axis) {
      axis = normalize_axis("vmap", *axis, args[i].ndim());
      Dim length = args[i].shape(*axis);
      if (!lanes) {
        lanes = length;
        first = i;
      } else if (!(length == *lanes)) {
        fail("vmap", "mapped axes differ in length: argument ", first, " has ", *lanes, " lanes (shape ",
            args[first].shape(), ", axis ", *axes[first], ") but argument ", i, " has ", length, " (shape ",
            args[i].shape(), ", axis ", *axis, ").");
      }
    }
    axes.push_back(axis);
  }
  if (!lanes) {
    fail("vmap", "no argument is mapped: give at least one of them an axis in in_axes.");
  }

  Mapped mapped;
  VmapAxes out_axes;
  {
    Frame frame(Frame::Kind::vmap);
    frame.lanes = *lanes;
    frame.randomness = randomness;
    {
      std::vector<array> inside;
      for (size_t i = 0; i < args.size(); ++i) {
        inside.push_back(axes[i] ? frame.lane(args[i], *axes[i]) : args[i]);
      }
      std::vector<array> outputs = fun(std::move(inside));
      out_axes = out_axes_of(outputs);
      frame.returned = true;
      if (!out_axes.empty() && out_axes.size() != outputs.size()) {
        fail("vmap", "out_axes has ", out_axes.size(), " entries but the function returned ", outputs.size(),
            " arrays.");
      }
      mapped = batched(frame, outputs, chunk_size);
    }
    check_escapes(frame, "vmap", "Return what you want to keep: it comes out with a batch axis.");
  }

  std::vector<array> results;
  for (size_t i = 0; i < mapped.outputs.size(); ++i) {
    const array& value = mapped.outputs[i];
    std::optional<int> out_axis = out_axes.empty() ? std::optional<int>(0) : out_axes[i];
    if (!out_axis) {
      if (mapped.axes[i]) {
        fail("vmap", "out_axes is None for output ", i, ", but that output differs between lanes (batched shape ",
            value.shape(), ").");
      }
      results.push_back(value);
      continue;
    }
    int rank = value.ndim() + (mapped.axes[i] ? 0 : 1);
    int to = normalize_axis("vmap", *out_axis, rank);
    if (mapped.axes[i]) {
      results.push_back(*mapped.axes[i] == to ? value : moveaxis(value, *mapped.axes[i], to));
    } else {
      Shape shape = value.shape();
      shape.insert(shape.begin() + to, *lanes);
      check_shape("vmap", shape);
      results.push_back(broadcast_to(expand_dims(value, {to}), shape));
    }
  }
  return results;
}

namespace {

array map_into(const OpenVmap& open, const array& batched) { return static_cast<Frame*>(open.frame)->lane(batched, 0); }

} // namespace

VectorFunction vmap(const VectorFunction& fun, VmapAxes in_axes, VmapAxes out_axes, Randomness randomness) {
  return
      [fun, in_axes = std::move(in_axes), out_axes = std::move(out_axes), randomness](const std::vector<array>& args) {
        return vmap_call(fun, in_axes, args, [&](const std::vector<array>&) { return out_axes; }, randomness);
      };
}

std::function<array(const array&)> vmap(const std::function<array(const array&)>& fun, int in_axis, int out_axis) {
  VectorFunction wrapped = [fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; };
  return [f = vmap(wrapped, {in_axis}, {out_axis})](const array& x) { return f({x})[0]; };
}

std::function<array(const array&, const array&)> vmap(
    const std::function<array(const array&, const array&)>& fun, int in_axis_a, int in_axis_b, int out_axis) {
  VectorFunction wrapped = [fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0], in[1])}; };
  return
      [f = vmap(wrapped, {in_axis_a, in_axis_b}, {out_axis})](const array& a, const array& b) { return f({a, b})[0]; };
}

std::vector<OpenVmap> open_vmaps() {
  std::vector<OpenVmap> open;
  for (Frame* frame : Frame::open()) {
    if (frame->kind() == Frame::Kind::vmap) {
      open.push_back({frame->lanes, frame->randomness, map_into, frame});
    }
  }
  return open;
}

std::optional<BatchedView> batched_view(const array& a) {
  BatchedView view{a, {}};
  const std::vector<Frame*>& open = Frame::open();
  for (size_t i = open.size(); i-- > 0;) { // innermost first: its lanes end up behind those of the outer ones
    if (open[i]->kind() != Frame::Kind::vmap) {
      continue;
    }
    // Axis 0..k-1 of view.value are lanes of inner vmaps already.
    Mapped mapped = batched(*open[i], std::span<const array>(&view.value, 1));
    if (mapped.axes[0]) {
      view.value = *mapped.axes[0] == 0 ? mapped.outputs[0] : moveaxis(mapped.outputs[0], *mapped.axes[0], 0);
      view.lanes.insert(view.lanes.begin(), static_cast<int>(static_cast<int64_t>(open[i]->lanes)));
    }
  }
  return view.lanes.empty() ? std::nullopt : std::optional<BatchedView>(std::move(view));
}

} // namespace mlx::core
