// The printer of fused plans, shared by the files that print its parts. A row program goes through its rows once for
// each stage and computes again what it needs of the stages before, from the sources: what is computed twice has the
// same bits, and costs less than memory. Outputs are written in the last pass, so that one may be the memory of a
// source.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/gpu/fused_msl.h"
#include "mlx_core/gpu/launch.h"

namespace mlx::core::gpu {

using Layout = FusedPlan::Layout;
using Stage = FusedPlan::Stage;
using Way = FusedForm::Way;

inline std::string type_of(Dtype dtype) { return shader_type(dtype); }
// In memory a bool is a byte, which is true when it is not 0.
inline std::string memory_type(Dtype dtype) { return dtype.is_bool() ? "uchar" : shader_type(dtype); }
// What a fold accumulates in.
inline std::string accumulator_of(const FusedPlan::Fold& fold) {
  if (fold.op == Reduction::all || fold.op == Reduction::any) {
    return "bool";
  }
  return fold.from == float16 || fold.from == bfloat16 ? "float" : type_of(fold.from);
}

template <typename... Parts>
std::string join(const Parts&... parts) {
  std::string out;
  auto put = [&](const auto& part) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) {
      out += std::to_string(part);
    } else {
      out += part;
    }
  };
  (put(parts), ...);
  return out;
}

class Printer {
 public:
  Printer(const kernel::Fused& k, FusedForm form) : k_(k), plan_(k.plan), form_(form) { note_constants(); }
  std::string text();

 private:
  using Slots = std::vector<bool>;

  template <typename... Parts>
  void line(const Parts&... parts) {
    text_ += std::string(2 * static_cast<size_t>(indent_), ' ');
    text_ += join(parts...);
    text_ += '\n';
  }
  void open(const std::string& head) {
    line(head, " {");
    ++indent_;
  }
  void close() {
    --indent_;
    line("}");
  }

  void note_constants();
  void signature();
  void elements_kernel();
  void rows_kernel();
  void blocks_kernel();
  void finish_kernels();

  bool is_last(size_t stage) const { return stage + 1 == plan_.stages.size(); }
  bool writes_space() const;
  Slots needed_for(size_t stage, bool outputs) const;
  void load_scalars();
  void load(size_t source, const std::string& element);
  void step(const FusedPlan::Step& step);
  void row_steps(size_t stage);
  void pass_body(size_t stage, bool outputs);
  void store_space();
  void store_row(const std::string& row);
  void store_row_steps();
  void load_rows();
  void shared_memory();
  void reduce_block(size_t stage);
  void fold_rows(size_t stage);
  bool has_folds(size_t stage) const { return plan_.begin_of(stage).folds < plan_.stages[stage].folds; }
  std::string applied(const FusedPlan::Fold& fold, const std::string& a, const std::string& b) const;
  std::string folded(const FusedPlan::Fold& fold, const std::string& value, const std::string& lanes) const;
  std::string index_type() const { return form_.wide ? "ulong" : "uint"; }
  std::string offset_type() const { return form_.wide ? "long" : "int"; }

  const kernel::Fused& k_;
  const FusedPlan& plan_;
  FusedForm form_;
  std::vector<int> constant_at_; // of each source: its first word
  std::string text_;
  int indent_ = 0;
};

} // namespace mlx::core::gpu
