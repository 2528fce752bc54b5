// Every body with every dtype that shaders have, and every conversion, as fused plans on the runner against the host's.
#include "mlx_core/gpu/fused_msl.h"
#include "runner_encoder.h"
#include "samples.h"

using namespace samples;

namespace {

constexpr int64_t count = 3000;

// Units in the last place that a body may differ from the host's float32 by. What is exact is missing here.
double bound_of(Body body, Dtype dtype) {
  if (dtype == complex64) {
    switch (body) {
      case Body::divide:
      case Body::zero_divide:
      case Body::reciprocal:
      case Body::abs:
      case Body::sign: return 3;
      case Body::multiply:
      case Body::square:
      case Body::zero_times: return 0;
      default: return 0;
    }
  }
  switch (body) {
    case Body::exp:
    case Body::exp2:
    case Body::expm1:
    case Body::log:
    case Body::log2:
    case Body::log10:
    case Body::log1p:
    case Body::sigmoid:
    case Body::erf:
    case Body::sin:
    case Body::cos:
    case Body::tan:
    case Body::arcsin:
    case Body::arccos:
    case Body::arctan:
    case Body::sinh:
    case Body::cosh:
    case Body::tanh:
    case Body::arcsinh:
    case Body::arccosh:
    case Body::arctanh:
    case Body::arctan2:
    case Body::cube:
    case Body::power:
    case Body::hypot: return dtype == float32 ? 3 : 1;
    case Body::logaddexp:
    case Body::erfinv: return dtype == float32 ? 5 : 1;
    default: return 0;
  }
}

int inputs_of(Body body) {
  if (body >= Body::select) {
    return 3;
  }
  if (body == Body::make_complex || (body >= Body::add && body < Body::select)) {
    return 2;
  }
  return 1;
}

struct Job {
  Body body;
  Dtype from, to;
};

Dtype dtype_at(int i) { return static_cast<Dtype::Val>(i); }

// All jobs of one dtype, of some inputs each, a few outputs to a plan.
void compare(const std::vector<Job>& jobs, unsigned seed) {
  constexpr size_t at_once = 16;
  for (size_t begin = 0; begin < jobs.size(); begin += at_once) {
    std::mt19937_64 random(seed);
    Dtype dtype = jobs[0].from;
    Values condition = drawn(bool_, count, random), a = drawn(dtype, count, random), b = drawn(dtype, count, random);
    for (int64_t i = 0; i < count / 8; ++i) { // shift counts, powers and equal operands
      if (dtype.is_integer()) {
        int64_t whole = static_cast<int64_t>(random() % 70);
        std::memcpy(b.as<char>() + i * dtype.size(), &whole, static_cast<size_t>(dtype.size()));
      } else {
        std::memcpy(
            b.as<char>() + i * dtype.size(), a.as<char>() + i * dtype.size(), static_cast<size_t>(dtype.size()));
      }
    }
    FusedPlan plan;
    plan.size = count;
    std::vector<View> sources{condition.view(), a.view(), b.view()};
    for (const View& source : sources) {
      plan.sources.push_back({FusedPlan::Layout::flat, {}, {}});
      plan.slots.push_back({source.dtype, false, -1});
    }
    std::vector<Values> got, expected;
    std::vector<View> outputs, host_outputs;
    size_t end = std::min(jobs.size(), begin + at_once);
    for (size_t j = begin; j < end; ++j) {
      const Job& job = jobs[j];
      int arity = inputs_of(job.body);
      FusedPlan::Step step{
          job.body, job.from, job.to, {1, 2, 0}, static_cast<uint8_t>(arity), static_cast<uint16_t>(plan.slots.size())};
      if (arity == 3) {
        step.inputs[0] = job.body == Body::select ? 0 : 2;
        step.inputs[1] = 1;
        step.inputs[2] = 2;
      }
      plan.steps.push_back(step);
      plan.slots.push_back({job.to, false, static_cast<int16_t>(j - begin)});
      got.emplace_back(job.to, count);
      expected.emplace_back(job.to, count);
      outputs.push_back(got.back().view());
      host_outputs.push_back(expected.back().view());
    }
    plan.stages.push_back({0, static_cast<uint32_t>(plan.steps.size()), 0});
    host_kernels().run(kernel::Fused{plan, sources, host_outputs});
    kernel::Fused request{plan, sources, outputs};
    CHECK(gpu::supports(request));
    runner::RunnerEncoder encoder;
    try {
      gpu::launch(encoder, request);
    } catch (const std::exception& error) {
      check::fail(__FILE__, __LINE__, text_of(dtype) + ": " + std::string(error.what()).substr(0, 3000));
      return;
    }
    for (size_t j = begin; j < end; ++j) {
      const Job& job = jobs[j];
      bool by_modulus = job.to == complex64 && bound_of(job.body, job.from) > 0;
      Difference d = difference(got[j - begin], expected[j - begin], by_modulus);
      if (d.ulp > bound_of(job.body, job.from)) {
        check::fail(__FILE__, __LINE__,
            std::string(gpu::name_of_body(job.body)) + " of " + text_of(job.from) + " to " + text_of(job.to) + " at " +
                std::to_string(d.at) + ": " + element(a, d.at) + ", " + element(b, d.at) + " gives " +
                element(got[j - begin], d.at) + ", the host " + element(expected[j - begin], d.at) + ": " +
                std::to_string(d.ulp) + " ulp");
      }
    }
  }
}

} // namespace

TEST(every_body) {
  for (int i = 0; i < dtype_count; ++i) {
    Dtype dtype = dtype_at(i);
    std::vector<Job> jobs;
    for (int body = 0; body < static_cast<int>(Body::count_); ++body) {
      auto b = static_cast<Body>(body);
      Dtype to = output_dtype(b, dtype);
      if (gpu::has_functor(b, dtype, to)) {
        jobs.push_back({b, dtype, to});
      }
    }
    if (!jobs.empty()) {
      compare(jobs, 7);
    }
  }
}

TEST(every_conversion) {
  for (int i = 0; i < dtype_count; ++i) {
    std::vector<Job> jobs;
    for (int j = 0; j < dtype_count; ++j) {
      if (gpu::has_functor(Body::copy, dtype_at(i), dtype_at(j))) {
        jobs.push_back({Body::copy, dtype_at(i), dtype_at(j)});
      }
    }
    if (!jobs.empty()) {
      compare(jobs, 11);
    }
  }
}

TEST(left_to_the_host) {
  // What a shader has no functor for: float64 and complex128, and these functions of complex numbers.
  std::string left;
  for (int body = 0; body < static_cast<int>(Body::count_); ++body) {
    auto b = static_cast<Body>(body);
    if (is_defined(b, complex64, output_dtype(b, complex64)) &&
        !gpu::has_functor(b, complex64, output_dtype(b, complex64))) {
      left += std::string(gpu::name_of_body(b)) + " ";
    }
    for (Dtype dtype : {Dtype(float32), Dtype(float16), Dtype(bfloat16), Dtype(int64), Dtype(bool_)}) {
      CHECK_EQ(gpu::has_functor(b, dtype, output_dtype(b, dtype)), is_defined(b, dtype, output_dtype(b, dtype)));
    }
  }
  CHECK_EQ(left,
      "sqrt rsqrt exp expm1 log log2 log10 log1p sigmoid exp2 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh "
      "arccosh arctanh power logaddexp ");
}
