// HiddenSlopes: zeros with their origin, followed through a derivative.
#include "mlx_core/eval/hidden_slopes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

enum class Value : uint8_t { number, zero, not_finite };
// Where a zero comes from. What is not known counts as meant: zeros that the program computes or gives as cotangents.
enum class From : uint8_t { unknown, mask, slope };

template <typename T>
using PerElement = std::vector<T>; // in row-major order

// f(row-major position, element offset) for each element of an array of `shape` read with `strides`.
template <typename F>
void for_each_element(const Sizes& shape, const Strides& strides, F&& f) {
  int64_t count = 1;
  for (int64_t length : shape) {
    count *= length;
  }
  Sizes index(shape.size(), 0);
  for (int64_t i = 0, offset = 0; i < count; ++i) {
    f(static_cast<size_t>(i), offset);
    for (size_t axis = shape.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) {
        break;
      }
      offset -= index[axis] * strides[axis];
      index[axis] = 0;
    }
  }
}

template <typename F>
auto each_number(const Node& node, F&& f) {
  PerElement<decltype(f(complex128_t()))> out(static_cast<size_t>(static_cast<int64_t>(size_of(node.shape))));
  host_ready(node);
  const char* data = static_cast<const char*>(node.data());
  int64_t item = node.dtype.size();
  Strides strides = node.row_contiguous ? row_major_strides(node.shape) : node.strides;
  for_each_element(sizes_of(node.shape), strides,
      [&](size_t i, int64_t offset) { out[i] = f(load_complex(data + offset * item, node.dtype)); });
  return out;
}
PerElement<Value> values_of(const Node& node) {
  return each_number(node, [](complex128_t x) {
    bool finite = std::isfinite(x.real()) && std::isfinite(x.imag());
    return !finite ? Value::not_finite : x == complex128_t(0) ? Value::zero : Value::number;
  });
}

// What an operand of shape `from` has at each element of a result that it broadcasts to.
template <typename T>
PerElement<T> broadcast(PerElement<T> values, const Shape& from, const Shape& to) {
  if (from == to) {
    return values;
  }
  Strides strides(to.size(), 0), own = row_major_strides(from);
  size_t shift = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    strides[shift + i] = from[i] == to[shift + i] ? own[i] : 0;
  }
  PerElement<T> out(static_cast<size_t>(static_cast<int64_t>(size_of(to))));
  for_each_element(
      sizes_of(to), strides, [&](size_t i, int64_t offset) { out[i] = values[static_cast<size_t>(offset)]; });
  return out;
}

// Linear in each operand that is no index, with coefficients 0 and 1.
bool moves_or_sums(const Primitive& p) { return p.dependence() == Dependence::moves_data || p.role() == Role::sum; }

// What padding is made of.
bool is_constant(const array& a) { return a.node()->shape.empty() && !a.node()->primitive; }

} // namespace

struct HiddenSlopes::Impl {
  struct Entry {
    array keep; // while it is here no other node has its address
    PerElement<From> from;
  };
  std::unordered_map<const Node*, Entry> known;
  size_t prune_at = 64;

  PerElement<From> origins_of(const array& a) const {
    auto found = known.find(a.node());
    return found != known.end() ? found->second.from
                                : PerElement<From>(static_cast<size_t>(static_cast<int64_t>(a.size())), From::unknown);
  }
  bool knows(const array& a) const { return known.count(a.node()) != 0; }

  void remember(Node& node, PerElement<From> from) {
    if (std::all_of(from.begin(), from.end(), [](From f) { return f == From::unknown; })) {
      return;
    }
    if (known.size() >= prune_at) {
      std::erase_if(known, [](const auto& item) { return item.first->references.load() == 1; }); // only ours
      prune_at = std::max<size_t>(64, 2 * known.size());
    }
    node.references.fetch_add(1, std::memory_order_relaxed);
    known.insert_or_assign(&node, Entry{array::from_node(&node), std::move(from)});
  }

  // An operand's values and origins at each element of the result.
  struct Operand {
    PerElement<Value> value;
    PerElement<From> from;
  };
  Operand operand(const array& a, const Shape& result) const {
    return {broadcast(values_of(*a.node()), a.shape(), result), broadcast(origins_of(a), a.shape(), result)};
  }

