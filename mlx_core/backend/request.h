// What ops ask of a device: a struct for each kind of work. `out` is row-major unless it says otherwise, has its
// memory, and may be empty; the other views are read, have any strides, and do not overlap it unless that is said.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <type_traits>
#include <variant>

#include "mlx_core/backend/body.h"
#include "mlx_core/backend/matrix_task.h"
#include "mlx_core/backend/special_function.h"
#include "mlx_core/backend/view.h"

namespace mlx::core {
struct FusedPlan;
struct CustomKernel;
} // namespace mlx::core

namespace mlx::core::kernel {

// Elementwise steps over one iteration space, and reductions of its rows: see fused_plan.h. One source for each of the
// plan's, one output for each slot that has memory. An output may be the memory of a source that no later step reads.
struct Fused {
  const FusedPlan& plan;
  std::span<const View> sources, outputs;
};

// to[i] = from[i], of equal sizes and element sizes. `to` has any strides that keep its elements apart.
struct Copy {
  View from, to;
};

// The inputs one after another along the axis.
struct Join {
  std::span<const View> inputs;
  int axis;
  View out;

  // Where an input goes.
  View part(size_t input) const {
    auto at = static_cast<size_t>(axis);
    int64_t first = 0;
    for (const View& before : inputs.first(input)) {
      first += before.sizes[at];
    }
    return out.laid_out(inputs[input].sizes, out.strides, first * out.strides[at]);
  }
};

// The sum of parts of out, in their order, with zeros around each. inputs are the parts, then factors.
struct AddParts {
  struct Part {
    Sizes first;   // where it begins
    size_t factor; // the input of one element that it is multiplied by, 0 times anything being 0; 0: none
    bool subtracts;
    bool pads; // whether the zeros around it are added, too: they make 0 of a -0
  };
  std::span<const View> inputs;
  std::span<const Part> parts;
  View out;
};

// out[i] = start + i * step, in the arithmetic of 64-bit integers, which wraps, or start + i * step / divisor in
// float64; then converted. The last element may be another one.
struct Range {
  bool whole; // integers
  int64_t whole_start, whole_step;
  double start, step;
  View out;
  double divisor = 1;
  std::optional<double> last = std::nullopt;
};

// Threefry-2x32, as in cpu/random_bits.h. keys (..., 2) of uint32; out has the keys' leading axes, then those of the
// bits of one key, of unsigned integers. Row-major keys.
struct RandomBits {
  View keys, out;
};

// out = a b over equal leading axes: (..., m, k) times (..., k, n). Of bools, an element is whether any pair is true.
// With zero_terms a term with a factor 0 is 0, whatever the other is. a and b have one dtype; out has it, too, or it is
// float32 of 16-bit floats, without zero_terms.
struct Product {
  View a, b, out;
  bool zero_terms;
};

// Over sorted axes; out has the axes that are kept, in order.
struct Reduce {
  Reduction op;
  View in;
  std::span<const int64_t> axes;
  View out;
};

// uint32: the index of the first extremum along the axis; NaN counts as the extreme, the first one wins.
struct ArgReduce {
  bool max;
  View in;
  int axis;
  View out;
};

// out_j combines the elements up to j; without j itself, beginning with the identity, when not inclusive. An inclusive
// scan may write where it reads.
struct Scan {
  ScanOp op;
  View in;
  int axis;
  bool reverse, inclusive;
  View out;
};

// out_j = a_j out_{j-1} + b_j, where a_j out_{j-1} is 0 where out_{j-1} is 0.
struct Recurrence {
  View a, b;
  int axis;
  bool reverse;
  View out;
};

// Sums along the axis of in_j exp(-2 pi i j k / n), with `inverse` of exp(+...), times scale. Complex to complex, which
// may write where it reads; real to complex, out having n / 2 + 1 elements along the axis; or complex to real the other
// way, by exp(+...), n being out's. Of float32 and float64 and their complex dtypes.
struct Fft {
  View in;
  int axis;
  bool inverse;
  double scale;
  View out;
};

// out[n, o..., j] = the sum over taps k... and channels c of a[n, i..., g channels + c] b[j, k..., c], where
// i input_dilation = o stride + k kernel_dilation - low along each axis, and g is the group of output j: a is (batch,
// one to three axes, groups * channels), b (outputs, taps..., channels), out (batch, axes..., outputs). With `flip`
// b's taps count from the last. Terms whose i is none of a's are left out; with zero_terms, too, those with a factor 0.
struct Convolve {
  View a, b;
  std::span<const int64_t> stride, low, kernel_dilation, input_dilation;
  int64_t groups;
  bool flip, zero_terms;
  View out;
};

// Ascending and stable, NaNs last. It may write where it reads.
struct Sort {
  View in;
  int axis;
  View out;
};

// uint32: for each place, the index of the element that Sort puts there.
struct ArgSort {
  View in;
  int axis;
  View out;
};

// uint32: indices of the elements of each row, that of Sort's kth element in place kth. out has as many places of the
// axis as are wanted, from `first` on.
struct ArgPartition {
  View in;
  int axis;
  int64_t kth, first;
  View out;
};

// uint32: how many elements of a sorted row come before each value, or with `right` do not come after it. A row is the
// last axis of `sorted`; row_strides say where the row of a value starts, for each axis of `values`.
struct SearchSorted {
  View sorted, values;
  std::span<const int64_t> row_strides;
  bool right;
  View out;
};

// Integers that select along an axis of the indexed array, broadcast to the shape of the indices. Negative ones count
// from the end; one out of bounds is an IndexError.
struct Index {
  View view;
  int axis;
};

// out: for each position of the indices, the slice of x that starts there: (indices..., slice...). slice has a length
// for each axis of x.
struct Gather {
  View x;
  std::span<const Index> indices;
  std::span<const int64_t> index_shape, slice;
  View out;
  int64_t outer = 0; // of a host: how many of the slice's axes come before the indices' in out's memory
};

// Combines updates (indices..., slice...) into out, in their row-major order: the last of several sets wins.
struct Scatter {
  ScatterMode mode;
  std::span<const Index> indices;
  std::span<const int64_t> index_shape, slice;
  View updates, out;
};

// out[..., j, ...] = x[..., index[..., j, ...], ...]. x and index are broadcast to out but for the axis, where x has
// `length` elements (and x.sizes is not to be read).
struct GatherAlong {
  View x, index;
  int axis;
  int64_t length;
  View out;
};

// Combines updates into out at index along the axis, in row-major order. updates have the sizes of index.
struct ScatterAlong {
  ScatterMode mode;
  View index, updates;
  int axis;
  View out;
};

// A kernel that the user wrote, once for each place of the leading `batch_axes` axes, which all views have. Outputs are
// row-major, and may have been written before: the kernel need not write all of them. No host does this.
struct Custom {
  const CustomKernel& kernel;
  std::span<const View> inputs, outputs;
  size_t batch_axes;
  std::array<int64_t, 3> grid, threadgroup; // threads, and how many of them are one group
};

// Dense linear algebra on each matrix of a stack, which the last two axes hold: float32, float64 or complex. Inputs
// have any strides and equal leading axes; outputs, in this order:
//   cholesky                  a -> its factor in the triangle that is read; `upper` says which
//   lu                        a -> both factors in one (m, n), the row each row was swapped with (k) and the rows'
//   places
//                             (m), uint32, where k is the smaller of m and n
//   qr                        a -> q, r; with `full` q is (m, m)
//   svd, singular_values      a -> u, s, vh, with `full` square ones; s alone
//   eigh, ..._of_hermitian    a, of which the `upper` or lower triangle is read -> w, v; w alone
//   eig, eigenvalues          a -> w, v of complex numbers; w alone
//   inverse                   a -> a^-1
//   pseudo_inverse            a, smallest singular value that counts, over the largest (1) -> a^+
//   solve_with_lu             lu, its swaps, b -> x with a x = b, or a^H x = b with `adjoint`
//   solve_triangular          a, b -> the same for the `upper` or lower triangle of a
//   determinant, slogdet      a -> its determinant; sign and logarithm of the modulus
//   cofactors                 a -> the derivatives of det(a) by the elements, of any rank
//   cofactor_derivative       a, e -> the derivative of the cofactors along e
//   exponential               a -> exp(a)
//   symmetric_root            a -> s with s s = a, for positive semidefinite a
//   sylvester                 s, b -> x with s x + x s = b, for positive semidefinite s
// A matrix with an element that is not finite gives NaN. One that has no result is a LinalgError that names `op` and
// the matrix; with `lenient`, infinities and NaN instead.
struct MatrixWork {
  MatrixTask task;
  std::span<const View> inputs, outputs;
  const char* op;
  bool upper = false, adjoint = false, full = false, lenient = false;
};

// out[i] = the function, or its derivative of these orders, of inputs[0][i], inputs[1][i], ...: special_function.h says
// of how many. Inputs have out's sizes and its dtype, a floating one.
struct Special {
  SpecialFunction function;
  std::array<int, 2> orders;
  std::span<const View> inputs;
  View out;
};

// A request is a pointer to one of them, which lives as long as the call.
using Request = std::variant<const Fused*, const Copy*, const Join*, const AddParts*, const Range*, const RandomBits*,
    const Product*, const Reduce*, const ArgReduce*, const Scan*, const Recurrence*, const Fft*, const Convolve*,
    const Sort*, const ArgSort*, const ArgPartition*, const SearchSorted*, const Gather*, const Scatter*,
    const GatherAlong*, const ScatterAlong*, const MatrixWork*, const Special*, const Custom*>;

// Calls read(view) for each view of a request that is only read, and written(view) for each that is written.
template <typename Read, typename Written>
void for_each_view(const Request& request, Read&& read, Written&& written) {
  std::visit(
      [&](const auto* k) {
        using Kind = std::remove_cvref_t<decltype(*k)>;
        if constexpr (std::is_same_v<Kind, Fused>) {
          for (const View& view : k->sources) read(view);
          for (const View& view : k->outputs) written(view);
        } else if constexpr (std::is_same_v<Kind, MatrixWork> || std::is_same_v<Kind, Custom>) {
          for (const View& view : k->inputs) read(view);
          for (const View& view : k->outputs) written(view);
        } else if constexpr (std::is_same_v<Kind, Copy>) {
          read(k->from), written(k->to);
        } else {
          if constexpr (requires { k->keys; }) read(k->keys);
          if constexpr (requires { k->a; }) read(k->a);
          if constexpr (requires { k->b; }) read(k->b);
          if constexpr (requires { k->in; }) read(k->in);
          if constexpr (requires { k->x; }) read(k->x);
          if constexpr (requires { k->sorted; }) read(k->sorted), read(k->values);
          if constexpr (requires { k->index; }) read(k->index);
          if constexpr (requires { k->indices; }) {
            for (const Index& index : k->indices) read(index.view);
          }
          if constexpr (requires { k->updates; }) read(k->updates);
          if constexpr (requires { k->inputs; }) {
            for (const View& view : k->inputs) read(view);
          }
          written(k->out);
        }
      },
      request);
}

} // namespace mlx::core::kernel
