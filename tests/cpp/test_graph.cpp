// Nodes and evaluation: laziness, fusion, donation, depth, errors, interruption, memory.
#include <chrono>
#include <cmath>
#include <thread>

#include "check.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/mlx.h"
#include "mlx_core/primitive.h"

using namespace mlx::core;

namespace {

// An op whose evaluation fails: what a bug or a lack of memory looks like.
class Failing final : public Primitive {
 public:
  const char* name() const override { return "Failing"; }
  Specs infer(Operands operands) const override { return {{operands[0].shape(), operands[0].dtype()}}; }
  void eval_cpu(Operands, std::span<array>) const override { throw std::runtime_error("[Failing] on purpose"); }
  Tangents jvp(Operands, const Tangents&, Operands) const override { return {std::nullopt}; }
  Tangents vjp(Operands, const Tangents&, Operands, std::span<const bool>) const override { return {std::nullopt}; }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{applied(self(*this), operands)}, {axes[0]}};
  }
};
array failing(const array& a) { return applied(make_primitive<Failing>(), {a}); }

} // namespace

TEST(ops_are_lazy) {
  array x({1.f, 2.f, 3.f});
  array y = exp(x) + x;
  CHECK(!y.is_available());
  eval(y);
  CHECK(y.is_available());
  CHECK(!y.has_primitive()); // evaluated: the graph behind it is gone
  CHECK(std::abs(y.data<float>()[1] - (std::exp(2.f) + 2.f)) < 1e-5f);
}

TEST(intermediates_that_are_held_are_computed_too) {
  array x({1.f, 2.f, 3.f});
  array a = x * x, b = a + 1.0f, c = b * a;
  eval(c);
  CHECK(a.is_available() && b.is_available());
  CHECK_EQ(a.data<float>()[2], 9.f);
  CHECK_EQ(b.data<float>()[2], 10.f);
  CHECK_EQ(c.data<float>()[2], 90.f);
}

TEST(a_million_ops_deep) {
  array x({1.f, 2.f});
  array deep = x;
  for (int i = 0; i < 1000000; ++i) {
    deep = deep + 1.0f;
  }
  array never_evaluated = deep * 2.0f;
  eval(deep);
  CHECK_EQ(deep.data<float>()[0], 1000001.f);
}

TEST(nothing_leaks) {
  auto work = [] {
    array x = ones({1000});
    array y = x;
    for (int i = 0; i < 300; ++i) {
      y = sin(y) + x;
    }
    eval(sum(y));
  };
  work();
  size_t before = get_active_memory();
  work();
  CHECK_EQ(get_active_memory(), before);
}

TEST(a_chain_reuses_memory) {
  array x = ones({1 << 20});
  eval(x);
  size_t before = get_active_memory();
  reset_peak_memory();
  array y = x;
  for (int i = 0; i < 500; ++i) {
    y = y * 1.5f - y;
  }
  eval(y);
  // A few buffers of 4 MB, not hundreds.
  CHECK(get_peak_memory() - before < 6 * (size_t{4} << 20));
}

TEST(an_error_in_eval_reaches_the_reader_and_spoils_nothing_else) {
  array x({1.f, 2.f});
  array bad = failing(x), dependent = bad + 1.0f, good = x + 1.0f;
  CHECK_MESSAGE(std::runtime_error, "on purpose", eval(dependent, good));
  CHECK(good.is_available());
  CHECK_EQ(good.data<float>()[0], 2.f);
  CHECK_MESSAGE(std::runtime_error, "on purpose", dependent.eval());
}

TEST(a_failed_array_keeps_its_error) {
  array bad = failing(array(1.0f)) + 1.0f;
  for (int i = 0; i < 2; ++i) {
    CHECK_MESSAGE(std::runtime_error, "on purpose", eval(bad));
  }
  CHECK_EQ((array(1.0f) + array(2.0f)).item<float>(), 3.f);
}

TEST(async_errors_surface_at_synchronize) {
  array bad = failing(array(1.0f));
  async_eval({bad});
  CHECK_MESSAGE(std::runtime_error, "on purpose", synchronize());
  synchronize();
  array good = array(1.0f) + array(2.0f);
  async_eval({good});
  synchronize();
  CHECK(good.is_available());
}

TEST(interruption_leaves_arrays_lazy) {
  static std::atomic<bool> interrupt{false};
  set_interrupt_check([] { return interrupt.load(); });
  array x = ones({1 << 16});
  array y = x;
  for (int i = 0; i < 4000; ++i) {
    y = sin(y) + x;
  }
  interrupt = true;
  CHECK_THROWS(Interrupted, eval(y));
  CHECK(!y.is_available());
  interrupt = false;
  array short_one = sum(sin(x));
  eval(short_one);
  eval(y);
  CHECK(y.is_available());
  set_interrupt_check(nullptr);
}

// Nobody else needs x: its memory becomes that of the result. Short work runs to its end, long work is given up.
TEST(interruption_of_what_overwrites_its_operand) {
  static std::atomic<int> looks{0};
  for (bool large : {false, true}) {
    set_interrupt_check(nullptr);
    array x = sin(ones({large ? 1 << 22 : 1 << 12}) + 0.5f);
    eval(x);
    array y = std::move(x);
    for (int i = 0; i < 20; ++i) {
      y = sin(y);
    }
    looks = 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(60)); // a look is due
    set_interrupt_check([] { return looks++ > 0; });            // not before the group has begun
    bool interrupted = false;
    auto begin = std::chrono::steady_clock::now();
    try {
      eval(y);
    } catch (const Interrupted&) {
      interrupted = true;
    }
    bool was_held_up = std::chrono::steady_clock::now() - begin > std::chrono::milliseconds(5); // by other programs
    set_interrupt_check(nullptr);
    if (!large && !(was_held_up && interrupted)) {
      CHECK(!interrupted);
      CHECK(y.is_available());
    } else if (large && interrupted) {
      CHECK_MESSAGE(std::runtime_error, "overwrite", eval(y));
    }
    array z = ones({4}) * 2.0f;
    CHECK_EQ(sum(z).item<float>(), 8.f);
  }
}

TEST(evaluating_from_many_threads) {
  array shared = sin(ones({10000}));
  std::vector<std::thread> threads;
  std::vector<double> results(8);
  for (size_t t = 0; t < results.size(); ++t) {
    threads.emplace_back([&, t] {
      array y = shared;
      for (int i = 0; i < 50; ++i) {
        y = y * 0.5f + shared;
      }
      results[t] = sum(y).item<float>();
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (double r : results) {
    CHECK_EQ(r, results[0]);
  }
}

TEST(equivalence_reads_parameters) {
  array x = ones({2, 3});
  array a = transpose(x, {1, 0}), b = transpose(x, {1, 0}), c = sum(x, {0}), d = sum(x, {1});
  CHECK(equivalent(a.primitive(), b.primitive()));
  CHECK(!equivalent(c.primitive(), d.primitive()));
  CHECK_EQ(hash_of(a.primitive()), hash_of(b.primitive()));
}

TEST(foreign_memory_is_released_once) {
  static int released = 0;
  static float values[] = {1, 2, 3};
  {
    BufferRef buffer = adopt(values, sizeof values, nullptr, [](void*) { ++released; });
    array x(buffer, 0, {3}, {1}, float32);
    array y = x + 1.0f;
    eval(y);
    CHECK_EQ(values[0], 1.f);
    CHECK_EQ(y.data<float>()[2], 4.f);
  }
  CHECK_EQ(released, 1);
}
