// From a program to a list of calls: a place for every value, views as strides, constants computed once.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "mlx_core/eval/call_list_applied.h"
#include "mlx_core/eval/kept_steps.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

constexpr int64_t most_larger = 1 << 16;      // elements, that a body computes, of values larger than most_small
constexpr int64_t most_larger_once = 1 << 18; // of one, in a single run; of all, where steps are kept together
constexpr int64_t larger_for_step = 512;      // and of all of them for each step: few among many smaller
constexpr int64_t most_constant = 1 << 20;    // of one that is the same in every run, as weights are
constexpr int64_t most_changed = 1 << 18;     // of one that a loop feeds back and only changes parts of
constexpr int64_t most_given = 4096;          // bytes of an input that is copied for a single run
constexpr int64_t most_bytes = 192 << 10;     // of all values that are not: what stays in the second-level cache
constexpr int64_t most_once = 1 << 20;        // the same for a single run, or where steps are kept together
constexpr int64_t worth_taking = 64 << 10;    // bytes of an input whose memory an output should take over
constexpr int32_t for_ever = std::numeric_limits<int32_t>::max();

} // namespace

class CallListBuilder : private CallListApplied {
 public:
  using CallListApplied::CallListApplied;

  std::unique_ptr<const CallList> build() {
    note_last_uses();
    for (size_t k = 0; k < program_.inputs().size(); ++k) {
      if (!add_input(k)) {
        return nullptr;
      }
    }
    for (const Program::Step& step : program_.steps()) {
      bool several = step.outputs.size() > 1;
      if (step.stream > 0 || !(several ? add_applied(step) : add(step)) ||
          varying_bytes_ > (uses_.once || uses_.kept_steps ? most_once : most_bytes)) {
        return nullptr;
      }
      if (!finish_step(step)) {
        return nullptr;
      }
      ++now_;
    }
    if (!uses_.once && !add_outputs()) {
      return nullptr;
    }
    list_->bytes_ += call_padding * 16; // a part that ends the memory is read beyond its end, too
    return (uses_.once || arrange_turns()) && choose_donor() ? std::move(list_) : nullptr;
  }

 private:
  // --- inputs and outputs ---

  void note_last_uses() {
    last_use_.assign(program_.slot_count(), -1);
    int32_t number = 0;
    for (const Program::Step& step : program_.steps()) {
      for (int32_t slot : step.operands) {
        last_use_[static_cast<size_t>(slot)] = number;
      }
      ++number;
    }
    output_of_.assign(program_.slot_count(), -1);
    int output = 0;
    for (int32_t slot : program_.outputs()) {
      if (uses_.once) {
        output_of_[static_cast<size_t>(slot)] = output++;
      } else {
        last_use_[static_cast<size_t>(slot)] = for_ever;
      }
    }
    for (size_t k = 0; k < program_.inputs().size(); ++k) {
      changed_.push_back(k < uses_.fed_back && !uses_.once && is_changed(k));
    }
  }

  // Whether an input is fed back with parts of it changed, one step upon the other.
  bool is_changed(size_t k) const {
    int32_t slot = program_.outputs()[k];
    std::span<const Program::Step> steps = program_.steps();
    for (size_t i = steps.size(); i-- > 0;) {
      if (steps[i].first == slot && steps[i].outputs.size() == 1 && steps[i].primitive->reusable_operand() == 0) {
        slot = steps[i].operands[0];
      }
    }
    return slot == static_cast<int32_t>(k) && slot != program_.outputs()[k];
  }

