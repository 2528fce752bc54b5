// Runs a dispatch: one threadgroup after the other, each lane on a stack of its own once it waits for others.
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>

#include "fibers.h"
#include "guarded.h"
#include "kernel.h"
#include "shadow.h"
#include "signals.h"

namespace mlx::core::metal_emulator {

namespace {

using mlx_msl::Access;
using mlx_msl::Address;
using mlx_msl::Context;
using mlx_msl::Exchange;
using mlx_msl::Head;
using mlx_msl::Range;
using mlx_msl::Wait;

// Threadgroup variables and arguments lie this far apart, so that an index past one does not end in the next.
constexpr size_t arena_stride = 64 << 10;
constexpr size_t arena_slots = mlx_msl::max_variables + 31;

std::atomic<uint64_t>& seed() {
  static std::atomic<uint64_t> value = [] {
    const char* text = std::getenv("MLX_METAL_EMULATOR_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 1ull;
  }();
  return value;
}

std::string triple(const auto& v) {
  return "(" + std::to_string(v[0]) + ", " + std::to_string(v[1]) + ", " + std::to_string(v[2]) + ")";
}

struct Lane {
  char* stack = nullptr;
  void* resume = nullptr;
  bool done = false;
  Wait waits = Wait::none;
  Address site = 0;
  unsigned flags = 0, bytes = 0;
  const void* value = nullptr;
};

struct Simdgroup {
  unsigned first = 0, count = 0; // lanes
  std::vector<unsigned> ready;
  Exchange exchange;
};

class Run : public Context {
 public:
  Run();
  ~Run();
  void operator()(const Dispatch& dispatch);

 private:
  // -- what lanes call, on their stacks
  static void check_slow(Head*, Address, Address bytes, Access, Address site);
  static const Exchange* wait_for(Head*, Wait, const void* value, unsigned bytes, unsigned flags, Address site);
  static bool fails(Head* head) { return of(head)->seeded_ && of(head)->random(8) == 0; }
  static Run* of(Head* head) { return static_cast<Run*>(head->context); }
  static void begin_lane();
  [[noreturn]] void stop_lane(std::string what);

  // -- the scheduler
  void bind(const Dispatch& dispatch);
  void add_range(Address begin, size_t size, Range::Kind kind, int index);
  Address place(size_t size, Range::Kind kind, int index);
  void run_threadgroups();
  void run_threadgroup();
  void start_lanes();
  bool run_ready_lanes();
  void resume(unsigned lane);
  bool release_simdgroup(Simdgroup& simdgroup, unsigned index);
  bool release_threadgroup();
  unsigned random(unsigned below);
  std::string describe(unsigned lane) const;
  std::string describe_address(Address address) const;
  std::string describe_trap() const;
  [[noreturn]] void fault(unsigned lane, const std::string& what) const { throw Fault(describe(lane) + ": " + what); }

  const Kernel* kernel_ = nullptr;
  Trap trap_;
  Shadow shadow_;
  std::vector<Lane> lanes_;
  std::vector<std::array<unsigned, 3>> positions_; // of lanes in a threadgroup of this size:
  unsigned positions_of_[3] = {};
  std::vector<Simdgroup> simdgroups_;
  std::vector<unsigned> runnable_; // simdgroups with ready lanes
  unsigned current_ = 0;
  void* scheduler_ = nullptr;
  Stacks stacks_;
  std::string fault_;
  uint64_t random_ = 1;
  bool seeded_ = false;
  char* arena_ = nullptr;
  size_t placed_ = 0, threadgroup_bytes_ = 0;
};

Run::Run() {
  check = check_slow;
  wait = wait_for;
  spurious_failure = fails;
  arena_ = static_cast<char*>(allocate_guarded(arena_stride * arena_slots, 4096));
  if (!arena_) throw std::bad_alloc();
}

Run::~Run() { free_guarded(arena_); }

unsigned Run::random(unsigned below) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return unsigned(((random_ >> 32) * below) >> 32);
}

std::string Run::describe(unsigned lane) const {
  std::string text = "[metal] kernel " + kernel_->name();
  if (lane >= lanes_.size()) return text;
  return text + ", thread " + triple(positions_[lane]) + " of threadgroup " + triple(group_position);
}

// -- Checks --

std::string Run::describe_address(Address address) const {
  Address unbound = unbound_begin();
  if (address - unbound < unbound_bytes * unbound_slots) {
    size_t slot = (address - unbound) / unbound_bytes;
    return slot < 31 ? "buffer " + std::to_string(slot) + ", which is not bound: set it before the dispatch"
                     : "threadgroup argument " + std::to_string(slot - 31) +
                           ", which has no memory: give its length before the dispatch";
  }
  const Range* nearest = nullptr;
  Address distance = ~Address(0);
  for (unsigned i = 1; i < ranges_count; ++i) {
    const Range& range = ranges[i];
    Address away = address < range.begin ? range.begin - address : address < range.end ? 0 : address - range.end;
    if (range.kind != Range::program && away < distance) distance = away, nearest = &range;
  }
  if (!nearest || distance > Address(1) << 40) return "an address that belongs to no buffer";
  std::string name =
      nearest->kind == Range::buffer ? "buffer " + std::to_string(nearest->index)
      : nearest->kind == Range::argument
          ? "threadgroup argument " + std::to_string(nearest->index)
          : "threadgroup variable " + std::string(kernel_->program().variables_begin[nearest->index].name);
  return "byte " + std::to_string(int64_t(address - nearest->begin)) + " of " + name + ", which has " +
         std::to_string(nearest->end - nearest->begin) + " bytes";
}

void Run::check_slow(Head* head, Address address, Address bytes, Access access, Address site) {
  if (bytes == 0) return;
  Run& run = *of(head);
  auto inside = [&](const Range& r) { return address >= r.begin && address < r.end && r.end - address >= bytes; };
  unsigned& recent = run.recent[(site ^ (site >> 8)) & 255];
  unsigned found = recent;
  if (!inside(run.ranges[found])) {
    for (found = 1; found < run.ranges_count && !inside(run.ranges[found]); ++found) {}
  }
  if (found == run.ranges_count) {
    Address stack = reinterpret_cast<Address>(head) & ~(mlx_msl::stack_bytes - 1);
    if (address - stack < mlx_msl::stack_bytes) return;
    static constexpr const char* verbs[] = {"read", "write", "read and write", "atomic access", "atomic store"};
    run.stop_lane(std::string(verbs[int(access)]) + " of " + std::to_string(bytes) + " bytes outside of a buffer, at " +
                  run.describe_address(address));
  }
  recent = found;
  const Range& range = run.ranges[found];
  if (range.kind != Range::variable && range.kind != Range::argument) return;
  if (auto wrong =
          run.shadow_.access(range.shadow + (address - range.begin), bytes, access, head->index_in_threadgroup)) {
    run.stop_lane(*wrong + ": " + run.describe_address(address));
  }
}

void Run::stop_lane(std::string what) {
  fault_ = std::move(what);
  mlx_metal_emulator_switch(&lanes_[current_].resume, scheduler_);
  std::abort(); // a stopped lane is never resumed
}

std::string Run::describe_trap() const {
  auto address = reinterpret_cast<Address>(trap_.address);
  const char* stack = lanes_[current_].stack;
  switch (trap_.signal) {
    case SIGFPE: return "integer division by zero, or of the smallest integer by -1";
    case SIGILL:
    case SIGTRAP: return "reached code that cannot be reached";
    default: break;
  }
  if (address - reinterpret_cast<Address>(stack) < 8192) return "used up its stack of 252 KiB: is there a recursion?";
  return "access outside of a buffer, at " + describe_address(address);
}

// -- Bindings --

void Run::add_range(Address begin, size_t size, Range::Kind kind, int index) {
  ranges[ranges_count++] = {begin, begin + size, kind, index, unsigned(threadgroup_bytes_)};
}

// Ends in the middle of its slot in the arena, with nothing else near.
Address Run::place(size_t size, Range::Kind kind, int index) {
  size_t rounded = (size + 15) & ~size_t(15);
  Address begin = reinterpret_cast<Address>(arena_) + arena_stride * placed_++ + arena_stride / 2 - rounded;
  add_range(begin, size, kind, index);
  threadgroup_bytes_ += rounded;
  return begin;
}

void Run::bind(const Dispatch& dispatch) {
  const mlx_msl::Program& program = kernel_->program();
  size_t total = kernel_->static_threadgroup_bytes();
  for (uint32_t bytes : dispatch.threadgroup_bytes) total += (size_t(bytes) + 15) & ~size_t(15);
  if (total > threadgroup_limit) {
    throw Fault("[metal] kernel " + kernel_->name() + ": " + std::to_string(total) +
                " bytes of threadgroup memory, of which " + std::to_string(kernel_->static_threadgroup_bytes()) +
                " in variables, are more than the limit of " + std::to_string(threadgroup_limit) + ": use less");
  }
  ranges_count = 0;
  placed_ = threadgroup_bytes_ = 0;
  std::memset(recent, 0, sizeof(recent));
  add_range(0, 0, Range::none, 0);
  Address unbound = unbound_begin();
  for (int i = 0; i < 31; ++i) {
    const Binding& binding = dispatch.buffers[i];
    buffers[i] = binding.data ? reinterpret_cast<Address>(binding.data) : unbound + unbound_bytes * i;
    if (binding.data) add_range(buffers[i], binding.size, Range::buffer, i);
    arguments[i] = dispatch.threadgroup_bytes[i] ? place(dispatch.threadgroup_bytes[i], Range::argument, i)
                                                 : unbound + unbound_bytes * (31 + i);
  }
  for (auto* v = program.variables_begin; v != program.variables_end; ++v) {
    variables[v->index] = place(v->bytes, Range::variable, v->index);
  }
  add_range(program.begin, program.end - program.begin, Range::program, 0);
  shadow_.begin_dispatch(threadgroup_bytes_);
}

// -- Lanes --

void Run::begin_lane() {
  Address frame = reinterpret_cast<Address>(__builtin_frame_address(0));
  Run& run = *of(reinterpret_cast<Head*>((frame | (mlx_msl::stack_bytes - 1)) + 1 - mlx_msl::head_bytes));
  run.kernel_->program().entry();
  Lane& lane = run.lanes_[run.current_];
  lane.done = true;
  mlx_metal_emulator_switch(&lane.resume, run.scheduler_);
  std::abort();
}

const Exchange* Run::wait_for(Head* head, Wait kind, const void* value, unsigned bytes, unsigned flags, Address site) {
  Run& run = *of(head);
  Lane& lane = run.lanes_[head->index_in_threadgroup];
  lane.waits = kind;
  lane.value = value;
  lane.bytes = bytes;
  lane.flags = flags;
  lane.site = site;
  mlx_metal_emulator_switch(&lane.resume, run.scheduler_);
  return &run.simdgroups_[head->simdgroup].exchange;
}

void Run::resume(unsigned index) {
  Lane& lane = lanes_[index];
  if (!lane.stack) {
    lane.stack = stacks_.take();
    Head* head = head_of(lane.stack);
    head->context = this;
    head->index_in_threadgroup = index;
    for (int d = 0; d < 3; ++d) {
      head->position_in_threadgroup[d] = positions_[index][d];
      head->position_in_grid[d] = group_position[d] * full_group_size[d] + positions_[index][d];
    }
    head->lane = index % mlx_msl::simd_width;
    head->simdgroup = index / mlx_msl::simd_width;
    lane.resume = prepare_stack(lane.stack, begin_lane);
  }
  current_ = index;
  lane.waits = Wait::none;
  trap_.armed = true;
  mlx_metal_emulator_switch(&scheduler_, lane.resume);
  trap_.armed = false;
  if (!fault_.empty()) fault(index, std::exchange(fault_, {}));
  if (lane.done) {
    stacks_.give(std::exchange(lane.stack, nullptr));
  }
}

void Run::start_lanes() {
  unsigned count = group_size[0] * group_size[1] * group_size[2];
  lanes_.assign(count, Lane{});
  if (count != positions_.size() || !std::equal(group_size, group_size + 3, positions_of_)) {
    std::copy(group_size, group_size + 3, positions_of_);
    positions_.clear();
    for (unsigned i = 0; i < count; ++i) {
      positions_.push_back({i % group_size[0], i / group_size[0] % group_size[1], i / group_size[0] / group_size[1]});
    }
  }
  simdgroups_.resize((count + mlx_msl::simd_width - 1) / mlx_msl::simd_width);
  runnable_.clear();
  for (unsigned s = 0; s < simdgroups_.size(); ++s) {
    Simdgroup& simdgroup = simdgroups_[s];
    simdgroup.first = s * mlx_msl::simd_width;
    simdgroup.count = std::min(mlx_msl::simd_width, count - simdgroup.first);
    simdgroup.ready.clear();
    for (unsigned i = simdgroup.count; i-- > 0;) simdgroup.ready.push_back(simdgroup.first + i);
    runnable_.push_back(unsigned(simdgroups_.size()) - 1 - s);
  }
}

void Run::run_threadgroup() {
  start_lanes();
  for (unsigned i = 0; i < ranges_count; ++i) {
    const Range& range = ranges[i];
    if (range.kind == Range::argument || range.kind == Range::variable) {
      std::memset(reinterpret_cast<void*>(range.begin), 0xff, range.end - range.begin);
    }
  }
  shadow_.begin_threadgroup();
  do {
    while (!runnable_.empty()) {
      unsigned at = seeded_ ? random(unsigned(runnable_.size())) : unsigned(runnable_.size()) - 1;
      unsigned s = runnable_[at];
      Simdgroup& simdgroup = simdgroups_[s];
      // Several lanes of one simdgroup, then perhaps another simdgroup.
      for (unsigned turns = seeded_ ? 1 + random(64) : ~0u; turns && !simdgroup.ready.empty(); --turns) {
        unsigned pick = seeded_ ? random(unsigned(simdgroup.ready.size())) : unsigned(simdgroup.ready.size()) - 1;
        std::swap(simdgroup.ready[pick], simdgroup.ready.back());
        unsigned lane = simdgroup.ready.back();
        simdgroup.ready.pop_back();
        resume(lane);
      }
      if (simdgroup.ready.empty() && !release_simdgroup(simdgroup, s)) {
        runnable_[at] = runnable_.back();
        runnable_.pop_back();
      }
    }
  } while (release_threadgroup());
}

// Lets those lanes go on that wait in the simdgroup at one place in the text, the first: the others come there later,
// or have branched around it. False if no lane waits for its simdgroup.
bool Run::release_simdgroup(Simdgroup& simdgroup, unsigned index) {
  auto in_simdgroup = [](const Lane& lane) { return lane.waits != Wait::none && lane.waits != Wait::barrier; };
  const Lane* first = nullptr;
  unsigned end = simdgroup.first + simdgroup.count;
  // Barriers last: they need every lane.
  auto order = [](const Lane& lane) { return std::pair(lane.waits == Wait::simd_barrier, lane.site); };
  for (unsigned i = simdgroup.first; i < end; ++i) {
    const Lane& lane = lanes_[i];
    if (!lane.done && in_simdgroup(lane) && (!first || order(lane) < order(*first))) first = &lane;
  }
  if (!first) return false;
  Wait kind = first->waits;
  Address site = first->site;
  Exchange& exchange = simdgroup.exchange;
  exchange.active = 0;
  for (unsigned i = simdgroup.first; i < end; ++i) {
    Lane& lane = lanes_[i];
    if (lane.done || lane.waits != kind || lane.site != site) continue;
    exchange.active |= 1u << (i - simdgroup.first);
    if (lane.bytes) std::memcpy(exchange.slots[i - simdgroup.first], lane.value, lane.bytes);
    simdgroup.ready.push_back(i);
  }
  std::string line = " at line " + std::to_string(mlx_msl::line_of(site));
  if (kind == Wait::matrix && simdgroup.ready.size() != mlx_msl::simd_width) {
    fault(simdgroup.ready.front(), "a simdgroup matrix operation" + line + " is reached by " +
                                       std::to_string(simdgroup.ready.size()) +
                                       " of the 32 threads of the simdgroup, and needs all");
  }
  if (kind == Wait::simd_barrier) {
    if (simdgroup.ready.size() != simdgroup.count) {
      fault(simdgroup.ready.front(), "divergent simdgroup_barrier" + line + ": only " +
                                         std::to_string(simdgroup.ready.size()) + " of " +
                                         std::to_string(simdgroup.count) + " threads of the simdgroup reach it");
    }
    if (lanes_[simdgroup.first].flags & 2) shadow_.simd_barrier(index);
  }
  if (!seeded_) std::reverse(simdgroup.ready.begin(), simdgroup.ready.end());
  return true;
}

// False when every lane has returned.
bool Run::release_threadgroup() {
  auto waits = std::find_if(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return !lane.done; });
  if (waits == lanes_.end()) return false;
  unsigned lane = unsigned(waits - lanes_.begin());
  std::string what = "divergent threadgroup_barrier at line " + std::to_string(mlx_msl::line_of(waits->site)) + ": ";
  for (unsigned i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i].done)
      fault(lane, what + "thread " + std::to_string(i) + " of the threadgroup has returned without reaching it");
    if (lanes_[i].site != waits->site) {
      fault(lane, what + "thread " + std::to_string(i) + " of the threadgroup waits at line " +
                      std::to_string(mlx_msl::line_of(lanes_[i].site)));
    }
  }
  if (waits->flags & 2) shadow_.barrier();
  for (unsigned s = unsigned(simdgroups_.size()); s-- > 0;) {
    runnable_.push_back(s);
    for (unsigned i = simdgroups_[s].count; i-- > 0;) simdgroups_[s].ready.push_back(simdgroups_[s].first + i);
  }
  return true;
}

