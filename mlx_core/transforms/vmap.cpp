// vmap: run the function on one lane's placeholders, then replay what it did over the whole batch.
#include <map>

#include "mlx_core/ops.h"
#include "mlx_core/transforms/escape.h"
#include "mlx_core/transforms/lanes.h"

namespace mlx::core {

namespace {

// Nodes of this pass say that their lanes lie along axis 0; those whose axis is known to be another say so.
void note_lane_axes(const Mapped& mapped, uint32_t lane_origin, int64_t lanes) {
  uint32_t made_here = origin_in_pass(lane_origin, "vmap", lanes);
  for (size_t k = 0; k < mapped.outputs.size(); ++k) {
    Node* node = mapped.outputs[k].node();
    if (node->origin == made_here && mapped.axes[k].value_or(0) != 0) {
      node->origin = origin_with_lanes_along(made_here, *mapped.axes[k]);
    }
  }
}

// For origins; 0 while it is not known.
int64_t lanes_of(std::span<const array> batches, const MapAxes& axes) {
  for (size_t i = 0; i < batches.size(); ++i) {
    if (axes[i]) {
      Dim lanes = batches[i].shape(*axes[i]);
      return lanes.is_symbolic() ? 0 : static_cast<int64_t>(lanes);
    }
  }
  return 0;
}

} // namespace

Mapped replay(
    const Tape& tape, std::span<const array> outputs, std::span<const array> batches, const MapAxes& batch_axes) {
  int64_t lanes = lanes_of(batches, batch_axes);
  const std::vector<Node*>& nodes = tape.nodes();
  std::vector<Tangent> values(nodes.size()); // "a value, or none yet"
  MapAxes axes(nodes.size());
  std::map<const Node*, Mapped> applications;

  for (size_t i = 0; i < nodes.size(); ++i) {
    Node* node = nodes[i];
    if (i < batches.size()) {
      values[i] = batches[i];
      axes[i] = batch_axes[i];
      continue;
    }
    OriginScope scope(node->origin, "vmap", lanes);
    StreamScope on(node->stream);
    if (const Project* projection = Tape::projection(node)) {
      const Mapped& all = applications.at(node->operands()[0].node());
      values[i] = all.outputs[static_cast<size_t>(projection->index())];
      axes[i] = all.axes[static_cast<size_t>(projection->index())];
      continue;
    }
    SmallVector<array, 3> operands;
    MapAxes operand_axes;
    bool any = false;
    for (const array& operand : node->operands()) {
      int at = tape.index_of(operand);
      operands.push_back(at >= 0 ? *values[static_cast<size_t>(at)] : operand);
      operand_axes.push_back(at >= 0 ? axes[static_cast<size_t>(at)] : std::nullopt);
      any = any || operand_axes.back();
    }
    Mapped mapped;
    if (any) {
      mapped = node->primitive->vmap(operands, operand_axes);
    } else { // every operand turned out to be the same in every lane
      mapped.outputs = applied_many(node->primitive, operands);
      mapped.axes = MapAxes(mapped.outputs.size());
    }
    if (node->origin) [[unlikely]] {
      note_lane_axes(mapped, node->origin, lanes);
    }
    if (Tape::is_application(node)) {
      applications[node] = std::move(mapped);
    } else {
      values[i] = mapped.outputs[0];
      axes[i] = mapped.axes[0];
    }
  }

  Mapped out;
  for (const array& output : outputs) {
    int at = tape.index_of(output);
    out.outputs.push_back(at >= 0 ? *values[static_cast<size_t>(at)] : output);
    out.axes.push_back(at >= 0 ? axes[static_cast<size_t>(at)] : std::nullopt);
  }
  return out;
}

Mapped replay(const Frame& frame, std::span<const array> outputs) {
  return replay_in_chunks(frame, outputs, ChunkSize());
}

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
      mapped = replay_in_chunks(frame, outputs, chunk_size);
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
    Mapped mapped = replay(*open[i], std::span<const array>(&view.value, 1));
    if (mapped.axes[0]) {
      view.value = *mapped.axes[0] == 0 ? mapped.outputs[0] : moveaxis(mapped.outputs[0], *mapped.axes[0], 0);
      view.lanes.insert(view.lanes.begin(), static_cast<int>(static_cast<int64_t>(open[i]->lanes)));
    }
  }
  return view.lanes.empty() ? std::nullopt : std::optional<BatchedView>(std::move(view));
}

} // namespace mlx::core
