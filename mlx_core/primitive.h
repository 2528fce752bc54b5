// Primitive: one operation with every rule it has. OpInfo: what the registry, the bindings, the docs and the tests know
// of a public op.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "mlx_core/array.h"
#include "mlx_core/backend/body.h"
#include "mlx_core/origin.h"

namespace mlx::core {

class Kernels; // backend/kernels.h

// An absent rule is a fact about the op; the reason is the error's text.
struct NoRule {
  const char* because;
};
inline constexpr NoRule no_argument{"it has no array argument"};

// The dtypes an op takes without conversion.
enum class Dtypes : uint8_t {
  all,      // every dtype
  numeric,  // every dtype but bool
  inexact,  // floating and complex; integers and bool are promoted to float32
  floating, // real floating; integers and bool are promoted to float32, complex is an error
  real,     // everything but complex
  integral, // integers and bool
  complex,
};
bool accepts(Dtypes set, Dtype dtype);

// Where tests draw the arguments of an elementwise op: an open interval that keeps clear of poles and kinks.
struct Domain {
  double low = -3, high = 3;
};

// Whether a derivative exists.
enum class Differentiable : uint8_t {
  yes,
  zero, // piecewise constant: the derivative is zero wherever it exists
  no,   // the output carries no derivative at all (indices, bits)
};

struct OpInfo {
  const char* name;                // as in Python: "sinh"
  const char* primitive = nullptr; // the node's name and the Metal functor: "Sinh"; null for compositions
  const char* summary;             // the first line of the docstring
  Dtypes accepts = Dtypes::all;
  Differentiable differentiable = Differentiable::yes;
  NoRule no_derivative = {nullptr}; // says why, when it is not `yes`
  Domain domain = {};               // of every argument
  Domain second_domain = {0, 0};    // of the second argument where it differs ({0, 0}: it does not)
  double max_ulp = 0;               // bound for float32 and float64; 0 is exact
  const char* example = nullptr;    // a doctest
  const char* details = nullptr;    // further docstring: formula with its source, errors, shapes
  array (*unary)(const array&, StreamOrDevice) = nullptr;                // elementwise ops: the public
  array (*binary)(const array&, const array&, StreamOrDevice) = nullptr; // function, so that bindings and
  array (*ternary)(const array&, const array&, const array&, StreamOrDevice) = nullptr; // tests are loops
};

// How outputs depend on inputs; sparse Jacobians read it.
enum class Dependence : uint8_t { elementwise, moves_data, contracts_axes, opaque };

// What a few primitives are to those who follow values and derivatives through a graph, beyond their Dependence.
enum class Role : uint8_t {
  ordinary,
  argument,      // it hands its operand to a differentiated function
  barrier,       // no derivative passes
  repetition,    // of the operand's elements
  sum,           // over axes, or along one
  accumulation,  // moves_data, where several elements may be added up in one place
  product,       // of matrices
  chain_product, // of matrices, by the chain rule: a factor 0 makes a term 0
};

// How eval treats a primitive.
enum class EvalKind : uint8_t {
  general,     // eval on evaluated operands
  elementwise, // may join a fused group: see Elementwise
  reduction,   // over trailing axes it may join a fused group, too: see Reduce in ops/reduce.h
  view,        // eval only arranges strides: no work
  identity,    // the operand itself
  project,     // one output of a multi-output application: see Project
};

// A recorded function: see program/program.h.
class Program;
using SharedProgram = std::shared_ptr<const Program>;

// Visits a primitive's parameters by name, in order. They are values: what has only an address is no parameter.
// Params (params.h) keeps them, for comparing, hashing, printing, saving and making a primitive again.
class ParamVisitor {
 public:
  virtual ~ParamVisitor() = default;
  virtual void operator()(const char* name, bool value) = 0;
  virtual void operator()(const char* name, int64_t value) = 0;
  virtual void operator()(const char* name, Dim value) = 0;
  virtual void operator()(const char* name, double value) = 0;
  virtual void operator()(const char* name, std::string_view value) = 0;
  virtual void operator()(const char* name, Dtype value) = 0;
  virtual void operator()(const char* name, const Shape& value) = 0;
  virtual void operator()(const char* name, std::span<const int64_t> value) = 0;
  virtual void operator()(const char* name, std::span<const int> value) = 0;
  virtual void operator()(const char* name, const SharedProgram& value) = 0;
  void operator()(const char* name, int value) { (*this)(name, static_cast<int64_t>(value)); }
  void operator()(const char* name, const char* value) { (*this)(name, std::string_view(value)); }
  void operator()(const char* name, const Axes& value) { (*this)(name, std::span<const int>(value)); }
};

// vmap's axis of an operand or output; none when it is the same in every lane.
using MapAxis = std::optional<int>;
using MapAxes = SmallVector<MapAxis, 3>;
struct Mapped {
  std::vector<array> outputs;
  MapAxes axes;
};

// The evaluation of a primitive again and again: operands and results stay where they are in memory, and others change
// and read what is there meanwhile.
class Repetition {
 public:
  virtual ~Repetition() = default;
  virtual void run() = 0;
  // Their buffers are elsewhere now. Whether it can go on.
  virtual bool move() { return false; }
};

class Primitive {
 public:
  virtual ~Primitive() = default;

