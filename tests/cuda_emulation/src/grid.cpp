#include "grid.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cuda_emulation/kernel.h"
#include "fail.h"
#include "fiber.h"
#include "sanitizer.h"

namespace emulation {

Thread* current_thread = nullptr;

namespace {

constexpr unsigned kWarp = 32;
constexpr std::size_t kMaxThreads = 1024;
constexpr std::size_t kMaxShared = std::size_t{256} << 10;
constexpr std::size_t kMaxStaticShared = std::size_t{48} << 10;

enum class State { kFresh, kReady, kAtBarrier, kAtWarp, kDone };

/// A thread of the block that runs now.
struct Slot {
  Thread thread;
  State state = State::kFresh;
  Fiber* fiber = nullptr;
  Line line = nullptr;
  // Of a thread at a barrier.
  const char* file = nullptr;
  int line_number = 0;
  bool condition = false;
  // Of a thread that meets others of its warp.
  unsigned mask = 0;
  Collective collective = nullptr;
  void* given = nullptr;
};

/// Static shared memory that a thread of the block has asked for.
struct StaticVariable {
  const void* key;
  unsigned char* at;
};

/// What a thread runs on under ThreadSanitizer, which takes a line with the stack it knows. Lines
/// cost a millisecond each, so the blocks of a branch share two sets of places in turn, and
/// branches two pairs.
struct Place {
  Line line = nullptr;
  Fiber* fiber = nullptr;
};

/// Barriers use two clocks in turn: a thread that still leaves one must not see what others did on
/// their way to the next.
struct BlockClocks {
  Clock barrier[2];
  Clock warps[2][kMaxThreads / kWarp];
};

struct Machine {
  // The grid.
  const KernelCall* call = nullptr;
  const void* function = nullptr;
  Clock* begun = nullptr;  // what the threads of all blocks may know when they begin
  Clock* ended = nullptr;
  Line scheduler = nullptr;
  // The block.
  std::vector<Slot> slots;
  std::vector<unsigned> order;
  std::vector<Slot*> ready;
  std::size_t begun_threads = 0;
  std::size_t done = 0;
  std::size_t at_barrier = 0;
  std::size_t at_warp = 0;
  unsigned conditions = 0;  // of the barrier that was passed last
  unsigned phase = 0;
  unsigned warp_phases[kMaxThreads / kWarp] = {};
  BlockClocks* clocks = nullptr;
  unsigned char* dynamic_shared = nullptr;
  std::vector<StaticVariable> variables;
  std::size_t static_used = 0;
  // Kept from block to block.
  std::vector<Fiber*> idle;
  unsigned char* dynamic_region = nullptr;
  unsigned char* static_region = nullptr;
  std::size_t static_extent = 0;  // of the static region, that any block has used
  std::vector<Place> places[4];
  std::size_t set = 0;  // of places, for this block
  Slot* current = nullptr;
  GridCounts counts;
};

Machine& machine() {
  static Machine& m = *new Machine;  // never destroyed: fibers hold on to it
  return m;
}

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

std::string kernel_name() {
  Dl_info info{};
  const void* function = machine().function;
  if (function == nullptr || dladdr(function, &info) == 0 || info.dli_sname == nullptr)
    return "kernel";
  int status = 0;
  char* name = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string result = "kernel " + std::string(name != nullptr ? name : info.dli_sname);
  std::free(name);
  return result;
}

/// From a thread that waits to the scheduler, until it may go on.
void wait_as(State state) {
  Machine& m = machine();
  Slot* self = m.current;
  self->state = state;
  switch_to(m.scheduler);
  Fiber::suspend();
}

void run_thread(Slot& slot) {
  Machine& m = machine();
  slot.fiber = Fiber::running();
  if (kThreadSanitizer) slot.line = m.places[m.set][slot.thread.linear].line;
  m.current = &slot;
  current_thread = &slot.thread;
  switch_to(slot.line);
  acquire(*m.begun);
  m.call->run();
  release(*m.ended);
  switch_to(m.scheduler);
  slot.state = State::kDone;
  ++m.done;
}

/// What every fiber runs: threads that have not begun yet, one after the other. One that waits
/// keeps the fiber, and the others begin on the next.
void run_threads() {
  Machine& m = machine();
  for (;;) {
    while (m.begun_threads < m.slots.size()) {
      run_thread(m.slots[m.order[m.begun_threads++]]);
      if (kThreadSanitizer) break;
    }
    if (!kThreadSanitizer) m.idle.push_back(Fiber::running());
    Fiber::suspend();
  }
}

/// For the thread that begins next.
Fiber& free_fiber() {
  Machine& m = machine();
  if (kThreadSanitizer) {
    const std::size_t thread = m.order[m.begun_threads];
    std::vector<Place>& places = m.places[m.set];
    while (places.size() <= thread) places.push_back({new_line(), new Fiber(run_threads)});
    return *places[thread].fiber;
  }
  if (m.idle.empty()) return *new Fiber(run_threads);
  Fiber* fiber = m.idle.back();
  m.idle.pop_back();
  return *fiber;
}

void switch_into(Fiber& fiber) {
  ++machine().counts.switches;
  fiber.resume();
  machine().current = nullptr;
  current_thread = nullptr;
}

void make_ready(Slot& slot) {
  slot.state = State::kReady;
  machine().ready.push_back(&slot);
}

/// Lets the lanes of a warp go on whose whole mask has come.
void release_warp(std::size_t first) {
  Machine& m = machine();
  const std::size_t lanes = std::min<std::size_t>(kWarp, m.slots.size() - first);
  Slot* warp = &m.slots[first];
  for (std::size_t i = 0; i < lanes; ++i) {
    if (warp[i].state != State::kAtWarp) continue;
    const unsigned mask = warp[i].mask;
    void* given[kWarp] = {};
    bool all = true;
    for (std::size_t k = 0; k < kWarp && all; ++k) {
      if ((mask >> k & 1U) == 0) continue;
      all = k < lanes && warp[k].state == State::kAtWarp && warp[k].mask == mask;
      if (all && warp[k].collective != warp[i].collective) {
        fail(kernel_name() + ": lanes of a warp meet in different functions");
      }
      if (all) given[k] = warp[k].given;
    }
    if (!all) continue;
    if (warp[i].collective != nullptr) warp[i].collective(given);
    for (std::size_t k = 0; k < lanes; ++k) {
      if (given[k] == nullptr) continue;
      make_ready(warp[k]);
      --m.at_warp;
    }
    m.warp_phases[first / kWarp] ^= 1U;
  }
}

std::string count_of(std::size_t part, std::size_t all) {
  return std::to_string(part) + " of " + std::to_string(all) + " threads";
}

void release_barrier() {
  Machine& m = machine();
  const Slot& first = m.slots[0];
  m.conditions = 0;
  for (Slot& slot : m.slots) {
    if (slot.line_number != first.line_number || std::strcmp(slot.file, first.file) != 0) {
      fail(kernel_name() + ": threads of a block wait at different barriers, " + first.file + ":" +
           std::to_string(first.line_number) + " and " + slot.file + ":" +
           std::to_string(slot.line_number));
    }
    m.conditions += slot.condition ? 1 : 0;
    make_ready(slot);
  }
  m.at_barrier = 0;
  m.phase ^= 1U;
}

[[noreturn]] void fail_stuck() {
  Machine& m = machine();
  for (const Slot& slot : m.slots) {
    if (slot.state == State::kAtWarp) {
      fail(kernel_name() + ": thread " + std::to_string(slot.thread.linear) + " of block " +
           std::to_string(slot.thread.block.x) +
           " waits for lanes of its warp that do not come (mask " + std::to_string(slot.mask) +
           ")");
    }
  }
  for (const Slot& slot : m.slots) {
    if (slot.state == State::kAtBarrier) {
      fail(kernel_name() + ": the barrier at " + slot.file + ":" +
           std::to_string(slot.line_number) + " is one that " + count_of(m.done, m.slots.size()) +
           " of the block never reach");
    }
  }
  fail(kernel_name() + ": no thread can go on");
}

/// Pages between two that nobody may touch.
unsigned char* new_region(std::size_t bytes) {
  const std::size_t page = page_size();
  void* memory = mmap(nullptr, bytes + 2 * page, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("no memory for a block's shared memory");
  auto* region = static_cast<unsigned char*>(memory) + page;
  if (mprotect(region, bytes, PROT_READ | PROT_WRITE) != 0) fail("mprotect");
  std::memset(region, 0xff, bytes);
  return region;
}

/// Fills what a block has used with NaNs, for the next. ThreadSanitizer, which would see blocks
/// share it, forgets pages that are mapped anew.
void refill(unsigned char* first, unsigned char* last) {
  if (kThreadSanitizer && first != last) {
    const std::size_t page = page_size();
    auto* from =
        reinterpret_cast<unsigned char*>(reinterpret_cast<std::uintptr_t>(first) / page * page);
    auto* to = reinterpret_cast<unsigned char*>(
        (reinterpret_cast<std::uintptr_t>(last) + page - 1) / page * page);
    if (mmap(from, static_cast<std::size_t>(to - from), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
      fail("no memory for a block's shared memory");
    }
    first = from;
    last = to;
  }
  std::memset(first, 0xff, static_cast<std::size_t>(last - first));
}

/// As much as asked for, so that AddressSanitizer sees what lies beyond.
unsigned char* new_block(std::size_t bytes, std::size_t alignment) {
  void* memory = nullptr;
  if (posix_memalign(&memory, std::max<std::size_t>(alignment, 16),
                     std::max<std::size_t>(bytes, 1)) != 0) {
    fail("no memory for a block's shared memory");
  }
  std::memset(memory, 0xff, bytes);
  return static_cast<unsigned char*>(memory);
}

void new_shared(std::size_t bytes) {
  Machine& m = machine();
  m.variables.clear();
  if (kAddressSanitizer) {
    m.dynamic_shared = new_block(bytes, 16);
    return;
  }
  if (m.dynamic_region == nullptr) {
    m.dynamic_region = new_region(kMaxShared);
    m.static_region = new_region(kMaxStaticShared);
  }
  // It ends where nobody may read.
  m.dynamic_shared = m.dynamic_region + kMaxShared - (bytes + 15) / 16 * 16;
  refill(m.dynamic_shared, m.dynamic_region + kMaxShared);
  m.static_extent = std::max(m.static_extent, m.static_used);
  refill(m.static_region, m.static_region + m.static_extent);
  m.static_used = 0;
}

void free_shared() {
  Machine& m = machine();
  if (!kAddressSanitizer) return;
  std::free(m.dynamic_shared);
  for (const StaticVariable& variable : m.variables) std::free(variable.at);
  m.static_used = 0;
}

void run_block(std::size_t shared_bytes, std::vector<std::unique_ptr<BlockClocks>>& clocks,
               Random& random) {
  Machine& m = machine();
  clocks.push_back(std::make_unique<BlockClocks>());
  m.clocks = clocks.back().get();
  new_shared(shared_bytes);
  release(*m.begun);
  m.begun_threads = m.done = m.at_barrier = m.at_warp = 0;
  m.ready.clear();
  random.shuffle(m.order.data(), m.order.size());
  while (m.begun_threads < m.slots.size()) switch_into(free_fiber());
  std::vector<Slot*> now;
  while (m.done < m.slots.size()) {
    if (m.at_warp > 0) {
      for (std::size_t first = 0; first < m.slots.size(); first += kWarp) release_warp(first);
    }
    if (m.ready.empty()) {
      if (m.at_barrier < m.slots.size()) fail_stuck();
      release_barrier();
    }
    now.swap(m.ready);
    m.ready.clear();
    random.shuffle(now.data(), now.size());
    for (Slot* slot : now) {
      m.current = slot;
      current_thread = &slot->thread;
      switch_to(slot->line);
      switch_into(*slot->fiber);
    }
  }
  free_shared();
}

}  // namespace

void fail(const std::string& what) {
  std::fflush(stdout);
  std::fprintf(stderr, "CUDA emulation: %s", what.c_str());
  if (current_thread != nullptr) {
    const Thread& t = *current_thread;
    std::fprintf(stderr, " (%s, block %u,%u,%u, thread %u,%u,%u)", kernel_name().c_str(), t.block.x,
                 t.block.y, t.block.z, t.index.x, t.index.y, t.index.z);
  }
  std::fprintf(stderr, "\n");
  std::abort();
}

void outside_of_kernel() { fail("code of the device was called from the host"); }

unsigned sync_block(const char* file, int line, bool condition) {
  Machine& m = machine();
  if (m.current == nullptr) outside_of_kernel();
  Slot& self = *m.current;
  self.file = file;
  self.line_number = line;
  self.condition = condition;
  ++m.at_barrier;
  Clock& clock = m.clocks->barrier[m.phase];
  release(clock);
  wait_as(State::kAtBarrier);
  acquire(clock);
  return m.conditions;
}

void meet_warp(unsigned mask, Collective collective, void* mine) {
  Machine& m = machine();
  if (m.current == nullptr) outside_of_kernel();
  Slot& self = *m.current;
  if ((mask >> self.thread.lane & 1U) == 0)
    fail("the mask of a warp's function leaves out the lane that calls it");
  self.mask = mask;
  self.collective = collective;
  self.given = mine;
  ++m.at_warp;
  wait_as(State::kAtWarp);
}

void sync_warp(unsigned mask) {
  Machine& m = machine();
  if (m.current == nullptr) outside_of_kernel();
  const std::size_t warp = m.current->thread.linear / kWarp;
  Clock& clock = m.clocks->warps[m.warp_phases[warp]][warp];
  release(clock);
  char nothing = 0;
  meet_warp(mask, nullptr, &nothing);
  acquire(clock);
}

namespace {

struct Exchange {
  std::uint64_t given;
  std::uint64_t taken;
  unsigned from;
};

void take_bits(void* const* lanes) {
  for (unsigned i = 0; i < kWarp; ++i) {
    if (lanes[i] == nullptr) continue;
    auto& mine = *static_cast<Exchange*>(lanes[i]);
    mine.taken = static_cast<const Exchange*>(lanes[mine.from])->given;
  }
}

}  // namespace

std::uint64_t exchange_bits(unsigned mask, std::uint64_t bits, unsigned from) {
  if (from >= kWarp || (mask >> from & 1U) == 0) fail("a shuffle reads a lane outside of its mask");
  Exchange mine{bits, 0, from};
  meet_warp(mask, take_bits, &mine);
  return mine.taken;
}

namespace {

struct Vote {
  bool condition;
  unsigned result;
};

void take_votes(void* const* lanes) {
  unsigned result = 0;
  for (unsigned i = 0; i < kWarp; ++i) {
    if (lanes[i] != nullptr && static_cast<const Vote*>(lanes[i])->condition) result |= 1U << i;
  }
  for (unsigned i = 0; i < kWarp; ++i) {
    if (lanes[i] != nullptr) static_cast<Vote*>(lanes[i])->result = result;
  }
}

}  // namespace

unsigned ballot(unsigned mask, bool condition) {
  Vote mine{condition, 0};
  meet_warp(mask, take_votes, &mine);
  return mine.result;
}

void fence() {
  // One clock for all: what came before somebody's fence is seen by whoever fences later. An atomic
  // that says "later" lies between them, or the program has no order.
  static Clock clock;
  acquire(clock);
  release(clock);
}

void* dynamic_shared() {
  if (machine().current == nullptr) outside_of_kernel();
  return machine().dynamic_shared;
}

void* static_shared(const void* key, std::size_t bytes, std::size_t alignment) {
  Machine& m = machine();
  if (m.current == nullptr) outside_of_kernel();
  for (const StaticVariable& variable : m.variables) {
    if (variable.key == key) return variable.at;
  }
  const std::size_t first = (m.static_used + alignment - 1) / alignment * alignment;
  m.static_used = first + bytes;
  if (m.static_used > kMaxStaticShared)
    fail("a block uses more than 48 KiB of static shared memory");
  unsigned char* at = kAddressSanitizer ? new_block(bytes, alignment) : m.static_region + first;
  m.variables.push_back({key, at});
  return at;
}

void run_grid(const KernelCall& call, const void* function, dim3 grid, dim3 block,
              std::size_t shared_bytes, std::size_t branch, Random& random) {
  // Of the stream's line; the CUDA threads' lines are compared.
  const OwnAccesses own;
  Machine& m = machine();
  const auto begun = std::make_unique<Clock>();
  const auto ended = std::make_unique<Clock>();
  std::vector<std::unique_ptr<BlockClocks>> clocks;
  m.call = &call;
  m.function = function;
  m.begun = begun.get();
  m.ended = ended.get();
  m.scheduler = current_line();
  ++m.counts.grids;
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  m.counts.threads += threads * blocks;
  m.slots.assign(threads, Slot{});
  m.order.resize(threads);
  for (std::size_t t = 0; t < threads; ++t) {
    const auto i = static_cast<unsigned>(t);
    Thread& thread = m.slots[t].thread;
    thread.index = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
    thread.block_size = block;
    thread.grid_size = grid;
    thread.linear = i;
    thread.lane = i % kWarp;
    m.order[t] = i;
  }
  std::vector<std::size_t> order(blocks);
  for (std::size_t b = 0; b < blocks; ++b) order[b] = b;
  random.shuffle(order.data(), blocks);
  for (const std::size_t b : order) {
    const uint3 place = {static_cast<unsigned>(b % grid.x),
                         static_cast<unsigned>(b / grid.x % grid.y),
                         static_cast<unsigned>(b / grid.x / grid.y)};
    for (Slot& slot : m.slots) {
      slot.thread.block = place;
      slot.state = State::kFresh;
    }
    m.set = branch % 2 * 2 + (1 - m.set % 2);
    if (!kThreadSanitizer) clocks.clear();
    run_block(shared_bytes, clocks, random);
  }
  acquire(*ended);
  m.call = nullptr;
  m.function = nullptr;
}

const GridCounts& grid_counts() { return machine().counts; }

}  // namespace emulation
