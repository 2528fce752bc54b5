// Making machine code of a loop's steps.
#include "mlx_core/cpu/native_loop.h"

#if defined(__x86_64__)

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <utility>

#include "mlx_core/cpu/instruction_set.h"
#include "mlx_core/cpu/native_registers.h"

namespace mlx::core::cpu {

using namespace x86;

struct NativeLoop::Made {
  struct Row {
    const char* place[2];
    int64_t bytes;
  };
  std::vector<Row> rows; // in, then out
  std::unique_ptr<Pages> pages;
  char* memory; // places are so many bytes from there
};

namespace {

struct RowState { // of the code, while it runs
  char* at;
  int64_t apart;
};
using Entry = int64_t (*)(char* memory, RowState* rows, int64_t pairs);

constexpr int64_t most_bytes = 64, most_bools = 16;

bool is_number(Dtype dtype) { return dtype == float32 || dtype == float64 || dtype == int32 || dtype == uint32; }

// Whether an elementwise step is instructions.
bool is_instructions(const Step& step) {
  Dtype from = step.map.from;
  bool is_float = from == float32 || from == float64, is_int = from == int32 || from == uint32;
  bool has_bools = from == bool_ || step.map.to == bool_;
  if (step.map.operands == 0 || step.moves || (has_bools && step.count > most_bools) ||
      step.count * std::max(from.size(), step.map.to.size()) > most_bytes) {
    return false;
  }
  switch (step.map.body) {
    case Body::add:
    case Body::subtract:
    case Body::multiply:
    case Body::maximum:
    case Body::minimum:
    case Body::less:
    case Body::less_equal:
    case Body::greater:
    case Body::greater_equal:
    case Body::equal:
    case Body::not_equal: return is_number(from);
    case Body::divide:
    case Body::negative:
    case Body::abs:
    case Body::square:
    case Body::sqrt:
    case Body::rsqrt:
    case Body::reciprocal:
    case Body::gap:
    case Body::zero_times:
    case Body::zero_divide:
    case Body::share: return is_float;
    case Body::logical_and:
    case Body::logical_or:
    case Body::logical_xor:
    case Body::logical_not: return from == bool_;
    case Body::bitwise_and:
    case Body::bitwise_or:
    case Body::bitwise_xor: return is_int || from == bool_;
    case Body::select: return is_number(from) || from == bool_;
    case Body::copy: {
      bool to_bool = step.map.to == bool_ && from.size() == 4 && is_number(from);
      bool of_ints = is_int && (step.map.to == int32 || step.map.to == uint32);
      bool of_bool = from == bool_ && is_number(step.map.to);
      return (from == step.map.to && (is_number(from) || from == bool_)) || of_bool || to_bool || of_ints ||
             (from == int32 && step.map.to == float32) || (from == float32 && step.map.to == int32);
    }
    default: return false;
  }
}

// Whether it is a call of a function that does not throw. Others go through call_other(): nothing may be thrown through
// code that no unwinding table describes.
bool is_plain_call(const Step& step) {
  return step.map.operands > 0 || (step.prepared && !step.may_throw) || (!step.moves && (step.spread || step.copies));
}

thread_local std::exception_ptr thrown;
bool call_other(const StepLoop::Other* other, void* context, const Step* step) noexcept {
  try {
    if (step->prepared) {
      step->prepared(step->plan, step->in, step->out);
    } else {
      other(context, *step);
    }
    return false;
  } catch (...) {
    thrown = std::current_exception();
    return true;
  }
}

class Emitter : NativeRegisters {
 public:
  Emitter(const StepLoop& loop, char* memory, Width width) : NativeRegisters(memory, width), loop_(loop) {}

