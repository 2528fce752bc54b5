// Captures of what the GPU does, for Xcode.
#include "mlx_core/error.h"
#include "mlx_core/gpu/metal_device.h"

namespace mlx::core::gpu {

void start_capture(const std::string& path) {
  PoolScope pool;
  MTL::Device& captured = device();
  synchronize_all(); // so that it holds what comes after
  MTL::CaptureManager* manager = MTL::CaptureManager::sharedCaptureManager();
  if (!manager->supportsDestination(MTL::CaptureDestinationGPUTraceDocument)) {
    fail<std::runtime_error>(
        "start_capture", "Captures are off. Start the process with MTL_CAPTURE_ENABLED=1 in its environment.");
  }
  auto descriptor = NS::TransferPtr(MTL::CaptureDescriptor::alloc()->init());
  descriptor->setCaptureObject(reinterpret_cast<NS::Object*>(&captured));
  descriptor->setDestination(MTL::CaptureDestinationGPUTraceDocument);
  descriptor->setOutputURL(NS::URL::fileURLWithPath(apple_string(path)));
  NS::Error* error = nullptr;
  if (!manager->startCapture(descriptor.get(), &error)) {
    fail<std::runtime_error>("start_capture", "path '", path, "' cannot be captured into: ", text_of(error));
  }
}

void stop_capture() {
  PoolScope pool;
  MTL::CaptureManager* manager = MTL::CaptureManager::sharedCaptureManager();
  if (!manager->isCapturing())
    fail<std::runtime_error>("stop_capture", "No capture is open. Call start_capture first.");
  synchronize_all();
  manager->stopCapture();
}

} // namespace mlx::core::gpu
