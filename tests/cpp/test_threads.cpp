// Arrays, evaluation and transforms from 16 threads at once; meant for the thread sanitizer, too.
#include <atomic>
#include <cmath>
#include <thread>

#include "check.h"
#include "mlx_core/mlx.h"

using namespace mlx::core;

namespace {

using Unary1 = std::function<array(const array&)>;
constexpr int thread_count = 16;

// body(i) on every thread at once; rethrows what one of them threw.
void on_threads(const std::function<void(int)>& body) {
  std::atomic<int> ready{0};
  std::vector<std::exception_ptr> errors(thread_count);
  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < thread_count) {
        std::this_thread::yield();
      }
      try {
        body(i);
      } catch (...) {
        errors[static_cast<size_t>(i)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const std::exception_ptr& error : errors) {
    if (error) {
      std::rethrow_exception(error);
    }
  }
}

} // namespace

TEST(each_thread_builds_and_evaluates_its_own) {
  std::vector<float> results(thread_count);
  on_threads([&](int i) {
    for (int round = 0; round < 20; ++round) {
      array x = full({64}, array(static_cast<float>(i)));
      results[static_cast<size_t>(i)] = sum(x * 2.0f + 1.0f).item<float>();
    }
  });
  for (int i = 0; i < thread_count; ++i) {
    CHECK_EQ(results[static_cast<size_t>(i)], 64.f * (2 * i + 1));
  }
}

TEST(all_threads_evaluate_one_graph) {
  for (int round = 0; round < 20; ++round) {
    array x = arange(0, 1000);
    array shared = sum(sqrt(x) * sqrt(x));
    std::vector<float> results(thread_count);
    on_threads([&](int i) { results[static_cast<size_t>(i)] = (shared + static_cast<float>(i)).item<float>(); });
    for (int i = 0; i < thread_count; ++i) {
      CHECK(std::abs(results[static_cast<size_t>(i)] - (499500.f + i)) < 1);
    }
  }
}

TEST(large_work_shares_the_pool) {
  array x = arange(0, 200000);
  float expected = sum(sin(x)).item<float>();
  on_threads([&](int) {
    for (int round = 0; round < 5; ++round) {
      CHECK_EQ(sum(sin(x)).item<float>(), expected);
    }
  });
  array a = ones({96, 96});
  on_threads([&](int) { CHECK_EQ(sum(matmul(a, a)).item<float>(), 96.f * 96 * 96); });
}

TEST(every_thread_differentiates_and_maps_a_shared_array) {
  array shared({0.1f, 0.2f, 0.3f});
  array lazy = shared * 1.0f; // its first evaluation happens under traces
  on_threads([&](int i) {
    for (int round = 0; round < 10; ++round) {
      auto f = [&](const array& x) { return sum(sin(x) * lazy * static_cast<float>(i)); };
      array g = grad(Unary1(f))(shared);
      eval(g);
      CHECK(std::abs(g.data<float>()[1] - i * 0.2f * std::cos(0.2f)) < 1e-5f);
      array second = vmap(grad(grad(Unary1([](const array& x) { return x * x * x; }))))(shared);
      eval(second);
      CHECK(std::abs(second.data<float>()[2] - 1.8f) < 1e-5f);
      array pushed = jvp(Unary1([](const array& x) { return exp(x); }), array(0.0f), array(2.0f)).second;
      CHECK_EQ(pushed.item<float>(), 2.f);
    }
  });
}

TEST(values_are_read_inside_traces_on_all_threads) {
  on_threads([&](int i) {
    auto f = [&](const array& x) { return x.item<float>() > 8 ? x * x : x; };
    for (int round = 0; round < 20; ++round) {
      CHECK_EQ(grad(Unary1(f))(array(static_cast<float>(i))).item<float>(), i > 8 ? 2.f * i : 1.f);
    }
  });
}

