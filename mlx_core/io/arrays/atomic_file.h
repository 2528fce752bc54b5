// AtomicFile: a file that is there as a whole or not at all.
#pragma once

#include <string>

#include "mlx_core/io.h"

namespace mlx::core::io {

// Writes into a file of no name, or of another name in the same folder, that takes the place of `path` with commit().
// Until then, whatever happens (a full disk, an exception, a killed process), `path` is what it was. A symbolic link
// stays one: what it points to is replaced. What is there and no regular file, such as a pipe, is written directly.
class AtomicFile final : public Writer {
 public:
  // op is for errors. Throws std::runtime_error when the folder cannot be written, or has no room for that many bytes.
  AtomicFile(const char* op, const std::string& path, uint64_t least_bytes = 0);
  ~AtomicFile() override;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const char* from, size_t bytes) override;
  std::string label() const override { return "'" + path_ + "'"; }
  // When it returns, the file is on the disk under its name.
  void commit();

 private:
  [[noreturn]] void fails(const char* what, int error) const;
  void open_beside();
  void check_room(uint64_t bytes) const;
  void flush(const char* from, size_t bytes);

  const char* op_;
  std::string path_, target_; // the target of links
  std::string unfinished_;    // its name, once it has one
  std::string folder_;
  std::string pending_; // small writes, together
  int descriptor_ = -1;
  int64_t written_ = 0;
  bool direct_ = false, unnamed_ = false;
};

} // namespace mlx::core::io
