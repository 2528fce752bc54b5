// Reverse mode: walk the tape backwards and let every primitive push its cotangents to its operands.
#include <algorithm>
#include <map>

#include "mlx_core/ops.h"
#include "mlx_core/ops/elementwise/composites.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/transforms/confluence.h"
#include "mlx_core/transforms/cotangent_sums.h"
#include "mlx_core/transforms/parted.h"
#include "mlx_core/transforms/recording.h"
#include "mlx_core/transforms/shared_factors.h"

namespace mlx::core {

namespace {

class Pullback {
 public:
  Pullback(const Tape& tape, size_t primals) : tape_(tape), first_(primals), cotangents_(tape_.nodes().size()) {}

  void add(const array& target, const array& cotangent) {
    int at = tape_.index_of(target);
    if (at >= 0 && target.dtype().is_inexact()) {
      accumulate(static_cast<size_t>(at), cotangent);
    }
  }

  void run() {
    for (size_t i = tape_.nodes().size(); i-- > first_;) {
      Node* node = tape_.nodes()[i];
      settle(static_cast<int>(i));
      OriginScope scope(node->origin, "vjp");
      StreamScope on(node->stream);
      if (const Project* projection = Tape::projection(node)) {
        if (Tangent& ct = cotangents_[i]) {
          Node* application = node->operands()[0].node();
          Tangents& all = application_cotangents_[application];
          all.resize(application->extra->outputs.size());
          // Rules that read an output make a projection of their own beside that of the user.
          accumulate(all[static_cast<size_t>(projection->index())], *ct);
          ct.reset();
        }
      } else if (Tape::is_application(node)) {
        auto found = application_cotangents_.find(node);
        if (found != application_cotangents_.end()) {
          if (Node* twin = confluent(node) ? earlier_twin(tape_, i) : nullptr) {
            Tangents given = found->second;
            Tangents& all = application_cotangents_[twin];
            all.resize(given.size());
            for (size_t k = 0; k < given.size(); ++k) {
              if (given[k]) accumulate(all[k], *given[k]);
            }
            continue;
          }
          push(node, found->second, outputs_of(node));
        }
      } else if (cotangents_[i]) {
        Uncounted self(node);
        Tangents ct;
        ct.emplace_back(*std::exchange(cotangents_[i], std::nullopt));
        push(node, ct, std::span<const array>(&self.value, 1));
      }
    }
    while (!parts_.empty()) {
      settle(parts_.begin()->first);
    }
    while (shared_.any() >= 0) {
      settle(shared_.any());
    }
  }

  Tangents of_primals() const { return Tangents(cotangents_.begin(), cotangents_.begin() + first_); }

