// Checking the state of loops and giving each iteration its own random keys.
#include "mlx_core/transforms/loop.h"

#include <algorithm>
#include <numeric>

#include "mlx_core/ops.h"
#include "mlx_core/ops/random/random_keys.h"

namespace mlx::core {

void check_state(const char* op, std::span<const Spec> before, std::span<const Spec> after) {
  if (before.size() != after.size()) {
    fail(op, "the body returned a state of ", after.size(), " arrays; it was given ", before.size(), ".");
  }
  for (size_t i = 0; i < before.size(); ++i) {
    if (!(before[i].shape == after[i].shape) || before[i].dtype != after[i].dtype) {
      fail(op, "the body returned array ", i, " of the state with shape ", after[i].shape, " and dtype ",
          after[i].dtype, "; it was given shape ", before[i].shape, " and dtype ", before[i].dtype,
          ". Reshape or cast one of them: every iteration takes and returns the same.");
    }
  }
}

FixedStates::FixedStates(ClosedBodies& closed, size_t body, std::vector<array>& state) {
  for (size_t i = 0; i < state.size(); ++i) {
    if (closed.bodies[body]->outputs()[i] == static_cast<int32_t>(i)) {
      fixed_.emplace_back(i, state[i]);
    }
  }
  for (size_t b = 0; b < closed.bodies.size() && !fixed_.empty(); ++b) {
    const Program& old = *closed.bodies[b];
    std::vector<int32_t> order(old.inputs().size()), outputs(old.outputs().begin(), old.outputs().end());
    std::iota(order.begin(), order.end(), 0);
    for (size_t k = fixed_.size(); k-- > 0;) {
      auto at = static_cast<ptrdiff_t>(fixed_[k].first);
      std::rotate(order.begin() + at, order.begin() + at + 1, order.end());
      if (b == body) {
        outputs.erase(outputs.begin() + at);
      }
    }
    std::vector<Spec> inputs;
    std::vector<int32_t> to(order.size());
    for (int32_t from : order) {
      to[static_cast<size_t>(from)] = static_cast<int32_t>(inputs.size());
      inputs.push_back(old.inputs()[static_cast<size_t>(from)]);
    }
    closed.bodies[b] = rewired(old, std::move(inputs), to, outputs);
  }
  for (size_t k = fixed_.size(); k-- > 0;) {
    closed.constants.push_back(fixed_[k].second);
    state.erase(state.begin() + static_cast<ptrdiff_t>(fixed_[k].first));
  }
}

void FixedStates::restore(std::vector<array>& state) const {
  for (const auto& [at, a] : fixed_) {
    state.insert(state.begin() + static_cast<ptrdiff_t>(at), a);
  }
}

Specs KeyedRecorder::parameters(const Specs& further) const {
  Specs specs = specs_of(init_);
  specs.push_back({Shape{2}, uint32});
  for (const Spec& spec : further) {
    specs.push_back(spec);
  }
  return specs;
}

void KeyedRecorder::record_body(const VectorFunction& fun, const Specs& further) {
  auto keyed = [&](const std::vector<array>& in) {
    auto at = static_cast<ptrdiff_t>(init_.size());
    const array& key = in[init_.size()];
    random::SequenceScope keys(key);
    std::vector<array> arguments(in);
    arguments.erase(arguments.begin() + at);
    std::vector<array> out = fun(arguments);
    draws_ = draws_ || keys.state().id() != key.id();
    // An iteration that draws nothing goes on from another key all the same: something else may draw from this one.
    out.insert(out.begin() + at, keys.state().id() != key.id() ? keys.state() : random::split(key).first);
    return out;
  };
  recorder_.record(keyed, parameters(further));
}

void KeyedRecorder::record_reader(const VectorFunction& fun) {
  auto keyed = [&](const std::vector<array>& in) {
    array key = take(random::split(in.back(), 3), array(2), 0); // a body goes on with the first two
    random::SequenceScope keys(key);
    std::vector<array> out = fun({in.begin(), in.end() - 1});
    draws_ = draws_ || keys.state().id() != key.id();
    return out;
  };
  recorder_.record(keyed, parameters({}));
}

ClosedBodies KeyedRecorder::close() {
  if (!draws_) {
    recorder_.drop_state(init_.size());
  }
  return recorder_.close();
}

std::vector<array> KeyedRecorder::initial_state() const {
  std::vector<array> state(init_);
  if (draws_) {
    state.push_back(random::next_key());
  }
  return state;
}

} // namespace mlx::core
