// Fused plans drawn at random, printed and run, against the host's executor. Values are small whole numbers, on which
// what is drawn is exact in every order, so that every result must be equal.
#include "mlx_core/gpu/fused_msl.h"
#include "runner_encoder.h"
#include "samples.h"

using namespace samples;

namespace {

using Layout = FusedPlan::Layout;

class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}

  // Rows of zero length mean none.
  void plan(int64_t rows, int64_t length, int stages);
  void compare(const std::string& what);

 private:
  uint64_t below(uint64_t n) { return random_() % n; }
  Dtype some_dtype() {
    static const Dtype all[] = {float32, float32, float16, bfloat16, int32, int64, uint8, int16, bool_, complex64};
    return all[below(std::size(all))];
  }
  Values values(Dtype dtype, int64_t size) {
    Values v(dtype, size);
    for (int64_t i = 0; i < size; ++i) {
      auto whole = static_cast<int64_t>(below(5)) - 2;
      if (dtype.is_bool()) {
        v.as<uint8_t>()[i] = static_cast<uint8_t>(below(2));
      } else if (dtype.is_integer()) {
        std::memcpy(v.as<char>() + i * dtype.size(), &whole, static_cast<size_t>(dtype.size()));
      } else {
        put(v, i, static_cast<double>(whole), static_cast<double>(below(3)));
      }
    }
    return v;
  }
  uint16_t add_slot(Dtype dtype, bool of_rows) {
    plan_.slots.push_back({dtype, of_rows, -1});
    return static_cast<uint16_t>(plan_.slots.size() - 1);
  }
  void add_source(Layout layout, Dtype dtype);
  void add_step(bool of_rows);
  uint16_t pick(bool of_rows, Dtype dtype);
  uint16_t converted(uint16_t slot, Dtype dtype, bool of_rows);
  void put_step(Body body, Dtype from, std::vector<uint16_t> inputs, Dtype to, bool of_rows);
  void add_fold();
  void choose_outputs();

  std::mt19937_64 random_;
  FusedPlan plan_;
  std::vector<Values> memory_;
  std::vector<View> sources_;
  std::vector<size_t> readable_;  // slots that steps of elements may read
  std::vector<size_t> row_slots_; // those that row steps may read
  std::vector<size_t> new_folds_; // readable from the next stage on
};

void Draw::add_source(Layout layout, Dtype dtype) {
  FusedPlan::Source source{layout, {}, {}};
  int64_t size = layout == Layout::flat ? plan_.size : layout == Layout::rows ? plan_.rows() : 1;
  bool reversed = false;
  if (layout == Layout::strided) {
    int64_t inner = plan_.row_length ? plan_.row_length : plan_.size, outer = plan_.size / inner;
    switch (below(3)) {
      case 0: // a column for each row
        source.sizes = {outer, inner};
        source.strides = {1, 0};
        size = outer;
        break;
      case 1: // transposed
        source.sizes = {outer, inner};
        source.strides = {1, outer};
        size = plan_.size;
        break;
      default: // backwards
        source.sizes = {plan_.size};
        source.strides = {-1};
        size = plan_.size;
        reversed = true;
    }
  }
  memory_.push_back(values(dtype, size));
  View view = memory_.back().view();
  view.offset = reversed ? (size - 1) * dtype.size() : 0;
  if (layout == Layout::scalar && below(2)) {
    view = {nullptr, 0, memory_.back().buffer->data, dtype, {}, {}};
  }
  sources_.push_back(view);
  plan_.sources.push_back(source);
  readable_.push_back(add_slot(dtype, layout == Layout::rows));
  if (layout == Layout::rows || layout == Layout::scalar) {
    row_slots_.push_back(readable_.back());
  }
}

void Draw::put_step(Body body, Dtype from, std::vector<uint16_t> inputs, Dtype to, bool of_rows) {
  FusedPlan::Step step{body, from, to, {0, 0, 0}, static_cast<uint8_t>(inputs.size()), add_slot(to, of_rows)};
  std::copy(inputs.begin(), inputs.end(), step.inputs);
  (of_rows ? plan_.row_steps : plan_.steps).push_back(step);
  readable_.push_back(step.output);
  if (of_rows) {
    row_slots_.push_back(step.output);
  }
}

uint16_t Draw::converted(uint16_t slot, Dtype dtype, bool of_rows) {
  Dtype from = plan_.slots[slot].dtype;
  if (from == dtype) {
    return slot;
  }
  put_step(Body::copy, from, {slot}, dtype, of_rows);
  return static_cast<uint16_t>(plan_.slots.size() - 1);
}

uint16_t Draw::pick(bool of_rows, Dtype dtype) {
  const auto& from = of_rows ? row_slots_ : readable_;
  return converted(static_cast<uint16_t>(from[below(from.size())]), dtype, of_rows);
}

