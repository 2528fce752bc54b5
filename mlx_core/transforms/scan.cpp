// The primitive ScanLoop with its rules, each of which is again a scan, and scan itself.
#include "mlx_core/transforms/scan.h"

#include <typeinfo>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/control_flow.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/transforms/called_loop.h"
#include "mlx_core/transforms/flattened.h"
#include "mlx_core/transforms/kept_rules.h"
#include "mlx_core/transforms/loop.h"
#include "mlx_core/transforms/program_primitives.h"
#include "mlx_core/transforms/summed_products.h"

namespace mlx::core {

namespace {

std::vector<array> part(Operands arrays, size_t from, size_t count) {
  return {arrays.begin() + static_cast<ptrdiff_t>(from), arrays.begin() + static_cast<ptrdiff_t>(from + count)};
}

void store_element(const array& a, int64_t t, const array& value, Kernels& kernels) {
  Strides strides(a.strides().begin() + 1, a.strides().end());
  View to = a.view().laid_out(sizes_of(value.shape()), std::move(strides), t * a.strides()[0]);
  kernels.run(kernel::Copy{value.view(), std::move(to)});
}

// What zeros() makes, told without computing anything.
bool is_made_of_zeros(const array& a) {
  if (!a.has_primitive() || a.primitive().role() != Role::repetition) {
    return false;
  }
  const array& element = a.operands()[0];
  return element.is_available() && element.size() == 1 && load_complex(element.raw_data(), element.dtype()) == 0.0;
}

// What was scattered into zeros, or nothing.
const array* scattered_from(const array& a) {
  if (!a.has_primitive() || a.primitive().role() != Role::accumulation) {
    return nullptr;
  }
  const array& into = a.operands()[0];
  return is_made_of_zeros(into) || scattered_from(into) ? &into : nullptr;
}

// sum + summand. What elements were added up to in an array of zeros, as cotangents of a table are whose rows an
// iteration reads, are added to the sum itself, which costs what they are and not what the table is.
array with_summand(const array& sum, const array& summand) {
  const array* into = scattered_from(summand);
  if (!into) {
    return is_made_of_zeros(summand) ? sum : add(sum, summand);
  }
  std::vector<array> operands(summand.operands().begin(), summand.operands().end());
  operands[0] = with_summand(sum, *into);
  return applied(summand.node()->primitive, operands);
}

// The same loop without xs that its body does not read, as that of a derivative often does not read carries: then
// nobody has to compute them.
SharedProgram without_unread_xs(const SharedProgram& body, ScanLayout& layout, std::vector<array>& operands) {
  std::vector<bool> is_read(body->slot_count());
  for (const Program::Step& step : body->steps()) {
    for (int32_t slot : step.operands) {
      is_read[static_cast<size_t>(slot)] = true;
    }
  }
  for (int32_t slot : body->outputs()) {
    is_read[static_cast<size_t>(slot)] = true;
  }
  auto first = is_read.begin() + static_cast<ptrdiff_t>(layout.carries);
  if (std::find(first, first + static_cast<ptrdiff_t>(layout.inputs), false) ==
      first + static_cast<ptrdiff_t>(layout.inputs)) {
    return body;
  }
  ProgramWriter writer;
  std::vector<int32_t> inputs;
  std::vector<array> kept;
  size_t own = layout.carries + layout.inputs;
  for (size_t k = 0; k < body->inputs().size(); ++k) {
    bool is_dropped = k >= layout.carries && k < own && !is_read[k];
    inputs.push_back(is_dropped ? -1 : writer.add_input(body->inputs()[k]));
    layout.inputs -= is_dropped;
    if (k < own && !is_dropped) {
      kept.push_back(operands[k]);
    }
  }
  operands = std::move(kept);
  return writer.finish(writer.append(*body, inputs));
}

PrimitiveRef saving_scan(const ScanLayout& layout, const SharedProgram& body);

} // namespace

// Operands: the carry, the xs, the constants. Outputs: the last carry, the ys; if it saves, these end with the carry
// that each iteration began with, without those that are additive.
class ScanLoop final : public KeepsRules {
 public:
  ScanLoop(ScanLayout layout, SharedProgram body, bool saves)
      : layout_(std::move(layout)), body_(std::move(body)), saves_(saves) {
    layout_.additive.resize(layout_.carries);
  }