  bool add_input(size_t k) {
    const Spec& spec = program_.inputs()[k];
    bool varies = k < uses_.constants;
    if (!is_plain(spec)) {
      return false;
    }
    int64_t bytes = bytes_of_spec(spec), place = 0;
    bool stays = varies ? uses_.once && bytes > most_given : count(spec) > most_small;
    if (stays) {
      varies = varies || uses_.once;
      place = add_base({bytes, static_cast<int>(k)});
      add_region(place, bytes, false);
    } else if (count(spec) > (changed_[k] ? most_changed : varies ? largest_repeated() : most_constant)) {
      return false;
    } else {
      place = reserve(spec, varies);
      regions_.back().writable = changed_[k] || (uses_.once && varies);
      regions_.back().reusable = uses_.once && varies;
      varying_bytes_ -= changed_[k] ? regions_.back().bytes : 0;
    }
    push({dense(spec, place), varies, static_cast<int>(k), regions_.size() - 1});
    first().inputs.push_back({place, static_cast<size_t>(bytes)});
    list_->sees_layout_.push_back(stays && uses_.once);
    return !(uses_.once && output_of_[k] >= 0);
  }

  // The outputs of a body, once all steps are there.
  bool add_outputs() {
    for (int32_t slot : program_.outputs()) {
      const Value& value = values_[static_cast<size_t>(slot)];
      const View& view = value.view;
      Shape shape(view.sizes.begin(), view.sizes.end());
      int64_t place = elements(value, shape);
      if (CallList::base_of(place) > 0) { // of a large constant; an output is in the list's own memory
        if (view.size() > most_small) {
          return false;
        }
        place = copied(place, {std::move(shape), view.dtype}, false);
      }
      first().outputs.push_back({place, static_cast<size_t>(bytes_in(view))});
    }
    return true;
  }

  // After a step: an output of a single run is brought where it goes, and memory that was read for the last time is
  // used again.
  bool finish_step(const Program::Step& step) {
    const auto slot = static_cast<size_t>(step.first);
    for (size_t k = 0; k < step.outputs.size(); ++k) {
      if (int output = output_of_[slot + k]; output >= 0 && !bring_out(values_[slot + k], output)) {
        return false;
      }
    }
    auto release = [&](const Value& value) {
      Region& region = regions_[value.region];
      if (region.reusable && region.last_use <= now_) {
        region.reusable = region.writable = false;
        free_[region.bytes].push_back(region.place);
      }
    };
    for (size_t k = 0; k < step.operands.size(); ++k) {
      release(operand(step, k));
    }
    for (size_t k = 0; k < step.outputs.size(); ++k) {
      release(values_[slot + k]);
    }
    for (const auto& [place, bytes] : temporary_) {
      free_[bytes].push_back(place);
    }
    temporary_.clear();
    return true;
  }

  bool bring_out(const Value& value, int output) {
    note_layout(value);
    Region& region = regions_[value.region];
    int64_t bytes = bytes_in(value.view);
    bool in_order = value.view.is_row_major();
    size_t number = CallList::base_of(region.place);
    if (number > 0 && in_order) {
      CallList::Base& base = list_->bases_[number - 1];
      bool own = base.input < 0 || base.begins_as_input;
      if (own && base.output < 0 && value.view.offset == region.place && base.bytes == bytes) {
        base.output = output;
        region.writable = false;
        return true;
      }
    }
    if ((number > 0 || !in_order) && value.view.size() > largest) {
      return false;
    }
    const Spec& spec = program_.output_specs()[static_cast<size_t>(output)];
    emit_move(true, value.view, dense(spec, add_base({bytes, -1, output})));
    return true;
  }

  // Only one operand can be taken over: where two should, it is done in the ordinary way. None where a call may throw:
  // then the operand is needed yet, and a small one copied.
  bool choose_donor() {
    for (CallList::Base& base : list_->bases_) {
      if (list_->throws_ && base.takes_over && base.output >= 0 && base.bytes >= worth_taking) {
        return false;
      }
      base.takes_over = base.takes_over && !list_->throws_;
    }
    for (const CallList::Base& base : list_->bases_) {
      if (base.takes_over && base.output >= 0 && base.bytes >= worth_taking) {
        if (list_->donor_ >= 0) {
          return false;
        }
        list_->donor_ = base.input;
      }
    }
    return true;
  }

  // --- steps ---

