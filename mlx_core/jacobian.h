// Jacobians, Hessians and linear approximations of functions of arrays.
//
// Complex arrays. The Jacobian J of a function is plain, not conjugated: for a holomorphic function it is the complex
// derivative, in either mode. A real function of complex arguments has J = df/dx - i df/dy, so that df = Re(J dz); the
// gradient, as vjp has it, is its conjugate. A complex function of real arguments has J = du/dx + i dv/dx. Of a complex
// function of complex arguments that is not holomorphic, forward mode gives the derivative along the real axis, and
// reverse mode J of its real part.
#pragma once

#include "mlx_core/chunk_size.h"

namespace mlx::core {

enum class JacobianMode : uint8_t {
  forward,   // a tangent pushed for each element of the primals
  reverse,   // a cotangent pulled for each element of the outputs
  automatic, // forward when the primals have no more elements than the outputs
};

// Outputs, and for each output its Jacobian with respect to each primal, of shape output.shape + primal.shape. The
// function runs once; chunk_size tangents or cotangents are sent through what it did at a time.
struct ValueAndJacobian {
  std::vector<array> outputs;
  std::vector<std::vector<array>> jacobians; // [output][primal]
};
ValueAndJacobian value_and_jacobian(const VectorFunction& fun, const std::vector<array>& primals,
    JacobianMode mode = JacobianMode::automatic, ChunkSize chunk_size = {});

// Functions that return the Jacobians with respect to the arguments numbered argnums, output by output.
VectorFunction jacfwd(const VectorFunction& fun, const std::vector<int>& argnums = {0}, ChunkSize chunk_size = {});
VectorFunction jacrev(const VectorFunction& fun, const std::vector<int>& argnums = {0}, ChunkSize chunk_size = {});
VectorFunction jacobian(const VectorFunction& fun, const std::vector<int>& argnums = {0}, ChunkSize chunk_size = {});
// Forward over reverse: entry (o * n + i) * n + j, of n argnums, is that of output o by arguments i and j.
VectorFunction hessian(const VectorFunction& fun, const std::vector<int>& argnums = {0}, ChunkSize chunk_size = {});
using ArrayFunction = std::function<array(const array&)>;
ArrayFunction jacfwd(const ArrayFunction& fun, ChunkSize chunk_size = {});
ArrayFunction jacrev(const ArrayFunction& fun, ChunkSize chunk_size = {});
ArrayFunction jacobian(const ArrayFunction& fun, ChunkSize chunk_size = {});
ArrayFunction hessian(const ArrayFunction& fun, ChunkSize chunk_size = {});

// The products of the Hessian of a scalar function with vectors, one per primal: the derivative of its gradient in the
// direction of the tangents. Costs a few times what the function does.
std::vector<array> hvp(
    const VectorFunction& fun, const std::vector<array>& primals, const std::vector<array>& tangents);

// Outputs, and the function that takes tangents of the primals to tangents of the outputs. It has the graph of this
// linear map and computes nothing of fun again. A missing tangent (nullopt) is zero.
using LinearFunction = std::function<std::vector<array>(const Tangents& tangents)>;
std::pair<std::vector<array>, LinearFunction> linearize(const VectorFunction& fun, const std::vector<array>& primals);
// Its counterpart in reverse mode: outputs, and the function that takes cotangents of the outputs to those of the
// primals, as vjp has them. A missing cotangent is zero.
std::pair<std::vector<array>, LinearFunction> pullback(const VectorFunction& fun, const std::vector<array>& primals);

} // namespace mlx::core
