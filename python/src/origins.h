// Recording the Python line that each operation comes from.
#pragma once

namespace mlx::python {

// While one exists, operations of all threads remember the innermost line of Python outside of this package. Made and
// destroyed with the interpreter lock held.
class RecordOrigins {
 public:
  RecordOrigins();
  ~RecordOrigins();
  RecordOrigins(const RecordOrigins&) = delete;
  RecordOrigins& operator=(const RecordOrigins&) = delete;
};

} // namespace mlx::python
