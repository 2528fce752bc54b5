// Sparse Jacobians and Hessians: a plan from the pattern and a colouring, and its passes.
#include "mlx_core/sparse_jacobian.h"

#include <algorithm>

#include "mlx_core/ops.h"
#include "mlx_core/transforms/coloring.h"

namespace mlx::core {

class SparsePlan {
 public:
  bool reverse = false;
  int32_t passes = 0;
  int64_t row_count = 0, column_count = 0;
  array colors;     // of each element that tangents (reverse: cotangents) have
  array rows, cols; // of the entries
  array places;     // of the entries in the flattened (passes, elements) results
};

namespace {

template <typename T>
array listed(const std::vector<T>& values) {
  return array(values.begin(), Shape(1, static_cast<int64_t>(values.size())), dtype_of<T>::val);
}

// Entry (i, j) is read in pass j's colour, at i; or in pass i's colour, at j.
struct Source {
  int64_t pass, element;
};

std::shared_ptr<const SparsePlan> plan_of(
    const Pattern& pattern, const Coloring& coloring, bool reverse, const std::vector<Source>& sources) {
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    rows.insert(rows.end(), pattern.row(i).size(), static_cast<int32_t>(i));
  }
  int64_t elements = reverse ? pattern.column_count : pattern.rows();
  std::vector<int64_t> places;
  places.reserve(sources.size());
  for (const Source& source : sources) {
    places.push_back(source.pass * elements + source.element);
  }
  auto plan = std::shared_ptr<SparsePlan>(new SparsePlan{
      reverse,
      sources.empty() ? 0 : coloring.count,
      pattern.rows(),
      pattern.column_count,
      listed(coloring.color),
      listed(rows),
      listed(pattern.columns),
      listed(places),
  });
  return plan;
}

// Columns through jvp or rows through vjp, whichever takes fewer passes.
std::shared_ptr<const SparsePlan> jacobian_plan(const Pattern& pattern) {
  Coloring columns = color_columns(pattern);
  Pattern other = transposed(pattern);
  size_t most = 0; // no colouring of rows has fewer
  for (int64_t j = 0; j < other.rows(); ++j) {
    most = std::max(most, other.row(j).size());
  }
  Coloring rows;
  bool reverse = static_cast<size_t>(columns.count) > most;
  if (reverse) {
    rows = color_columns(other);
    reverse = rows.count < columns.count;
  }
  std::vector<Source> sources;
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    for (int32_t j : pattern.row(i)) {
      sources.push_back(
          reverse ? Source{rows.color[static_cast<size_t>(i)], j} : Source{columns.color[static_cast<size_t>(j)], i});
    }
  }
  return plan_of(pattern, reverse ? rows : columns, reverse, sources);
}

std::shared_ptr<const SparsePlan> hessian_plan(const Pattern& pattern) {
  Coloring coloring = color_symmetric(pattern);
  std::vector<bool> alone = alone_in_row(pattern, coloring);
  std::vector<Source> sources;
  for (int64_t i = 0; i < pattern.rows(); ++i) {
    for (int32_t j : pattern.row(i)) {
      bool here = alone[sources.size()];
      sources.push_back(
          here ? Source{coloring.color[static_cast<size_t>(j)], i} : Source{coloring.color[static_cast<size_t>(i)], j});
    }
  }
  return plan_of(pattern, coloring, false, sources);
}

SparseMatrix evaluated(const Recording& recording, const SparsePlan& plan) {
  const array &x = recording.primals()[0], &y = recording.outputs()[0];
  const array &in = plan.reverse ? y : x, &out = plan.reverse ? x : y;
  array values = zeros({0}, out.dtype());
  if (plan.passes > 0) {
    auto pass = [&](const std::vector<array>& color) {
      array seed = reshape(astype(equal(plan.colors, color[0]), in.dtype()), in.shape());
      Tangent sent = (plan.reverse ? recording.pull({seed}) : recording.push({seed}))[0];
      return std::vector<array>{sent ? *sent : zeros_like(out)};
    };
    array results = vmap(pass, {0}, {0})({arange(0, plan.passes, 1, int32)})[0];
    values = take(flatten(results), plan.places, 0);
    values = plan.reverse && values.dtype().is_complex() ? conjugate(values) : values;
  }
  return {plan.rows, plan.cols, values, plan.row_count, plan.column_count, plan.passes};
}

void check_argument(const char* op, const array& x) {
  if (!x.dtype().is_inexact()) {
    fail<TypeError>(op, "the argument has dtype ", x.dtype(),
        "; only floating and complex arrays have derivatives. Cast it with astype first.");
  }
}

VectorFunction in_vectors(const ArrayFunction& fun) {
  return [&fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; };
}

} // namespace

SparseMatrix sparse_jacobian(const ArrayFunction& fun, const array& x, std::shared_ptr<const SparsePlan>& plan) {
  check_argument("sparse_jacobian", x);
  Recording recording(in_vectors(fun), {x});
  const array& y = recording.outputs()[0];
  if (!y.dtype().is_inexact() || y.dtype().is_complex() != x.dtype().is_complex()) {
    fail<TypeError>("sparse_jacobian", "the function takes ", x.dtype(), " and returns ", y.dtype(),
        "; both should be floating, or both complex. Use mx.jacobian for others.");
  }
  if (!plan) {
    plan = jacobian_plan(sparsity_of(recording));
  }
  return evaluated(recording, *plan);
}

SparseMatrix sparse_hessian(const ArrayFunction& fun, const array& x, std::shared_ptr<const SparsePlan>& plan) {
  check_argument("sparse_hessian", x);
  if (x.dtype().is_complex()) {
    fail<TypeError>("sparse_hessian", "the argument is complex; use mx.hessian.");
  }
  auto gradient = [&](const std::vector<array>& in) {
    return vjp(in_vectors(fun), in, [](const std::vector<array>& outputs) {
      if (outputs[0].ndim() != 0 || !outputs[0].dtype().is_floating()) {
        fail("sparse_hessian", "the function returned shape ", outputs[0].shape(), " and dtype ", outputs[0].dtype(),
            "; it should return a real scalar. Reduce it, with mx.sum or mx.mean for example.");
      }
      return std::vector<array>{ones_like(outputs[0])};
    }).second;
  };
  Recording recording(gradient, {x});
  if (!plan) {
    plan = hessian_plan(symmetric(sparsity_of(recording)));
  }
  return evaluated(recording, *plan);
}

array SparseMatrix::todense() const {
  Shape batch(values.shape().begin(), values.shape().end() - 1), whole = batch, dense = batch;
  whole.push_back(row_count * column_count);
  dense.push_back(row_count);
  dense.push_back(column_count);
  array places = add(multiply(astype(rows, int64), array(column_count)), astype(cols, int64));
  Axes leading;
  for (int axis = 0; axis < static_cast<int>(batch.size()); ++axis) {
    leading.push_back(axis);
  }
  places = leading.empty() ? places : expand_dims(places, leading);
  return reshape(put_along_axis(zeros(whole, values.dtype()), places, values, -1), dense);
}

} // namespace mlx::core
