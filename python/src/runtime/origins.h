// Recording the Python line that each operation comes from.
#pragma once

#include <string>

namespace mlx::python {

// "train.py:12 in loss": the innermost line of Python that runs now outside of this package and of NumPy.
std::string users_line();

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
