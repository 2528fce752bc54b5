// The step's kernel on one line after another, each operand where it lies. Of what is one element for all of a line a
// line of copies is made, unless the one before had the same.
#include "mlx_core/cpu/one_step_lines.h"

#include <algorithm>
#include <optional>

#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/odometer.h"
#include "mlx_core/cpu/past_caches.h"
#include "mlx_core/cpu/sharing.h"
#include "mlx_core/cpu/spread.h"
#include "mlx_core/cpu/strip_steps.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {
namespace {

// Below, tiles of several lines need fewer calls; of a row that is the same for all lines a tile is made but once.
// Strips read one element for all of a line where it is; of 16-bit floats, which kernels widen, they are quicker
// anyway.
constexpr int64_t shortest = 96, shortest_of_rows = 256, shortest_with_ones = 200, shortest_with_half_ones = 1025;
constexpr int64_t copies_bytes = 8 * 1024; // of one operand: they stay in the first-level cache
constexpr int most_axes = 6;

// An operand, line by line.
struct Operand {
  const char* data;
  int64_t item_size;
  bool is_one; // element for all of a line
  Spread spread;
  int rank;
  int64_t sizes[most_axes], strides[most_axes]; // of lines; in elements

  bool add_axis(int64_t size, int64_t stride) {
    if (rank == most_axes) return false;
    sizes[rank] = size, strides[rank++] = stride;
    return true;
  }
};

struct Lines {
  Kernel kernel;
  int64_t length, count; // elements of a line; lines
  int64_t parts, part;   // of a line that is long, and elements of each but the last
  char* out;
  int64_t out_size;
  FusedPlan::Lines out_lines; // without gaps, too
  size_t operand_count = 0;
  Operand operands[3] = {};

  void run(int64_t begin, int64_t end) const {
    alignas(64) char copies[3][copies_bytes];
    const char* copied[3] = {};
    int64_t index[3][most_axes];
    std::optional<Odometer> lines[3];
    for (size_t i = 0; i < operand_count; ++i) {
      const Operand& operand = operands[i];
      lines[i].emplace(
          operand.rank, operand.sizes, operand.strides, nullptr, index[i], begin / parts, operand.item_size);
    }
    InterruptPoll poll(1 << 18);
    int64_t first = begin % parts * part;
    int64_t number = begin / parts;
    char* to = out + (out_lines.start(number) + first) * out_size;
    for (int64_t left = end - begin; left > 0; --left) {
      const int64_t n = std::min(part, length - first);
      poll(n);
      const void* inputs[3];
      for (size_t i = 0; i < operand_count; ++i) {
        const Operand& operand = operands[i];
        const char* at = operand.data + lines[i]->a_offset;
        if (!operand.is_one) {
          inputs[i] = at + first * operand.item_size;
          continue;
        }
        if (copied[i] != at) operand.spread(copies[i], copied[i] = at, part);
        inputs[i] = copies[i];
      }
      kernel(inputs, to, n);
      to += n * out_size, first += n;
      if (first == length) {
        first = 0;
        to = out + out_lines.start(++number) * out_size;
        for (size_t i = 0; i < operand_count; ++i) lines[i]->next();
      }
    }
  }
};

// The last axis of the space along which every operand has a stride of one or none, or all of the space; 0: there is no
// such.
int64_t length_of_lines(const FusedPlan& plan, const FusedPlan::Slot& out) {
  int64_t length = out.lines.length;
  for (const FusedPlan::Source& source : plan.sources) {
    if (source.layout == FusedPlan::Layout::strided && !source.sizes.empty()) {
      if (source.strides.back() != 0 && source.strides.back() != 1) return 0;
      length = length == 0 ? source.sizes.back() : std::min(length, source.sizes.back());
    } else if (source.layout != FusedPlan::Layout::flat && source.layout != FusedPlan::Layout::scalar) {
      return 0;
    }
  }
  return length == 0 ? plan.size : length;
}

// Whether all lines of a source are the same.
bool is_row(const FusedPlan::Source& source) {
  return source.layout != FusedPlan::Layout::strided ||
         (source.sizes.size() == 2 && source.strides[0] == 0 && source.strides[1] == 1);
}

// Whether strips have a step with an operand that is one element for all of a line.
bool strips_read_ones(const FusedPlan& plan, const FusedPlan::Step& step) {
  const bool first = plan.sources[step.inputs[0]].is_one_of_line();
  const StripTable* table = find_strips(step.from);
  return table && step.input_count == 2 && first != plan.sources[step.inputs[1]].is_one_of_line() &&
         table->find_row(plain(step.body), is_turned(step.body) != first, StripForm::a_a);
}

int64_t shortest_of(const FusedPlan& plan, const FusedPlan::Step& step) {
  if (std::all_of(plan.sources.begin(), plan.sources.end(), is_row)) return shortest_of_rows;
  if (!strips_read_ones(plan, step)) return shortest;
  return step.from.size() == 2 ? shortest_with_half_ones : shortest_with_ones;
}

std::optional<Operand> operand_of(const FusedPlan::Source& source, const View& view, int64_t length, int64_t count) {
  const int64_t size = view.itemsize();
  Operand operand{view.host<char>(), size, source.layout == FusedPlan::Layout::scalar,
      find_spread(static_cast<int>(size)), 0, {}, {}};
  if (source.layout == FusedPlan::Layout::flat) {
    operand.add_axis(count, length);
  } else if (source.layout == FusedPlan::Layout::strided) {
    const size_t last = source.sizes.size() - 1;
    for (size_t d = 0; d < last; ++d) {
      if (!operand.add_axis(source.sizes[d], source.strides[d])) return std::nullopt;
    }
    operand.is_one = source.strides[last] == 0;
    if (source.sizes[last] % length != 0 ||
        (source.sizes[last] > length &&
            !operand.add_axis(source.sizes[last] / length, source.strides[last] * length))) {
      return std::nullopt;
    }
  }
  return operand;
}

} // namespace

