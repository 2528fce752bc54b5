// Sparsity detection: index sets are carried through the graph by what each primitive says of its dependence.
#include "mlx_core/transforms/sparsity.h"

#include <algorithm>
#include <typeinfo>

#include "mlx_core/interruption.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/index/added_parts.h"
#include "mlx_core/params.h"
#include "mlx_core/transforms/function.h"
#include "mlx_core/transforms/index_sets.h"

namespace mlx::core {

namespace {

// For each element of an array, row-major, what it depends on. No entries: it depends on nothing.
using Ids = std::vector<SetId>;

size_t count_of(const Shape& shape) { return static_cast<size_t>(static_cast<int64_t>(size_of(shape))); }

// The axes that a primitive names as its parameter.
std::optional<Axes> axes_of(const Primitive& primitive) {
  Params params(primitive);
  if (const Axes* axes = params.find<Axes>("axes")) {
    return *axes;
  }
  const int64_t* axis = params.find<int64_t>("axis");
  return axis ? std::optional(Axes{static_cast<int>(*axis)}) : std::nullopt;
}

// Walks the elements of `shape` and gives each the position it has in an array with these strides.
template <typename Visit>
void walk(const Shape& shape, const std::vector<int64_t>& strides, Visit visit) {
  std::vector<int64_t> index(shape.size());
  int64_t position = 0;
  for (size_t k = 0, count = count_of(shape); k < count; ++k) {
    visit(k, static_cast<size_t>(position));
    for (size_t axis = shape.size(); axis-- > 0;) {
      position += strides[axis];
      if (++index[axis] < shape[axis]) {
        break;
      }
      position -= index[axis] * strides[axis];
      index[axis] = 0;
    }
  }
}

// Row-major strides of `shape` inside `wider`, which it broadcasts to.
std::vector<int64_t> broadcast_strides(const Shape& shape, const Shape& wider) {
  std::vector<int64_t> strides(wider.size());
  int64_t stride = 1;
  for (size_t axis = shape.size(), at = wider.size(); axis-- > 0;) {
    --at;
    strides[at] = shape[axis] == 1 ? 0 : stride;
    stride *= shape[axis];
  }
  return strides;
}

class SparsityPass {
 public:
  explicit SparsityPass(const Frame& frame) : frame_(frame) {}

  // Carries the sets to everything between the placeholders and `outputs`.
  void run(std::span<const array> outputs) {
    Tape tape(frame_, outputs);
    for (Node* node : tape.nodes()) {
      if (known_.count(node)) {
        continue;
      }
      if (node == frame_.placeholders()[0].node()) {
        Ids ids(count_of(node->shape));
        for (size_t i = 0; i < ids.size(); ++i) {
          ids[i] = sets.singleton(static_cast<int32_t>(i));
        }
        known_.emplace(node, std::vector<Ids>{std::move(ids)});
      } else if (const Project* projection = Tape::projection(node)) {
        Ids ids = known_.at(node->operands()[0].node())[static_cast<size_t>(projection->index())];
        known_.emplace(node, std::vector<Ids>{std::move(ids)});
      } else {
        std::vector<Ids> ids = through(node, tape);
        known_.emplace(node, std::move(ids));
      }
    }
  }

  const Ids& of(const array& a) const {
    static const Ids& none = *new Ids;
    auto found = known_.find(a.node());
    if (found == known_.end() && a.node()->primitive && a.node()->primitive->role() == Role::argument) {
      return of(a.node()->operands()[0]); // no tape has a place for it
    }
    return found == known_.end() ? none : found->second[0];
  }

  IndexSets sets;

 private:
  std::vector<Ids> through(Node* node, const Tape& tape) {
    const Primitive& primitive = *node->primitive;
    if (typeid(primitive) == typeid(Function)) {
      return inlined(static_cast<const Function&>(primitive), node);
    }
    if (Tape::is_application(node)) {
      return everywhere(node);
    }
    if (std::optional<array> sum = as_additions(primitive, node->operands())) {
      return followed({*std::move(sum)});
    }
    if (!node->dtype.is_inexact() || primitive.role() == Role::barrier) {
      return {Ids()}; // no derivative passes
    }
    std::optional<Ids> ids;
    switch (primitive.dependence()) {
      case Dependence::elementwise: ids = elementwise(node); break;
      case Dependence::moves_data: ids = moved(node, tape); break;
      case Dependence::contracts_axes:
        ids = primitive.role() == Role::product || primitive.role() == Role::chain_product ? matrix_product(node)
                                                                                           : contracted(node);
        break;
      case Dependence::opaque: break;
    }
    return ids ? std::vector<Ids>{std::move(*ids)} : everywhere(node);
  }

  // A body is followed as if the function had been called without being recorded.
  std::vector<Ids> inlined(const Function& function, Node* node) {
    return followed(replay(function.body(), node->operands()));
  }
  std::vector<Ids> followed(std::vector<array> outputs) {
    run(outputs);
    std::vector<Ids> ids;
    for (const array& output : outputs) {
      ids.push_back(of(output));
    }
    kept_.insert(kept_.end(), outputs.begin(), outputs.end()); // known_ has their nodes
    return ids;
  }

