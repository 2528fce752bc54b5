// CallListSmall: steps of a call list on few elements whose kernels are prepared.
#pragma once

#include <utility>

#include "mlx_core/eval/call_list_moves.h"

namespace mlx::core {

class CallListSmall : public CallListMoves {
 public:
  using CallListMoves::CallListMoves;

 protected:
  // One product of matrices that fit into vectors, or whose right operand's rows lie in order, or are brought into it.
  // A matrix times a vector is the vector times the matrix turned round, whose sums run side by side: the same products
  // in the same order.
  bool add_small_product(const Program::Step& step) {
    const Spec& out = step.outputs[0];
    Value a = operand(step, 0), b = operand(step, 1);
    size_t rank = out.shape.size();
    if ((rank != 2 && rank != 3) || a.view.ndim() != rank || b.view.ndim() != rank) {
      return false;
    }
    int64_t batch = 1, a_batch = 0, b_batch = 0;
    if (rank == 3) { // one behind the other
      batch = static_cast<int64_t>(out.shape[0]);
      a_batch = without_first(a.view);
      b_batch = without_first(b.view);
    }
    int64_t m = a.view.sizes[0], k = a.view.sizes[1], n = b.view.sizes[1];
    bool zero_terms = step.primitive->role() == Role::chain_product;
    auto matrix = [](const View& view) { return cpu::Matrix{nullptr, view.strides[0], view.strides[1]}; };
    auto small_product = [&](cpu::Matrix right, bool whole) {
      return cpu::small_product(out.dtype, m, n, k, matrix(a.view), right, zero_terms, whole);
    };
    auto small = small_product(matrix(b.view), is_read_whole(a.view.offset) && is_read_whole(b.view.offset));
    bool turns = false;
    if (!small || !small->tiny.way) {
      bool real = out.dtype == float32 || out.dtype == float64;
      if (real && n == 1 && m > 1) {
        std::swap(a, b);
        std::swap(m, n);
        std::swap(a_batch, b_batch);
        for (View* view : {&a.view, &b.view}) {
          std::swap(view->sizes[0], view->sizes[1]);
          std::swap(view->strides[0], view->strides[1]);
        }
      }
      constexpr int64_t most_turned = 256; // elements
      turns = batch == 1 && n > 1 && b.view.strides[1] != 1 && (k * n <= most_turned || !b.varies);
      small = small_product(turns ? cpu::Matrix{nullptr, n, 1} : matrix(b.view), false);
    }
    if (!small) {
      return false;
    }
    small->batch = batch;
    small->a_batch = a_batch;
    small->b_batch = b_batch;
    CallList::Call call{};
    call.kind = Kind::small_product;
    call.n = batch * m * n * k;
    call.in[0] = a.view.offset;
    call.in[1] = turns ? elements(b, Shape(b.view.sizes.begin(), b.view.sizes.end())) : b.view.offset;
    bool varies = a.varies || b.varies;
    Shape with_padding{batch * m * n + (batch > 1 ? cpu::rearranged_padding : 0)};
    call.out = reserve({with_padding, out.dtype}, varies);
    call.detail = static_cast<uint32_t>(list_->small_products_.size());
    list_->small_products_.push_back(*std::move(small));
    push_result(out, call.out, varies);
    emit(varies, call);
    return true;
  }

  // Leaves the first axis of a view out; bytes between its elements.
  static int64_t without_first(View& view) {
    int64_t apart = view.strides[0] * view.itemsize();
    view.sizes.erase(view.sizes.begin());
    view.strides.erase(view.strides.begin());
    return apart;
  }

  // argmax and argmin.
  bool add_arg_reduction(const Program::Step& step) {
    std::optional<ArgReduced> reduced = arg_reduced(*step.primitive);
    const Spec& out = step.outputs[0];
    if (!reduced || out.dtype.size() != 4) { // which the kernel writes
      return false;
    }
    const View& of = operand(step, 0).view;
    bool varies = operand(step, 0).varies;
    CallList::Call call{};
    call.kind = Kind::arg_reduce;
    call.n = of.size();
    call.in[0] = of.offset;
    call.out = reserve(out, varies);
    call.detail = static_cast<uint32_t>(list_->arg_reductions_.size());
    list_->arg_reductions_.push_back({reduced->max, of.dtype, of.sizes, of.strides, reduced->axis});
    push_result(out, call.out, varies);
    emit(varies, call);
    return true;
  }
};

} // namespace mlx::core
