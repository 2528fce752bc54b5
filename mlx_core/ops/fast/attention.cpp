// Attention, the rotation of its queries and keys by their position, and its recurrent relative.
#include <cmath>
#include <limits>

#include "mlx_core/control_flow.h"
#include "mlx_core/ops/fast/fast.h"
#include "mlx_core/ops/linalg/products.h"
#include "mlx_core/ops/shape/range.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core::fast {

namespace {

// The numbers of count things, in the dtype.
array numbers(Dim count, Dtype dtype) { return whole_range(0, 1, count, dtype); }

// What each pair of elements turns by at position 1: base to the power of -2 i / dims, or 1 over the frequency given.
array turns(const char* op, int dims, std::optional<double> base, const std::optional<array>& freqs, Dtype dtype) {
  if (base.has_value() == freqs.has_value()) {
    fail(op, base ? "base and freqs are both given" : "neither base nor freqs is given", "; give one of them.");
  }
  const int pairs = dims / 2;
  if (freqs) {
    if (!may_have_shape(*freqs, {pairs})) {
      fail(op, "freqs has shape ", freqs->shape(), "; for dims=", dims, " it should be (", pairs, ",).");
    }
    return reciprocal(astype(*freqs, dtype));
  }
  std::vector<double> values;
  for (int i = 0; i < pairs; ++i) {
    values.push_back(std::pow(*base, -2.0 * i / dims));
  }
  return array(values.begin(), Shape{pairs}, dtype);
}

} // namespace

static constexpr OpInfo rope_info{.name = "fast.rope",
    .summary = "Pairs of elements turned by angles that grow with the position in the sequence.",
    .accepts = Dtypes::floating,
    .example =
        ">>> mx.fast.rope(mx.ones((1, 2, 2)), 2, traditional=False, base=10000.0, scale=1.0, offset=0)\n"
        "array([[[1, 1],\n        [-0.301169, 1.38177]]], dtype=float32)",
    .details =
        "Rotary positional encoding (Su et al., 2021) of an array (B, ..., T, D): of the first dims elements of the "
        "last axis, pair i at position t is turned by (t + offset) * scale * base**(-2 i / dims), or by (t + offset) "
        "* scale / freqs[i]. A pair is elements 2 i and 2 i + 1 if traditional, else i and i + dims / 2. offset is an "
        "int, or an array of integers: a scalar, or one for each of the B. 16-bit floats are computed in float32. "
        "ValueError for shapes that do not fit, dims that are odd, not positive or more than D, and where not one of "
        "base and freqs is given."};
array rope(const array& a, int dims, bool traditional, std::optional<double> base, double scale, const array& offset,
    const std::optional<array>& freqs, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = rope_info.name;
  if (a.ndim() < 3) {
    fail(op, "a has shape ", a.shape(), "; it needs at least three axes: (B, ..., T, D).");
  }
  if (dims <= 0 || dims % 2 != 0 || (!a.shape(-1).is_symbolic() && dims > static_cast<int64_t>(a.shape(-1)))) {
    fail(op, "dims is ", dims, " and a has shape ", a.shape(),
        "; dims should be positive, even, and no more than its last axis is long.");
  }
  if (!issubdtype(offset.dtype(), Dtype::Category::integer)) {
    fail<TypeError>(op, "offset has dtype ", offset.dtype(), "; it should be integers.");
  }
  if (offset.size() != 1 && !may_have_shape(offset, {a.shape(0)})) {
    fail(op, "offset has shape ", offset.shape(), " and a has shape ", a.shape(),
        "; it should be a scalar, or one number for each of its first axis.");
  }
  Dtype out = floating_dtype(op, {a}), wide = wide_of(out);
  array x = astype(a, wide), positions = numbers(a.shape(-2), int32);
  // (1 or B, 1, ..., T, dims / 2)
  Shape first(a.shape().size(), 1);
  first[0] = offset.size() == 1 ? Dim(1) : a.shape(0);
  positions = multiply(astype(add(reshape(offset, first), expand_dims(positions, 1)), wide), array(scale, wide));
  array angles = multiply(positions, turns(op, dims, base, freqs, wide));
  array c = cos(angles), d = sin(angles);
  const int half = dims / 2;
  array p = traditional ? columns(x, 0, dims, 2) : columns(x, 0, half);
  array q = traditional ? columns(x, 1, dims, 2) : columns(x, half, dims);
  std::vector<array> turned{subtract(multiply(p, c), multiply(q, d)), add(multiply(p, d), multiply(q, c))};
  Shape shape = a.shape();
  shape.back() = dims;
  array y = traditional ? reshape(stack(turned, -1), shape) : concatenate(turned, -1);
  return astype(concatenate({y, columns(x, dims, a.shape(-1))}, -1), out);
}

