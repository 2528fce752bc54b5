// ZIP archives, as far as .npz needs them: members that are stored or deflated, of any size (ZIP64).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "mlx_core/io/arrays/source.h"

namespace mlx::core::io {

inline constexpr uint32_t in_zip64 = 0xffffffff; // a size or place that is in the field of ZIP64

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
  // Several, compressed at the same time where there are threads for that; `produce` is called on these. The bytes are
  // those that one call after another would write.
  struct Member {
    std::string name;
    uint64_t size;
    std::function<void(const Piece&)> produce;
  };
  void add_compressed(std::span<const Member> members);
  void finish();

 private:
  struct Entry {
    std::string name;
    uint16_t flags = 0, method = 0;
    uint32_t crc = 0;
    uint64_t packed = 0, size = 0, begin = 0;
  };
  void put(const std::string& bytes);
  Entry entry_of(const std::string& name, uint64_t size, bool compressed) const;
  void put_header(const Entry& entry);
  void put_sizes(Entry entry);

  Writer& out_;
  uint64_t at_ = 0;
  std::vector<Entry> entries_;
};

} // namespace mlx::core::io
