// From a trace to operations. Each is made by the function that a program would call, which checks its arguments: a
// file is no more trusted than a user.
#include <algorithm>
#include <unordered_map>

#include "mlx_core/io/saved_function.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/linear_recurrence.h"
#include "mlx_core/ops/products.h"
#include "mlx_core/ops/random_keys.h"
#include "mlx_core/ops/range.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/ops/size_number.h"
#include "mlx_core/ops/symmetric_root.h"
#include "mlx_core/ops/unary.h"
#include "mlx_core/registry.h"
#include "mlx_core/transforms/control_flow_primitives.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core::io {

namespace {

constexpr const char* op_name = "import_function";
constexpr int64_t largest_size = int64_t{1} << 61; // sums of two do not overflow

// One operation's operands and parameters. What is missing or of another kind is an error.
class Call {
 public:
  Call(const SavedOp& op, std::vector<array> operands, const Given& given)
      : op_(op), operands_(std::move(operands)), given_(given) {}

  const array& operator[](size_t i) const {
    if (i >= operands_.size()) {
      fail(op_name, "an operand is missing.");
    }
    return operands_[i];
  }
  const std::vector<array>& operands() const { return operands_; }
  std::vector<array> operands_from(size_t first) const {
    (*this)[first - 1];
    return {operands_.begin() + static_cast<ptrdiff_t>(first), operands_.end()};
  }
  size_t result_count() const { return op_.results.size(); }

  bool flag(const char* name) const { return get<bool>(name); }
  double number(const char* name) const { return get<double>(name); }
  const std::string& text(const char* name) const { return get<std::string>(name); }
  Dtype dtype(const char* name) const { return get<Dtype>(name); }
  int64_t size(const char* name) const { return given_.value(get<SavedDim>(name)); }
  bool is_integer(const char* name) const {
    return std::any_of(op_.params.begin(), op_.params.end(),
        [&](const Param& param) { return param.name == name && std::holds_alternative<SavedDim>(param.value); });
  }
  int integer(const char* name) const {
    int64_t value = size(name);
    if (value != static_cast<int>(value)) {
      fail(op_name, "parameter ", name, " is ", value, ", which is out of range.");
    }
    return static_cast<int>(value);
  }
  Shape shape(const char* name) const { return given_.shape(get<std::vector<SavedDim>>(name)); }
  Axes axes(const char* name) const {
    Axes out;
    for (Dim d : shape(name)) {
      int64_t axis = d;
      if (axis < -1000 || axis > 1000) {
        fail(op_name, "parameter ", name, " has the axis ", axis, ".");
      }
      out.push_back(static_cast<int>(axis));
    }
    return out;
  }
  VectorFunction function(const char* name) const { return function_of(get<std::shared_ptr<const SavedBody>>(name)); }
  // All functions of this name, in order.
  std::vector<SweepBody> sweep_bodies(const char* name) const {
    std::vector<SweepBody> out;
    for (const Param& param : op_.params) {
      auto* body = std::get_if<std::shared_ptr<const SavedBody>>(&param.value);
      if (body && param.name == name) {
        out.push_back({function_of(*body), (*body)->outputs.size()});
      }
    }
    return out;
  }

 private:
  VectorFunction function_of(const std::shared_ptr<const SavedBody>& body) const {
    return [body, &given = given_](const std::vector<array>& args) { return rebuild(*body, args, given); };
  }
  template <typename T>
  const T& get(const char* name) const {
    for (const Param& param : op_.params) {
      if (param.name == name) {
        if (const T* value = std::get_if<T>(&param.value)) {
          return *value;
        }
        fail(op_name, "parameter ", name, " is of another kind.");
      }
    }
    fail(op_name, "parameter ", name, " is missing.");
  }

