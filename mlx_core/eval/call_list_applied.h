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
    list_->throws_ = list_->throws_ || on->may_throw();
    push_result(out, call.out, varies);
    emit(varies, call);
    return true;
  }

  bool add_applied(const Program::Step& step, bool in_place = false) {
    std::optional<int64_t> work = step.primitive->repeatable_work();
    for (const Spec& out : step.outputs) {
      if (step.outputs.size() > 1 && (!is_plain(out) || count(out) > (work ? largest_repeated() : most_small))) {
        return false;
      }
    }
    if (!may_be_applied(step, work)) {
      return false;
    }
    for (size_t k = 0; k < step.operands.size() && uses_.once; ++k) {
      if (goes_across(operand(step, k).view)) { // a graph may go through all of it in that order
        return false;
      }
    }
    CallList::Applied applied{step.primitive, {}, step.outputs, in_place, work.has_value(), {}};
    bool varies = false;
    CallList::Call call = call_of(step, applied, varies);
    call.n += work.value_or(0);
    if (in_place) {
      const Spec& out = step.outputs[0];
      call.n += operand(step, 0).varies ? 0 : count(out);
      applied.to.push_back(call.in[0]);
      push({dense(out, call.in[0]), true, -1, operand(step, 0).region});
    }
    for (size_t k = 0; k < step.outputs.size() && !in_place; ++k) {
      const Spec& out = step.outputs[k];
      call.n += count(out);
      bool goes_out = uses_.once && varies && output_of_[static_cast<size_t>(step.first) + k] >= 0;
      applied.to.push_back(reserve_any(out, varies, !goes_out, {bytes_of_spec(out)}));
      push_result(out, applied.to.back(), varies);
    }
    call.out = applied.to[0];
    list_->applied_.push_back(std::move(applied));
    emit(varies, call);
    return true;
  }

  // Whether neighbours along the last axis are far from each other, in an array that is not small.
  static bool goes_across(const View& view) {
    return view.size() > largest && view.sizes.back() > 1 && std::abs(view.strides.back()) > 1;
  }
  // In a single run only what is one pass over its operands: loops look whether they are to end.
  bool may_be_applied(const Program::Step& step, std::optional<int64_t> work) const {
    if (uses_.once) {
      return work == 0;
    }
    return work || (step.operands.size() <= most_operands && step.primitive->identity() == 0 &&
                       !holds_programs(*step.primitive));
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
