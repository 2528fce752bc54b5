// Laying out the passes of kept steps.
#include "mlx_core/eval/kept_passes.h"

#include <algorithm>
#include <cstring>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/eval/fuse.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/params.h"

namespace mlx::core {

namespace {

FusedPlan::Source source_of(const array& operand, const Shape& space) {
  return source_of(operand.shape(), operand.strides(), operand.is_row_contiguous(), size_of(space), space);
}

// Whether an element of such lengths, or one of them, stands as far from its neighbours as in the space.
bool lies_as(const Sizes& lengths, const Strides& strides, const Strides& of_space) {
  for (size_t d = 0; d < lengths.size(); ++d) {
    if (lengths[d] != 1 && strides[d] != of_space[d]) {
      return false;
    }
  }
  return true;
}

class Planner {
 public:
  Planner(const Program& body, const Inset* inset, std::span<const array> operands, std::span<const double> exponents)
      : body_(body), inset_(inset), operands_(operands), exponents_(exponents) {
    for (const Spec& input : body.inputs()) {
      specs_.push_back(&input);
    }
    for (const Program::Step& step : body.steps()) {
      specs_.push_back(&step.outputs[0]);
    }
  }

  KeptPasses plan() {
    const Shape& space = inset_ ? inset_->space : body_.steps()[0].outputs[0].shape;
    int64_t size = size_of(space);
    if (!inset_) {
      add_pass(Part::all, 0, size);
      return std::move(passes_);
    }
    add_pass(Part::outside, 0, inset_->begin);
    add_pass(Part::inside, inset_->begin, inset_->end);
    add_pass(Part::outside, inset_->end, size);
    return std::move(passes_);
  }

 private:
  enum class Part : uint8_t { all, inside, outside };

  bool is_of_part(const Program::Step& step) const {
    return inset_ && !identical(step.outputs[0].shape, inset_->space);
  }
  static bool is_inset(const Program::Step& step) { return step.primitive->eval_kind() != EvalKind::elementwise; }

  void add_pass(Part part, int64_t first, int64_t end) {
    if (first == end) {
      return;
    }
    KeptPasses::Pass pass{{}, {}, first};
    FusedPlan& plan = pass.plan;
    plan.size = end - first;
    slots_.assign(specs_.size(), none);
    of_part_.assign(body_.inputs().size(), none);
    auto read = [&](const Program::Step& step, int32_t operand, bool of_part) {
      auto slot = static_cast<size_t>(operand);
      if (slot < body_.inputs().size() && slot_of(slot, of_part) == none) {
        slot_of(slot, of_part) = add_source(pass, slot, of_part, step.outputs[0].shape);
      }
    };
    if (part == Part::all) {
      for (size_t k = 0; k < body_.inputs().size(); ++k) {
        slots_[k] = add_source(pass, k, false, body_.steps()[0].outputs[0].shape);
      }
    }
    for (const Program::Step& step : body_.steps()) {
      if (is_inset(step)) {
        read(step, step.operands[0], false);
      } else if (part != Part::outside || !is_of_part(step)) {
        for (int32_t operand : step.operands) {
          read(step, operand, is_of_part(step));
        }
      }
    }
    if (part == Part::inside && !inset_->mask.empty()) {
      mask_ = add_slot(plan, bool_);
      plan.sources.emplace_back().layout = FusedPlan::Layout::flat;
      pass.sources.push_back({KeptPasses::Source::of_mask, 0});
    }
    size_t powers = 0;
    for (const Program::Step& step : body_.steps()) {
      bool is_power = !is_inset(step) && static_cast<const Elementwise&>(*step.primitive).body() == Body::power;
      double exponent = is_power ? exponents_[powers++] : 0;
      if (is_inset(step)) {
        slots_[static_cast<size_t>(step.first)] = inset_or_around(plan, step, part);
      } else if (part != Part::outside || !is_of_part(step)) {
        add_step(plan, step, exponent);
      }
    }
    for (size_t i = 0; i < body_.outputs().size(); ++i) {
      auto output = static_cast<size_t>(body_.outputs()[i]);
      auto slot = static_cast<uint16_t>(slots_[output]);
      if (slot < plan.sources.size() || plan.slots[slot].output >= 0) {
        slot = add(plan, Body::copy, specs_[output]->dtype, {slot});
      }
      plan.slots[slot].output = static_cast<int16_t>(i);
    }
    plan.stages.push_back({0, static_cast<uint32_t>(plan.steps.size()), 0});
    passes_.passes.push_back(std::move(pass));
  }

