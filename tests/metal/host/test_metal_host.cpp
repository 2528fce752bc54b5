// The library's Metal host: memory, streams, events, batches, errors.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "check.h"
#include "kernels.h"
#include "metal/emulator/objc/standin.h"
#include "mlx_core/gpu/gpu.h"
#include "mlx_core/gpu/metal_encoder.h"
#include "mlx_core/interrupt.h"

using namespace mlx::core;
using gpu::Access;
using gpu::MetalEncoder;

namespace {

namespace objc = metal_emulator::objc;

const gpu::Pipeline& kernel(const char* name, std::vector<gpu::FunctionConstant> constants = {}) {
  return gpu::generated_pipeline("tests", [] { return kernels_text; }, name, constants);
}
float* floats(const BufferRef& buffer) { return static_cast<float*>(buffer->data); }

void fill(MetalEncoder& encoder, const BufferRef& x, float value) {
  encoder.set_pipeline(kernel("fill"));
  encoder.set_buffer(0, x.get(), 0, Access::write);
  encoder.set_value(1, value);
  encoder.dispatch_threads({x->size / 4});
}
void add_one(MetalEncoder& encoder, const BufferRef& x) {
  encoder.set_pipeline(kernel("add_one"));
  encoder.set_buffer(0, x.get(), 0, Access::read_write);
  encoder.dispatch_threads({x->size / 4});
}
void add(MetalEncoder& encoder, const BufferRef& a, const BufferRef& b, const BufferRef& out) {
  encoder.set_pipeline(kernel("add"));
  encoder.set_buffer(0, a.get());
  encoder.set_buffer(1, b.get());
  encoder.set_buffer(2, out.get(), 0, Access::write);
  encoder.dispatch_threads({out->size / 4});
}
void fault(MetalEncoder& encoder, const BufferRef& x) {
  encoder.set_pipeline(kernel("outside"));
  encoder.set_buffer(0, x.get(), 0, Access::write);
  encoder.set_value(1, uint32_t{1000});
  encoder.dispatch_threads({4});
}
template <typename Body>
gpu::Event run(int stream, Body body) {
  {
    MetalEncoder encoder(stream);
    body(encoder);
  }
  return gpu::event(stream);
}

} // namespace

TEST(device_facts) {
  CHECK(gpu::is_available());
  const gpu::DeviceInfo& info = gpu::device_info();
  CHECK(!info.name.empty() && !info.architecture.empty());
  CHECK(info.max_buffer_length > 0 && info.max_recommended_working_set_size <= info.memory_size);
  CHECK_EQ(info.threadgroup_memory, 32768u);
}

TEST(memory_is_counted_and_reused) {
  gpu::clear_cache();
  gpu::Memory before = gpu::memory();
  void* data;
  {
    BufferRef a = gpu::allocate(100000);
    data = a->data;
    CHECK_EQ(a->size, 100000u);
    CHECK_EQ(gpu::memory().active, before.active + 100000);
    CHECK(gpu::memory().peak >= before.active + 100000);
  }
  CHECK_EQ(gpu::memory().active, before.active);
  CHECK_EQ(gpu::memory().cache, 100000u);
  CHECK(gpu::allocate(90000)->data == data); // fits
  CHECK(gpu::allocate(10)->data != data);    // would waste it
  gpu::clear_cache();
  CHECK_EQ(gpu::memory().cache, 0u);
  CHECK(gpu::allocate(0)->device_handle != nullptr);

  size_t limit = gpu::set_cache_limit(0);
  int64_t objects = objc::live_objects("MTLBuffer");
  { BufferRef a = gpu::allocate(64); }
  CHECK_EQ(objc::live_objects("MTLBuffer"), objects); // nothing is kept
  CHECK_EQ(gpu::set_cache_limit(limit), 0u);
  size_t memory_limit = gpu::set_memory_limit(1000);
  CHECK(gpu::memory_is_tight(1001));
  gpu::set_memory_limit(memory_limit);
  CHECK(!gpu::memory_is_tight(1001));
}

