// The function transforms. Each takes a function of arrays and gives another function of arrays, or its result, made of
// ordinary graph nodes, so that transforms compose in any order to any depth.
#pragma once

#include <functional>
#include <set>

#include "mlx_core/array.h"

namespace mlx::core {

using VectorFunction = std::function<std::vector<array>(const std::vector<array>&)>;

// Outputs, and the vector-Jacobian products: sum over outputs of cotangent * conj(d output / d primal), one per primal.
// A primal that is integer or bool gets zeros. cotangents are given per output, with its shape; nullopt is zero.
std::pair<std::vector<array>, std::vector<array>> vjp(
    const VectorFunction& fun, const std::vector<array>& primals, const std::vector<array>& cotangents);
// As above, when the cotangents are known only after the outputs are (grad).
std::pair<std::vector<array>, std::vector<array>> vjp(const VectorFunction& fun, const std::vector<array>& primals,
    const std::function<std::vector<array>(const std::vector<array>& outputs)>& cotangents_of);
std::pair<array, array> vjp(const std::function<array(const array&)>& fun, const array& primal, const array& cotangent);

// Outputs, and the Jacobian-vector products.
std::pair<std::vector<array>, std::vector<array>> jvp(
    const VectorFunction& fun, const std::vector<array>& primals, const std::vector<array>& tangents);
std::pair<array, array> jvp(const std::function<array(const array&)>& fun, const array& primal, const array& tangent);

// Throws TypeError unless an output of this dtype has a gradient: a real floating one. A complex one would lose a part
// of it, an integer one all, without a word.
void check_gradient_of(const char* op, Dtype output);
// The first output must be a real floating scalar; its gradient with respect to the arguments numbered argnums.
using ValueAndGradFunction =
    std::function<std::pair<std::vector<array>, std::vector<array>>(const std::vector<array>&)>;
ValueAndGradFunction value_and_grad(const VectorFunction& fun, const std::vector<int>& argnums = {0});
VectorFunction grad(const VectorFunction& fun, const std::vector<int>& argnums = {0});
std::function<std::pair<array, array>(const array&)> value_and_grad(const std::function<array(const array&)>& fun);
std::function<array(const array&)> grad(const std::function<array(const array&)>& fun);

// What functions of mlx::core::random draw inside a mapped function when they get no key.
enum class Randomness : uint8_t {
  different, // every lane its own numbers
  same,      // all lanes the same numbers
  error,     // nothing: they fail
};

// fun over a batch. Axes may be negative; nullopt is an argument that every lane shares / an output that is known to be
// the same in every lane. Empty in_axes or out_axes means 0 for all.
using VmapAxes = std::vector<std::optional<int>>;
VectorFunction vmap(const VectorFunction& fun, VmapAxes in_axes = {}, VmapAxes out_axes = {},
    Randomness randomness = Randomness::different);
// vmap(fun, in_axes, ...)(args) when the axes of the outputs are known only after the outputs are.
std::vector<array> vmap_call(const VectorFunction& fun, const VmapAxes& in_axes, const std::vector<array>& args,
    const std::function<VmapAxes(const std::vector<array>& outputs)>& out_axes_of,
    Randomness randomness = Randomness::different);
std::function<array(const array&)> vmap(
    const std::function<array(const array&)>& fun, int in_axis = 0, int out_axis = 0);
std::function<array(const array&, const array&)> vmap(const std::function<array(const array&, const array&)>& fun,
    int in_axis_a = 0, int in_axis_b = 0, int out_axis = 0);

// fun, but a derivative computes again what happens inside instead of keeping it: less memory for more work.
VectorFunction checkpoint(const VectorFunction& fun);

// fun with rules of its own. Each may be left out: of vjp and jvp one follows from the other, as its transpose, and
// what no rule is given for from fun itself. Gradients with respect to arrays
// that fun captures follow from fun, too. The forms are those of MLX; custom.h has one that says which tangents are
// zero. vjp: (primals, cotangents, outputs) -> cotangents of the primals.
using VjpRule = std::function<std::vector<array>(
    const std::vector<array>& primals, const std::vector<array>& cotangents, const std::vector<array>& outputs)>;
// jvp: (primals, tangents of those numbered argnums, argnums) -> tangents of the outputs.
using JvpRule = std::function<std::vector<array>(
    const std::vector<array>& primals, const std::vector<array>& tangents, const std::vector<int>& argnums)>;
// vmap: (inputs, the axis of each or -1) -> (outputs, the axis of each or -1).
using VmapRule = std::function<std::pair<std::vector<array>, std::vector<int>>(
    const std::vector<array>& inputs, const std::vector<int>& axes)>;
VectorFunction custom_function(const VectorFunction& fun, std::optional<VjpRule> vjp = {},
    std::optional<JvpRule> jvp = {}, std::optional<VmapRule> vmap = {});
VectorFunction custom_vjp(const VectorFunction& fun, VjpRule vjp);

// The batched value behind an array inside a vmapped function: lanes along `axis`. nullopt when it is the same in every
// lane of every open vmap. Printing uses it.
struct BatchedView {
  array value;
  std::vector<int> lanes; // sizes of the mapped axes, which lead `value`'s shape, outermost first
};
std::optional<BatchedView> batched_view(const array& a);

// Each vmap that is open on this thread, outermost first: random draws keys for their lanes.
struct OpenVmap {
  Dim lanes;
  Randomness randomness;
  // A per-lane array inside that vmap whose batch (axis 0) is `batched`.
  array (*map_in)(const OpenVmap& self, const array& batched);
  void* frame;
};
std::vector<OpenVmap> open_vmaps();

} // namespace mlx::core
