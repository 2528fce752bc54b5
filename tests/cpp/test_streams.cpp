// Streams: graphs that cross them, from one thread and from several, give what one stream gives.
#include <random>
#include <thread>

#include "check.h"
#include "mlx_core/mlx.h"

using namespace mlx::core;

namespace {

// The same values each time, whatever the streams.
std::vector<array> drawn(unsigned seed, const std::vector<Stream>& streams) {
  std::mt19937 rng(seed);
  auto below = [&](size_t n) { return rng() % n; };
  std::vector<array> values;
  for (int i = 0; i < 3; ++i) {
    values.push_back(add(arange(0, 12, 1, float32), array(static_cast<float>(i))));
  }
  for (size_t steps = 5 + below(25); steps > 0; --steps) {
    array a = values[below(values.size())], b = values[below(values.size())];
    size_t which = below(4), kind = below(3);
    StreamOrDevice s = which < streams.size() ? StreamOrDevice(streams[which]) : StreamOrDevice();
    values.push_back(kind == 0 ? add(a, b, s) : kind == 1 ? sort(negative(b, s), -1, s) : cumsum(a, 0, false, true, s));
  }
  return values;
}

void check_programs(unsigned first, unsigned count, const std::vector<Stream>& streams) {
  for (unsigned seed = first; seed < first + count; ++seed) {
    std::vector<array> expected = drawn(seed, {}), values = drawn(seed, streams);
    if (seed % 3 == 0) {
      async_eval({values.back(), values[values.size() / 2]});
    }
    eval(std::vector<array>{values.back(), values[values.size() / 2]});
    CHECK(array_equal(values.back(), expected.back()).item<bool>());
    CHECK(array_equal(values[values.size() / 2], expected[values.size() / 2]).item<bool>());
  }
}

} // namespace

TEST(graphs_cross_streams) {
  check_programs(0, 60, {new_stream(Device::cpu), new_stream(Device::cpu)});
  synchronize();
}

TEST(threads_share_streams) {
  std::vector<Stream> streams{new_stream(Device::cpu), new_stream(Device::cpu)};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] { check_programs(1000 * (t + 1), 30, streams); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (Stream s : streams) {
    synchronize(s);
  }
}

TEST(a_scope_says_where) {
  Stream other = new_stream(Device::cpu);
  array x(1.0f);
  array before = sin(x);
  {
    StreamScope on(other);
    CHECK(current_stream() == other.index);
    array inside = sin(x);
    CHECK(inside.node()->stream == other.index && before.node()->stream != other.index);
    array cotangent =
        vjp([](const std::vector<array>& in) { return std::vector<array>{exp(in[0])}; }, {x}, {x}).second[0];
    CHECK(cotangent.node()->stream == other.index);
  }
  CHECK(current_stream() != other.index);
  array explicit_one = sin(x, other);
  CHECK(explicit_one.node()->stream == other.index);
  CHECK(stream_at(explicit_one.node()->stream) == other);
}
