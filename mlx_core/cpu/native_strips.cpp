// Making machine code of a run of strips.
#include "mlx_core/cpu/native_strips.h"

#if defined(__x86_64__)

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "mlx_core/cpu/instruction_set.h"
#include "mlx_core/cpu/native_maps.h"
#include "mlx_core/cpu/strip_steps.h"

namespace mlx::core::cpu {

using namespace x86;

struct NativeStrips::Made {
  explicit Made(const Code& code, int64_t vector) : pages(code), lanes(vector) {}
  Pages pages;
  int64_t lanes;                       // elements of a vector
  uint32_t steps = 0;                  // of bytes
  std::vector<uint16_t> read, written; // slots in memory, of these
};

namespace {

// How a step reads a slot.
enum class Way : uint8_t {
  elements, // one for each element
  one,      // a number in memory
  strip,    // a vector of one number
};

struct Operand {
  uint16_t slot;
  Way way;
  bool operator<(const Operand& other) const { return std::pair(slot, way) < std::pair(other.slot, other.way); }
};

// Registers that have operands, by the addresses that steps have for them, which nothing is at.
class StripRegisters {
 protected:
  static constexpr int registers = 32;

  StripRegisters() { std::fill_n(owner_, registers, nothing); }

  static const void* address(size_t operand) { return reinterpret_cast<const void*>((operand + 1) * alignment); }
  static size_t operand_at(const void* address) { return reinterpret_cast<uintptr_t>(address) / alignment - 1; }

  // A register that no operand of this step is in, and none that a later one reads.
  int take() {
    int number = free();
    for (int k = 0; k < registers && number == nothing; ++k) { // what memory has can be read again
      const int32_t owner = owner_[k];
      if (owner != nothing && !(busy_ >> k & 1) && values_[static_cast<size_t>(owner)].is_read_again()) {
        values_[static_cast<size_t>(owner)].number = nothing;
        owner_[k] = nothing;
        number = k;
      }
    }
    fits_ = fits_ && number != nothing;
    number = std::max(number, 0);
    busy_ |= uint32_t{1} << number;
    return number;
  }

  int load(const void* from, int64_t bytes) {
    Value& value = values_[operand_at(from)];
    if (value.number == nothing) {
      const int to = take();
      const Instruction part = bytes == 8 ? load_8 : load_any;
      code_.vector(part, width_of(bytes), to, 0, value.memory);
      own(operand_at(from), to);
    }
    busy_ |= uint32_t{1} << value.number;
    return value.number;
  }

  void store(void* to, int number, int64_t bytes, Width) {
    Value& value = values_[operand_at(to)];
    if (value.is_stored) {
      code_.vector(bytes == 8 ? store_8 : store_any, width_of(bytes), number, 0, value.memory);
    }
    own(operand_at(to), number);
  }

  // After a step: whose last reader it was gives its register back.
  void finish(int32_t step) {
    for (int32_t& owner : owner_) {
      if (owner != nothing && values_[static_cast<size_t>(owner)].last_read <= step) {
        values_[static_cast<size_t>(owner)].number = nothing;
        owner = nothing;
      }
    }
    busy_ = 0;
  }

  void own(size_t operand, int number) {
    values_[operand].number = number;
    owner_[number] = static_cast<int32_t>(operand);
  }

  static Width width_of(int64_t bytes) { return bytes <= 16 ? Width::x : bytes == 32 ? Width::y : Width::z; }

  struct Value {
    Operand operand;
    Memory memory{Base::rax, 0}; // of its elements
    bool in_memory = false, is_stored = false;
    int32_t last_read = nothing; // the step
    int number = nothing;        // of its register
    bool is_read_again() const { return in_memory && operand.way == Way::elements; }
  };
  std::vector<Value> values_;
  Code code_;
  Width width_ = Width::z;
  bool fits_ = true;
  uint32_t busy_ = 0;

 private:
  static constexpr uintptr_t alignment = 64;
  int free() const {
    for (int k = 0; k < registers; ++k) {
      if (owner_[k] == nothing && !(busy_ >> k & 1)) {
        return k;
      }
    }
    return nothing;
  }
  int32_t owner_[registers]; // whose value each has
};

constexpr uint32_t most_steps = 256;
bool has_instructions() {
  static const bool has = instruction_set() == "AVX3";
  return has;
}

using Entry = void (*)(char** at, int64_t first, int64_t vectors);

class Emitter : NativeMaps<StripRegisters> {
 public:
  Emitter(const FusedPlan& plan, const Strips& strips, const StripRun& run)
      : plan_(plan), strips_(&strips), begin_(run.begin), end_(run.end), run_(&run) {}
  // Of bytes.
  Emitter(const FusedPlan& plan, uint32_t begin, uint32_t end) : plan_(plan), begin_(begin), end_(end) {}

