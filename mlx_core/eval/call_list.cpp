// Running call lists.
#include "mlx_core/eval/call_list.h"

#include <algorithm>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/eval/donate.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/eval/kept_steps.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/flattened.h"

namespace mlx::core {

namespace {

char* allocate_block(int64_t bytes) {
  auto* block = static_cast<char*>(std::aligned_alloc(64, static_cast<size_t>(bytes)));
  if (!block) {
    throw std::bad_alloc();
  }
  std::memset(block, 0, static_cast<size_t>(bytes)); // padding is computed with, too
  return block;
}

std::unique_ptr<const CallList> with_steps_kept(
    const Program& program, CallList::Uses uses, size_t fewest, int64_t least_work) {
  KeptSteps steps = with_kept_steps(program, fewest, least_work);
  uses.kept_steps = true;
  return steps.program ? CallList::of(*steps.program, uses) : nullptr;
}

} // namespace

bool KeptCalls::possible(const Kernels& kernels) {
  return kernels.device() == Device::cpu && !is_eval_observed() && !is_eval_op_by_op();
}

const CallList* KeptCalls::before(
    int64_t runs, const Program& body, CallList::Uses uses, const Kernels& kernels) const {
  if (!possible(kernels) || runs_.fetch_add(runs, std::memory_order_relaxed) + runs < worth_it) {
    return nullptr;
  }
  std::call_once(once_, [&] {
    SharedProgram program = simplify(*flattened(body));
    // A call for each step is for few elements. Of more, those are one that make this work together; and any two,
    // where there is too much otherwise.
    constexpr size_t fewest = 2;
    constexpr int64_t least_work = 8192;
    list_ = with_steps_kept(*program, uses, fewest, least_work);
    if (!list_) {
      list_ = CallList::of(*program, uses);
    }
    if (!list_) {
      list_ = with_steps_kept(*program, uses, fewest, 0);
    }
  });
  return list_.get();
}

bool CallList::takes(std::span<const array> inputs) const {
  for (size_t k = 0; k < constants_; ++k) {
    if (sees_layout_[k] && !inputs[k].is_row_contiguous()) {
      return false;
    }
  }
  return true;
}

CallList::~CallList() { delete spare_.load(); }

std::unique_ptr<CallRun, CallList::GiveBack> CallList::run() const {
  CallRun* spare = spare_.exchange(nullptr);
  return std::unique_ptr<CallRun, GiveBack>(spare ? spare : new CallRun(*this));
}

void CallList::GiveBack::operator()(CallRun* run) const {
  constexpr int64_t small = 2 << 20; // bytes
  run->let_go();
  CallRun* none = nullptr;
  if (!run->is_whole_ || run->list_.bytes_ > small || !run->list_.spare_.compare_exchange_strong(none, run)) {
    delete run;
  }
}

CallRun::CallRun(const CallList& list)
    : list_(list),
      memory_(allocate_block(list.bytes_)),
      bases_(list.bases_.size() + 1, nullptr),
      requests_(list.requests_) {
  for (const auto& [place, value] : list.values_) {
    cpu::copy_contiguous(memory_.get() + place, value.raw_data(), value.nbytes());
  }
  for (const CallList::General& g : list.general_) {
    products_.push_back({g.in[0], g.in[1], g.out, g.zero_terms});
    for (View* view : {&products_.back().a, &products_.back().b, &products_.back().out}) {
      view->offset = 0;
    }
  }
  constant_calls_ = bound(list.constant_calls_, 2);
  cpu::chain(constant_calls_, {});
  calls_[0] = bound(list.turns_[0].calls, 0);
  calls_[1] = bound(list.turns_[1].calls, 1);
  cpu::chain(calls_[0], calls_[1]);
  cpu::chain(calls_[1], calls_[0]);
}

std::vector<CallRun::Bound> CallRun::bound(const std::vector<CallList::Call>& calls, uint8_t list) {
  std::vector<Bound> all;
  all.reserve(calls.size());
  for (const CallList::Call& call : calls) {
    Bound one;
    one.code = call.code;
    one.kind = static_cast<uint8_t>(call.kind);
    one.item_size = call.item_size;
    one.detail = call.detail;
    one.kernel = call.kernel;
    one.spread = call.spread;
    one.n = call.n;
    one.count = call.count;
    one.map = call.map;
    one.copies = call.kind == CallList::Kind::copy;
    auto address = [&](int64_t place, uint8_t which) -> char* {
      if (auto base = static_cast<uint32_t>(CallList::base_of(place))) {
        elsewhere_.push_back({static_cast<uint32_t>(all.size()), list, which, base, CallList::offset_in(place)});
        one.moves = true;
        return nullptr;
      }
      return memory_.get() + place;
    };
    for (uint8_t k = 0; k < 4; ++k) {
      one.in[k] = address(call.in[k], k);
    }
    one.out = address(call.out, 4);
    prepare(call, one);
    all.push_back(one);
  }
  return all;
}

// Calls that need no more than their plan.
void CallRun::prepare(const CallList::Call& call, Bound& to) const {
  using Kind = CallList::Kind;
  auto with = [&]<class Plan>(const std::vector<Plan>& plans, void (*run)(const void*, const void* const*, void*)) {
    to.plan = &plans[call.detail];
    to.prepared = run;
  };
  to.may_throw = call.kind == Kind::read_slices || call.kind == Kind::write_slices; // of an index that is outside
  if (call.kind == Kind::read_slices) {
    with(list_.picks_, [](const void* plan, const void* const* in, void* out) {
      static_cast<const cpu::FewSlices*>(plan)->read(in[0], in + 1, out);
    });
  } else if (call.kind == Kind::write_slices) {
    with(list_.picks_, [](const void* plan, const void* const* in, void* out) {
      static_cast<const cpu::FewSlices*>(plan)->write(in[1], in + 2, out);
    });
  } else if (call.kind == Kind::rearrange) {
    with(list_.rearrangements_, [](const void* plan, const void* const* in, void* out) {
      static_cast<const cpu::Rearrangement*>(plan)->run(in[0], out);
    });
  } else if (call.kind == Kind::small_reduce) {
    with(list_.small_reductions_, [](const void* plan, const void* const* in, void* out) {
      static_cast<const cpu::SmallReduction*>(plan)->run(in[0], out);
    });
  } else if (call.kind == Kind::small_product) {
    to.product = &list_.small_products_[call.detail];
    with(list_.small_products_, [](const void* plan, const void* const* in, void* out) {
      static_cast<const cpu::SmallProduct*>(plan)->run(in[0], in[1], out);
    });
  }
}

void CallRun::place_bases() {
  for (const Elsewhere& place : elsewhere_) {
    char* address = bases_[place.base] + place.offset;
    Bound& call = (place.list == 2 ? constant_calls_ : calls_[place.list])[place.call];
    (place.which < 4 ? const_cast<void*&>(call.in[place.which]) : call.out) = address;
  }
}

// What primitives that are applied were bound to.
void CallRun::forget_moved() {
  for (size_t i = 0; moved_ && i < operands_.size(); ++i) {
    const auto& in = list_.applied_[i].in;
    if (std::any_of(in.begin(), in.end(), [](const View& view) { return CallList::base_of(view.offset) != 0; })) {
      operands_[i].clear();
      repetitions_[i] = Repeated();
    }
  }
  moved_ = false;
}

// One that does not lie in order is copied, and the next one over it; not if both are the same element everywhere.
const array& CallRun::Constant::hold(const array& input) {
  if (input.is_row_contiguous()) {
    is_copy = false;
    return whole.emplace(input);
  }
  bool repeats = is_one_element(input.shape(), input.strides());
  if (!is_copy) {
    whole = array::uninitialized(input.shape(), input.dtype());
    is_copy = true;
  } else if (repeats && is_one && std::memcmp(whole->raw_data(), input.raw_data(), input.itemsize()) == 0) {
    return *whole;
  }
  is_one = repeats;
  cpu::read_strided(input.raw_data(), sizes_of(input.shape()), input.strides(), input.itemsize(), 0, input.size(),
      whole->mutable_data());
  return *whole;
}

void CallRun::let_go() {
  constexpr size_t small = 1 << 20; // bytes
  for (Constant& constant : constants_) {
    if (!constant.is_copy || constant.whole->nbytes() > small) {
      constant = Constant();
    }
  }
}

void CallRun::give(size_t k, const array& input) {
  if (size_t base = CallList::base_of(list_.turns_[0].inputs[k].at)) {
    constants_.resize(bases_.size());
    const array& whole = constants_[base].hold(input);
    auto* there = static_cast<char*>(const_cast<void*>(whole.raw_data()));
    moved_ = moved_ || bases_[base] != there;
    bases_[base] = there;
  } else if (input.is_row_contiguous()) {
    cpu::copy_bytes(this->input(k), static_cast<const char*>(input.raw_data()), input_bytes(k));
  } else {
    int64_t count = input.size();
    cpu::read_strided(
        input.raw_data(), sizes_of(input.shape()), input.strides(), input.itemsize(), 0, count, this->input(k));
  }
}

array CallRun::copied(const char* elements, const Spec& spec) {
  array copy = array::uninitialized(spec.shape, spec.dtype);
  cpu::copy_contiguous(copy.mutable_data(), elements, copy.nbytes());
  return copy;
}

// An input of a single run that is read where it lies; a constant, as zeros are one everywhere, from its copy.
const array& CallRun::in_order(size_t k, const array& input, size_t base) {
  if (k < list_.constants_ || input.is_row_contiguous()) {
    return input;
  }
  constants_.resize(bases_.size());
  Constant& constant = constants_[base];
  return constant.whole ? *constant.whole : constant.hold(input);
}

void CallRun::run_on(std::span<const array> inputs, std::span<array> outputs, Kernels& kernels) {
  bases_.assign(list_.bases_.size() + 1, nullptr);
  std::vector<BufferRef> scratch;
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (size_t base = CallList::base_of(list_.turns_[0].inputs[k].at)) {
      bases_[base] = static_cast<char*>(const_cast<void*>(in_order(k, inputs[k], base).raw_data()));
    } else if (k < list_.constants_) {
      give(k, inputs[k]);
    }
  }
  for (size_t i = 0; i < list_.bases_.size(); ++i) {
    const CallList::Base& base = list_.bases_[i];
    if (bases_[i + 1]) {
      continue;
    }
    if (base.output < 0) {
      scratch.push_back(allocate(static_cast<size_t>(base.bytes)));
      bases_[i + 1] = static_cast<char*>(scratch.back()->data);
    } else {
      array& output = outputs[static_cast<size_t>(base.output)];
      if (base.takes_over && output.take_over(inputs[static_cast<size_t>(base.input)])) {
        bases_[i + 1] = static_cast<char*>(output.mutable_data());
        continue;
      }
      if (!output.node()->buffer) {
        output.allocate();
      }
      bases_[i + 1] = static_cast<char*>(output.mutable_data());
    }
    if (base.begins_as_input) {
      const array& from = inputs[static_cast<size_t>(base.input)];
      View to = from.view();
      to.buffer = nullptr;
      to.inline_value = bases_[i + 1];
      to.offset = 0;
      to.strides = row_major_strides(from.shape());
      kernels.run(kernel::Copy{from.view(), std::move(to)});
    }
  }
  place_bases();
  move_repetitions();
  constexpr size_t piece = 2048;
  std::span<const Bound> all(calls_[0]);
  for (size_t first = 0; first < all.size(); first += piece) {
    if (first > 0) {
      pause_if_asked();
      throw_if_interrupted();
    }
    run_steps(loop_of(all.subspan(first, std::min(piece, all.size() - first)), all.first(first)), 1);
  }
}

