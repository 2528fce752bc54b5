// vmap in chunks: how many lanes go into one, and putting the results together.
#include <algorithm>
#include <limits>

#include "mlx_core/allocator.h"
#include "mlx_core/ops.h"
#include "mlx_core/transforms/lanes.h"

namespace mlx::core {

namespace {

size_t bytes_of(const Shape& shape, Dtype dtype) {
  return saturating_multiply(
      static_cast<size_t>(static_cast<int64_t>(size_of(shape))), static_cast<size_t>(dtype.size()));
}

size_t bytes_of(const Node* node) {
  EvalKind kind = node->primitive ? node->primitive->eval_kind() : EvalKind::general;
  if (kind == EvalKind::view || kind == EvalKind::identity || kind == EvalKind::project) {
    return 0;
  }
  if (Tape::is_application(node)) {
    size_t total = 0;
    for (const array& output : node->extra->outputs) {
      total = saturating_add(total, bytes_of(output.shape(), output.dtype()));
    }
    return total;
  }
  return bytes_of(node->shape, node->dtype);
}

// A node's memory is that of the node it is a view of.
std::vector<size_t> owners(const Tape& tape) {
  std::vector<size_t> owner(tape.nodes().size());
  for (size_t i = 0; i < owner.size(); ++i) {
    Node* node = tape.nodes()[i];
    owner[i] = i;
    if (node->operand_count > 0 && bytes_of(node) == 0) {
      int at = tape.index_of(node->operands()[0]);
      owner[i] = at >= 0 ? owner[static_cast<size_t>(at)] : i;
    }
  }
  return owner;
}

int64_t automatic_lanes(const Frame& frame, const Tape& tape, std::span<const array> outputs) {
  size_t results = 0, outer = 1; // lanes of the vmaps around this one: each of its lanes stands for so many
  for (const array& output : outputs) {
    results = saturating_add(results, bytes_of(output.shape(), output.dtype()));
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
  size_t lane = saturating_multiply(std::max<size_t>(live_bytes(tape, outputs), 1), outer);
  return limit > needed ? static_cast<int64_t>(std::max<size_t>((limit - needed) / lane, 1)) : 1;
}

// Lanes [from, to) of a batch.
array lanes_of(const array& batch, int axis, int64_t from, int64_t to) {
  Shape start(batch.shape().size()), stop = batch.shape();
  start[static_cast<size_t>(axis)] = from;
  stop[static_cast<size_t>(axis)] = to;
  return slice(batch, std::move(start), std::move(stop));
}

} // namespace

size_t live_bytes(const Tape& tape, std::span<const array> outputs) {
  const std::vector<Node*>& nodes = tape.nodes();
  std::vector<size_t> owner = owners(tape), last_use(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    last_use[owner[i]] = std::max(last_use[owner[i]], i);
    for (const array& operand : nodes[i]->operands()) {
      if (int at = tape.index_of(operand); at >= 0) {
        last_use[owner[static_cast<size_t>(at)]] = i;
      }
    }
  }
  for (const array& output : outputs) {
    if (int at = tape.index_of(output); at >= 0) {
      last_use[owner[static_cast<size_t>(at)]] = nodes.size();
    }
  }
  std::vector<size_t> freed(nodes.size() + 1);
  constexpr size_t enough = std::numeric_limits<size_t>::max() >> 20; // so that sums over nodes fit
  size_t live = 0, most = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (size_t bytes = owner[i] == i ? std::min(bytes_of(nodes[i]), enough) : 0) {
      live += bytes;
      freed[last_use[i]] += bytes;
    }
    most = std::max(most, live);
    live -= freed[i];
  }
  return most;
}

Mapped replay_in_chunks(const Frame& frame, std::span<const array> outputs, ChunkSize chunk_size) {
  Tape tape(frame, outputs);
  std::vector<array> batches;
  MapAxes axes;
  for (const array& placeholder : frame.placeholders()) {
    batches.push_back(*placeholder.node()->extra->batched);
    axes.push_back(placeholder.node()->extra->batch_axis);
  }
  if (chunk_size.is_all()) {
    return replay(tape, outputs, batches, axes);
  }
  int64_t lanes = frame.lanes;
  int64_t most = chunk_size.is_automatic() ? automatic_lanes(frame, tape, outputs) : chunk_size.lanes();
  if (most >= lanes) {
    return replay(tape, outputs, batches, axes);
  }
  if (chunk_size.is_automatic()) { // chunks of about the same length
    int64_t chunks = (lanes + most - 1) / most;
    most = (lanes + chunks - 1) / chunks;
  }
  std::vector<std::vector<array>> parts(outputs.size());
  Mapped out;
  for (int64_t from = 0; from < lanes; from += most) {
    std::vector<array> chunk;
    for (size_t i = 0; i < batches.size(); ++i) {
      chunk.push_back(lanes_of(batches[i], *axes[i], from, std::min(from + most, lanes)));
    }
    out = replay(tape, outputs, chunk, axes);
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
