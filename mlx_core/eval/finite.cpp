// FiniteCheck: which operation made the first NaN or infinity.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "mlx_core/debug.h"
#include "mlx_core/eval/hidden_slopes.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

// A float is finite unless all bits of its exponent are set.
template <typename Bits>
int64_t first_non_finite(const char* data, int64_t count, Bits exponent) {
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, data + i * static_cast<int64_t>(sizeof(Bits)), sizeof(Bits));
    if ((bits & exponent) == exponent) {
      return i;
    }
  }
  return -1;
}

// Element number of the first of `count` adjacent elements; -1 when all are finite.
int64_t first_non_finite(const char* data, int64_t count, Dtype dtype) {
  switch (dtype.val) {
    case Dtype::Val::float16: return first_non_finite<uint16_t>(data, count, 0x7c00);
    case Dtype::Val::bfloat16: return first_non_finite<uint16_t>(data, count, 0x7f80);
    case Dtype::Val::float32: return first_non_finite<uint32_t>(data, count, 0x7f800000);
    case Dtype::Val::float64: return first_non_finite<uint64_t>(data, count, 0x7ff0000000000000);
    case Dtype::Val::complex64: {
      int64_t part = first_non_finite<uint32_t>(data, 2 * count, 0x7f800000);
      return part < 0 ? part : part / 2;
    }
    case Dtype::Val::complex128: {
      int64_t part = first_non_finite<uint64_t>(data, 2 * count, 0x7ff0000000000000);
      return part < 0 ? part : part / 2;
    }
    default: return -1;
  }
}

constexpr int64_t looks_after = 1 << 20; // elements, for an interrupt

struct Found {
  Sizes index;
  complex128_t value;
};

std::optional<Found> find_non_finite(const Node& node) {
  if (!node.dtype.is_inexact()) {
    return std::nullopt;
  }
  host_ready(node);
  const char* data = static_cast<const char*>(node.data());
  int64_t size = size_of(node.shape), item = node.dtype.size();
  Sizes index(node.shape.size(), 0);
  InterruptPoll poll(looks_after);
  if (node.row_contiguous) {
    int64_t at = -1;
    for (int64_t first = 0; at < 0 && first < size; first += looks_after) {
      poll(looks_after);
      int64_t place = first_non_finite(data + first * item, std::min(looks_after, size - first), node.dtype);
      at = place < 0 ? -1 : first + place;
    }
    if (at < 0) {
      return std::nullopt;
    }
    int64_t rest = at;
    for (size_t axis = index.size(); axis-- > 0;) {
      int64_t length = node.shape[axis];
      index[axis] = rest % length;
      rest /= length;
    }
    return Found{index, load_complex(data + at * item, node.dtype)};
  }
  for (int64_t i = 0; i < size; ++i) {
    poll();
    int64_t offset = 0;
    for (size_t axis = 0; axis < index.size(); ++axis) {
      offset += index[axis] * node.strides[axis];
    }
    if (first_non_finite(data + offset * item, 1, node.dtype) == 0) {
      return Found{index, load_complex(data + offset * item, node.dtype)};
    }
    for (size_t axis = index.size(); axis-- > 0 && ++index[axis] == static_cast<int64_t>(node.shape[axis]);) {
      index[axis] = 0;
    }
  }
  return std::nullopt;
}

