// What all primitives share: applying them, comparing their parameters, the elementwise kind and functions.
#include "mlx_core/primitive.h"

#include <cstring>

#include "mlx_core/ops.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/registry.h"

namespace mlx::core {

void detail::add_primitive_reference(const Primitive* p) { p->references_.fetch_add(1, std::memory_order_relaxed); }
void detail::drop_primitive_reference(const Primitive* p) {
  if (p->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete p;
  }
}

PrimitiveRef self(const Primitive& p) {
  detail::add_primitive_reference(&p);
  return PrimitiveRef(&p);
}

namespace {

// For errors: the name of an op that makes such nodes.
const char* op_name(const Primitive& primitive) {
  for (const OpInfo* op : registered_ops()) {
    if (op->primitive && std::strcmp(op->primitive, primitive.name()) == 0) {
      return op->name;
    }
  }
  return primitive.name();
}

// What infer() says, if there can be such arrays.
Specs checked_specs(const Primitive& primitive, Operands operands) {
  try {
    Specs specs = primitive.infer(operands);
    for (const Spec& spec : specs) {
      check_shape(SizeError::no_op, spec.shape);
    }
    return specs;
  } catch (const SizeError& error) {
    if (error.names_op()) {
      throw;
    }
    error.rethrow_in(op_name(primitive));
  }
}

} // namespace

array applied(const PrimitiveRef& primitive, std::span<const array> operands) {
  Specs specs = checked_specs(*primitive, operands);
  return array::make(primitive, std::move(specs[0]), operands);
}
array applied(const PrimitiveRef& primitive, std::initializer_list<array> operands) {
  return applied(primitive, std::span<const array>(operands.begin(), operands.size()));
}
std::vector<array> applied_many(const PrimitiveRef& primitive, std::span<const array> operands) {
  if (primitive->output_count() == 1) {
    return {applied(primitive, operands)};
  }
  return array::make_many(primitive, checked_specs(*primitive, operands), operands);
}

bool accepts(Dtypes set, Dtype dtype) {
  switch (set) {
    case Dtypes::all: return true;
    case Dtypes::numeric: return !dtype.is_bool();
    case Dtypes::inexact: return dtype.is_inexact();
    case Dtypes::floating: return dtype.is_floating();
    case Dtypes::real: return !dtype.is_complex();
    case Dtypes::integral: return !dtype.is_inexact();
    case Dtypes::complex: return dtype.is_complex();
  }
  return false;
}

void Primitive::eval_gpu(Operands, std::span<array>) const {
  fail<std::runtime_error>(name(), "this build has no GPU backend; evaluate on mx.cpu.");
}

// --- parameters ---

namespace {

class ParamPrinter final : public ParamVisitor {
 public:
  std::string text;
  void operator()(const char* name, bool v) override { put(name, v ? "True" : "False"); }
  void operator()(const char* name, int64_t v) override { put(name, std::to_string(v)); }
  void operator()(const char* name, Dim v) override { put(name, v.to_string()); }
  void operator()(const char* name, double v) override {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.17g", v);
    put(name, digits);
  }
  void operator()(const char* name, std::string_view v) override { put(name, "'" + std::string(v) + "'"); }
  void operator()(const char* name, Dtype v) override { put(name, std::string(name_of(v))); }
  void operator()(const char* name, const Shape& v) override { put(name, to_string(v)); }
  void operator()(const char* name, std::span<const int64_t> v) override { put_list(name, v); }
  void operator()(const char* name, std::span<const int> v) override { put_list(name, v); }
  void operator()(const char* name, const FunctionBody& v) override {
    // Bodies are equal when they are the same one.
    put(name, "function@" + std::to_string(reinterpret_cast<uintptr_t>(&v)));
  }

