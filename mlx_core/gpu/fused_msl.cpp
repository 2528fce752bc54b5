// Fused plans printed: elements, steps and sources; what a text depends on, and the constants it reads.
#include "mlx_core/gpu/fused_msl.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "mlx_core/gpu/fused_printer.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

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
  for (uint32_t i = plan_.begin_of(stage).folds; i < plan_.stages[stage].folds; ++i) {
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
  for (uint32_t i = plan_.begin_of(stage).row_steps; i < plan_.stages[stage].row_steps; ++i) {
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

std::string Printer::text() {
  text_ =
      "// A fused plan, printed.\n#include <metal_stdlib>\nusing namespace metal;\n#include \"elementwise_ops.h\"\n";
  if (form_.way == Way::elements) {
    elements_kernel();
    return std::move(text_);
  }
  text_ += "#include \"reduction_ops.h\"\n";
  form_.way == Way::rows ? rows_kernel() : blocks_kernel();
  return std::move(text_);
}

namespace {

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
  std::vector<int64_t> words{
      plan.size, plan.row_length, plan.rows(), plan.row_length ? threads_per_row(plan, form) : 0};
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
