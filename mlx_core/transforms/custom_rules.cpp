// Who keeps the rules of custom functions, and which rules a recording needs.
#include <algorithm>
#include <unordered_set>

#include "mlx_core/compile/plan.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/frame.h"

namespace mlx::core {

using SharedRules = std::shared_ptr<const CustomRules>;

struct OwnedRules final : Frame::Forgetful {
  explicit OwnedRules(SharedRules rules) : rules(std::move(rules)) {}
  void forget() override { rules.reset(); }
  SharedRules rules;
};

RulesRef::RulesRef(const SharedRules& rules)
    : address_(rules.get()), rules_(rules), owned_(std::make_shared<OwnedRules>(rules)) {
  Frame::forget_later(owned_);
}

const CustomRules* RulesRef::operator->() const {
  if (rules_.expired()) {
    fail<std::logic_error>("custom_function", "the rules of a call are asked for after the transform it was made in.");
  }
  return address_;
}

void CustomRules::forget_batching() const {
  vmap = nullptr;
  vmap_objects.reset();
  if (recorded()) {
    objects.reset();
  }
  for (const SharedRules& part : parts) {
    part->forget_batching();
  }
}

void CustomRules::forget_unrecorded() const {
  if (!jvp_recorded) {
    jvp = nullptr;
    jvp_objects.reset();
  }
  if (!vjp_recorded) {
    vjp = nullptr;
    vjp_objects.reset();
  }
  forget_batching();
  for (const SharedRules& part : parts) {
    part->forget_unrecorded();
  }
}

void keep_rules(std::span<const SharedRules> rules) {
  for (const SharedRules& each : rules) {
    Frame::keep(each);
  }
}

bool rules_are_unneeded(std::span<const array> args) {
  if (!Frame::open().empty()) {
    return false;
  }
  for (const array& a : args) {
    if (is_traced(*a.node())) { // of a transform that is open on another thread
      return false;
    }
  }
  return true;
}

bool derivatives_are_unneeded(std::span<const array> args) {
  const std::vector<Frame*>& open = Frame::open();
  auto is_vmap = [](const Frame* frame) { return frame->kind() == Frame::Kind::vmap; };
  if (open.empty() || !std::all_of(open.begin(), open.end(), is_vmap)) {
    return false;
  }
  return std::none_of(args.begin(), args.end(), [&](const array& a) { // of a transform on another thread
    return is_traced(*a.node()) && a.node()->level < open.front()->id();
  });
}

namespace {

// Walks primitives, and the bodies inside them.
class Search final : public ParamVisitor {
 public:
  std::vector<SharedRules> found;

  void primitive(const Primitive& p) {
    if (SharedRules rules = rules_of(p); rules && seen_.insert(rules.get()).second) {
      found.push_back(rules);
      for (const std::shared_ptr<const FunctionBody>& inner : rules->bodies) {
        body(*inner);
      }
    }
    p.visit(*this);
  }

  void body(const FunctionBody& b) {
    for (const array& a : b.parameters) {
      seen_.insert(a.node());
    }
    for (const array& a : b.captured) { // computed before any transform of the body
      seen_.insert(a.node());
    }
    std::vector<array> stack(b.outputs);
    while (!stack.empty()) {
      array top = std::move(stack.back());
      stack.pop_back();
      if (seen_.insert(top.node()).second && top.has_primitive()) {
        primitive(top.primitive());
        stack.insert(stack.end(), top.operands().begin(), top.operands().end());
      }
    }
  }

  void operator()(const char*, const FunctionBody& b) override { body(b); }
  void operator()(const char*, bool) override {}
  void operator()(const char*, int64_t) override {}
  void operator()(const char*, Dim) override {}
  void operator()(const char*, double) override {}
  void operator()(const char*, std::string_view) override {}
  void operator()(const char*, Dtype) override {}
  void operator()(const char*, const Shape&) override {}
  void operator()(const char*, std::span<const int64_t>) override {}
  void operator()(const char*, std::span<const int>) override {}

 private:
  std::unordered_set<const void*> seen_; // nodes and rules
};

} // namespace

std::vector<SharedRules> rules_in(const Plan& plan) {
  Search search;
  for (const Plan::Step& step : plan.steps()) {
    search.primitive(*step.primitive);
  }
  return std::move(search.found);
}

std::vector<SharedRules> rules_in(const FunctionBody& body) {
  Search search;
  search.body(body);
  return std::move(search.found);
}

} // namespace mlx::core
