// metal-cpp on the Objective-C stand-in: messages, counts, queues, and what a host may do wrong.
#include <dispatch/dispatch.h>
#include <Foundation/Foundation.hpp>
#include <Metal/Metal.hpp>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.h"
#include "kernels.h"
#include "metal/emulator/objc/standin.h"

namespace {

namespace objc = mlx::core::metal_emulator::objc;

struct Pool {
  NS::AutoreleasePool* pool = NS::AutoreleasePool::alloc()->init();
  ~Pool() { pool->release(); }
};

NS::String* text(const char* bytes) { return NS::String::string(bytes, NS::UTF8StringEncoding); }

MTL::Device* device() {
  static MTL::Device* instance = MTL::CreateSystemDefaultDevice();
  return instance;
}
MTL::Library* library() {
  static MTL::Library* instance = [] {
    NS::Error* error = nullptr;
    return device()->newLibrary(text(kernels_text.c_str()), nullptr, &error);
  }();
  return instance;
}
NS::SharedPtr<MTL::ComputePipelineState> pipeline(const char* name) {
  NS::Error* error = nullptr;
  auto function = NS::TransferPtr(library()->newFunction(text(name)));
  return NS::TransferPtr(device()->newComputePipelineState(function.get(), &error));
}
NS::SharedPtr<MTL::Buffer> buffer(size_t floats, float value) {
  auto made = NS::TransferPtr(device()->newBuffer(floats * 4, MTL::ResourceStorageModeShared));
  for (size_t i = 0; i < floats; ++i) static_cast<float*>(made->contents())[i] = value;
  return made;
}
float first(const NS::SharedPtr<MTL::Buffer>& b) { return *static_cast<float*>(b->contents()); }

void encode(MTL::CommandBuffer* commands, MTL::ComputePipelineState* state, MTL::Buffer* x, size_t n) {
  auto* encoder = commands->computeCommandEncoder();
  encoder->setComputePipelineState(state);
  encoder->setBuffer(x, 0, 0);
  encoder->dispatchThreads(MTL::Size::Make(n, 1, 1), MTL::Size::Make(8, 1, 1));
  encoder->endEncoding();
}

} // namespace

TEST(messages_return_every_kind_of_value) {
  Pool pool;
  CHECK_EQ(std::string(device()->name()->utf8String()), "Metal emulator (CPU)");
  MTL::Size most = device()->maxThreadsPerThreadgroup(); // a structure, returned in memory
  CHECK_EQ(most.width, 1024u);
  CHECK_EQ(most.depth, 1024u);
  CHECK_EQ(device()->maxThreadgroupMemoryLength(), 32768u);
  CHECK(device()->hasUnifiedMemory());
  CHECK(device()->supportsFamily(MTL::GPUFamilyMetal3));
  CHECK(!device()->supportsFamily(MTL::GPUFamilyApple10));
  CHECK(NS::ProcessInfo::processInfo()->isOperatingSystemAtLeastVersion({14, 0, 0}));
  CHECK(!NS::ProcessInfo::processInfo()->isOperatingSystemAtLeastVersion({99, 0, 0}));
  auto queue = NS::TransferPtr(device()->newCommandQueue());
  auto* commands = queue->commandBuffer();
  commands->commit();
  commands->waitUntilCompleted();
  CHECK(commands->GPUEndTime() >= commands->GPUStartTime()); // doubles
  CHECK(commands->GPUEndTime() > 0);
}

TEST(strings_arrays_dictionaries) {
  Pool pool;
  CHECK_EQ(text("a\xC3\xA9")->length(), 2u);
  CHECK(text("x")->isEqualToString(text("x")));
  CHECK_EQ(std::string(text("a")->stringByAppendingString(text("b"))->utf8String()), "ab");
  const NS::Object* items[] = {text("one"), text("two")};
  auto* array = NS::Array::array(items, 2);
  CHECK_EQ(array->count(), 2u);
  CHECK_EQ(std::string(array->object<NS::String>(1)->utf8String()), "two");
  CHECK_MESSAGE(std::logic_error, "2 of 2", array->object(2));
  auto* dictionary = NS::Dictionary::dictionary(text("value"), text("key"));
  CHECK_EQ(std::string(dictionary->object<NS::String>(text("key"))->utf8String()), "value");
  CHECK(!dictionary->object(text("other")));
}