  virtual const char* name() const = 0;
  virtual EvalKind eval_kind() const { return EvalKind::general; }
  virtual Dependence dependence() const { return Dependence::opaque; }
  virtual Role role() const { return Role::ordinary; }
  virtual void visit(ParamVisitor&) const {}
  // Of a primitive that holds more than parameters say (functions of the user's): a number that no other such thing
  // has. Primitives are equal where name, parameters and identity are.
  virtual uint64_t identity() const { return 0; }

  // Shape and dtype of each output: a pure function of the operands' shapes, dtypes and the parameters.
  virtual Specs infer(Operands operands) const = 0;
  virtual int output_count() const { return 1; }

  // Operands are evaluated; outputs have shape and dtype, and get their storage here. The work is asked for, on
  // whatever device, in terms of kernels (backend/request.h). A primitive of the user's may do the work itself, in
  // eval_cpu: it finds operands that may be read and memory that may be written, on every device; and in eval_gpu,
  // which calls eval_cpu unless it is overridden.
  virtual void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const;
  virtual void eval_cpu(Operands operands, std::span<array> outputs) const;
  virtual void eval_gpu(Operands operands, std::span<array> outputs) const;
  // Whether the output is the operand's elements in their row-major order, under another shape or broadcast.
  virtual bool keeps_order() const { return false; }
  // The element-steps of a Repetition by the host, for lists of calls (eval/call_list.h); none: there is no such thing,
  // or it would gain nothing.
  virtual std::optional<int64_t> repeatable_work() const { return std::nullopt; }
  virtual std::unique_ptr<Repetition> repeated(std::vector<array> operands, std::vector<array> results) const;
  // The operand whose memory the first output takes over when nobody else needs it (array::begin_with); -1: none.
  virtual int reusable_operand() const { return -1; }

  // Tangents of the outputs, given those of the operands (nullopt: zero). outputs are this application's own.
  virtual Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const = 0;
  // Cotangents of the operands, given those of the outputs. Entries whose wanted[i] is false may be left out.
  virtual Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const = 0;
  // `sum` and the cotangent of operand 0 together, for rules that need not make the latter to add it: of a part of an
  // array it is zero elsewhere.
  virtual Tangent vjp_onto(const array& sum, Operands primals, const array& cotangent) const;
  // The primitive over a batch: operand i is mapped over axes[i] where it has one.
  virtual Mapped vmap(Operands operands, const MapAxes& axes) const = 0;

 private:
  friend void detail::add_primitive_reference(const Primitive*);
  friend void detail::drop_primitive_reference(const Primitive*);
  friend void detail::keep_primitive(const Primitive*);
  mutable std::atomic<uint32_t> references_{1};
};

// Applies a primitive to operands: infers the outputs and makes the node.
array applied(const PrimitiveRef& primitive, std::initializer_list<array> operands);
array applied(const PrimitiveRef& primitive, std::span<const array> operands);
std::vector<array> applied_many(const PrimitiveRef& primitive, std::span<const array> operands);
// The primitive of a node, as a reference that rules can apply again.
PrimitiveRef self(const Primitive& p);

template <typename P, typename... Args>
PrimitiveRef make_primitive(Args&&... args) {
  return PrimitiveRef(new P(std::forward<Args>(args)...));
}

// Parameters as text, "(axis=1, keepdims=True)", and equality of primitives by name and parameters.
std::string params_to_string(const Primitive& p);
bool equivalent(const Primitive& a, const Primitive& b);
uint64_t hash_of(const Primitive& p);

// One elementwise body over same-shaped or broadcasting operands. Fused at eval.
class Elementwise : public Primitive {
 public:
  EvalKind eval_kind() const final { return EvalKind::elementwise; }
  Dependence dependence() const final { return Dependence::elementwise; }
  // What is computed, of the last operand's dtype. A cast is Body::copy between two dtypes.
  virtual Body body() const = 0;
  Specs infer(Operands operands) const override;
  Mapped vmap(Operands operands, const MapAxes& axes) const final;
};

// Output `index` of the multi-output application that is its only operand.
class Project final : public Primitive {
 public:
  Project(int index, Spec spec) : index_(index), spec_(std::move(spec)) {}
  int index() const { return index_; }
  const char* name() const override { return "Project"; }
  EvalKind eval_kind() const override { return EvalKind::project; }
  void visit(ParamVisitor& v) const override { v("index", index_); }
  Specs infer(Operands) const override { return {spec_}; }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override;
  // The transforms treat an application and its projections together; these are never called.
  Tangents jvp(Operands, const Tangents&, Operands) const override;
  Tangents vjp(Operands, const Tangents&, Operands, std::span<const bool>) const override;
  Mapped vmap(Operands, const MapAxes&) const override;

 private:
  int index_;
  Spec spec_;
};

} // namespace mlx::core
