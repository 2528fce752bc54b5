// Rows of fused plans, printed: reductions of blocks by lanes, of a row's blocks, and of blocks that other threads
// reduced.
#include "mlx_core/gpu/fused_printer.h"

namespace mlx::core::gpu {

// The partials of each fold, where a row has several blocks.
void Printer::shared_memory() {
  for (size_t i = 0; i < plan_.folds.size(); ++i) {
    line("threadgroup ", accumulator_of(plan_.folds[i]), " partials_", i, "[", most_blocks, "];");
  }
}

std::string Printer::applied(const FusedPlan::Fold& fold, const std::string& a, const std::string& b) const {
  return join("reduction::", name_of_reduction(fold.op), "::apply(", a, ", ", b, ")");
}

std::string Printer::folded(const FusedPlan::Fold& fold, const std::string& value, const std::string& lanes) const {
  return join(
      "reduction::fold_lanes<reduction::", name_of_reduction(fold.op), ">(", value, ", ", lanes, ", simd_lane)");
}

// One block's elements of a lane in order, then its lanes. Leaves the block's partials in a0, a1, ...
void Printer::reduce_block(size_t stage) {
  uint32_t first_fold = plan_.begin_of(stage).folds, end_fold = plan_.stages[stage].folds;
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    const FusedPlan::Fold& fold = plan_.folds[i];
    std::string type = accumulator_of(fold);
    line(type, " a", i, " = reduction::", name_of_reduction(fold.op), "::identity<", type, ">();");
  }
  open("for (uint e = begin + lane; e < end; e += width)");
  line("const ", index_type(), " i = ", index_type(), "(row) * length + e;");
  pass_body(stage, is_last(stage));
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    const FusedPlan::Fold& fold = plan_.folds[i];
    std::string value = join("convert<", accumulator_of(fold), ">(v", fold.input, ")");
    line("a", i, " = e == begin + lane ? ", value, " : ", applied(fold, join("a", i), value), ";");
  }
  close();
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    line("a", i, " = ", folded(plan_.folds[i], join("a", i), "lane, width, left"), ";");
  }
}

void Printer::load_rows() {
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    if (plan_.sources[i].layout == Layout::rows) {
      load(i, "row");
    }
  }
}

// c[1]: the rows' length, c[2]: their number, c[3]: threads for each. A block is a run of block_length elements;
// `width` threads go through one, each through the elements of its lane.
void Printer::rows_kernel() {
  signature();
  text_ += "    uint group [[threadgroup_position_in_grid]], uint t [[thread_index_in_threadgroup]],\n";
  text_ += "    uint simd_lane [[thread_index_in_simdgroup]]) {\n";
  indent_ = 1;
  shared_memory();
  line("const uint length = uint(c[1]), threads = uint(c[3]), blocks = (length + ", block_length - 1, ") / ",
      block_length, ";");
  line("const uint in_row = t & (threads - 1), width = min(threads, 32u), lane = in_row & (width - 1);");
  line("const uint at_once = threads / width;");
  line("const ", index_type(), " number = ", index_type(), "(group) * (", group_threads, "u / threads) + t / threads;");
  line("const bool active = number < ", index_type(), "(c[2]);");
  line("const ", index_type(), " row = active ? number : 0;");
  load_scalars();
  load_rows();
  for (size_t stage = 0; stage < plan_.stages.size(); ++stage) {
    row_steps(stage);
    fold_rows(stage);
  }
  if (!has_folds(plan_.stages.size() - 1) && writes_space()) {
    open("for (uint e = in_row; active && e < length; e += threads)");
    line("const ", index_type(), " i = row * length + e;");
    pass_body(plan_.stages.size() - 1, true);
    close();
  }
  open("if (active && in_row == 0)");
  store_row("row");
  close();
  indent_ = 0;
  line("}");
}

void Printer::fold_rows(size_t stage) {
  uint32_t first_fold = plan_.begin_of(stage).folds, end_fold = plan_.stages[stage].folds;
  if (first_fold == end_fold) {
    return;
  }
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    const FusedPlan::Fold& fold = plan_.folds[i];
    std::string type = accumulator_of(fold);
    line(type, " f", i, " = reduction::", name_of_reduction(fold.op), "::identity<", type, ">();");
  }
  open("for (uint round = 0; round * at_once < blocks; ++round)");
  line("const uint block = round * at_once + in_row / width, begin = block * ", block_length, "u;");
  line("const uint end = active && begin < length ? min(length, begin + ", block_length, "u) : begin;");
  line("const uint left = min(end - begin, width);");
  reduce_block(stage);
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    line("f", i, " = a", i, ";");
    open("if (blocks > 1 && lane == 0 && block < blocks)");
    line("partials_", i, "[block] = a", i, ";");
    close();
  }
  close();
  open("if (blocks > 1)"); // then the threadgroup has this one row, and each simdgroup folds the partials for itself
  line("threadgroup_barrier(mem_flags::mem_threadgroup);");
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    const FusedPlan::Fold& fold = plan_.folds[i];
    std::string partials = join("partials_", i);
    line("f", i, " = lane < blocks ? ", partials, "[lane] : f", i, ";");
    open(join("for (uint k = lane + 32; k < blocks; k += 32)"));
    line("f", i, " = ", applied(fold, join("f", i), partials + "[k]"), ";");
    close();
    line("f", i, " = ", folded(fold, join("f", i), "lane, 32, min(blocks, 32u)"), ";");
  }
  close();
  for (uint32_t i = first_fold; i < end_fold; ++i) {
    std::string type = type_of(plan_.slots[plan_.folds[i].output].dtype);
    line("const ", type, " v", plan_.folds[i].output, " = convert<", type, ">(f", i, ");");
  }
}