TEST(nil_answers_nothing) {
  MTL::Buffer* nothing = nullptr;
  CHECK_EQ(nothing->length(), 0u);
  CHECK(nothing->contents() == nullptr);
  nothing->release();
  MTL::Device* none = nullptr;
  CHECK_MESSAGE(std::logic_error, "maxThreadsPerThreadgroup", none->maxThreadsPerThreadgroup());
}

TEST(what_is_not_implemented_says_so) {
  Pool pool;
  CHECK_MESSAGE(std::logic_error, "-[MTLDevice newDefaultLibrary]", device()->newDefaultLibrary());
  CHECK_MESSAGE(std::logic_error, "+[MTLHeapDescriptor alloc]", MTL::HeapDescriptor::alloc());
}

TEST(pools_and_counts) {
  int64_t before = objc::live_objects("NSString");
  {
    Pool pool;
    for (int i = 0; i < 100; ++i) text("x");
    {
      Pool inner;
      text("y");
      CHECK_EQ(objc::live_objects("NSString"), before + 101);
    }
    CHECK_EQ(objc::live_objects("NSString"), before + 100);
  }
  CHECK_EQ(objc::live_objects("NSString"), before);
  int64_t without = objc::objects_without_pool();
  NS::String* lost = text("lost");
  CHECK_EQ(objc::objects_without_pool(), without + 1);
  lost->release();
  int64_t buffers = objc::live_objects("MTLBuffer");
  MTL::Buffer* b = device()->newBuffer(16, MTL::ResourceStorageModeShared);
  CHECK_EQ(b->retain()->retainCount(), 2u);
  b->release();
  b->release();
  CHECK_EQ(objc::live_objects("MTLBuffer"), buffers);
}

TEST(buffers_and_their_limits) {
  Pool pool;
  size_t before = device()->currentAllocatedSize();
  setenv("MLX_METAL_EMULATOR_MEMORY", std::to_string(before + 1000000).c_str(), 1);
  CHECK(device()->newBuffer(0, MTL::ResourceStorageModeShared) == nullptr);
  CHECK(device()->newBuffer(device()->maxBufferLength() + 1, MTL::ResourceStorageModeShared) == nullptr);
  auto a = NS::TransferPtr(device()->newBuffer(400000, MTL::ResourceStorageModeShared));
  auto b = NS::TransferPtr(device()->newBuffer(400000, MTL::ResourceStorageModeShared));
  CHECK(a.get() && b.get());
  CHECK(device()->newBuffer(400000, MTL::ResourceStorageModeShared) == nullptr);
  CHECK_EQ(device()->currentAllocatedSize(), before + 800000);
  b.reset();
  auto c = NS::TransferPtr(device()->newBuffer("abc", 4, MTL::ResourceStorageModeShared));
  CHECK_EQ(std::string(static_cast<char*>(c->contents())), "abc");
  unsetenv("MLX_METAL_EMULATOR_MEMORY");

  auto* pages = static_cast<char*>(std::aligned_alloc(4096, 8192));
  CHECK(device()->newBuffer(pages + 16, 4096, 0, nullptr) == nullptr);
  CHECK(device()->newBuffer(pages, 100, 0, nullptr) == nullptr);
  __block size_t freed = 0;
  MTL::Buffer* wrapped = device()->newBuffer(pages, 8192, 0, ^(void*, NS::UInteger length) { freed = length; });
  CHECK(wrapped->contents() == pages);
  wrapped->release();
  CHECK_EQ(freed, 8192u);
  std::free(pages);
}

