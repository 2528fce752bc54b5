// From a program to a list of calls: a place for every value, views as strides, constants computed once.
#include <algorithm>
#include <map>

#include "mlx_core/eval/call_list.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

constexpr int64_t most_small = 4096;       // elements of a value: larger ones keep both threads busy by themselves
constexpr int64_t most_constant = 1 << 20; // of one that is the same in every run, as weights are
constexpr int64_t call_padding = 16;       // elements
constexpr int64_t most_bytes = 192 << 10;  // of all values that are not: what stays in the second-level cache

} // namespace

class CallListBuilder {
 public:
  CallListBuilder(const Program& program, CallList::Uses uses) : program_(program), uses_(uses) {}

  std::unique_ptr<const CallList> build() {
    for (size_t k = 0; k < program_.inputs().size(); ++k) {
      const Spec& spec = program_.inputs()[k];
      bool varies = k < uses_.constants;
      if (!fits(spec, varies ? most_small : most_constant)) {
        return nullptr;
      }
      int64_t place = reserve(spec, varies);
      values_.push_back({dense(spec, place), varies, static_cast<int>(k)});
      first().inputs.push_back({place, bytes_of(count(spec), spec.dtype.size())});
    }
    list_->sees_layout_.assign(program_.inputs().size(), false);
    for (const Program::Step& step : program_.steps()) {
      bool varies = std::any_of(step.operands.begin(), step.operands.end(),
          [&](int32_t slot) { return values_[static_cast<size_t>(slot)].varies; });
      if (step.outputs.size() != 1 || step.stream > 0 || !fits(step.outputs[0], varies ? most_small : most_constant) ||
          !add(step) || varying_bytes_ > most_bytes) {
        return nullptr;
      }
    }
    bool any_sees =
        std::find(list_->sees_layout_.begin(), list_->sees_layout_.end(), true) != list_->sees_layout_.end();
    for (int32_t slot : program_.outputs()) {
      const Value& value = values_[static_cast<size_t>(slot)];
      if (any_sees && !value.view.is_row_major()) { // fed back it would lie otherwise
        return nullptr;
      }
      add_output(value);
    }
    list_->bytes_ += call_padding * 16; // a part that ends the memory is read beyond its end, too
    list_->fed_back_ = uses_.fed_back;
    arrange_turns();
    return std::move(list_);
  }

 private:
  using Kind = CallList::Kind;
  struct Value {
    View view; // its offset is from the start of the memory
    bool varies = false;
    int input = -1; // whose memory it is
  };

  static int64_t count(const Spec& spec) { return size_of(spec.shape); }
  static bool fits(const Spec& spec, int64_t most) {
    for (Dim length : spec.shape) {
      if (length.is_symbolic()) {
        return false;
      }
    }
    return count(spec) > 0 && count(spec) <= most;
  }
  static View dense(const Spec& spec, int64_t place) {
    return {nullptr, place, nullptr, spec.dtype, sizes_of(spec.shape), row_major_strides(spec.shape)};
  }

  // Whole vectors are quicker than their parts: kernels of elements go on into what is left of the last one.
  static int64_t padded(int64_t n) { return (n + call_padding - 1) / call_padding * call_padding; }
  int64_t reserve(const Spec& spec, bool varies) {
    int64_t place = list_->bytes_;
    int64_t bytes = (padded(count(spec)) * spec.dtype.size() + 63) / 64 * 64;
    sizes_.emplace(place, bytes);
    list_->bytes_ += bytes;
    varying_bytes_ += varies ? bytes : 0;
    return place;
  }

  const Value& operand(const Program::Step& step, size_t k) const {
    return values_[static_cast<size_t>(step.operands[k])];
  }

  void emit(bool varies, const CallList::Call& call) {
    (varies ? first().calls : list_->constant_calls_).push_back(call);
    list_->work_ += varies ? call.n : 0;
  }

