// CallListApplied: steps of a call list that are left to their primitives, on views or on arrays of the list's memory.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "mlx_core/eval/call_list_small.h"
#include "mlx_core/ops/on_views.h"

namespace mlx::core {

// Whether it runs programs: their steps are not for a list to do.
inline bool holds_programs(const Primitive& primitive) {
  struct Search : ParamVisitor {
    using ParamVisitor::operator();
    void operator()(const char*, bool) override {}
    void operator()(const char*, int64_t) override {}
    void operator()(const char*, Dim) override {}
    void operator()(const char*, double) override {}
    void operator()(const char*, std::string_view) override {}
    void operator()(const char*, Dtype) override {}
    void operator()(const char*, const Shape&) override {}
    void operator()(const char*, std::span<const int64_t>) override {}
    void operator()(const char*, std::span<const int>) override {}
    void operator()(const char*, const SharedProgram&) override { found = true; }
    bool found = false;
  } search;
  primitive.visit(search);
  return search.found;
}

class CallListApplied : public CallListSmall {
 public:
  using CallListSmall::CallListSmall;

 protected:
  // Whether the first operand is of a loop's own memory, and nothing else of what is in it is needed any more.
  bool changes_in_place(const Program::Step& step) const {
    if (uses_.once || step.primitive->reusable_operand() != 0) {
      return false;
    }
    const Value& whole = operand(step, 0);
    const Region& region = regions_[whole.region];
    const Spec& out = step.outputs[0];
    bool same = whole.view.is_row_major() && whole.view.dtype == out.dtype && whole.view.size() == count(out);
    for (size_t k = 1; k < step.operands.size(); ++k) {
      same = same && operand(step, k).region != whole.region;
    }
    return same && region.writable && region.last_use <= now_;
  }

  // Of a new array, by kernels that see no more than views.
  bool add_request(const Program::Step& step) {
    const auto* on = dynamic_cast<const OnViews*>(step.primitive.get());
    if (!on || step.operands.size() > most_operands) {
      return false;
    }
    const Spec& out = step.outputs[0];
    CallList::Request request{step.primitive, on, {}, dense(out, 0)};
    CallList::Call call{};
    call.kind = Kind::request;
    call.n = count(out);
    bool varies = false;
    for (size_t k = 0; k < step.operands.size(); ++k) {
      const Value& read = operand(step, k);
      note_layout(read);
      varies = varies || read.varies;
      call.n += read.varies ? read.view.size() : 0;
      call.in[k] = read.view.offset;
      request.in.push_back(read.view);
      request.in.back().offset = 0;
    }
    call.out = reserve(out, varies);
    call.detail = static_cast<uint32_t>(list_->requests_.size());
    list_->requests_.push_back(std::move(request));
    throws_ = throws_ || on->may_throw();
    push_result(out, call.out, varies);
    emit(varies, call);
    return true;
  }

  bool add_applied(const Program::Step& step, bool in_place) {
    const Spec& out = step.outputs[0];
    std::optional<int64_t> work = step.primitive->repeatable_work();
    if (!work && !may_be_applied(*step.primitive, step.operands.size())) {
      return false;
    }
    CallList::Applied applied{step.primitive, {}, step.outputs, in_place, work.has_value()};
    bool varies = false;
    CallList::Call call = call_of(step, applied, varies);
    call.n += count(out) + work.value_or(0);
    if (in_place) {
      call.n -= operand(step, 0).varies ? count(out) : 0;
      call.out = call.in[0];
      push({dense(out, call.out), true, -1, operand(step, 0).region});
    } else {
      call.out = reserve(out, varies);
      push_result(out, call.out, varies);
    }
    list_->applied_.push_back(std::move(applied));
    emit(varies, call);
    return true;
  }

  // The outputs of a primitive that has several, one behind the other.
  bool add_several(const Program::Step& step) {
    int64_t bytes = 0;
    std::optional<int64_t> work = step.primitive->repeatable_work();
    for (const Spec& out : step.outputs) {
      if (!is_plain(out) || count(out) > (work ? largest_repeated() : most_small)) {
        return false;
      }
      bytes += CallList::Applied::room(out);
    }
    if (uses_.once || (!work && !may_be_applied(*step.primitive, step.operands.size()))) {
      return false;
    }
    CallList::Applied applied{step.primitive, {}, step.outputs, false, work.has_value()};
    bool varies = false;
    CallList::Call call = call_of(step, applied, varies);
    call.n += work.value_or(0);
    call.out = reserve({Shape{bytes}, uint8}, varies);
    size_t region = regions_.size() - 1;
    int64_t place = call.out;
    for (const Spec& out : step.outputs) {
      call.n += count(out);
      push({dense(out, place), varies, -1, region});
      place += CallList::Applied::room(out);
    }
    list_->applied_.push_back(std::move(applied));
    emit(varies, call);
    return true;
  }

  static bool may_be_applied(const Primitive& primitive, size_t operands) {
    return operands <= most_operands && primitive.identity() == 0 && !holds_programs(primitive);
  }
  CallList::Call call_of(const Program::Step& step, CallList::Applied& applied, bool& varies) const {
    CallList::Call call{};
    call.kind = Kind::apply;
    call.detail = static_cast<uint32_t>(list_->applied_.size());
    for (size_t k = 0; k < step.operands.size(); ++k) {
      const Value& read = operand(step, k);
      call.in[std::min(k, most_operands - 1)] = read.view.offset;
      call.n += read.varies ? read.view.size() : 0;
      varies = varies || read.varies;
      applied.in.push_back(read.view);
    }
    return call;
  }
};

} // namespace mlx::core