TEST(out_of_memory_is_an_error_and_frees_what_it_can) {
  gpu::clear_cache();
  size_t used = gpu::memory().active;
  setenv("MLX_METAL_EMULATOR_MEMORY", std::to_string(used + 1000000).c_str(), 1);
  {
    BufferRef a = gpu::allocate(400000);
    CHECK_MESSAGE(OutOfMemory, "400001 bytes", (gpu::allocate(300000), gpu::allocate(400001), gpu::allocate(700000)));
    CHECK_THROWS(OutOfMemory, gpu::allocate(size_t{1} << 62));
    // What is under way holds 400000 bytes; it is waited for.
    run(0, [&](MetalEncoder& encoder) {
      BufferRef b = gpu::allocate(400000);
      fill(encoder, b, 1);
    });
    BufferRef c = gpu::allocate(450000);
    CHECK_EQ(c->size, 450000u);
  }
  unsetenv("MLX_METAL_EMULATOR_MEMORY");
  gpu::clear_cache();
  CHECK_EQ(gpu::memory().active, used);
  BufferRef x = gpu::allocate(16);
  run(0, [&](MetalEncoder& encoder) { fill(encoder, x, 2); }).wait();
  CHECK_EQ(floats(x)[3], 2.0f);
}

TEST(host_memory_is_wrapped_at_pages_and_copied_elsewhere) {
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  static std::atomic<int> released{0};
  auto* memory = static_cast<float*>(std::aligned_alloc(page, 2 * page));
  for (int i = 0; i < 8; ++i) memory[i] = static_cast<float>(i);
  for (bool aligned : {true, false}) {
    released = 0;
    float* data = memory + (aligned ? 0 : 4);
    {
      BufferRef host = adopt(data, 16, nullptr, [](void*) { ++released; });
      BufferRef seen = gpu::on_device(host);
      CHECK_EQ(seen->data == data, aligned);
      CHECK_EQ(seen->pinned, aligned);
      CHECK_EQ(seen->size, 16u);
      CHECK(gpu::on_device(seen).get() == seen.get());
      host = BufferRef();
      CHECK_EQ(released.load(), aligned ? 0 : 1);
      BufferRef out = gpu::allocate(16);
      run(0, [&](MetalEncoder& encoder) { add(encoder, seen, seen, out); }).wait();
      CHECK_EQ(floats(out)[3], 2 * data[3]);
    }
    CHECK_EQ(released.load(), 1);
  }
  BufferRef host = adopt(memory, 16, nullptr, [](void*) {});
  {
    MetalEncoder encoder(0);
    CHECK_MESSAGE(std::logic_error, "on_device", encoder.set_buffer(0, host.get()));
  }
  host = BufferRef();
  std::free(memory);
}

TEST(memory_stays_resident_up_to_the_limit) {
  gpu::clear_cache();
  CHECK_MESSAGE(std::invalid_argument, "recommends", gpu::set_wired_limit(SIZE_MAX));
  setenv("MLX_METAL_EMULATOR_MACOS", "14.0", 1);
  CHECK_MESSAGE(std::runtime_error, "macOS 15", gpu::set_wired_limit(1000));
  unsetenv("MLX_METAL_EMULATOR_MACOS");
  CHECK_EQ(gpu::set_wired_limit(1000), 0u);
  int64_t objects = objc::live_objects("MTLBuffer");
  {
    BufferRef a = gpu::allocate(600), b = gpu::allocate(600);
    run(0, [&](MetalEncoder& encoder) { fill(encoder, a, 1); }).wait();
  }
  gpu::clear_cache();
  CHECK_EQ(objc::live_objects("MTLBuffer"), objects); // the set let go of it, too
  CHECK_EQ(gpu::set_wired_limit(0), 1000u);
}

TEST(constants_threadgroup_memory_and_long_bytes) {
  BufferRef x = gpu::allocate(40);
  run(0, [&](MetalEncoder& encoder) {
    fill(encoder, x, 2);
    encoder.set_pipeline(kernel("scale", {{0, int32_t{-7}}}));
    encoder.set_buffer(0, x.get(), 20, Access::read_write);
    encoder.dispatch_threads({5}, {5});
  }).wait();
  CHECK_EQ(floats(x)[4], 2.0f);
  CHECK_EQ(floats(x)[5], -14.0f);
  CHECK(&kernel("scale", {{0, int32_t{-7}}}) == &kernel("scale", {{0, int32_t{-7}}}));
  CHECK(&kernel("scale", {{0, int32_t{-7}}}) != &kernel("scale", {{0, int32_t{8}}}));

  std::vector<float> many(2000, 0.5f); // more than setBytes takes
  BufferRef out = gpu::allocate(4);
  run(0, [&](MetalEncoder& encoder) {
    encoder.set_pipeline(kernel("total"));
    encoder.set_bytes(0, many.data(), many.size() * 4);
    encoder.set_buffer(1, out.get(), 0, Access::write);
    encoder.set_threadgroup_memory(0, 1000 * 4);
    encoder.dispatch_threadgroups({1}, {1000});
  }).wait();
  CHECK_EQ(floats(out)[0], 500.0f);
}