namespace {

// (B, N, T, D) -> (B, groups, N / groups T, D): the heads that share their keys, one below the other.
array grouped(const array& a, Dim groups) {
  return reshape(a, {a.shape(0), groups, a.shape(1) / groups * a.shape(2), a.shape(3)});
}

array masked(const array& scores, const array& mask) {
  const double lowest =
      scores.dtype() == float64 ? std::numeric_limits<double>::lowest() : std::numeric_limits<float>::lowest();
  return mask.dtype().is_bool() ? where(mask, scores, array(lowest, scores.dtype()))
                                : add(scores, astype(mask, scores.dtype()));
}

void check_attention(const char* op, const array& q, const array& k, const array& v, const AttentionMask& mask,
    const std::optional<array>& sinks, Dtype dtype) {
  for (auto [name, a] : {std::pair{"q", &q}, {"k", &k}, {"v", &v}}) {
    if (a->ndim() != 4) {
      fail(op, name, " has shape ", a->shape(), "; it should have four axes: (B, heads, T, D).");
    }
  }
  const Dim batch = q.shape(0), shared = k.shape(1), keys = k.shape(2);
  if (!may_have_shape(k, {batch, shared, keys, q.shape(3)}) || !may_have_shape(v, {batch, shared, keys, v.shape(3)})) {
    fail(op, "q has shape ", q.shape(), ", k ", k.shape(), " and v ", v.shape(),
        "; they should be (B, heads, T_q, D), (B, groups, T_k, D) and (B, groups, T_k, D_v).");
  }
  if (int64_t heads = q.shape(1), groups = k.shape(1); groups == 0 ? heads != 0 : heads % groups != 0) {
    fail(op, "q has ", heads, " heads and k has ", groups, "; the former should be a multiple of the latter.");
  }
  if (mask.given) {
    if (mask.given->ndim() > 4) {
      fail(
          op, "mask has shape ", mask.given->shape(), "; it should have no more than four axes: (B, heads, T_q, T_k).");
    }
    if (!mask.given->dtype().is_bool() && promote_types(mask.given->dtype(), dtype) != dtype) {
      fail(op, "mask has dtype ", mask.given->dtype(), " and the others make ", dtype,
          "; it should be bool, or of a dtype that is promoted to theirs.");
    }
  }
  if (sinks && !may_have_shape(*sinks, {q.shape(1)})) {
    fail(op, "sinks has shape ", sinks->shape(), " and q has shape ", q.shape(),
        "; there should be one number for each head of q.");
  }
}

} // namespace