cpu::StepLoop CallRun::loop_of(std::span<const Bound> turn, std::span<const Bound> other) {
  auto run = [](void* self, const Bound& call) { static_cast<CallRun*>(self)->run_other(call); };
  return {{turn, other}, {}, {}, run, this};
}

int64_t CallRun::run_steps(const cpu::StepLoop& loop, int64_t runs, size_t turn) {
  is_whole_ = false;
  int64_t done = cpu::run_steps(loop, static_cast<int>(turn), runs);
  is_whole_ = true;
  runs_ += done;
  return done;
}

// Making it takes as long as a few thousand steps. So many runs are certain.
const cpu::NativeLoop* CallRun::native_for(const cpu::StepLoop& loop, int64_t runs) {
  constexpr int64_t most_tries = 4;
  int64_t steps = static_cast<int64_t>(loop.turns[0].size()) + 1, worth_it = 256 + 4096 / steps;
  bool is_made = native_ && native_->is_for(loop);
  if (!is_made && runs_ + runs >= worth_it && made_native_ < most_tries) {
    ++made_native_;
    native_ = cpu::NativeLoop::of(loop);
    is_made = native_ != nullptr;
  }
  return is_made ? native_.get() : nullptr;
}

bool CallRun::run_while(int64_t most, int64_t& runs) {
  cpu::StepLoop loop = loop_of(calls_[0], calls_[1]);
  for (size_t turn : {0, 1}) {
    loop.proceeds[turn] = memory_.get() + list_.turns_[turn].outputs.back().at;
  }
  loop.native = native_for(loop, 0);
  int64_t done = run_steps(loop, most, turn_);
  turn_ ^= static_cast<size_t>(done & 1);
  runs += done;
  return *loop.proceeds[turn_ ^ 1] != 0;
}

