// Sums over the iterations of a loop of products of matrices, as one product: sum over t of a[t] @ b[t] is
// [a[0] a[1] ...] @ [b[0]; b[1]; ...].
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

// What one iteration adds to such a sum.
class SummedProducts {
 public:
  // Made while the body is recorded, of what it would add. Nothing where that is more than products, where a factor is
  // the same in all iterations, or where the factors are larger than what is added.
  // `parameters`: the body's, of which those from `first_input` on are elements of arrays.
  static std::optional<SummedProducts> of(const array& summand, std::span<const array> parameters, size_t first_input);

  // Appends the factors that the body has to return, unless they are among its outputs from `first` on.
  void append_factors(std::vector<array>& outputs, size_t first);
  // The sum, where these outputs of all iterations are in `stacked`, and elements are of `inputs`.
  array total(std::span<const array> stacked, std::span<const array> inputs) const;

 private:
  struct Factor {
    array each;          // of an iteration
    bool turned = false; // each is its transpose
    int input = -1;      // each is its element
    size_t output = 0;
  };
  struct Product {
    PrimitiveRef primitive;
    Factor left, right;
  };
  static std::optional<Factor> factor(const array& a, std::span<const array> parameters, size_t first_input);
  bool collect(const array& summand, std::span<const array> parameters, size_t first_input);
  static array joined(const Factor& factor, bool along_columns, const array& all);

  std::vector<Product> products_;
  bool turned_ = false; // the sum is the transpose of theirs
};

} // namespace mlx::core