  bool add(const Program::Step& step) {
    const Spec& out = step.outputs[0];
    if (!is_plain(out)) {
      return false;
    }
    const Primitive& primitive = *step.primitive;
    EvalKind kind = primitive.eval_kind();
    if (!step.operands.empty() && kind == EvalKind::identity) {
      push(Value(operand(step, 0)));
      return true;
    }
    bool varies = std::ranges::any_of(step.operands, [&](int32_t s) { return values_[static_cast<size_t>(s)].varies; });
    bool repeats = step.primitive->repeatable_work() || kind == EvalKind::view;
    bool moves = written_part(primitive) || joined_axis(primitive);
    int64_t most = repeats ? largest_repeated() : moves ? largest_moved() : largest;
    bool small = count(out) <= (varies ? most : most_constant);
    bool in_place = changes_in_place(step);
    if (in_place) {
      small = true;
    } else if (varies && !uses_.once && count(out) > most_small && !repeats) {
      larger_ += count(out);
      // Of an operand that would be copied first
      bool changes_part = primitive.reusable_operand() >= 0 && (operand(step, 0).varies || !written_part(primitive));
      small = small && larger_ <= (uses_.kept_steps ? most_larger_once : most_larger) && !changes_part;
    } else if (!small && kind == EvalKind::elementwise && count(out) <= most_larger_once) {
      larger_ += count(out);
      small = larger_ <= larger_for_step * static_cast<int64_t>(program_.steps().size());
    }
    if (step.operands.empty()) {
      return small && add_value(step);
    }
    switch (kind) {
      case EvalKind::elementwise: return small && add_map(step);
      case EvalKind::view: return (small || uses_.once) && add_view(step);
      case EvalKind::reduction: return small && add_reduction(step);
      case EvalKind::general: break;
      case EvalKind::identity:
      case EvalKind::project: return false;
    }
    if (std::optional<WrittenPart> part = written_part(primitive)) {
      return (small || uses_.once) && add_write(step, *part, small);
    }
    if (std::optional<int> axis = joined_axis(primitive)) {
      return (small || (uses_.once && joins_one_by_one(step, *axis))) && add_join(step, *axis, small);
    }
    if (primitive.keeps_order()) { // a view wherever that can be
      return (small || uses_.once) && add_view(step);
    }
    bool product = primitive.role() == Role::product || primitive.role() == Role::chain_product;
    if (product && step.operands.size() == 2) {
      return small && add_product(step);
    }
    if (small && add_arg_reduction(step)) {
      return true;
    }
    if (small && !uses_.once && add_pick(step, in_place)) {
      return true;
    }
    return small && ((!in_place && add_request(step)) || add_applied(step, in_place));
  }

  // A step without operands gives the same in every run.
  bool add_value(const Program::Step& step) {
    LevelFloor outside(0);
    array value = applied(step.primitive, std::span<const array>());
    value.eval();
    int64_t place = reserve(step.outputs[0], false);
    if (!value.is_row_contiguous()) {
      return false;
    }
    list_->values_.emplace_back(place, value);
    push_result(step.outputs[0], place, false);
    return true;
  }

  bool add_map(const Program::Step& step) {
    const Spec& out = step.outputs[0];
    Body body = static_cast<const Elementwise&>(*step.primitive).body();
    Dtype from = operand(step, step.operands.size() - 1).view.dtype;
    CallList::Call call{};
    call.kind = Kind::map;
    bool converts = body == Body::copy && from != out.dtype;
    call.kernel = converts ? cpu::find_cast(from, out.dtype) : cpu::find_kernel(body, from);
    if (!call.kernel) {
      return false;
    }
    bool varies = false, padding = true;
    for (size_t k = 0; k < step.operands.size(); ++k) {
      const Value& read = operand(step, k);
      call.in[k] = elements(read, out.shape);
      varies = varies || read.varies;
      padding = padding && may_be_padded(call.in[k], count(out), read.view.itemsize());
    }
    call.n = padding ? padded(count(out)) : count(out);
    call.count = count(out);
    call.map = {body, from, out.dtype, static_cast<uint8_t>(step.operands.size())};
    constexpr int64_t most_on_the_spot = 64;
    call.code =
        padding && call.count <= most_on_the_spot && from == out.dtype ? cpu::step_code(body, from) : uint8_t{0};
    call.out = reserve(out, varies);
    push_result(out, call.out, varies);
    emit(varies, call);
    return true;
  }

