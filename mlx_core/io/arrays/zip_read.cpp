// Reading ZIP archives. A reader takes no size on trust: what a member's bytes cannot hold is refused before memory is
// taken for it.
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <unordered_set>

#include "mlx_core/interrupt.h"
#include "mlx_core/io/arrays/zip.h"
#include "mlx_core/io/utf8.h"

namespace mlx::core::io {

namespace {

constexpr uint32_t directory_entry = 0x02014b50, local_header = 0x04034b50, directory_end = 0x06054b50,
                   directory_end64 = 0x06064b50, directory_locator64 = 0x07064b50;
constexpr int64_t most_at_once = int64_t{1} << 20;

uint32_t crc_of(uint32_t crc, const char* from, int64_t bytes) {
  return static_cast<uint32_t>(::crc32_z(crc, reinterpret_cast<const Bytef*>(from), static_cast<z_size_t>(bytes)));
}

// Bytes of a member that say nothing of compression: the CRC is that of all of them, so a read that reaches the end
// looks at what came before, too.
class Stored final : public Source {
 public:
  Stored(SourceRef bytes, uint32_t crc) : Source(bytes->name()), bytes_(std::move(bytes)), crc_(crc) {}
  int64_t size() const override { return bytes_->size(); }
  void read(int64_t at, int64_t bytes, char* to) const override {
    bytes_->read(at, bytes, to);
    if (at + bytes < size()) {
      return;
    }
    uint32_t crc = 0;
    std::string before(static_cast<size_t>(std::min(at, most_at_once)), '\0');
    for (int64_t done = 0; done < at;) {
      int64_t now = std::min(at - done, most_at_once);
      bytes_->read(done, now, before.data());
      crc = crc_of(crc, before.data(), now);
      done += now;
    }
    in_interruptible_pieces(
        bytes, 8 * most_at_once, [&](int64_t first, int64_t end) { crc = crc_of(crc, to + first, end - first); });
    if (crc != crc_) {
      refuse("its checksum (CRC-32) is wrong");
    }
  }

 private:
  SourceRef bytes_;
  uint32_t crc_;
};

class Inflated final : public Source {
 public:
  Inflated(SourceRef packed, int64_t size, uint32_t crc)
      : Source(packed->name()), packed_(std::move(packed)), size_(size), crc_(crc) {}
  int64_t size() const override { return size_; }
  // From the beginning, each time.
  void read(int64_t at, int64_t bytes, char* to) const override {
    Stream stream(*this);
    std::string skipped(static_cast<size_t>(std::min(at, most_at_once)), '\0');
    for (int64_t done = 0; done < at; done += std::min(at - done, most_at_once)) {
      stream.next(skipped.data(), std::min(at - done, most_at_once));
    }
    stream.next(to, bytes);
    if (at + bytes == size_) {
      stream.finish();
    }
  }