// A row may be long, or the rows few: threads for each block, whose partials go to memory.
void Printer::blocks_kernel() {
  signature();
  text_ += "    uint group [[threadgroup_position_in_grid]], uint t [[thread_index_in_threadgroup]],\n";
  text_ += "    uint simd_lane [[thread_index_in_simdgroup]]) {\n";
  indent_ = 1;
  line("const ", index_type(), " length = ", index_type(), "(c[1]), blocks = (length + ", block_length - 1, ") / ",
      block_length, ";");
  line("const uint width = 32, lane = t & 31;");
  line("const ", index_type(), " number = ", index_type(), "(group) * (", group_threads, "u / width) + t / width;");
  line("const bool active = number < ", index_type(), "(c[2]) * blocks;");
  line("const ", index_type(), " row = active ? number / blocks : 0;");
  line("const ", index_type(), " begin = (active ? number % blocks : 0) * ", block_length, ";");
  line("const ", index_type(), " end = active ? min(length, begin + ", block_length, ") : begin;");
  line("const uint left = min(uint(end - begin), width);");
  load_scalars();
  load_rows();
  row_steps(0);
  reduce_block(0);
  open("if (active && lane == 0)");
  for (size_t i = 0; i < plan_.folds.size(); ++i) {
    line("p", i, "[number] = ", accumulator_of(plan_.folds[i]) == "bool" ? "uchar(a" : "(a", i, ");");
  }
  close();
  open("if (active && lane == 0 && begin == 0)");
  store_row_steps();
  close();
  indent_ = 0;
  line("}");
  finish_kernels();
}

// One more level of the tree: a simdgroup for each run of block_length partials. c[0]: how many partials a row has;
// c[1]: how many runs that is. "combine" leaves partials, "finish" the results.
void Printer::finish_kernels() {
  for (bool last : {false, true}) {
    text_ += last ? "kernel void finish(\n" : "kernel void combine(\n";
    indent_ = 2;
    int slot = 0;
    for (const char* name : {"p", "o"}) {
      for (size_t i = 0; i < plan_.folds.size(); ++i) {
        bool is_output = *name == 'o';
        std::string type = accumulator_of(plan_.folds[i]) == "bool" ? "uchar" : accumulator_of(plan_.folds[i]);
        type = is_output && last ? memory_type(plan_.slots[plan_.folds[i].output].dtype) : type;
        line("device ", is_output ? "" : "const ", type, "* ", name, i, " [[buffer(", slot++, ")]],");
      }
    }
    line("constant long* c [[buffer(", slot, ")]], uint group [[threadgroup_position_in_grid]],");
    line("uint t [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {");
    indent_ = 1;
    line("const ulong count = ulong(c[0]), runs = ulong(c[1]), number = ulong(group) * ", group_threads / 32,
        " + t / 32;");
    open("if (number >= ulong(c[2]) * runs)");
    line("return;");
    close();
    line("const ulong row = number / runs, begin = number % runs * ", block_length, ", end = min(count, begin + ",
        block_length, ");");
    line("const uint live = uint(min(end - begin, 32ul)), simd_lane = lane;");
    for (size_t i = 0; i < plan_.folds.size(); ++i) {
      const FusedPlan::Fold& fold = plan_.folds[i];
      std::string type = accumulator_of(fold), a = join("a", i), p = join(type, "(p", i, "[row * count + k])");
      line(type, " ", a, " = reduction::", name_of_reduction(fold.op), "::identity<", type, ">();");
      open("for (ulong k = begin + lane; k < end; k += 32)");
      line(a, " = k == begin + lane ? ", p, " : ", applied(fold, a, p), ";");
      close();
      line(a, " = ", folded(fold, a, "lane, 32, live"), ";");
      Dtype to = plan_.slots[fold.output].dtype;
      std::string value = last ? join("convert<", type_of(to), ">(", a, ")") : a;
      open("if (lane == 0)");
      line("o", i, "[number] = ", type == "bool" ? "uchar" : "", "(", value, ");");
      close();
    }
    indent_ = 0;
    line("}");
  }
}

} // namespace mlx::core::gpu
