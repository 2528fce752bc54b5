// The tile executor of fused programs.
#include "mlx_core/cpu/program.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// Below this many element-steps a second thread costs more than it saves.
constexpr int64_t parallel_threshold = 96 * 1024;

// Scratch of one thread, kept between programs.
struct Scratch {
  std::unique_ptr<char, decltype(&std::free)> memory{nullptr, &std::free};
  size_t bytes = 0;
  bool busy = false; // a kernel that evaluates something else must not share it

  char* get(size_t wanted) {
    if (wanted > bytes) {
      memory.reset(static_cast<char*>(std::aligned_alloc(64, (wanted + 63) / 64 * 64)));
      if (!memory) {
        bytes = 0;
        throw std::bad_alloc();
      }
      bytes = wanted;
    }
    return memory.get();
  }
};
thread_local Scratch scratch;

// The iteration space cut into units: runs of at most tile_size elements, none of which crosses the end of a row that
// is longer than a tile, and which hold whole rows otherwise.
struct Units {
  int64_t size, row_length, per_unit, units_per_row, count;

  explicit Units(const Program& p) : size(p.size), row_length(p.row_length) {
    if (row_length > tile_size) {
      per_unit = tile_size;
      units_per_row = (row_length + tile_size - 1) / tile_size;
      count = size / row_length * units_per_row;
    } else {
      int64_t row = std::max<int64_t>(row_length, 1);
      per_unit = tile_size / row * row;
      units_per_row = 1;
      count = (size + per_unit - 1) / per_unit;
    }
  }
  bool splits_rows() const { return row_length > tile_size; }
  std::pair<int64_t, int64_t> run_of(int64_t unit) const { // first element, length
    if (splits_rows()) {
      int64_t row = unit / units_per_row, block = unit % units_per_row;
      return {row * row_length + block * tile_size, std::min(tile_size, row_length - block * tile_size)};
    }
    int64_t first = unit * per_unit;
    return {first, std::min(per_unit, size - first)};
  }
};

void run_units(const Program& p, const Units& units, char* const* partials, int64_t begin, int64_t end) {
  size_t tile_bytes = static_cast<size_t>(tile_size * p.scratch_item_size);
  std::unique_ptr<char, decltype(&std::free)> own(nullptr, &std::free);
  char* memory;
  size_t wanted = tile_bytes * static_cast<size_t>(p.scratch_count);
  bool shared = !scratch.busy;
  if (shared) {
    memory = scratch.get(wanted);
    scratch.busy = true;
  } else {
    own.reset(static_cast<char*>(std::aligned_alloc(64, (wanted + 63) / 64 * 64)));
    memory = own.get();
  }
  struct Release {
    bool shared;
    ~Release() {
      if (shared) {
        scratch.busy = false;
      }
    }
  } release{shared};

  constexpr size_t most_slots = 256;
  void* at[most_slots];
  for (size_t i = 0; i < p.slots.size(); ++i) {
    const Program::Slot& slot = p.slots[i];
    at[i] = slot.memory ? slot.memory : memory + tile_bytes * static_cast<size_t>(std::max(slot.scratch, 0));
  }
  int64_t longest = std::min(units.per_unit, p.size);
  for (const Program::Source& source : p.sources) {
    if (source.layout == Program::Source::Layout::scalar) {
      fill(at[source.slot], source.data, longest, source.item_size);
    }
  }

  InterruptPoll poll(1 << 18); // element-steps
  for (int64_t unit = begin; unit < end; ++unit) {
    auto [first, n] = units.run_of(unit);
    poll(n * static_cast<int64_t>(p.steps.size() + 1));
    for (size_t i = 0; i < p.slots.size(); ++i) {
      if (p.slots[i].memory) {
        at[i] = p.slots[i].memory + first * p.slots[i].item_size;
      }
    }
    for (const Program::Source& source : p.sources) {
      if (source.layout == Program::Source::Layout::flat) {
        at[source.slot] = const_cast<char*>(static_cast<const char*>(source.data)) + first * source.item_size;
      } else if (source.layout == Program::Source::Layout::strided) {
        size_t ndim = static_cast<size_t>(source.ndim);
        read_strided(source.data, Ints(source.shape.data(), ndim), Ints(source.strides.data(), ndim), source.item_size,
            first, n, at[source.slot]);
      }
    }
    for (const Program::Step& step : p.steps) {
      const void* inputs[3] = {at[step.inputs[0]], at[step.inputs[1]], at[step.inputs[2]]};
      step.kernel(inputs, at[step.output], n);
    }
    for (size_t k = 0; k < p.sinks.size(); ++k) {
      const Program::Sink& sink = p.sinks[k];
      const char* tile = static_cast<const char*>(at[sink.slot]);
      if (units.splits_rows()) {
        sink.reducer.block(tile, n, partials[k] + unit * sink.reducer.partial_size);
      } else {
        int64_t row_bytes = units.row_length * p.slots[sink.slot].item_size;
        alignas(16) char partial[64];
        for (int64_t row = first / units.row_length; row * units.row_length < first + n; ++row, tile += row_bytes) {
          sink.reducer.block(tile, units.row_length, partial);
          sink.reducer.finish(partial, 1, sink.out + row * sink.out_item_size);
        }
      }
    }
  }
}

} // namespace

void Program::clear() {
  size = row_length = 0;
  scratch_count = 0;
  scratch_item_size = 1;
  sources.clear();
  steps.clear();
  slots.clear();
  sinks.clear();
}

void run(const Program& p) {
  if (p.size == 0) {
    return;
  }
  Units units(p);
  std::vector<std::unique_ptr<char[]>> storage;
  std::vector<char*> partials;
  if (units.splits_rows()) {
    for (const Program::Sink& sink : p.sinks) {
      storage.emplace_back(new char[static_cast<size_t>(units.count * sink.reducer.partial_size)]);
      partials.push_back(storage.back().get());
    }
  }

  auto parts = static_cast<int64_t>(p.steps.size() + p.sources.size() + p.sinks.size());
  if (units.count == 1 || p.size < parallel_threshold / std::max<int64_t>(parts, 1) || thread_count() == 1) {
    run_units(p, units, partials.data(), 0, units.count);
  } else {
    int64_t chunks = std::min<int64_t>(units.count, 8 * thread_count());
    parallel_for(chunks, [&](int64_t c) {
      run_units(p, units, partials.data(), units.count * c / chunks, units.count * (c + 1) / chunks);
    });
  }

  if (units.splits_rows()) {
    for (size_t k = 0; k < p.sinks.size(); ++k) {
      const Program::Sink& sink = p.sinks[k];
      for (int64_t row = 0; row < p.size / p.row_length; ++row) {
        sink.reducer.finish(partials[k] + row * units.units_per_row * sink.reducer.partial_size, units.units_per_row,
            sink.out + row * sink.out_item_size);
      }
    }
  }
}

} // namespace mlx::core::cpu