  // What stands where the part is put: it, or what is around it.
  int inset_or_around(FusedPlan& plan, const Program::Step& step, Part part) {
    auto around = static_cast<uint16_t>(slots_[static_cast<size_t>(step.operands[0])]);
    if (part == Part::outside) {
      return around;
    }
    auto inside = static_cast<uint16_t>(slots_[static_cast<size_t>(step.operands[1])]);
    return inset_->mask.empty() ? inside : add(plan, Body::select, step.outputs[0].dtype, {mask_, inside, around});
  }

  void add_step(FusedPlan& plan, const Program::Step& step, double exponent) {
    FusedPlan::Step planned{static_cast<const Elementwise&>(*step.primitive).body(),
        specs_[static_cast<size_t>(step.operands.back())]->dtype, step.outputs[0].dtype, {},
        static_cast<uint8_t>(step.operands.size()), add_slot(plan, step.outputs[0].dtype)};
    for (size_t k = 0; k < step.operands.size(); ++k) {
      planned.inputs[k] = static_cast<uint16_t>(slot_of(static_cast<size_t>(step.operands[k]), is_of_part(step)));
    }
    slots_[static_cast<size_t>(step.first)] = planned.output;
    simplify_power(planned, exponent);
    plan.steps.push_back(planned);
  }

  static uint16_t add_slot(FusedPlan& plan, Dtype dtype) {
    plan.slots.push_back({dtype, false, -1});
    return static_cast<uint16_t>(plan.slots.size() - 1);
  }
  static uint16_t add(FusedPlan& plan, Body body, Dtype dtype, std::initializer_list<uint16_t> inputs) {
    FusedPlan::Step step{body, dtype, dtype, {}, static_cast<uint8_t>(inputs.size()), add_slot(plan, dtype)};
    std::copy(inputs.begin(), inputs.end(), step.inputs);
    plan.steps.push_back(step);
    return step.output;
  }

  int add_source(KeptPasses::Pass& pass, size_t operand, bool of_part, const Shape& shape) {
    const array& a = operands_[operand];
    FusedPlan::Source source = source_of(a, shape);
    KeptPasses::Read read{operand, of_part, std::nullopt};
    int64_t first = 0;
    if (inset_ && source.layout != FusedPlan::Layout::scalar) {
      source = FusedPlan::Source();
      source.layout = FusedPlan::Layout::flat;
      first = of_part ? 0 : pass.first; // what is the part's is read from its first element on
      Strides there = broadcast_strides(a, shape.size());
      if (!lies_as(sizes_of(shape), there, row_major_strides(inset_->space))) {
        read.copied_with = std::move(there);
      }
    }
    auto is_same = [&](const KeptPasses::Read& r) { return r.operand == operand && r.of_part == of_part; };
    auto known = std::find_if(passes_.reads.begin(), passes_.reads.end(), is_same);
    pass.sources.push_back({static_cast<size_t>(known - passes_.reads.begin()), first});
    if (known == passes_.reads.end()) {
      passes_.reads.push_back(std::move(read));
    }
    pass.plan.sources.push_back(std::move(source));
    return add_slot(pass.plan, a.dtype());
  }

  int& slot_of(size_t slot, bool of_part) { return of_part && slot < of_part_.size() ? of_part_[slot] : slots_[slot]; }