  const char* name() const override { return "ScanLoop"; }
  void visit(ParamVisitor& v) const override {
    v("body", body_);
    v("carries", static_cast<int64_t>(layout_.carries));
    v("inputs", static_cast<int64_t>(layout_.inputs));
    v("length", layout_.length);
    v("reverse", layout_.reverse);
    v("saves", saves_);
    Axes additive;
    for (size_t i = 0; i < layout_.carries; ++i) {
      if (layout_.additive[i]) {
        additive.push_back(static_cast<int>(i));
      }
    }
    v("additive", additive);
  }
  int output_count() const override { return static_cast<int>(body_->outputs().size()); }

  Specs infer(Operands operands) const override {
    Specs parameters = specs_of(operands);
    for (size_t i = 0; i < layout_.inputs; ++i) {
      Shape& shape = parameters[layout_.carries + i].shape;
      shape.erase(shape.begin());
    }
    Specs outputs = output_specs(*body_, parameters);
    for (size_t i = layout_.carries; i < outputs.size(); ++i) {
      outputs[i].shape = prepended(layout_.length, outputs[i].shape);
      check_shape("scan", outputs[i].shape);
    }
    return outputs;
  }

  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    std::vector<array> in;
    for (const array& operand : operands) {
      in.push_back(as_leaf(operand));
    }
    size_t carries = layout_.carries;
    for (array& y : outputs.subspan(carries)) {
      y.allocate();
    }
    const CallList* calls = calls_.before(layout_.length, *body_, uses(), kernels);
    if (calls && layout_.length > 0) {
      CalledLoop loop(layout_, *calls, in, outputs.subspan(carries));
      loop.run();
      for (size_t k = 0; k < carries; ++k) {
        in[k] = loop.last_carry(k);
      }
    } else {
      run_bodies(operands, in, outputs, kernels);
    }
    for (size_t k = 0; k < carries; ++k) {
      outputs[k].share(in[k], in[k].strides());
    }
  }

  std::optional<int64_t> repeatable_work() const override {
    if (layout_.length.is_symbolic() || layout_.length == 0) {
      return std::nullopt;
    }
    const CallList* calls = calls_.before(KeptCalls::worth_it, *body_, uses(), host_kernels());
    return calls ? std::optional(static_cast<int64_t>(layout_.length) * (calls->work() + 1)) : std::nullopt;
  }
  std::unique_ptr<Repetition> repeated(std::vector<array> operands, std::vector<array> results) const override {
    return repeated_loop(layout_, calls_.kept(), std::move(operands), std::move(results));
  }

  Iterations iterations() const {
    return {body_.get(), layout_.carries, layout_.inputs, layout_.length, layout_.reverse};
  }
  // The same that saves; null where it does.
  const PrimitiveRef& saving() const {
    std::call_once(made_saving_, [&] { saving_ = saves_ ? PrimitiveRef() : saving_scan(layout_, body_); });
    return saving_;
  }

 protected:
  std::vector<const Program*> programs() const override { return {body_.get()}; }
  size_t first_constant() const override { return layout_.carries + layout_.inputs; }

