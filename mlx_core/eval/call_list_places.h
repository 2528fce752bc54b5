// CallListPlaces: where the values of a call list are, and the calls so far. What making a list is done with.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "mlx_core/eval/call_list.h"

namespace mlx::core {

inline int64_t bytes_in(const View& view) { return view.size() * view.itemsize(); }

class CallListPlaces {
 public:
  CallListPlaces(const Program& program, CallList::Uses uses) : program_(program), uses_(uses) {
    list_->fed_back_ = uses.fed_back;
    list_->constants_ = uses.constants;
  }

 protected:
  using Kind = CallList::Kind;
  struct Value {
    View view; // its offset is a place
    bool varies = false;
    int input = -1; // whose memory it is
    size_t region = 0;
  };
  // Memory that is reserved together: values may share it, as views do.
  struct Region {
    int64_t place, bytes;
    int32_t last_use = -1; // the last step that reads any of its values
    bool writable = false; // by an update, once nothing else reads it
    bool reusable = false; // for other values, then
  };

  static constexpr int64_t call_padding = 16; // elements
  // The most elements of a value: larger ones keep both threads busy by themselves, where nodes for each of them do not
  // cost more. In loops those of more than a few are counted.
  static constexpr int64_t most_small = 4096, largest = 1 << 14;
  static constexpr size_t most_operands = std::extent_v<decltype(CallList::Call::in)>;
  // The same where what is done with it is one pass of both threads.
  int64_t largest_repeated() const { return uses_.kept_steps ? int64_t{1} << 17 : largest; }
  // And where one thread copies by itself, too.
  int64_t largest_moved() const { return uses_.kept_steps ? int64_t{1} << 16 : largest; }

  // --- places ---

  static int64_t count(const Spec& spec) { return size_of(spec.shape); }
  static int64_t bytes_of_spec(const Spec& spec) {
    return static_cast<int64_t>(bytes_of(count(spec), spec.dtype.size()));
  }
  static bool is_plain(const Spec& spec) {
    for (Dim length : spec.shape) {
      if (length.is_symbolic()) {
        return false;
      }
    }
    return count(spec) > 0;
  }
  static View dense(const Spec& spec, int64_t place) {
    return {nullptr, place, nullptr, spec.dtype, sizes_of(spec.shape), row_major_strides(spec.shape)};
  }

  // Whole vectors are quicker than their parts: kernels of elements go on into what is left of the last one.
  static int64_t padded(int64_t n) { return (n + call_padding - 1) / call_padding * call_padding; }
  int64_t reserve(const Spec& spec, bool varies) {
    int64_t bytes = (padded(count(spec)) * spec.dtype.size() + 63) / 64 * 64;
    bool reusable = varies;
    if (auto fit = reusable ? fitting(bytes) : free_.end(); fit != free_.end()) {
      int64_t block = fit->first, place = fit->second.back();
      fit->second.pop_back();
      if (fit->second.empty()) {
        free_.erase(fit);
      }
      add_region(place, block, true);
      return place;
    }
    int64_t place = list_->bytes_;
    list_->bytes_ += bytes;
    varying_bytes_ += varies ? bytes : 0;
    sizes_.emplace(place, bytes);
    add_region(place, bytes, reusable);
    return place;
  }
  // Memory that is free. The turns of a loop exchange places, which takes equal ones.
  std::map<int64_t, std::vector<int64_t>>::iterator fitting(int64_t bytes) {
    auto found = free_.lower_bound(bytes);
    int64_t most = uses_.once ? 2 * bytes : bytes;
    return found != free_.end() && found->first <= most ? found : free_.end();
  }
  void add_region(int64_t place, int64_t bytes, bool reusable) {
    regions_.push_back({place, bytes, -1, false, reusable});
  }
  // The place of a base.
  int64_t add_base(CallList::Base base) {
    list_->bases_.push_back(base);
    return static_cast<int64_t>(list_->bases_.size()) << CallList::base_shift;
  }

  // Whether a kernel may go on to the end of the last vector from there.
  bool may_be_padded(int64_t place, int64_t n, int itemsize) const {
    size_t base = CallList::base_of(place);
    return base == 0 || CallList::offset_in(place) + padded(n) * itemsize <= list_->bases_[base - 1].bytes;
  }

  const Value& operand(const Program::Step& step, size_t k) const {
    return values_[static_cast<size_t>(step.operands[k])];
  }

  void push(Value value) {
    Region& region = regions_[value.region];
    region.last_use = std::max(region.last_use, last_use_[values_.size()]);
    values_.push_back(std::move(value));
  }
  // A result of its own, at a place that was just reserved.
  void push_result(const Spec& spec, int64_t place, bool varies) {
    regions_.back().writable = varies;
    push({dense(spec, place), varies, -1, regions_.size() - 1});
  }

  void emit(bool varies, const CallList::Call& call) {
    (varies ? first().calls : list_->constant_calls_).push_back(call);
    list_->work_ += varies ? call.n : 0;
  }

