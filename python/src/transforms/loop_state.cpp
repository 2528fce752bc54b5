// Carrying what the body of a loop changes in place.
#include "python/src/transforms/loop_state.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/trees/descent.h"

namespace mlx::python {

using core::fail;

nb::object called(nb::handle fun, const nb::object& args) {
  Descent guard(" in a transformed function");
  nb::object result = nb::steal(PyObject_CallObject(fun.ptr(), args.ptr()));
  if (!result.is_valid()) {
    throw nb::python_error();
  }
  return result;
}

array scalar_of(const char* op, const char* name, nb::handle value) {
  if (std::optional<array> a = try_to_array(value.ptr(), {})) {
    return *a;
  }
  fail<core::TypeError>(op, name, " is a ", class_name(value), "; it should be a scalar array or a number.");
}

NumberDtypes dtypes_of(const std::vector<array>& arrays) {
  NumberDtypes dtypes;
  for (const array& a : arrays) {
    dtypes.push_back(a.dtype());
  }
  return dtypes;
}

LoopState::LoopState(const char* op, nb::handle init, NumberDtypes& adopted, LoopWrites& writes,
    std::initializer_list<nb::handle> functions)
    : op_(op),
      leaves_(op, "init", init),
      adopted_(adopted),
      writes_(writes),
      functions_(functions),
      around_(functions) {
  adopted_.resize(leaves_.count());
  arrays_ = leaves_.arrays(adopted_);
  states_ = arrays_.size();
  for (array& a : writes_.outer.values()) {
    arrays_.push_back(std::move(a));
  }
  for (const OuterSlot& slot : writes_.slots) {
    arrays_.push_back(read(slot.before));
  }
  for (size_t leaf : writes_.first_turn) {
    arrays_.push_back(arrays_[leaf]);
  }
  if (!writes_.first_turn.empty()) {
    arrays_.push_back(array(true));
  }
}

Leaves LoopState::handles(const std::vector<array>& in) const {
  Leaves handles;
  for (size_t i = 0; i < states_; ++i) {
    handles.push_back(nb::steal(wrap(in[i])));
  }
  return handles;
}

void LoopState::give(HandleLog& log, const std::vector<array>& in) const {
  size_t handles = writes_.outer.count();
  writes_.outer.give(log, std::span(in).subspan(states_, handles));
  for (size_t i = 0; i < writes_.slots.size(); ++i) {
    writes_.slots[i].put(nb::steal(wrap(in[states_ + handles + i])));
  }
}

std::vector<array> LoopState::turn(const std::vector<array>& in, const char* name, const Body& body, const Test& test) {
  HandleLog log([](const array& a) { return a; });
  OuterSlots::Run run(around_, writes_.slots, log);
  give(log, in);
  Leaves given = handles(in);
  nb::object returned = body(leaves_.build(given));
  std::optional<array> proceeds = test ? std::optional(test(returned)) : std::nullopt;
  writes_.outer.ran(log);
  ArrayLeaves after(op_, name, returned);
  after.order_like(leaves_);
  std::vector<array> state(arrays_.begin(), arrays_.begin() + static_cast<ptrdiff_t>(states_));
  std::vector<array> next = after.arrays(dtypes_of(state));
  check_like(op_, leaves_, state, adopted_, after, next,
      "Reshape or cast one of them: every iteration takes and returns the same.");
  bool again = look_at_arguments(log, in, given, after);
  again = around_.find(log, writes_.slots) || again;
  if (writes_.outer.find(log) || again) {
    throw WritesFound{};
  }
  writes_.outer.take(log, next);
  for (const OuterSlot& slot : writes_.slots) {
    nb::object now = slot.now();
    next.push_back(read(is_array(now) ? now : slot.before));
  }
  check_outer(next);
  size_t kept = next.size();
  for (size_t i = 0; i < writes_.first_turn.size(); ++i) {
    const array& changed = read(given[writes_.first_turn[i]]);
    const array& before = in[kept + i];
    if (!(changed.shape() == before.shape()) || changed.dtype() != before.dtype()) {
      fail(op_, "the body changes ", leaves_.name(writes_.first_turn[i]), " in place from shape ", before.shape(),
          " and dtype ", before.dtype(), " to shape ", changed.shape(), " and dtype ", changed.dtype(),
          ". Give the loop a copy of it.");
    }
    next.push_back(core::where(in[kept + writes_.first_turn.size()], changed, before));
  }
  if (!writes_.first_turn.empty()) {
    next.push_back(array(false));
  }
  if (proceeds) {
    next.push_back(*proceeds);
  }
  run.done();
  return next;
}

array LoopState::condition(const std::vector<array>& in, const Test& test) {
  HandleLog log([](const array& a) { return a; });
  OuterSlots::Run run(around_, writes_.slots, log);
  give(log, in);
  Leaves given = handles(in);
  array proceeds = test(leaves_.build(given));
  writes_.outer.ran(log);
  auto changed = [&](const HandleLog::Entry& entry) { return entry.current.id() != entry.hidden.id(); };
  bool writes = std::any_of(log.entries().begin(), log.entries().end(), changed);
  for (size_t i = 0; i < states_; ++i) {
    writes = writes || read(given[i]).id() != in[i].id();
  }
  writes = around_.find(log, writes_.slots) || writes;
  if (writes) {
    writes_.condition_writes = true;
    throw WritesFound{};
  }
  run.done();
  return proceeds;
}

bool LoopState::look_at_arguments(
    const HandleLog& log, const std::vector<array>& in, const Leaves& given, const ArrayLeaves& after) {
  bool again = false;
  returned_.clear();
  auto copy_it = [&](size_t leaf, const char* why) {
    fail(op_, "the body changes ", leaves_.name(leaf), " in place, ", why,
        ": from one turn to the next these may be different arrays. Give the loop a copy of it, mx.array(...).");
  };
  for (size_t i = 0; i < states_; ++i) {
    nb::handle initial = leaves_.leaf(i);
    bool is_handle = is_array(initial);
    for (const HandleLog::Entry& entry : log.entries()) {
      if (is_handle && entry.handle == initial.ptr() && entry.current.id() != entry.hidden.id()) {
        copy_it(i, "by the name that the array has around the loop");
      }
    }
    if (!is_handle || read(given[i]).id() == in[i].id()) {
      continue;
    }
    if (log.knows(initial.ptr())) {
      copy_it(i, "and uses the same array from around the loop");
    }
    for (size_t j = 0; j < states_; ++j) {
      if (j != i && leaves_.leaf(j).is(initial)) {
        copy_it(i, "which is in the state twice");
      }
      if (j != i && after.leaf(j).is(given[i])) {
        copy_it(i, "and returns it in another place");
      }
    }
    bool known = std::find(writes_.first_turn.begin(), writes_.first_turn.end(), i) != writes_.first_turn.end();
    if (after.leaf(i).is(given[i])) {
      returned_.push_back(i);
    } else if (!known) {
      writes_.first_turn.push_back(i);
      again = true;
    }
  }
  return again;
}

void LoopState::check_outer(const std::vector<array>& next) const {
  size_t handles = writes_.outer.count();
  for (size_t i = 0; i < handles + writes_.slots.size(); ++i) {
    const array &a = arrays_[states_ + i], &b = next[states_ + i];
    if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
      nb::handle changed = i < handles ? writes_.outer.handle(i) : writes_.slots[i - handles].before;
      fail(op_, "the body changes ", name_of_outer(changed, functions_), ", in place from shape ", a.shape(),
          " and dtype ", a.dtype(), " to shape ", b.shape(), " and dtype ", b.dtype(),
          ". Cast what is written: every iteration takes and leaves the same.");
    }
  }
}

nb::object LoopState::end(std::span<const array> out) {
  nb::object state = leaves_.build(out.first(states_));
  for (size_t leaf : returned_) {
    rebind(leaves_.leaf(leaf).ptr(), out[leaf]);
  }
  size_t next = states_ + writes_.outer.count();
  for (const OuterSlot& slot : writes_.slots) {
    slot.put(nb::steal(wrap(out[next++])));
  }
  for (size_t leaf : writes_.first_turn) {
    rebind(leaves_.leaf(leaf).ptr(), out[next++]);
  }
  writes_.outer.bind(out.subspan(states_, writes_.outer.count()));
  return state;
}

} // namespace mlx::python