void CallRun::run_rows(std::span<const Row> to_inputs, std::span<const Row> from_outputs, int64_t runs) {
  auto bound_rows = [&](std::span<const Row> rows, const std::vector<CallList::Place> CallList::Turn::* places) {
    SmallVector<cpu::StepRow, 4> all;
    for (const Row& row : rows) {
      const CallList::Place& place = (list_.turns_[0].*places)[row.input_or_output];
      const CallList::Place& second = (list_.turns_[1].*places)[row.input_or_output];
      all.push_back({row.at, row.apart, {memory_.get() + place.at, memory_.get() + second.at},
          static_cast<int64_t>(place.bytes)});
    }
    return all;
  };
  auto in = bound_rows(to_inputs, &CallList::Turn::inputs), out = bound_rows(from_outputs, &CallList::Turn::outputs);
  cpu::StepLoop loop = loop_of(calls_[0], calls_[1]);
  loop.rows_in = {in.begin(), in.size()};
  loop.rows_out = {out.begin(), out.size()};
  loop.native = native_for(loop, runs);
  run_steps(loop, runs, turn_);
  turn_ ^= static_cast<size_t>(runs & 1);
}

void CallRun::run_other(const Bound& call) {
  using Kind = CallList::Kind;
  switch (static_cast<Kind>(call.kind)) {
    case Kind::map: call.kernel(call.in, call.out, call.n); break;
    case Kind::spread: call.spread(call.out, call.in[0], call.n); break;
    case Kind::copy:
      cpu::copy_bytes(static_cast<char*>(call.out), static_cast<const char*>(call.in[0]), static_cast<size_t>(call.n));
      break;
    case Kind::gather: {
      const CallList::Layout& layout = list_.layouts_[call.detail];
      cpu::read_strided(call.in[0], layout.sizes, layout.strides, call.item_size, 0, call.n, call.out);
      break;
    }
    case Kind::move: {
      const CallList::Move& move = list_.moves_[call.detail];
      cpu::copy_strided(call.in[0], move.from, call.out, move.to, move.sizes, call.item_size);
      break;
    }
    case Kind::fold: {
      const CallList::Fold& fold = list_.folds_[call.detail];
      fold.reducer.rows(call.in[0], fold.length, fold.length * call.item_size, fold.rows, call.out);
      break;
    }
    case Kind::request: run_request(call); break;
    case Kind::reduce:
    case Kind::product: run_general(call); break;
    case Kind::apply: run_applied(call); break;
    case Kind::arg_reduce: {
      const CallList::ArgReduction& r = list_.arg_reductions_[call.detail];
      cpu::arg_reduce(r.max, r.dtype, call.in[0], r.sizes, r.strides, r.axis, call.out);
      break;
    }
    case Kind::read_slices:
    case Kind::write_slices:
    case Kind::rearrange:
    case Kind::small_reduce:
    case Kind::small_product: break; // prepared
  }
}

