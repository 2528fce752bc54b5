// Derivatives of graphs along the parting of values, and the terms that decompositions ask for.
#include "mlx_core/transforms/confluence.h"

#include <algorithm>

#include "mlx_core/interruption.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/transforms/push.h"

namespace mlx::core {

namespace {

constexpr int deepest = 2;
// Nodes of a graph with another decomposition in it that are derived along a parting: each such derivative makes many
// times as many.
constexpr size_t most_nodes = 1200;
thread_local int helping_frames = 0;

// Each further derivative of a result needs one more term. The frames that are open tell of some; one more may come
// after a compiled function has been recorded, whose bits are those of the function itself. An application whose own
// frame has closed belongs to a derivative already.
int terms_needed(const Node* application) {
  int64_t open = -helping_frames;
  bool first = false;
  for (const Frame* frame : Frame::open()) {
    open += frame->kind() == Frame::Kind::differentiate;
    first = first || frame->id() == application->level;
  }
  return static_cast<int>(std::clamp<int64_t>(open, first ? 2 : 1, 3)); // one of them asks now
}

bool is_same_matrix(const Node* application, const Node* node) {
  return node->operand_count == 1 && node->primitive &&
         const_cast<Node*>(node)->operands()[0].node() == const_cast<Node*>(application)->operands()[0].node();
}

// The graph between a decomposition and what is made of it.
class Downstream {
 public:
  Downstream(Node* application, std::span<const array> held, std::span<const array> outputs)
      : decomposition_(*confluent(application)),
        tape_(
            application,
            [&](const Node* node) {
              return is_same_matrix(application, node) && decomposition_.same_values(*node->primitive) >= 0;
            },
            held, outputs),
        application_(application) {}

  size_t size() const { return tape_.nodes().size(); }
  // How many other decompositions it has.
  int64_t further() const {
    return std::count_if(tape_.nodes().begin(), tape_.nodes().end(),
        [&](const Node* node) { return confluent(node) && !has_same_values(node); });
  }
  // The derivatives of `outputs` while the values part and the vectors stay.
  Tangents along(const array& parting, std::span<const array> outputs, int depth) const {
    Push push{tape_, std::vector<Tangent>(tape_.nodes().size()), {}, depth};
    for (size_t i = 0; i < tape_.nodes().size(); ++i) {
      const Node* node = tape_.nodes()[i];
      if (!has_same_values(node)) {
        continue;
      }
      auto at =
          static_cast<size_t>(node == application_ ? decomposition_.values()
                                                   : static_cast<size_t>(decomposition_.same_values(*node->primitive)));
      if (Tape::is_application(node)) {
        Tangents all(node->extra->outputs.size());
        all[at] = parting;
        push.applications[node] = std::move(all);
      } else {
        push.nodes[i] = parting;
      }
    }
    return push.through(0, outputs);
  }

 private:
  bool has_same_values(const Node* node) const {
    return node == application_ || (is_same_matrix(application_, node) && !Tape::projection(node) &&
                                       decomposition_.same_values(*node->primitive) >= 0);
  }

