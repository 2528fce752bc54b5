// Sources: files by pread and by mapping, memory, and parts of others.
#include "mlx_core/io/arrays/source.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::io {

namespace {

std::string quoted(const std::string& path) { return "'" + path + "'"; }

[[noreturn]] void cannot_read(const std::string& name, int error) {
  fail<std::runtime_error>("load", "cannot read ", name, ": ", std::strerror(error), ".");
}

struct stat status_of(int descriptor, const std::string& name) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0) {
    cannot_read(name, errno);
  }
  return status;
}

int64_t nanoseconds(const struct stat& status) {
#ifdef __APPLE__
  return status.st_mtimespec.tv_sec * 1'000'000'000 + status.st_mtimespec.tv_nsec;
#else
  return status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
#endif
}

// The file may be removed, or another one be renamed over it: what is open stays. Changed in place it would give other
// values than when it was loaded, and shortened it would kill a process that reads what it has mapped, so each
// evaluation looks whether size and time of change are what they were.
class FileSource final : public Source {
 public:
  FileSource(int descriptor, int64_t begin, const struct stat& status, std::string name)
      : Source(std::move(name)),
        descriptor_(descriptor),
        begin_(std::min<int64_t>(begin, status.st_size)),
        length_(status.st_size),
        changed_(nanoseconds(status)) {}
  ~FileSource() override { ::close(descriptor_); }

  int64_t size() const override { return length_ - begin_; }

  void read(int64_t at, int64_t bytes, char* to) const override {
    constexpr int64_t piece = int64_t{8} << 20;
    if (bytes < 4 * piece) {
      in_interruptible_pieces(bytes, piece, [&](int64_t first, int64_t end) { read_piece(at, first, end, to); });
    } else {
      cpu::parallel_for((bytes + piece - 1) / piece,
          [&](int64_t i) { read_piece(at, i * piece, std::min(bytes, (i + 1) * piece), to); });
    }
    check_unchanged();
  }

  // Private and writable, though nobody writes: who gets at the memory in another way, as NumPy does, changes a copy of
  // the page and neither the file nor what others map.
  std::optional<Memory> memory(int64_t at, int64_t bytes) const override {
    check_unchanged();
    static const int64_t page = ::sysconf(_SC_PAGESIZE);
    int64_t first = (begin_ + at) / page * page, skipped = begin_ + at - first;
    size_t length = static_cast<size_t>(skipped + bytes);
    int flags = MAP_PRIVATE;
#ifdef MAP_NORESERVE
    flags |= MAP_NORESERVE;
#endif
    void* data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, flags, descriptor_, first);
    if (data == MAP_FAILED) { // too many of them, or a file system that cannot
      return std::nullopt;
    }
    struct Mapping {
      void* data;
      size_t length;
    };
    auto mapping = std::make_unique<Mapping>(data, length);
    auto unmap = [](void* owner) {
      auto* mapped = static_cast<Mapping*>(owner);
      ::munmap(mapped->data, mapped->length);
      delete mapped;
    };
    try {
      BufferRef buffer = adopt(data, length, mapping.get(), unmap);
      mapping.release();
      return Memory{std::move(buffer), skipped};
    } catch (...) {
      ::munmap(data, length);
      throw;
    }
  }

 private:
  void read_piece(int64_t at, int64_t first, int64_t end, char* to) const {
    while (first < end) {
      ssize_t got = ::pread(descriptor_, to + first, static_cast<size_t>(end - first), begin_ + at + first);
      if (got > 0) {
        first += got;
      } else if (got == 0) {
        check_unchanged();
        refuse("it ends at byte ", at + first);
      } else if (errno != EINTR) {
        cannot_read(name(), errno);
      }
    }
  }
  void check_unchanged() const {
    struct stat now = status_of(descriptor_, name());
    if (now.st_size != length_ || nanoseconds(now) != changed_) {
      fail<std::runtime_error>("load", name(), " was changed after it was loaded (it had ", length_,
          " bytes, and now has ", static_cast<int64_t>(now.st_size),
          "), and this array had not been read. Load it again; whoever replaces a file in use should write another one "
          "and rename it, as mx.save does.");
    }
  }

  int descriptor_;
  int64_t begin_, length_, changed_;
};

class MemorySource final : public Source {
 public:
  MemorySource(BufferRef buffer, int64_t size, std::string name)
      : Source(std::move(name)), buffer_(std::move(buffer)), size_(size) {}
  int64_t size() const override { return size_; }
  void read(int64_t at, int64_t bytes, char* to) const override {
    in_interruptible_pieces(bytes, int64_t{8} << 20, [&](int64_t first, int64_t end) {
      cpu::copy_contiguous(
          to + first, static_cast<const char*>(buffer_->data) + at + first, static_cast<size_t>(end - first));
    });
  }
  // A small part is not worth keeping all of it.
  std::optional<Memory> memory(int64_t at, int64_t bytes) const override {
    return bytes < size_ / 16 ? std::nullopt : std::optional(Memory{buffer_, at});
  }

 private:
  BufferRef buffer_;
  int64_t size_;
};

