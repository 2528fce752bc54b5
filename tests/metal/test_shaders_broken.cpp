// Broken shaders: each check of the stand-in finds the mistake made for it, says where, and the process goes on.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csetjmp>
#include <filesystem>
#include <thread>

#include "dispatch.h"

using namespace shaders;

namespace {

const Library& broken() { return library("broken.metal"); }

void each_seed(auto body) {
  for (uint64_t seed : {0, 1, 2, 3}) {
    set_seed(seed);
    body();
  }
  set_seed(1);
}

// The fault of a kernel of one threadgroup with these bindings.
std::string fault(
    const std::string& name, Size threads, std::vector<Binding> buffers, std::vector<uint32_t> threadgroup_bytes = {}) {
  try {
    call(broken(), name, threads, threads, buffers, {}, threadgroup_bytes);
  } catch (const Fault& error) {
    return error.what();
  }
  return "no fault";
}

void has(int line, const std::string& text, std::initializer_list<std::string> parts) {
  for (auto& part : parts) {
    if (text.find(part) == std::string::npos) check::fail(__FILE__, line, "'" + text + "' lacks '" + part + "'");
  }
}
#define HAS(text, ...) has(__LINE__, text, {__VA_ARGS__})

std::string compile_error(const std::string& source) {
  try {
    mlx::core::metal_emulator::check(Text{.source = source, .file = "my.metal"});
  } catch (const CompileError& error) {
    return error.what();
  }
  return "no error";
}

} // namespace

TEST(accesses_outside_of_a_buffer) {
  each_seed([] {
    Buffer<float> a(10), out(10);
    HAS(fault("reads_outside", {10}, {a, {}, out}),
        "kernel reads_outside, thread (9, 0, 0) of threadgroup (0, 0, 0): read of 4 bytes",
        "at byte 40 of buffer 0, which has 40 bytes");
    HAS(fault("writes_outside", {6}, {a, {}, out}),
        "kernel writes_outside, thread (5, 0, 0) of threadgroup (0, 0, 0): write of 4 bytes",
        "at byte 40 of buffer 2, which has 40 bytes");
    HAS(fault("writes_before", {4}, {a}), "thread (0, 0, 0)", "write of 4 bytes", "at byte -4 of buffer 0");
    HAS(fault("reads_a_vector", {2}, {Binding{&a[2], 28}, out}), "thread (1, 0, 0)", "read of 16 bytes",
        "at byte 16 of buffer 0, which has 28");
    HAS(fault("adds_atomically_outside", {2}, {a}), "thread (1, 0, 0)", "atomic access of 4 bytes",
        "at byte 4000 of buffer 0");
    HAS(fault("reads_far_away", {2}, {a, out}), "thread (1, 0, 0)", "read of 4 bytes");
  });
}

TEST(the_threadgroup_of_a_fault_is_named) {
  Buffer<float> a(100), out(70);
  std::string text;
  try {
    call(broken(), "writes_outside", {40}, {8}, {a, {}, out});
  } catch (const Fault& error) {
    text = error.what();
  }
  HAS(text, "of threadgroup (4, 0, 0): write of 4 bytes");
}

TEST(overruns_of_threadgroup_memory) {
  each_seed([] {
    Buffer<int> out(64);
    HAS(fault("overruns_a_variable", {32}, {out}), "thread (31, 0, 0)", "write of 4 bytes",
        "at byte 128 of threadgroup variable first, which has 128 bytes");
    HAS(fault("overruns_an_argument", {9}, {out}, {0, 16}), "thread (8, 0, 0)",
        "at byte 16 of threadgroup argument 1, which has 16 bytes");
  });
}

TEST(threadgroup_memory_that_was_not_written) {
  each_seed([] {
    Buffer<int> out(64);
    HAS(fault("reads_unwritten", {64}, {out}), "thread (58, 0, 0)",
        "reads threadgroup memory that no thread of the threadgroup has written", "byte 20 of threadgroup variable t");
  });
}

