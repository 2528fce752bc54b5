// Nodes: making them, letting them go without recursion, and reading their elements.
#include "mlx_core/array.h"

#include <cstddef>
#include <cstring>
#include <limits>
#include <new>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/eval/pressure.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/node_pool.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

// Read on every operation: placed in the static TLS block, which needs no call to find.
#define MLX_FAST_THREAD_LOCAL [[gnu::tls_model("initial-exec")]] thread_local

template <typename Fill>
inline Node* new_node(size_t operand_count, Fill&& fill) {
  if (operand_count > std::numeric_limits<uint16_t>::max()) {
    fail("array", "an operation cannot take ", operand_count, " operands; the most is 65535.");
  }
  static_assert(alignof(Node) <= alignof(std::max_align_t));
  void* raw = detail::node_pool.take(operand_count, sizeof(Node) + operand_count * sizeof(array));
  fill(static_cast<Node*>(raw)->operand_storage());
  Node* node = new (raw) Node;
  node->operand_count = node->operand_capacity = static_cast<uint16_t>(operand_count);
  return node;
}

Node* new_leaf() {
  return new_node(0, [](array*) {});
}

void free_node(Node* node) {
  size_t operand_count = node->operand_capacity;
  node->~Node();
  detail::node_pool.give(node, operand_count);
}

// Nodes whose last reference went while another was being destroyed, linked through `level`.
MLX_FAST_THREAD_LOCAL Node* doomed = nullptr;
MLX_FAST_THREAD_LOCAL bool destroying = false;

MLX_FAST_THREAD_LOCAL uint32_t current_origin = 0;
std::atomic<OriginHook> origin_hook{nullptr};

MLX_FAST_THREAD_LOCAL uint64_t level_floor = 0;
MLX_FAST_THREAD_LOCAL uint32_t nodes_made = 0;

} // namespace

LevelFloor::LevelFloor(uint64_t level) : outer_(std::exchange(level_floor, level)) {}
LevelFloor::~LevelFloor() { level_floor = outer_; }

namespace {
Node::Extra& out_of_memory();
}

void detail::destroy(Node* node) {
  if (node->operand_count == 0 && !node->primitive && !node->extra) { // nothing goes with it
    free_node(node);
    return;
  }
  node->level = reinterpret_cast<uintptr_t>(doomed);
  doomed = node;
  if (destroying) {
    return;
  }
  destroying = true;
  while (Node* next = doomed) {
    doomed = reinterpret_cast<Node*>(next->level);
    next->detach();
    if (next->extra && next->extra != &out_of_memory()) {
      delete next->extra;
    }
    free_node(next);
  }
  destroying = false;
}

namespace {

// Of nodes whose error found no memory.
Node::Extra& out_of_memory() {
  static Node::Extra& extra = *new Node::Extra{std::make_exception_ptr(std::bad_alloc()), {}, std::nullopt};
  return extra;
}
[[maybe_unused]] Node::Extra& made_early = out_of_memory();

} // namespace

void Node::keep_error(std::exception_ptr error) noexcept {
  try {
    ensure_extra().error = std::move(error);
  } catch (const std::bad_alloc&) {
    extra = &out_of_memory();
  }
}

void Node::detach() {
  std::span<array> held = operands();
  operand_count = 0; // the slots are not looked at again
  std::destroy(held.begin(), held.end());
  primitive = PrimitiveRef();
}

Node::Detached Node::take_operands() {
  Detached out;
  out.operands.reserve(operand_count);
  for (array& operand : operands()) {
    out.operands.push_back(std::move(operand));
  }
  operand_count = 0;
  out.primitive = std::exchange(primitive, PrimitiveRef());
  return out;
}

// --- making arrays ---