void Draw::add_step(bool of_rows) {
  if (of_rows && row_slots_.empty()) {
    return;
  }
  Dtype dtype = some_dtype();
  switch (below(4)) {
    case 0: {
      Body bodies[] = {Body::maximum, Body::minimum, Body::bitwise_and};
      Body body = bodies[below(dtype.is_integer() ? 3 : 2)];
      uint16_t a = pick(of_rows, dtype), b = pick(of_rows, dtype);
      put_step(body, dtype, {a, b}, dtype, of_rows);
      break;
    }
    case 1: {
      uint16_t a = pick(of_rows, dtype), b = pick(of_rows, dtype);
      put_step(below(2) ? Body::less : Body::equal, dtype, {a, b}, bool_, of_rows);
      break;
    }
    case 2: {
      uint16_t c = pick(of_rows, bool_), a = pick(of_rows, dtype), b = pick(of_rows, dtype);
      put_step(Body::select, dtype, {c, a, b}, dtype, of_rows);
      break;
    }
    default: {
      uint16_t a = pick(of_rows, dtype), b = pick(of_rows, dtype);
      put_step(below(2) ? Body::add : Body::zero_times, dtype, {a, b}, dtype, of_rows);
      // kept small
      uint16_t last = static_cast<uint16_t>(plan_.slots.size() - 1);
      if (!dtype.is_complex() && !dtype.is_bool()) {
        put_step(Body::sign, dtype, {last}, dtype, of_rows);
      } else if (dtype.is_complex()) {
        put_step(Body::minimum, dtype, {last, a}, dtype, of_rows);
      }
      readable_.erase(std::find(readable_.begin(), readable_.end(), last));
      if (of_rows) {
        row_slots_.erase(std::find(row_slots_.begin(), row_slots_.end(), last));
      }
      if (dtype.is_bool()) {
        readable_.push_back(last);
        if (of_rows) {
          row_slots_.push_back(last);
        }
      }
    }
  }
}

void Draw::add_fold() {
  std::vector<size_t> of_space;
  for (size_t slot : readable_) {
    if (!plan_.slots[slot].of_rows && (slot >= plan_.sources.size() || plan_.sources[slot].layout != Layout::scalar)) {
      of_space.push_back(slot);
    }
  }
  auto input = static_cast<uint16_t>(of_space[below(of_space.size())]);
  Dtype from = plan_.slots[input].dtype;
  // Products stay exact only where they wrap; sums of halves may lose what is beyond 2^8.
  std::vector<Reduction> ops{Reduction::min, Reduction::max, Reduction::all, Reduction::any};
  if (from != bfloat16 && from != float16) {
    ops.push_back(Reduction::sum);
  }
  if (from.is_integer()) {
    ops.push_back(Reduction::prod);
  }
  Reduction op = ops[below(ops.size())];
  Dtype to = op == Reduction::all || op == Reduction::any ? Dtype(bool_) : from;
  uint16_t output = add_slot(to, true);
  plan_.folds.push_back({op, from, input, output});
  new_folds_.push_back(output);
}

void Draw::plan(int64_t rows, int64_t length, int stages) {
  plan_.size = rows * std::max<int64_t>(length, 1);
  plan_.row_length = length;
  size_t count = 2 + below(4);
  for (size_t i = 0; i < count; ++i) {
    static const Layout all[] = {Layout::flat, Layout::flat, Layout::scalar, Layout::strided, Layout::rows};
    add_source(i == 0 ? Layout::flat : all[below(length ? 5 : 4)], some_dtype());
  }
  for (int stage = 0; stage < stages; ++stage) {
    for (uint64_t i = below(3); length && i > 0; --i) {
      add_step(true);
    }
    for (uint64_t i = 1 + below(4); i > 0; --i) {
      add_step(false);
    }
    bool last = stage + 1 == stages;
    for (uint64_t i = length ? below(3) + (last ? 0 : 1) : 0; i > 0; --i) {
      add_fold();
    }
    plan_.stages.push_back({static_cast<uint32_t>(plan_.row_steps.size()), static_cast<uint32_t>(plan_.steps.size()),
        static_cast<uint32_t>(plan_.folds.size())});
    for (size_t slot : new_folds_) {
      readable_.push_back(slot);
      row_slots_.push_back(slot);
    }
    new_folds_.clear();
  }
}

