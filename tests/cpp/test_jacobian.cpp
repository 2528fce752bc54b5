// Jacobians, Hessians, linear approximations, chunks, sparse matrices and check_grads through the C++ API.
#include <cmath>

#include "check.h"
#include "mlx_core/mlx.h"
#include "mlx_core/ops/linear.h"

using namespace mlx::core;

namespace {

bool same(const array& a, const array& b) {
  return a.shape() == b.shape() && allclose(a, b, 1e-12, 1e-12).item<bool>();
}

// x_i^2 x_2 for i < 2: its Jacobian is [[2 x0 x2, 0, x0^2], [0, 2 x1 x2, x1^2]].
array pair_of(const array& x) {
  array head = slice(x, {0}, {2});
  return head * head * slice(x, {2}, {3});
}

} // namespace

TEST(both_modes_give_the_jacobian) {
  array x({2.0, 3.0, 5.0}, float64);
  array expected = reshape(array({20.0, 0.0, 4.0, 0.0, 30.0, 9.0}, float64), {2, 3});
  ArrayFunction f = pair_of;
  CHECK(same(jacfwd(f)(x), expected));
  CHECK(same(jacrev(f)(x), expected));
  CHECK(same(jacobian(f)(x), expected));
  CHECK(same(jacfwd(f, ChunkSize::of(2))(x), expected));
}

TEST(jacobians_of_several_outputs_by_several_arguments) {
  VectorFunction f = [](const std::vector<array>& in) { return std::vector<array>{in[0] * in[1], sum(in[1])}; };
  array x({1.0, 2.0}, float64), y({3.0, 4.0}, float64);
  for (auto mode : {JacobianMode::forward, JacobianMode::reverse, JacobianMode::automatic}) {
    ValueAndJacobian result = value_and_jacobian(f, {x, y}, mode);
    CHECK(same(result.outputs[0], x * y));
    CHECK(same(result.jacobians[0][0], diag(y)));
    CHECK(same(result.jacobians[0][1], diag(x)));
    CHECK(same(result.jacobians[1][0], zeros({2}, float64)));
    CHECK(same(result.jacobians[1][1], ones({2}, float64)));
  }
  CHECK(same(jacrev(f, {1})({x, y})[0], diag(x)));
  CHECK_MESSAGE(std::invalid_argument, "argnums has 2", jacrev(f, {2})({x, y}));
  CHECK_MESSAGE(TypeError, "primal 0 has dtype int32", value_and_jacobian(f, {array({1, 2}), y}));
}

TEST(hessians) {
  ArrayFunction f = [](const array& x) { return sum(x * x * x); };
  array x({1.0, 2.0}, float64), v({1.0, -1.0}, float64);
  CHECK(same(hessian(f)(x), diag(x * 6.0)));
  CHECK(same(vmap(hessian(f))(stack({x, v})), stack({diag(x * 6.0), diag(v * 6.0)})));
  VectorFunction of_vectors = [&](const std::vector<array>& in) { return std::vector<array>{f(in[0])}; };
  CHECK(same(hvp(of_vectors, {x}, {v})[0], x * 6.0 * v));
  CHECK_MESSAGE(std::invalid_argument, "one scalar", hvp([](const std::vector<array>& in) { return in; }, {x}, {v}));
}

TEST(linear_maps_run_the_function_once) {
  int runs = 0;
  VectorFunction f = [&](const std::vector<array>& in) {
    ++runs;
    return std::vector<array>{sin(in[0]) * in[0]};
  };
  array x(0.7, float64), one(1.0, float64);
  auto [outputs, push] = linearize(f, {x});
  double slope = std::cos(0.7) * 0.7 + std::sin(0.7);
  CHECK(std::abs(push({one})[0].item<double>() - slope) < 1e-12);
  CHECK(std::abs(push({array(2.0, float64)})[0].item<double>() - 2 * slope) < 1e-12);
  CHECK_EQ(push({std::nullopt})[0].item<double>(), 0.0);
  CHECK_EQ(runs, 1);
  auto [same_outputs, pull] = pullback(f, {x});
  CHECK(same(same_outputs[0], outputs[0]));
  CHECK(std::abs(pull({one})[0].item<double>() - slope) < 1e-12);
  CHECK(std::abs(pull({array(2.0, float64)})[0].item<double>() - 2 * slope) < 1e-12);
  CHECK_EQ(pull({std::nullopt})[0].item<double>(), 0.0);
  CHECK_EQ(runs, 2);
  CHECK_MESSAGE(std::invalid_argument, "1 outputs but 0 cotangents", pull({}));
}