namespace {

// operand(k) is the k-th one. Shape and dtype are the caller's to set.
template <typename Operand>
inline Node* new_application(PrimitiveRef&& primitive, size_t count, Operand&& operand) {
  if (++nodes_made % 256 == 0) { // transforms and recordings build graphs for as long as these are large
    throw_if_interrupted();
  }
  Node* node = new_node(count, [&](array* slot) { // before the node is written to: counting waits for that
    for (size_t k = 0; k < count; ++k) {
      new (slot++) array(operand(k));
    }
  });
  // Of what is pending behind the operands, the longest counts in full and the others up to a limit: a sum over all
  // would count shared parts again and again, and double at each step of h = h + f(h).
  constexpr uint32_t most_of_another = 16;
  uint32_t longest = 0, others = 0;
  const Node* last = nullptr;
  uint64_t level = level_floor;
  for (size_t k = 0; k < count; ++k) {
    const Node* from = operand(k).node();
    level = std::max(level, from->level);
    if (from != last && !from->available()) {
      others += std::min(std::min<uint32_t>(from->pending, longest), most_of_another);
      longest = std::max<uint32_t>(longest, from->pending);
    }
    last = from;
  }
  node->level = level;
  node->pending = static_cast<uint16_t>(std::min<uint32_t>(1 + longest + others, UINT16_MAX));
  node->primitive = std::move(primitive);
  node->stream = current_stream();
  node->origin = current_origin;
  if (OriginHook hook = origin_hook.load(std::memory_order_relaxed); hook && !current_origin) [[unlikely]] {
    node->origin = hook();
  }
  return node;
}

inline Node* new_application(PrimitiveRef&& primitive, Spec&& spec, std::span<const array> operands) {
  Node* node =
      new_application(std::move(primitive), operands.size(), [&](size_t k) -> const array& { return operands[k]; });
  node->dtype = spec.dtype;
  node->shape = std::move(spec.shape);
  return node;
}

template <typename... Arrays>
inline Node* application_to(const PrimitiveRef& primitive, const Shape& shape, Dtype dtype, const Arrays&... operands) {
  const array* all[] = {&operands...};
  Node* node =
      new_application(PrimitiveRef(primitive), sizeof...(Arrays), [&](size_t k) -> const array& { return *all[k]; });
  node->dtype = dtype;
  node->shape = shape;
  return node;
}

} // namespace

array array::make(PrimitiveRef primitive, Spec spec, std::span<const array> operands) {
  array made(new_application(std::move(primitive), std::move(spec), operands));
  relieve_pressure(made);
  return made;
}

array array::make(PrimitiveRef primitive, Spec spec, std::initializer_list<array> operands) {
  return make(std::move(primitive), std::move(spec), std::span<const array>(operands.begin(), operands.size()));
}

array array::make(const PrimitiveRef& primitive, const Shape& shape, Dtype dtype, const array& a) {
  array made(application_to(primitive, shape, dtype, a));
  relieve_pressure(made);
  return made;
}

array array::make(const PrimitiveRef& primitive, const Shape& shape, Dtype dtype, const array& a, const array& b) {
  array made(application_to(primitive, shape, dtype, a, b));
  relieve_pressure(made);
  return made;
}

std::vector<array> array::make_many(PrimitiveRef primitive, Specs specs, std::span<const array> operands) {
  array application(new_application(std::move(primitive), Spec{Shape{}, bool_}, operands));
  Node::Extra& extra = application.node()->ensure_extra();
  extra.outputs.reserve(specs.size());
  for (const Spec& spec : specs) {
    Node* storage = new_leaf();
    storage->shape = spec.shape;
    storage->dtype = spec.dtype;
    extra.outputs.push_back(array(storage));
  }
  std::vector<array> outputs;
  outputs.reserve(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) { // from the first one on the application may be computed: see pressure.h
    outputs.push_back(make(make_primitive<Project>(static_cast<int>(i), specs[i]), specs[i], {application}));
  }
  return outputs;
}

array::array(BufferRef buffer, int64_t offset, Shape shape, Strides strides, Dtype dtype) : node_(new_leaf()) {
  node_->dtype = dtype;
  node_->shape = std::move(shape);
  set_storage(std::move(buffer), offset, std::move(strides));
  node_->state.store(Node::State::available, std::memory_order_release);
}

array array::uninitialized(Shape shape, Dtype dtype) {
  check_shape("array", shape);
  array out(new_leaf());
  Node* node = out.node_;
  node->dtype = dtype;
  node->buffer = core::allocate(bytes_of(size_of(shape), dtype.size()));
  node->strides = row_major_strides(shape);
  node->shape = std::move(shape);
  node->state.store(Node::State::available, std::memory_order_release);
  return out;
}

array array::scalar_from_bytes(const void* element, Dtype dtype) {
  array out(new_leaf());
  out.node_->dtype = dtype;
  std::memcpy(out.node_->inline_value, element, static_cast<size_t>(dtype.size()));
  out.node_->state.store(Node::State::available, std::memory_order_release);
  return out;
}

// --- storage ---

Dim array::shape(int axis) const { return node_->shape[static_cast<size_t>(normalize_axis("shape", axis, ndim()))]; }

View array::view() const {
  return {node_->buffer.get(), node_->offset, node_->inline_value, dtype(), sizes_of(shape()), node_->strides};
}

