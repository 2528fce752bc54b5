// Evaluations beside each other, changes in place, and back-pressure.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "check.h"
#include "mlx_core/mlx.h"
#include "mlx_core/primitive.h"

using namespace mlx::core;

namespace {

// The identity, which calls a function when it is computed.
class Calling final : public Primitive {
 public:
  explicit Calling(std::function<void()> call) : call_(std::move(call)) {}
  const char* name() const override { return "Calling"; }
  Specs infer(Operands operands) const override { return {{operands[0].shape(), operands[0].dtype()}}; }
  void eval_cpu(Operands operands, std::span<array> outputs) const override {
    call_();
    outputs[0].share(operands[0], operands[0].strides());
  }
  Tangents jvp(Operands, const Tangents& tangents, Operands) const override { return {tangents[0]}; }
  Tangents vjp(Operands, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    return {cotangents[0]};
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{applied(self(*this), operands)}, {axes[0]}};
  }

 private:
  std::function<void()> call_;
};
array calling(const array& a, std::function<void()> call) {
  return applied(make_primitive<Calling>(std::move(call)), {a});
}

// Lets go whoever waits once `count` have come; false when they do not come for long.
class Meeting {
 public:
  explicit Meeting(int count) : missing_(count) {}
  bool arrive() {
    std::unique_lock lock(mutex_);
    --missing_;
    changed_.notify_all();
    return changed_.wait_until(
        lock, std::chrono::system_clock::now() + std::chrono::seconds(20), [this] { return missing_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int missing_;
};

array computed(Shape shape, float value) {
  array a = full(std::move(shape), array(value)) + 0.0f;
  eval(a);
  return a;
}

const void* memory_of(const array& a) { return a.raw_data(); }

} // namespace

TEST(unrelated_graphs_are_computed_at_the_same_time) {
  Meeting meeting(2);
  std::atomic<int> met{0};
  auto work = [&] {
    array a = calling(ones({4}), [&] { met += meeting.arrive(); }) + 1.0f;
    eval(a);
    CHECK_EQ(a.data<float>()[3], 2.f);
  };
  std::thread other(work);
  work();
  other.join();
  CHECK_EQ(met.load(), 2);
}

TEST(what_another_thread_computes_is_waited_for_and_computed_once) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> calls{0};
    array shared = calling(ones({100}), [&] { ++calls; }) * 3.0f;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        array mine = shared + static_cast<float>(i);
        eval(mine);
        CHECK_EQ(mine.data<float>()[99], 3.f + static_cast<float>(i));
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CHECK_EQ(calls.load(), 1);
  }
}

TEST(a_failure_reaches_those_who_wait_for_it) {
  Meeting begun(2);
  array bad = calling(ones({4}), [&] {
    begun.arrive();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    throw std::runtime_error("on purpose");
  });
  std::thread other([&] { CHECK_MESSAGE(std::runtime_error, "on purpose", eval(bad)); });
  begun.arrive();
  array dependent = bad + 1.0f;
  CHECK_MESSAGE(std::runtime_error, "on purpose", eval(dependent));
  other.join();
}

TEST(an_update_of_what_nobody_else_holds_is_in_place) {
  array x = computed({64, 64}, 1);
  const void* before = memory_of(x);
  for (int i = 0; i < 8; ++i) {
    x = slice_update(x, array(2.0f), {i, 0}, {i + 1, 64});
    eval(x);
    CHECK_EQ(memory_of(x), before);
  }
  x = scatter_add(x, {array({3, 3})}, ones({2, 1, 64}), {0});
  eval(x);
  CHECK_EQ(memory_of(x), before);
  CHECK_EQ(sum(x).item<float>(), 64.f * 64 + 64 * 8 + 128);
}

TEST(an_update_never_changes_what_somebody_holds) {
  array x = computed({64, 64}, 1);
  array kept = x, view = slice(x, {0, 0}, {1, 64});
  eval(view);
  array y = slice_update(x, array(2.0f), {0, 0}, {64, 64});
  eval(y);
  CHECK_EQ(sum(kept).item<float>(), 64.f * 64);
  CHECK_EQ(sum(view).item<float>(), 64.f);
  CHECK_EQ(sum(y).item<float>(), 2 * 64.f * 64);
}