  // Carries beside their tangents.
  Tangents jvp_rule(Operands primals, const Tangents& tangents) const override {
    size_t carries = layout_.carries, own = carries + layout_.inputs;
    Flags given;
    for (const Tangent& tangent : tangents) {
      given.push_back(tangent.has_value());
    }
    Flags active = until_stable(*body_, given, 0, carries, true);
    Flags active_outputs = depends(*body_, active, true);
    ScanLayout layout = layout_;
    std::vector<array> carry = part(primals, 0, carries), xs = part(primals, carries, layout_.inputs);
    for (size_t i = 0; i < own; ++i) {
      if (active[i]) {
        (i < carries ? carry : xs).push_back(tangents[i] ? *tangents[i] : zeros_like(primals[i]));
        if (i < carries) {
          layout.additive.push_back(layout_.additive[i]);
        }
      }
    }
    layout.carries = carry.size();
    layout.inputs = xs.size();
    auto step = [&](const std::vector<array>& in) {
      std::vector<array> all(primals.begin(), primals.end());
      Tangents directions(tangents);
      size_t next[] = {carries, layout.carries + layout_.inputs};
      for (size_t i = 0; i < own; ++i) {
        all[i] = in[i < carries ? i : layout.carries + i - carries];
        directions[i] = active[i] ? Tangent(in[next[i < carries ? 0 : 1]++]) : std::nullopt;
      }
      Tangents pushed = push_through(*body_, all, directions);
      std::vector<array> out = part(replay(*body_, all), 0, carries);
      for (size_t i = 0; i < pushed.size(); ++i) {
        if (i < carries ? active[i] : active_outputs[i]) {
          out.push_back(*pushed[i]);
        }
      }
      return out;
    };
    std::vector<array> results = run(layout, step, carry, xs);
    Tangents out(body_->outputs().size());
    size_t next = carries;
    for (size_t i = 0; i < out.size(); ++i) {
      if (i < carries ? active[i] : active_outputs[i]) {
        out[i] = results[next++];
      }
    }
    return out;
  }

  // The other way round, over the saved carries: the cotangents of the carry, and sums of those of the constants.
  Tangents vjp_rule(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    size_t carries = layout_.carries, own = carries + layout_.inputs;
    Flags wanted_flags(wanted.begin(), wanted.end());
    Flags active = until_stable(*body_, wanted_flags, 0, carries, true);
    std::vector<array> saved = saved_carries(primals, outputs);
    std::vector<size_t> constants; // whose cotangents are summed up
    std::vector<array> carry, xs = part(primals, carries, layout_.inputs);
    ScanLayout layout{0, 0, layout_.length, !layout_.reverse, {}};
    for (size_t i = own; i < primals.size(); ++i) {
      if (wanted[i]) {
        constants.push_back(i);
        carry.push_back(zeros_like(primals[i]));
        layout.additive.push_back(true);
      }
    }
    for (size_t i = 0; i < carries; ++i) {
      if (active[i]) {
        carry.push_back(cotangents.size() > i && cotangents[i] ? *cotangents[i] : zeros_like(primals[i]));
        layout.additive.push_back(false);
      }
    }
    xs.insert(xs.end(), saved.begin(), saved.end());
    for (size_t i = carries; i < cotangents.size(); ++i) {
      if (cotangents[i]) {
        xs.push_back(*cotangents[i]);
      }
    }
    layout.carries = carry.size();
    layout.inputs = xs.size();
    std::vector<std::optional<SummedProducts>> products(constants.size()); // instead of sums in the carry
    auto step = [&](const std::vector<array>& in) {
      size_t next = layout.carries;
      std::vector<array> all(primals.begin(), primals.end());
      for (size_t i = carries; i < own; ++i) {
        all[i] = in[next++];
      }
      for (size_t i = 0; i < carries; ++i) {
        all[i] = layout_.additive[i] ? zeros_like(primals[i]) : in[next++];
      }
      Tangents incoming(body_->outputs().size());
      for (size_t i = 0, from = constants.size(); i < carries; ++i) {
        incoming[i] = active[i] ? Tangent(in[from++]) : std::nullopt;
      }
      for (size_t i = carries; i < cotangents.size(); ++i) {
        incoming[i] = cotangents[i] ? Tangent(in[next++]) : std::nullopt;
      }
      SmallVector<bool, 4> pulled_flags(wanted.begin(), wanted.end());
      std::copy(active.begin(), active.begin() + static_cast<ptrdiff_t>(carries), pulled_flags.begin());
      Tangents pulled = pull_through(*body_, all, incoming, pulled_flags);
      std::vector<array> out;
      for (size_t i = 0; i < constants.size(); ++i) {
        const array& summand = *pulled[constants[i]];
        products[i] = SummedProducts::of(summand, in, layout.carries);
        out.push_back(products[i] ? in[i] : with_summand(in[i], summand));
      }
      for (size_t i = 0; i < own; ++i) {
        if (pulled_flags[i]) {
          out.push_back(*pulled[i]);
        }
      }
      for (std::optional<SummedProducts>& sum : products) {
        if (sum) {
          sum->append_factors(out, layout.carries);
        }
      }
      return out;
    };
    Recorder recorder("scan");
    record(recorder, step, carry, xs);
    std::vector<array> left_out;
    for (size_t i = constants.size(); i-- > 0;) {
      if (products[i]) {
        recorder.drop_state(i);
        left_out.push_back(carry[i]);
        carry.erase(carry.begin() + static_cast<ptrdiff_t>(i));
        layout.additive.erase(layout.additive.begin() + static_cast<ptrdiff_t>(i));
      }
    }
    layout.carries = carry.size();
    std::vector<array> results = run(layout, recorder, carry, xs);
    results.insert(results.begin(), left_out.begin(), left_out.end()); // so that the outputs have their numbers
    Tangents out(primals.size());
    size_t next = left_out.size();
    for (size_t i = 0; i < constants.size(); ++i) {
      out[constants[i]] = products[i] ? products[i]->total(results, xs) : results[next++];
    }
    for (size_t i = 0; i < own; ++i) {
      if (i < carries ? active[i] : wanted[i]) {
        out[i] = results[next++];
      }
    }
    return out;
  }