  Code emit() {
    code_.bytes({0xf3, 0x0f, 0x1e, 0xfa});                                  // endbr64
    code_.bytes({0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x48, 0x83, 0xec, 8}); // push rbx, rbp, r12, r13; sub rsp, 8
    code_.bytes({0x48, 0x89, 0xfb, 0x48, 0x89, 0xf5, 0x49, 0x89, 0xd4});    // mov rbx, rdi; rbp, rsi; r12, rdx
    code_.bytes({0x45, 0x31, 0xed});                                        // xor r13d, r13d
    size_t begin = code_.size();
    for (int turn : {0, 1}) {
      emit_turn(turn);
      code_.bytes({0x49, 0xff, 0xc5}); // inc r13
      if (const char* proceeds = loop_.proceeds[turn]) {
        code_.bytes({0x80, 0xbb}); // cmp byte [rbx + offset], 0
        code_.word32(at(proceeds).offset);
        code_.bytes({0});
        exits_.push_back(code_.jump({0x0f, 0x84})); // je
      }
    }
    code_.bytes({0x49, 0xff, 0xcc}); // dec r12
    code_.land(code_.jump({0x0f, 0x85}), begin);
    for (size_t exit : exits_) {
      code_.land(exit, code_.size());
    }
    code_.bytes({0xc5, 0xf8, 0x77, 0x4c, 0x89, 0xe8});                            // vzeroupper; mov rax, r13
    code_.bytes({0x48, 0x83, 0xc4, 8, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3}); // add rsp, 8; pop them; ret
    return std::move(code_);
  }

 private:
  // --- steps ---

  // The second turn goes on with what the first has in registers.
  void emit_turn(int turn) {
    for (size_t k = 0; k < loop_.rows_in.size(); ++k) {
      const StepRow& row = loop_.rows_in[k];
      int to = take();
      mask_for(row.bytes);
      row_pointer(k);
      move_exactly(false, to, {Base::rax, 0}, row.bytes);
      next_row(k);
      store(row.place[turn], to, row.bytes, width_);
      busy_ = 0;
    }
    for (const Step& step : loop_.turns[turn]) {
      if (is_instructions(step)) {
        emit_map(step);
      } else if (!is_plain_call(step)) {
        emit_other(step);
      } else if (!(step.copies && emit_copy(step)) && !(step.spread && emit_spread(step))) {
        emit_call(step);
      }
      busy_ = 0;
    }
    for (size_t k = 0; k < loop_.rows_out.size(); ++k) {
      const StepRow& row = loop_.rows_out[k];
      int from = load(row.place[turn], row.bytes);
      mask_for(row.bytes);
      row_pointer(loop_.rows_in.size() + k);
      move_exactly(true, from, {Base::rax, 0}, row.bytes);
      next_row(loop_.rows_in.size() + k);
      busy_ = 0;
    }
  }

  void row_pointer(size_t k) {
    code_.bytes({0x48, 0x8b, 0x85}); // mov rax, [rbp + offset]
    code_.word32(static_cast<int64_t>(k * sizeof(RowState)));
  }
  void next_row(size_t k) {
    auto offset = static_cast<int64_t>(k * sizeof(RowState));
    code_.bytes({0x48, 0x03, 0x85}); // add rax, [rbp + offset of apart]
    code_.word32(offset + static_cast<int64_t>(offsetof(RowState, apart)));
    code_.bytes({0x48, 0x89, 0x85}); // mov [rbp + offset], rax
    code_.word32(offset);
  }

  // A copy of a few elements. What goes behind that which a register has is put into its register, too.
  bool emit_copy(const Step& step) {
    int64_t bytes = step.n;
    if (bytes > x86::bytes_of(width_) || bytes % 4 != 0 || bytes == 0) {
      return false;
    }
    auto* to = static_cast<char*>(step.out);
    int from = load(step.in[0], bytes);
    mask_for(bytes);
    move_exactly(true, from, at(to), bytes);
    auto before = std::find_if(cached_.begin(), cached_.end(),
        [&](const Cached& c) { return c.place + c.bytes == to && c.bytes + bytes <= x86::bytes_of(width_); });
    bool one = bytes == 4 || bytes == 8;
    if (one && before != cached_.end() && before->number != from && before->bytes % bytes == 0) {
      Cached joined = *before;
      set_mask(1, int64_t{1} << (joined.bytes / bytes));
      code_.vector(bytes == 4 ? spread_32 : spread_64, width_, joined.number, 0, from, {1});
      std::erase_if(cached_, [&](const Cached& c) { return c.number == joined.number; });
      forget(to, bytes);
      note(joined.place, joined.bytes + bytes, joined.number);
      return true;
    }
    // With zeros behind it: anything else might grow from turn to turn, to what functions are slow with.
    int own = take();
    set_mask(1, (int64_t{1} << (bytes / 4)) - 1);
    code_.vector(copy_32, width_, own, 0, from, {1, true});
    forget(to, bytes);
    note(to, bytes, own);
    return true;
  }