TEST(chunks_of_a_vmap) {
  VectorFunction f = [](const std::vector<array>& in) { return std::vector<array>{sin(in[0]) * sum(in[0])}; };
  array x = reshape(arange(0, 21, 1, float64), {7, 3});
  array expected = vmap(f, {0}, {0})({x})[0];
  for (int64_t lanes : {1, 3, 7, 9}) {
    CHECK(same(vmap(f, {0}, {0}, ChunkSize::of(lanes))({x})[0], expected));
  }
  CHECK(same(vmap(f, {0}, {0}, ChunkSize::automatic())({x})[0], expected));
}

TEST(sparse_matrices) {
  ArrayFunction f = [](const array& x) { return square(slice(x, {1}, {7})) - slice(x, {0}, {6}) * slice(x, {2}, {8}); };
  array x = arange(1, 9, 1, float64);
  std::shared_ptr<const SparsePlan> plan;
  SparseMatrix sparse = sparse_jacobian(f, x, plan);
  CHECK_EQ(sparse.passes, 3);
  CHECK(same(sparse.todense(), jacobian(f)(x)));
  std::shared_ptr<const SparsePlan> first = plan;
  CHECK(same(sparse_jacobian(f, x * 2.0, plan).todense(), jacobian(f)(x * 2.0)));
  CHECK(plan == first);
  ArrayFunction energy = [&](const array& v) { return sum(f(v)); };
  plan.reset();
  CHECK(same(sparse_hessian(energy, x, plan).todense(), hessian(energy)(x)));
}

namespace {

// x_i + x_{i+1}: a linear primitive that leaves `dependence` as its kind has it, which is wrong for sums.
class NeighbourSum final : public Linear {
 public:
  const char* name() const override { return "NeighbourSum"; }
  Specs infer(Operands in) const override { return {{Shape{in[0].shape(0) - 1}, in[0].dtype()}}; }
  void eval_cpu(Operands in, std::span<array> out) const override {
    out[0].allocate();
    in[0].dtype() == int64 ? run<int64_t>(in[0], out[0]) : run<double>(in[0], out[0]);
  }
  array transpose(const array& ct, const array&) const override { return pad(ct, 0, 1) + pad(ct, 1, 0); }
  Mapped vmap(Operands in, const MapAxes& axes) const override {
    array x = moveaxis(in[0], *axes[0], 0);
    int64_t lanes = x.shape(0), n = x.shape(1);
    return {{slice(x, {0, 0}, {lanes, n - 1}) + slice(x, {0, 1}, {lanes, n})}, {0}};
  }

 private:
  static array pad(const array& a, int before, int after) {
    return concatenate({zeros({before}, a.dtype()), a, zeros({after}, a.dtype())});
  }
  template <typename T>
  static void run(const array& in, array& out) {
    const T* from = in.data<T>();
    T* to = static_cast<T*>(out.mutable_data());
    for (int64_t i = 0; i < out.size(); ++i, from += in.strides()[0]) {
      to[i] = from[0] + from[in.strides()[0]];
    }
  }
};

} // namespace

TEST(a_pattern_does_not_trust_what_a_primitive_says) {
  ArrayFunction f = [](const array& x) { return applied(make_primitive<NeighbourSum>(), {x * x}); };
  array x = arange(1, 7, 1, float64);
  std::shared_ptr<const SparsePlan> plan;
  CHECK(same(sparse_jacobian(f, x, plan).todense(), jacobian(f)(x)));
}

TEST(check_grads_throws_what_is_wrong) {
  VectorFunction square_of = [](const std::vector<array>& in) { return std::vector<array>{in[0] * in[0]}; };
  array x({0.5, 1.5}, float64);
  check_grads(square_of, {x});
  VectorFunction wrong = custom_vjp(square_of, [](const auto& primals, const auto& cotangents, const auto&) {
    return std::vector<array>{cotangents[0] * primals[0]};
  });
  // Forward mode uses the same rule, transposed.
  CHECK_MESSAGE(GradientMismatch, "mode \"fwd\", order 1: the jvp with respect to primal 0", check_grads(wrong, {x}));
}
