// array: an immutable value, known by its shape and dtype, that is computed when somebody reads it.
//
// An array points at a node. A node is a leaf that holds data, or the result of a primitive applied to operands.
// Copying an array copies the pointer. Nodes never change, except that evaluation fills in their data and lets their
// operands go.
#pragma once

#include <atomic>
#include <exception>
#include <optional>
#include <span>
#include <vector>

#include "mlx_core/allocator.h"
#include "mlx_core/backend/view.h"
#include "mlx_core/device.h"
#include "mlx_core/dtype.h"
#include "mlx_core/error.h"
#include "mlx_core/shape.h"

namespace mlx::core {

class Primitive;
class Kernels;
class array;
struct Node;

namespace detail {
void add_primitive_reference(const Primitive* p);
void drop_primitive_reference(const Primitive* p);
void keep_primitive(const Primitive* p);
void destroy(Node* node);
} // namespace detail

// A counted pointer to an immutable primitive.
class PrimitiveRef {
 public:
  PrimitiveRef() = default;
  explicit PrimitiveRef(const Primitive* adopted) : p_(adopted) {}
  PrimitiveRef(const PrimitiveRef& other) : p_(other.p_) {
    if (p_) {
      detail::add_primitive_reference(p_);
    }
  }
  PrimitiveRef(PrimitiveRef&& other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
  PrimitiveRef& operator=(PrimitiveRef other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~PrimitiveRef() {
    if (p_) {
      detail::drop_primitive_reference(p_);
    }
  }
  // The same, of a primitive that is never let go: its references are not counted any more.
  PrimitiveRef&& kept_for_ever() && {
    detail::keep_primitive(p_);
    return std::move(*this);
  }
  const Primitive* get() const { return p_; }
  const Primitive* operator->() const { return p_; }
  const Primitive& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }

 private:
  const Primitive* p_ = nullptr;
};

// Shape and dtype of an array that does not exist yet.
struct Spec {
  Shape shape;
  Dtype dtype;
};
using Specs = SmallVector<Spec, 1>;

class array {
 public:
  // A scalar.
  template <typename T>
    requires(std::is_arithmetic_v<T> || std::is_same_v<T, complex64_t> || std::is_same_v<T, complex128_t> ||
             std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>)
  explicit array(T value, Dtype dtype = default_dtype<T>());
  // One axis of values.
  template <typename T>
  array(std::initializer_list<T> values, Dtype dtype = default_dtype<T>());
  // Row-major values; [first, first + size of shape) is read.
  template <std::input_iterator It>
  array(It first, Shape shape, Dtype dtype = default_dtype<typename std::iterator_traits<It>::value_type>());
  // A leaf over existing memory. strides in elements, offset in bytes.
  array(BufferRef buffer, int64_t offset, Shape shape, Strides strides, Dtype dtype);
  // A leaf whose memory is new and uninitialised (row-major).
  static array uninitialized(Shape shape, Dtype dtype);
  // A scalar leaf from the bytes of one element.
  static array scalar_from_bytes(const void* element, Dtype dtype);

