// What Python calls a file: a path, or an object with read() or write().
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>

#include "mlx_core/io/arrays/formats.h"

namespace nb = nanobind;

namespace mlx::python {

// A str, bytes or os.PathLike.
bool is_path(nb::handle file);
std::string path_of(nb::handle file);
// Of a path, or an object's `name`; empty where there is none. With the dot: ".npy".
std::string extension_of(nb::handle file);

// Writes through file.write(); takes the interpreter lock for it.
std::unique_ptr<core::io::Writer> writer_of(const char* op, nb::object file);

// An object that is read: where it stands, and no further than is asked for. With the interpreter lock.
class InputObject {
 public:
  explicit InputObject(nb::object file);
  // The beginning of what comes, as a source, to tell the format by; null where it cannot be put back.
  core::io::SourceRef beginning();
  // What comes, to its end. A file that is open for real is read later and mapped, as by its name.
  core::io::SourceRef rest();
  // One array, to whose end the object moves.
  core::array npy(bool map);

 private:
  core::io::SourceRef open_descriptor();
  nb::object file_;
  std::unique_ptr<core::io::Reader> reader_;
  int descriptor_ = -1; // of a file that is open for real
  int64_t position_ = 0;
};

} // namespace mlx::python