  const SavedOp& op_;
  std::vector<array> operands_;
  const Given& given_;
};

void expect(bool condition, const char* what) {
  if (!condition) {
    fail(op_name, what);
  }
}

// --- operations whose function takes other parameters than the primitive ---

// The bounds that select elements start + i * stride, i < count, along each axis.
Shape stops(const Shape& start, const Shape& count, const Shape& strides, const Shape& whole) {
  expect(start.size() == whole.size() && count.size() == whole.size() && strides.size() == whole.size(),
      "a slice has bounds for another number of axes.");
  Shape out(whole.size(), 0);
  for (size_t i = 0; i < whole.size(); ++i) {
    int64_t first = start[i], n = count[i], step = strides[i], length = whole[i], last = 0, stop = 0;
    expect(n >= 0 && (n == 0 || (first >= 0 && first < length)), "a slice begins outside of its array.");
    expect(!__builtin_mul_overflow(n - 1, step, &last) && !__builtin_add_overflow(first, last, &last) &&
               !__builtin_add_overflow(last, step > 0 ? 1 : -1, &stop),
        "the bounds of a slice are too large.");
    expect(n == 0 || (last >= 0 && last < length), "a slice ends outside of its array.");
    out[i] = n == 0 ? first : stop < 0 ? -length - 1 : stop;
  }
  return out;
}
array rebuilt_slice(const Call& c) {
  Shape start = c.shape("start"), strides = c.shape("strides");
  return slice(c[0], start, stops(start, c.shape("shape"), strides, c[0].shape()), strides);
}
array rebuilt_slice_update(const Call& c) {
  Shape start = c.shape("start"), strides = c.shape("strides");
  return slice_update(c[0], c[1], start, stops(start, c[1].shape(), strides, c[0].shape()), strides);
}

array rebuilt_arange(const Call& c) {
  int64_t size = c.size("size");
  expect(size >= 0, "arange has a negative size.");
  if (c.is_integer("start")) {
    return whole_range(c.size("start"), c.size("step"), size, c.dtype("dtype"));
  }
  double start = c.number("start"), step = c.number("step");
  // Half a step before the next number, so that rounding cannot add or drop one.
  double stop = size == 0 ? start : start + (static_cast<double>(size) - 0.5) * step;
  return step == 0 ? broadcast_to(arange(start, start + 1, 1, c.dtype("dtype")), Shape{size})
                   : arange(start, stop, step, c.dtype("dtype"));
}

// f over `axes` leading axes of every operand.
std::vector<array> over_leading(int axes, VectorFunction f, const std::vector<array>& operands) {
  for (const array& operand : operands) {
    expect(axes >= 0 && axes <= operand.ndim(), "there are more leading axes than an operand has.");
  }
  for (int i = 0; i < axes; ++i) {
    f = vmap(f);
  }
  return f(operands);
}
array rebuilt_searchsorted(const Call& c) {
  std::string side = c.flag("right") ? "right" : "left";
  return over_leading(c.integer("batch_rank"),
      [&](const std::vector<array>& in) { return std::vector<array>{searchsorted(in[0], in[1], side)}; },
      {c[0], c[1]})[0];
}
array rebuilt_bits(const Call& c) {
  int width = c.integer("width");
  Shape shape = c.shape("shape");
  expect(width == 1 || width == 2 || width == 4 || width == 8, "random bits have an unknown width.");
  auto draw = [&](const std::vector<array>& in) {
    return std::vector<array>{random::words(op_name, shape, width, in[0], {})};
  };
  return over_leading(c[0].ndim() - 1, draw, {c[0]})[0];
}

array rebuilt_pick(const Call& c) {
  const array &weights = c[0], &u = c[1];
  Shape leading = weights.shape(), others = u.shape();
  expect(
      !leading.empty() && !others.empty() && leading.back() > 0 && weights.dtype() == float32 && u.dtype() == float32,
      "the operands of a weighted pick do not fit.");
  leading.pop_back();
  others.pop_back();
  expect(leading == others, "the operands of a weighted pick do not fit.");
  return random::pick_by_weight(weights, u);
}
array rebuilt_recurrence(const Call& c) {
  int axis = c.integer("axis");
  expect(c[0].shape() == c[1].shape() && c[0].dtype() == c[1].dtype() && c[0].dtype().is_inexact() && axis >= 0 &&
             axis < c[0].ndim(),
      "the operands of a linear recurrence do not fit.");
  return linear_recurrence(c[0], c[1], axis, c.flag("reverse"));
}
const array& square_matrix(const array& a) {
  expect(a.ndim() >= 2 && a.shape(-1) == a.shape(-2) && (a.dtype() == float32 || a.dtype() == float64),
      "a matrix is not square, or of an unknown dtype.");
  return a;
}
array rebuilt_sylvester(const Call& c) {
  expect(c[0].shape() == c[1].shape() && c[0].dtype() == c[1].dtype(), "the matrices of a Sylvester equation differ.");
  return symmetric_sylvester(square_matrix(c[0]), c[1]);
}

std::vector<array> rebuilt_function(const Call& c) { return call_as_function(c.function("body"), c.operands()); }
// Rules written in Python are not saved: derivatives follow from the function.
std::vector<array> rebuilt_custom(const Call& c) { return c.function("body")(c.operands()); }

std::vector<array> rebuilt_loop(const Call& c) {
  expect(c.integer("states") >= 0, "a loop has a negative number of states.");
  return make_while_loop(
      static_cast<size_t>(c.integer("states")), c.function("condition"), c.function("body"), c.operands());
}
std::vector<array> rebuilt_scan(const Call& c) {
  expect(c.integer("carries") >= 0 && c.integer("inputs") >= 0, "a scan has a negative number of carries or inputs.");
  ScanLayout layout{static_cast<size_t>(c.integer("carries")), static_cast<size_t>(c.integer("inputs")),
      c.size("length"), c.flag("reverse"), {}};
  expect(layout.carries <= c.operands().size(), "a scan has more carries than operands.");
  layout.additive.resize(layout.carries);
  for (int i : c.axes("additive")) {
    expect(i >= 0 && static_cast<size_t>(i) < layout.carries, "a scan names a carry that it does not have.");
    layout.additive[static_cast<size_t>(i)] = true;
  }
  return make_scan_loop(layout, c.flag("saves"), c.function("body"), c.operands());
}

// --- the table ---

using Rebuild = std::vector<array> (*)(const Call&);

template <array (*f)(const Call&)>
std::vector<array> one(const Call& c) {
  return {f(c)};
}
// From a function of an array, axes and keepdims; of an array and an axis; ...
template <array (*f)(const array&, const Axes&, bool, StreamOrDevice)>
std::vector<array> reduction(const Call& c) {
  return {f(c[0], c.axes("axes"), c.flag("keepdims"), {})};
}
template <array (*f)(const array&, int, bool, bool, StreamOrDevice)>
std::vector<array> scan(const Call& c) {
  return {f(c[0], c.integer("axis"), c.flag("reverse"), c.flag("inclusive"), {})};
}
template <array (*f)(const array&, int, StreamOrDevice)>
std::vector<array> along(const Call& c) {
  return {f(c[0], c.integer("axis"), {})};
}
template <array (*f)(const array&, const std::vector<array>&, const array&, const Axes&, StreamOrDevice)>
std::vector<array> scattering(const Call& c) {
  return {f(c[0], c.operands_from(2), c[1], c.axes("axes"), {})};
}
template <array (*f)(const array&, const array&, const array&, int, StreamOrDevice)>
std::vector<array> writing_along(const Call& c) {
  return {f(c[0], c[1], c[2], c.integer("axis"), {})};
}

const std::unordered_map<std::string, Rebuild>& structural_rows() {
  using A = std::vector<array>;
  static const auto& rows = *new std::unordered_map<std::string, Rebuild>{
      {"Reshape", [](const Call& c) { return A{reshape(c[0], c.shape("shape"))}; }},
      {"Squeeze", [](const Call& c) { return A{squeeze(c[0], c.axes("axes"))}; }},
      {"ExpandDims", [](const Call& c) { return A{expand_dims(c[0], c.axes("axes"))}; }},
      {"Transpose", [](const Call& c) { return A{transpose(c[0], c.axes("axes"))}; }},
      {"Broadcast", [](const Call& c) { return A{broadcast_to(c[0], c.shape("shape"))}; }},
      {"Concatenate", [](const Call& c) { return A{concatenate(c.operands(), c.integer("axis"))}; }},
      {"Contiguous", [](const Call& c) { return A{contiguous(c[0])}; }},
      {"StopGradient", [](const Call& c) { return A{stop_gradient(c[0])}; }},
      {"AsStrided",
          [](const Call& c) {
            Shape strides = c.shape("strides");
            return A{as_strided(c[0], c.shape("shape"), Strides(strides.begin(), strides.end()), c.size("offset"))};
          }},
      {"Slice", one<rebuilt_slice>},
      {"SliceUpdate", one<rebuilt_slice_update>},
      {"Diagonal", [](const Call& c) { return A{diagonal(c[0], c.integer("offset"), -2, -1)}; }},
      {"AsType", [](const Call& c) { return A{astype(c[0], c.dtype("dtype"))}; }},
      {"View", [](const Call& c) { return A{view(c[0], c.dtype("dtype"))}; }},
      {"Arange", one<rebuilt_arange>},
      {"SizeNumber", [](const Call& c) { return A{size_number(c.size("size"), c.dtype("dtype"))}; }},
      {"Matmul", [](const Call& c) { return A{matmul(c[0], c[1])}; }},
      {"Gather",
          [](const Call& c) { return A{gather(c[0], c.operands_from(1), c.axes("axes"), c.shape("slice_sizes"))}; }},
      {"GatherAxis", [](const Call& c) { return A{take_along_axis(c[0], c[1], c.integer("axis"))}; }},
      {"Scatter", scattering<scatter>},
      {"ScatterAdd", scattering<scatter_add>},
      {"ScatterProd", scattering<scatter_prod>},
      {"ScatterMax", scattering<scatter_max>},
      {"ScatterMin", scattering<scatter_min>},
      {"ScatterAxis", writing_along<put_along_axis>},
      {"ScatterAddAxis", writing_along<scatter_add_axis>},
      {"Sum", reduction<sum>},
      {"Prod", reduction<prod>},
      {"Max", reduction<max>},
      {"Min", reduction<min>},
      {"All", reduction<all>},
      {"Any", reduction<any>},
      {"ArgReduce",
          [](const Call& c) {
            return A{(c.flag("max") ? argmax(c[0], c.integer("axis"), c.flag("keepdims"))
                                    : argmin(c[0], c.integer("axis"), c.flag("keepdims")))};
          }},
      {"CumSum", scan<cumsum>},
      {"CumProd", scan<cumprod>},
      {"CumMax", scan<cummax>},
      {"CumMin", scan<cummin>},
      {"LinearRecurrence", one<rebuilt_recurrence>},
      {"Sort", along<sort>},
      {"ArgSort", along<argsort>},
      {"ArgPartition", [](const Call& c) { return A{argpartition(c[0], c.integer("kth"), c.integer("axis"))}; }},
      {"SearchSorted", one<rebuilt_searchsorted>},
      {"RandomBits", one<rebuilt_bits>},
      {"PickByWeight", one<rebuilt_pick>},
      {"SymmetricSylvester", one<rebuilt_sylvester>},
      {"SymmetricRoot", [](const Call& c) { return A{root_of_symmetric(square_matrix(c[0]))}; }},
      {"Round", [](const Call& c) { return A{round(c[0])}; }},
      {"Gap", [](const Call& c) { return A{gap(c[0], c[1])}; }},
      {"NextAfter", [](const Call& c) { return A{next_after(c[0], c[1])}; }},
      {"ZeroDivide", [](const Call& c) { return A{zero_divide(c[0], c[1])}; }},
      {"ZeroMatmul", [](const Call& c) { return A{zero_matmul(c[0], c[1])}; }},
      {"ZeroTimes", [](const Call& c) { return A{zero_times(c[0], c[1])}; }},
      {"Same", [](const Call& c) { return A{same(c[0], c[1])}; }},
      {"Depends", [](const Call& c) { return depends({c[0]}, c.operands_from(1)); }},
      {"Cond", [](const Call& c) { return make_cond(c.function("true"), c.function("false"), c.operands()); }},
      {"WhileLoop", rebuilt_loop},
      {"ScanLoop", rebuilt_scan},
      {"Sweeps", [](const Call& c) { return make_sweeps(c.sweep_bodies("body"), c.operands()); }},
      {"Function", rebuilt_function},
      {"CustomFunction", rebuilt_custom},
  };
  return rows;
}

// Elementwise primitives have no parameters: the registry knows the function of each.
const OpInfo* elementwise_op(const std::string& name) {
  static const auto& ops = *[] {
    auto* found = new std::unordered_map<std::string, const OpInfo*>;
    for (const OpInfo* op : registered_ops()) {
      if (op->primitive && (op->unary || op->binary || op->ternary)) {
        found->emplace(op->primitive, op);
      }
    }
    return found;
  }();
  auto found = ops.find(name);
  return found == ops.end() ? nullptr : found->second;
}

std::vector<array> apply(const SavedOp& op, std::vector<array> operands, const Given& given) {
  Call call(op, std::move(operands), given);
  if (auto row = structural_rows().find(op.name); row != structural_rows().end()) {
    return row->second(call);
  }
  if (const OpInfo* info = elementwise_op(op.name)) {
    return {info->unary    ? info->unary(call[0], {})
            : info->binary ? info->binary(call[0], call[1], {})
                           : info->ternary(call[0], call[1], call[2], {})};
  }
  fail(op_name, "the operation is unknown; the file may come from a newer version.");
}

} // namespace