void CallRun::run_request(const Bound& call) {
  CallList::Request& request = requests_[call.detail];
  for (size_t k = 0; k < request.in.size(); ++k) {
    request.in[k].inline_value = call.in[k];
  }
  request.out.inline_value = call.out;
  request.on->run_on({request.in.begin(), request.in.size()}, request.out, host_kernels());
}

void CallRun::run_general(const Bound& call) {
  const CallList::General& g = list_.general_[call.detail];
  if (static_cast<CallList::Kind>(call.kind) == CallList::Kind::product) {
    kernel::Product& product = products_[call.detail];
    product.a.inline_value = call.in[0];
    product.b.inline_value = call.in[1];
    product.out.inline_value = call.out;
    host_kernels().run(product);
  } else {
    cpu::reduce(g.op, g.in[0].dtype, call.in[0], g.in[0].sizes, g.in[0].strides, g.axes, call.out);
  }
}

void CallRun::run_applied(const Bound& call) {
  const CallList::Applied& applied = list_.applied_[call.detail];
  operands_.resize(list_.applied_.size());
  repetitions_.resize(list_.applied_.size());
  if (repetitions_[call.detail].repetition) {
    repetitions_[call.detail].repetition->run();
    return;
  }
  std::vector<array>& operands = operands_[call.detail];
  for (size_t k = operands.size(); k < applied.in.size(); ++k) {
    const View& view = applied.in[k];
    Shape shape(view.sizes.begin(), view.sizes.end());
    BufferRef memory = adopt(address(view.offset), 0, nullptr, [](void*) {});
    memory->pinned = !(applied.in_place && k == 0); // nobody takes over what is not to be changed
    operands.emplace_back(std::move(memory), 0, std::move(shape), view.strides, view.dtype);
  }
  LevelFloor outside(0);
  Operands own(operands);
  if (applied.repeats) {
    repetitions_[call.detail] = repetition(applied, std::move(operands));
    repetitions_[call.detail].repetition->run();
    return;
  }
  SmallVector<array, 1> results;
  for (const Spec& out : applied.out) {
    results.push_back(array::make(applied.primitive, out, applied.in_place ? own.first(0) : own));
  }
  {
    Donation donation(applied.in_place ? operands[0].node() : nullptr);
    applied.primitive->eval(operands, std::span<array>(results.begin(), results.size()), host_kernels());
    if (donation.is_taken()) { // given back
      const Node& result = *results[0].node();
      operands[0].set_storage(result.buffer, result.offset, result.strides);
      return;
    }
  }
  for (size_t k = 0; k < results.size(); ++k) {
    char* to = address(applied.to[k]);
    const Node& result = *results[k].node();
    if (result.row_contiguous) {
      cpu::copy_bytes(to, static_cast<const char*>(result.data()), results[k].nbytes());
    } else {
      cpu::read_strided(
          result.data(), sizes_of(result.shape), result.strides, results[k].itemsize(), 0, results[k].size(), to);
    }
  }
}