  bool add(const Program::Step& step) {
    if (step.operands.empty()) {
      return add_value(step);
    }
    const Primitive& primitive = *step.primitive;
    switch (primitive.eval_kind()) {
      case EvalKind::elementwise: return add_map(step);
      case EvalKind::identity: values_.push_back(Value(operand(step, 0))); return true;
      case EvalKind::view: return add_view(step);
      case EvalKind::reduction: return add_reduction(step);
      case EvalKind::general: break;
      case EvalKind::project: return false;
    }
    bool product = primitive.role() == Role::product || primitive.role() == Role::chain_product;
    return product && step.operands.size() == 2 && add_product(step);
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
    values_.push_back({dense(step.outputs[0], place), false, -1});
    return true;
  }

  bool add_map(const Program::Step& step) {
    const Spec& out = step.outputs[0];
    Body body = static_cast<const Elementwise&>(*step.primitive).body();
    Dtype from = operand(step, step.operands.size() - 1).view.dtype;
    CallList::Call call{};
    call.kind = Kind::map;
    call.n = padded(count(out));
    bool converts = body == Body::copy && from != out.dtype;
    call.kernel = converts ? cpu::find_cast(from, out.dtype) : cpu::find_kernel(body, from);
    if (!call.kernel) {
      return false;
    }
    bool varies = false;
    for (size_t k = 0; k < step.operands.size(); ++k) {
      call.in[k] = elements(operand(step, k), out.shape);
      varies = varies || operand(step, k).varies;
    }
    call.out = reserve(out, varies);
    values_.push_back({dense(out, call.out), varies, -1});
    emit(varies, call);
    return true;
  }

  // Where the operand's elements are for each element of the space.
  int64_t elements(const Value& value, const Shape& space) {
    const View& view = value.view;
    int64_t n = size_of(space), itemsize = view.itemsize();
    if (view.is_row_major() && view.size() == n) {
      return view.offset;
    }
    CallList::Call call{};
    call.item_size = static_cast<int>(itemsize);
    call.n = n;
    call.in[0] = view.offset;
    call.out = reserve({space, view.dtype}, value.varies);
    if (view.is_one_element()) {
      call.kind = Kind::spread;
      call.n = padded(n);
      call.spread = cpu::find_spread(call.item_size);
    } else {
      call.kind = Kind::gather;
      CallList::Layout layout{sizes_of(space), Strides(space.size(), 0)};
      size_t shift = space.size() - view.ndim();
      for (size_t i = 0; i < view.ndim(); ++i) {
        layout.strides[shift + i] = layout.sizes[shift + i] != view.sizes[i] ? 0 : view.strides[i];
      }
      collapse(layout.sizes, layout.strides);
      call.detail = static_cast<uint32_t>(list_->layouts_.size());
      list_->layouts_.push_back(std::move(layout));
    }
    emit(value.varies, call);
    return call.out;
  }

  // The primitive itself arranges the strides, of an array that lies as the operand does.
  bool add_view(const Program::Step& step) {
    if (step.operands.size() != 1) {
      return false;
    }
    LevelFloor outside(0);
    const Value& of = operand(step, 0);
    Shape shape(of.view.sizes.begin(), of.view.sizes.end());
    int64_t itemsize = of.view.itemsize();
    array stand_in(allocate(static_cast<size_t>(list_->bytes_)), of.view.offset, shape, of.view.strides, of.view.dtype);
    array result = applied(step.primitive, {stand_in});
    result.eval();
    const Spec& out = step.outputs[0];
    if (result.node()->buffer.get() == stand_in.node()->buffer.get()) {
      View view{nullptr, result.node()->offset, nullptr, out.dtype, sizes_of(out.shape), result.strides()};
      values_.push_back({std::move(view), of.varies, of.input});
      return out.dtype.size() == itemsize;
    }
    if (!step.primitive->keeps_order()) {
      return false;
    }
    Value copy{dense(out, elements(of, shape)), of.varies, -1};
    values_.push_back(std::move(copy));
    return true;
  }