  // The primitive itself arranges the strides, of an array that lies as the operand does.
  bool add_view(const Program::Step& step) {
    if (step.operands.size() != 1) {
      return false;
    }
    LevelFloor outside(0);
    const Value& of = operand(step, 0);
    size_t base = CallList::base_of(of.view.offset);
    int64_t above = static_cast<int64_t>(base) << CallList::base_shift;
    int64_t bytes = base ? list_->bases_[base - 1].bytes : list_->bytes_;
    if (!stand_in_ || static_cast<int64_t>(stand_in_->size) < bytes) {
      stand_in_ = allocate(static_cast<size_t>(2 * bytes));
    }
    Shape shape(of.view.sizes.begin(), of.view.sizes.end());
    int64_t itemsize = of.view.itemsize();
    const Spec& out = step.outputs[0];
    if (!of.view.is_row_major() && count(out) > largest && step.primitive->keeps_order()) {
      return false; // which may copy
    }
    array stand_in(stand_in_, CallList::offset_in(of.view.offset), shape, of.view.strides, of.view.dtype);
    array result = applied(step.primitive, {stand_in});
    result.eval();
    if (result.node()->buffer.get() == stand_in.node()->buffer.get()) {
      View view{nullptr, result.node()->offset + above, nullptr, out.dtype, sizes_of(out.shape), result.strides()};
      push({std::move(view), of.varies, of.input, of.region});
      return out.dtype.size() == itemsize;
    }
    if (!step.primitive->keeps_order() || count(out) > largest) {
      return false;
    }
    bool varies = of.varies;
    int64_t place = elements(of, shape);
    if (!temporary_.empty() && temporary_.back().first == place) { // it stays
      temporary_.pop_back();
      regions_.back().reusable = true;
      push_result(out, place, varies);
    } else if (place == of.view.offset) {
      push({dense(out, place), varies, of.input, of.region});
    } else {
      add_region(place, 0, false);
      push({dense(out, place), varies, -1, regions_.size() - 1});
    }
    return true;
  }

  bool add_reduction(const Program::Step& step) {
    const auto& reduce = static_cast<const Reduce&>(*step.primitive);
    const Value& of = operand(step, 0);
    if (uses_.once && of.view.size() > largest) {
      return false;
    }
    if (uses_.once) {
      note_layout(of);
    }
    const Spec& out = step.outputs[0];
    size_t kept = of.view.ndim() - reduce.axes().size();
    int64_t length = 1;
    bool trailing = true;
    for (size_t i = 0; i < reduce.axes().size(); ++i) {
      trailing = trailing && reduce.axes()[i] == static_cast<int>(kept + i);
      length *= of.view.sizes[static_cast<size_t>(reduce.axes()[i])];
    }
    CallList::Call call{};
    call.n = of.view.size();
    call.item_size = of.view.itemsize();
    call.in[0] = of.view.offset;
    call.out = reserve(out, of.varies);
    bool rows = trailing && of.view.is_row_major() && length <= cpu::reduce_block;
    const bool is_half = of.view.dtype.is_inexact() && of.view.itemsize() == 2;
    std::optional<cpu::SmallReduction> small;
    constexpr int64_t few_rows = 4;
    if (call.n <= most_small && (!rows || (length <= cpu::short_row && count(out) >= few_rows))) {
      small = cpu::small_reduction(reduce.op(), of.view.dtype, of.view.sizes, of.view.strides,
          SmallVector<int64_t, 4>(reduce.axes().begin(), reduce.axes().end()), is_read_whole(call.in[0]));
    }
    if (small) {
      call.kind = Kind::small_reduce;
      call.detail = static_cast<uint32_t>(list_->small_reductions_.size());
      list_->small_reductions_.push_back(*std::move(small));
    } else if (rows && !cpu::is_short_rows(length, call.n / length, is_half)) {
      call.kind = Kind::fold;
      call.detail = static_cast<uint32_t>(list_->folds_.size());
      list_->folds_.push_back({cpu::find_row_reducer(reduce.op(), of.view.dtype), call.n / length, length});
    } else {
      call.kind = Kind::reduce;
      call.detail = static_cast<uint32_t>(list_->general_.size());
      list_->general_.push_back(
          {reduce.op(), {reduce.axes().begin(), reduce.axes().end()}, false, {of.view, {}}, dense(out, call.out)});
    }
    bool varies = of.varies;
    push_result(out, call.out, varies);
    emit(varies, call);
    return true;
  }