// Writes where the results go: nothing is copied.
CallRun::Repeated CallRun::repetition(const CallList::Applied& applied, std::vector<array> operands) const {
  Repeated repeated;
  auto note = [&](const BufferRef& memory, int64_t place) {
    if (CallList::base_of(place) != 0) {
      repeated.elsewhere.emplace_back(memory, place);
    }
  };
  for (size_t k = 0; k < operands.size(); ++k) {
    note(operands[k].node()->buffer, applied.in[k].offset);
  }
  std::vector<array> results;
  for (size_t k = 0; k < applied.out.size(); ++k) {
    const Spec& out = applied.out[k];
    BufferRef memory = adopt(address(applied.to[k]), 0, nullptr, [](void*) {});
    note(memory, applied.to[k]);
    results.push_back(array::make(applied.primitive, out, Operands(operands).first(0)));
    results.back().set_storage(std::move(memory), 0, row_major_strides(out.shape));
  }
  repeated.repetition = applied.primitive->repeated(std::move(operands), std::move(results));
  return repeated;
}

void CallRun::move_repetitions() {
  for (Repeated& repeated : repetitions_) {
    bool moves = false;
    for (auto& [memory, place] : repeated.elsewhere) {
      char* now = address(place);
      moves = moves || memory->data != now;
      memory->data = now;
    }
    if (moves && !repeated.repetition->move()) {
      repeated = Repeated();
    }
  }
}

} // namespace mlx::core
