// CallListMoves: steps of a call list that move elements, as calls that copy no more than they have to.
#pragma once

#include <optional>
#include <utility>

#include "mlx_core/eval/call_list_places.h"
#include "mlx_core/ops/moves.h"

namespace mlx::core {

class CallListMoves : public CallListPlaces {
 public:
  using CallListPlaces::CallListPlaces;

 protected:
  // A few slices at computed places. False where they are many, or do not lie in order each.
  bool add_pick(const Program::Step& step, bool in_place) {
    std::optional<IndexedSlices> written = written_slices(*step.primitive);
    bool writes = written.has_value();
    std::optional<IndexedSlices> slices = writes ? written : read_slices(*step.primitive);
    size_t first_index = writes ? 2 : 1;
    if (!slices || step.operands.size() != first_index + slices->axes.size() || step.operands.size() > most_operands) {
      return false;
    }
    Value x = operand(step, 0);
    const Spec& out = step.outputs[0];
    const Sizes part = writes ? operand(step, 1).view.sizes : sizes_of(out.shape);
    cpu::FewSlices pick{{}, x.view.itemsize(), 1, 1};
    CallList::Call call{};
    call.kind = writes ? Kind::write_slices : Kind::read_slices;
    if (writes) {
      bool adds = *slices->writes == ScatterMode::add && out.dtype != bool_;
      if ((!adds && *slices->writes != ScatterMode::set) || !operand(step, 1).view.is_row_major()) {
        return false;
      }
      pick.add = adds ? cpu::find_add_onto(out.dtype) : nullptr;
      call.in[1] = operand(step, 1).view.offset;
    }
    size_t rank = x.view.ndim(), indices = part.size() - rank;
    for (size_t i = 0; i < indices; ++i) {
      pick.count *= part[i];
    }
    bool whole = true; // so far, from the last axis on
    for (size_t i = rank; i-- > 0;) {
      int64_t length = part[indices + i];
      if (!x.view.is_row_major() || (!whole && length != 1)) {
        return false;
      }
      whole = whole && length == x.view.sizes[i];
      pick.elements *= length;
    }
    pick.bytes *= pick.elements;
    if (pick.count > cpu::FewSlices::most || (writes && !adds_one_by_one(out, pick, *slices->writes))) {
      return false;
    }
    bool varies = x.varies;
    for (size_t k = first_index; k < step.operands.size(); ++k) {
      const Value& index = operand(step, k);
      auto axis = static_cast<size_t>(slices->axes[k - first_index]);
      bool same = index.view.size() == 1;
      if (!same && (index.view.size() != pick.count || !index.view.is_row_major())) {
        return false;
      }
      call.in[k] = index.view.offset;
      pick.along.push_back({index.view.dtype,
          {writes ? "scatter" : "gather", static_cast<int>(axis), x.view.sizes[axis], part[indices + axis]},
          x.view.strides[axis] * x.view.itemsize(), same});
      varies = varies || index.varies;
    }
    varies = varies || (writes && operand(step, 1).varies);
    call.n = pick.count * pick.elements;
    call.in[0] = x.view.offset;
    call.out = in_place ? x.view.offset : reserve(out, varies);
    if (in_place) {
      push({dense(out, call.out), true, -1, x.region});
    } else {
      if (writes) {
        emit_move(varies, x.view, dense(out, call.out));
      }
      push_result(out, call.out, varies);
    }
    call.detail = static_cast<uint32_t>(list_->picks_.size());
    list_->picks_.push_back(std::move(pick));
    emit(varies, call);
    return true;
  }

  // Whether a scatter has the bits of its updates combined in turn, in the dtype: of many it may be carried in a wider
  // one.
  static bool adds_one_by_one(const Spec& out, const cpu::FewSlices& pick, ScatterMode mode) {
    constexpr int64_t few = 64; // to an element, on average: see cpu/scatter.cpp
    int64_t updates = pick.count * pick.elements;
    return mode == ScatterMode::set || pick.count == 1 || (out.dtype.size() >= 4 && updates / few < count(out));
  }

