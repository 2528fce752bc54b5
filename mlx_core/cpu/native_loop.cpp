// Making machine code of a loop's steps.
#include "mlx_core/cpu/native_loop.h"

#if defined(__x86_64__)

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/instruction_set.h"
#include "mlx_core/cpu/native_detours.h"

namespace mlx::core::cpu {

using namespace x86;

struct NativeLoop::Made {
  struct Row {
    const char* place[2];
    int64_t bytes;
  };
  std::vector<Row> rows; // in, then out
  Tables tables;
  std::unique_ptr<Pages> pages;
  char* memory; // places are so many bytes from there
};

namespace {

struct RowState { // of the code, while it runs
  char* at;
  int64_t apart;
};
using Entry = int64_t (*)(char* memory, RowState* rows, int64_t pairs);

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

class Emitter : NativeDetours {
 public:
  Emitter(const StepLoop& loop, char* memory, Width width, Tables& tables)
      : NativeDetours(memory, width, tables), loop_(loop) {}

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
    for (const Detour& detour : detours_) {
      code_.land(detour.jump, code_.size());
      emit_call(*detour.step);
      reload(detour.cached);
      code_.land(code_.jump({0xe9}), detour.back); // jmp
    }
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
      } else if (is_vector_product(step)) {
        emit_product(step);
      } else if (is_angle_function(step)) {
        emit_angle_function(step);
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
      call(reinterpret_cast<const void*>(&copy_contiguous), step.out, step.in[0], number(step.n));
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
      } else if (is_vector_product(step)) {
        const SmallProduct& p = *step.product; // what is looked up is in halves of a vector at least
        bytes = 4 * std::max<int64_t>({8, p.tiny.span_a, p.tiny.span_b, p.m * p.n});
        ++native;
      } else if (is_angle_function(step)) {
        bytes = most_bytes; // as those that are called elsewhere
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
  made->pages = std::make_unique<Pages>(Emitter(loop, made->memory, width, made->tables).emit());
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
