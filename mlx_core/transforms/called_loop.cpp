// Loops that run as lists of calls.
#include "mlx_core/transforms/called_loop.h"

#include <algorithm>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/eval/gate.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/transforms/loop_statistics.h"

namespace mlx::core {

array element(const array& a, int64_t t) {
  array leaf = as_leaf(a);
  Shape shape(a.shape().begin() + 1, a.shape().end());
  Strides strides(a.strides().begin() + 1, a.strides().end());
  Node* node = leaf.node();
  return array(
      node->buffer, node->offset + t * a.strides()[0] * a.itemsize(), std::move(shape), std::move(strides), a.dtype());
}

CalledLoop::CalledLoop(
    const ScanLayout& layout, const CallList& calls, std::span<const array> operands, std::span<array> ys)
    : layout_(layout), calls_(calls), run_(calls.run()), operands_(operands), ys_(ys), dense_(layout.inputs) {
  for (size_t k = layout.carries; k < own(); ++k) {
    first_.push_back(element(operands[k], 0));
  }
}

void CalledLoop::run() {
  for (size_t k = 0; k < operands_.size(); ++k) {
    const bool is_x = k >= layout_.carries && k < own();
    if (!is_x || (!has_rows(k) && operands_[k].strides()[0] == 0)) {
      run_->give(k, is_x ? first_[k - layout_.carries] : operands_[k]);
    }
  }
  run_->begin();
  int64_t length = layout_.length;
  count_called_iterations(length);
  const int64_t piece = std::clamp<int64_t>((1 << 16) / (calls_.work() + 16), 1, 1024);
  InterruptPoll poll(1 << 18);
  for (int64_t i = 0; i < length; i += piece) {
    pause_if_asked();
    poll(piece * (calls_.work() + 1));
    const int64_t runs = std::min(piece, length - i);
    SmallVector<CallRun::Row, 4> xs, out;
    for (size_t k = layout_.carries; k < own(); ++k) {
      if (has_rows(k)) {
        xs.push_back(rows_from(i, operands_[k], k));
      } else if (operands_[k].strides()[0] != 0) {
        xs.push_back(brought_together(i, runs, piece, k));
      }
    }
    for (size_t k = 0; k < ys_.size(); ++k) {
      out.push_back(rows_from(i, ys_[k], layout_.carries + k));
    }
    run_->run_rows({xs.begin(), xs.size()}, {out.begin(), out.size()}, runs);
  }
}

// Of an array, by iteration.
CallRun::Row CalledLoop::rows_from(int64_t from, const array& a, size_t number) const {
  int64_t apart = a.strides()[0] * a.itemsize();
  auto* at = static_cast<char*>(const_cast<void*>(a.raw_data()));
  return {number, at + iteration(layout_, from) * apart, layout_.reverse ? -apart : apart};
}

// Elements that do not lie in order are brought together, a piece of the iterations at a time; what is the same in
// all of them is there already. Of so many from the i-th on, row-major, in memory for `piece` of them.
CallRun::Row CalledLoop::brought_together(int64_t i, int64_t runs, int64_t piece, size_t number) {
  const array& a = operands_[number];
  std::unique_ptr<char[]>& memory = dense_[number - layout_.carries];
  Sizes sizes = sizes_of(a.shape());
  sizes[0] = runs;
  int64_t count = 1;
  for (int64_t size : sizes) {
    count *= size;
  }
  int64_t bytes = count / runs * a.itemsize();
  int64_t lowest = std::min(iteration(layout_, i), iteration(layout_, i + runs - 1));
  if (!memory) {
    memory.reset(new char[static_cast<size_t>(piece * bytes)]);
  }
  const char* from = static_cast<const char*>(a.raw_data()) + lowest * a.strides()[0] * a.itemsize();
  cpu::read_strided(from, sizes, a.strides(), a.itemsize(), 0, count, memory.get());
  return {number, memory.get() + (iteration(layout_, i) - lowest) * bytes, layout_.reverse ? -bytes : bytes};
}

namespace {

class RepeatedLoop final : public Repetition {
 public:
  RepeatedLoop(const ScanLayout& layout, const CallList& calls, std::vector<array> operands, std::vector<array> results)
      : operands_(std::move(operands)),
        results_(std::move(results)),
        carries_(layout.carries),
        loop_(layout, calls, operands_, std::span(results_).subspan(carries_)) {}

  void run() override {
    loop_.run();
    for (size_t k = 0; k < carries_; ++k) {
      loop_.copy_last_carry(k, results_[k].mutable_data());
    }
  }

 private:
  std::vector<array> operands_, results_;
  size_t carries_;
  CalledLoop loop_;
};

} // namespace

std::unique_ptr<Repetition> repeated_loop(
    const ScanLayout& layout, const CallList& calls, std::vector<array> operands, std::vector<array> results) {
  return std::make_unique<RepeatedLoop>(layout, calls, std::move(operands), std::move(results));
}

} // namespace mlx::core