  Mapped vmap_rule(Operands operands, const MapAxes& axes) const override {
    size_t carries = layout_.carries, own = carries + layout_.inputs;
    Dim lanes = lanes_of(operands, axes);
    Flags mapped;
    for (const MapAxis& axis : axes) {
      mapped.push_back(axis.has_value());
    }
    mapped = until_stable(*body_, mapped, 0, carries, false);
    Flags mapped_outputs = depends(*body_, mapped, false);
    std::copy(mapped.begin(), mapped.begin() + static_cast<ptrdiff_t>(carries), mapped_outputs.begin());
    std::vector<array> carry, xs;
    MapAxes step_axes(axes);
    for (size_t i = 0; i < own; ++i) {
      if (i < carries) {
        carry.push_back(mapped[i] ? batch_first(operands[i], axes[i], lanes) : operands[i]);
      } else {
        xs.push_back(mapped[i] ? moveaxis(operands[i], *axes[i], 1) : operands[i]);
      }
      step_axes[i] = mapped[i] ? MapAxis(0) : std::nullopt;
    }
    auto step = [&](const std::vector<array>& in) {
      std::vector<array> all(operands.begin(), operands.end());
      std::copy(in.begin(), in.end(), all.begin());
      return run_batched(*body_, all, step_axes, mapped_outputs, lanes);
    };
    Recorder recorder("scan");
    record(recorder, step, carry, xs);
    ClosedBodies closed = recorder.close();
    carry.insert(carry.end(), xs.begin(), xs.end());
    // Outputs as they are, saved carries included.
    Mapped out;
    out.outputs =
        applied_many(make_primitive<ScanLoop>(layout_, closed.bodies[0], saves_), joined(carry, closed.constants));
    for (size_t i = 0; i < mapped_outputs.size(); ++i) {
      out.axes.push_back(mapped_outputs[i] ? MapAxis(i < carries ? 0 : 1) : std::nullopt);
    }
    return out;
  }

 private:
  CallList::Uses uses() const { return {layout_.carries, layout_.carries + layout_.inputs}; }