  bool emit_spread(const Step& step) {
    int64_t bytes = step.count * step.item_size;
    if (bytes > x86::bytes_of(width_) || (step.item_size != 4 && step.item_size != 8)) {
      return false;
    }
    int one = load(step.in[0], step.item_size), to = take();
    code_.vector(step.item_size == 4 ? spread_32 : spread_64, width_, to, 0, one);
    store(step.out, to, bytes, width_);
    return true;
  }

  void emit_call(const Step& step) {
    auto number = [](int64_t n) { return reinterpret_cast<const void*>(n); };
    if (step.map.operands > 0) {
      call(reinterpret_cast<const void*>(step.kernel), step.in, step.out, number(step.n));
    } else if (step.prepared) {
      call(reinterpret_cast<const void*>(step.prepared), step.plan, step.in, step.out);
    } else if (step.spread) {
      call(reinterpret_cast<const void*>(step.spread), step.out, step.in[0], number(step.n));
    } else {
      auto* copy = static_cast<void* (*)(void*, const void*, size_t)>(&std::memcpy);
      call(reinterpret_cast<const void*>(copy), step.out, step.in[0], number(step.n));
    }
  }

  void emit_other(const Step& step) {
    call(reinterpret_cast<const void*>(&call_other), reinterpret_cast<const void*>(loop_.other), loop_.context, &step);
    code_.bytes({0x84, 0xc0});                  // test al, al
    exits_.push_back(code_.jump({0x0f, 0x85})); // jne
  }

  void call(const void* function, const void* a, const void* b, const void* c) {
    enum Moves : uint8_t { rax = 0xb8, rdx = 0xba, rsi = 0xbe, rdi = 0xbf }; // 64 bits there
    auto move = [&](Moves to, const void* value) {
      code_.bytes({0x48, to});
      code_.word64(value);
    };
    move(rdi, a), move(rsi, b), move(rdx, c);
    code_.bytes({0xc5, 0xf8, 0x77}); // vzeroupper
    move(rax, function);
    code_.bytes({0xff, 0xd0}); // call rax
    cached_.clear();
  }

  // --- elementwise steps ---