TEST(libraries_and_functions) {
  Pool pool;
  NS::Error* error = nullptr;
  CHECK(device()->newLibrary(text("kernel void broken( {"), nullptr, &error) == nullptr);
  CHECK(error && error->code() == MTL::LibraryErrorCompileFailure);
  CHECK(std::strstr(error->localizedDescription()->utf8String(), "error") != nullptr);
  CHECK(library() != nullptr);
  CHECK_EQ(library()->functionNames()->count(), 6u);
  CHECK(library()->newFunction(text("nothing")) == nullptr);
  auto values = NS::TransferPtr(MTL::FunctionConstantValues::alloc()->init());
  error = nullptr;
  CHECK(library()->newFunction(text("nothing"), values.get(), &error) == nullptr);
  CHECK(error && error->code() == MTL::LibraryErrorFunctionNotFound);
  error = nullptr;
  CHECK(library()->newFunction(text("scale"), values.get(), &error) == nullptr); // lacks its constant
  CHECK(error != nullptr);
  int factor = 3;
  values->setConstantValue(&factor, MTL::DataTypeInt, NS::UInteger(0));
  error = nullptr;
  auto function = NS::TransferPtr(library()->newFunction(text("scale"), values.get(), &error));
  auto state = NS::TransferPtr(device()->newComputePipelineState(function.get(), &error));
  CHECK_EQ(state->maxTotalThreadsPerThreadgroup(), 1024u);
  CHECK_EQ(state->threadExecutionWidth(), 32u);
  auto queue = NS::TransferPtr(device()->newCommandQueue());
  auto x = buffer(20, 2);
  auto* commands = queue->commandBuffer();
  encode(commands, state.get(), x.get(), 20);
  commands->commit();
  commands->waitUntilCompleted();
  CHECK_EQ(commands->status(), MTL::CommandBufferStatusCompleted);
  CHECK_EQ(static_cast<float*>(x->contents())[19], 6.0f);
}

