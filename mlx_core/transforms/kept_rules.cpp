// What tells one question to a rule from another, and recording what it answers.
#include "mlx_core/transforms/kept_rules.h"

#include <algorithm>

#include "mlx_core/compile/key.h"
#include "mlx_core/program/record.h"
#include "mlx_core/transforms/cotangent_sums.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/frame.h"

namespace mlx::core {

namespace {

constexpr size_t most_kept = 16; // of one primitive
enum class Rule : char { jvp, vjp, vmap };

// Whether rules see nothing in it but that it is an array. Of what elementwise steps made it they may take more: log of
// a sum of exp, 1 / (1 / x), a number that is repeated.
bool is_opaque(const array& a) {
  auto hides = [](const Primitive& made_by) {
    return made_by.role() != Role::repetition && made_by.eval_kind() != EvalKind::elementwise;
  };
  if (a.node()->level != 0) { // nobody takes its primitive away
    return !a.has_primitive() || hides(a.primitive());
  }
  std::optional<Pending> lazy = pending(a);
  return !lazy || hides(*lazy->primitive);
}

// The same at each call, perhaps: it is told from others by its value.
bool is_number(const array& a) { return a.node()->level == 0 && a.is_available() && a.size() == 1; }

} // namespace

// `all`: the operands, the outputs, and what is given of tangents.
struct KeepsRules::Question {
  Rule rule;
  size_t operands = 0, outputs = 0;
  const Tangents& tangents;
  std::span<const bool> wanted;
  const MapAxes& axes;
  std::vector<array> all = {};
  std::vector<bool> stays = {}; // of each of `all`: a number that the rule sees
  std::string key = {};
  bool may_be_kept = true;