TEST(launches_that_cannot_be_are_refused) {
  BufferRef x = gpu::allocate(16);
  {
    MetalEncoder encoder(0);
    CHECK_MESSAGE(std::logic_error, "without a pipeline", encoder.dispatch_threads({1}));
    encoder.set_pipeline(kernel("add_one"));
    encoder.set_buffer(0, x.get());
    CHECK_MESSAGE(std::logic_error, "1 to 1024", encoder.dispatch_threads({1}, {2000}));
    CHECK_MESSAGE(std::logic_error, "2^32", encoder.dispatch_threads({uint64_t{1} << 33}));
    encoder.dispatch_threads({0, 5, 1}); // nothing
    CHECK_MESSAGE(std::logic_error, "two encoders", MetalEncoder(0));
    CHECK_THROWS(std::logic_error, gpu::commit(0));
  }
  CHECK_MESSAGE(std::runtime_error, "There is no kernel nothing", kernel("nothing"));
  CHECK_THROWS(std::runtime_error, kernel("scale"));
  CHECK_MESSAGE(std::runtime_error, "does not compile",
      gpu::generated_pipeline("bad", [] { return std::string("kernel void f( {"); }, "f"));
  CHECK_MESSAGE(std::runtime_error, "nowhere.h",
      gpu::generated_pipeline("bad include", [] { return std::string("#include \"nowhere.h\"\n"); }, "f"));
  CHECK_MESSAGE(std::runtime_error, "no shader file nowhere.metal", gpu::pipeline("nowhere.metal", "f"));
  gpu::synchronize(0);
}

TEST(dependent_dispatches_are_ordered_others_are_free) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    objc::set_dispatch_seed(seed);
    BufferRef a = gpu::allocate(64), b = gpu::allocate(64), c = gpu::allocate(64);
    run(0, [&](MetalEncoder& encoder) {
      fill(encoder, a, 1);
      fill(encoder, b, 10);
      add(encoder, a, b, c); // reads what was written
      add_one(encoder, a);   // writes what was read
      add(encoder, a, c, b); // writes what was read, reads what was written
      fill(encoder, a, 100); // writes what was read
      add(encoder, a, b, c);
    }).wait();
    CHECK_EQ(floats(b)[15], 13.0f);
    CHECK_EQ(floats(c)[15], 113.0f);
  }
}

TEST(dispatches_are_batched) {
  gpu::synchronize(0);
  BufferRef x = gpu::allocate(16);
  uint64_t before = objc::command_buffers_run();
  for (int i = 0; i < 400; ++i) run(0, [&](MetalEncoder& encoder) { i ? add_one(encoder, x) : fill(encoder, x, 0); });
  gpu::synchronize(0);
  CHECK_EQ(floats(x)[0], 399.0f);
  CHECK_EQ(objc::command_buffers_run() - before, 10u); // 40 each
  before = objc::command_buffers_run();
  for (int i = 0; i < 8; ++i) {
    BufferRef big = gpu::allocate(size_t{11} << 20);
    run(0, [&](MetalEncoder& encoder) { add_one(encoder, x), encoder.keep(big); });
  }
  gpu::synchronize(0);
  CHECK_EQ(objc::command_buffers_run() - before, 2u); // 40 MB each
}

TEST(events_order_streams) {
  BufferRef x = gpu::allocate(400);
  for (int round = 0; round < 50; ++round) {
    run(0, [&](MetalEncoder& encoder) { round ? add_one(encoder, x) : fill(encoder, x, 0); });
    gpu::wait_for(1, gpu::event(0));
    gpu::wait_for(0, run(1, [&](MetalEncoder& encoder) { add_one(encoder, x); }));
  }
  run(0, [&](MetalEncoder& encoder) { add_one(encoder, x); }).wait();
  CHECK_EQ(floats(x)[99], 100.0f);
  CHECK(gpu::event(0).is_done());
  CHECK(gpu::Event().is_done());
  gpu::Event().wait();
}