 private:
  // Of each node: whether a derivative can pass from it to a placeholder, which stop_gradient prevents.
  std::vector<bool> reached() const {
    const std::vector<Node*>& nodes = tape_.nodes();
    std::vector<bool> out(nodes.size(), true);
    auto is_barrier = [](const Node* node) { return node->primitive && node->primitive->role() == Role::barrier; };
    if (std::none_of(nodes.begin(), nodes.end(), is_barrier)) {
      return out;
    }
    for (size_t i = first_; i < nodes.size(); ++i) {
      std::span<array> operands = nodes[i]->operands();
      out[i] = !is_barrier(nodes[i]) && std::any_of(operands.begin(), operands.end(), [&](const array& operand) {
        int index = tape_.index_of(operand);
        return index >= 0 && out[static_cast<size_t>(index)];
      });
    }
    return out;
  }
  // Where all there is so far is the cotangent of an array whose part, which `reader` reads, was written to next, as in
  // x[i] += v: the cotangent of what was written, with the reader's in that part.
  Tangent restored(int index, const Node& reader, const array& cotangent) const {
    auto found = writers_.find(index);
    if (found == writers_.end()) {
      return std::nullopt;
    }
    const auto& [writer, whole] = found->second;
    std::optional<WrittenPart> written = written_part(*writer->primitive), read = read_part(*reader.primitive);
    if (!read || written->start != read->start || written->strides != read->strides ||
        writer->operands()[1].shape() != reader.shape) {
      return std::nullopt;
    }
    Node* part = cotangent.node();
    std::optional<WrittenPart> own = part->primitive ? read_part(*part->primitive) : std::nullopt;
    bool is_there = own && own->start == read->start && own->strides == read->strides && part->operand_count == 1 &&
                    part->operands()[0].node() == whole.node();
    return is_there ? whole : applied(writer->primitive, {whole, cotangent});
  }
  static void accumulate(Tangent& sum, array term) { sum = sum ? sum_of(*sum, term) : std::move(term); }
  void accumulate(size_t index, array term) {
    settle_parts(static_cast<int>(index));
    several_[index] = cotangents_[index].has_value();
    accumulate(cotangents_[index], as_repeated_number(std::move(term)));
  }
  // Of a part, with zeros around it.
  void accumulate_part(size_t index, const Node& reader, const array& cotangent) {
    Tangent& sum = cotangents_[index];
    BarePart bare(cotangent);
    auto around = [&](const array& part) {
      const bool wanted[] = {true};
      return bare.with_factors(
          *reader.primitive->vjp(const_cast<Node&>(reader).operands(), Tangents{part}, {}, wanted)[0]);
    };
    if (!sum || !bare.is_negative) {
      accumulate(index, around(bare.is_negative ? negative(bare.cotangent) : bare.cotangent));
    } else {
      several_[index] = true;
      sum = subtract(*sum, around(bare.cotangent));
    }
  }
  // What was left for later.
  void settle(int index) {
    settle_parts(index);
    if (shared_.any() < 0) {
      return;
    }
    for (array& sum : shared_.take(index)) {
      accumulate(static_cast<size_t>(index), std::move(sum));
    }
  }
  // Of an array of which so far parts were read only, the cotangent of these.
  void settle_parts(int index) {
    auto found = parts_.find(index);
    if (found == parts_.end()) {
      return;
    }
    auto at = static_cast<size_t>(index);
    PartCotangents parts = merged(std::move(found->second), tape_.nodes()[at]->shape);
    parts_.erase(found);
    OriginScope scope(parts[0].first->origin, "vjp");
    StreamScope on(parts[0].first->stream);
    if (std::optional<array> whole = put_together(tape_.nodes()[at]->shape, parts)) {
      cotangents_[at] = *std::move(whole);
      several_[at] = true;
      return;
    }
    // The second is subtracted from the first: the same bits, for of two the order does not matter.
    auto is_negative = [](const auto& part) { return BarePart(part.second).is_negative; };
    if (parts.size() > 1 && is_negative(parts[0]) && !is_negative(parts[1])) {
      std::swap(parts[0], parts[1]);
    }
    if (std::optional<array> sum = added_up(tape_.nodes()[at]->shape, parts)) {
      cotangents_[at] = *std::move(sum);
      several_[at] = true;
      return;
    }
    for (const auto& [reader, cotangent] : parts) {
      OriginScope of_reader(reader->origin, "vjp");
      StreamScope on_its(reader->stream);
      Uncounted self(reader);
      push_now(reader, {cotangent}, std::span<const array>(&self.value, 1));
    }
  }
  void push(Node* node, const Tangents& ct, std::span<const array> outputs) {
    if (ct.size() == 1 && ct[0] && node->primitive && read_part(*node->primitive)) {
      int whole = tape_.index_of(node->operands()[0]);
      auto at = static_cast<size_t>(whole);
      if (whole >= 0 && reached_[at] && !cotangents_[at]) {
        parts_[whole].emplace_back(node, *ct[0]);
        return;
      }
    }
    push_now(node, ct, outputs);
  }
  void push_now(Node* node, const Tangents& ct, std::span<const array> outputs) {
    if (std::optional<Composite> whole = composite_of(*node)) {
      return push(whole->operands, [&](std::span<const bool> wanted) { return whole->vjp(*ct[0], wanted); });
    }
    std::span<const array> operands = node->operands();
    if (confluent(node)) {
      return push(operands, [&](std::span<const bool> wanted) {
        return wanted[0] ? Tangents{pulled_through(node, ct, outputs)} : Tangents(1);
      });
    }
    if (std::optional<SharedFactors::Factor> factor = ct[0] ? shared_.of(tape_, *node) : std::nullopt;
        factor && reached_[static_cast<size_t>(factor->index)]) {
      if (std::optional<array> sum = shared_.defer(*factor, node, *ct[0])) {
        accumulate(static_cast<size_t>(factor->index), *std::move(sum));
      }
      return push(operands, [&](std::span<const bool> wanted) {
        const bool other[] = {wanted[0] && factor->operand != 0, wanted[1] && factor->operand != 1};
        return other[0] || other[1] ? node->primitive->vjp(operands, ct, outputs, other) : Tangents();
      });
    }
    int first = operands.empty() || !ct[0] ? -1 : tape_.index_of(operands[0]);
    if (first >= 0) {
      settle(first);
      Tangent& sum = cotangents_[static_cast<size_t>(first)];
      bool several = several_[static_cast<size_t>(first)]; // a single -0 would stay what 0 + -0 is not
      Tangent both = several ? node->primitive->vjp_onto(*sum, operands, *ct[0]) : restored(first, *node, *ct[0]);
      if (both) {
        sum = std::move(both);
        several_[static_cast<size_t>(first)] = true;
        return;
      }
      if (!sum && written_part(*node->primitive)) {
        writers_.emplace(first, std::pair(node, *ct[0]));
      }
      if (auto at = static_cast<size_t>(first); reached_[at] && is_large_part(*node, operands[0].shape())) {
        accumulate_part(at, *node, *ct[0]);
        return;
      }
    }
    push(operands, [&](std::span<const bool> wanted) { return node->primitive->vjp(operands, ct, outputs, wanted); });
  }
  template <typename Rule>
  void push(std::span<const array> operands, Rule&& rule) {
    SmallVector<bool, 4> wanted(operands.size());
    SmallVector<int, 4> indices(operands.size());
    bool any = false, behind_barrier = false;
    for (size_t k = 0; k < operands.size(); ++k) {
      int index = operands[k].dtype().is_inexact() ? tape_.index_of(operands[k]) : -1;
      indices[k] = index;
      wanted[k] = index >= 0 && reached_[static_cast<size_t>(index)];
      any = any || wanted[k];
      behind_barrier = behind_barrier || (index >= 0 && !wanted[k]);
    }
    if (!any && behind_barrier) { // a rule that there is none is not asked for
      return;
    }
    Tangents pulled = rule(wanted);
    for (size_t k = 0; k < operands.size() && k < pulled.size(); ++k) {
      if (wanted[k] && pulled[k]) {
        accumulate(static_cast<size_t>(indices[k]), *std::move(pulled[k]));
      }
    }
  }