  // Where the operand's elements are for each element of the space.
  int64_t elements(const Value& value, const Shape& space) {
    const View& view = value.view;
    int64_t n = size_of(space), itemsize = view.itemsize();
    if (view.is_row_major() && view.size() == n) {
      return view.offset;
    }
    bool one = view.is_one_element();
    if (one && !value.varies) { // a number that many steps use
      if (auto known = spreads_.find({view.offset, n}); known != spreads_.end()) {
        return known->second;
      }
    }
    CallList::Call call{};
    call.item_size = static_cast<int>(itemsize);
    call.n = n;
    call.in[0] = view.offset;
    call.out = reserve({space, view.dtype}, value.varies);
    if (regions_.back().reusable) { // until the end of this step
      temporary_.emplace_back(call.out, regions_.back().bytes);
      regions_.back().reusable = false;
    }
    if (one) {
      call.kind = Kind::spread;
      call.n = padded(n);
      call.count = n;
      call.spread = cpu::find_spread(call.item_size);
      if (!value.varies) {
        spreads_.emplace(std::pair(view.offset, n), call.out);
      }
    } else {
      CallList::Layout layout{sizes_of(space), Strides(space.size(), 0)};
      size_t shift = space.size() - view.ndim();
      for (size_t i = 0; i < view.ndim(); ++i) {
        layout.strides[shift + i] = layout.sizes[shift + i] != view.sizes[i] ? 0 : view.strides[i];
      }
      collapse(layout.sizes, layout.strides);
      if (!rearranged(call, layout)) {
        call.kind = Kind::gather;
        call.detail = static_cast<uint32_t>(list_->layouts_.size());
        list_->layouts_.push_back(std::move(layout));
      }
    }
    emit(value.varies, call);
    return call.out;
  }

  // Whether vectors may be read whole there, the last one beyond its end.
  static bool is_read_whole(int64_t place) { return CallList::base_of(place) == 0; }

  // Makes it a call with a table. Not where rows are long: they are copied.
  bool rearranged(CallList::Call& call, const CallList::Layout& layout) {
    constexpr int64_t most = 512, long_row = 64;
    bool rows = !layout.sizes.empty() && std::abs(layout.strides.back()) <= 1 && layout.sizes.back() >= long_row;
    if (rows || call.n > most) {
      return false;
    }
    call.kind = Kind::rearrange;
    call.detail = static_cast<uint32_t>(list_->rearrangements_.size());
    list_->rearrangements_.push_back(
        cpu::rearrangement(cpu::offsets_of(layout.sizes, layout.strides), call.item_size, is_read_whole(call.in[0])));
    return true;
  }

  void emit_move(bool varies, const View& from, const View& to) {
    CallList::Call call{};
    call.item_size = from.itemsize();
    call.in[0] = from.offset;
    call.out = to.offset;
    call.n = from.size();
    if (from.is_row_major() && to.is_row_major()) {
      call.kind = Kind::copy;
      call.n *= call.item_size;
    } else if (from.is_one_element() && to.is_row_major()) {
      call.kind = Kind::spread;
      call.count = call.n;
      call.spread = cpu::find_spread(call.item_size);
    } else {
      call.kind = Kind::move;
      call.detail = static_cast<uint32_t>(list_->moves_.size());
      list_->moves_.push_back({from.sizes, from.strides, to.strides});
    }
    emit(varies, call);
  }

  // Memory for a result that moves make; of a large one it is its own. Null where that cannot be.
  int64_t reserve_any(const Spec& spec, bool varies, bool small, CallList::Base base) {
    if (small) {
      return reserve(spec, varies);
    }
    int64_t place = add_base(base);
    add_region(place, base.bytes, false);
    return place;
  }

  void note_layout(const Value& value) {
    if (value.input >= 0) {
      list_->sees_layout_[static_cast<size_t>(value.input)] = true;
    }
  }

  CallList::Turn& first() { return list_->turns_[0]; }
  // Whether each run gives all that is there.
  bool is_filled(int64_t place) {
    auto fills = [this, place](const CallList::Call& call) {
      if (call.kind != Kind::apply) {
        return call.out == place;
      }
      const auto& to = list_->applied_[call.detail].to;
      return std::find(to.begin(), to.end(), place) != to.end();
    };
    return std::find(around_.begin(), around_.end(), place) == around_.end() &&
           std::ranges::any_of(first().calls, fills);
  }

  const Program& program_;
  CallList::Uses uses_;
  std::unique_ptr<CallList> list_ = std::make_unique<CallList>();
  std::vector<Value> values_; // by slot
  std::vector<Region> regions_;
  std::vector<int32_t> last_use_;                          // by slot: a step
  std::vector<int> output_of_;                             // by slot, for a single run
  int32_t now_ = 0;                                        // the step
  std::map<int64_t, std::vector<int64_t>> free_;           // places by their bytes
  std::vector<std::pair<int64_t, int64_t>> temporary_;     // of this step: places and bytes
  std::map<std::pair<int64_t, int64_t>, int64_t> spreads_; // of constants, by place and number
  BufferRef stand_in_;
  int64_t varying_bytes_ = 0, larger_ = 0;
  std::map<int64_t, int64_t> sizes_; // in bytes, by place
  std::vector<int64_t> around_;      // places of which runs write a part
};

} // namespace mlx::core