bool run_line_by_line(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs) {
  if (plan.steps.size() != 1 || plan.row_length || plan.columns.any() || !plan.folds.empty()) return false;
  const FusedPlan::Step& step = plan.steps[0];
  const FusedPlan::Slot& out = plan.slots[step.output];
  const int64_t length = length_of_lines(plan, out);
  if ((length < plan.size && length < shortest_of(plan, step)) || plan.size % length != 0 || out.output < 0 ||
      (out.lines.length > 0 && out.lines.length != length) || is_past_caches(plan.size * out.dtype.size() / 2)) {
    return false;
  }
  const KernelTable& table = kernel_table();
  const bool converts = step.body == Body::copy && step.from != step.to;
  int64_t widest = 1;
  for (const View& view : sources) widest = std::max<int64_t>(widest, view.itemsize());
  Lines lines{converts ? table.cast(step.from, step.to) : table.body(step.body, step.from), length, plan.size / length,
      1, length, outputs[static_cast<size_t>(out.output)].host<char>(), out.dtype.size(),
      out.lines.length > 0 ? out.lines : FusedPlan::Lines{length, length}};
  if (!lines.kernel) return false;
  const int64_t most = copies_bytes / widest;
  lines.parts = ceil_div(length, most);
  lines.part = std::min(most, (ceil_div(length, lines.parts) + 63) / 64 * 64);
  lines.parts = ceil_div(length, lines.part);
  for (int i = 0; i < step.input_count; ++i) {
    const size_t slot = step.inputs[i];
    auto operand = operand_of(plan.sources[slot], sources[slot], length, lines.count);
    if (!operand) return false;
    lines.operands[lines.operand_count++] = *operand;
  }
  const int64_t units = lines.count * lines.parts, operations = cost_of(step.body);
  if (units > 1 && is_worth_sharing(plan.size, step.input_count, operations)) {
    const int64_t chunks = pieces_to_share(units, plan.size, step.input_count + operations);
    parallel_for(chunks, [&](int64_t c) { lines.run(units * c / chunks, units * (c + 1) / chunks); });
  } else {
    lines.run(0, units);
  }
  return true;
}

} // namespace mlx::core::cpu
