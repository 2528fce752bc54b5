// Matrix products: by tiles, element by element, or with a vector. The sizes decide.
#include <cstdlib>
#include <string>
#include <utility>

#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

bool supports(const kernel::Product& k) {
  const size_t outer = k.out.ndim() - 2;
  std::span<const int64_t> batch{k.out.sizes.data(), outer};
  return has_shader_type(k.a.dtype) && k.out.size() <= most_elements && k.a.sizes[outer + 1] <= most_elements &&
         fits(batch, std::span<const int64_t>(k.a.strides).first(outer)) &&
         fits(batch, std::span<const int64_t>(k.b.strides).first(outer));
}

void launch(Encoder& encoder, const kernel::Product& k) {
  if (k.out.size() == 0) {
    return;
  }
  const size_t outer = k.out.ndim() - 2;
  std::span<const int64_t> batch{k.out.sizes.data(), outer};
  Bound a = from_lowest(k.a), b = from_lowest(k.b);
  arguments::Product p{};
  p.batch_a = layout_of(batch, std::span<const int64_t>(k.a.strides).first(outer));
  p.batch_b = layout_of(batch, std::span<const int64_t>(k.b.strides).first(outer));
  p.from_a = a.first;
  p.row_a = k.a.strides[outer];
  p.column_a = k.a.strides[outer + 1];
  p.from_b = b.first;
  p.row_b = k.b.strides[outer];
  p.column_b = k.b.strides[outer + 1];
  p.m = static_cast<uint32_t>(k.out.sizes[outer]);
  p.n = static_cast<uint32_t>(k.out.sizes[outer + 1]);
  p.k = static_cast<uint32_t>(k.a.sizes[outer + 1]);
  p.batch = static_cast<uint32_t>(View::size_of(batch));
  if (p.m == 1 && p.n != 1) { // a row times a matrix is the matrix's transpose times a column
    std::swap(a, b);
    std::swap(p.batch_a, p.batch_b);
    std::swap(p.from_a, p.from_b);
    std::swap(p.row_a, p.column_b);
    std::swap(p.column_a, p.row_b);
    std::swap(p.m, p.n);
  }
  const Dtype dtype = k.a.dtype.is_signed() ? unsigned_of(k.a.dtype) : k.a.dtype;
  const char* wide = k.out.dtype == k.a.dtype ? "" : "_wide"; // in float32, of 16-bit floats
  auto begin = [&](const std::string& name) {
    encoder.kernel("matmul", kernel_name(name + wide, dtype));
    encoder.read(0, memory_of(a, k.out));
    encoder.read(1, memory_of(b, k.out));
    encoder.write(2, k.out);
    encoder.value(3, p);
  };
  if (p.n == 1) {
    const bool columns = p.m >= 32 && std::abs(p.row_a) < std::abs(p.column_a);
    begin(columns ? "product_vector_columns" : "product_vector_rows");
    encoder.dispatch_groups({pieces(p.m, columns ? 32 : 8), 1, p.batch}, {256});
  } else if (dtype.is_floating()) {
    const uint32_t side = p.m > 48 && p.n > 48 ? 64 : 32;
    begin(side == 64 ? "product_tiles_64" : "product_tiles_32");
    encoder.dispatch_groups({pieces(p.n, side), pieces(p.m, side), p.batch}, {128});
  } else {
    begin("product_elements");
    encoder.dispatch_groups({pieces(p.n, 16), pieces(p.m, 16), p.batch}, {256});
  }
  if (k.zero_terms && dtype.is_inexact()) {
    begin("product_without_zero_terms");
    encoder.dispatch_elements(static_cast<uint64_t>(k.out.size()));
  }
}

} // namespace mlx::core::gpu
