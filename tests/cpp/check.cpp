// The runner behind check.h: the list of tests and main().
#include "check.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

namespace check {

namespace {

struct Case {
  const char* name;
  Body body;
};

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

int failures = 0;

} // namespace

bool add(const char* name, Body body) {
  cases().push_back({name, body});
  return true;
}

void fail(const char* file, int line, const std::string& what) {
  ++failures;
  std::printf("%s:%d: %s\n", file, line, what.c_str());
}

} // namespace check

int main(int argc, char** argv) {
  int run = 0;
  int failed = 0;
  for (const auto& [name, body] : check::cases()) {
    if (argc > 1 && !std::strstr(name, argv[1])) {
      continue;
    }
    ++run;
    int before = check::failures;
    try {
      body();
    } catch (const std::exception& error) {
      check::fail(name, 0, std::string("uncaught exception: ") + error.what());
    }
    if (check::failures != before) {
      ++failed;
      std::printf("FAILED %s\n", name);
    }
  }
  std::printf("%d tests, %d failed\n", run, failed);
  return failed || !run ? 1 : 0;
}