  const Tape& tape_;
  size_t first_; // the placeholders come before it, and end the walk
  std::vector<Tangent> cotangents_;
  std::vector<bool> several_ = std::vector<bool>(cotangents_.size()); // whether it is a sum already
  const std::vector<bool> reached_ = reached();
  std::map<int, std::pair<Node*, array>>
      writers_; // and their cotangents, of arrays with a cotangent from an update of a part only
  std::map<Node*, Tangents> application_cotangents_;
  std::map<int, PartCotangents> parts_; // of arrays without a cotangent yet
  SharedFactors shared_;
};

} // namespace

Tangents Recording::pull(const Tangents& cotangents) const {
  Pullback pullback(tape_, primals_.size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (cotangents[i] && outputs_[i].dtype().is_inexact()) {
      pullback.add(outputs_[i], astype(*cotangents[i], outputs_[i].dtype()));
    }
  }
  pullback.run();
  return pullback.of_primals();
}

std::pair<std::vector<array>, std::vector<array>> vjp(const VectorFunction& fun, const std::vector<array>& primals,
    const std::function<std::vector<array>(const std::vector<array>&)>& cotangents_of) {
  Recording recording(fun, primals, true);
  const std::vector<array>& outputs = recording.outputs();
  std::vector<array> cotangents = cotangents_of(outputs);
  if (cotangents.size() != outputs.size()) {
    fail("vjp", "the function has ", outputs.size(), " outputs but ", cotangents.size(), " cotangents were given.");
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!(cotangents[i].shape() == outputs[i].shape())) {
      fail("vjp", "cotangent ", i, " has shape ", cotangents[i].shape(), " but output ", i, " has shape ",
          outputs[i].shape(), ".");
    }
  }
  Tangents pulled = recording.pull(Tangents(cotangents.begin(), cotangents.end()));
  std::vector<array> vjps;
  for (size_t i = 0; i < primals.size(); ++i) {
    vjps.push_back(pulled[i] ? *pulled[i] : zeros_like(primals[i]));
  }
  return {outputs, std::move(vjps)};
}

