// The printer of fused plans. A row program goes through its rows once for each stage and computes again what it needs
// of the stages before, from the sources: what is computed twice has the same bits, and costs less than memory. Outputs
// are written in the last pass, so that one may be the memory of a source.
#include "mlx_core/gpu/fused_msl.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

namespace {

using Layout = FusedPlan::Layout;
using Stage = FusedPlan::Stage;
using Way = FusedForm::Way;

std::string type_of(Dtype dtype) { return shader_type(dtype); }
// In memory a bool is a byte, which is true when it is not 0.
std::string memory_type(Dtype dtype) { return dtype.is_bool() ? "uchar" : shader_type(dtype); }
// What a fold accumulates in.
std::string accumulator_of(const FusedPlan::Fold& fold) {
  if (fold.op == Reduction::all || fold.op == Reduction::any) {
    return "bool";
  }
  return fold.from == float16 || fold.from == bfloat16 ? "float" : type_of(fold.from);
}

template <typename... Parts>
std::string join(const Parts&... parts) {
  std::string out;
  auto put = [&](const auto& part) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) {
      out += std::to_string(part);
    } else {
      out += part;
    }
  };
  (put(parts), ...);
  return out;
}

class Printer {
 public:
  Printer(const kernel::Fused& k, FusedForm form) : k_(k), plan_(k.plan), form_(form) { note_constants(); }
  std::string text();

 private:
  using Slots = std::vector<bool>;

  template <typename... Parts>
  void line(const Parts&... parts) {
    text_ += std::string(2 * static_cast<size_t>(indent_), ' ');
    text_ += join(parts...);
    text_ += '\n';
  }
  void open(const std::string& head) {
    line(head, " {");
    ++indent_;
  }
  void close() {
    --indent_;
    line("}");
  }

  void note_constants();
  void signature();
  void elements_kernel();
  void rows_kernel();
  void blocks_kernel();
  void finish_kernels();

  Stage begin_of(size_t stage) const { return stage == 0 ? Stage{} : plan_.stages[stage - 1]; }
  bool is_last(size_t stage) const { return stage + 1 == plan_.stages.size(); }
  bool writes_space() const;
  Slots needed_for(size_t stage, bool outputs) const;
  void load_scalars();
  void load(size_t source, const std::string& element);
  void step(const FusedPlan::Step& step);
  void row_steps(size_t stage);
  void pass_body(size_t stage, bool outputs);
  void store_space();
  void store_row(const std::string& row);
  void store_row_steps();
  void load_rows();
  void shared_memory();
  void reduce_block(size_t stage);
  void fold_rows(size_t stage);
  bool has_folds(size_t stage) const { return begin_of(stage).folds < plan_.stages[stage].folds; }
  std::string applied(const FusedPlan::Fold& fold, const std::string& a, const std::string& b) const;
  std::string folded(const FusedPlan::Fold& fold, const std::string& value, const std::string& lanes) const;
  std::string index_type() const { return form_.wide ? "ulong" : "uint"; }
  std::string offset_type() const { return form_.wide ? "long" : "int"; }

  const kernel::Fused& k_;
  const FusedPlan& plan_;
  FusedForm form_;
  std::vector<int> constant_at_; // of each source: its first word
  std::string text_;
  int indent_ = 0;
};

void Printer::note_constants() {
  int at = 4;
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    constant_at_.push_back(at);
    if (plan_.sources[i].layout == Layout::strided) {
      at += 1 + 2 * static_cast<int>(plan_.sources[i].sizes.size());
    } else if (plan_.sources[i].layout == Layout::scalar && !k_.sources[i].buffer) {
      ++at;
    }
  }
}

bool Printer::writes_space() const {
  for (const FusedPlan::Step& step : plan_.steps) {
    if (plan_.slots[step.output].output >= 0) {
      return true;
    }
  }
  return false;
}

