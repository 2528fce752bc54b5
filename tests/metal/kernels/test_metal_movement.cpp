// Copies between layouts, ranges and random bits on the runner: equal to the host's to the bit.
#include "runner_encoder.h"
#include "samples.h"

using namespace samples;

namespace {

template <typename Kind>
void compare(const std::string& what, const Kind& kind, const Kind& host, const Values& got, const Values& expected) {
  CHECK(gpu::supports(kind));
  runner::RunnerEncoder encoder;
  try {
    gpu::launch(encoder, kind);
  } catch (const std::exception& error) {
    check::fail(__FILE__, __LINE__, what + ": " + error.what());
    return;
  }
  host_kernels().run(host);
  if (std::memcmp(got.buffer->data, expected.buffer->data, expected.buffer->size) != 0) {
    size_t at = 0;
    while (got.as<char>()[at] == expected.as<char>()[at]) {
      ++at;
    }
    auto i = static_cast<int64_t>(at) / got.dtype.size();
    check::fail(__FILE__, __LINE__,
        what + " differs at element " + std::to_string(i) + ": " + element(got, i) + ", the host " +
            element(expected, i));
  }
}

Strides row_major(const Sizes& sizes) {
  Strides strides(sizes.size(), 1);
  for (size_t i = sizes.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * sizes[i];
  }
  return strides;
}

void copy(const std::string& what, Dtype dtype, Sizes sizes, Strides from, Strides to, int64_t start = 0) {
  std::mt19937_64 random(3);
  int64_t reach_from = 1, reach_to = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    reach_from += std::abs(from[i]) * std::max<int64_t>(sizes[i] - 1, 0);
    reach_to += std::abs(to[i]) * std::max<int64_t>(sizes[i] - 1, 0);
  }
  Values source = drawn(uint8, (reach_from + start) * dtype.size(), random);
  Values got(dtype, reach_to), expected(dtype, reach_to);
  View in{source.buffer.get(), start * dtype.size(), nullptr, dtype, sizes, from};
  View mine = got.view(sizes, to), host = expected.view(sizes, to);
  compare(what, kernel::Copy{in, mine}, kernel::Copy{in, host}, got, expected);
}

} // namespace

TEST(copies) {
  for (Dtype dtype : {Dtype(uint8), Dtype(float16), Dtype(float32), Dtype(complex64), Dtype(complex128)}) {
    std::string name = text_of(dtype);
    copy(name + " flat", dtype, {777}, {1}, {1});
    copy(name + " one", dtype, {}, {}, {});
    copy(name + " fill", dtype, {100}, {0}, {1});
    copy(name + " none", dtype, {0, 3}, {3, 1}, {3, 1});
    copy(name + " transposed", dtype, {70, 45}, {1, 70}, {45, 1});
    copy(name + " transposed batch", dtype, {3, 33, 40}, {33 * 40, 1, 33}, {33 * 40, 40, 1});
    copy(name + " axes", dtype, {3, 4, 5, 6}, {6, 18, 72, 1}, row_major({3, 4, 5, 6}));
    copy(name + " backwards", dtype, {9, 11}, {-11, -1}, {11, 1}, 98);
    copy(name + " into columns", dtype, {9, 11}, {11, 1}, {3, 40});
    copy(name + " broadcast", dtype, {9, 11, 2}, {0, 1, 0}, row_major({9, 11, 2}));
    copy(name + " many axes", dtype, {2, 3, 2, 3, 2, 2}, {1, 2, 6, 12, 36, 72}, row_major({2, 3, 2, 3, 2, 2}));
  }
}

TEST(ranges) {
  for (int i = 0; i < dtype_count; ++i) {
    Dtype dtype = static_cast<Dtype::Val>(i);
    if (!gpu::has_shader_type(dtype)) {
      continue;
    }
    Values got(dtype, 1000), expected(dtype, 1000);
    kernel::Range mine{}, host{};
    mine.out = got.view();
    host.out = expected.view();
    auto run = [&](const std::string& what) { compare(text_of(dtype) + " " + what, mine, host, got, expected); };
    for (auto [start, step] : {std::pair<int64_t, int64_t>{0, 1}, {-300, 7}, {INT64_MAX - 5, 3},
             {1, -(int64_t{1} << 53)}, {int64_t{1} << 40, 4097}}) {
      mine.whole = host.whole = true;
      mine.whole_start = host.whole_start = start;
      mine.whole_step = host.whole_step = step;
      run("whole " + std::to_string(start));
    }
    for (auto [start, step] :
        {std::pair<double, double>{0, 0.1}, {-3.7, 1e-3}, {1e300, 1e298}, {1e-310, 1e-312}, {5, -5e-324}, {0, 1e40},
            {-1e18, 3e15}, {0.1, INFINITY}, {INFINITY, 1}, {NAN, 1}, {-250, 0.5}, {1 / 3.0, 1 / 7.0}, {-64, 0.128}}) {
      mine.whole = host.whole = false;
      mine.start = host.start = start;
      mine.step = host.step = step;
      if (dtype.is_inexact() && (std::isnan(start) || std::isinf(step))) {
        continue; // which NaN it is differs
      }
      run("from " + check::show(start) + " by " + check::show(step));
    }
  }
}

TEST(random_bits) {
  std::mt19937_64 random(5);
  for (Dtype dtype : {Dtype(uint8), Dtype(uint16), Dtype(uint32), Dtype(uint64)}) {
    for (auto [keys, each] :
        {std::pair<int64_t, int64_t>{1, 1}, {1, 2}, {1, 3}, {3, 5}, {1, 1000}, {4, 1001}, {7, 6}, {2, 0}}) {
      Values key = drawn(uint32, 2 * keys, random);
      Values got(dtype, keys * each), expected(dtype, keys * each);
      compare(text_of(dtype) + " " + std::to_string(keys) + " x " + std::to_string(each),
          kernel::RandomBits{key.view({keys, 2}, {2, 1}), got.view()},
          kernel::RandomBits{key.view({keys, 2}, {2, 1}), expected.view()}, got, expected);
    }
  }
}