void array::allocate() { set_storage(core::allocate(nbytes()), 0, row_major_strides(shape())); }

void array::share(const array& source, Strides strides, int64_t offset_elements) {
  Node* from = source.node_;
  if (!from->buffer) { // a scalar kept in its node
    BufferRef copy = core::allocate(sizeof(node_->inline_value));
    std::memcpy(copy->data, from->inline_value, sizeof(node_->inline_value));
    set_storage(std::move(copy), 0, std::move(strides));
    return;
  }
  set_storage(from->buffer, from->offset + offset_elements * source.itemsize(), std::move(strides));
}

void array::set_storage(BufferRef buffer, int64_t offset_bytes, Strides strides) {
  node_->buffer = std::move(buffer);
  node_->offset = offset_bytes;
  int64_t expected = 1;
  bool contiguous = true;
  for (size_t i = strides.size(); i-- > 0;) {
    int64_t length = node_->shape[i];
    contiguous = contiguous && (length == 1 || strides[i] == expected);
    expected *= length;
  }
  node_->row_contiguous = contiguous || expected == 0;
  node_->strides = std::move(strides);
}

void array::eval() const {
  if (!is_available() || node_->operand_count != 0) { // one computed inside a transform may let its operands go now
    core::eval(std::span<const array>(this, 1));
  }
  host_ready(*node_);
}

// --- elements ---

namespace {

// Out of range and NaN are defined: floats saturate to the integer's range, NaN is 0.
template <typename T>
T float_to_integer(double value) {
  if (value != value) {
    return 0;
  }
  if (value <= static_cast<double>(std::numeric_limits<T>::min())) {
    return std::numeric_limits<T>::min();
  }
  if (value >= static_cast<double>(std::numeric_limits<T>::max())) {
    return std::numeric_limits<T>::max();
  }
  return static_cast<T>(value);
}

template <typename V>
void store(void* to, Dtype dtype, V value) {
  cpu::with_type(dtype, [&]<class T>(std::type_identity<T>) {
    T element;
    if constexpr (std::is_same_v<V, complex128_t>) {
      if constexpr (cpu::is_complex<T>) {
        element = T(value);
      } else if constexpr (std::is_same_v<T, bool>) {
        element = value != 0.0;
      } else if constexpr (std::is_integral_v<T>) {
        element = float_to_integer<T>(value.real());
      } else if constexpr (cpu::is_half<T>) {
        element = T(static_cast<float>(value.real()));
      } else {
        element = static_cast<T>(value.real());
      }
    } else if constexpr (cpu::is_complex<T>) {
      element = T(static_cast<typename T::value_type>(value));
    } else if constexpr (cpu::is_half<T>) {
      element = T(static_cast<float>(value));
    } else {
      element = static_cast<T>(value);
    }
    std::memcpy(to, &element, sizeof(T));
  });
}

} // namespace

void store_element(void* to, Dtype dtype, complex128_t value) { store(to, dtype, value); }
void store_element(void* to, Dtype dtype, int64_t value) { store(to, dtype, value); }
void store_element(void* to, Dtype dtype, uint64_t value) { store(to, dtype, value); }

complex128_t load_complex(const void* from, Dtype dtype) {
  complex128_t out;
  cpu::with_type(dtype, [&]<class T>(std::type_identity<T>) {
    T element;
    std::memcpy(&element, from, sizeof(T));
    if constexpr (cpu::is_complex<T>) {
      out = complex128_t(element);
    } else if constexpr (cpu::is_half<T>) {
      out = static_cast<double>(static_cast<float>(element));
    } else {
      out = static_cast<double>(element);
    }
  });
  return out;
}

int64_t load_int(const void* from, Dtype dtype) {
  int64_t out = 0;
  cpu::with_type(dtype, [&]<class T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>) {
      T element;
      std::memcpy(&element, from, sizeof(T));
      out = static_cast<int64_t>(element);
    } else {
      out = float_to_integer<int64_t>(load_complex(from, dtype).real());
    }
  });
  return out;
}

// --- origins of nodes ---

OriginScope::OriginScope(uint32_t origin) : outer_(current_origin) { current_origin = origin; }
OriginScope::OriginScope(uint32_t origin, const char* pass, int64_t lanes) : outer_(current_origin) {
  current_origin = origin ? origin_in_pass(origin, pass, lanes) : 0;
}
OriginScope::~OriginScope() { current_origin = outer_; }
void set_origin_hook(OriginHook hook) { origin_hook.store(hook); }

} // namespace mlx::core