  bool add_reduction(const Program::Step& step) {
    const auto& reduce = static_cast<const Reduce&>(*step.primitive);
    const Value& of = operand(step, 0);
    note_layout(of);
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
    if (trailing && of.view.is_row_major() && length <= cpu::reduce_block) {
      call.kind = Kind::fold;
      call.detail = static_cast<uint32_t>(list_->folds_.size());
      list_->folds_.push_back(
          {cpu::find_row_reducer(reduce.op(), of.view.dtype), call.n / length, length, out.dtype.size()});
    } else {
      call.kind = Kind::reduce;
      call.detail = static_cast<uint32_t>(list_->general_.size());
      list_->general_.push_back({reduce.op(), reduce.axes(), false, {of.view, {}}, dense(out, call.out)});
    }
    bool varies = of.varies;
    values_.push_back({dense(out, call.out), varies, -1});
    emit(varies, call);
    return true;
  }

  bool add_product(const Program::Step& step) {
    const Value &a = operand(step, 0), &b = operand(step, 1);
    const Spec& out = step.outputs[0];
    CallList::Call call{};
    call.kind = Kind::product;
    call.n = count(out) * a.view.sizes.back();
    call.out = reserve(out, a.varies || b.varies);
    call.detail = static_cast<uint32_t>(list_->general_.size());
    bool zero_terms = step.primitive->role() == Role::chain_product;
    list_->general_.push_back({Reduction::sum, {}, zero_terms, {a.view, b.view}, dense(out, call.out)});
    bool varies = a.varies || b.varies;
    values_.push_back({dense(out, call.out), varies, -1});
    emit(varies, call);
    return true;
  }

  void note_layout(const Value& value) {
    if (value.input >= 0) {
      list_->sees_layout_[static_cast<size_t>(value.input)] = true;
    }
  }

  void add_output(const Value& value) {
    const View& view = value.view;
    Shape shape(view.sizes.begin(), view.sizes.end());
    int64_t place = elements(value, shape);
    first().outputs.push_back({place, static_cast<size_t>(view.size() * view.itemsize())});
  }

  // The second turn is the first with the places of what is fed back exchanged. That takes a place of its own for each,
  // which a step fills anew in every run.
  void arrange_turns() {
    const CallList::Turn& turn = first();
    std::map<int64_t, int64_t> other; // by place
    for (size_t k = 0; k < uses_.fed_back; ++k) {
      int64_t in = turn.inputs[k].at, out = turn.outputs[k].at;
      bool filled = std::any_of(
          turn.calls.begin(), turn.calls.end(), [&](const CallList::Call& call) { return call.out == out; });
      if (!filled || !other.emplace(in, out).second || !other.emplace(out, in).second) {
        return;
      }
    }
    list_->take_turns_ = true;
    CallList::Turn& second = list_->turns_[1] = turn;
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
      if (call.kind == Kind::reduce || call.kind == Kind::product) {
        CallList::General general = list_->general_[call.detail];
        exchange(general.in[0].offset);
        exchange(general.in[1].offset);
        exchange(general.out.offset);
        call.detail = static_cast<uint32_t>(list_->general_.size());
        list_->general_.push_back(std::move(general));
      }
    }
  }

  CallList::Turn& first() { return list_->turns_[0]; }

  const Program& program_;
  CallList::Uses uses_;
  std::unique_ptr<CallList> list_ = std::make_unique<CallList>();
  std::vector<Value> values_; // by slot
  int64_t varying_bytes_ = 0;
  std::map<int64_t, int64_t> sizes_; // in bytes, by place
};

std::unique_ptr<const CallList> CallList::of(const Program& program, Uses uses) {
  return CallListBuilder(program, uses).build();
}

} // namespace mlx::core