TEST(missing_barriers_in_any_order) {
  each_seed([] {
    Buffer<int> out(64);
    // In order, a lane reads what a later one writes: one of both mistakes is found.
    std::string text = fault("lacks_a_barrier", {64}, {out});
    CHECK(text.find("with no barrier for threadgroup memory between") != std::string::npos ||
          text.find("no thread of the threadgroup has written") != std::string::npos);
    for (auto name : {"lacks_a_second_barrier", "has_a_barrier_for_other_memory", "has_a_barrier_of_a_simdgroup"}) {
      std::string what = fault(name, {64}, {out});
      if (what.find("with no barrier for threadgroup memory between") == std::string::npos &&
          what.find("no thread of the threadgroup has written") == std::string::npos) {
        check::fail(__FILE__, __LINE__, std::string(name) + ": " + what);
      }
    }
  });
}

TEST(a_missing_barrier_for_device_memory_is_found_by_the_order_of_lanes) {
  auto right = [] {
    Buffer<int> t(128, -1), out(128);
    call(broken(), "lacks_a_device_barrier", {128}, {128}, {t, out});
    for (int i = 1; i < 128; ++i) {
      if (out[i] != i - 1) return false;
    }
    return true;
  };
  set_seed(0);
  CHECK(right()); // in order, by luck
  for (uint64_t seed : {1, 2, 3}) {
    set_seed(seed);
    CHECK(!right());
  }
  set_seed(1);
}

TEST(relying_on_the_order_of_groups_is_found_by_their_order) {
  for (auto [name, group, first] : {std::tuple("relies_on_the_threadgroup_before", uint64_t{8}, 8),
           std::tuple("relies_on_the_simdgroup_before", uint64_t{256}, 32)}) {
    auto right = [&, name = name, group = group, first = first] {
      Buffer<int> t(256, -1), out(256);
      call(broken(), name, {256}, {group}, {t, out});
      for (int i = first; i < 256; ++i) {
        if (out[i] != i - first) return false;
      }
      return true;
    };
    set_seed(0);
    CHECK(right()); // in order, by luck
    for (uint64_t seed : {1, 2, 3}) {
      set_seed(seed);
      CHECK(!right());
    }
  }
  set_seed(1);
}

TEST(threadgroup_memory_starts_as_poison_in_every_threadgroup) {
  each_seed([] {
    Buffer<int> out(32);
    std::string text;
    try {
      call(broken(), "reads_what_another_threadgroup_left", {32}, {8}, {out});
    } catch (const Fault& error) {
      text = error.what();
    }
    HAS(text, "reads threadgroup memory that no thread of the threadgroup has written");
    Buffer<int> values(7);
    call(broken(), "reads_poison", {7}, {7}, {values});
    for (int i = 0; i < 7; ++i) CHECK_EQ(values[i], -1);
  });
}

TEST(the_same_seed_gives_the_same_order) {
  auto result = [](uint64_t seed) {
    set_seed(seed);
    Buffer<int> t(128, -1), out(128);
    call(broken(), "lacks_a_device_barrier", {128}, {128}, {t, out});
    return std::vector<int>(&out[0], &out[0] + 128);
  };
  CHECK(result(5) == result(5));
  CHECK(result(5) != result(6));
  set_seed(1);
}

TEST(divergent_barriers) {
  each_seed([] {
    Buffer<int> out(64);
    HAS(fault("returns_before_a_barrier", {64}, {out}), "kernel returns_before_a_barrier, thread (0, 0, 0)",
        "divergent threadgroup_barrier at line 79", "thread 40 of the threadgroup has returned");
    HAS(fault("waits_in_two_places", {64}, {out}), "divergent threadgroup_barrier at line 84",
        "thread 40 of the threadgroup waits at line 86");
    HAS(fault("diverges_in_a_simdgroup", {64}, {out}), "divergent simdgroup_barrier at line 91",
        "only 8 of 32 threads");
    HAS(fault("multiplies_with_half_a_simdgroup", {32}, {out}), "a simdgroup matrix operation at line 96",
        "16 of the 32 threads");
    HAS(fault("multiplies_with_half_a_simdgroup", {20}, {out}), "16 of the 32 threads");
  });
}