TEST(custom_rules_and_checkpoints_on_all_threads) {
  auto f = custom_vjp([](const std::vector<array>& in) { return std::vector<array>{sin(in[0])}; },
      [](const std::vector<array>&, const std::vector<array>& cts, const std::vector<array>&) {
        return std::vector<array>{cts[0] * 3.0f};
      });
  auto checkpointed = checkpoint([&](const std::vector<array>& in) { return std::vector<array>{f(in)[0] * in[0]}; });
  on_threads([&](int) {
    for (int round = 0; round < 5; ++round) {
      array g = vmap(grad(Unary1([&](const array& x) { return checkpointed({x})[0]; })))(array({0.f, 1.f}));
      eval(g);
      CHECK(std::abs(g.data<float>()[1] - (3 + std::sin(1.f))) < 1e-5f);
    }
  });
}

TEST(background_work_is_read_elsewhere) {
  std::vector<array> results;
  for (int i = 0; i < thread_count; ++i) {
    results.push_back(sum(exp(full({1000}, array(0.0f))) * static_cast<float>(i)));
  }
  on_threads([&](int i) {
    async_eval({results[static_cast<size_t>(i)]});
    size_t other = static_cast<size_t>((i + 1) % thread_count);
    CHECK_EQ(results[other].item<float>(), 1000.f * static_cast<float>(other));
    if (i % 4 == 0) {
      synchronize();
    }
  });
}

TEST(random_numbers_are_drawn_by_all_threads) {
  on_threads([&](int i) {
    array key = random::key(static_cast<uint64_t>(i % 2));
    array draw = random::normal({8}, float32, key), again = random::normal({8}, float32, key);
    CHECK(array_equal(draw, again).item<bool>());
    CHECK_EQ(random::uniform({8}).shape(), (Shape{8})); // the implicit key is shared
  });
}

TEST(a_failure_stays_with_its_thread) {
  on_threads([&](int i) {
    array x = ones({3});
    if (i % 2) {
      CHECK_THROWS(std::invalid_argument, reshape(x, {2}));
    }
    CHECK_EQ(sum(x, {0}).item<float>(), 3.f);
  });
}

TEST(all_threads_call_one_compiled_function_and_run_loops) {
  VectorFunction f =
      compile([](const std::vector<array>& in) { return std::vector<array>{sin(in[0]) * in[1] + in[0]}; });
  on_threads([&](int i) {
    for (int round = 0; round < 20; ++round) {
      array x = full({round % 4 + 1}, array(static_cast<float>(i)));
      CHECK(array_equal(f({x, array(2.0f)})[0], sin(x) * 2.0f + x).item<bool>());
      auto power = [](const array& a) {
        return while_loop([](const std::vector<array>& s) { return less(s[0], array(10.0f)); },
            [](const std::vector<array>& s) { return std::vector<array>{s[0] * 2.0f}; }, {a})[0];
      };
      CHECK_EQ(grad(Unary1(power))(array(1.0f)).item<float>(), 16.f);
    }
  });
}

// The loops of one recording, whose rules are recorded when they are asked for again.
TEST(all_threads_differentiate_the_loops_of_one_compiled_function) {
  auto loops = [](const std::vector<array>& in) {
    auto step = [&](const std::vector<array>& c, const std::vector<array>& x) {
      return Scanned{{c[0] * in[1] + x[0]}, {c[0] * c[0]}};
    };
    Scanned scanned = scan(step, {in[0]}, {full({5, 3}, array(0.5f))});
    array grown = while_loop([](const std::vector<array>& s) { return less(sum(s[0]), array(50.0f)); },
        [&](const std::vector<array>& s) { return std::vector<array>{s[0] * in[1] + 1.0f}; }, scanned.carry)[0];
    return std::vector<array>{sum(grown) + sum(scanned.ys[0])};
  };
  VectorFunction f = compile(loops);
  on_threads([&](int i) {
    for (int round = 0; round < 12; ++round) {
      std::vector<array> at{full({3}, array(static_cast<float>(i % 3))), array(1.0f + static_cast<float>(round % 2))};
      std::vector<array> ones{array(1.0f)};
      std::vector<array> got = vjp(f, at, ones).second, expected = vjp(VectorFunction(loops), at, ones).second;
      CHECK(array_equal(got[0], expected[0]).item<bool>());
      CHECK(array_equal(got[1], expected[1]).item<bool>());
      array tangent = jvp(f, at, {ones_like(at[0]), array(0.0f)}).second[0];
      CHECK(allclose(tangent, sum(expected[0])).item<bool>());
    }
  });
}
