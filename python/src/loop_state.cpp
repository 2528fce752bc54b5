// Carrying what the body of a loop changes in place.
#include "python/src/loop_state.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/bind_transforms.h"
#include "python/src/descent.h"

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

LoopState::LoopState(const char* op, nb::handle init, NumberDtypes& adopted, LoopWrites& writes, nb::handle body)
    : op_(op), leaves_(op, "init", init), adopted_(adopted), writes_(writes), body_(body) {
  adopted_.resize(leaves_.count());
  arrays_ = leaves_.arrays(adopted_);
  states_ = arrays_.size();
  for (array& a : writes_.outer.values()) {
    arrays_.push_back(std::move(a));
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

std::span<const array> LoopState::carried(const std::vector<array>& in) const {
  return std::span(in).subspan(states_, writes_.outer.count());
}

std::vector<array> LoopState::turn(const std::vector<array>& in, const char* name, const Body& body, const Test& test) {
  HandleLog log([](const array& a) { return a; });
  writes_.outer.give(log, carried(in));
  Leaves given = handles(in);
  nb::object returned = body(leaves_.build(given));
  std::optional<array> proceeds = test ? std::optional(test(returned)) : std::nullopt;
  ArrayLeaves after(op_, name, returned);
  after.order_like(leaves_);
  std::vector<array> state(arrays_.begin(), arrays_.begin() + static_cast<ptrdiff_t>(states_));
  std::vector<array> next = after.arrays(dtypes_of(state));
  check_like(op_, leaves_, state, adopted_, after, next,
      "Reshape or cast one of them: every iteration takes and returns the same.");
  bool again = look_at_arguments(log, in, given, after);
  if (writes_.outer.find(log) || again) {
    throw WritesFound{};
  }
  writes_.outer.take(log, next);
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
  return next;
}

array LoopState::condition(const std::vector<array>& in, const Test& test) {
  HandleLog log([](const array& a) { return a; });
  writes_.outer.give(log, carried(in));
  Leaves given = handles(in);
  array proceeds = test(leaves_.build(given));
  auto changed = [&](const HandleLog::Entry& entry) { return entry.current.id() != entry.hidden.id(); };
  bool writes = std::any_of(log.entries().begin(), log.entries().end(), changed);
  for (size_t i = 0; i < states_; ++i) {
    writes = writes || read(given[i]).id() != in[i].id();
  }
  if (writes) {
    writes_.condition_writes = true;
    throw WritesFound{};
  }
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
  for (size_t i = states_; i < states_ + writes_.outer.count(); ++i) {
    const array &a = arrays_[i], &b = next[i];
    if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
      fail(op_, "the body changes ", name_of_outer(writes_.outer.handle(i - states_), {body_}),
          ", in place from shape ", a.shape(), " and dtype ", a.dtype(), " to shape ", b.shape(), " and dtype ",
          b.dtype(), ". Cast what is written: every iteration takes and leaves the same.");
    }
  }
}

nb::object LoopState::end(std::span<const array> out) {
  nb::object state = leaves_.build(out.first(states_));
  for (size_t leaf : returned_) {
    rebind(leaves_.leaf(leaf).ptr(), out[leaf]);
  }
  size_t count = writes_.outer.count();
  for (size_t i = 0; i < writes_.first_turn.size(); ++i) {
    rebind(leaves_.leaf(writes_.first_turn[i]).ptr(), out[states_ + count + i]);
  }
  writes_.outer.bind(out.subspan(states_, count));
  return state;
}

} // namespace mlx::python