TEST(shuffles_from_lanes_that_are_not_active) {
  Buffer<uint32_t> out(32);
  call(broken(), "shuffles_from_nobody", {32}, {32}, {out});
  CHECK_EQ(out[2], 3u);
  CHECK_EQ(out[3], ~0u);
}

TEST(unbound_buffers_and_arguments) {
  Buffer<float> a(10), out(10), b{2};
  call(broken(), "needs_two_buffers", {3}, {3}, {{}, out}); // touches neither
  HAS(fault("needs_two_buffers", {4}, {{}, out, {}, {}, b}), "kernel needs_two_buffers, thread (3, 0, 0)",
      "buffer 0, which is not bound");
  HAS(fault("needs_two_buffers", {4}, {a, out}), "thread (3, 0, 0)", "buffer 4, which is not bound");
  HAS(fault("needs_an_argument", {4}, {out}), "threadgroup argument 2, which has no memory");
}

TEST(too_much_threadgroup_memory) {
  Buffer<float> out(64);
  HAS(fault("has_too_much_memory", {4}, {out}), "kernel has_too_much_memory: 32784 bytes of threadgroup memory",
      "limit of 32768");
  HAS(fault("has_all_memory", {4}, {out}, {769}), "32784 bytes of threadgroup memory, of which 32000 in variables");
  call(broken(), "has_all_memory", {4}, {4}, {out}, {}, {768});
  CHECK_EQ(out[3], 3.0f);
}

TEST(too_many_threads) {
  Buffer<int> out(4096);
  HAS(fault("writes_one_each", {1025}, {out}), "kernel writes_one_each", "a threadgroup of (1025, 1, 1)", "1024");
  HAS(fault("writes_one_each", {32, 33}, {out}), "a threadgroup of (32, 33, 1)");
  call(broken(), "writes_one_each", {1024}, {1024}, {out});
}

TEST(arguments_smaller_than_their_type) {
  Buffer<float> numbers{1, 2}, out(1);
  call(broken(), "reads_a_field_outside", {1}, {1}, {numbers, out});
  CHECK_EQ(out[0], 3.0f);
  HAS(fault("reads_a_field_outside", {1}, {Binding{&numbers[0], 4}, out}),
      "kernel reads_a_field_outside, thread (0, 0, 0)", "of buffer 0, which has 4 bytes");
}

TEST(what_the_processor_refuses) {
  Buffer<float> a(16), more(17);
  HAS(fault("reads_unseen", {17}, {a, more}), "kernel reads_unseen, thread (16, 0, 0) of threadgroup (0, 0, 0)",
      "access outside of a buffer, at byte 64 of buffer 0, which has 64 bytes");
  Buffer<int> out{1, 2, 0, 4};
  HAS(fault("divides_by_zero", {4}, {out}), "kernel divides_by_zero, thread (2, 0, 0)", "integer division by zero");
  Buffer<int> deep{1, 100000};
  HAS(fault("recurses", {2}, {deep}), "kernel recurses, thread (1, 0, 0)", "used up its stack");
  call(broken(), "recurses", {1}, {1}, {deep});
}

TEST(a_weak_exchange_fails_now_and_then) {
  Buffer<int> out(200);
  call(broken(), "exchanges_once", {200}, {200}, {out});
  int done = 0;
  for (int i = 0; i < 200; ++i) done += out[i];
  CHECK(done > 100 && done < 200);
}