  // Elements of a vector; 0 where there is no code for the run.
  int64_t lanes() {
    if (!strips_) {
      lanes_ = most_bytes;
      return find_steps() && find_memory() ? lanes_ : 0;
    }
    const StripStep* code = strips_->code.data() + run_->code;
    bool fetches = false; // what is not in cache yet: then memory is what takes the time
    for (; code->run != run_->table->end; ++code) {
      fetches = fetches || (code->run && code->run == run_->table->fetch);
    }
    if (fetches || run_->ordered != run_->ordered_end) {
      return 0;
    }
    int size = 0;
    for (uint32_t i = begin_; i < end_; ++i) {
      const FusedPlan::Step& step = plan_.steps[i];
      for (Dtype dtype : {step.from, step.to}) {
        if (dtype != bool_ && (!is_number(dtype) || (size != 0 && dtype.size() != size))) {
          return 0;
        }
        size = dtype != bool_ ? dtype.size() : size;
      }
    }
    lanes_ = size > 0 ? most_bytes / size : 0;
    return lanes_ > 0 && find_steps() && find_memory() ? lanes_ : 0;
  }

  // Of a function of (at, the first element, vectors).
  std::optional<Code> emit() {
    const auto saved = [this](auto each) {
      for (Base base : {Base::rbx, Base::rbp, Base::r12, Base::r13, Base::r14, Base::r15}) {
        if (std::find(bases_.begin(), bases_.end(), base) != bases_.end()) {
          each(static_cast<int>(base));
        }
      }
    };
    std::vector<int> pushed;
    code_.bytes({0xf3, 0x0f, 0x1e, 0xfa}); // endbr64
    saved([&](int base) {
      push_or_pop(0x50, base);
      pushed.push_back(base);
    });
    for (size_t k = 0; k < values_.size(); ++k) {
      if (const Operand& operand = values_[k].operand; operand.way != Way::elements) {
        load_pointer(0, place_of(operand));
        const int to = take();
        const Instruction spread{Map::m0f38, Prefix::p66, lanes_ == 8, static_cast<uint8_t>(lanes_ == 8 ? 0x19 : 0x18)};
        code_.vector(operand.way == Way::one ? spread : load_any, width_, to, 0, Memory{Base::rax, 0});
        own(k, to);
        busy_ = 0;
      }
    }
    for (size_t k = 0; k < bases_.size(); ++k) { // rdi, which has `at`, is the last of them
      load_pointer(static_cast<int>(bases_[k]), slots_[k]);
    }
    const size_t begin = code_.size();
    for (size_t i = 0; i < steps_.size(); ++i) {
      strips_ ? emit_map(steps_[i]) : emit_bytes(steps_[i]);
      finish(static_cast<int32_t>(i));
    }
    code_.bytes({0x48, 0x83, 0xc6, static_cast<int>(lanes_), 0x48, 0xff, 0xca}); // add rsi, lanes; dec rdx
    code_.land(code_.jump({0x0f, 0x85}), begin);                                 // jnz
    code_.bytes({0xc5, 0xf8, 0x77});                                             // vzeroupper
    std::reverse(pushed.begin(), pushed.end());
    for (int base : pushed) {
      push_or_pop(0x58, base);
    }
    code_.bytes({0xc3}); // ret
    return fits_ ? std::optional(std::move(code_)) : std::nullopt;
  }

  // The slots of which elements are read from memory, or stored there.
  std::vector<uint16_t> slots(bool stored) const {
    std::vector<uint16_t> all;
    for (const Value& value : values_) {
      if (stored ? value.is_stored : value.in_memory) {
        all.push_back(value.operand.slot);
      }
    }
    return all;
  }

 private:
  static constexpr int32_t for_ever = INT32_MAX;

  void push_or_pop(int opcode, int base) {
    if (base >= 8) {
      code_.bytes({0x41});
    }
    code_.bytes({opcode + (base & 7)});
  }
  // mov base, [rdi + 8 * place]
  void load_pointer(int base, size_t place) {
    code_.bytes({base >= 8 ? 0x4c : 0x48, 0x8b, 0x87 | (base & 7) << 3});
    code_.word32(static_cast<int64_t>(8 * place));
  }