  // Every element of every output depends on every element of the operands.
  std::vector<Ids> everywhere(Node* node) {
    std::vector<SetId> all;
    for (const array& operand : node->operands()) {
      all.insert(all.end(), of(operand).begin(), of(operand).end());
    }
    SetId id = sets.united(std::move(all));
    std::vector<Ids> ids;
    if (Tape::is_application(node)) {
      for (const array& output : node->extra->outputs) {
        ids.emplace_back(count_of(output.shape()), output.dtype().is_inexact() ? id : IndexSets::empty);
      }
    } else {
      ids.emplace_back(count_of(node->shape), id);
    }
    return ids;
  }

  Ids elementwise(Node* node) {
    Ids out(count_of(node->shape));
    for (const array& operand : node->operands()) {
      const Ids& in = of(operand);
      if (!in.empty()) {
        walk(node->shape, broadcast_strides(operand.shape(), node->shape),
            [&](size_t k, size_t position) { out[k] = sets.united(out[k], in[position]); });
      }
    }
    return out;
  }

  // The primitive is run on numbers of elements in place of values, and shows where they go. nullopt when it cannot be.
  std::optional<Ids> moved(Node* node, const Tape& tape) {
    std::vector<array> operands;
    std::vector<SetId> numbered{IndexSets::empty}; // what element number i of all operands depends on
    for (const array& operand : node->operands()) {
      if (!operand.dtype().is_inexact()) {
        if (tape.index_of(operand) >= 0) {
          return std::nullopt; // where the elements go depends on the argument
        }
        operands.push_back(operand);
        continue;
      }
      const Ids& in = of(operand);
      if (in.empty()) {
        operands.push_back(zeros(operand.shape(), int64));
        continue;
      }
      double first = static_cast<double>(numbered.size());
      numbered.insert(numbered.end(), in.begin(), in.end());
      operands.push_back(reshape(arange(first, first + static_cast<double>(in.size()), 1, int64), operand.shape()));
    }
    try {
      return node->primitive->role() == Role::accumulation ? landed(node, operands, numbered)
                                                           : taken(node, operands, numbered);
    } catch (const std::exception& error) { // indices without values, inside vmap for example
      if (is_interruption(error)) throw;
      return std::nullopt;
    }
  }

  // Each element of the output is one element of an operand: then it also follows other numbers, drawn without any
  // order. nullopt when it does not, as in sums of elements.
  std::optional<Ids> taken(Node* node, const std::vector<array>& operands, const std::vector<SetId>& numbered) {
    std::vector<int64_t> drawn(numbered.size());
    for (size_t i = 1; i < drawn.size(); ++i) { // splitmix64
      uint64_t z = i * 0x9e3779b97f4a7c15ull;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
      drawn[i] = static_cast<int64_t>((z ^ (z >> 27)) >> 8);
    }
    array drawn_numbers(drawn.begin(), Shape{static_cast<int64_t>(drawn.size())}, int64);
    std::vector<array> others;
    for (size_t i = 0; i < operands.size(); ++i) {
      bool data = node->operands()[i].dtype().is_inexact();
      others.push_back(data ? take(drawn_numbers, operands[i], 0) : operands[i]);
    }
    array numbers = contiguous(applied(self(*node->primitive), operands));
    array checks = contiguous(applied(self(*node->primitive), others));
    eval(numbers, checks);
    Ids out(count_of(node->shape));
    for (size_t k = 0; k < out.size(); ++k) {
      auto number = static_cast<size_t>(numbers.data<int64_t>()[k]);
      if (number >= numbered.size() || checks.data<int64_t>()[k] != drawn[number]) {
        return std::nullopt;
      }
      out[k] = numbered[number];
    }
    return out;
  }

  // Each element of an operand goes to one element of the output, which adds up what it gets: the transpose, run on
  // numbers of output elements, shows where.
  std::optional<Ids> landed(Node* node, const std::vector<array>& operands, const std::vector<SetId>& numbered) {
    Ids out(count_of(node->shape));
    std::vector<array> floating;
    SmallVector<bool, 4> wanted;
    for (size_t i = 0; i < operands.size(); ++i) {
      wanted.push_back(node->operands()[i].dtype().is_inexact());
      floating.push_back(wanted.back() ? astype(operands[i], float64) : operands[i]);
    }
    array numbers = reshape(arange(0, static_cast<double>(out.size()), 1, float64), node->shape);
    array self_output = zeros(node->shape, float64);
    Tangents pulled =
        node->primitive->vjp(floating, Tangents{numbers}, std::span<const array>(&self_output, 1), wanted);
    for (size_t i = 0; i < operands.size(); ++i) {
      if (!wanted[i] || i >= pulled.size() || !pulled[i]) {
        continue;
      }
      array places = contiguous(astype(*pulled[i], int64)), sources = contiguous(operands[i]);
      eval(places, sources);
      for (size_t k = 0, count = count_of(sources.shape()); k < count; ++k) {
        auto place = static_cast<size_t>(places.data<int64_t>()[k]);
        if (place >= out.size()) {
          return std::nullopt;
        }
        SetId& to = out[place];
        to = sets.united(to, numbered[static_cast<size_t>(sources.data<int64_t>()[k])]);
      }
    }
    return out;
  }