// The slots with an element for each of the space that a pass must compute or load.
Printer::Slots Printer::needed_for(size_t stage, bool outputs) const {
  Slots needed(plan_.slots.size(), false);
  for (uint32_t i = begin_of(stage).folds; i < plan_.stages[stage].folds; ++i) {
    needed[plan_.folds[i].input] = true;
  }
  for (size_t i = plan_.stages[stage].steps; i-- > 0;) {
    const FusedPlan::Step& step = plan_.steps[i];
    if (outputs && plan_.slots[step.output].output >= 0) {
      needed[step.output] = true;
    }
    for (int n = 0; needed[step.output] && n < step.input_count; ++n) {
      needed[step.inputs[n]] = true;
    }
  }
  return needed;
}

void Printer::signature() {
  text_ += "kernel void fused(\n";
  indent_ = 2;
  int slot = 0;
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    if (k_.sources[i].buffer) {
      line("device const ", memory_type(plan_.slots[i].dtype), "* s", i, " [[buffer(", slot++, ")]],");
    }
  }
  for (size_t i = 0; i < plan_.slots.size(); ++i) {
    if (plan_.slots[i].output >= 0) {
      line("device ", memory_type(plan_.slots[i].dtype), "* o", i, " [[buffer(", slot + plan_.slots[i].output, ")]],");
    }
  }
  slot += static_cast<int>(k_.outputs.size());
  if (form_.way == Way::blocks) {
    for (size_t i = 0; i < plan_.folds.size(); ++i) {
      line("device ", accumulator_of(plan_.folds[i]) == "bool" ? "uchar" : accumulator_of(plan_.folds[i]), "* p", i,
          " [[buffer(", slot++, ")]],");
    }
  }
  line("constant long* c [[buffer(", slot, ")]],");
  indent_ = 0;
}

// Values that are the same for all elements.
void Printer::load_scalars() {
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    if (plan_.sources[i].layout != Layout::scalar) {
      continue;
    }
    Dtype dtype = plan_.slots[i].dtype;
    std::string word = join("c[", constant_at_[i], "]"), value;
    if (k_.sources[i].buffer) {
      value = dtype.is_bool() ? join("s", i, "[0] != 0") : join("s", i, "[0]");
    } else if (dtype == float32) {
      value = join("as_type<float>(uint(", word, "))");
    } else if (dtype == float16 || dtype == bfloat16) {
      value = join("as_type<", type_of(dtype), ">(ushort(", word, "))");
    } else if (dtype == complex64) {
      value = join("make_complex64(as_type<float>(uint(", word, ")), as_type<float>(uint(", word, " >> 32)))");
    } else if (dtype.is_bool()) {
      value = join("(", word, " & 255) != 0");
    } else {
      value = join(type_of(dtype), "(", word, ")");
    }
    line("const ", type_of(dtype), " v", i, " = ", value, ";");
  }
}

// A source's value at element `i` of the space.
void Printer::load(size_t source, const std::string& element) {
  const FusedPlan::Source& from = plan_.sources[source];
  Dtype dtype = plan_.slots[source].dtype;
  std::string at = element;
  if (from.layout == Layout::strided) {
    auto rank = static_cast<int>(from.sizes.size());
    at = join("at", source);
    line(index_type(), " rest", source, " = ", element, ";");
    line(offset_type(), " ", at, " = ", offset_type(), "(c[", constant_at_[source], "]);");
    for (int axis = rank - 1; axis >= 0; --axis) {
      std::string length = join(index_type(), "(c[", constant_at_[source] + 1 + axis, "])");
      std::string stride = join(offset_type(), "(c[", constant_at_[source] + 1 + rank + axis, "])");
      if (axis > 0) {
        line(at, " += ", offset_type(), "(rest", source, " % ", length, ") * ", stride, ";");
        line("rest", source, " /= ", length, ";");
      } else {
        line(at, " += ", offset_type(), "(rest", source, ") * ", stride, ";");
      }
    }
  }
  line("const ", type_of(dtype), " v", source, " = s", source, "[", at, "]", dtype.is_bool() ? " != 0;" : ";");
}