TEST(an_event_can_be_waited_for_before_its_batch_is_full) {
  BufferRef x = gpu::allocate(16);
  gpu::Event event = run(2, [&](MetalEncoder& encoder) { fill(encoder, x, 5); });
  std::thread other([&] { event.wait(); }); // commits what this thread has only encoded
  other.join();
  CHECK_EQ(floats(x)[0], 5.0f);
  gpu::close_stream(2);
}

TEST(streams_wait_for_the_host) {
  BufferRef x = gpu::allocate(16), y = gpu::allocate(16);
  gpu::HostEvent host;
  gpu::wait_for(3, host.event());
  gpu::Event event = run(3, [&](MetalEncoder& encoder) { add_one(encoder, x); });
  gpu::commit(3);
  run(4, [&](MetalEncoder& encoder) { fill(encoder, y, 3); }).wait(); // another stream goes on
  CHECK(!event.is_done());
  for (int i = 0; i < 4; ++i) floats(x)[i] = 41;
  host.signal();
  event.wait();
  CHECK_EQ(floats(x)[3], 42.0f);

  gpu::Event failed;
  {
    gpu::HostEvent never;
    gpu::wait_for(3, never.event());
    failed = run(3, [&](MetalEncoder& encoder) { add_one(encoder, x); });
    never.fail("the host found no data");
  }
  CHECK_MESSAGE(gpu::DeviceError, "the host found no data", failed.wait());
  run(3, [&](MetalEncoder& encoder) { fill(encoder, x, 1); }).wait();
}

TEST(waits_can_be_interrupted) {
  BufferRef x = gpu::allocate(16);
  gpu::HostEvent host;
  gpu::wait_for(5, host.event());
  gpu::Event event = run(5, [&](MetalEncoder& encoder) { fill(encoder, x, 1); });
  std::atomic<bool> stop{false};
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    stop = true;
  });
  {
    StopFlagScope scope(stop, false);
    CHECK_THROWS(Interrupted, event.wait());
  }
  other.join();
  host.signal();
  event.wait();
  CHECK_EQ(floats(x)[0], 1.0f);
}

TEST(a_fault_reaches_who_waits_and_what_depends_on_it) {
  BufferRef x = gpu::allocate(16), y = gpu::allocate(16), z = gpu::allocate(16), w = gpu::allocate(16);
  gpu::Event bad = run(0, [&](MetalEncoder& encoder) { fault(encoder, x); });
  gpu::commit(0);
  gpu::Event reads = run(0, [&](MetalEncoder& encoder) { add(encoder, x, x, y); });
  gpu::commit(0);
  gpu::Event unrelated = run(0, [&](MetalEncoder& encoder) { fill(encoder, w, 4); });
  gpu::commit(0);
  gpu::wait_for(1, reads);
  gpu::Event elsewhere = run(1, [&](MetalEncoder& encoder) { add(encoder, y, y, z); });
  CHECK_MESSAGE(gpu::DeviceError, "outside", elsewhere.wait());
  CHECK_MESSAGE(gpu::DeviceError, "outside", reads.wait());
  CHECK_MESSAGE(gpu::DeviceError, "outside", bad.wait());
  CHECK(!bad.error().empty());
  unrelated.wait();
  CHECK_EQ(floats(w)[0], 4.0f);
  // Written anew, and on both streams, all is well.
  run(0, [&](MetalEncoder& encoder) { fill(encoder, z, 1), add_one(encoder, z); }).wait();
  run(1, [&](MetalEncoder& encoder) { add_one(encoder, z); }).wait();
  CHECK_EQ(floats(z)[3], 3.0f);
  gpu::synchronize(0);
}

TEST(checks_can_fail_a_batch) {
  BufferRef flag = gpu::allocate(4);
  auto launch = [&](float value) {
    return run(0, [&](MetalEncoder& encoder) {
      fill(encoder, flag, value);
      encoder.check([flag] { return floats(flag)[0] == 0 ? std::string() : std::string("index out of range"); });
    });
  };
  CHECK_MESSAGE(gpu::DeviceError, "index out of range", launch(1).wait());
  launch(0).wait();
}