  void emit_map(const Step& step) {
    Dtype from = step.map.from;
    bool is_double = from == float64, is_float = is_double || from == float32;
    int64_t size = from.size(), bytes = step.count * size, results = step.count * step.map.to.size();
    Width width = step.map.to == bool_ ? Width::x : width_;
    bool chooses = step.map.body == Body::select;
    int x[3] = {};
    for (int k = 0; k < step.map.operands; ++k) {
      x[k] = load(step.in[k], chooses && k == 0 ? step.count : bytes);
    }
    auto result = [&](int number) { store(step.out, number, results, width); };
    auto op = [&](Instruction what, int a, int b, Masked mask = {}) {
      int to = take();
      code_.vector(what, width_, to, a, b, mask);
      return to;
    };
    auto floats = [&](uint8_t opcode, int a, int b) { return op(of_float(is_double, opcode), a, b); };
    auto compare = [&](int mask, Predicate predicate, int a, int b) {
      if (is_float) {
        code_.vector(of_float(is_double, compare_op), width_, mask, a, b, {}, predicate);
      } else { // the same numbers for the order of integers, in their lowest bits
        bool is_signed = from == int32;
        code_.vector(is_signed ? compare_int : compare_unsigned, width_, mask, a, b, {}, predicate & 7);
      }
    };
    auto bools = [&](int mask) {
      int to = take();
      code_.vector(bytes_of_mask, Width::x, to, 0, mask);
      code_.vector(abs_8, Width::x, to, 0, to);
      result(to);
    };
    auto with = [&](Instruction what32, int a, int64_t constant32, uint64_t constant64) {
      int to = constant(is_double, constant32, constant64);
      code_.vector(what32, width_, to, a, to);
      return to;
    };
    auto one = [&] { return constant(is_double, 0x3f800000, 0x3ff0000000000000); };
    constexpr Instruction add_int{Map::m0f, Prefix::p66, false, 0xfe}, subtract_int{Map::m0f, Prefix::p66, false, 0xfa},
        multiply_int{Map::m0f38, Prefix::p66, false, 0x40};
    switch (step.map.body) {
      case Body::add: return result(is_float ? floats(add_op, x[0], x[1]) : op(add_int, x[0], x[1]));
      case Body::subtract: return result(is_float ? floats(subtract_op, x[0], x[1]) : op(subtract_int, x[0], x[1]));
      case Body::multiply: return result(is_float ? floats(multiply_op, x[0], x[1]) : op(multiply_int, x[0], x[1]));
      case Body::divide: return result(floats(divide_op, x[0], x[1]));
      case Body::square: return result(floats(multiply_op, x[0], x[0]));
      case Body::sqrt: return result(floats(root_op, 0, x[0]));
      case Body::rsqrt: return result(floats(divide_op, one(), floats(root_op, 0, x[0])));
      case Body::reciprocal: return result(floats(divide_op, one(), x[0]));
      case Body::negative: return result(with(xor_bits, x[0], 0x80000000, uint64_t{1} << 63));
      case Body::abs: return result(with(and_bits, x[0], 0x7fffffff, ~(uint64_t{1} << 63)));
      case Body::maximum:
      case Body::minimum: {
        bool largest = step.map.body == Body::maximum;
        if (!is_float) {
          auto opcode = static_cast<uint8_t>((largest ? 0x3d : 0x39) + (from == uint32 ? 2 : 0));
          return result(op({Map::m0f38, Prefix::p66, false, opcode}, x[0], x[1]));
        }
        int to = floats(largest ? maximum_op : minimum_op, x[0], x[1]);
        compare(1, unordered, x[0], x[0]);
        code_.vector(is_double ? copy_64 : copy_32, width_, to, 0, x[0], {1});
        return result(to);
      }
      case Body::gap: {
        int to = floats(subtract_op, x[0], x[1]);
        compare(1, equal, x[0], x[1]);
        return clear(to, is_double), result(to);
      }
      case Body::zero_times:
      case Body::zero_divide: {
        bool divides = step.map.body == Body::zero_divide;
        int to = floats(divides ? divide_op : multiply_op, x[0], x[1]), zero = op(xor_bits, to, to);
        compare(1, equal, x[0], zero);
        int size_of_b = divides ? with(and_bits, x[1], 0x7fffffff, ~(uint64_t{1} << 63)) : x[1];
        compare(2, equal, size_of_b, divides ? constant(is_double, 0x7f800000, uint64_t{0x7ff} << 52) : zero);
        code_.bytes({0xc5, 0xf4, 0x45, 0xca}); // korw k1, k1, k2
        return clear(to, is_double), result(to);
      }
      case Body::share: {
        int half = constant(is_double, 0x3f000000, 0x3fe0000000000000);
        compare(1, equal, x[1], x[2]);
        int to = op(of_float(is_double, multiply_op), x[0], half, {1, true});
        compare(1, greater, x[1], x[2]);
        code_.vector(is_double ? copy_64 : copy_32, width_, to, 0, x[0], {1});
        return result(to);
      }
      case Body::less: return compare(1, less, x[0], x[1]), bools(1);
      case Body::less_equal: return compare(1, less_equal, x[0], x[1]), bools(1);
      case Body::greater: return compare(1, less, x[1], x[0]), bools(1);
      case Body::greater_equal: return compare(1, less_equal, x[1], x[0]), bools(1);
      case Body::equal: return compare(1, equal, x[0], x[1]), bools(1);
      case Body::not_equal: return compare(1, not_equal, x[0], x[1]), bools(1);
      case Body::logical_and:
      case Body::bitwise_and: return result(op(and_bits, x[0], x[1]));
      case Body::logical_or:
      case Body::bitwise_or: return result(op(or_bits, x[0], x[1]));
      case Body::logical_xor:
      case Body::bitwise_xor: return result(op(xor_bits, x[0], x[1]));
      case Body::logical_not: return result(with(xor_bits, x[0], 0x01010101, 0));
      case Body::select: {
        code_.vector(test_8, Width::x, 1, x[0], x[0]);
        return result(op(size == 1 ? blend_8 : size == 4 ? blend_32 : blend_64, x[2], x[1], {1}));
      }
      case Body::copy: return emit_cast(step, x[0], result, bools);
      default: return;
    }
  }