void Run::operator()(const Dispatch& dispatch) {
  kernel_ = static_cast<const Kernel*>(dispatch.function);
  lanes_.clear();
  uint64_t per_group = 1;
  for (int d = 0; d < 3; ++d) {
    uint64_t size = dispatch.threads_per_threadgroup[d];
    per_group = size > 1024 ? 0 : per_group * size;
    if (dispatch.threads[d] >> 32) throw Fault(describe(0) + ": a grid has at most 2^32 - 1 threads in each direction");
  }
  if (per_group == 0 || per_group > kernel_->max_total_threads_per_threadgroup()) {
    throw Fault(describe(0) + ": a threadgroup of " + triple(dispatch.threads_per_threadgroup) +
                " threads; it may have 1 to " + std::to_string(kernel_->max_total_threads_per_threadgroup()) +
                " in all");
  }
  for (int d = 0; d < 3; ++d) {
    grid[d] = unsigned(dispatch.threads[d]);
    full_group_size[d] = unsigned(dispatch.threads_per_threadgroup[d]);
    groups[d] = unsigned((dispatch.threads[d] + full_group_size[d] - 1) / full_group_size[d]);
  }
  bind(dispatch);
  uint64_t value = seed();
  seeded_ = value != 0;
  random_ = value * 0x9e3779b97f4a7c15u | 1;
  for (int i = 0; i < 8; ++i) random(2);
  TrapScope scope(trap_);
  struct Cleanup {
    Run& run;
    ~Cleanup() {
      run.trap_.armed = false;
      for (Lane& lane : run.lanes_) {
        if (lane.stack) run.stacks_.give(std::exchange(lane.stack, nullptr));
      }
    }
  } cleanup{*this};
  if (sigsetjmp(trap_.back, 0)) fault(current_, describe_trap());
  run_threadgroups();
}