static constexpr OpInfo attention_info{.name = "fast.scaled_dot_product_attention",
    .summary = "softmax(scale q k^T) v, head by head: values averaged by how alike queries and keys are.",
    .accepts = Dtypes::floating,
    .example =
        ">>> x = mx.ones((1, 1, 2, 3))\n>>> mx.fast.scaled_dot_product_attention(x, x, x, scale=1.0)[0, 0]\n"
        "array([[1, 1, 1],\n       [1, 1, 1]], dtype=float32)",
    .details =
        "Multi-head attention (Vaswani et al., 2017): q is (B, heads, T_q, D), k (B, groups, T_k, D), v (B, groups, "
        "T_k, D_v), and the result (B, heads, T_q, D_v). heads / groups heads in a row share keys and values (Ainslie "
        "et al., 2023). mask is \"causal\": query i sees the keys up to i + T_k - T_q; or an array that broadcasts to "
        "(B, heads, T_q, T_k): of bools, true where a query sees a key, or of numbers that are added to the scores. A "
        "query that sees none averages all values. sinks, one number for each head, are scores of keys more, whose "
        "values are 0. Scores of 16-bit floats and their softmax are computed in float32. There is no second kernel "
        "that force_fused could choose: ValueError if it is true, and for shapes, dtypes and names of masks that do "
        "not fit."};
array scaled_dot_product_attention(const array& q, const array& k, const array& v, double scale,
    const AttentionMask& mask, const std::optional<array>& sinks, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = attention_info.name;
  Dtype dtype = floating_dtype(op, {q, k, v}), wide = wide_of(dtype);
  check_attention(op, q, k, v, mask, sinks, dtype);
  const Dim heads = q.shape(1), groups = k.shape(1), queries = q.shape(2), keys = k.shape(2);
  // There are fewer queries than scores to scale; but 16-bit ones may be rounded, unless it is by a power of two.
  int exponent = 0;
  const bool exact = wide == dtype || (dtype == bfloat16 && std::frexp(std::abs(scale), &exponent) == 0.5);
  const bool shared = !surely_equal(heads, groups);
  array rows = astype(q, dtype);
  if (exact) {
    rows = multiply(rows, array(scale, dtype));
  }
  array scores = wide_matmul(shared ? grouped(rows, groups) : rows, swapaxes(astype(k, dtype), -1, -2));
  if (!exact) {
    scores = multiply(scores, array(scale, wide));
  }
  if (shared) {
    scores = reshape(scores, {q.shape(0), heads, queries, keys});
  }
  if (mask.causal && !surely_equal(queries, 1)) { // a single query sees all keys
    array last = add(numbers(queries, int32), size_number(keys - queries, int32));
    scores = masked(scores, greater_equal(expand_dims(last, 1), numbers(keys, int32)));
  }
  if (mask.given) {
    scores = masked(scores, *mask.given);
  }
  if (sinks) {
    array more = broadcast_to(reshape(astype(*sinks, wide), {heads, 1, 1}), {q.shape(0), heads, queries, 1});
    scores = columns(softmax(concatenate({more, scores}, -1), -1), 1, keys + 1);
  } else {
    scores = softmax(scores, -1);
  }
  scores = astype(scores, dtype);
  array out = matmul(shared ? grouped(scores, groups) : scores, astype(v, dtype));
  return shared ? reshape(out, {q.shape(0), heads, queries, v.shape(3)}) : out;
}

static constexpr OpInfo gated_delta_info{.name = "fast.gated_delta_update",
    .summary = "Outputs and last state of a memory of keys and values that is read, faded and corrected step by step.",
    .accepts = Dtypes::floating,
    .example =
        ">>> x = mx.ones((1, 2, 1, 1))\n"
        ">>> [y.tolist() for y in mx.fast.gated_delta_update(x, x, 3 * x, x[..., 0], x[..., 0])]\n"
        "[[[[[3.0]], [[3.0]]]], [[[[3.0]]]]]",
    .details =
        "The gated delta rule (Yang et al., 2024): for each t, the state S is multiplied by gamma[t], beta[t] (v[t] - "
        "S k[t]) k[t]^T is added to it, and S q[t] is the output. q and k are (B, T, H_k, D_k), v (B, T, H_v, D_v), "
        "gamma and beta (B, T, H_v); H_v / H_k heads in a row share queries and keys. initial_state is (B, H_v, D_v, "
        "D_k), zeros by default. Where mask, (B, T), is false the state stays as it is and the output is 0. Returns "
        "the outputs, (B, T, H_v, D_v), and the last state, which is float32 for 16-bit floats. ValueError for shapes "
        "that do not fit."};
