// Asking the system for the processor's name and the size of memory.
#include "mlx_core/cpu/processor.h"

#include <unistd.h>

#include <fstream>
#include <string_view>

#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace mlx::core::cpu {

const char* architecture() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "unknown";
#endif
}

std::string processor_name() {
#if defined(__APPLE__)
  char name[256];
  size_t size = sizeof name;
  if (sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0) {
    return name;
  }
#else
  // x86 says "model name"; ARM boards say "Model" or "Hardware", servers nothing.
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    for (std::string_view key : {"model name", "Model", "Hardware"}) {
      size_t colon = line.find(": ");
      if (line.starts_with(key) && colon != line.npos && colon + 2 < line.size()) {
        return line.substr(colon + 2);
      }
    }
  }
#endif
  return architecture();
}

size_t memory_size() {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(page) : 0;
}

} // namespace mlx::core::cpu
