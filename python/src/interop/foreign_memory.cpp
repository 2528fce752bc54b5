// Checks of descriptions of foreign memory.
#include "python/src/interop/foreign_memory.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "mlx_core/error.h"

namespace mlx::python {

bool Foreign::row_major() const {
  int64_t expected = dtype.size();
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected) {
      return false;
    }
    expected *= shape[i];
  }
  return true;
}

Foreign::Span Foreign::span() const {
  Span span{0, dtype.size()};
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t reach = (shape[i] - 1) * strides[i];
    (reach < 0 ? span.low : span.high) += reach;
  }
  return span;
}

namespace {

// Reads some bytes, the first and the last among them, by a call that answers where reading them here would end the
// process: pages can be mapped without being readable, as those that an allocator has reserved.
bool is_readable([[maybe_unused]] uintptr_t first, [[maybe_unused]] uintptr_t last) {
#if defined(__linux__)
  constexpr uintptr_t most = 64;
  const uintptr_t count = std::min(most, (last - first - 1) / 4096 + 2);
  char bytes[most];
  iovec probes[most];
  for (uintptr_t i = 0; i < count; ++i) {
    probes[i] = {reinterpret_cast<void*>(first + (last - first - 1) / (count - 1) * i), 1};
  }
  probes[count - 1].iov_base = reinterpret_cast<void*>(last - 1);
  iovec to{bytes, count};
  ssize_t got = process_vm_readv(getpid(), &to, 1, probes, count, 0);
  return got == static_cast<ssize_t>(count) || (got < 0 && errno != EFAULT); // or it is not allowed here
#else
  return true;
#endif
}

} // namespace

bool is_mapped(const void* from, size_t bytes) {
  static const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  uintptr_t first = reinterpret_cast<uintptr_t>(from), last = first + bytes;
  if (last < first) {
    return false;
  }
  if (bytes == 0) {
    return true;
  }
  uintptr_t start = first - first % page;
  // msync asks for nothing that is not the case already, and says when a page is not there.
  return (msync(reinterpret_cast<void*>(start), last - start, MS_ASYNC) == 0 || errno != ENOMEM) &&
         is_readable(first, last);
}

void check_foreign(const char* op, const Foreign& f) {
  constexpr int64_t most = int64_t{1} << 56; // bytes; beyond any address space
  if (f.shape.size() > most_foreign_axes) {
    core::fail(
        op, "the memory is said to have ", f.shape.size(), " axes; at most ", most_foreign_axes, " can be imported.");
  }
  auto text = [&] {
    std::string s;
    for (int64_t length : f.shape) {
      s += (s.empty() ? "" : ", ") + std::to_string(length);
    }
    return "(" + s + (f.shape.size() == 1 ? ",)" : ")");
  };
  bool empty = false;
  for (int64_t length : f.shape) {
    if (length < 0) {
      core::fail(op, "the memory is said to have shape ", text(), "; a length cannot be negative.");
    }
    empty = empty || length == 0;
  }
  int64_t bytes = f.dtype.size(), low = 0, high = bytes;
  for (size_t i = 0; i < f.shape.size(); ++i) {
    int64_t reach = 0, length = std::max<int64_t>(f.shape[i], 1);
    if (__builtin_mul_overflow(bytes, length, &bytes) || bytes > most) {
      core::fail(op, "the memory is said to have shape ", text(), ": that is more than any memory holds.");
    }
    if (empty || length == 1) {
      continue; // the stride is of no account
    }
    if (__builtin_mul_overflow(length - 1, f.strides[i], &reach) || reach > most || reach < -most) {
      core::fail(op, "the memory is said to have shape ", text(), " and a stride of ", f.strides[i], " bytes on axis ",
          i, ": that is more than any memory holds.");
    }
    (reach < 0 ? low : high) += reach;
    if (low < -most || high > most) {
      core::fail(op, "the memory is said to have shape ", text(), ", whose strides reach further than any memory.");
    }
  }
  if (empty) {
    return;
  }
  if (!f.data) {
    core::fail(op, "the memory is said to have shape ", text(), ", but there is no data.");
  }
  // A small buffer is taken at its exporter's word, a tensor, which anybody can write down, is not.
  constexpr int64_t small = 1 << 16;
  if ((f.described_by_user || high - low > small) && !is_mapped(f.data + low, static_cast<size_t>(high - low))) {
    core::fail(op, "the memory is said to have shape ", text(), ", of which ", high - low,
        " bytes are not all memory of this process.");
  }
}

} // namespace mlx::python