std::vector<array> gated_delta_update(const array& q, const array& k, const array& v, const array& gamma,
    const array& beta, const std::optional<array>& initial_state, const std::optional<array>& mask, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = gated_delta_info.name;
  Dtype out = floating_dtype(op, {q, k, v, gamma, beta}), wide = wide_of(out);
  const bool fits = q.ndim() == 4 && v.ndim() == 4;
  const Shape of_heads = fits ? Shape{v.shape(0), v.shape(1), v.shape(2)} : Shape{};
  if (!fits || !may_have_shape(q, {v.shape(0), v.shape(1), q.shape(2), q.shape(3)}) || !may_have_shape(k, q.shape()) ||
      !may_have_shape(gamma, of_heads) || !may_have_shape(beta, of_heads)) {
    fail(op, "q has shape ", q.shape(), ", k ", k.shape(), ", v ", v.shape(), ", gamma ", gamma.shape(), " and beta ",
        beta.shape(), "; they should be (B, T, H_k, D_k) twice, (B, T, H_v, D_v) and (B, T, H_v) twice.");
  }
  const int64_t heads = v.shape(2), key_heads = q.shape(2);
  if (key_heads == 0 ? heads != 0 : heads % key_heads != 0) {
    fail(op, "v has ", heads, " heads and k has ", key_heads, "; the former should be a multiple of the latter.");
  }
  const Shape state_shape{v.shape(0), heads, v.shape(3), q.shape(3)};
  if (initial_state && !may_have_shape(*initial_state, state_shape)) {
    fail(op, "initial_state has shape ", initial_state->shape(), "; it should be ", state_shape, ".");
  }
  if (mask && !may_have_shape(*mask, {v.shape(0), v.shape(1)})) {
    fail(op, "mask has shape ", mask->shape(), "; it should be ", Shape{v.shape(0), v.shape(1)}, ".");
  }
  const int sharing = key_heads == 0 ? 1 : static_cast<int>(heads / key_heads);
  auto by_time = [&](const array& a) { return moveaxis(astype(a, wide), 1, 0); };
  auto by_head = [&](const array& a) { return by_time(sharing == 1 ? a : repeat(a, sharing, 2)); };
  std::vector<array> xs{by_head(q), by_head(k), by_time(v), by_time(gamma), by_time(beta)};
  if (mask) {
    xs.push_back(moveaxis(not_equal(*mask, array(0, mask->dtype())), 1, 0));
  }
  auto step = [wide](const std::vector<array>& carry, const std::vector<array>& x) {
    array query = expand_dims(x[0], -1), key = expand_dims(x[1], -1), value = expand_dims(x[2], -1);
    array gate = expand_dims(x[3], {-1, -2}), rate = expand_dims(x[4], {-1, -2});
    array faded = multiply(carry[0], gate);
    array correction = multiply(subtract(value, matmul(faded, key)), rate);
    array state = add(faded, multiply(correction, swapaxes(key, -1, -2)));
    array output = squeeze(matmul(state, query), -1);
    if (x.size() > 5) {
      array seen = expand_dims(x[5], {-1, -2});
      state = where(expand_dims(seen, -1), state, carry[0]);
      output = where(seen, output, array(0, wide));
    }
    return Scanned{{state}, {output}};
  };
  array first = initial_state ? astype(*initial_state, wide) : zeros(state_shape, wide);
  Scanned done = scan(step, {first}, xs);
  return {astype(moveaxis(done.ys[0], 0, 1), out), done.carry[0]};
}

std::span<const OpInfo* const> attention_ops() {
  static constexpr const OpInfo* ops[] = {&rope_info, &attention_info, &gated_delta_info};
  return ops;
}

} // namespace mlx::core::fast
