// The iterations of a scan as runs of a list of calls (eval/call_list.h).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/eval/call_list.h"
#include "mlx_core/transforms/scan.h"

namespace mlx::core {

// Which element of the xs the i-th iteration takes.
inline int64_t iteration(const ScanLayout& layout, int64_t i) {
  int64_t length = layout.length;
  return layout.reverse ? length - 1 - i : i;
}
// a[t] of an evaluated array, without a copy.
array element(const array& a, int64_t t);

// A loop without nodes, of evaluated operands, of one iteration at least.
class CalledLoop {
 public:
  CalledLoop(const ScanLayout& layout, const CallList& calls, std::span<const array> operands, std::span<array> ys);

  void run();
  array last_carry(size_t k) { return run_->taken(k, operands_[k]); }
  void copy_last_carry(size_t k, void* to) { cpu::copy_contiguous(to, run_->input(k), operands_[k].nbytes()); }

 private:
  size_t own() const { return layout_.carries + layout_.inputs; }
  bool has_rows(size_t x) const { return first_[x - layout_.carries].is_row_contiguous(); }
  CallRun::Row rows_from(int64_t from, const array& a, size_t number) const;
  CallRun::Row brought_together(int64_t i, int64_t runs, int64_t piece, size_t number);

  const ScanLayout& layout_;
  const CallList& calls_;
  std::unique_ptr<CallRun, CallList::GiveBack> run_;
  std::span<const array> operands_;
  std::span<array> ys_;
  std::vector<array> first_; // of each of the xs, the element of the first iteration
  std::vector<std::unique_ptr<char[]>> dense_;
};

// One within another loop: it fills its results again in each run.
std::unique_ptr<Repetition> repeated_loop(
    const ScanLayout& layout, const CallList& calls, std::vector<array> operands, std::vector<array> results);

} // namespace mlx::core
