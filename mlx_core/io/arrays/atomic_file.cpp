// Writing to a file beside the one that is meant, and renaming it in the end.
#include "mlx_core/io/arrays/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include "mlx_core/error.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::io {

namespace {

constexpr size_t most_pending = size_t{1} << 20;

// A name that no other writer uses, of this process or another.
std::string name_beside(const std::string& folder, const std::string& path) {
  static std::atomic<uint64_t> last{0};
  std::string name = path.substr(path.rfind('/') + 1);
  name.resize(std::min<size_t>(name.size(), 200)); // a file name has 255 bytes at most
  return folder + "/." + name + "." + std::to_string(::getpid()) + "-" + std::to_string(++last) + ".unfinished";
}

// Where links lead, also to a file that is not there yet.
std::string target_of(std::string path) {
  for (int links = 0; links < 40; ++links) {
    char to[4096];
    ssize_t length = ::readlink(path.c_str(), to, sizeof to);
    if (length <= 0 || length == sizeof to) {
      break;
    }
    std::string next(to, static_cast<size_t>(length));
    size_t slash = path.rfind('/');
    path = next[0] == '/' || slash == path.npos ? next : path.substr(0, slash + 1) + next;
  }
  return path;
}

} // namespace

AtomicFile::AtomicFile(const char* op, const std::string& path, uint64_t least_bytes)
    : op_(op), path_(path), target_(target_of(path)) {
  if (path.empty() || path.find('\0') != path.npos) {
    fail(op, "a file name cannot be empty or hold a zero byte.");
  }
  size_t slash = target_.rfind('/');
  folder_ = slash == target_.npos ? "." : slash == 0 ? "/" : target_.substr(0, slash);
  struct stat status;
  bool exists = ::stat(target_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) {
    fails("it cannot be written", EISDIR);
  }
  if (exists && !S_ISREG(status.st_mode)) {
    direct_ = true;
    while ((descriptor_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC)) < 0 && errno == EINTR) {
      throw_if_interrupted(); // a pipe waits for its reader
    }
    if (descriptor_ < 0) {
      fails("it cannot be written", errno);
    }
    return;
  }
  if (exists && ::access(target_.c_str(), W_OK) != 0) {
    fails("it cannot be written", errno);
  }
  open_beside();
  check_room(least_bytes);
  if (exists) { // whose it is, and who may read it, stays as far as this process may decide that
    [[maybe_unused]] int ignored = ::fchown(descriptor_, status.st_uid, status.st_gid);
    ignored = ::fchmod(descriptor_, status.st_mode & 07777);
  }
}

void AtomicFile::open_beside() {
#ifdef O_TMPFILE
  // One of no name leaves nothing behind when the process is killed. It gets its name through /proc.
  if (::access("/proc/self/fd", X_OK) == 0) {
    descriptor_ = ::open(folder_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    unnamed_ = descriptor_ >= 0;
  }
#endif
  if (!unnamed_) {
    unfinished_ = name_beside(folder_, target_);
    descriptor_ = ::open(unfinished_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
      int error = errno;
      unfinished_.clear();
      fails(
          "its folder cannot be written; a new file replaces the old one as a whole, so this cannot write without one "
          "beside it",
          error);
    }
  }
}

// Views of few elements may stand for more than any disk holds, which would be full before that is found out.
void AtomicFile::check_room(uint64_t bytes) const {
  struct statvfs system;
  if (::fstatvfs(descriptor_, &system) != 0 || system.f_blocks == 0) {
    return; // it does not say
  }
  if (uint64_t units = system.f_bfree; bytes / system.f_frsize > units) {
    fail<std::runtime_error>(op_, label(), ": the arrays take ", bytes, " bytes, and its file system has ",
        units * system.f_frsize, " left. Save a part of them, or where there is room.");
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!unfinished_.empty()) {
    ::unlink(unfinished_.c_str());
  }
}

void AtomicFile::fails(const char* what, int error) const {
  fail<std::runtime_error>(op_, label(), ": ", what, ": ", std::strerror(error), ".");
}

void AtomicFile::write(const char* from, size_t bytes) {
  if (pending_.size() + bytes <= most_pending) {
    pending_.append(from, bytes);
    return;
  }
  flush(pending_.data(), pending_.size());
  pending_.clear();
  if (bytes <= most_pending) {
    pending_.assign(from, bytes);
  } else {
    flush(from, bytes);
  }
}

void AtomicFile::flush(const char* from, size_t bytes) {
  constexpr size_t at_once = size_t{16} << 20;
  while (bytes > 0) {
    throw_if_interrupted();
    ssize_t done = ::write(descriptor_, from, std::min(bytes, at_once));
    if (done < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail<std::runtime_error>(op_, label(), ": writing failed after ", written_, " bytes: ", std::strerror(errno),
          direct_ ? "." : ". The file is what it was before.");
    }
    from += done;
    bytes -= static_cast<size_t>(done);
    written_ += done;
  }
}

void AtomicFile::commit() {
  flush(pending_.data(), pending_.size());
  pending_.clear();
  if (direct_) {
    return;
  }
  if (::fsync(descriptor_) != 0) {
    fails("writing failed; the file is what it was before", errno);
  }
  InterruptHold to_the_end;
  if (unnamed_) {
    std::string name = name_beside(folder_, target_);
    std::string link = "/proc/self/fd/" + std::to_string(descriptor_);
    if (::linkat(AT_FDCWD, link.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      fails("the new file cannot be given a name", errno);
    }
    unfinished_ = std::move(name);
  }
  if (::rename(unfinished_.c_str(), target_.c_str()) != 0) {
    fails("the new file cannot take the place of the old one", errno);
  }
  unfinished_.clear();
  if (int folder = ::open(folder_.c_str(), O_RDONLY | O_CLOEXEC); folder >= 0) { // so that the name is on the disk, too
    ::fsync(folder);
    ::close(folder);
  }
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    fails("closing it failed", errno);
  }
}

} // namespace mlx::core::io