std::vector<int64_t> Given::values(const std::vector<SavedDim>& dims) const {
  std::vector<int64_t> out;
  for (SavedDim d : dims) {
    out.push_back(value(d));
    if (out.back() < -largest_size || out.back() > largest_size) {
      fail(op_name, "a size is ", out.back(), ".");
    }
  }
  return out;
}

std::vector<int64_t> evaluate(const SavedTrace& trace, const std::vector<int64_t>& symbols) {
  std::vector<int64_t> values;
  auto part = [&](SavedDim dim) { return dim.symbolic ? values.at(static_cast<size_t>(dim.value)) : dim.value; };
  for (const SavedExpression& e : trace.expressions) { // parts come first
    int64_t out = 0;
    bool undefined = false;
    if (e.op == 's') {
      out = symbols.at(static_cast<size_t>(e.left.value));
    } else {
      int64_t a = part(e.left), b = part(e.right);
      switch (e.op) {
        case '+': undefined = __builtin_add_overflow(a, b, &out); break;
        case '-': undefined = __builtin_sub_overflow(a, b, &out); break;
        case '*': undefined = __builtin_mul_overflow(a, b, &out); break;
        case '/':
          undefined = b == 0 || b == -1;
          out = undefined ? 0 : a / b;
          break;
        default: try { out = SymbolTrace::compute(static_cast<char>(e.op), a, b);
          } catch (const SizeError&) {
            undefined = true;
          }
      }
    }
    if (undefined) {
      fail(op_name, "a size cannot be computed from the sizes of the arguments.");
    }
    values.push_back(out);
  }
  return values;
}