  // The part is written in place where nothing needs the rest as it was.
  bool add_write(const Program::Step& step, const WrittenPart& part, bool small) {
    Value whole = operand(step, 0), update = operand(step, 1);
    const Spec& out = step.outputs[0];
    bool varies = whole.varies || update.varies;
    const Region& region = regions_[whole.region];
    bool alone = region.last_use <= now_ && whole.view.is_row_major(), in_place = region.writable && alone;
    bool begins_as_input = !in_place && !small && whole.input >= 0 && whole.view.is_row_major() &&
                           bytes_in(whole.view) == region.bytes && CallList::base_of(region.place) > 0;
    bool takes_over = begins_as_input && alone;
    if (update.region == whole.region && (in_place || takes_over) && update.view.size() > 0) { // x[1] = x[0]
      Shape shape(update.view.sizes.begin(), update.view.sizes.end());
      Spec apart{shape, update.view.dtype};
      if (count(apart) > largest) {
        return false;
      }
      View copy = dense(apart, reserve(apart, true));
      temporary_.emplace_back(copy.offset, regions_.back().bytes);
      regions_.back().reusable = false;
      emit_move(true, update.view, copy);
      update.view = copy;
    }
    View result = dense(out, whole.view.offset);
    // Around what each run writes, a constant stays as it is: it is copied once.
    bool around = !in_place && small && update.varies && !whole.varies && !uses_.once;
    if (around) {
      result.offset = reserve(out, false);
      around_.push_back(result.offset);
      emit_move(false, whole.view, result);
    } else if (!in_place) {
      CallList::Base base{bytes_of_spec(out)};
      if (begins_as_input) {
        base.input = whole.input;
        base.begins_as_input = true;
        base.takes_over = takes_over;
      }
      result.offset = reserve_any(out, varies, small, base);
      if (!base.begins_as_input) {
        emit_move(varies, whole.view, result);
      }
    }
    int64_t offset = 0;
    View to = result;
    to.sizes = update.view.sizes;
    for (size_t i = 0; i < to.ndim(); ++i) {
      offset += static_cast<int64_t>(part.start[i]) * to.strides[i];
      to.strides[i] *= static_cast<int64_t>(part.strides[i]);
    }
    to.offset += offset * to.itemsize();
    emit_move(varies, update.view, to);
    if (in_place) {
      push({std::move(result), varies, -1, whole.region});
    } else {
      push_result(out, result.offset, varies);
      regions_.back().writable = varies && !around;
    }
    return true;
  }

  // Whether operands are as well copied one after another: of large ones whose parts are short runs kernel::Join has
  // all write to a row in turn.
  // Beside kept passes parts are small: a pass of a graph reads large ones without their being joined.
  bool joins_one_by_one(const Program::Step& step, int axis) const {
    constexpr int64_t most_apart = 1 << 16, long_run = 16; // elements
    const Spec& out = step.outputs[0];
    for (size_t k = 0; k < step.operands.size() && uses_.kept_steps; ++k) {
      if (operand(step, k).view.size() > largest_moved()) {
        return false;
      }
    }
    int64_t row = size_of(Shape(out.shape.begin() + axis, out.shape.end()));
    return axis == 0 || row >= long_run * static_cast<int64_t>(step.operands.size()) || count(out) <= most_apart;
  }

  bool add_join(const Program::Step& step, int axis, bool small) {
    bool varies = false;
    for (size_t k = 0; k < step.operands.size(); ++k) {
      varies = varies || operand(step, k).varies;
    }
    const Spec& out = step.outputs[0];
    View result = dense(out, reserve_any(out, varies, small, {bytes_of_spec(out)}));
    auto along = static_cast<size_t>(axis);
    View to = result;
    for (size_t k = 0; k < step.operands.size(); ++k) {
      const View& from = operand(step, k).view;
      to.sizes = from.sizes;
      emit_move(varies, from, to);
      to.offset += from.sizes[along] * to.strides[along] * to.itemsize();
    }
    push_result(out, result.offset, varies);
    return true;
  }

  int64_t copied(int64_t place, const Spec& spec, bool varies) {
    CallList::Call call{};
    call.kind = Kind::copy;
    call.n = bytes_of_spec(spec);
    call.in[0] = place;
    call.out = reserve(spec, varies);
    emit(varies, call);
    return call.out;
  }
};

} // namespace mlx::core