  // What the elements of each fibre along `axes` depend on together, fibres in row-major order of the other axes.
  Ids fibres(const Ids& in, const Shape& shape, const Axes& axes, std::vector<size_t>& fibre_of) {
    std::vector<int64_t> strides(shape.size());
    int64_t count = 1;
    for (size_t axis = shape.size(); axis-- > 0;) {
      if (std::find(axes.begin(), axes.end(), static_cast<int>(axis)) == axes.end()) {
        strides[axis] = count;
        count *= shape[axis];
      }
    }
    std::vector<std::vector<SetId>> members(static_cast<size_t>(count));
    fibre_of.resize(in.size());
    walk(shape, strides, [&](size_t k, size_t fibre) {
      fibre_of[k] = fibre;
      members[fibre].push_back(in[k]);
    });
    Ids out;
    for (std::vector<SetId>& ids : members) {
      out.push_back(sets.united(std::move(ids)));
    }
    return out;
  }

  // Along its axes an element may depend on all others. The output has the operand's shape, or one element per fibre.
  std::optional<Ids> contracted(Node* node) {
    std::optional<Axes> axes = axes_of(*node->primitive);
    if (!axes) {
      return std::nullopt;
    }
    Ids out(count_of(node->shape));
    for (const array& operand : node->operands()) {
      const Ids& in = of(operand);
      if (in.empty()) {
        continue;
      }
      std::vector<size_t> fibre_of;
      Ids united = fibres(in, operand.shape(), *axes, fibre_of);
      bool same_shape = operand.shape() == node->shape;
      if (!same_shape && united.size() != out.size()) {
        return std::nullopt;
      }
      for (size_t k = 0; k < out.size(); ++k) {
        out[k] = sets.united(out[k], united[same_shape ? fibre_of[k] : k]);
      }
    }
    return out;
  }

  // Element (i, j) depends on row i of the first and on column j of the second.
  Ids matrix_product(Node* node) {
    Ids out(count_of(node->shape));
    int rank = static_cast<int>(node->shape.size());
    for (int side = 0; side < 2; ++side) {
      const array& operand = node->operands()[static_cast<size_t>(side)];
      const Ids& in = of(operand);
      if (in.empty()) {
        continue;
      }
      std::vector<size_t> fibre_of;
      Ids united = fibres(in, operand.shape(), Axes{rank - 1 - side}, fibre_of);
      Shape kept = operand.shape();
      kept[static_cast<size_t>(rank - 1 - side)] = 1;
      walk(node->shape, broadcast_strides(kept, node->shape),
          [&](size_t k, size_t fibre) { out[k] = sets.united(out[k], united[fibre]); });
    }
    return out;
  }

  const Frame& frame_;
  std::unordered_map<const Node*, std::vector<Ids>> known_;
  std::vector<array> kept_;
};

} // namespace

Pattern transposed(const Pattern& pattern) {
  Pattern out;
  out.column_count = pattern.rows();
  out.start.assign(static_cast<size_t>(pattern.column_count) + 1, 0);
  for (int32_t column : pattern.columns) {
    ++out.start[static_cast<size_t>(column) + 1];
  }
  for (size_t i = 1; i < out.start.size(); ++i) {
    out.start[i] += out.start[i - 1];
  }
  out.columns.resize(pattern.columns.size());
  std::vector<int64_t> next(out.start.begin(), out.start.end() - 1);
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    for (int32_t column : pattern.row(i)) {
      out.columns[static_cast<size_t>(next[static_cast<size_t>(column)]++)] = static_cast<int32_t>(i);
    }
  }
  return out;
}

Pattern symmetric(const Pattern& pattern) {
  Pattern other = transposed(pattern), out;
  out.column_count = pattern.column_count;
  std::vector<int32_t> row;
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    std::span<const int32_t> a = pattern.row(i), b = other.row(i);
    row.clear();
    std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(row));
    out.add_row(row);
  }
  return out;
}

Pattern sparsity_of(const Recording& recording) {
  SparsityPass pass(recording.frame());
  pass.run(recording.outputs());
  const array& output = recording.outputs()[0];
  const Ids& ids = pass.of(output);
  Pattern pattern;
  pattern.column_count = recording.primals()[0].size();
  for (size_t k = 0, count = count_of(output.shape()); k < count; ++k) {
    pattern.add_row(pass.sets.elements(ids.empty() ? IndexSets::empty : ids[k]));
  }
  return pattern;
}

} // namespace mlx::core
