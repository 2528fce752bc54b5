// Random keys: making and splitting them, the implicit sequence of this process, and the primitive that turns a key
// into bits. A key is two uint32; the bits are Threefry's (cpu/random_bits.h), so the same key always gives the same
// bits.
#include "mlx_core/ops/random/random_keys.h"
#include "mlx_core/backend/kernels.h"

#include <chrono>
#include <limits>
#include <mutex>
#include <utility>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/random_bits.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

// Keys of shape (..., 2) -> bits of shape (..., *shape): leading axes of the keys are independent draws, which is what
// a mapped key becomes.
class RandomBits final : public Primitive {
 public:
  RandomBits(Shape shape, int width) : shape_(std::move(shape)), width_(width) {}

  const char* name() const override { return "RandomBits"; }
  Dependence dependence() const override { return Dependence::contracts_axes; } // on both halves of a key
  void visit(ParamVisitor& v) const override {
    v("shape", shape_);
    v("width", width_);
  }

  Specs infer(Operands operands) const override {
    const Shape& keys = operands[0].shape();
    Shape shape(keys.begin(), keys.end() - 1);
    for (Dim length : shape_) {
      shape.push_back(length);
    }
    return {Spec{std::move(shape), dtype()}};
  }

  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array& keys = operands[0];
    array& out = outputs[0];
    out.allocate();
    if (keys.is_row_contiguous()) {
      return kernels.run(kernel::RandomBits{keys.view(), out.view()});
    }
    array gathered = array::uninitialized(keys.shape(), uint32);
    kernels.run(kernel::Copy{keys.view(), gathered.view()});
    kernels.run(kernel::RandomBits{gathered.view(), out.view()});
  }

  MLX_ZERO_DERIVATIVES

  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{applied(self(*this), {moveaxis(operands[0], *axes[0], 0)})}, {0}};
  }

 private:
  Dtype dtype() const {
    switch (width_) {
      case 1: return uint8;
      case 2: return uint16;
      case 4: return uint32;
      default: return uint64;
    }
  }

  Shape shape_;
  int width_;
};