  static constexpr int none = -1;
  const Program& body_;
  const Inset* inset_;
  std::span<const array> operands_;
  std::span<const double> exponents_;
  std::vector<const Spec*> specs_; // by slot of the body
  std::vector<int> slots_;         // of the pass, by slot of the body
  std::vector<int> of_part_;       // the same of inputs, as steps of the part read them
  uint16_t mask_ = 0;
  KeptPasses passes_;
};

} // namespace

std::optional<Inset> Inset::around(const Program::Step& step, const Spec& part) {
  std::optional<WrittenPart> written = step.operands.size() == 2 ? written_part(*step.primitive) : std::nullopt;
  const Shape& space = step.outputs[0].shape;
  if (!written || !written->has_no_gaps() || identical(part.shape, space) || 2 * size_of(part.shape) < size_of(space)) {
    return std::nullopt;
  }
  Inset inset{space, sizes_of(part.shape), 0, 1, {}};
  Strides strides = row_major_strides(space);
  inset.begin = written->offset_in(strides);
  inset.end += inset.begin;
  for (size_t d = 0; d < strides.size(); ++d) {
    inset.end += (inset.part[d] - 1) * strides[d];
  }
  int64_t between = inset.end - inset.begin, inside = size_of(part.shape);
  if (2 * between > 3 * inside) {
    return std::nullopt;
  }
  if (between > inside) {
    const char yes = 1;
    inset.mask.resize(static_cast<size_t>(between));
    cpu::copy_strided(&yes, Strides(strides.size(), 0), inset.mask.data(), strides, inset.part, 1);
  }
  return inset;
}

Exponents exponents_of(const Program& body, std::span<const Program::Step* const> powers,
    std::span<const array> operands, std::span<const View> views) {
  Exponents exponents;
  for (const Program::Step* power : powers) {
    auto exponent = static_cast<size_t>(power->operands.back());
    const Spec& out = power->outputs[0];
    FusedPlan::Step step{Body::power, out.dtype, out.dtype, {}, 2, 0};
    bool is_given = exponent < body.inputs().size();
    exponents.push_back(is_given ? known_exponent(step, source_of(operands[exponent], out.shape), views[exponent]) : 0);
  }
  return exponents;
}

KeptPasses passes_of(
    const Program& body, const Inset* inset, std::span<const array> operands, std::span<const double> exponents) {
  return Planner(body, inset, operands, exponents).plan();
}

PassMemory::PassMemory(const KeptPasses& passes, const Inset* inset, std::span<const View> operands) {
  for (const KeptPasses::Read& read : passes.reads) {
    View view = operands[read.operand];
    if (read.copied_with) {
      Sizes sizes = read.of_part ? inset->part : sizes_of(inset->space);
      int64_t elements = read.of_part ? inset->end - inset->begin : static_cast<int64_t>(size_of(inset->space));
      auto bytes = static_cast<size_t>(elements * view.itemsize());
      BufferRef memory = allocate(bytes);
      std::memset(memory->data, 0, bytes); // what is between the lines is computed with
      View to{memory.get(), 0, nullptr, view.dtype, sizes, row_major_strides(inset->space)};
      copied_.push_back({view.laid_out(std::move(sizes), *read.copied_with), to, std::move(memory)});
      view = std::move(to);
    }
    reads_.push_back(std::move(view));
  }
  if (inset) {
    View& mask = reads_.emplace_back();
    mask.inline_value = inset->mask.data();
  }
}

void PassMemory::refresh() const {
  for (const Copied& copied : copied_) {
    cpu::copy_strided(copied.from.host(), copied.from.strides, copied.to.host(), copied.to.strides, copied.to.sizes,
        copied.to.itemsize());
  }
}

std::vector<View> PassMemory::sources(const KeptPasses::Pass& pass) const {
  std::vector<View> views;
  for (const KeptPasses::Source& source : pass.sources) {
    const View& read = source.read < reads_.size() ? reads_[source.read] : reads_.back();
    views.push_back(read.laid_out(read.sizes, read.strides, source.first));
  }
  return views;
}

std::vector<View> PassMemory::results(const KeptPasses::Pass& pass, std::span<const View> results) {
  std::vector<View> views;
  for (const View& result : results) {
    views.push_back(result.laid_out(result.sizes, result.strides, pass.first));
  }
  return views;
}

} // namespace mlx::core
