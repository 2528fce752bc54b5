// Making operations again from their parameters and operands, as a file of exported functions has them, or a recording
// with symbolic sizes. Each family lists its own; primitives of a user's are added with add_remake.
#pragma once

#include "mlx_core/params.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

// What an operation is made of. Nothing here is taken on trust: what is missing, or of another kind, is an error.
class Parts {
 public:
  using Functions = std::vector<std::pair<std::string, VectorFunction>>;
  // Functions among the parameters come as such.
  Parts(Params params, Functions functions, std::vector<array> operands)
      : params_(std::move(params)), functions_(std::move(functions)), operands_(std::move(operands)) {}

  const array& operator[](size_t i) const;
  const std::vector<array>& operands() const { return operands_; }
  std::vector<array> operands_from(size_t first) const; // there is at least one before

  // Fails with this text unless the condition holds.
  static void require(bool condition, const char* text);

  bool flag(std::string_view name) const { return get<bool>(name); }
  double number(std::string_view name) const { return get<double>(name); }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  Dtype dtype(std::string_view name) const { return get<Dtype>(name); }
  bool is_integer(std::string_view name) const { return params_.find<int64_t>(name) || params_.find<Dim>(name); }
  Dim size(std::string_view name) const;
  int integer(std::string_view name) const;
  size_t count(std::string_view name) const; // not negative
  Shape shape(std::string_view name) const;
  Axes axes(std::string_view name) const;
  bool has_function(std::string_view name) const;
  const VectorFunction& function(std::string_view name, size_t number = 0) const; // the number-th of this name

 private:
  template <typename T>
  const T& get(std::string_view name) const;

  Params params_;
  Functions functions_;
  std::vector<array> operands_;
};

// f over `axes` leading axes of every operand.
std::vector<array> over_leading(int axes, VectorFunction f, const std::vector<array>& operands);

struct Remake {
  const char* primitive; // its name()
  // The results of the operation. Throws std::invalid_argument for parts that make no sense: what a public function
  // checks is best made by calling it.
  std::vector<array> (*make)(const Parts& parts);
};

// For a primitive that is not the library's: recordings with it can be saved, loaded and made for other sizes. The name
// must be new. From any thread.
void add_remake(Remake remake);

// registry.cpp: what the families list. Elementwise ops without parameters need no row: their function is known.
const std::vector<std::span<const Remake>>& registered_remakes();

bool can_remake(std::string_view primitive);
// Throws std::invalid_argument when nothing of this name is known.
std::vector<array> remade(std::string_view primitive, const Parts& parts);

} // namespace mlx::core