void Draw::compare(const std::string& what) {
  std::vector<Values> expected, got;
  std::vector<View> host_outputs, outputs;
  std::vector<bool> kept(plan_.slots.size(), false);
  for (size_t i = plan_.sources.size(); i < plan_.slots.size(); ++i) {
    kept[i] = below(3) == 0 || i + 1 == plan_.slots.size();
  }
  for (const FusedPlan::Fold& fold : plan_.folds) {
    kept[fold.output] = kept[fold.output] || plan_.stages.size() == 1;
  }
  for (size_t i = plan_.sources.size(); i < plan_.slots.size() && outputs.size() < 12; ++i) {
    FusedPlan::Slot& slot = plan_.slots[i];
    if (kept[i]) {
      slot.output = static_cast<int16_t>(outputs.size());
      int64_t size = slot.of_rows ? plan_.rows() : plan_.size;
      expected.emplace_back(slot.dtype, size);
      got.emplace_back(slot.dtype, size);
      host_outputs.push_back(expected.back().view());
      outputs.push_back(got.back().view());
    }
  }
  // Each executor has sources of its own: one may be overwritten.
  auto copy_of = [](const Values& v) { return v.copy(); };
  std::vector<Values> copies;
  std::vector<View> own_sources = sources_;
  for (size_t i = 0; i < sources_.size(); ++i) {
    copies.push_back(copy_of(memory_[i]));
    if (sources_[i].buffer) {
      own_sources[i].buffer = copies.back().buffer.get();
    }
  }
  // An output in the memory of a source of the same size, as evaluation arranges it.
  std::vector<Values> donated;
  for (size_t s = 0; s < plan_.sources.size(); ++s) {
    for (size_t i = plan_.steps.size(); i-- > 0 && plan_.sources[s].layout == Layout::flat;) {
      FusedPlan::Slot& slot = plan_.slots[plan_.steps[i].output];
      bool read_later = false;
      for (size_t j = i + 1; j < plan_.steps.size(); ++j) {
        for (int n = 0; n < plan_.steps[j].input_count; ++n) {
          read_later = read_later || plan_.steps[j].inputs[n] == s;
        }
      }
      for (const FusedPlan::Fold& fold : plan_.folds) {
        read_later = read_later || fold.input == s;
      }
      if (read_later) {
        break;
      }
      if (slot.output >= 0 && slot.dtype.size() == plan_.slots[s].dtype.size() && below(2)) {
        auto output = static_cast<size_t>(slot.output);
        outputs[output].buffer = own_sources[s].buffer;
        got[output].buffer = copies[s].buffer;
        goto arranged;
      }
    }
  }
arranged:
  host_kernels().run(kernel::Fused{plan_, sources_, host_outputs});
  kernel::Fused request{plan_, own_sources, outputs};
  CHECK(gpu::supports(request));
  runner::RunnerEncoder encoder;
  try {
    gpu::launch(encoder, request);
  } catch (const std::exception& error) {
    check::fail(__FILE__, __LINE__,
        what + ": " + std::string(error.what()).substr(0, 2000) + "\n" + gpu::text_of(request, gpu::form_of(request)));
    return;
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    Difference d = difference(got[i], expected[i]);
    if (d.ulp > 0) {
      check::fail(__FILE__, __LINE__,
          what + ", output " + std::to_string(i) + " of " + text_of(expected[i].dtype) + " at " + std::to_string(d.at) +
              ": " + element(got[i], d.at) + ", the host " + element(expected[i], d.at) + "\n" +
              gpu::text_of(request, gpu::form_of(request)));
      return;
    }
  }
}

} // namespace

TEST(elements) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    Draw draw(seed);
    draw.plan(seed % 3 == 0 ? 1 : 37 * seed, 0, 1);
    draw.compare("elements " + std::to_string(seed));
  }
}

TEST(rows_of_one_stage) {
  int64_t lengths[] = {1, 3, 17, 32, 33, 100, 1000, 1024, 1025, 3000};
  for (unsigned seed = 1; seed <= 12; ++seed) {
    Draw draw(100 + seed);
    int64_t length = lengths[seed % std::size(lengths)];
    draw.plan(1 + 70 / length + seed % 3, length, 1);
    draw.compare("one stage " + std::to_string(seed));
  }
}

TEST(rows_of_stages) {
  int64_t lengths[] = {2, 5, 31, 64, 257, 1024, 1030, 4000, 9000};
  for (unsigned seed = 1; seed <= 16; ++seed) {
    Draw draw(200 + seed);
    int64_t length = lengths[seed % std::size(lengths)];
    draw.plan(1 + 100 / length + seed % 5, length, 2 + static_cast<int>(seed % 2));
    draw.compare("stages " + std::to_string(seed));
  }
}

TEST(long_rows) { // blocks, whose partials other kernels fold
  for (unsigned seed = 1; seed <= 4; ++seed) {
    Draw draw(300 + seed);
    draw.plan(seed, seed == 1 ? 1100000 : 9000 + 1111 * seed, 1);
    draw.compare("long rows " + std::to_string(seed));
  }
}