  array(const array& other) noexcept;
  array(array&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  array& operator=(const array& other) noexcept {
    array copy(other);
    std::swap(node_, copy.node_);
    return *this;
  }
  array& operator=(array&& other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~array();

  const Shape& shape() const;
  Dim shape(int axis) const; // negative axes count from the end
  int ndim() const { return static_cast<int>(shape().size()); }
  Dim size() const { return size_of(shape()); }
  Dtype dtype() const;
  int itemsize() const { return dtype().size(); }
  size_t nbytes() const { return bytes_of(size(), itemsize()); }
  uintptr_t id() const { return reinterpret_cast<uintptr_t>(node_); }

  // Computes the value. Throws what computing it threw.
  void eval() const;
  // Evaluates, then reads the only element, converted to T.
  template <typename T>
  T item() const;
  // Element pointer of an evaluated array; mind strides().
  template <typename T>
  const T* data() const {
    return static_cast<const T*>(raw_data());
  }
  bool is_available() const;
  bool is_row_contiguous() const;
  const Strides& strides() const; // of an evaluated array, in elements

  // --- For primitives, transforms and eval ---
  Node* node() const { return node_; }
  static array from_node(Node* adopted) { return array(adopted); }
  // A node for `primitive` applied to operands. Shape and dtype are what its infer() says.
  static array make(PrimitiveRef primitive, Spec spec, std::initializer_list<array> operands);
  static array make(PrimitiveRef primitive, Spec spec, std::span<const array> operands);
  // The same for the ops of which most graphs are made: nothing is copied on the way to the node.
  static array make(const PrimitiveRef& primitive, const Shape& shape, Dtype dtype, const array& a);
  static array make(const PrimitiveRef& primitive, const Shape& shape, Dtype dtype, const array& a, const array& b);
  // The outputs of a primitive that has several.
  static std::vector<array> make_many(PrimitiveRef primitive, Specs specs, std::span<const array> operands);

  bool has_primitive() const;
  const Primitive& primitive() const;
  std::span<const array> operands() const;

  const void* raw_data() const; // evaluated arrays only; waits for the device that writes it
  void* mutable_data();         // inside eval_cpu, after allocate()
  View view() const;            // for kernels: inside eval, of operands, and of outputs after allocate()
  // Inside eval: give this output fresh row-major memory / another array's memory.
  void allocate();
  void share(const array& source, Strides strides, int64_t offset_elements = 0);
  void set_storage(BufferRef buffer, int64_t offset_bytes, Strides strides);
  // Inside eval: row-major memory that holds the operand's values, to be changed in part. It is the operand's own
  // memory when nobody else needs that and the primitive named the operand as reusable_operand(); a copy otherwise.
  // Everything that can fail or be interrupted without losing the operand comes before this call.
  void begin_with(const array& operand, Kernels& kernels);
  // Only takes the memory over; false where it cannot. For kernels that may write where they read.
  bool take_over(const array& operand);

 private:
  explicit array(Node* adopted) noexcept : node_(adopted) {}
  template <typename T>
  static constexpr Dtype default_dtype();
  template <typename T>
  static void write_element(void* to, T value, Dtype dtype);

  Node* node_;
};

// A node as an array for the time of a call, without a reference of its own.
union Uncounted {
  explicit Uncounted(Node* node) : value(array::from_node(node)) {}
  ~Uncounted() {}
  Uncounted(const Uncounted&) = delete;
  array value;
};

using Operands = std::span<const array>;
// An operand's tangent or cotangent; nullopt is a symbolic zero.
using Tangent = std::optional<array>;
using Tangents = SmallVector<Tangent, 3>;

// One node: one allocation, operands behind it.
struct Node {
  enum class State : uint8_t {
    lazy,      // not computed
    claimed,   // an evaluation is computing it, and alone reads its operands
    available, // data is there
    failed,    // computing it threw; `extra->error` says what
  };
  // What few nodes need.
  struct Extra {
    std::exception_ptr error;
    std::vector<array> outputs; // of a multi-output application: storage of each output
    // A vmap placeholder keeps the batched primal and its axis, so that reads inside the mapped function can answer.
    std::optional<array> batched;
    int batch_axis = 0;
  };

  std::atomic<uint32_t> references{1};
  std::atomic<State> state{State::lazy};
  Dtype dtype;
  bool row_contiguous = true;
  uint16_t operand_count = 0;    // 0 again once detached
  uint16_t operand_capacity = 0; // slots behind the node
  uint32_t origin = 0;           // index into the table of source lines; 0 is unknown
  uint64_t level = 0;            // id of the innermost transform frame it depends on; 0 is none
  Shape shape;
  Strides strides;
  BufferRef buffer;
  int64_t offset = 0;                         // bytes
  alignas(16) unsigned char inline_value[16]; // of a scalar leaf without a buffer
  PrimitiveRef primitive;
  Extra* extra = nullptr;

  // Which evaluation has claimed it (0: none), and where that keeps its notes of it: see eval/claims.h.
  std::atomic<uint32_t> owner{0};
  uint32_t eval_index = 0;
  StreamNumber stream = 0; // on which it is computed
  // About how many nodes are to be computed for this one, itself included; at most 65535. See eval/pressure.h.
  uint16_t pending = 0;
  uint32_t note = 0; // eval/own_steps.cpp's, under the interpreter's lock

  array* operand_storage() { return reinterpret_cast<array*>(this + 1); }
  std::span<array> operands() { return {operand_storage(), operand_count}; }
  bool available() const { return state.load(std::memory_order_acquire) == State::available; }
  void* data() const {
    return buffer ? static_cast<void*>(static_cast<char*>(buffer->data) + offset)
                  : const_cast<unsigned char*>(inline_value);
  }
  Extra& ensure_extra() {
    if (!extra) {
      extra = new Extra;
    }
    return *extra;
  }
  // Makes it known why this could not be computed; when there is no memory to say so, that is what it says.
  void keep_error(std::exception_ptr error) noexcept;
  // Lets the operands and the primitive go; nested releases do not recurse.
  void detach();
  // Like detach(), but what was held goes when the result does.
  struct Detached {
    std::vector<array> operands;
    PrimitiveRef primitive;
  };
  Detached take_operands();
};

// The element conversion behind scalars, full and item: from a C++ value to any dtype.
void store_element(void* to, Dtype dtype, complex128_t value);
void store_element(void* to, Dtype dtype, int64_t value);
void store_element(void* to, Dtype dtype, uint64_t value);
complex128_t load_complex(const void* from, Dtype dtype);
int64_t load_int(const void* from, Dtype dtype); // floats truncate

// --- inline parts ---

inline array::array(const array& other) noexcept : node_(other.node_) {
  node_->references.fetch_add(1, std::memory_order_relaxed);
}
inline array::~array() {
  if (node_ && detail::is_last(node_->references)) {
    detail::destroy(node_);
  }
}
inline const Shape& array::shape() const { return node_->shape; }
inline Dtype array::dtype() const { return node_->dtype; }
inline bool array::is_available() const { return node_->available(); }
inline bool array::is_row_contiguous() const { return node_->row_contiguous; }
inline const Strides& array::strides() const { return node_->strides; }
inline bool array::has_primitive() const { return static_cast<bool>(node_->primitive); }
inline const Primitive& array::primitive() const { return *node_->primitive; }
inline Operands array::operands() const { return node_->operands(); }
// The same of what an evaluated node holds.
inline void host_ready(const Node& node) { host_ready(node.buffer.get()); }
inline const void* array::raw_data() const {
  host_ready(*node_);
  return node_->data();
}
inline void* array::mutable_data() { return node_->data(); }

template <typename T>
constexpr Dtype array::default_dtype() {
  // As in Python: C++ double literals mean float32, and plain integers int32.
  if constexpr (std::is_same_v<T, double> || std::is_same_v<T, long double>) {
    return float32;
  } else if constexpr (std::is_same_v<T, complex128_t>) {
    return complex64;
  } else if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
    return std::is_signed_v<T> ? int64 : uint64;
  } else {
    return dtype_of<T>::val;
  }
}

template <typename T>
void array::write_element(void* to, T value, Dtype dtype) {
  if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    store_element(to, dtype, static_cast<int64_t>(value));
  } else if constexpr (std::is_integral_v<T>) {
    store_element(to, dtype, static_cast<uint64_t>(value));
  } else if constexpr (std::is_same_v<T, complex64_t> || std::is_same_v<T, complex128_t>) {
    store_element(to, dtype, complex128_t(value));
  } else if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
    store_element(to, dtype, complex128_t(static_cast<float>(value)));
  } else {
    store_element(to, dtype, complex128_t(static_cast<double>(value)));
  }
}

template <typename T>
  requires(std::is_arithmetic_v<T> || std::is_same_v<T, complex64_t> || std::is_same_v<T, complex128_t> ||
           std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>)
array::array(T value, Dtype dtype) : node_(nullptr) {
  alignas(16) unsigned char element[16];
  write_element(element, value, dtype);
  *this = scalar_from_bytes(element, dtype);
}

template <std::input_iterator It>
array::array(It first, Shape shape, Dtype dtype) : array(uninitialized(std::move(shape), dtype)) {
  char* to = static_cast<char*>(mutable_data());
  for (int64_t n = size(); n > 0; --n, ++first, to += dtype.size()) {
    write_element(to, *first, dtype);
  }
}

template <typename T>
array::array(std::initializer_list<T> values, Dtype dtype)
    : array(values.begin(), Shape(1, static_cast<int64_t>(values.size())), dtype) {}

template <typename T>
T array::item() const {
  if (size() != 1) {
    fail("item", "the array has shape ", shape(), "; only an array of one element has a single value.");
  }
  eval();
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    return static_cast<T>(load_int(raw_data(), dtype()));
  } else if constexpr (std::is_same_v<T, complex64_t> || std::is_same_v<T, complex128_t>) {
    return T(load_complex(raw_data(), dtype()));
  } else {
    return static_cast<T>(load_complex(raw_data(), dtype()).real());
  }
}

// Computes all of them in one walk. Throws the first error; every array that could be computed is.
void eval(std::span<const array> arrays);
inline void eval(const std::vector<array>& arrays) { eval(std::span<const array>(arrays)); }
template <typename... Arrays>
  requires(std::is_same_v<std::remove_cvref_t<Arrays>, array> && ...)
void eval(const array& first, const Arrays&... rest) {
  array all[] = {first, rest...};
  eval(std::span<const array>(all));
}
// Starts computing and returns; reading a result waits for it.
void async_eval(std::vector<array> arrays);
// Waits until everything started on this stream (every stream) is done, and throws what went wrong there.
void synchronize();
void synchronize(Stream stream);

} // namespace mlx::core