  // The iterations one by one. `state` is the operands, and then the last carry.
  void run_bodies(Operands operands, std::vector<array>& state, std::span<array> outputs, Kernels& kernels) const {
    size_t carries = layout_.carries, own = carries + layout_.inputs;
    const array nothing(0);
    for (int64_t i = 0, length = layout_.length; i < length; ++i) {
      int64_t t = iteration(layout_, i);
      for (size_t k = carries; k < own; ++k) {
        state[k] = element(operands[k], t);
      }
      std::vector<array> arguments(state);
      for (size_t k = 0; k < carries; ++k) {
        state[k] = nothing; // so that the body may change it in place
      }
      std::vector<array> results = core::run(*body_, std::move(arguments));
      for (size_t k = carries; k < results.size(); ++k) {
        store_element(outputs[k], t, results[k], kernels);
      }
      std::move(results.begin(), results.begin() + static_cast<ptrdiff_t>(carries), state.begin());
    }
  }

  static void record(
      Recorder& recorder, const VectorFunction& step, const std::vector<array>& carry, const std::vector<array>& xs) {
    Specs parameters = specs_of(carry);
    for (const array& x : xs) {
      parameters.push_back({Shape(x.shape().begin() + 1, x.shape().end()), x.dtype()});
    }
    recorder.record(step, parameters);
  }
  static std::vector<array> run(const ScanLayout& layout, const VectorFunction& step, const std::vector<array>& carry,
      const std::vector<array>& xs) {
    Recorder recorder("scan");
    record(recorder, step, carry, xs);
    return run(layout, recorder, carry, xs);
  }
  static std::vector<array> run(
      const ScanLayout& layout, Recorder& recorder, const std::vector<array>& carry, const std::vector<array>& xs) {
    ClosedBodies closed = recorder.close();
    std::vector<array> operands(carry);
    operands.insert(operands.end(), xs.begin(), xs.end());
    ScanLayout own = layout;
    SharedProgram body = without_unread_xs(closed.bodies[0], own, operands);
    return apply_scan(own, body, joined(operands, closed.constants));
  }
  std::vector<array> saved_carries(Operands primals, Operands outputs) const;

  ScanLayout layout_;
  SharedProgram body_;
  bool saves_;
  KeptCalls calls_;
  mutable std::once_flag made_saving_;
  mutable PrimitiveRef saving_;
};

namespace {

PrimitiveRef saving_scan(const ScanLayout& layout, const SharedProgram& body) {
  ProgramWriter saving;
  std::vector<int32_t> inputs;
  for (const Spec& input : body->inputs()) {
    inputs.push_back(saving.add_input(input));
  }
  std::vector<int32_t> outputs = saving.append(*body, inputs);
  for (size_t i = 0; i < layout.carries; ++i) {
    if (!(i < layout.additive.size() && layout.additive[i])) {
      outputs.push_back(inputs[i]);
    }
  }
  return make_primitive<ScanLoop>(layout, saving.finish(std::move(outputs)), true);
}

} // namespace

Iterations iterations_of(const Primitive& primitive) {
  return typeid(primitive) == typeid(ScanLoop) ? static_cast<const ScanLoop&>(primitive).iterations() : Iterations();
}

const PrimitiveRef* saving_of(const Primitive& primitive) {
  if (typeid(primitive) != typeid(ScanLoop)) {
    return nullptr;
  }
  const PrimitiveRef& saving = static_cast<const ScanLoop&>(primitive).saving();
  return saving ? &saving : nullptr;
}

std::vector<array> ScanLoop::saved_carries(Operands primals, Operands outputs) const {
  auto kept = static_cast<size_t>(std::count(layout_.additive.begin(), layout_.additive.end(), false));
  std::vector<array> all = saves_ ? part(outputs, 0, outputs.size()) : applied_many(saving(), primals);
  return part(all, all.size() - kept, kept);
}

std::vector<array> apply_scan(const ScanLayout& layout, const SharedProgram& body, const std::vector<array>& operands) {
  if (body->outputs().empty()) {
    return {};
  }
  if (!Frame::will_reverse()) {
    return applied_many(make_primitive<ScanLoop>(layout, body, false), operands);
  }
  return part(applied_many(saving_scan(layout, body), operands), 0, body->outputs().size());
}

