// Running call lists.
#include "mlx_core/eval/call_list.h"

#include <cstring>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/eval/observe.h"

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

View at(const View& view, char* memory) {
  View placed = view;
  placed.inline_value = memory + view.offset;
  placed.offset = 0;
  return placed;
}

} // namespace

const CallList* KeptCalls::before(
    int64_t runs, const Program& body, CallList::Uses uses, const Kernels& kernels) const {
  constexpr int64_t worth_it = 16;
  // A GPU's functions have other last bits, and observers want to see what is computed.
  bool possible = kernels.device() == Device::cpu && !is_eval_observed() && !is_eval_op_by_op();
  if (!possible || runs_.fetch_add(runs, std::memory_order_relaxed) + runs < worth_it) {
    return nullptr;
  }
  std::call_once(once_, [&] { list_ = CallList::of(*simplify(body), uses); });
  return list_.get();
}

bool CallList::takes(std::span<const array> inputs, size_t first) const {
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (sees_layout_[first + k] && !inputs[k].is_row_contiguous()) {
      return false;
    }
  }
  return true;
}

CallRun::CallRun(const CallList& list) : list_(list), memory_(allocate_block(list.bytes_)) {
  for (const auto& [place, value] : list.values_) {
    std::memcpy(memory_.get() + place, value.raw_data(), value.nbytes());
  }
}

void CallRun::give(size_t k, const array& input) {
  if (input.is_row_contiguous()) {
    std::memcpy(this->input(k), input.raw_data(), input_bytes(k));
  } else {
    int64_t count = input.size();
    cpu::read_strided(
        input.raw_data(), sizes_of(input.shape()), input.strides(), input.itemsize(), 0, count, this->input(k));
  }
}

array CallRun::copied(const char* elements, const Spec& spec) {
  array copy = array::uninitialized(spec.shape, spec.dtype);
  std::memcpy(copy.mutable_data(), elements, copy.nbytes());
  return copy;
}

void CallRun::feed_back() {
  if (list_.take_turns_) {
    turn_ = &list_.turns_[turn_ == &list_.turns_[0] ? 1 : 0];
    return;
  }
  if (!staged_) { // an output may be an input
    staged_.reset(allocate_block(list_.bytes_));
  }
  for (size_t k = 0; k < list_.fed_back_; ++k) {
    std::memcpy(staged_.get() + turn_->inputs[k].at, output(k), input_bytes(k));
  }
  for (size_t k = 0; k < list_.fed_back_; ++k) {
    std::memcpy(input(k), staged_.get() + turn_->inputs[k].at, input_bytes(k));
  }
}

void CallRun::run(const std::vector<CallList::Call>& calls) {
  using Kind = CallList::Kind;
  char* memory = memory_.get();
  for (const CallList::Call& call : calls) {
    switch (call.kind) {
      case Kind::map: {
        const void* inputs[] = {memory + call.in[0], memory + call.in[1], memory + call.in[2]};
        call.kernel(inputs, memory + call.out, call.n);
        break;
      }
      case Kind::spread: call.spread(memory + call.out, memory + call.in[0], call.n); break;
      case Kind::gather: {
        const CallList::Layout& layout = list_.layouts_[call.detail];
        cpu::read_strided(
            memory + call.in[0], layout.sizes, layout.strides, call.item_size, 0, call.n, memory + call.out);
        break;
      }
      case Kind::fold: {
        const CallList::Fold& fold = list_.folds_[call.detail];
        alignas(16) char partial[64];
        for (int64_t row = 0; row < fold.rows; ++row) {
          fold.reducer.block(memory + call.in[0] + row * fold.length * call.item_size, fold.length, partial);
          fold.reducer.finish(partial, 1, memory + call.out + row * fold.out_size);
        }
        break;
      }
      case Kind::reduce:
      case Kind::product: run_general(call); break;
    }
  }
}

void CallRun::run_general(const CallList::Call& call) {
  const CallList::General& g = list_.general_[call.detail];
  View out = at(g.out, memory_.get());
  if (call.kind == CallList::Kind::product) {
    host_kernels().run(kernel::Product{at(g.in[0], memory_.get()), at(g.in[1], memory_.get()), out, g.zero_terms});
  } else {
    SmallVector<int64_t, 4> axes(g.axes.begin(), g.axes.end());
    host_kernels().run(kernel::Reduce{g.op, at(g.in[0], memory_.get()), axes, out});
  }
}

} // namespace mlx::core