TEST(buffers_are_kept_until_the_device_is_done) {
  BufferRef out = gpu::allocate(16);
  gpu::HostEvent host;
  gpu::wait_for(6, host.event());
  gpu::clear_cache();
  size_t before = gpu::memory().active;
  gpu::Event event = run(6, [&](MetalEncoder& encoder) {
    BufferRef a = encoder.scratch(16), b = encoder.scratch(16);
    fill(encoder, a, 1);
    fill(encoder, b, 2);
    add(encoder, a, b, out);
  });
  CHECK_EQ(gpu::memory().active, before + 32);
  BufferRef other = gpu::allocate(16); // not theirs
  for (int i = 0; i < 4; ++i) floats(other)[i] = 7;
  host.signal();
  event.wait();
  CHECK_EQ(floats(out)[0], 3.0f);
  CHECK_EQ(floats(other)[0], 7.0f);
  other = BufferRef();
  CHECK_EQ(gpu::memory().active, before);
}

TEST(ten_thousand_dispatches_leave_nothing_behind) {
  auto round = [](int n) {
    BufferRef x = gpu::allocate(64);
    for (int i = 0; i < n; ++i) {
      run(i & 1, [&](MetalEncoder& encoder) {
        BufferRef temporary = encoder.scratch(64);
        fill(encoder, temporary, 1);
        if ((i & 1) == 0) add_one(encoder, x);
      });
      if (i % 100 == 99) gpu::wait_for(i % 200 == 199, gpu::event(i % 200 != 199));
    }
    gpu::synchronize_all();
  };
  round(300);
  // A command buffer's last reference goes a moment after its handlers, and so does the pool that they ran in.
  auto wait_until_gone = [](const char* name, int64_t left) {
    for (int i = 0; i < 500 && objc::live_objects(name) > left; ++i) usleep(10000);
  };
  wait_until_gone("MTLCommandBuffer", 0);
  wait_until_gone("NSAutoreleasePool", 0);
  const char* classes[] = {"MTLBuffer", "MTLCommandBuffer", "MTLComputeCommandEncoder", "MTLSharedEvent", "NSString",
      "NSError", "NSAutoreleasePool", "MTLFunction", "MTLFunctionConstantValues"};
  gpu::clear_cache();
  std::vector<int64_t> before;
  for (const char* name : classes) before.push_back(objc::live_objects(name));
  size_t active = gpu::memory().active;
  uint64_t dispatches = objc::dispatches_run();
  round(6700);
  CHECK(objc::dispatches_run() - dispatches >= 10000);
  gpu::clear_cache();
  CHECK_EQ(gpu::memory().active, active);
  wait_until_gone("MTLCommandBuffer", before[1]);
  wait_until_gone("NSAutoreleasePool", before[6]);
  for (size_t i = 0; i < std::size(classes); ++i) {
    CHECK_EQ(std::string(classes[i]) + " " + std::to_string(objc::live_objects(classes[i])),
        std::string(classes[i]) + " " + std::to_string(before[i]));
  }
  CHECK_EQ(objc::objects_without_pool(), 0);
}

TEST(threads_share_a_stream_and_have_their_own) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &wrong] {
      BufferRef x = gpu::allocate(64);
      int stream = t < 2 ? 7 : 8 + t;
      for (int i = 0; i < 200; ++i)
        run(stream, [&](MetalEncoder& encoder) { i ? add_one(encoder, x) : fill(encoder, x, 0); });
      gpu::event(stream).wait();
      wrong += floats(x)[15] != 199.0f;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST(captures_are_files) {
  std::string path = std::filesystem::temp_directory_path() / ("mlx_capture_" + std::to_string(getpid()));
  CHECK_MESSAGE(std::runtime_error, "No capture", gpu::stop_capture());
  gpu::start_capture(path);
  CHECK_MESSAGE(std::runtime_error, "already open", gpu::start_capture(path + "2"));
  BufferRef x = gpu::allocate(16);
  run(0, [&](MetalEncoder& encoder) { fill(encoder, x, 1); });
  gpu::stop_capture();
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  CHECK(text.str().find("fill threads 4x1x1") != std::string::npos);
  CHECK_MESSAGE(std::runtime_error, "exists", gpu::start_capture(path));
  std::filesystem::remove(path);
}

TEST(a_forked_process_is_told) {
  BufferRef x = gpu::allocate(16);
  pid_t child = fork();
  if (child == 0) {
    bool told = false;
    try {
      gpu::allocate(16);
    } catch (const std::runtime_error& error) {
      told = std::strstr(error.what(), "forked") != nullptr;
    }
    x = BufferRef(); // harmless
    _exit(told && !gpu::is_available() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  run(0, [&](MetalEncoder& encoder) { fill(encoder, x, 1); }).wait();
}