std::string shown(complex128_t value, Dtype dtype) {
  auto real = [](double x) { return std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf"; };
  if (!dtype.is_complex()) {
    return real(value.real());
  }
  auto part = [&](double x) { return std::isfinite(x) ? std::to_string(x) : std::string(real(x)); };
  return part(value.real()) + "+" + part(value.imag()) + "j";
}

// ", lane 2 of 4": where along the axes that vmap added.
std::string lanes_text(const Origin& origin, const Node& result, const Sizes& index) {
  std::string text;
  for (const Origin::Lanes& lanes : origin.lanes) {
    size_t axis = static_cast<size_t>(lanes.axis);
    if (axis < index.size() && result.shape[axis] == Dim(lanes.count)) {
      text += (text.empty() ? ", lane " : ", ") + std::to_string(index[axis]) + " of " + std::to_string(lanes.count);
    }
  }
  return text;
}

// The line and the pass.
std::string source_of(const Origin& origin) {
  std::string place = origin.place();
  return "Line: " + (place.empty() ? "unknown, as it was called before debug_nans" : place) +
         "; pass: " + (origin.pass.empty() ? "forward" : origin.pass) + ".";
}

[[noreturn]] void blame(const Node& node, const Node& result, const Found& found) {
  const Origin& origin = origin_at(node.origin);
  std::string operands, params = params_to_string(*node.primitive);
  for (const array& operand : const_cast<Node&>(node).operands()) {
    operands +=
        (operands.empty() ? "" : ", ") + std::string(name_of(operand.dtype())) + " " + to_string(operand.shape());
  }
  fail<NonFiniteError>("debug_nans", node.primitive->name(), params == "()" ? "" : params, " gave ",
      shown(found.value, result.dtype), " at index ", to_string(Shape(found.index.begin(), found.index.end())),
      lanes_text(origin, result, found.index), " of a result of dtype ", result.dtype, " and shape ", result.shape,
      ", from finite operands (", operands.empty() ? "none" : operands, "). ", source_of(origin));
}

[[noreturn]] void blame_hidden(const Node& node, const Sizes& index) {
  const Origin& origin = origin_at(node.origin);
  fail<NonFiniteError>("debug_nans", node.primitive->name(),
      " hid an infinite or NaN slope behind a slope of 0 at index ", to_string(Shape(index.begin(), index.end())),
      lanes_text(origin, node, index), " of a result of dtype ", node.dtype, " and shape ", node.shape,
      ": in the chain rule 0 times anything is 0, and no mask says that this is meant. Write the function so that it "
      "has "
      "a finite slope there, or take the place out with mx.where. ",
      source_of(origin));
}

bool only_moves(const Node& node) {
  EvalKind kind = node.primitive->eval_kind();
  return kind == EvalKind::view || kind == EvalKind::identity || kind == EvalKind::project;
}

} // namespace

struct FiniteCheck::Observer final : EvalObserver {
  // The operands' memory, by nested pass: holding it keeps it from being given to the result.
  std::vector<std::vector<BufferRef>> held;
  HiddenSlopes slopes;

  bool op_by_op() const override { return true; }
  void before(std::span<Node* const> nodes) override {
    std::vector<BufferRef> buffers;
    for (Node* node : nodes) {
      for (const array& operand : node->operands()) {
        buffers.push_back(operand.node()->buffer);
      }
    }
    held.push_back(std::move(buffers));
  }
  void failed() override { held.pop_back(); }
  void after(std::span<Node* const> nodes) override {
    std::vector<BufferRef> buffers = std::move(held.back());
    held.pop_back();
    for (Node* node : nodes) {
      if (std::optional<Sizes> index = slopes.follow(*node)) {
        blame_hidden(*node, *index);
      }
      if (only_moves(*node)) {
        continue;
      }
      if (node->extra && !node->extra->outputs.empty()) {
        for (const array& output : node->extra->outputs) {
          check(*node, *output.node());
        }
      } else {
        check(*node, *node);
      }
    }
  }
  static void check(Node& node, const Node& result) {
    std::optional<Found> found = find_non_finite(result);
    if (!found) {
      return;
    }
    for (const array& operand : node.operands()) {
      if (find_non_finite(*operand.node())) {
        return; // it came from elsewhere: from what the program was given, say
      }
    }
    blame(node, result, *found);
  }
};

FiniteCheck::FiniteCheck() : observer_(new Observer) { add_eval_observer(observer_.get()); }
FiniteCheck::~FiniteCheck() { remove_eval_observer(observer_.get()); }

} // namespace mlx::core