class PartSource final : public Source {
 public:
  PartSource(SourceRef whole, int64_t begin, int64_t bytes, std::string name)
      : Source(std::move(name)), whole_(std::move(whole)), begin_(begin), size_(bytes) {}
  int64_t size() const override { return size_; }
  void read(int64_t at, int64_t bytes, char* to) const override { whole_->read(begin_ + at, bytes, to); }
  std::optional<Memory> memory(int64_t at, int64_t bytes) const override { return whole_->memory(begin_ + at, bytes); }

 private:
  SourceRef whole_;
  int64_t begin_, size_;
};

class DescriptorReader final : public Reader {
 public:
  DescriptorReader(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  size_t read(char* to, size_t bytes) override {
    for (;;) {
      ssize_t got = ::read(descriptor_, to, bytes);
      if (got >= 0) {
        return static_cast<size_t>(got);
      }
      if (errno != EINTR) {
        cannot_read(name_, errno);
      }
      throw_if_interrupted();
    }
  }
  std::string label() const override { return name_; }

 private:
  int descriptor_;
  std::string name_;
};

// Takes the descriptor over.
SourceRef source_of(int descriptor, int64_t begin, const std::string& name) {
  struct Closing {
    int descriptor;
    ~Closing() {
      if (descriptor >= 0) {
        ::close(descriptor);
      }
    }
  } closing{descriptor};
  struct stat status = status_of(descriptor, name);
  if (S_ISDIR(status.st_mode)) {
    cannot_read(name, EISDIR);
  }
  if (!S_ISREG(status.st_mode)) {
    DescriptorReader in(descriptor, name);
    return read_whole(in);
  }
  auto source = std::make_shared<FileSource>(descriptor, begin, status, name);
  closing.descriptor = -1;
  return source;
}

} // namespace

SourceRef open_file(const std::string& path) {
  if (path.find('\0') != path.npos) {
    fail("load", "a file name cannot hold a zero byte.");
  }
  int descriptor = -1;
  while ((descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC)) < 0 && errno == EINTR) {
    throw_if_interrupted(); // a pipe waits for its writer
  }
  if (descriptor < 0) {
    cannot_read(quoted(path), errno);
  }
  return source_of(descriptor, 0, quoted(path));
}

SourceRef open_descriptor(int descriptor, int64_t begin, const std::string& label) {
  int own = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (own < 0) {
    cannot_read(label, errno);
  }
  return source_of(own, begin, label);
}

SourceRef read_whole(Reader& in) {
  size_t capacity = size_t{1} << 20, size = 0;
  BufferRef buffer = allocate(capacity);
  for (;;) {
    throw_if_interrupted();
    size_t got = in.read(static_cast<char*>(buffer->data) + size, std::min(capacity - size, size_t{8} << 20));
    size += got;
    if (got == 0) {
      break;
    }
    if (size == capacity) {
      BufferRef larger = allocate(2 * capacity);
      std::memcpy(larger->data, buffer->data, size);
      buffer = std::move(larger);
      capacity *= 2;
    }
  }
  return std::make_shared<MemorySource>(std::move(buffer), static_cast<int64_t>(size), in.label());
}

SourceRef part_of(SourceRef whole, int64_t begin, int64_t bytes, std::string name) {
  return std::make_shared<PartSource>(std::move(whole), begin, bytes, std::move(name));
}

// --- Cursor ---

void Cursor::require(uint64_t bytes, const char* what) const {
  if (bytes > static_cast<uint64_t>(left())) {
    source_->refuse(what, " at byte ", at_, " takes ", bytes, " bytes, but only ", left(), " are left");
  }
}

void Cursor::raw(void* to, int64_t bytes, const char* what) {
  require(static_cast<uint64_t>(bytes), what);
  char* out = static_cast<char*>(to);
  int64_t from_buffer = std::min<int64_t>(bytes, static_cast<int64_t>(buffer_.size() - next_));
  if (from_buffer > 0) {
    cpu::copy_contiguous(out, buffer_.data() + next_, static_cast<size_t>(from_buffer));
  }
  next_ += static_cast<size_t>(from_buffer);
  at_ += from_buffer;
  if (int64_t rest = bytes - from_buffer; rest > 0) {
    constexpr int64_t window = int64_t{64} << 10;
    if (rest >= window) {
      source_->read(at_, rest, out + from_buffer);
      buffer_.clear(), next_ = 0;
    } else {
      buffer_.resize(static_cast<size_t>(std::min(window, left())));
      source_->read(at_, static_cast<int64_t>(buffer_.size()), buffer_.data());
      cpu::copy_contiguous(out + from_buffer, buffer_.data(), static_cast<size_t>(rest));
      next_ = static_cast<size_t>(rest);
    }
    at_ += rest;
  }
}

std::string Cursor::text(uint64_t bytes, const char* what) {
  require(bytes, what);
  std::string out(static_cast<size_t>(bytes), '\0');
  raw(out.data(), static_cast<int64_t>(bytes), what);
  return out;
}

} // namespace mlx::core::io