  // a times b, or a over b: the first is a tangent or cotangent.
  std::optional<size_t> chain_product(Node& node, bool divides) {
    Operand a = operand(node.operands()[0], node.shape), b = operand(node.operands()[1], node.shape);
    PerElement<From> from(a.value.size(), From::unknown);
    std::optional<size_t> hidden;
    for (size_t i = 0; i < from.size(); ++i) {
      bool slope_zero = b.value[i] == (divides ? Value::not_finite : Value::zero);
      bool slope_bad = b.value[i] == (divides ? Value::zero : Value::not_finite);
      if (a.value[i] == Value::zero) {
        from[i] = a.from[i];
        if (slope_bad && a.from[i] == From::slope && !hidden) {
          hidden = i;
        }
      } else if (slope_zero) {
        from[i] = b.from[i] == From::mask ? From::mask : From::slope;
        if (a.value[i] == Value::not_finite && b.from[i] != From::mask && !divides && !hidden) {
          hidden = i;
        }
      }
    }
    remember(node, std::move(from));
    return hidden;
  }

  void select(Node& node) {
    Node& condition = *node.operands()[0].node();
    PerElement<Value> chosen = broadcast(values_of(condition), condition.shape, node.shape);
    Operand x = operand(node.operands()[1], node.shape), y = operand(node.operands()[2], node.shape);
    PerElement<From> from(chosen.size(), From::unknown);
    for (size_t i = 0; i < from.size(); ++i) {
      const Operand& taken = chosen[i] == Value::zero ? y : x;
      if (taken.value[i] == Value::zero) {
        from[i] = taken.from[i] == From::unknown ? From::mask : taken.from[i];
      }
    }
    remember(node, std::move(from));
  }

  void share(Node& node) {
    auto numbers = [&](const array& x) {
      return broadcast(
          each_number(*x.node(), [](complex128_t number) { return number.real(); }), x.shape(), node.shape);
    };
    PerElement<double> a = numbers(node.operands()[1]), b = numbers(node.operands()[2]);
    Operand g = operand(node.operands()[0], node.shape);
    PerElement<From> from(a.size(), From::unknown);
    for (size_t i = 0; i < from.size(); ++i) {
      bool counts = a[i] >= b[i];
      if (!counts || g.value[i] == Value::zero) {
        from[i] = !counts || g.from[i] == From::unknown ? From::mask : g.from[i];
      }
    }
    remember(node, std::move(from));
  }

  void elementwise(Node& node) {
    PerElement<Value> result = values_of(node);
    PerElement<From> from(result.size(), From::unknown);
    for (const array& a : node.operands()) {
      if (!knows(a)) {
        continue;
      }
      Operand x = operand(a, node.shape);
      for (size_t i = 0; i < from.size(); ++i) {
        if (result[i] == Value::zero && x.value[i] == Value::zero) {
          from[i] = std::max(from[i], x.from[i]);
        }
      }
    }
    remember(node, std::move(from));
  }

