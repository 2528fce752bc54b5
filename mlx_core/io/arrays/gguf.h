// GGUF: what its reader and its writer both know. Numbers are little-endian.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "mlx_core/io/arrays/elements.h"

namespace mlx::core::io::gguf {

constexpr char magic[] = "GGUF";
constexpr uint32_t version = 3;
constexpr int64_t default_alignment = 32;
constexpr const char* alignment_key = "general.alignment";

// Types of metadata values.
enum class Value : uint32_t {
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  float32,
  boolean,
  string,
  list,
  uint64,
  int64,
  float64,
};

// Types of elements. `blocks`: how many elements a block has, and how many bytes.
struct ElementType {
  uint32_t number;
  std::string_view name;
  int elements, bytes;
  bool is_plain; // of `dtype`, as they are
  Dtype dtype = bool_;
};
std::span<const ElementType> element_types();

// What becomes of a quantized array.
enum class Unpacked : uint8_t { weights, scales, biases, values };
// Whether it is w = scale * q + bias over groups of 32, as mx.dequantize has it; then `bits` says how many q has.
bool is_affine(const ElementType& type, int* bits);
// Whether values can be computed of it.
bool has_values(const ElementType& type);
// Of an array of `shape` whose bytes begin at `begin`. values are float16.
array lazy_blocks(const SourceRef& source, int64_t begin, const ElementType& type, Shape shape, Unpacked what);

} // namespace mlx::core::io::gguf