std::pair<std::vector<array>, std::vector<array>> vjp(
    const VectorFunction& fun, const std::vector<array>& primals, const std::vector<array>& cotangents) {
  return vjp(fun, primals, [&](const std::vector<array>&) { return cotangents; });
}

std::pair<array, array> vjp(
    const std::function<array(const array&)>& fun, const array& primal, const array& cotangent) {
  auto [outputs, vjps] = vjp([&](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; },
      std::vector<array>{primal}, std::vector<array>{cotangent});
  return {outputs[0], vjps[0]};
}

void check_gradient_of(const char* op, Dtype output) {
  if (output.is_complex()) {
    fail<TypeError>(op, "the function returned a scalar of dtype ", output,
        "; only a real one has a gradient. Take mx.real, mx.imag or mx.abs of it, or weigh its parts with mx.vjp.");
  }
  if (!output.is_inexact()) {
    fail<TypeError>(op, "the function returned a scalar of dtype ", output,
        ", whose derivative is zero wherever there is one. Compute it in a floating dtype, as with astype before "
        "rounding "
        "or comparing; mx.vjp takes such outputs beside others.");
  }
}

ValueAndGradFunction value_and_grad(const VectorFunction& fun, const std::vector<int>& argnums) {
  if (argnums.empty()) {
    fail("grad", "argnums is empty: name at least one argument to differentiate.");
  }
  return [fun, argnums](const std::vector<array>& args) {
    std::vector<array> primals;
    std::vector<size_t> positions;
    for (int n : argnums) {
      int count = static_cast<int>(args.size());
      if (n < -count || n >= count) {
        fail("grad", "argnums has ", n, " but the function was called with ", count, " arguments.");
      }
      positions.push_back(static_cast<size_t>(n < 0 ? n + count : n));
      const array& primal = args[positions.back()];
      if (!primal.dtype().is_inexact()) {
        fail<TypeError>("grad", "argument ", n, " has dtype ", primal.dtype(),
            "; only floating and complex arrays have gradients. Cast it with astype first.");
      }
      primals.push_back(primal);
    }
    auto with_args = [&](const std::vector<array>& traced) {
      std::vector<array> all(args);
      for (size_t i = 0; i < positions.size(); ++i) {
        all[positions[i]] = traced[i];
      }
      return fun(all);
    };
    return vjp(with_args, primals, [](const std::vector<array>& outputs) {
      if (outputs.empty() || outputs[0].ndim() != 0) {
        fail("grad", "the function must return a scalar first; it returned ",
            outputs.empty() ? std::string("nothing") : "shape " + to_string(outputs[0].shape()),
            ". Reduce it, with mx.sum or mx.mean for example.");
      }
      check_gradient_of("grad", outputs[0].dtype());
      std::vector<array> cotangents{ones_like(outputs[0])};
      for (size_t i = 1; i < outputs.size(); ++i) {
        cotangents.push_back(zeros_like(outputs[i]));
      }
      return cotangents;
    });
  };
}

VectorFunction grad(const VectorFunction& fun, const std::vector<int>& argnums) {
  return [f = value_and_grad(fun, argnums)](const std::vector<array>& args) { return f(args).second; };
}

std::function<std::pair<array, array>(const array&)> value_and_grad(const std::function<array(const array&)>& fun) {
  auto wrapped = [fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; };
  return [f = value_and_grad(VectorFunction(wrapped), {0})](const array& x) {
    auto [values, grads] = f({x});
    return std::pair<array, array>(values[0], grads[0]);
  };
}

std::function<array(const array&)> grad(const std::function<array(const array&)>& fun) {
  return [f = value_and_grad(fun)](const array& x) { return f(x).second; };
}

} // namespace mlx::core