bool can_rebuild(const std::string& name) { return structural_rows().count(name) || elementwise_op(name); }

std::vector<array> rebuild(const SavedBody& body, const std::vector<array>& args, const Given& given) {
  if (args.size() != body.inputs.size()) {
    fail(op_name, "a function inside has ", body.inputs.size(), " inputs but ", args.size(), " operands.");
  }
  std::vector<array> values(args);
  auto value = [&](int64_t at) -> const array& {
    return at < 0 ? given.constants.at(static_cast<size_t>(-1 - at)) : values.at(static_cast<size_t>(at));
  };
  for (const SavedOp& op : body.ops) {
    std::vector<array> operands, results;
    for (int64_t operand : op.operands) {
      operands.push_back(value(operand));
    }
    try {
      results = apply(op, std::move(operands), given);
      expect(results.size() == op.results.size(), "the number of results is another.");
      for (size_t i = 0; i < results.size(); ++i) {
        expect(results[i].dtype() == op.results[i].dtype && results[i].shape() == given.shape(op.results[i].shape),
            "the result has another shape or dtype than was recorded.");
      }
    } catch (const std::logic_error& error) { // invalid arguments, lengths and places
      fail(op_name, op.name, " cannot be made: ", error.what());
    }
    values.insert(values.end(), results.begin(), results.end());
  }
  std::vector<array> outputs;
  for (int64_t output : body.outputs) {
    outputs.push_back(value(output));
  }
  return outputs;
}

} // namespace mlx::core::io