  const Confluent& decomposition_;
  Tape tape_;
  Node* application_;
};

// `terms` more derivatives along the parting, each of the one before; none where there is no rule, or too much follows.
struct Derivatives {
  Node* application;
  const array& parting;
  std::span<const array> held;
  int depth;
  // nullopt where nothing can be said.
  std::optional<Tangents> of(const Tangents& given, bool* further = nullptr) const {
    std::vector<array> present;
    for (const Tangent& t : given) {
      if (t) present.push_back(*t);
    }
    Downstream downstream(application, held, present);
    int64_t others = downstream.further();
    if (others > 1 || (others > 0 && downstream.size() > most_nodes)) {
      return std::nullopt;
    }
    if (further) {
      *further = others > 0;
    }
    Tangents pushed = downstream.along(parting, present, depth), out(given.size());
    for (size_t i = 0, next = 0; i < given.size(); ++i) {
      if (given[i]) out[i] = pushed[next++];
    }
    return out;
  }
};

bool any(const Tangents& tangents) {
  return std::any_of(tangents.begin(), tangents.end(), [](const Tangent& t) { return t.has_value(); });
}

} // namespace

const Confluent* confluent(const Node* node) {
  return Tape::is_application(node) ? dynamic_cast<const Confluent*>(node->primitive.get()) : nullptr;
}

Node* earlier_twin(const Tape& tape, size_t i) {
  const Node* node = tape.nodes()[i];
  for (size_t j = 0; j < i; ++j) {
    Node* other = tape.nodes()[j];
    if (confluent(other) && is_same_matrix(node, other) && equivalent(*node->primitive, *other->primitive)) {
      return other;
    }
  }
  return nullptr;
}

std::vector<array> outputs_of(Node* application) {
  application->references.fetch_add(1, std::memory_order_relaxed);
  array self = array::from_node(application);
  std::vector<array> out;
  for (size_t k = 0; k < application->extra->outputs.size(); ++k) {
    const array& storage = application->extra->outputs[k];
    Spec spec{storage.shape(), storage.dtype()};
    out.push_back(array::make(make_primitive<Project>(static_cast<int>(k), spec), spec, {self}));
  }
  return out;
}

HelpingFrame::HelpingFrame() { ++helping_frames; }
HelpingFrame::~HelpingFrame() { --helping_frames; }

std::vector<bool> made_of_vectors(const Tape& tape, std::span<const array> outputs) {
  const std::vector<Node*>& nodes = tape.nodes();
  if (std::none_of(nodes.begin(), nodes.end(), confluent)) {
    return std::vector<bool>(outputs.size(), false);
  }
  std::vector<bool> made(nodes.size(), false), out;
  for (size_t i = 0; i < nodes.size(); ++i) {
    std::span<array> operands = nodes[i]->operands();
    made[i] = std::any_of(operands.begin(), operands.end(), [&](const array& operand) {
      int at = tape.index_of(operand);
      return at >= 0 && made[static_cast<size_t>(at)];
    });
    if (const Project* projection = Tape::projection(nodes[i]); projection && tape.index_of(operands[0]) >= 0) {
      const Confluent* rules = confluent(operands[0].node());
      made[i] = made[i] || (rules && static_cast<size_t>(projection->index()) != rules->values());
    }
  }
  for (const array& output : outputs) {
    int at = tape.index_of(output);
    out.push_back(at >= 0 && made[static_cast<size_t>(at)]);
  }
  return out;
}

array irregular_numbers(const Shape& shape, Dtype dtype) {
  array place = add(astype(position_numbers(shape), float64), array(1.0, float64));
  array angle = multiply(square(place), array(1.6180339887498949, float64));
  return astype(dtype.is_complex() ? make_complex(cos(angle), sin(angle)) : cos(angle), dtype);
}

void add_turning(const Tape& tape, const Decomposition& decomposition, std::span<const array> outputs, int depth,
    Tangents& tangents) {
  if (depth >= deepest || (depth > 0 && tape.nodes().size() > most_nodes)) {
    return;
  }
  const auto& [node, in, own] = decomposition;
  const Confluent& rules = *confluent(node);
  OriginScope scope(node->origin, "jvp");
  StreamScope on(node->stream);
  array parting = rules.parting(own);
  Tangents found = tangents;
  for (int order = 1, terms = depth == 0 ? terms_needed(node) : 1; order <= terms; ++order) {
    Tangents turned = rules.turning(node->operands(), in, own, parting, order);
    std::vector<array> held;
    for (const Tangent& t : turned) {
      if (t) held.push_back(*t);
    }
    Push push{tape, std::vector<Tangent>(tape.nodes().size()), {{node, turned}}, depth + 1};
    Tangents term = push.through(0, outputs);
    for (int k = 0; k < order && any(term); ++k) {
      std::optional<Tangents> next;
      try {
        next = Derivatives{node, parting, held, depth + 1}.of(term);
      } catch (const std::exception& error) { // something that follows has no such rule
        if (is_interruption(error)) throw;
      }
      if (!next) {
        return;
      }
      term = std::move(*next);
    }
    for (size_t i = 0; i < found.size(); ++i) {
      if (term[i]) found[i] = found[i] ? add(*found[i], *term[i]) : *term[i];
    }
    if (!any(term)) {
      break;
    }
  }
  tangents = std::move(found);
}

array pulled_through(Node* application, const Tangents& cotangents, std::span<const array> outputs) {
  const Confluent& rules = *confluent(application);
  bool is_real = !application->operands()[0].dtype().is_complex();
  auto as_operand = [&](const array& ct) { return is_real && ct.dtype().is_complex() ? real(ct) : ct; };
  std::vector<Tangents> all{cotangents};
  all[0].resize(outputs.size());
  Tangents vectors = all[0];
  vectors[rules.values()] = std::nullopt;
  if (!any(vectors)) {
    return as_operand(rules.pulled(outputs, all, std::nullopt));
  }
  array parting = rules.parting(outputs);
  for (int order = 1, terms = terms_needed(application); order <= terms; ++order) {
    bool further = false;
    std::optional<Tangents> next;
    try {
      next = Derivatives{application, parting, {}, 1}.of(vectors, &further);
    } catch (const std::exception& error) { // as above
      if (is_interruption(error)) throw;
    }
    if (!next) {
      break;
    }
    all.push_back(*next);
    vectors = std::move(*next);
    if (further) {
      break;
    }
  }
  return as_operand(rules.pulled(outputs, all, parting));
}

} // namespace mlx::core
