// What all primitives share: applying them, the elementwise kind and projections.
#include "mlx_core/primitive.h"

#include <cstring>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/registry.h"

namespace mlx::core {

namespace {
constexpr uint32_t not_counted = UINT32_MAX; // of a primitive that is kept for ever
}
void detail::add_primitive_reference(const Primitive* p) {
  if (p->references_.load(std::memory_order_relaxed) != not_counted) {
    p->references_.fetch_add(1, std::memory_order_relaxed);
  }
}
void detail::drop_primitive_reference(const Primitive* p) {
  if (p->references_.load(std::memory_order_relaxed) != not_counted && is_last(p->references_)) {
    delete p;
  }
}
void detail::keep_primitive(const Primitive* p) { p->references_.store(not_counted, std::memory_order_relaxed); }

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

void Primitive::eval(Operands operands, std::span<array> outputs, Kernels& kernels) const {
  for (const array& operand : operands) {
    host_ready(*operand.node());
  }
  kernels.device() == Device::cpu ? eval_cpu(operands, outputs) : eval_gpu(operands, outputs);
}
std::unique_ptr<Repetition> Primitive::repeated(std::vector<array>, std::vector<array>) const { return nullptr; }
Tangent Primitive::vjp_onto(const array&, Operands, const array&) const { return std::nullopt; }
void Primitive::eval_cpu(Operands, std::span<array>) const {
  fail<std::logic_error>(name(), "this primitive says neither eval nor eval_cpu, so it cannot be computed.");
}
void Primitive::eval_gpu(Operands operands, std::span<array> outputs) const { eval_cpu(operands, outputs); }

// --- the elementwise kind ---

Specs Elementwise::infer(Operands operands) const {
  Shape shape = operands[0].shape();
  for (const array& operand : operands.subspan(1)) {
    if (!surely_equal(operand.shape(), shape)) {
      shape = broadcast_shapes(name(), shape, operand.shape());
    }
  }
  return {Spec{std::move(shape), output_dtype(body(), operands.back().dtype())}};
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

void Project::eval(Operands operands, std::span<array> outputs, Kernels&) const {
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

} // namespace mlx::core