 private:
  void put(const char* name, const std::string& value) {
    text += (text.empty() ? "" : ", ") + std::string(name) + "=" + value;
  }
  template <typename T>
  void put_list(const char* name, std::span<const T> values) {
    std::string list = "(";
    for (T v : values) {
      list += std::to_string(v) + ",";
    }
    put(name, list + ")");
  }
};

} // namespace

std::string params_to_string(const Primitive& p) {
  ParamPrinter printer;
  p.visit(printer);
  return "(" + printer.text + ")";
}
bool equivalent(const Primitive& a, const Primitive& b) {
  return &a == &b || (std::strcmp(a.name(), b.name()) == 0 && params_to_string(a) == params_to_string(b));
}
uint64_t hash_of(const Primitive& p) { return std::hash<std::string>()(std::string(p.name()) + params_to_string(p)); }

// --- the elementwise kind ---

cpu::Kernel Elementwise::kernel(Operands operands, Dtype) const {
  return cpu::find_kernel(body(), operands.back().dtype());
}

Specs Elementwise::infer(Operands operands) const {
  Shape shape = operands[0].shape();
  for (const array& operand : operands.subspan(1)) {
    if (!surely_equal(operand.shape(), shape)) {
      shape = broadcast_shapes(name(), shape, operand.shape());
    }
  }
  return {Spec{std::move(shape), cpu::output_dtype(body(), operands.back().dtype())}};
}

void Elementwise::eval_cpu(Operands, std::span<array>) const {
  fail<std::logic_error>(name(), "elementwise primitives are evaluated as fused programs.");
}

Mapped Elementwise::vmap(Operands operands, const MapAxes& axes) const {
  // The rank of one lane's output decides where each operand's own axes start behind the batch axis.
  int lane_rank = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    lane_rank = std::max(lane_rank, operands[i].ndim() - (axes[i] ? 1 : 0));
  }
  std::vector<array> aligned;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!axes[i]) {
      aligned.push_back(operands[i]);
      continue;
    }
    array moved = moveaxis(operands[i], *axes[i], 0);
    Axes padding;
    for (int axis = 1; axis < 1 + lane_rank - (moved.ndim() - 1); ++axis) {
      padding.push_back(axis);
    }
    aligned.push_back(padding.empty() ? moved : expand_dims(moved, padding));
  }
  return {{applied(self(*this), aligned)}, {0}};
}

// --- projections ---

void Project::eval_cpu(Operands operands, std::span<array> outputs) const {
  const array& source = operands[0].node()->extra->outputs[static_cast<size_t>(index_)];
  outputs[0].share(source, source.strides());
}
Tangents Project::jvp(Operands, const Tangents&, Operands) const {
  fail<std::logic_error>("Project", "projections are differentiated with their application.");
}
Tangents Project::vjp(Operands, const Tangents&, Operands, std::span<const bool>) const {
  fail<std::logic_error>("Project", "projections are differentiated with their application.");
}
Mapped Project::vmap(Operands, const MapAxes&) const {
  fail<std::logic_error>("Project", "projections are mapped with their application.");
}

// --- functions ---

namespace {
Function::Rules function_rules{};
}

void Function::install(const Rules& rules) { function_rules = rules; }

Specs Function::infer(Operands operands) const {
  Specs specs;
  bool same = true; // shapes and dtypes as when the body was recorded
  for (size_t i = 0; i < operands.size(); ++i) {
    size_t parameters = body_->parameters.size();
    const array& recorded = i < parameters ? body_->parameters[i] : body_->captured[i - parameters];
    same = same && recorded.dtype() == operands[i].dtype() && recorded.shape() == operands[i].shape();
  }
  if (same) {
    for (const array& output : body_->outputs) {
      specs.push_back({output.shape(), output.dtype()});
    }
    return specs;
  }
  // Replaying the body re-runs every shape rule; the nodes made on the way are dropped.
  for (const array& output : function_rules.replay(*body_, operands)) {
    specs.push_back({output.shape(), output.dtype()});
  }
  return specs;
}
void Function::eval_cpu(Operands operands, std::span<array> outputs) const {
  std::vector<array> results = function_rules.replay(*body_, operands);
  eval(std::span<const array>(results));
  for (size_t i = 0; i < results.size(); ++i) {
    outputs[i].share(results[i], results[i].strides());
  }
}
Tangents Function::jvp(Operands primals, const Tangents& tangents, Operands outputs) const {
  return function_rules.jvp(*this, primals, tangents, outputs);
}
Tangents Function::vjp(
    Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const {
  return function_rules.vjp(*this, primals, cotangents, outputs, wanted);
}
Mapped Function::vmap(Operands operands, const MapAxes& axes) const {
  return function_rules.vmap(*this, operands, axes);
}

} // namespace mlx::core