  size_t place_of(const Operand& operand) const {
    return operand.way == Way::one ? Strips::place_of_row(plan_, operand.slot) : operand.slot;
  }

  Way way_of(uint32_t step, int operand) const {
    const uint16_t slot = plan_.steps[step].inputs[operand];
    if (!strips_) {
      return Way::elements;
    }
    if (strips_->row_of_step[step] == slot) {
      return Way::one;
    }
    return is_ternary(plan_.steps[step]) && (strips_->one_strip[step] & (1 << operand >> 1)) ? Way::strip
                                                                                             : Way::elements;
  }

  size_t value_of(Operand operand) {
    auto [known, is_new] = number_.try_emplace(operand, values_.size());
    if (is_new) {
      values_.push_back({operand});
    }
    return known->second;
  }

  // The steps, of a vector each.
  bool find_steps() {
    for (uint32_t i = begin_; i < end_; ++i) {
      const FusedPlan::Step& step = plan_.steps[i];
      Step one;
      const Dtype from = plan_.slots[step.inputs[step.input_count - 1]].dtype;
      one.map = {step.body, from, step.to, static_cast<uint8_t>(step.input_count)};
      one.count = lanes_;
      if (strips_ ? !is_instructions(one) : !is_byte_instructions(one.map)) {
        return false;
      }
      for (int k = 0; k < step.input_count; ++k) {
        const size_t read = value_of({step.inputs[k], way_of(i, k)});
        Value& value = values_[read];
        value.last_read = value.operand.way == Way::elements ? static_cast<int32_t>(i - begin_) : for_ever;
        one.in[k] = address(read);
      }
      const size_t given = value_of({step.output, Way::elements});
      values_[given].last_read = static_cast<int32_t>(i - begin_);
      is_given_.resize(values_.size());
      is_given_[given] = true;
      one.out = const_cast<void*>(address(given));
      steps_.push_back(one);
    }
    is_given_.resize(values_.size());
    return true;
  }

  // Whether others than the run's steps read the slot.
  bool is_wanted(uint16_t slot) const {
    auto reads_it = [=](const FusedPlan::Step& step) { return reads(step, slot); };
    auto begin = plan_.steps.begin();
    return plan_.slots[slot].output >= 0 || std::any_of(begin, begin + begin_, reads_it) ||
           std::any_of(begin + end_, plan_.steps.end(), reads_it) ||
           std::any_of(plan_.row_steps.begin(), plan_.row_steps.end(), reads_it);
  }

  // A base for each slot that is read from memory or written there.
  bool find_memory() {
    constexpr Base all[] = {Base::rcx, Base::r8, Base::r9, Base::r10, Base::r11, Base::rbx, Base::rbp, Base::r12,
        Base::r13, Base::r14, Base::r15, Base::rdi};
    for (size_t k = 0; k < values_.size(); ++k) {
      Value& value = values_[k];
      const uint16_t slot = value.operand.slot;
      const bool is_folded = std::ranges::any_of(plan_.folds, [=](const auto& fold) { return fold.input == slot; });
      if (strips_ && is_folded && is_given_[k]) {
        return false; // strips may reduce it
      }
      if (value.operand.way != Way::elements) {
        continue;
      }
      value.in_memory = !is_given_[k];
      value.is_stored = is_given_[k] && (is_folded || is_wanted(slot));
      if (value.in_memory || value.is_stored) {
        const int size = strips_ ? strips_->item_size(plan_, slot) : 1;
        if (bases_.size() == std::size(all) || size != plan_.slots[slot].dtype.size()) {
          return false; // or a mask
        }
        value.memory = {all[bases_.size()], 0, size == 1 ? 0 : size == 4 ? 2 : 3};
        bases_.push_back(value.memory.base);
        slots_.push_back(slot);
      }
    }
    return true;
  }

