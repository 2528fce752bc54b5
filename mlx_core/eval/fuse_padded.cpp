// Members that put one element around an array that was put off, as cotangents of slices are: of its elements each is
// computed where it stands in the space, from what the array is computed from. So the cotangents of neighbours'
// differences are never stored.
#include <algorithm>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/small_values.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

constexpr bool yes = true, no = false;

bool has_value(const Node* node) { return node->state.load(std::memory_order_acquire) == Node::State::available; }

// Whether an array is, or will be, one element in memory.
bool is_repeated(const Node* node) {
  if (has_value(node)) {
    return is_one_element(node->shape, node->strides);
  }
  return node->primitive->eval_kind() == EvalKind::view && node->operand_count == 1 &&
         size_of(const_cast<Node*>(node)->operands()[0].shape()) == 1;
}

View view_of(const Node* node) {
  return {node->buffer.get(), node->offset, node->inline_value, node->dtype, sizes_of(node->shape), node->strides};
}

} // namespace

bool Recipe::add(Node* node, const Shape& shape, const std::function<bool(const Node*)>& is_there) {
  constexpr size_t most_steps = 8;
  if (std::find(steps.begin(), steps.end(), node) != steps.end()) {
    return true;
  }
  if (is_there(node)) {
    if (std::find(leaves.begin(), leaves.end(), node) == leaves.end()) {
      leaves.push_back(node);
    }
    return leaves.size() <= most_leaves;
  }
  auto operands = node->operands();
  bool is_step = node->primitive->eval_kind() == EvalKind::elementwise && node->shape == shape &&
                 std::all_of(operands.begin(), operands.end(),
                     [&](const array& operand) { return add(operand.node(), shape, is_there); });
  if (is_step) {
    steps.push_back(node);
    cost += cost_of(static_cast<const Elementwise&>(*node->primitive).body());
  }
  return is_step && steps.size() <= most_steps;
}

bool Group::pads(const Node* node, const array& part) {
  constexpr int64_t fewest = 4096, shortest_line = 64; // elements
  static_assert(fewest > most_small);                  // run_small() knows nothing of this
  std::optional<WrittenPart> written = node->operand_count == 2 ? written_part(*node->primitive) : std::nullopt;
  if (!written) {
    return false;
  }
  auto operands = const_cast<Node*>(node)->operands();
  const Node* around = operands[0].node();
  return operands[1].node() == part.node() && around != part.node() && is_repeated(around) &&
         size_of(part.shape()) > 0 && written->has_no_gaps() && size_of(node->shape) >= fewest &&
         static_cast<int64_t>(node->shape.back()) >= shortest_line;
}

bool Group::pads_later(Claims& claims, const Node* node) {
  if (node->operand_count != 2) {
    return false;
  }
  const array *around = const_cast<Node*>(node)->operand_storage(), &part = around[1];
  const Claims::Entry* entry = claims.find(part.node());
  return entry && entry->is_held && entry->group < 0 && pads(node, part) && has_value(around->node()) &&
         is_read_in_groups(claims, node) && Recipe().add(part.node(), part.shape(), has_value);
}

uint16_t Group::add_source(FusedPlan::Source source, const View& view, Dtype dtype) {
  plan_.sources.push_back(std::move(source));
  source_views_.push_back(view);
  plan_.slots.push_back({dtype, false, -1});
  return static_cast<uint16_t>(plan_.slots.size() - 1);
}

// Of a part of an array of the space's shape, whose element 0 stands at `first`. What stands elsewhere is not read to
// any effect: it may be what else is there in memory, as far as that goes.
uint16_t Group::add_shifted(View part, const Sizes& first) {
  int64_t begins = part.offset / part.itemsize(), total = static_cast<int64_t>(part.buffer->size) / part.itemsize();
  Strides strides = row_major_strides(shape);
  for (size_t d = 0; d < first.size(); ++d) {
    begins -= first[d] * strides[d];
  }
  int64_t low = std::max<int64_t>(-begins, 0), high = std::min(size_, total - begins);
  auto slot = static_cast<uint16_t>(plan_.slots.size());
  FusedPlan::Source source{FusedPlan::Layout::flat, {}, {}, {}};
  View inside = part.laid_out({}, {});
  inside.offset = (begins + low) * part.itemsize() + part.offset % part.itemsize();
  if (low == 0 && high == size_) {
    return add_source(std::move(source), inside, part.dtype);
  }
  source = {FusedPlan::Layout::pieces, {size_}, {}, {}};
  source.pieces.push_back({slot, {0}, {size_}, {1}, {0}, 0});
  source.pieces.push_back({0, {low}, {high - low}, {1}, {1}, 0});
  insides_.emplace_back(slot, inside);
  return add_source(std::move(source), part, part.dtype);
}