  template <class Result, class Bools>
  void emit_cast(const Step& step, int x, Result result, Bools bools) {
    if (step.map.from == bool_ && step.map.to != bool_) {
      code_.vector(test_8, Width::x, 1, x, x);
      bool is_double = step.map.to == float64;
      int64_t one = step.map.to == float32 ? 0x3f800000 : 1;
      return result(constant(is_double, one, 0x3ff0000000000000, {1, true}));
    }
    if (step.map.to == bool_ && step.map.from != bool_) {
      if (step.map.from == float32) {
        int zero = take();
        code_.vector(xor_bits, width_, zero, zero, zero);
        code_.vector(of_float(false, compare_op), width_, 1, x, zero, {}, not_equal);
      } else {
        code_.vector(test_32, width_, 1, x, x);
      }
      return bools(1);
    }
    int to = take();
    bool of_ints = step.map.from != float32, to_ints = step.map.to != float32;
    if (!of_ints && to_ints) { // truncated; what is too large is the largest there is, NaN zero
      code_.vector(to_int, width_, to, 0, x);
      int limit = constant(false, 0x4f000000, 0);
      code_.vector(of_float(false, compare_op), width_, 1, limit, x, {}, less_equal);
      put_constant(to, false, 0x7fffffff, 0, {1});
      code_.vector(of_float(false, compare_op), width_, 1, x, x, {}, unordered);
      clear(to, false);
    } else {
      code_.vector(step.map.from == int32 && !to_ints ? to_float : copy_32, width_, to, 0, x);
    }
    result(to);
  }

  // Zero where mask register 1 is set.
  void clear(int number, bool is_double) {
    Instruction what = xor_bits;
    what.w = is_double;
    code_.vector(what, width_, number, number, number, {1});
  }

  // In each element; where the mask says so.
  int constant(bool is_double, int64_t bits32, uint64_t bits64, Masked mask = {}) {
    int to = take();
    put_constant(to, is_double, bits32, bits64, mask);
    return to;
  }
  void put_constant(int to, bool is_double, int64_t bits32, uint64_t bits64, Masked mask) {
    if (is_double) {
      code_.bytes({0x48, 0xb8}); // mov rax, bits
      code_.word64(reinterpret_cast<const void*>(bits64));
    } else {
      code_.bytes({0xb8}); // mov eax, bits
      code_.word32(bits32);
    }
    code_.vector(is_double ? spread_gpr_64 : spread_gpr_32, width_, to, 0, 0, mask);
  }