namespace random {

// The implicit sequence: each draw splits `state` in two, keeps the first half and hands out the second.
struct KeySequence {
  std::mutex mutex;
  array state;
  size_t outer_vmaps = 0; // those that were open when it began: its draws do not differ between their lanes
};

namespace {

thread_local KeySequence* own_keys = nullptr; // inside a SequenceScope

KeySequence& implicit_keys() {
  if (own_keys) {
    return *own_keys;
  }
  auto now = [] {
    auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
  };
  static KeySequence& sequence = *new KeySequence{{}, key(now())};
  return sequence;
}

void check_key(const char* op, const array& key) {
  if (key.dtype() != uint32) {
    fail(op, "key has dtype ", key.dtype(), "; a key is an array of two uint32, as mx.random.key makes it.");
  }
  if (key.ndim() != 1 || key.shape(0) != 2) {
    fail(op, "key has shape ", key.shape(), "; a key has shape (2,). Index a batch of keys, or map over it with vmap.");
  }
}

std::pair<array, array> halves(const array& key) {
  if (!key.is_available()) {
    return split(key);
  }
  // A known key is split here and now: the sequence stays a leaf, however long nothing is evaluated.
  uint32_t words[2], both[4];
  cpu::read_strided(key.raw_data(), sizes_of(key.shape()), key.strides(), sizeof(uint32_t), 0, 2, words);
  cpu::random_bits(words, 1, 2, sizeof(both), both);
  return {array(both, Shape{2}), array(both + 2, Shape{2})};
}

} // namespace

array key(uint64_t seed) {
  uint32_t words[] = {static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(seed)};
  return array(words, Shape{2});
}

void seed(uint64_t seed) { set_state(key(seed)); }

array state() {
  std::lock_guard lock(implicit_keys().mutex);
  return implicit_keys().state;
}

void set_state(const array& key) {
  check_key("random.state", key);
  std::lock_guard lock(implicit_keys().mutex);
  implicit_keys().state = key;
}

SequenceScope::SequenceScope(const array& start)
    : own_(new KeySequence{{}, start, open_vmaps().size()}), outer_(own_keys) {
  own_keys = own_;
}
SequenceScope::~SequenceScope() {
  own_keys = outer_;
  delete own_;
}
array SequenceScope::state() const { return own_->state; }

array next_key(const char* op) {
  KeySequence& sequence = implicit_keys();
  std::vector<OpenVmap> vmaps = open_vmaps();
  std::span<const OpenVmap> mapped = std::span(vmaps).subspan(sequence.outer_vmaps);
  for (const OpenVmap& frame : mapped) {
    if (frame.randomness == Randomness::error) {
      fail(op,
          "no key is given inside vmap with randomness \"error\". Give it a key, mapped or not; or choose "
          "randomness \"different\", for draws of each lane's own, or \"same\".");
    }
  }
  InterruptHold hold;
  std::unique_lock lock(sequence.mutex);
  auto [state, key] = halves(sequence.state);
  sequence.state = state;
  lock.unlock();
  // Every lane of every open vmap has its own, outermost first.
  for (const OpenVmap& frame : mapped) {
    if (frame.randomness == Randomness::different) {
      key = frame.map_in(frame, words(op, Shape{frame.lanes, 2}, 4, key, {}));
    }
  }
  return key;
}

array words(const char* op, const Shape& shape, int width, const std::optional<array>& key, const StreamOrDevice& s) {
  StreamScope on(s);
  check_shape(op, shape);
  Dim count = size_of(shape);
  if (!count.is_symbolic() && count > std::numeric_limits<int64_t>::max() / width) { // drawn, so they take memory
    fail(op, "shape ", shape, " is too large: its ", count, " numbers do not fit any memory.");
  }
  if (key) {
    check_key(op, *key);
  }
  return applied(make_primitive<RandomBits>(shape, width), {key ? *key : next_key(op)});
}

array split(const array& key, int num, StreamOrDevice s) {
  if (num < 0) {
    fail("random.split", "num is ", num, "; it cannot be negative.");
  }
  return words("random.split", Shape{num, 2}, 4, key, s);
}

std::pair<array, array> split(const array& key, StreamOrDevice s) {
  std::vector<array> keys = unstack(split(key, 2, s), 0);
  return {keys[0], keys[1]};
}

array bits(const Shape& shape, int width, const std::optional<array>& key, StreamOrDevice s) {
  if (width != 1 && width != 2 && width != 4) {
    fail("random.bits", "width is ", width, " bytes; it must be 1, 2 or 4.");
  }
  return words("random.bits", shape, width, key, s);
}

namespace {

constexpr OpInfo key_info{.name = "random.key",
    .summary = "A random key from a seed: two uint32.",
    .differentiable = Differentiable::no,
    .no_derivative = {"a key is made of integers"},
    .example = ">>> mx.random.key(7)\narray([0, 7], dtype=uint32)",
    .details = "Functions of mx.random that get the same key return the same numbers. Split a key to get new ones."};

constexpr OpInfo seed_info{.name = "random.seed",
    .summary = "Restarts the sequence of keys that functions of mx.random use when they get none.",
    .differentiable = Differentiable::no,
    .no_derivative = {"a seed is an integer"},
    .example = ">>> mx.random.seed(0)\n>>> mx.random.uniform(shape=(2,))\narray([0.576551, 0.299172], dtype=float32)",
    .details =
        "The sequence belongs to the process. Inside vmap every lane draws from a key of its own, unless its "
        "randomness "
        "says otherwise."};

constexpr OpInfo split_info{.name = "random.split",
    .primitive = "RandomBits",
    .summary = "Splits a key into num independent keys, of shape (num, 2).",
    .differentiable = Differentiable::no,
    .no_derivative = {"a key is made of integers"},
    .example =
        ">>> mx.random.split(mx.random.key(0))\narray([[4146024105, 967050713],\n"
        "       [2718843009, 1272950319]], dtype=uint32)"};

constexpr OpInfo bits_info{.name = "random.bits",
    .primitive = "RandomBits",
    .summary = "Uniformly random unsigned integers of width bytes each (1, 2 or 4).",
    .differentiable = Differentiable::no,
    .no_derivative = {"random bits are integers"},
    .example = ">>> mx.random.bits((2,), key=mx.random.key(3))\narray([1946498123, 2217676430], dtype=uint32)",
    .details = "Threefry-2x32 with 20 rounds (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011)."};

} // namespace

std::span<const OpInfo* const> key_ops() {
  static constexpr const OpInfo* ops[] = {&key_info, &seed_info, &split_info, &bits_info};
  return ops;
}

} // namespace random
} // namespace mlx::core
