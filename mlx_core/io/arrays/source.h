// Source: bytes that can be read at any place, by several threads at once. Files, memory, and parts of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "mlx_core/allocator.h"
#include "mlx_core/error.h"
#include "mlx_core/io.h"

namespace mlx::core::io {

class Source {
 public:
  explicit Source(std::string name) : name_(std::move(name)) {}
  virtual ~Source() = default;

  // How errors call it: "'weights.npy'".
  const std::string& name() const { return name_; }
  virtual int64_t size() const = 0;
  // Reads all of these bytes, which lie inside; or throws.
  virtual void read(int64_t at, int64_t bytes, char* to) const = 0;

  // The bytes as memory, where that takes no copy.
  struct Memory {
    BufferRef buffer;
    int64_t offset;
  };
  virtual std::optional<Memory> memory(int64_t, int64_t) const { return std::nullopt; }

  // Throws the error of a file that makes no sense.
  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail("load", name_, " is damaged: ", parts..., ".");
  }

 private:
  std::string name_;
};
using SourceRef = std::shared_ptr<const Source>;

// A file of the system's. Throws std::runtime_error when it cannot be opened. What is no regular file is read as a
// whole.
SourceRef open_file(const std::string& path);
// One that is open, from its `begin` on. The descriptor is duplicated.
SourceRef open_descriptor(int descriptor, int64_t begin, const std::string& label);
// What a reader still has, read as a whole.
SourceRef read_whole(Reader& in);
// Part of another one, under its own name.
SourceRef part_of(SourceRef whole, int64_t begin, int64_t bytes, std::string name);

// Reads one thing after the other, with checks. A number is little-endian, as is the machine.
class Cursor {
 public:
  explicit Cursor(const Source& source, int64_t at = 0) : source_(&source), at_(at) {}

  int64_t at() const { return at_; }
  int64_t left() const { return source_->size() - at_; }
  // `what` says what the bytes are, for the error when there are too few.
  void raw(void* to, int64_t bytes, const char* what);
  template <typename T>
  T number(const char* what) {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    raw(&value, sizeof(T), what);
    return value;
  }
  std::string text(uint64_t bytes, const char* what);
  // Fails unless so many bytes are left: to be asked before memory is taken for them.
  void require(uint64_t bytes, const char* what) const;

 private:
  const Source* source_;
  int64_t at_;
  std::string buffer_; // what comes next begins at buffer_[next_]
  size_t next_ = 0;
};

} // namespace mlx::core::io