  bool add_product(const Program::Step& step) {
    const Value &a = operand(step, 0), &b = operand(step, 1);
    if (std::max(a.view.size(), b.view.size()) > most_constant) {
      return false;
    }
    if (add_small_product(step)) {
      return true;
    }
    const Spec& out = step.outputs[0];
    CallList::Call call{};
    call.kind = Kind::product;
    call.n = count(out) * a.view.sizes.back();
    call.in[0] = a.view.offset;
    call.in[1] = b.view.offset;
    call.out = reserve(out, a.varies || b.varies);
    call.detail = static_cast<uint32_t>(list_->general_.size());
    bool zero_terms = step.primitive->role() == Role::chain_product;
    list_->general_.push_back({Reduction::sum, {}, zero_terms, {a.view, b.view}, dense(out, call.out)});
    bool varies = a.varies || b.varies;
    push_result(out, call.out, varies);
    emit(varies, call);
    return true;
  }

  // The second turn is the first with the places of what is fed back exchanged. That takes a place of its own for each,
  // which a step fills anew in every run; or the same, where steps have changed what was there.
  bool arrange_turns() {
    std::map<int64_t, int64_t> other; // by place
    for (size_t k = 0; k < uses_.fed_back; ++k) {
      int64_t in = first().inputs[k].at, out = first().outputs[k].at;
      if (in == out && (changed_[k] || program_.outputs()[k] == static_cast<int32_t>(k))) { // or it is as it was
        other.emplace(in, out);
        continue;
      }
      bool whole = is_filled(out) && sizes_.count(out) && sizes_.at(out) == sizes_.at(in); // no part of something
      for (size_t i = 0; i < uses_.fed_back; ++i) {
        whole = whole && first().inputs[i].at != out;
      }
      if (!whole || other.count(out)) {
        if (count(program_.inputs()[k]) > largest) {
          return false;
        }
        out = copied(out, program_.inputs()[k], true);
        first().outputs[k].at = out;
      }
      other.emplace(in, out);
      other.emplace(out, in);
    }
    CallList::Turn& second = list_->turns_[1] = first();
    auto exchange = [&](int64_t& place) {
      auto after = other.upper_bound(place);
      if (after == other.begin()) {
        return;
      }
      const auto& [begin, elsewhere] = *--after;
      if (place - begin < sizes_.at(begin)) {
        place += elsewhere - begin;
      }
    };
    for (CallList::Place& place : second.inputs) {
      exchange(place.at);
    }
    for (CallList::Place& place : second.outputs) {
      exchange(place.at);
    }
    for (CallList::Call& call : second.calls) {
      for (int64_t& place : call.in) {
        exchange(place);
      }
      exchange(call.out);
      if (call.kind == Kind::apply) {
        CallList::Applied same = list_->applied_[call.detail];
        for (View& view : same.in) {
          exchange(view.offset);
        }
        for (int64_t& place : same.to) {
          exchange(place);
        }
        call.detail = static_cast<uint32_t>(list_->applied_.size());
        list_->applied_.push_back(std::move(same));
      }
    }
    return true;
  }

  std::vector<bool> changed_; // by input: a loop feeds it back in place
};

std::unique_ptr<const CallList> CallList::of(const Program& program, Uses uses) {
  return CallListBuilder(program, uses).build();
}

} // namespace mlx::core