void Printer::step(const FusedPlan::Step& step) {
  std::string value;
  if (step.body == Body::copy) {
    value = step.from == step.to ? join("v", step.inputs[0])
                                 : join("convert<", type_of(step.to), ">(v", step.inputs[0], ")");
  } else {
    value = join("body::", name_of_body(step.body), "()(");
    for (int n = 0; n < step.input_count; ++n) {
      value += join(n ? ", v" : "v", step.inputs[n]);
    }
    value += ")";
  }
  line("const ", type_of(plan_.slots[step.output].dtype), " v", step.output, " = ", value, ";");
}

void Printer::row_steps(size_t stage) {
  for (uint32_t i = begin_of(stage).row_steps; i < plan_.stages[stage].row_steps; ++i) {
    step(plan_.row_steps[i]);
  }
}

// What is computed of element `i` in a pass.
void Printer::pass_body(size_t stage, bool outputs) {
  Slots needed = needed_for(stage, outputs);
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    Layout layout = plan_.sources[i].layout;
    if (needed[i] && (layout == Layout::flat || layout == Layout::strided)) {
      load(i, "i");
    }
  }
  for (uint32_t i = 0; i < plan_.stages[stage].steps; ++i) {
    if (needed[plan_.steps[i].output]) {
      step(plan_.steps[i]);
    }
  }
  if (outputs) {
    store_space();
  }
}

void Printer::store_space() {
  for (const FusedPlan::Step& step : plan_.steps) {
    if (const FusedPlan::Slot& slot = plan_.slots[step.output]; slot.output >= 0) {
      line("o", step.output, "[i] = ", slot.dtype.is_bool() ? "uchar(v" : "(v", step.output, ");");
    }
  }
}

void Printer::store_row(const std::string& row) {
  for (size_t i = plan_.sources.size(); i < plan_.slots.size(); ++i) {
    if (const FusedPlan::Slot& slot = plan_.slots[i]; slot.of_rows && slot.output >= 0) {
      line("o", i, "[", row, "] = ", slot.dtype.is_bool() ? "uchar(v" : "(v", i, ");");
    }
  }
}

// Those of row steps alone.
void Printer::store_row_steps() {
  for (const FusedPlan::Step& step : plan_.row_steps) {
    if (const FusedPlan::Slot& slot = plan_.slots[step.output]; slot.output >= 0) {
      line("o", step.output, "[row] = ", slot.dtype.is_bool() ? "uchar(v" : "(v", step.output, ");");
    }
  }
}

void Printer::elements_kernel() {
  signature();
  text_ += "    uint3 position [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {\n";
  indent_ = 1;
  line("const ", index_type(), " i = ", form_.wide ? "ulong(position.y) * grid.x + position.x;" : "position.x;");
  line("if (i >= ", index_type(), "(c[0])) {");
  line("  return;");
  line("}");
  load_scalars();
  pass_body(0, true);
  indent_ = 0;
  line("}");
}

// ---- rows ----

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
  return join("reduction::fold_lanes<reduction::", name_of_reduction(fold.op), ">(", value, ", ", lanes, ", simd_lane)");
}