  // The primitive over indicators in place of its floating operands: where the result is not 0, one of those that reach
  // it is chosen.
  template <typename Choose>
  PerElement<Value> reached(Node& node, Choose&& choose) {
    std::vector<array> operands;
    for (const array& a : node.operands()) {
      if (!a.dtype().is_inexact()) {
        operands.push_back(a);
        continue;
      }
      PerElement<Value> value = values_of(*a.node());
      PerElement<From> from = origins_of(a);
      bool constant = is_constant(a) && !knows(a);
      array indicator = array::uninitialized(a.shape(), a.dtype());
      char* to = static_cast<char*>(indicator.node()->data());
      array one(1, a.dtype());
      auto item = static_cast<size_t>(a.itemsize());
      for (size_t i = 0; i < value.size(); ++i) {
        From origin = constant && value[i] == Value::zero ? From::mask : from[i];
        if (choose(value[i], origin)) {
          std::memcpy(to + i * item, one.node()->data(), item);
        } else {
          std::memset(to + i * item, 0, item);
        }
      }
      operands.push_back(std::move(indicator));
    }
    array result = array::make(node.primitive, Spec{node.shape, node.dtype}, operands);
    node.primitive->eval(operands, std::span<array>(&result, 1), host_kernels());
    return values_of(*result.node());
  }
  void moved(Node& node) {
    PerElement<Value> result = values_of(node);
    if (std::none_of(result.begin(), result.end(), [](Value v) { return v == Value::zero; })) {
      return;
    }
    PerElement<Value> by_slope = reached(node, [](Value v, From f) { return v == Value::zero && f == From::slope; });
    PerElement<Value> by_other = reached(node, [](Value v, From f) { return v != Value::zero || f != From::mask; });
    PerElement<From> from(result.size(), From::unknown);
    for (size_t i = 0; i < from.size(); ++i) {
      if (result[i] == Value::zero) {
        from[i] = by_slope[i] != Value::zero ? From::slope : by_other[i] == Value::zero ? From::mask : From::unknown;
      }
    }
    remember(node, std::move(from));
  }

  // Zeros of a matrix product: those of a row or column that is masked altogether are a mask's.
  void matrix_product(Node& node) {
    const array &a = node.operands()[0], &b = node.operands()[1];
    auto k = static_cast<int64_t>(a.shape(-1)), m = static_cast<int64_t>(a.shape(-2)),
         n = static_cast<int64_t>(b.shape(-1));
    PerElement<Value> of_a = values_of(*a.node()), of_b = values_of(*b.node()), result = values_of(node);
    PerElement<From> from_a = origins_of(a), from_b = origins_of(b), from(result.size(), From::unknown);
    auto masked = [](const PerElement<Value>& value, const PerElement<From>& from, int64_t start, int64_t step,
                      int64_t count) {
      for (int64_t l = 0; l < count; ++l) {
        auto at = static_cast<size_t>(start + l * step);
        if (value[at] != Value::zero || from[at] != From::mask) {
          return false;
        }
      }
      return true;
    };
    for (size_t at = 0; at < result.size(); ++at) {
      if (result[at] == Value::zero) {
        auto i = static_cast<int64_t>(at), lane = i / (m * n);
        bool mask = masked(of_a, from_a, i / n * k, 1, k) || masked(of_b, from_b, lane * k * n + i % n, n, k);
        from[at] = mask ? From::mask : From::slope;
      }
    }
    remember(node, std::move(from));
  }
};

HiddenSlopes::HiddenSlopes() : impl_(new Impl) {}
HiddenSlopes::~HiddenSlopes() = default;

std::optional<Sizes> HiddenSlopes::follow(Node& node) {
  const Primitive& primitive = *node.primitive;
  if (!node.dtype.is_inexact() || node.operand_count == 0 || (node.extra && !node.extra->outputs.empty())) {
    return std::nullopt;
  }
  bool any_known = false, any_constant = false;
  for (const array& a : node.operands()) {
    any_known = any_known || impl_->knows(a);
    any_constant = any_constant || is_constant(a);
  }
  std::optional<size_t> hidden;
  if (primitive.eval_kind() == EvalKind::elementwise) {
    switch (static_cast<const Elementwise&>(primitive).body()) {
      case Body::zero_times: hidden = impl_->chain_product(node, false); break;
      case Body::zero_divide: hidden = impl_->chain_product(node, true); break;
      case Body::select: impl_->select(node); break;
      case Body::share: impl_->share(node); break;
      default:
        if (any_known) {
          impl_->elementwise(node);
        }
    }
  } else if (primitive.role() == Role::chain_product) {
    impl_->matrix_product(node);
  } else if (moves_or_sums(primitive) && (any_known || any_constant)) {
    impl_->moved(node);
  }
  if (!hidden) {
    return std::nullopt;
  }
  Sizes index(node.shape.size(), 0);
  auto rest = static_cast<int64_t>(*hidden);
  for (size_t axis = index.size(); axis-- > 0;) {
    int64_t length = node.shape[axis];
    index[axis] = rest % length;
    rest /= length;
  }
  return index;
}

} // namespace mlx::core