  const StepLoop& loop_;
  std::vector<size_t> exits_; // jumps to the end
};

// The addresses that steps and rows' places have in memory, if they are near one another.
char* lowest_place(const StepLoop& loop) {
  auto low = std::numeric_limits<uintptr_t>::max(), high = uintptr_t{0};
  auto note = [&](const void* place) {
    if (place) {
      low = std::min(low, reinterpret_cast<uintptr_t>(place));
      high = std::max(high, reinterpret_cast<uintptr_t>(place));
    }
  };
  for (std::span<const Step> steps : loop.turns) {
    for (const Step& step : steps) {
      if (!step.moves) {
        std::for_each(std::begin(step.in), std::end(step.in), note);
        note(step.out);
      }
    }
  }
  for (std::span<StepRow> rows : {loop.rows_in, loop.rows_out}) {
    for (const StepRow& row : rows) {
      note(row.place[0]), note(row.place[1]);
    }
  }
  note(loop.proceeds[0]), note(loop.proceeds[1]);
  return high - low < (uintptr_t{1} << 30) ? reinterpret_cast<char*>(low) : nullptr;
}

} // namespace

NativeLoop::NativeLoop(std::unique_ptr<Made> made) : made_(std::move(made)) {}
NativeLoop::~NativeLoop() = default;

std::unique_ptr<NativeLoop> NativeLoop::of(const StepLoop& loop) {
  static const bool has_instructions = instruction_set() == "AVX3";
  constexpr size_t most_steps = 1024;
  if (!has_instructions || loop.turns[0].empty() || loop.turns[0].size() > most_steps) {
    return nullptr;
  }
  int64_t longest = 0;
  size_t native = 0, calls = 0;
  for (std::span<const Step> steps : loop.turns) {
    for (const Step& step : steps) {
      int64_t bytes = step.copies ? step.n : step.count * step.item_size; // of those two, where they are vectors
      if (is_instructions(step)) {
        bytes = step.count * std::max(step.map.from.size(), step.map.to.size());
        ++native;
      } else if (!is_plain_call(step) || !(step.copies || step.spread)) {
        bytes = most_bytes; // functions read and write whole ones
        ++calls;
      }
      longest = bytes <= most_bytes ? std::max(longest, bytes) : longest;
    }
  }
  auto made = std::make_unique<Made>();
  for (std::span<StepRow> rows : {loop.rows_in, loop.rows_out}) {
    for (const StepRow& row : rows) {
      if (row.bytes > most_bytes || (row.bytes % 4 != 0 && row.bytes > 16)) {
        return nullptr;
      }
      longest = std::max(longest, row.bytes);
      made->rows.push_back({{row.place[0], row.place[1]}, row.bytes});
    }
  }
  made->memory = lowest_place(loop);
  if (!made->memory || 2 * native < calls) { // what these take is all the same
    return nullptr;
  }
  Width width = longest <= 16 ? Width::x : longest <= 32 ? Width::y : Width::z;
  made->pages = std::make_unique<Pages>(Emitter(loop, made->memory, width).emit());
  return made->pages->begin() ? std::unique_ptr<NativeLoop>(new NativeLoop(std::move(made))) : nullptr;
}

bool NativeLoop::is_for(const StepLoop& loop) const {
  if (made_->rows.size() != loop.rows_in.size() + loop.rows_out.size()) {
    return false;
  }
  auto made = made_->rows.begin();
  for (std::span<StepRow> rows : {loop.rows_in, loop.rows_out}) {
    for (const StepRow& row : rows) {
      if (made->place[0] != row.place[0] || made->place[1] != row.place[1] || made->bytes != row.bytes) {
        return false;
      }
      ++made;
    }
  }
  return true;
}

int64_t NativeLoop::run(const StepLoop& loop, int64_t pairs) const {
  std::vector<RowState> rows;
  for (std::span<StepRow> some : {loop.rows_in, loop.rows_out}) {
    for (const StepRow& row : some) {
      rows.push_back({row.at, row.apart});
    }
  }
  int64_t done = reinterpret_cast<Entry>(const_cast<void*>(made_->pages->begin()))(made_->memory, rows.data(), pairs);
  if (thrown) {
    std::rethrow_exception(std::exchange(thrown, nullptr));
  }
  auto state = rows.begin();
  for (std::span<StepRow> some : {loop.rows_in, loop.rows_out}) {
    for (StepRow& row : some) {
      row.at = (state++)->at;
    }
  }
  return done;
}

} // namespace mlx::core::cpu

#else

namespace mlx::core::cpu {

struct NativeLoop::Made {};
NativeLoop::NativeLoop(std::unique_ptr<Made> made) : made_(std::move(made)) {}
NativeLoop::~NativeLoop() = default;
std::unique_ptr<NativeLoop> NativeLoop::of(const StepLoop&) { return nullptr; }
bool NativeLoop::is_for(const StepLoop&) const { return false; }
int64_t NativeLoop::run(const StepLoop&, int64_t) const { return 0; }

} // namespace mlx::core::cpu

#endif