  void add(const array& a, bool is_seen) {
    const Shape& shape = a.shape();
    may_be_kept = may_be_kept && is_known(shape) && (!is_seen || is_opaque(a)) && a.node()->origin == 0;
    all.push_back(a);
    if (!may_be_kept) {
      return;
    }
    append_spec(key, a);
    bool is_seen_number = is_seen && is_number(a);
    stays.push_back(is_seen_number);
    append_bytes(key, is_seen_number);
    if (is_seen_number) {
      key.append(static_cast<const char*>(a.raw_data()), static_cast<size_t>(a.itemsize()));
    }
  }
  void finish(Operands in, Operands out, size_t first_constant) {
    append_bytes(key, rule);
    append_bytes(key, Frame::will_reverse());
    for (bool each : wanted) {
      append_bytes(key, each);
    }
    for (const MapAxis& axis : axes) {
      append_bytes(key, axis.value_or(-1));
    }
    operands = in.size();
    outputs = out.size();
    for (size_t i = 0; i < in.size(); ++i) {
      add(in[i], i >= first_constant);
    }
    for (const array& output : out) {
      add(output, false);
    }
    for (size_t i = 0; i < tangents.size(); ++i) {
      append_bytes(key, tangents[i].has_value());
      if (tangents[i]) {
        add(*tangents[i], rule == Rule::jvp && i >= first_constant);
      }
    }
  }
};

struct KeepsRules::Answer {
  Tangents arrays;
  MapAxes axes = {};
};

struct KeepsRules::Kept {
  std::string key;
  SharedProgram program = nullptr;
  std::vector<array> constants = {};
  std::vector<size_t> inputs = {}; // which of all that the question is about
  std::vector<bool> present = {};  // of the answer's arrays
  MapAxes axes = {};
  bool is_asked_anew = false; // each time
};

Tangents KeepsRules::jvp(Operands primals, const Tangents& tangents, Operands outputs) const {
  Question question{.rule = Rule::jvp, .tangents = tangents, .wanted = {}, .axes = {}};
  question.finish(primals, outputs, first_constant());
  return answer(question).arrays;
}

Tangents KeepsRules::vjp(
    Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const {
  Question question{.rule = Rule::vjp, .tangents = cotangents, .wanted = wanted, .axes = {}};
  question.finish(primals, outputs, first_constant());
  return answer(question).arrays;
}

Mapped KeepsRules::vmap(Operands operands, const MapAxes& axes) const {
  Question question{.rule = Rule::vmap, .tangents = {}, .wanted = {}, .axes = axes};
  question.finish(operands, {}, first_constant());
  Answer given = answer(question);
  Mapped out{{}, std::move(given.axes)};
  for (Tangent& output : given.arrays) {
    out.outputs.push_back(*std::move(output));
  }
  return out;
}

KeepsRules::Answer KeepsRules::ask(const Question& question, Operands all) const {
  Operands operands = all.first(question.operands);
  if (question.rule == Rule::vmap) {
    Mapped mapped = vmap_rule(operands, question.axes);
    return {Tangents(mapped.outputs.begin(), mapped.outputs.end()), std::move(mapped.axes)};
  }
  Tangents tangents(question.tangents);
  const array* next = all.data() + question.operands + question.outputs;
  for (Tangent& tangent : tangents) {
    if (tangent) {
      tangent = *next++;
    }
  }
  return {question.rule == Rule::jvp
              ? jvp_rule(operands, tangents)
              : vjp_rule(operands, tangents, all.subspan(question.operands, question.outputs), question.wanted)};
}

KeepsRules::Answer KeepsRules::answer(const Question& question) const {
  auto place = [&] {
    return std::find_if(kept_.begin(), kept_.end(), [&](const auto& known) { return known->key == question.key; });
  };
  std::shared_ptr<const Kept> kept;
  if (question.may_be_kept) {
    std::lock_guard lock(mutex_);
    if (auto found = place(); found != kept_.end()) {
      kept = *found;
    } else if (kept_.size() < most_kept) {
      kept_.push_back(std::make_shared<Kept>(Kept{question.key}));
    }
  }
  if (kept && !kept->program && !kept->is_asked_anew) {
    kept = recorded(question);
    std::lock_guard lock(mutex_);
    *place() = kept;
  }
  if (!kept || kept->is_asked_anew) {
    return ask(question, question.all);
  }
  std::vector<array> inputs;
  inputs.reserve(kept->program->slot_count());
  for (size_t k : kept->inputs) {
    inputs.push_back(question.all[k]);
  }
  inputs.insert(inputs.end(), kept->constants.begin(), kept->constants.end());
  std::vector<array> arrays = replay_as_recorded(*kept->program, std::move(inputs));
  Answer given{Tangents(kept->present.size()), kept->axes};
  auto next = arrays.begin();
  for (size_t i = 0; i < kept->present.size(); ++i) {
    if (kept->present[i]) {
      given.arrays[i] = *next++;
    }
  }
  return given;
}

std::shared_ptr<const KeepsRules::Kept> KeepsRules::recorded(const Question& question) const {
  auto kept = std::make_shared<Kept>(Kept{question.key});
  for (const Program* program : programs()) { // functions of the user's may answer otherwise the next time
    kept->is_asked_anew = kept->is_asked_anew || !rules_in(*program).empty();
  }
  if (kept->is_asked_anew) {
    return kept;
  }
  Frame frame(Frame::Kind::trace);
  std::vector<array> all(question.all);
  for (size_t k = 0; k < all.size(); ++k) {
    if (!question.stays[k]) {
      all[k] = frame.abstract(all[k].shape(), all[k].dtype());
      kept->inputs.push_back(k);
    }
  }
  Answer given = ask(question, all);
  std::vector<array> arrays;
  for (const Tangent& each : given.arrays) {
    kept->present.push_back(each.has_value());
    if (each) {
      arrays.push_back(*each);
    }
  }
  kept->axes = std::move(given.axes);
  Traced traced = record_program(frame, arrays);
  kept->is_asked_anew = std::any_of(traced.captured.begin(), traced.captured.end(),
      [](const array& a) { return a.node()->level != 0; }); // of a transform that is open around it
  if (!kept->is_asked_anew) {
    kept->program = std::move(traced.program);
    kept->constants = std::move(traced.captured);
  }
  return kept;
}

} // namespace mlx::core
