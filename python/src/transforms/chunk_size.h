// The argument chunk_size of the transforms that work through a batch.
#pragma once

#include "mlx_core/chunk_size.h"
#include "mlx_core/error.h"
#include "python/src/transforms/bind_transforms.h"

namespace mlx::python {

// None, a positive int or "auto".
inline core::ChunkSize chunk_size_of(const char* op, nb::handle value) {
  if (value.is_none()) {
    return {};
  }
  if (PyUnicode_Check(value.ptr()) && nb::cast<std::string>(value) == "auto") {
    return core::ChunkSize::automatic();
  }
  if (!PyLong_Check(value.ptr()) || PyBool_Check(value.ptr())) {
    core::fail<core::TypeError>(op, "chunk_size is ", nb::cast<std::string>(nb::repr(value)),
        "; it should be a positive int, \"auto\", or None for all lanes at once.");
  }
  int overflow = 0;
  long long lanes = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow > 0) { // more than there can be
    return {};
  }
  if (lanes <= 0) {
    core::fail(op, "chunk_size is ", lanes, "; a chunk has at least one lane. None runs all of them at once.");
  }
  return core::ChunkSize::of(lanes);
}

} // namespace mlx::python