  const FusedPlan& plan_;
  const Strips* strips_ = nullptr; // null: of bytes
  uint32_t begin_, end_;           // the steps
  const StripRun* run_ = nullptr;
  int64_t lanes_ = 0;
  std::vector<Step> steps_;
  std::map<Operand, size_t> number_; // of values
  std::vector<bool> is_given_;       // whether each value is a step's result
  std::vector<Base> bases_;          // of slots in memory
  std::vector<uint16_t> slots_;
};

} // namespace

NativeStrips::NativeStrips(std::unique_ptr<Made> made) : made_(std::move(made)) {}
NativeStrips::~NativeStrips() = default;

std::unique_ptr<NativeStrips> NativeStrips::of(const FusedPlan& plan, const Strips& strips, const StripRun& run) {
  if (!has_instructions() || run.end - run.begin > most_steps) {
    return nullptr;
  }
  Emitter emitter(plan, strips, run);
  const int64_t lanes = emitter.lanes();
  std::optional<Code> code = lanes > 0 ? emitter.emit() : std::nullopt;
  if (!code) {
    return nullptr;
  }
  auto made = std::make_unique<Made>(*code, lanes);
  return made->pages.begin() ? std::unique_ptr<NativeStrips>(new NativeStrips(std::move(made))) : nullptr;
}

std::unique_ptr<NativeStrips> NativeStrips::of_bytes(const FusedPlan& plan, uint32_t begin, uint32_t end) {
  constexpr uint32_t fewest = 3; // a kernel each is as quick
  uint32_t last = begin;
  while (last < std::min(end, begin + most_steps)) {
    const FusedPlan::Step& step = plan.steps[last];
    const Dtype from = plan.slots[step.inputs[step.input_count - 1]].dtype;
    if (!is_byte_instructions({step.body, from, step.to, step.input_count})) {
      break;
    }
    ++last;
  }
  for (; has_instructions() && last >= begin + fewest; last = begin + (last - begin) / 2) { // fewer have fewer slots
    Emitter emitter(plan, begin, last);
    std::optional<Code> code = emitter.lanes() > 0 ? emitter.emit() : std::nullopt;
    if (code) {
      auto made = std::make_unique<Made>(*code, most_bytes);
      made->steps = last - begin;
      made->read = emitter.slots(false);
      made->written = emitter.slots(true);
      return made->pages.begin() ? std::unique_ptr<NativeStrips>(new NativeStrips(std::move(made))) : nullptr;
    }
  }
  return nullptr;
}

uint32_t NativeStrips::steps() const { return made_->steps; }

int64_t NativeStrips::run_bytes(char* const* at, int64_t n) const {
  const int64_t lanes = made_->lanes, vectors = n / lanes;
  if (vectors == 0) {
    return 0;
  }
  const auto entry = reinterpret_cast<Entry>(const_cast<void*>(made_->pages.begin()));
  entry(const_cast<char**>(at), 0, vectors);
  if (vectors * lanes == n) {
    return n;
  }
  for (uint16_t to : made_->written) {
    for (uint16_t from : made_->read) {
      if (at[to] == at[from]) {
        return vectors * lanes; // what is left cannot be done with what was before it
      }
    }
  }
  entry(const_cast<char**>(at), n - lanes, 1);
  return n;
}

void NativeStrips::run(char** at, const StripLines& lines) const {
  const auto entry = reinterpret_cast<Entry>(const_cast<void*>(made_->pages.begin()));
  const int64_t lanes = made_->lanes, length = lines.last - lines.first, vectors = length / lanes;
  int64_t first = lines.first;
  for (int64_t left = lines.following; left >= 0; --left, first += length) {
    if (vectors > 0) {
      entry(at, first, vectors);
    }
    if (vectors * lanes < length) { // the last ones again; or with what is behind a line that is shorter
      entry(at, std::max(first, first + length - lanes), 1);
    }
    if (left > 0) {
      for (const StripMove& move : lines.moves) {
        at[move.slot] += move.bytes;
      }
    }
  }
}

} // namespace mlx::core::cpu

#else

namespace mlx::core::cpu {

struct NativeStrips::Made {};
NativeStrips::NativeStrips(std::unique_ptr<Made> made) : made_(std::move(made)) {}
NativeStrips::~NativeStrips() = default;
std::unique_ptr<NativeStrips> NativeStrips::of(const FusedPlan&, const Strips&, const StripRun&) { return nullptr; }
void NativeStrips::run(char**, const StripLines&) const {}
std::unique_ptr<NativeStrips> NativeStrips::of_bytes(const FusedPlan&, uint32_t, uint32_t) { return nullptr; }
int64_t NativeStrips::run_bytes(char* const*, int64_t) const { return 0; }
uint32_t NativeStrips::steps() const { return 0; }

} // namespace mlx::core::cpu

#endif
