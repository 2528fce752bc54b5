// The DLPack structures (https://github.com/dmlc/dlpack, versions 0.8 and 1.0), as far as they are used here, and how
// its element types map to ours.
#pragma once

#include <cstdint>
#include <optional>

#include "mlx_core/dtype.h"

namespace mlx::python::dlpack {

enum DeviceType : int32_t { cpu = 1, cuda = 2, cuda_host = 3 };
struct Device {
  int32_t type;
  int32_t id;
};

enum Code : uint8_t { signed_int = 0, unsigned_int = 1, floating = 2, bfloat = 4, complex = 5, boolean = 6 };
struct ElementType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  ElementType dtype;
  int64_t* shape;
  int64_t* strides; // in elements; null when row-major
  uint64_t byte_offset;
};

// In a capsule named "dltensor".
struct ManagedTensor {
  static constexpr const char* name = "dltensor";
  static constexpr const char* used_name = "used_dltensor";
  Tensor tensor;
  void* owner;
  void (*deleter)(ManagedTensor*);
};

// In a capsule named "dltensor_versioned".
struct ManagedTensorVersioned {
  static constexpr const char* name = "dltensor_versioned";
  static constexpr const char* used_name = "used_dltensor_versioned";
  static constexpr uint64_t read_only = 1;
  static constexpr uint64_t is_copied = 2;
  uint32_t major, minor;
  void* owner;
  void (*deleter)(ManagedTensorVersioned*);
  uint64_t flags;
  Tensor tensor;
};

inline ElementType element_type(core::Dtype dtype) {
  uint8_t code = dtype.is_bool()           ? boolean
                 : dtype.is_unsigned()     ? unsigned_int
                 : dtype.is_signed()       ? signed_int
                 : dtype == core::bfloat16 ? bfloat
                 : dtype.is_complex()      ? complex
                                           : floating;
  return {code, static_cast<uint8_t>(8 * dtype.size()), 1};
}

// nullopt for types that no dtype of ours has (float8, int4, vectors).
inline std::optional<core::Dtype> dtype_of(ElementType type) {
  for (int i = 0; i < core::dtype_count; ++i) {
    core::Dtype dtype = static_cast<core::Dtype::Val>(i);
    ElementType ours = element_type(dtype);
    if (ours.code == type.code && ours.bits == type.bits && type.lanes == 1) {
      return dtype;
    }
  }
  return std::nullopt;
}

} // namespace mlx::python::dlpack
