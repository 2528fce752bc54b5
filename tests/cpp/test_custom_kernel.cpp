// Kernels that users write: the function around the source, and what a call says; what they compute where there is a
// GPU.
#include "check.h"
#include "mlx_core/mlx.h"

using namespace mlx::core;

namespace {

CustomKernel scaling() {
  CustomKernel kernel;
  kernel.name = "scaling";
  kernel.input_names = {"x", "few", "n"};
  kernel.output_names = {"out"};
  kernel.source = "out[thread_position_in_grid.x] = T(x[0]) * few_shape[0] * K * n;";
  kernel.template_values = {{"T", float32}, {"K", -3}, {"flag", true}};
  return kernel;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

} // namespace

TEST(the_function_around_a_source) {
  CustomKernel kernel = scaling();
  const CustomKernel::Input inputs[] = {{float32, 2, 20}, {int8, 1, 7}, {bool_, 0, 1}};
  const Dtype outputs[] = {float16};
  std::string text = kernel.text(inputs, outputs);
  for (const char* part : {"template <typename T, int K, bool flag>\n[[kernel]] void custom_kernel_scaling(",
           "const device float* x [[buffer(0)]]", "const constant int8_t* few [[buffer(1)]]",
           "const constant int* few_shape [[buffer(2)]]", "const constant bool& n [[buffer(3)]]",
           "device float16_t* out [[buffer(4)]]", "uint3 thread_position_in_grid [[thread_position_in_grid]]",
           "#line 1 \"scaling\"\nout[", "custom_kernel_scaling<float, -3, true>;"}) {
    CHECK(has(text, part));
  }
  CHECK(!has(text, "x_shape") && !has(text, "few_strides") && !has(text, "thread_index"));
  CHECK_EQ(kernel.argument_count(inputs), size_t{5});
  kernel.atomic_outputs = true;
  CHECK(has(kernel.text(inputs, outputs), "device atomic<float16_t>* out"));
  kernel.input_names[0] = "few_shape"; // the name is taken: it is that input's
  CHECK_EQ(kernel.argument_count(inputs), size_t{4});
}

TEST(a_call) {
  auto twice =
      fast::metal_kernel("twice", {"x"}, {"out"}, "out[thread_position_in_grid.x] = 2 * x[thread_position_in_grid.x];");
  array x = arange(0, 10, 1, float32);
  auto call = [&](StreamOrDevice s) {
    return twice({x}, {x.shape()}, {float32}, {10, 1, 1}, {10, 1, 1}, {}, std::nullopt, false, s);
  };
  if (!is_available(Device::gpu)) {
    CHECK_MESSAGE(std::runtime_error, "needs the Metal backend", call({}));
    return;
  }
  CHECK(array_equal(call(Device(Device::gpu))[0], add(x, x)).item<bool>());
  CHECK_MESSAGE(std::invalid_argument, "runs on the GPU", call(Device(Device::cpu)));
  VectorFunction mapped = vmap(VectorFunction([&](const std::vector<array>& in) {
    return twice(in, {in[0].shape()}, {float32}, {5, 1, 1}, {5, 1, 1}, {}, std::nullopt, false, Device(Device::gpu));
  }));
  array rows = reshape(x, {2, 5});
  CHECK(array_equal(mapped({rows})[0], add(rows, rows)).item<bool>());
}

TEST(names_and_cuda) {
  CHECK_MESSAGE(std::invalid_argument, "no identifier", fast::metal_kernel("k", {"1"}, {"y"}, ""));
  CHECK_MESSAGE(std::runtime_error, "no CUDA", fast::cuda_kernel("k", {"x"}, {"y"}, ""));
}