TEST(compile_errors_have_the_line_of_the_text) {
  std::string head = "#include <metal_stdlib>\nusing namespace metal;\n";
  HAS(compile_error(head + "kernel void f(device float* a [[buffer(0)]]) {\n  a[0] = b;\n}\n"),
      "my.metal:4:10: error: use of undeclared identifier 'b'");
  HAS(compile_error(head + "kernel void f(device float* a [[buffer(0)]]) {\n  float* p = nullptr;\n}\n"),
      "my.metal:4: error: 'float* p' has no address space");
  HAS(compile_error(head + "inline float g(const float& x) { return x; }\n"),
      "my.metal:3: error: 'const float& x' has no address space");
  HAS(compile_error(head + "\nkernel void f(float* a [[buffer(0)]]) {}\n"),
      "my.metal:4: error: a kernel's parameter that points has an address space");
  HAS(compile_error(head + "kernel void f(device float* a [[buffer(0)]], uint i) {}\n"),
      "my.metal:3: error: the kernel's parameter 'uint i' has no attribute");
  for (std::string word : {"double", "new", "virtual", "goto", "throw", "try", "typeid", "thread_local", "asm"}) {
    HAS(compile_error(head + "inline void f() {\n  " + word + " x;\n}\n"),
        "my.metal:4: error: '" + word + "' is not in Metal");
  }
  HAS(compile_error("kernel void f() {}\n"), "does not include <metal_stdlib>");
  HAS(compile_error(head + "#include \"missing.h\"\n"), "my.metal:3:10: fatal error: 'missing.h' file not found");
  HAS(compile_error(head + "#include <cmath>\n"), "file not found");
  // Errors of an instance show when it is checked, or asked for; the library itself is accepted.
  std::string templated = head +
                          "template <typename T>\nkernel void f(device T* a [[buffer(0)]]) {\n  a[0].x = 1;\n}\n" +
                          "template [[host_name(\"good\")]] [[kernel]] decltype(f<float2>) f<float2>;\n" +
                          "template [[host_name(\"bad\")]] [[kernel]] decltype(f<float>) f<float>;\n";
  HAS(compile_error(templated), "my.metal:5:7: error: member reference base type 'float' is not a structure or union",
      "my.metal:8");
  auto library = compile(templated);
  CHECK(library->function("good") != nullptr);
  CHECK_MESSAGE(CompileError, "program_source:5:7: error", library->function("bad"));
}

TEST(defines_and_include_folders) {
  auto folder = std::filesystem::temp_directory_path() / ("metal-test-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "value.h") << "// A header of the text's own.\nconstant int base = 40;\n";
  std::string text =
      "#include <metal_stdlib>\n#include \"value.h\"\nkernel void f(device int* a [[buffer(0)]]) { a[0] = base + "
      "OFFSET; }\n";
  std::vector<std::string> folders = {folder.string()};
  for (auto value : {"2", "3"}) {
    std::vector<std::pair<std::string, std::string>> defines = {{"OFFSET", value}};
    auto library = compile(text, folders, defines);
    Buffer<int> out(1);
    call(*library, "f", {1}, {1}, {out});
    CHECK_EQ(out[0], 40 + std::atoi(value));
  }
  std::filesystem::remove_all(folder);
}

TEST(dispatches_of_several_threads_at_once) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  broken().function("reads_outside");
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int k = 0; k < 20; ++k) {
        Buffer<float> a(65, 3), out(64);
        call(broken(), "reads_outside", {64}, {32}, {a, {}, out});
        if (out[63] != 3) ++wrong;
        if (fault("reads_outside", {65}, {a, {}, out}).find("thread (64, 0, 0)") == std::string::npos) ++wrong;
        Buffer<int> zero(1);
        if (fault("divides_by_zero", {1}, {zero}).find("division by zero") == std::string::npos) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}

namespace {
sigjmp_buf back;
void on_segv(int) { siglongjmp(back, 1); }
} // namespace

TEST(signals_outside_of_kernels_go_to_the_handler_before) {
  Buffer<int> zero(1);
  signal(SIGSEGV, on_segv);
  HAS(fault("divides_by_zero", {1}, {zero}), "division by zero"); // puts its handlers in front again
  volatile int reached = 0;
  if (sigsetjmp(back, 1) == 0) {
    *static_cast<volatile int*>(allocate_guarded(0)) = 1;
  } else {
    reached = 1;
  }
  CHECK_EQ(reached, 1);
  signal(SIGSEGV, SIG_DFL);
  // And without one the process ends as it would.
  pid_t child = fork();
  if (child == 0) {
    fault("divides_by_zero", {1}, {zero});
    *static_cast<volatile int*>(allocate_guarded(0)) = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}
