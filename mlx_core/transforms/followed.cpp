// Walking back from an array to the placeholders of the transforms that are open on this thread.
#include "mlx_core/transforms/followed.h"

#include <set>
#include <utility>
#include <vector>

#include "mlx_core/primitive.h"
#include "mlx_core/transforms/frame.h"

namespace mlx::core {

namespace {

// The open frame that made this placeholder; null for any other node.
const Frame* frame_of(const Node* node) {
  bool placeholder = node->primitive ? node->primitive->role() == Role::argument : !node->available();
  if (!placeholder) {
    return nullptr;
  }
  for (const Frame* frame : Frame::open()) {
    if (frame->id() == node->level) {
      return frame;
    }
  }
  return nullptr;
}

// Where derivatives end.
bool ends_derivatives(const Node* node) {
  return !node->dtype.is_inexact() || (node->primitive && node->primitive->role() == Role::barrier);
}

} // namespace

Follower follower_of(const array& a) {
  const std::vector<Frame*>& open = Frame::open();
  if (open.empty() || a.node()->level < open.front()->id()) {
    return Follower::none;
  }
  bool only_derivatives = true, recorded = false;
  for (const Frame* frame : open) {
    only_derivatives = only_derivatives && frame->kind() == Frame::Kind::differentiate;
  }
  // A node, and whether a derivative would pass from there to `a`.
  std::vector<std::pair<const Node*, bool>> ahead{{a.node(), !ends_derivatives(a.node())}};
  std::set<std::pair<const Node*, bool>> seen;
  while (!ahead.empty()) {
    auto [node, passes] = ahead.back();
    ahead.pop_back();
    if (node->level < open.front()->id() || (only_derivatives && !passes) || !seen.insert({node, passes}).second) {
      continue;
    }
    if (const Frame* frame = frame_of(node)) {
      switch (frame->kind()) {
        case Frame::Kind::vmap: return Follower::vmap;
        case Frame::Kind::trace:
          if (!frame->passes_derivatives) {
            return Follower::recording;
          }
          recorded = true;
          break;
        case Frame::Kind::differentiate:
          if (passes) {
            return Follower::derivative;
          }
          break;
      }
    }
    // The owner of several outputs has no dtype of its own.
    bool output = node->primitive && node->primitive->eval_kind() == EvalKind::project;
    for (const array& operand : const_cast<Node*>(node)->operands()) {
      ahead.emplace_back(operand.node(), passes && (output || !ends_derivatives(operand.node())));
    }
  }
  return recorded ? Follower::recording : Follower::none;
}

} // namespace mlx::core