TEST(libraries_from_data_and_files) {
  Pool pool;
  NS::Error* error = nullptr;
  auto* data =
      dispatch_data_create(kernels_text.data(), kernels_text.size(), nullptr, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
  CHECK_EQ(dispatch_data_get_size(data), kernels_text.size());
  auto loaded = NS::TransferPtr(device()->newLibrary(data, &error));
  dispatch_release(data);
  CHECK_EQ(loaded->functionNames()->count(), 6u);
  const char apple[] = "MTLB\1\2";
  data = dispatch_data_create(apple, sizeof apple, nullptr, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
  CHECK(device()->newLibrary(data, &error) == nullptr);
  dispatch_release(data);
  CHECK(std::strstr(error->localizedDescription()->utf8String(), "Apple") != nullptr);
  error = nullptr;
  CHECK(device()->newLibrary(NS::URL::fileURLWithPath(text("/nowhere/x.metallib")), &error) == nullptr);
  CHECK(error && error->code() == MTL::LibraryErrorFileNotFound);
}

TEST(handlers_run_before_the_wait_ends) {
  Pool pool;
  auto queue = NS::TransferPtr(device()->newCommandQueue());
  static std::atomic<int> calls{0};
  for (int i = 0; i < 20; ++i) {
    auto* commands = queue->commandBuffer();
    commands->addCompletedHandler([&](MTL::CommandBuffer* done) {
      CHECK_EQ(done->status(), MTL::CommandBufferStatusCompleted);
      ++calls;
    });
    commands->addCompletedHandler(^(MTL::CommandBuffer*) { ++calls; });
    commands->commit();
    if (i == 19) commands->waitUntilCompleted();
  }
  CHECK_EQ(calls.load(), 40);
}

TEST(two_queues_run_at_the_same_time) {
  Pool pool;
  auto one = NS::TransferPtr(device()->newCommandQueue()), two = NS::TransferPtr(device()->newCommandQueue());
  auto event = NS::TransferPtr(device()->newSharedEvent());
  // Each waits for the other: one queue after the other would never end.
  auto *a = one->commandBuffer(), *b = two->commandBuffer();
  a->encodeSignalEvent(event.get(), 1);
  a->encodeWait(event.get(), 2);
  b->encodeWait(event.get(), 1);
  b->encodeSignalEvent(event.get(), 2);
  a->commit();
  b->commit();
  a->waitUntilCompleted();
  b->waitUntilCompleted();
  CHECK_EQ(event->signaledValue(), 2u);
  CHECK(event->waitUntilSignaledValue(2, 0));
  CHECK(!event->waitUntilSignaledValue(3, 1));
}

TEST(a_fault_ends_its_buffer_only) {
  Pool pool;
  auto queue = NS::TransferPtr(device()->newCommandQueue());
  auto bad = pipeline("outside"), good = pipeline("add_one");
  auto x = buffer(16, 1);
  auto event = NS::TransferPtr(device()->newSharedEvent());
  auto* commands = queue->commandBuffer();
  auto* encoder = commands->computeCommandEncoder();
  encoder->setComputePipelineState(bad.get());
  encoder->setBuffer(x.get(), 0, 0);
  unsigned far = 16;
  encoder->setBytes(&far, 4, 1);
  encoder->dispatchThreads(MTL::Size::Make(1, 1, 1), MTL::Size::Make(1, 1, 1));
  encoder->endEncoding();
  commands->encodeSignalEvent(event.get(), 1);
  commands->commit();
  auto* after = queue->commandBuffer();
  encode(after, good.get(), x.get(), 16);
  after->commit();
  after->waitUntilCompleted();
  CHECK_EQ(commands->status(), MTL::CommandBufferStatusError);
  CHECK_EQ(commands->error()->code(), NS::Integer(MTL::CommandBufferErrorPageFault));
  CHECK(std::strstr(commands->error()->localizedDescription()->utf8String(), "outside") != nullptr);
  CHECK_EQ(event->signaledValue(), 0u);
  CHECK_EQ(after->status(), MTL::CommandBufferStatusCompleted);
  CHECK_EQ(first(x), 2.0f);
}

TEST(an_event_that_never_comes_is_an_error) {
  Pool pool;
  setenv("MLX_METAL_EMULATOR_TIMEOUT", "1", 1);
  auto queue = NS::TransferPtr(device()->newCommandQueue());
  auto event = NS::TransferPtr(device()->newSharedEvent());
  auto* commands = queue->commandBuffer();
  commands->encodeWait(event.get(), 5);
  commands->commit();
  commands->waitUntilCompleted();
  CHECK_EQ(commands->error()->code(), NS::Integer(MTL::CommandBufferErrorTimeout));
  unsetenv("MLX_METAL_EMULATOR_TIMEOUT");
}

TEST(misuse_is_found) {
  Pool pool;
  auto queue = NS::TransferPtr(device()->newCommandQueue());
  auto state = pipeline("add_one");
  auto x = buffer(16, 1);
  auto* commands = queue->commandBuffer();
  auto* encoder = commands->computeCommandEncoder();
  char bytes[5000] = {};
  CHECK_MESSAGE(std::logic_error, "1 to 4096", encoder->setBytes(bytes, 5000, 0));
  CHECK_MESSAGE(std::logic_error, "not below 31", encoder->setBuffer(x.get(), 0, 31));
  CHECK_MESSAGE(std::logic_error, "beyond the buffer", encoder->setBuffer(x.get(), 65, 0));
  CHECK_MESSAGE(std::logic_error, "multiple of 16", encoder->setThreadgroupMemoryLength(8, 0));
  MTL::Size one = MTL::Size::Make(1, 1, 1);
  CHECK_MESSAGE(std::logic_error, "without a pipeline", encoder->dispatchThreads(one, one));
  encoder->setComputePipelineState(state.get());
  CHECK_MESSAGE(std::logic_error, "at most 1024", encoder->dispatchThreads(one, MTL::Size::Make(1025, 1, 1)));
  CHECK_MESSAGE(std::logic_error, "encoder is open", commands->commit());
  CHECK_MESSAGE(std::logic_error, "another encoder", commands->computeCommandEncoder());
  encoder->endEncoding();
  CHECK_MESSAGE(std::logic_error, "after endEncoding", encoder->setBuffer(x.get(), 0, 0));
  CHECK_MESSAGE(std::logic_error, "not committed", commands->waitUntilCompleted());
  commands->commit();
  CHECK_MESSAGE(std::logic_error, "was committed", commands->commit());
  CHECK_MESSAGE(std::logic_error, "was committed", commands->computeCommandEncoder());
  commands->waitUntilCompleted();

  // Without retained references the host keeps the buffers, or else.
  auto* unretained = queue->commandBufferWithUnretainedReferences();
  auto gone = buffer(16, 1);
  encode(unretained, state.get(), gone.get(), 16);
  gone.reset();
  unretained->commit();
  unretained->waitUntilCompleted();
  CHECK(std::strstr(unretained->error()->localizedDescription()->utf8String(), "released before") != nullptr);
  auto* retained = queue->commandBuffer();
  auto kept = buffer(16, 1);
  encode(retained, state.get(), kept.get(), 16);
  kept.reset();
  retained->commit();
  retained->waitUntilCompleted();
  CHECK(!retained->error());
}

TEST(a_missing_barrier_shows_and_a_barrier_orders) {
  auto one = pipeline("add_one"), fill = pipeline("fill");
  for (bool barrier : {false, true}) {
    int wrong = 0;
    for (unsigned seed = 1; seed <= 20; ++seed) {
      Pool pool;
      objc::set_dispatch_seed(seed);
      auto queue = NS::TransferPtr(device()->newCommandQueue());
      auto x = buffer(4, 0);
      auto* commands = queue->commandBuffer();
      auto* encoder = commands->computeCommandEncoder(MTL::DispatchTypeConcurrent);
      float value = 10;
      encoder->setComputePipelineState(fill.get());
      encoder->setBuffer(x.get(), 0, 0);
      encoder->setBytes(&value, 4, 1);
      encoder->dispatchThreads(MTL::Size::Make(4, 1, 1), MTL::Size::Make(4, 1, 1));
      if (barrier) encoder->memoryBarrier(MTL::BarrierScopeBuffers);
      encoder->setComputePipelineState(one.get());
      encoder->setBuffer(x.get(), 0, 0);
      encoder->dispatchThreads(MTL::Size::Make(4, 1, 1), MTL::Size::Make(4, 1, 1));
      encoder->endEncoding();
      commands->commit();
      commands->waitUntilCompleted();
      wrong += first(x) != 11.0f;
    }
    CHECK_EQ(wrong > 0, !barrier);
  }
}

TEST(residency_sets_change_at_commit) {
  Pool pool;
  NS::Error* error = nullptr;
  auto descriptor = NS::TransferPtr(MTL::ResidencySetDescriptor::alloc()->init());
  descriptor->setInitialCapacity(10);
  CHECK_EQ(descriptor->initialCapacity(), 10u);
  auto set = NS::TransferPtr(device()->newResidencySet(descriptor.get(), &error));
  auto x = buffer(16, 1);
  set->addAllocation(x.get());
  CHECK_EQ(set->allocationCount(), 0u);
  set->commit();
  CHECK(set->containsAllocation(x.get()));
  CHECK_EQ(set->allocatedSize(), 64u);
  set->removeAllocation(x.get());
  set->commit();
  CHECK_EQ(set->allocationCount(), 0u);
  setenv("MLX_METAL_EMULATOR_MACOS", "14.2", 1);
  CHECK_MESSAGE(std::logic_error, "macOS 15", device()->newResidencySet(descriptor.get(), &error));
  unsetenv("MLX_METAL_EMULATOR_MACOS");
}