// One block's elements of a lane in order, then its lanes. Leaves the block's partials in a0, a1, ...
void Printer::reduce_block(size_t stage) {
  uint32_t first_fold = begin_of(stage).folds, end_fold = plan_.stages[stage].folds;
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

// c[1]: the rows' length, c[2]: their number, c[3]: threads for each. A block is a run of block_length elements; `width`
// threads go through one, each through the elements of its lane.
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
  uint32_t first_fold = begin_of(stage).folds, end_fold = plan_.stages[stage].folds;
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

// One more level of the tree: a simdgroup for each run of block_length partials. c[0]: how many partials a row has; c[1]:
// how many runs that is. "combine" leaves partials, "finish" the results.
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
    line("const ulong count = ulong(c[0]), runs = ulong(c[1]), number = ulong(group) * ", group_threads / 32, " + t / 32;");
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

std::string Printer::text() {
  text_ = "// A fused plan, printed.\n#include <metal_stdlib>\nusing namespace metal;\n#include \"elementwise_ops.h\"\n";
  if (form_.way == Way::elements) {
    elements_kernel();
    return std::move(text_);
  }
  text_ += "#include \"reduction_ops.h\"\n";
  form_.way == Way::rows ? rows_kernel() : blocks_kernel();
  return std::move(text_);
}

template <typename T>
void put(std::string& key, T value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

bool fits(std::span<const View> views, const FusedPlan& plan) {
  constexpr int64_t limit = int64_t{1} << 31;
  if (plan.size >= limit) {
    return false;
  }
  for (size_t i = 0; i < views.size(); ++i) {
    int64_t reach = 0;
    for (size_t axis = 0; axis < plan.sources[i].strides.size(); ++axis) {
      reach += std::abs(plan.sources[i].strides[axis]) * (plan.sources[i].sizes[axis] - 1);
    }
    if (reach >= limit) {
      return false;
    }
  }
  return true;
}

} // namespace

FusedForm form_of(const kernel::Fused& k) {
  const FusedPlan& plan = k.plan;
  FusedForm form{Way::elements, !fits(k.sources, plan)};
  if (plan.row_length == 0) {
    return form;
  }
  int64_t blocks = (plan.row_length + block_length - 1) / block_length;
  constexpr int64_t enough_groups = 64, worth_two_kernels = 8; // blocks
  bool few = plan.rows() < enough_groups && blocks >= worth_two_kernels;
  bool alone = plan.stages.size() == 1;
  form.way = alone && (blocks > most_blocks || few) ? Way::blocks : Way::rows;
  return form;
}

int64_t threads_per_row(const FusedPlan& plan, FusedForm form) {
  if (form.way == Way::rows && plan.row_length <= 32) {
    return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(plan.row_length)));
  }
  return form.way == Way::blocks || plan.row_length <= block_length ? 32 : group_threads;
}

std::string key_of(const kernel::Fused& k, FusedForm form) {
  const FusedPlan& plan = k.plan;
  std::string key = "fused";
  put(key, form.way);
  put(key, form.wide);
  for (size_t i = 0; i < plan.sources.size(); ++i) {
    put(key, plan.sources[i].layout);
    put(key, static_cast<uint8_t>(plan.sources[i].sizes.size()));
    put(key, k.sources[i].buffer != nullptr);
  }
  put(key, 'o');
  for (const FusedPlan::Slot& slot : plan.slots) {
    put(key, slot.dtype.val);
    put(key, slot.of_rows);
    put(key, slot.output);
  }
  for (const auto* steps : {&plan.row_steps, &plan.steps}) {
    put(key, 's');
    for (const FusedPlan::Step& step : *steps) {
      put(key, step.body);
      put(key, step.from.val);
      put(key, step.to.val);
      put(key, step.input_count);
      for (int n = 0; n < step.input_count; ++n) {
        put(key, step.inputs[n]);
      }
      put(key, step.output);
    }
  }
  put(key, 'f');
  for (const FusedPlan::Fold& fold : plan.folds) {
    put(key, fold.op);
    put(key, fold.from.val);
    put(key, fold.input);
    put(key, fold.output);
  }
  put(key, 't');
  for (const Stage& stage : plan.stages) {
    put(key, stage.row_steps);
    put(key, stage.steps);
    put(key, stage.folds);
  }
  return key;
}

std::string text_of(const kernel::Fused& k, FusedForm form) { return Printer(k, form).text(); }

std::vector<int64_t> constants_of(const kernel::Fused& k, FusedForm form) {
  const FusedPlan& plan = k.plan;
  std::vector<int64_t> words{plan.size, plan.row_length, plan.rows(), plan.row_length ? threads_per_row(plan, form) : 0};
  for (size_t i = 0; i < plan.sources.size(); ++i) {
    const FusedPlan::Source& source = plan.sources[i];
    if (source.layout == Layout::strided) {
      words.push_back(from_lowest(k.sources[i].laid_out(source.sizes, source.strides)).first);
      words.insert(words.end(), source.sizes.begin(), source.sizes.end());
      words.insert(words.end(), source.strides.begin(), source.strides.end());
    } else if (source.layout == Layout::scalar && !k.sources[i].buffer) {
      int64_t word = 0;
      std::memcpy(&word, k.sources[i].inline_value, static_cast<size_t>(plan.slots[i].dtype.size()));
      words.push_back(word);
    }
  }
  return words;
}

} // namespace mlx::core::gpu
