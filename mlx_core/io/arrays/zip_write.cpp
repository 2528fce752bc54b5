// Writing ZIP archives, from the first byte to the last: sizes that come out of compression follow the data.
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include "mlx_core/interrupt.h"
#include "mlx_core/io/arrays/zip.h"

namespace mlx::core::io {

namespace {

constexpr uint32_t in_zip64 = 0xffffffff;
constexpr uint16_t sizes_follow = 8, name_is_utf8 = 0x800, deflated = 8, needs_zip64 = 45;
constexpr uint16_t first_of_1980 = 0x21; // files of equal arrays are equal

// Little-endian numbers, one after the other.
template <typename... Numbers>
std::string packed(Numbers... numbers) {
  std::string out;
  (out.append(reinterpret_cast<const char*>(&numbers), sizeof numbers), ...);
  return out;
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

} // namespace

void ZipWriter::put(const std::string& bytes) {
  out_.write(bytes.data(), bytes.size());
  at_ += bytes.size();
}

void ZipWriter::add(
    const std::string& name, uint64_t size, bool compressed, const std::function<void(const Piece&)>& produce) {
  if (name.size() > std::numeric_limits<uint16_t>::max()) {
    fail("savez", "the name of an array has ", name.size(), " bytes; the most is 65535.");
  }
  Entry entry;
  entry.name = name;
  entry.begin = at_;
  entry.size = size;
  entry.flags = static_cast<uint16_t>((is_ascii(name) ? 0 : name_is_utf8) | (compressed ? sizes_follow : 0));
  entry.method = compressed ? deflated : 0;
  if (!compressed) {
    produce([&](const char* from, size_t bytes) {
      entry.crc = static_cast<uint32_t>(::crc32_z(entry.crc, reinterpret_cast<const Bytef*>(from), bytes));
    });
    entry.packed = size;
  }
  put(packed(uint32_t{0x04034b50}, needs_zip64, entry.flags, entry.method, uint16_t{0}, first_of_1980, entry.crc,
          in_zip64, in_zip64, static_cast<uint16_t>(name.size()), uint16_t{20}) +
      name + packed(uint16_t{1}, uint16_t{16}, compressed ? 0 : entry.size, compressed ? 0 : entry.packed));
  if (compressed) {
    entry.packed = deflate(entry, produce);
    put(packed(uint32_t{0x08074b50}, entry.crc, entry.packed, entry.size));
  } else {
    produce([&](const char* from, size_t bytes) {
      out_.write(from, bytes);
      at_ += bytes;
    });
  }
  entries_.push_back(std::move(entry));
}

// Returns how many bytes came out.
uint64_t ZipWriter::deflate(Entry& entry, const std::function<void(const Piece&)>& produce) {
  z_stream z{};
  if (::deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  std::unique_ptr<z_stream, int (*)(z_stream*)> ending(&z, &::deflateEnd);
  std::string output(size_t{256} << 10, '\0');
  uint64_t begin = at_;
  auto run = [&](int flush) {
    int result = Z_OK;
    do {
      throw_if_interrupted();
      z.next_out = reinterpret_cast<Bytef*>(output.data());
      z.avail_out = static_cast<uInt>(output.size());
      result = ::deflate(&z, flush);
      size_t made = output.size() - z.avail_out;
      out_.write(output.data(), made);
      at_ += made;
    } while (z.avail_out == 0 || (flush == Z_FINISH && result != Z_STREAM_END));
  };
  produce([&](const char* from, size_t bytes) {
    entry.crc = static_cast<uint32_t>(::crc32_z(entry.crc, reinterpret_cast<const Bytef*>(from), bytes));
    for (size_t done = 0; done < bytes;) {
      size_t now = std::min(bytes - done, size_t{1} << 20);
      z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from + done));
      z.avail_in = static_cast<uInt>(now);
      run(Z_NO_FLUSH);
      done += now;
    }
  });
  run(Z_FINISH);
  return at_ - begin;
}

void ZipWriter::finish() {
  uint64_t begin = at_;
  for (const Entry& e : entries_) {
    std::string large; // in this order
    auto shortened = [&](uint64_t value) {
      if (value < in_zip64) {
        return static_cast<uint32_t>(value);
      }
      large += packed(value);
      return in_zip64;
    };
    uint32_t size = shortened(e.size), bytes = shortened(e.packed), header = shortened(e.begin);
    std::string extra = large.empty() ? "" : packed(uint16_t{1}, static_cast<uint16_t>(large.size())) + large;
    constexpr uint16_t on_unix = 3 << 8;
    constexpr uint32_t owner_reads_and_writes = 0600u << 16;
    put(packed(uint32_t{0x02014b50}, static_cast<uint16_t>(on_unix | needs_zip64), needs_zip64, e.flags, e.method,
            uint16_t{0}, first_of_1980, e.crc, bytes, size, static_cast<uint16_t>(e.name.size()),
            static_cast<uint16_t>(extra.size()), uint16_t{0}, uint16_t{0}, uint16_t{0}, owner_reads_and_writes,
            header) +
        e.name + extra);
  }
  uint64_t end = at_, bytes = end - begin, count = entries_.size();
  if (count >= 0xffff || bytes >= in_zip64 || begin >= in_zip64) {
    put(packed(uint32_t{0x06064b50}, uint64_t{44}, needs_zip64, needs_zip64, uint32_t{0}, uint32_t{0}, count, count,
        bytes, begin));
    put(packed(uint32_t{0x07064b50}, uint32_t{0}, end, uint32_t{1}));
  }
  auto entries = static_cast<uint16_t>(std::min<uint64_t>(count, 0xffff));
  put(packed(uint32_t{0x06054b50}, uint16_t{0}, uint16_t{0}, entries, entries,
      static_cast<uint32_t>(std::min<uint64_t>(bytes, in_zip64)),
      static_cast<uint32_t>(std::min<uint64_t>(begin, in_zip64)), uint16_t{0}));
}

} // namespace mlx::core::io