 private:
  class Stream {
   public:
    explicit Stream(const Inflated& of) : of_(of), input_(static_cast<size_t>(256) << 10, '\0') {
      if (::inflateInit2(&z_, -MAX_WBITS) != Z_OK) {
        throw std::bad_alloc();
      }
    }
    ~Stream() { ::inflateEnd(&z_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    void next(char* to, int64_t bytes) {
      in_interruptible_pieces(bytes, most_at_once, [&](int64_t first, int64_t end) { piece(to + first, end - first); });
    }
    // After the last byte: the stream ends there, too.
    void finish() {
      char more;
      if (!ended_ && inflate(&more, 1) != 0) {
        of_.refuse("it inflates to more than the ", of_.size_, " bytes that the archive says");
      }
      if (crc_ != of_.crc_) {
        of_.refuse("its checksum (CRC-32) is wrong");
      }
    }

   private:
    void piece(char* to, int64_t bytes) {
      int64_t got = inflate(to, bytes);
      if (got != bytes) {
        of_.refuse("it inflates to fewer than the ", of_.size_, " bytes that the archive says");
      }
      crc_ = crc_of(crc_, to, bytes);
    }
    int64_t inflate(char* to, int64_t bytes) {
      z_.next_out = reinterpret_cast<Bytef*>(to);
      z_.avail_out = static_cast<uInt>(bytes);
      while (z_.avail_out > 0 && !ended_) {
        if (z_.avail_in == 0) {
          int64_t now = std::min<int64_t>(of_.packed_->size() - taken_, static_cast<int64_t>(input_.size()));
          if (now == 0) {
            of_.refuse("its deflated data ends too early");
          }
          of_.packed_->read(taken_, now, input_.data());
          taken_ += now;
          z_.next_in = reinterpret_cast<Bytef*>(input_.data());
          z_.avail_in = static_cast<uInt>(now);
        }
        int result = ::inflate(&z_, Z_NO_FLUSH);
        ended_ = result == Z_STREAM_END;
        if (result == Z_MEM_ERROR) {
          throw std::bad_alloc();
        }
        if (result != Z_OK && !ended_ && result != Z_BUF_ERROR) {
          of_.refuse("its deflated data makes no sense before byte ", taken_);
        }
      }
      return bytes - static_cast<int64_t>(z_.avail_out);
    }

    const Inflated& of_;
    std::string input_;
    z_stream z_{};
    int64_t taken_ = 0;
    uint32_t crc_ = 0;
    bool ended_ = false;
  };

  SourceRef packed_;
  int64_t size_;
  uint32_t crc_;
};

template <typename T>
T number_at(const std::string& bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

class Archive {
 public:
  explicit Archive(const SourceRef& source) : source_(source), size_(source->size()) {}

  std::vector<ZipMember> members() {
    find_directory();
    std::vector<Entry> entries;
    Cursor in(*directory_);
    for (uint64_t i = 0; i < count_; ++i) {
      entries.push_back(read_entry(in));
    }
    if (in.left() != 0) {
      source_->refuse("its directory has ", in.left(), " bytes more than its ", count_, " entries");
    }
    std::vector<ZipMember> out;
    std::unordered_set<std::string> names;
    for (Entry& entry : entries) {
      if (!names.insert(entry.name).second) {
        source_->refuse("two members are called '", entry.name, "'");
      }
      locate(entry);
      if (!entry.name.ends_with('/')) {
        out.push_back({entry.name, content_of(entry)});
      }
    }
    check_apart(entries);
    return out;
  }

 private:
  struct Entry {
    std::string name;
    uint16_t method = 0;
    uint32_t crc = 0;
    int64_t packed = 0, size = 0, header = 0, begin = 0;
  };

  // At the end of the file, before a comment of at most 65535 bytes.
  void find_directory() {
    int64_t tail = std::min<int64_t>(size_, 22 + 65535);
    std::string end(static_cast<size_t>(tail), '\0');
    source_->read(size_ - tail, tail, end.data());
    int64_t at = tail - 22;
    for (; at >= 0; --at) {
      size_t i = static_cast<size_t>(at);
      if (number_at<uint32_t>(end, i) == directory_end && at + 22 + number_at<uint16_t>(end, i + 20) <= tail) {
        break;
      }
    }
    if (at < 0) {
      fail("load", source_->name(), " is no .npz file (a ZIP archive), or its end is missing.");
    }
    size_t i = static_cast<size_t>(at);
    int64_t end_at = size_ - tail + at;
    uint16_t disk = number_at<uint16_t>(end, i + 4);
    count_ = number_at<uint16_t>(end, i + 10);
    uint64_t bytes = number_at<uint32_t>(end, i + 12), begin = number_at<uint32_t>(end, i + 16);
    if (end_at >= 20) {
      Cursor locator(*source_, end_at - 20);
      if (locator.number<uint32_t>("the ZIP64 locator") == directory_locator64) {
        locator.number<uint32_t>("the ZIP64 locator");
        uint64_t at64 = locator.number<uint64_t>("the ZIP64 locator");
        int64_t expected = end_at - 20 - 56; // where it is when nothing stands before the archive
        if (expected < 0) {
          source_->refuse("its ZIP64 directory end lies outside of it");
        }
        if (at64 > static_cast<uint64_t>(expected)) {
          source_->refuse("its ZIP64 directory end, at byte ", at64, ", lies outside of it");
        }
        Cursor in(*source_, static_cast<int64_t>(at64));
        if (in.number<uint32_t>("the ZIP64 directory end") != directory_end64) {
          in = Cursor(*source_, expected);
          if (in.number<uint32_t>("the ZIP64 directory end") != directory_end64) {
            source_->refuse("its ZIP64 directory end is not at byte ", at64);
          }
        }
        std::string rest = in.text(52, "the ZIP64 directory end");
        count_ = number_at<uint64_t>(rest, 28);
        bytes = number_at<uint64_t>(rest, 36);
        begin = number_at<uint64_t>(rest, 44);
        end_at = in.at() - 56;
      }
    }
    if (disk != 0 && disk != 0xffff) {
      source_->refuse("it is a part of an archive on several disks");
    }
    if (bytes > static_cast<uint64_t>(end_at) || begin > static_cast<uint64_t>(end_at) - bytes) {
      source_->refuse("its directory (", bytes, " bytes from byte ", begin, " on) lies outside of it");
    }
    if (count_ > bytes / 46) {
      source_->refuse("its directory of ", bytes, " bytes cannot have ", count_, " entries");
    }
    // Something may stand before the archive; offsets count from where it begins.
    directory_begin_ = end_at - static_cast<int64_t>(bytes);
    shift_ = directory_begin_ - static_cast<int64_t>(begin);
    directory_ = part_of(source_, directory_begin_, static_cast<int64_t>(bytes), source_->name());
  }

  Entry read_entry(Cursor& in) {
    constexpr const char* what = "an entry of the directory";
    std::string fixed = in.text(46, what);
    if (number_at<uint32_t>(fixed, 0) != directory_entry) {
      source_->refuse("an entry of its directory does not begin as one, at byte ", directory_begin_ + in.at() - 46);
    }
    uint16_t flags = number_at<uint16_t>(fixed, 8);
    Entry entry;
    entry.method = number_at<uint16_t>(fixed, 10);
    entry.crc = number_at<uint32_t>(fixed, 16);
    uint64_t packed = number_at<uint32_t>(fixed, 20), size = number_at<uint32_t>(fixed, 24),
             header = number_at<uint32_t>(fixed, 42);
    uint16_t name_bytes = number_at<uint16_t>(fixed, 28), extra_bytes = number_at<uint16_t>(fixed, 30),
             comment_bytes = number_at<uint16_t>(fixed, 32);
    entry.name = in.text(name_bytes, what);
    std::string extra = in.text(extra_bytes, what);
    in.text(comment_bytes, what);
    if (!is_utf8(entry.name)) {
      source_->refuse("the name of a member is no UTF-8");
    }
    for (size_t at = 0; at + 4 <= extra.size();) {
      size_t bytes = number_at<uint16_t>(extra, at + 2), end = at + 4 + bytes;
      if (number_at<uint16_t>(extra, at) == 1) { // what does not fit 32 bits, in this order
        size_t next = at + 4;
        for (uint64_t* value : {&size, &packed, &header}) {
          if (*value == in_zip64) {
            if (next + 8 > std::min(end, extra.size())) {
              source_->refuse("the ZIP64 sizes of member '", entry.name, "' are missing");
            }
            *value = number_at<uint64_t>(extra, next);
            next += 8;
          }
        }
      }
      at = end;
    }
    constexpr uint64_t limit = std::numeric_limits<int64_t>::max();
    if (packed > static_cast<uint64_t>(size_) || size > limit || header > static_cast<uint64_t>(directory_begin_)) {
      source_->refuse("member '", entry.name, "' (", packed, " bytes from byte ", header, " on) lies outside of it");
    }
    if (flags & 1) {
      fail("load", source_->name(), ": member '", entry.name, "' is encrypted.");
    }
    entry.packed = static_cast<int64_t>(packed);
    entry.size = static_cast<int64_t>(size);
    entry.header = static_cast<int64_t>(header) + shift_;
    return entry;
  }

  // Where the bytes begin is said by another header, before them.
  void locate(Entry& entry) {
    constexpr const char* what = "the header of a member";
    if (entry.header < 0 || entry.header > directory_begin_) {
      source_->refuse("member '", entry.name, "' lies outside of it");
    }
    Cursor in(*source_, entry.header);
    std::string fixed = in.text(30, what);
    if (number_at<uint32_t>(fixed, 0) != local_header) {
      source_->refuse("the header of member '", entry.name, "' is not at byte ", entry.header);
    }
    std::string name = in.text(number_at<uint16_t>(fixed, 26), what);
    if (name != entry.name) {
      source_->refuse("member '", entry.name, "' has another name in its own header, at byte ", entry.header);
    }
    entry.begin = in.at() + number_at<uint16_t>(fixed, 28);
    if (entry.begin > directory_begin_ || entry.packed > directory_begin_ - entry.begin) {
      source_->refuse("member '", entry.name, "' (", entry.packed, " bytes from byte ", entry.begin,
          " on) reaches into the directory or beyond the end");
    }
  }

  SourceRef content_of(const Entry& entry) {
    std::string name = "member '" + entry.name + "' of " + source_->name();
    SourceRef packed = part_of(source_, entry.begin, entry.packed, name);
    if (entry.method == 0) {
      if (entry.packed != entry.size) {
        source_->refuse(
            "member '", entry.name, "' is stored in ", entry.packed, " bytes, but should have ", entry.size);
      }
      return std::make_shared<Stored>(std::move(packed), entry.crc);
    }
    if (entry.method != 8) {
      fail("load", source_->name(), ": member '", entry.name, "' is compressed with method ", entry.method,
          "; stored (0) and deflated (8) can be read.");
    }
    // Deflate makes 258 bytes of 2 bits at best.
    if (entry.size / 1032 > entry.packed) {
      source_->refuse("member '", entry.name, "' should have ", entry.size, " bytes, which its ", entry.packed,
          " deflated ones cannot hold");
    }
    return std::make_shared<Inflated>(std::move(packed), entry.size, entry.crc);
  }

  void check_apart(std::vector<Entry>& entries) const {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.header < b.header; });
    for (size_t i = 1; i < entries.size(); ++i) {
      if (entries[i - 1].begin + entries[i - 1].packed > entries[i].header) {
        source_->refuse("members '", entries[i - 1].name, "' and '", entries[i].name, "' overlap");
      }
    }
  }

  SourceRef source_, directory_;
  int64_t size_, directory_begin_ = 0, shift_ = 0;
  uint64_t count_ = 0;
};

} // namespace

std::vector<ZipMember> read_zip(const SourceRef& archive) { return Archive(archive).members(); }

} // namespace mlx::core::io
