// vmap in chunks: how many lanes go into one, and putting the results together.
#include <algorithm>
#include <limits>

#include "mlx_core/allocator.h"
#include "mlx_core/ops.h"
#include "mlx_core/program/record.h"
#include "mlx_core/transforms/lanes.h"

namespace mlx::core {

namespace {

size_t bytes_of(const Shape& shape, Dtype dtype) {
  return saturating_multiply(
      static_cast<size_t>(static_cast<int64_t>(size_of(shape))), static_cast<size_t>(dtype.size()));
}

// The most bytes that one lane keeps in memory at a time when the steps run in order.
size_t live_bytes(const Traced& lane) {
  const Program& program = *lane.program;
  std::span<const Program::Step> steps = program.steps();
  std::vector<size_t> bytes(program.slot_count()), owner(program.slot_count()), last_use(program.slot_count());
  for (size_t i = 0; i < program.inputs().size(); ++i) { // what is captured is there once for all lanes
    bool own = i < program.inputs().size() - lane.captured.size();
    bytes[i] = own ? bytes_of(program.inputs()[i].shape, program.inputs()[i].dtype) : 0;
    owner[i] = i;
  }
  for (size_t n = 0; n < steps.size(); ++n) {
    EvalKind kind = steps[n].primitive->eval_kind();
    bool is_view = (kind == EvalKind::view || kind == EvalKind::identity) && steps[n].operands.size() > 0;
    for (int32_t operand : steps[n].operands) {
      last_use[owner[static_cast<size_t>(operand)]] = n;
    }
    for (size_t k = 0; k < steps[n].outputs.size(); ++k) {
      const Spec& output = steps[n].outputs[k];
      size_t slot = static_cast<size_t>(steps[n].first) + k;
      bytes[slot] = is_view ? 0 : bytes_of(output.shape, output.dtype);
      owner[slot] = is_view ? owner[static_cast<size_t>(steps[n].operands[0])] : slot;
      last_use[owner[slot]] = n;
    }
  }
  for (int32_t output : program.outputs()) {
    last_use[owner[static_cast<size_t>(output)]] = steps.size();
  }
  std::vector<size_t> freed(steps.size() + 1);
  constexpr size_t enough = std::numeric_limits<size_t>::max() >> 20; // so that sums over slots fit
  size_t live = 0, slot = 0;
  auto add = [&] {
    size_t more = std::min(bytes[slot], enough);
    live += more;
    freed[last_use[slot++]] += more;
  };
  while (slot < program.inputs().size()) {
    add();
  }
  size_t most = live;
  for (size_t n = 0; n < steps.size(); ++n) {
    for (size_t k = 0; k < steps[n].outputs.size(); ++k) {
      add();
    }
    most = std::max(most, live);
    live -= freed[n];
  }
  return most;
}

int64_t automatic_lanes(const Frame& frame, const Traced& lane) {
  size_t results = 0, outer = 1; // lanes of the vmaps around this one: each of its lanes stands for so many
  for (const Spec& output : lane.program->output_specs()) {
    results = saturating_add(results, bytes_of(output.shape, output.dtype));
  }
  for (const Frame* open : Frame::open()) {
    if (open->kind() == Frame::Kind::vmap && open != &frame) {
      outer = saturating_multiply(outer, static_cast<size_t>(std::max<int64_t>(open->lanes, 1)));
    }
  }
  // The chunks' results and what they are joined into are there whatever the chunk size.
  size_t lanes = static_cast<size_t>(static_cast<int64_t>(frame.lanes));
  size_t needed =
      saturating_add(get_active_memory(), saturating_multiply(saturating_multiply(2 * lanes, outer), results));
  size_t limit = get_memory_limit();
  size_t of_lane = saturating_multiply(std::max<size_t>(live_bytes(lane), 1), outer);
  return limit > needed ? static_cast<int64_t>(std::max<size_t>((limit - needed) / of_lane, 1)) : 1;
}

// Lanes [from, to) of a batch.
array lanes_of(const array& batch, int axis, int64_t from, int64_t to) {
  Shape start(batch.shape().size()), stop = batch.shape();
  start[static_cast<size_t>(axis)] = from;
  stop[static_cast<size_t>(axis)] = to;
  return slice(batch, std::move(start), std::move(stop));
}

} // namespace

Mapped batched(const Frame& frame, std::span<const array> outputs, ChunkSize chunk_size) {
  Traced lane = record_program(frame, outputs);
  std::vector<array> batches;
  MapAxes axes(lane.program->inputs().size());
  for (const array& placeholder : frame.placeholders()) {
    axes[batches.size()] = placeholder.node()->extra->batch_axis;
    batches.push_back(*placeholder.node()->extra->batched);
  }
  size_t own = batches.size();
  auto replayed = [&](std::vector<array> inputs) {
    inputs.insert(inputs.end(), lane.captured.begin(), lane.captured.end());
    return replay_batched(*lane.program, std::move(inputs), axes);
  };
  if (chunk_size.is_all()) {
    return replayed(std::move(batches));
  }
  int64_t lanes = frame.lanes;
  int64_t most = chunk_size.is_automatic() ? automatic_lanes(frame, lane) : chunk_size.lanes();
  if (most >= lanes) {
    return replayed(std::move(batches));
  }
  if (chunk_size.is_automatic()) { // chunks of about the same length
    int64_t chunks = (lanes + most - 1) / most;
    most = (lanes + chunks - 1) / chunks;
  }
  std::vector<std::vector<array>> parts(outputs.size());
  Mapped out;
  for (int64_t from = 0; from < lanes; from += most) {
    std::vector<array> chunk;
    for (size_t i = 0; i < own; ++i) {
      chunk.push_back(lanes_of(batches[i], *axes[i], from, std::min(from + most, lanes)));
    }
    out = replayed(std::move(chunk));
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (out.axes[i]) {
        parts[i].push_back(moveaxis(out.outputs[i], *out.axes[i], 0));
      }
    }
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (out.axes[i]) {
      out.outputs[i] = concatenate(parts[i], 0);
      out.axes[i] = 0;
    }
  }
  return out;
}

VectorFunction vmap(const VectorFunction& fun, VmapAxes in_axes, VmapAxes out_axes, ChunkSize chunk_size) {
  return
      [fun, in_axes = std::move(in_axes), out_axes = std::move(out_axes), chunk_size](const std::vector<array>& args) {
        return vmap_call(fun, in_axes, args, [&](const std::vector<array>&) { return out_axes; }, chunk_size);
      };
}

} // namespace mlx::core