void Group::plan_padded(const Member& member) {
  const array &around = member.node->operands()[0], &part = member.node->operands()[1];
  WrittenPart written = *written_part(*member.node->primitive);
  size_t rank = shape.size();
  Sizes first(rank, 0);
  std::copy(written.start.begin(), written.start.end(), first.begin());
  auto scalar = [&](const View& view) { return add_source({FusedPlan::Layout::scalar, {}, {}, {}}, view, view.dtype); };
  auto with_around = [&](const View& outside, const View& inside, const Strides& strides) {
    auto slot = static_cast<uint16_t>(plan_.slots.size());
    FusedPlan::Source source{FusedPlan::Layout::pieces, sizes_of(shape), {}, {}};
    source.pieces.push_back({slot, Sizes(rank, 0), source.sizes, Strides(rank, 1), Strides(rank, 0), 0});
    source.pieces.push_back({0, first, sizes_of(part.shape()), Strides(rank, 1), strides, 0});
    collapse(source.sizes, source.pieces);
    insides_.emplace_back(slot, inside);
    return add_source(std::move(source), outside, outside.dtype);
  };
  View is_outside{nullptr, 0, &no, bool_, {}, {}}, is_inside{nullptr, 0, &yes, bool_, {}, {}};
  Padded padded{member.node, {}, {}, with_around(is_outside, is_inside, Strides(rank, 0)), scalar(around.view())};
  Recipe recipe;
  recipe.add(part.node(), part.shape(), has_value);
  for (const Node* leaf : recipe.leaves) {
    View view = view_of(leaf);
    Strides strides(rank, 0);
    size_t shift = rank - leaf->shape.size();
    for (size_t d = shift; d < rank; ++d) {
      strides[d] = leaf->shape[d - shift] == part.shape()[d] ? leaf->strides[d - shift] : 0;
    }
    if (is_one_element(leaf->shape, leaf->strides)) {
      padded.slots.emplace_back(leaf, scalar(view));
    } else if (strides == row_major_strides(shape)) {
      padded.slots.emplace_back(leaf, add_shifted(view, first));
    } else {
      padded.slots.emplace_back(leaf, with_around(view, view, strides));
    }
  }
  padded.steps = std::move(recipe.steps);
  padded_.push_back(std::move(padded));
}

void Group::add_padded_steps(Member& member) {
  Padded& padded =
      *std::find_if(padded_.begin(), padded_.end(), [&](const Padded& p) { return p.node == member.node; });
  auto slot_of_node = [&](const Node* node) {
    auto has_it = [=](const auto& pair) { return pair.first == node; };
    return std::find_if(padded.slots.begin(), padded.slots.end(), has_it)->second;
  };
  for (Node* node : padded.steps) {
    FusedPlan::Step step = step_of(node);
    for (size_t k = 0; k < node->operand_count; ++k) {
      step.inputs[k] = slot_of_node(node->operands()[k].node());
    }
    step.output = static_cast<uint16_t>(plan_.slots.size());
    plan_.slots.push_back({node->dtype, false, -1});
    padded.slots.emplace_back(node, step.output);
    simplify(step);
    plan_.steps.push_back(step);
  }
  member.step = static_cast<int32_t>(plan_.steps.size());
  Dtype dtype = member.node->dtype;
  uint16_t part = slot_of_node(member.node->operands()[1].node());
  plan_.steps.push_back(
      {Body::select, dtype, dtype, {padded.is_inside, part, padded.around}, 3, static_cast<uint16_t>(member.slot)});
}

} // namespace mlx::core
