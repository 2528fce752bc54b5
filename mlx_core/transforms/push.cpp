// Forward mode: walk the tape and let every primitive push its operands' tangents to its outputs.
#include "mlx_core/transforms/push.h"

#include <algorithm>

#include "mlx_core/ops.h"
#include "mlx_core/ops/elementwise/composites.h"
#include "mlx_core/transforms/confluence.h"

namespace mlx::core {

Tangents Push::through(size_t first, std::span<const array> outputs) {
  std::vector<Decomposition> decompositions;
  for (size_t i = first; i < tape.nodes().size(); ++i) {
    Node* node = tape.nodes()[i];
    OriginScope scope(node->origin, "jvp");
    StreamScope on(node->stream);
    if (nodes[i]) {
      continue;
    }
    if (const Project* projection = Tape::projection(node)) {
      const Tangents& all = applications[node->operands()[0].node()];
      size_t k = static_cast<size_t>(projection->index());
      if (k < all.size() && node->dtype.is_inexact()) {
        nodes[i] = all[k];
      }
      continue;
    }
    Tangents in;
    auto collect = [&](std::span<const array> operands) {
      in.clear();
      bool any = false;
      for (const array& operand : operands) {
        int at = tape.index_of(operand);
        in.push_back(at >= 0 ? nodes[static_cast<size_t>(at)] : std::nullopt);
        any = any || in.back();
      }
      return any;
    };
    if (!collect(node->operands())) {
      continue;
    }
    node->references.fetch_add(1, std::memory_order_relaxed);
    array self = array::from_node(node);
    if (Tape::is_application(node)) {
      if (applications.count(node)) {
        continue;
      }
      std::vector<array> own = outputs_of(node);
      applications[node] = node->primitive->jvp(node->operands(), in, own);
      if (confluent(node)) {
        decompositions.push_back({node, in, std::move(own)});
      }
    } else if (std::optional<Composite> whole = composite_of(*node)) {
      collect(whole->operands);
      nodes[i] = whole->jvp(in, self);
    } else if (node->dtype.is_inexact()) {
      nodes[i] = node->primitive->jvp(node->operands(), in, std::span<const array>(&self, 1))[0];
    }
  }
  Tangents out;
  for (const array& output : outputs) {
    int at = tape.index_of(output);
    out.push_back(at >= 0 ? nodes[static_cast<size_t>(at)] : std::nullopt);
  }
  for (const Decomposition& each : decompositions) {
    add_turning(tape, each, outputs, depth, out);
  }
  return out;
}

} // namespace mlx::core