std::vector<array> remade_scan(const Parts& parts) {
  const std::vector<array>& operands = parts.operands();
  bool saves = parts.flag("saves");
  ScanLayout layout{parts.count("carries"), parts.count("inputs"), parts.size("length"), parts.flag("reverse"), {}};
  Parts::require(layout.carries <= operands.size(), "a scan has more carries than operands.");
  layout.additive.resize(layout.carries);
  for (int i : parts.axes("additive")) {
    Parts::require(i >= 0 && static_cast<size_t>(i) < layout.carries, "a scan names a carry that it does not have.");
    layout.additive[static_cast<size_t>(i)] = true;
  }
  if (layout.length < 0 || layout.carries + layout.inputs > operands.size()) {
    fail("scan", layout.carries, " carries and ", layout.inputs, " xs of length ", layout.length, " do not go with ",
        operands.size(), " operands.");
  }
  Specs parameters = specs_of(operands);
  for (size_t i = layout.carries; i < layout.carries + layout.inputs; ++i) {
    Shape& shape = parameters[i].shape;
    if (shape.empty() || !(shape[0] == layout.length)) {
      fail("scan", "xs of shape ", shape, " do not have the length ", layout.length, ".");
    }
    shape.erase(shape.begin());
  }
  Recorder recorder("scan");
  recorder.record(parts.function("body"), parameters);
  ClosedBodies closed = recorder.close();
  std::span<const Spec> outputs = closed.bodies[0]->output_specs();
  std::vector<array> carry = part(operands, 0, layout.carries), kept;
  for (size_t i = 0; i < layout.carries && saves; ++i) {
    if (!layout.additive.at(i)) {
      kept.push_back(carry[i]);
    }
  }
  if (outputs.size() < layout.carries + kept.size()) {
    fail("scan", "the body has ", outputs.size(), " outputs for ", layout.carries, " carries.");
  }
  check_state("scan", specs_of(carry), outputs.first(layout.carries));
  check_state("scan", specs_of(kept), outputs.last(kept.size()));
  return applied_many(make_primitive<ScanLoop>(layout, closed.bodies[0], saves), joined(operands, closed.constants));
}

Scanned scan(const ScanBody& f, const std::vector<array>& init, const std::vector<array>& xs, std::optional<Dim> length,
    bool reverse) {
  for (size_t i = 0; i < xs.size(); ++i) {
    if (xs[i].ndim() == 0) {
      fail("scan", "xs[", i, "] is a scalar; scan goes along the first axis.");
    }
    if (length && !(xs[i].shape()[0] == *length)) {
      fail("scan", "xs[", i, "] has shape ", xs[i].shape(), ", whose first axis is not of length ", *length, ".");
    }
    length = xs[i].shape()[0];
  }
  if (!length) {
    fail("scan", "There are no xs and no length; one of them says how often to run the body.");
  }
  if (*length < 0) {
    fail("scan", "length is ", *length, "; it cannot be negative.");
  }
  size_t carries = init.size();
  auto step = [&](const std::vector<array>& in) {
    Scanned out = f(part(in, 0, carries), part(in, carries, xs.size()));
    check_state("scan", specs_of(init), specs_of(out.carry));
    out.carry.insert(out.carry.end(), out.ys.begin(), out.ys.end());
    return std::move(out.carry);
  };
  Specs elements;
  for (const array& x : xs) {
    elements.push_back({Shape(x.shape().begin() + 1, x.shape().end()), x.dtype()});
  }
  KeyedRecorder recorder("scan", init);
  recorder.record_body(step, elements);
  ClosedBodies closed = recorder.close();
  std::vector<array> operands = recorder.initial_state();
  FixedStates fixed(closed, 0, operands);
  ScanLayout layout{operands.size(), xs.size(), *length, reverse, {}};
  operands.insert(operands.end(), xs.begin(), xs.end());
  std::vector<array> results = apply_scan(layout, closed.bodies[0], joined(operands, closed.constants));
  std::vector<array> carry = part(results, 0, layout.carries);
  fixed.restore(carry);
  return {part(carry, 0, carries), part(results, layout.carries, results.size() - layout.carries)};
}

} // namespace mlx::core
