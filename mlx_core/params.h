// Params: the parameters of a primitive as typed values, for comparing, hashing, printing and saving them, and for
// making the primitive again.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "mlx_core/primitive.h"

namespace mlx::core {

using ParamValue =
    std::variant<bool, int64_t, Dim, double, std::string, Dtype, Shape, std::vector<int64_t>, Axes, SharedProgram>;
struct Param {
  std::string_view name; // as visit() names it
  ParamValue value;
};

class Params {
 public:
  Params() = default;
  explicit Params(const Primitive& p);

  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  void add(std::string_view name, ParamValue value) { all_.push_back({name, std::move(value)}); }
  // Null where there is none of this name and type.
  template <typename T>
  const T* find(std::string_view name) const {
    for (const Param& param : all_) {
      if (param.name == name) {
        return std::get_if<T>(&param.value);
      }
    }
    return nullptr;
  }

  // The same types, bits, sizes and functions. Symbolic sizes are equal when they are the same expression.
  friend bool operator==(const Params& a, const Params& b);
  uint64_t hash() const;
  std::string to_string() const; // "(axis=1, keepdims=True)"

 private:
  SmallVector<Param, 2> all_;
};

// Whether two sizes, or lists of them, are the same number or the same expression; never records a guard.
bool identical(Dim a, Dim b);
bool identical(const Shape& a, const Shape& b);
inline bool identical(const Spec& a, const Spec& b) { return a.dtype == b.dtype && identical(a.shape, b.shape); }

// A step of a hash over several values.
inline uint64_t mixed(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x9e3779b97f4a7c15ull + (hash >> 29); }

} // namespace mlx::core