void Run::run_threadgroups() {
  uint64_t group_count = uint64_t(groups[0]) * groups[1] * groups[2];
  // Every threadgroup once, from some group on, in steps that are prime to their number.
  uint64_t step = 1, start = 0;
  if (seeded_ && group_count > 1) {
    start = random(unsigned(std::min<uint64_t>(group_count, 1u << 30)));
    for (step = 1 + random(unsigned(std::min<uint64_t>(group_count - 1, 1u << 30))); std::gcd(step, group_count) != 1;)
      ++step;
  }
  for (uint64_t i = 0; i < group_count; ++i) {
    uint64_t group = (start + uint64_t(static_cast<unsigned __int128>(i) * step % group_count)) % group_count;
    for (int d = 0; d < 3; ++d) {
      group_position[d] = unsigned(group % groups[d]);
      group /= groups[d];
      group_size[d] = std::min(full_group_size[d], grid[d] - group_position[d] * full_group_size[d]);
    }
    run_threadgroup();
  }
}

} // namespace

void set_seed(uint64_t value) { seed() = value; }

void run(const Dispatch& dispatch) {
  thread_local std::unique_ptr<Run> run;
  if (!run) run = std::make_unique<Run>();
  (*run)(dispatch);
}

} // namespace mlx::core::metal_emulator
