// Finding how an operation is made again, and reading what it is made of.
#include "mlx_core/remake.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "mlx_core/registry.h"

namespace mlx::core {

namespace {

constexpr const char* op = "remake";

// Those of users.
struct Added {
  std::mutex mutex;
  std::map<std::string, Remake, std::less<>> rows;
};
Added& added() {
  static Added& instance = *new Added;
  return instance;
}

const Remake* listed(std::string_view primitive) {
  static const auto& rows = *[] {
    auto* all = new std::map<std::string_view, const Remake*>;
    for (std::span<const Remake> family : registered_remakes()) {
      for (const Remake& remake : family) {
        all->emplace(remake.primitive, &remake);
      }
    }
    return all;
  }();
  auto found = rows.find(primitive);
  return found == rows.end() ? nullptr : found->second;
}

// Elementwise primitives have no parameters: the registry knows the function of each.
const OpInfo* elementwise_op(std::string_view primitive) {
  static const auto& ops = *[] {
    auto* found = new std::map<std::string_view, const OpInfo*>;
    for (const OpInfo* info : registered_ops()) {
      if (info->primitive && (info->unary || info->binary || info->ternary)) {
        found->emplace(info->primitive, info);
      }
    }
    return found;
  }();
  auto found = ops.find(primitive);
  return found == ops.end() ? nullptr : found->second;
}

std::optional<Remake> users(std::string_view primitive) {
  std::lock_guard lock(added().mutex);
  auto found = added().rows.find(primitive);
  return found == added().rows.end() ? std::nullopt : std::optional(found->second);
}

} // namespace

void add_remake(Remake remake) {
  if (listed(remake.primitive) || elementwise_op(remake.primitive)) {
    fail(op, "the library has a primitive ", remake.primitive, " itself; give yours another name.");
  }
  std::lock_guard lock(added().mutex);
  if (!added().rows.emplace(remake.primitive, remake).second) {
    fail(op, "there is a primitive ", remake.primitive, " already.");
  }
}

bool can_remake(std::string_view primitive) {
  return listed(primitive) || elementwise_op(primitive) || users(primitive);
}

std::vector<array> remade(std::string_view primitive, const Parts& p) {
  if (const Remake* remake = listed(primitive)) {
    return remake->make(p);
  }
  if (const OpInfo* info = elementwise_op(primitive)) {
    return {info->unary    ? info->unary(p[0], {})
            : info->binary ? info->binary(p[0], p[1], {})
                           : info->ternary(p[0], p[1], p[2], {})};
  }
  if (std::optional<Remake> remake = users(primitive)) {
    return remake->make(p);
  }
  fail(op, "the operation is unknown: it is one of a newer version, or of a library that is not loaded.");
}

// --- parts ---

template <typename T>
const T& Parts::get(std::string_view name) const {
  if (const T* value = params_.find<T>(name)) {
    return *value;
  }
  fail(op, "parameter ", name, " is missing, or of another kind.");
}

// For the header's.
template const bool& Parts::get<bool>(std::string_view) const;
template const double& Parts::get<double>(std::string_view) const;
template const std::string& Parts::get<std::string>(std::string_view) const;
template const Dtype& Parts::get<Dtype>(std::string_view) const;

const array& Parts::operator[](size_t i) const {
  require(i < operands_.size(), "an operand is missing.");
  return operands_[i];
}

std::vector<array> Parts::operands_from(size_t first) const {
  (*this)[first - 1];
  return {operands_.begin() + static_cast<ptrdiff_t>(first), operands_.end()};
}

Dim Parts::size(std::string_view name) const {
  const int64_t* number = params_.find<int64_t>(name);
  return number ? Dim(*number) : get<Dim>(name);
}

int Parts::integer(std::string_view name) const {
  int64_t value = size(name);
  if (value != static_cast<int>(value)) {
    fail(op, "parameter ", name, " is ", value, ", which is out of range.");
  }
  return static_cast<int>(value);
}

size_t Parts::count(std::string_view name) const {
  int value = integer(name);
  if (value < 0) {
    fail(op, "parameter ", name, " is ", value, "; it cannot be negative.");
  }
  return static_cast<size_t>(value);
}

Shape Parts::shape(std::string_view name) const {
  if (const Axes* axes = params_.find<Axes>(name)) {
    return Shape(axes->begin(), axes->end());
  }
  if (const std::vector<int64_t>* list = params_.find<std::vector<int64_t>>(name)) {
    return Shape(*list);
  }
  return get<Shape>(name);
}

Axes Parts::axes(std::string_view name) const {
  Axes out;
  for (Dim d : shape(name)) {
    int64_t axis = d;
    if (axis < -1000 || axis > 1000) {
      fail(op, "parameter ", name, " has the axis ", axis, ".");
    }
    out.push_back(static_cast<int>(axis));
  }
  return out;
}

bool Parts::has_function(std::string_view name) const {
  return std::any_of(functions_.begin(), functions_.end(), [&](const auto& entry) { return entry.first == name; });
}

const VectorFunction& Parts::function(std::string_view name, size_t number) const {
  for (const auto& [key, function] : functions_) {
    if (key == name && number-- == 0) {
      return function;
    }
  }
  fail(op, "the function ", name, " is missing.");
}

void Parts::require(bool condition, const char* text) {
  if (!condition) {
    fail(op, text);
  }
}

std::vector<array> over_leading(int axes, VectorFunction f, const std::vector<array>& operands) {
  for (const array& operand : operands) {
    Parts::require(axes >= 0 && axes <= operand.ndim(), "there are more leading axes than an operand has.");
  }
  for (int i = 0; i < axes; ++i) {
    f = vmap(f);
  }
  return f(operands);
}

} // namespace mlx::core
