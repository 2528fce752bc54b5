// ZIP archives, as far as .npz needs them: members that are stored or deflated, of any size (ZIP64).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mlx_core/io/arrays/source.h"

namespace mlx::core::io {

// A member's bytes as they were before compression. Reading it to its end checks the CRC.
struct ZipMember {
  std::string name;
  SourceRef content;
};
// All members but folders, in the order of the directory. What overlaps, leaves the file, is encrypted, is called the
// same as another one, or claims to be larger than its bytes can hold is refused.
std::vector<ZipMember> read_zip(const SourceRef& archive);

// Writes an archive without ever going back.
class ZipWriter {
 public:
  explicit ZipWriter(Writer& out) : out_(out) {}
  // `produce` calls its argument with pieces that make up `size` bytes; without compression it runs twice.
  using Piece = std::function<void(const char* from, size_t bytes)>;
  void add(const std::string& name, uint64_t size, bool compressed, const std::function<void(const Piece&)>& produce);
  void finish();

 private:
  struct Entry {
    std::string name;
    uint16_t flags = 0, method = 0;
    uint32_t crc = 0;
    uint64_t packed = 0, size = 0, begin = 0;
  };
  void put(const std::string& bytes);
  uint64_t deflate(Entry& entry, const std::function<void(const Piece&)>& produce);

  Writer& out_;
  uint64_t at_ = 0;
  std::vector<Entry> entries_;
};

} // namespace mlx::core::io
