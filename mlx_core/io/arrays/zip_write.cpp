// Writing ZIP archives, from the first byte to the last: sizes that come out of compression follow the data.
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/io/arrays/zip.h"

namespace mlx::core::io {

namespace {

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

ZipWriter::Entry ZipWriter::entry_of(const std::string& name, uint64_t size, bool compressed) const {
  if (name.size() > std::numeric_limits<uint16_t>::max()) {
    fail("savez", "the name of an array has ", name.size(), " bytes; the most is 65535.");
  }
  Entry entry;
  entry.name = name;
  entry.begin = at_;
  entry.size = size;
  entry.flags = static_cast<uint16_t>((is_ascii(name) ? 0 : name_is_utf8) | (compressed ? sizes_follow : 0));
  entry.method = compressed ? deflated : 0;
  return entry;
}

void ZipWriter::put_header(const Entry& entry) {
  bool later = (entry.flags & sizes_follow) != 0;
  put(packed(uint32_t{0x04034b50}, needs_zip64, entry.flags, entry.method, uint16_t{0}, first_of_1980,
          later ? uint32_t{0} : entry.crc, in_zip64, in_zip64, static_cast<uint16_t>(entry.name.size()), uint16_t{20}) +
      entry.name + packed(uint16_t{1}, uint16_t{16}, later ? 0 : entry.size, later ? 0 : entry.packed));
}

void ZipWriter::put_sizes(Entry entry) {
  put(packed(uint32_t{0x08074b50}, entry.crc, entry.packed, entry.size));
  entries_.push_back(std::move(entry));
}

namespace {

// What `produce` gives, compressed, goes to `put`. Returns the CRC of what it gave.
uint32_t deflate(const std::function<void(const ZipWriter::Piece&)>& produce, const ZipWriter::Piece& put) {
  z_stream z{};
  if (::deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  std::unique_ptr<z_stream, int (*)(z_stream*)> ending(&z, &::deflateEnd);
  std::string output(size_t{256} << 10, '\0');
  uint32_t crc = 0;
  auto run = [&](int flush) {
    int result = Z_OK;
    do {
      throw_if_interrupted();
      z.next_out = reinterpret_cast<Bytef*>(output.data());
      z.avail_out = static_cast<uInt>(output.size());
      result = ::deflate(&z, flush);
      put(output.data(), output.size() - z.avail_out);
    } while (z.avail_out == 0 || (flush == Z_FINISH && result != Z_STREAM_END));
  };
  produce([&](const char* from, size_t bytes) {
    crc = static_cast<uint32_t>(::crc32_z(crc, reinterpret_cast<const Bytef*>(from), bytes));
    for (size_t done = 0; done < bytes;) {
      size_t now = std::min(bytes - done, size_t{1} << 20);
      z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from + done));
      z.avail_in = static_cast<uInt>(now);
      run(Z_NO_FLUSH);
      done += now;
    }
  });
  run(Z_FINISH);
  return crc;
}

} // namespace

void ZipWriter::add(
    const std::string& name, uint64_t size, bool compressed, const std::function<void(const Piece&)>& produce) {
  Entry entry = entry_of(name, size, compressed);
  Piece write = [&](const char* from, size_t bytes) {
    out_.write(from, bytes);
    at_ += bytes;
  };
  if (compressed) {
    put_header(entry);
    uint64_t begin = at_;
    entry.crc = deflate(produce, write);
    entry.packed = at_ - begin;
    return put_sizes(std::move(entry));
  }
  produce([&](const char* from, size_t bytes) {
    entry.crc = static_cast<uint32_t>(::crc32_z(entry.crc, reinterpret_cast<const Bytef*>(from), bytes));
  });
  entry.packed = size;
  put_header(entry);
  produce(write);
  entries_.push_back(std::move(entry));
}

// Large ones are written while they are compressed; of smaller ones so many are held as are compressed together.
void ZipWriter::add_compressed(std::span<const Member> members) {
  constexpr uint64_t most_together = uint64_t{256} << 20;
  size_t most = 4 * static_cast<size_t>(cpu::thread_count());
  for (size_t first = 0, end = 0; first < members.size(); first = end) {
    uint64_t size = members[end++].size;
    while (end < members.size() && end - first < most &&
           members[end].size <= most_together - std::min(size, most_together)) {
      size += members[end++].size;
    }
    if (end == first + 1 || cpu::thread_count() == 1) {
      end = first + 1;
      add(members[first].name, members[first].size, true, members[first].produce);
      continue;
    }
    std::vector<std::string> bytes(end - first);
    std::vector<uint32_t> crcs(end - first);
    cpu::parallel_for(static_cast<int64_t>(end - first), [&](int64_t i) {
      auto at = static_cast<size_t>(i);
      crcs[at] = deflate(members[first + at].produce, [&](const char* from, size_t n) { bytes[at].append(from, n); });
    });
    for (size_t i = 0; i < bytes.size(); ++i) {
      Entry entry = entry_of(members[first + i].name, members[first + i].size, true);
      put_header(entry);
      put(bytes[i]);
      entry.crc = crcs[i];
      entry.packed = bytes[i].size();
      put_sizes(std::move(entry));
    }
  }
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