TEST(readers_of_an_array_come_before_its_update) {
  array x = computed({256, 64}, 1);
  const void* before = memory_of(x);
  // A row made of another, where the view and what is made of it are pending.
  array row = slice(x, {0, 0}, {1, 64});
  x = slice_update(x, row * 2.0f, {1, 0}, {2, 64});
  row = array(0.0f);
  eval(x);
  CHECK_EQ(memory_of(x), before);
  // The row itself.
  row = slice(x, {1, 0}, {2, 64});
  x = slice_update(x, row, {2, 0}, {3, 64});
  row = array(0.0f);
  eval(x);
  CHECK_EQ(memory_of(x), before);
  CHECK_EQ(sum(slice(x, {2, 0}, {3, 64})).item<float>(), 128.f);
  // Readers that are other results of the evaluation, before and behind it in order.
  for (bool behind : {false, true}) {
    array reader = sum(slice(x, {0, 0}, {256, 64}) * 3.0f), old = x;
    x = slice_update(x, array(5.0f), {3, 0}, {4, 64});
    old = array(0.0f);
    behind ? eval(x, reader) : eval(reader, x);
    CHECK_EQ(memory_of(x), before);
    CHECK_EQ(reader.item<float>(), behind ? 3 * (256 * 64.f + 2 * 64 + 4 * 64) : 3 * (256 * 64.f + 2 * 64));
  }
}

TEST(sorts_and_scans_take_their_operands_memory) {
  array x = astype(arange(0, 4096), float32) * -1.0f;
  eval(x);
  const void* before = memory_of(x);
  x = sort(x);
  eval(x);
  CHECK_EQ(memory_of(x), before);
  CHECK_EQ(x.data<float>()[0], -4095.f);
  x = cumsum(x, 0, false, true);
  eval(x);
  CHECK_EQ(memory_of(x), before);
  CHECK_EQ(x.data<float>()[4095], -4095.f * 4096 / 2);
}

TEST(a_loop_changes_its_carry_in_place) {
  size_t before = get_active_memory();
  constexpr size_t bytes = size_t{4} << 20;
  {
    reset_peak_memory();
    std::vector<array> state = fori_loop(0, 8,
        [](const array& i, const std::vector<array>& carry) -> std::vector<array> {
          return {slice_update(carry[0], astype(reshape(i, {1}), float32), array({0}), {0})};
        },
        {zeros({1 << 20})});
    eval(state[0]);
    CHECK_EQ(state[0].data<float>()[0], 7.f);
  }
  CHECK(get_peak_memory() - before < 3 * bytes + (1 << 16));
}

TEST(a_graph_that_nobody_evaluates_is_bounded) {
  array x = computed({16}, 1), y = computed({16}, 0);
  int most = 0;
  for (int i = 0; i < 400000; ++i) {
    y = y * 0.5f + x;
    most = std::max<int>(most, y.node()->pending);
  }
  CHECK(most < 50000);
  CHECK(std::abs(sum(y).item<float>() - 32) < 1e-3f);
}

TEST(parameters_that_are_replaced_are_never_computed) {
  size_t before = get_active_memory();
  reset_peak_memory();
  std::vector<array> parameters;
  for (int round = 0; round < 2; ++round) {
    parameters.clear();
    for (int i = 0; i < 100; ++i) {
      parameters.push_back(random::normal({1 << 14, 1 << 14}) * 0.1f); // 100 GiB in all
    }
  }
  CHECK(get_peak_memory() - before < (size_t{1} << 20));
}

TEST(memory_that_pending_nodes_keep_alive_is_given_back) {
  size_t limit = set_memory_limit(get_active_memory() + (size_t{64} << 20)), before = get_active_memory();
  array total = zeros({1 << 18});
  reset_peak_memory();
  for (int i = 0; i < 400; ++i) { // 400 MB in all
    total = total + computed({1 << 18}, 1);
  }
  CHECK_EQ(sum(total).item<float>(), 400.f * (1 << 18));
  CHECK(get_peak_memory() - before < size_t{128} << 20);
  set_memory_limit(limit);
}

TEST(reductions_between_steps_of_a_group) {
  array x = computed({4, 8}, 3);
  array a = x * 2.0f, s = sum(a, 1), b = a + x, t = sum(b, 1), c = b * a;
  eval(c, s, t);
  CHECK_EQ(s.data<float>()[3], 48.f);
  CHECK_EQ(t.data<float>()[3], 72.f);
  CHECK_EQ(c.data<float>()[31], 54.f);
}
