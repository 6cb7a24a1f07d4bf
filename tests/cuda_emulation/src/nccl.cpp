// Sums over ranks, which are processes or threads of this machine, against NCCL's own header. Ranks
// meet in a file of shared memory whose name is the unique id:
//
//   a rank comes       writes down its process and its device
//   a sum begins       as work of the stream: the rank copies its numbers into the file
//   all have come      it adds those of all ranks, in the order of ranks, into its own array
//
// Only communicators that do not block, and float32 sums. What leaves NCCL hanging ends the program
// here, with a sentence. As in cudnn.cpp, what is read and written is what the device does.
#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <nccl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "cuda_emulation/control.h"
#include "cuda_emulation/stream_work.h"
#include "fail.h"

namespace {

constexpr int kRanks = 64;
constexpr std::size_t kRoom = std::size_t{1} << 24;  // numbers of a sum; unused ones cost nothing

enum class Presence : std::uint32_t { kNone, kHere, kLeft, kAborted };

/// What a rank brings to a sum.
struct Part {
  std::uint64_t size;
};

/// The beginning of the file; the numbers follow, [rank][2][kRoom]: sums use the two in turn, since
/// a rank that begins one has seen all others finish the last but one.
struct Meeting {
  std::atomic<std::uint32_t> ranks;
  struct Rank {
    std::atomic<Presence> presence;
    std::atomic<std::uint64_t> sums;  ///< begun
    pid_t process;
    char uuid[16];
    Part parts[2];
  } rank[kRanks];
};

std::size_t bytes_of(int ranks) {
  return sizeof(Meeting) + static_cast<std::size_t>(ranks) * 2 * kRoom * sizeof(float);
}

double patience() {
  const char* text = std::getenv("RENAS_EMULATED_NCCL_PATIENCE");
  return text == nullptr ? 60 : std::atof(text);
}

/// Whether a process runs: one that has ended stays known until its parent has asked for its end.
bool runs(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(status, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.compare(name_end, 3, ") Z") != 0;
}

/// Ends the program if called for longer than the patience.
class Limit {
 public:
  void expect(const std::string& what) {
    const Clock::time_point now = Clock::now();
    if (begun_ == Clock::time_point()) begun_ = now;
    const double waited = std::chrono::duration<double>(now - begun_).count();
    if (waited > patience()) {
      emulation::fail("NCCL: " + what + " (waited " + std::to_string(static_cast<int>(waited)) +
                      " s)");
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begun_;
};

}  // namespace

struct ncclComm {
  int rank = 0;
  int ranks = 0;
  int device = 0;
  std::string name;
  Meeting* meeting = nullptr;
  std::uint64_t queued = 0;
  std::atomic<std::uint64_t> done{0};
  bool linked = false;
  bool parting = false;
  std::atomic<bool> aborted{false};
  ncclResult_t error = ncclSuccess;
  std::string why;
  Limit limit;

  ~ncclComm() {
    if (meeting != nullptr) munmap(meeting, bytes_of(ranks));
  }
  Meeting::Rank& own() { return meeting->rank[rank]; }
  float* numbers(int of, std::uint64_t sum) {
    auto* const first = reinterpret_cast<float*>(meeting + 1);
    return first + (static_cast<std::size_t>(of) * 2 + sum % 2) * kRoom;
  }
  std::string who() const {
    return "rank " + std::to_string(rank) + " of " + std::to_string(ranks);
  }
  /// The first rank, if any, of which `missing` is true.
  template <class Missing>
  int find(const Missing& missing) {
    for (int r = 0; r < ranks; ++r) {
      if (missing(meeting->rank[r])) return r;
    }
    return -1;
  }
  /// Looks whether ranks that came are alive, as NCCL sees it by their connections.
  void look_for_the_dead() {
    const int dead = find([](const Meeting::Rank& r) {
      if (r.presence == Presence::kAborted) return true;
      // A process that ends in good order says that it left before it ends: it may do both after
      // the first look.
      return r.presence == Presence::kHere && !runs(r.process) && r.presence == Presence::kHere;
    });
    if (dead >= 0 && error == ncclSuccess) {
      error = ncclRemoteError;
      why = "rank " + std::to_string(dead) + " is gone (emulation)";
    }
  }
};

namespace {

std::recursive_mutex mutex;
std::atomic<std::size_t> sums{0};
thread_local std::string last_why;

/// Those that are not destroyed.
struct Communicators {
  std::set<std::shared_ptr<ncclComm>> all;
  ~Communicators() {
    if (!all.empty()) {
      std::fprintf(stderr, "CUDA emulation: %zu communicators of NCCL at the end of the program\n",
                   all.size());
    }
  }
  std::shared_ptr<ncclComm> find(ncclComm_t c, const char* call) {
    for (const auto& one : all) {
      if (one.get() == c) return one;
    }
    emulation::fail(std::string("NCCL: ") + call +
                    " of a communicator that does not exist, or no longer");
  }
};
Communicators communicators;

ncclResult_t refuse(ncclResult_t result, const std::string& why) {
  last_why = why + " (emulation)";
  return result;
}

/// Puts this rank's numbers where all can read them.
void bring(ncclComm& c, std::uint64_t sum, const float* from, std::size_t size) {
  std::memcpy(c.numbers(c.rank, sum), from, size * sizeof(float));
  c.own().parts[sum % 2] = {size};
  c.own().sums = sum;
}

void add_up(ncclComm& c, std::uint64_t sum, float* to, std::size_t size) {
  const int other = c.find([&](const Meeting::Rank& r) { return r.parts[sum % 2].size != size; });
  if (other >= 0) {
    emulation::fail("NCCL: in sum " + std::to_string(sum) + " " + c.who() + " has " +
                    std::to_string(size) + " numbers, but rank " + std::to_string(other) + " has " +
                    std::to_string(c.meeting->rank[other].parts[sum % 2].size));
  }
  std::fill_n(to, size, 0.0F);
  for (int r = 0; r < c.ranks; ++r) {
    const float* const from = c.numbers(r, sum);
    for (std::size_t i = 0; i < size; ++i) to[i] += from[i];
  }
  c.done = sum;
  ++sums;
}

/// Looks whether all ranks have come, and by whose devices.
void meet(ncclComm& c) {
  const int missing = c.find([](const Meeting::Rank& r) { return r.presence == Presence::kNone; });
  if (missing >= 0) {
    c.limit.expect(c.who() + " waits for rank " + std::to_string(missing) + " to be linked");
    return;
  }
  c.linked = true;
  c.limit = {};
  shm_unlink(c.name.c_str());  // the first of them
  const int same = c.find([&](const Meeting::Rank& r) {
    return &r != &c.own() && std::memcmp(r.uuid, c.own().uuid, sizeof r.uuid) == 0;
  });
  if (same >= 0) {
    c.error = ncclInvalidUsage;
    c.why = "Duplicate GPU detected: " + c.who() + " and rank " + std::to_string(same) +
            " are on one device (emulation)";
  }
}

}  // namespace

std::size_t emulation::nccl_sums() { return sums; }

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> made{0};
  *id = {};
  std::snprintf(
      id->internal, sizeof id->internal, "/renas-emulated-nccl-%d-%d-%lld",
      static_cast<int>(getpid()), ++made,
      static_cast<long long>(std::chrono::steady_clock::now().time_since_epoch().count()));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  const std::lock_guard lock(mutex);
  *communicator = nullptr;
  if (config == nullptr || config->size != sizeof *config || config->magic != 0xcafebeef) {
    return refuse(ncclInvalidArgument, "a configuration without NCCL_CONFIG_INITIALIZER");
  }
  if (config->blocking != 0) return refuse(ncclInvalidArgument, "a communicator that blocks");
  if (ranks < 1 || ranks > kRanks || rank < 0 || rank >= ranks) {
    return refuse(ncclInvalidArgument,
                  "rank " + std::to_string(rank) + " of " + std::to_string(ranks));
  }
  auto made = std::make_shared<ncclComm>();
  cudaDeviceProp properties;
  if (cudaGetDevice(&made->device) != cudaSuccess ||
      cudaGetDeviceProperties(&properties, made->device) != cudaSuccess) {
    return refuse(ncclUnhandledCudaError, "no device");
  }
  made->rank = rank;
  made->ranks = ranks;
  made->name = id.internal;
  const int file = shm_open(id.internal, O_RDWR | O_CREAT, 0600);
  if (file < 0) return refuse(ncclSystemError, "shm_open of " + made->name);
  const bool sized = ftruncate(file, static_cast<off_t>(bytes_of(ranks))) == 0;
  void* const mapped = sized ? mmap(nullptr, bytes_of(ranks), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_NORESERVE, file, 0)
                             : MAP_FAILED;
  close(file);
  if (mapped == MAP_FAILED) return refuse(ncclSystemError, "mapping " + made->name);
  made->meeting = static_cast<Meeting*>(mapped);
  std::uint32_t others = 0;
  const auto count = static_cast<std::uint32_t>(ranks);
  if (!made->meeting->ranks.compare_exchange_strong(others, count) && others != count) {
    emulation::fail("NCCL: " + made->who() + " meets ranks that are " + std::to_string(others));
  }
  if (made->own().presence != Presence::kNone)
    emulation::fail("NCCL: two ranks are " + made->who());
  made->own().process = getpid();
  std::memcpy(made->own().uuid, &properties.uuid, sizeof properties.uuid);
  made->own().presence = Presence::kHere;
  *communicator = made.get();
  communicators.all.insert(std::move(made));
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* state) {
  const std::lock_guard lock(mutex);
  ncclComm& c = *communicators.find(communicator, "ncclCommGetAsyncError");
  if (!c.linked) meet(c);
  c.look_for_the_dead();
  if (c.error != ncclSuccess) last_why = c.why;
  *state = c.error;
  if (c.error != ncclSuccess) return ncclSuccess;
  if (!c.linked) *state = ncclInProgress;
  if (c.parting) {
    const int here = c.find([](const Meeting::Rank& r) { return r.presence == Presence::kHere; });
    if (here >= 0) {
      c.limit.expect(c.who() + " waits for rank " + std::to_string(here) + " to part");
      *state = ncclInProgress;
    }
  }
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t size, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t communicator, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  const std::shared_ptr<ncclComm> c = communicators.find(communicator, "ncclAllReduce");
  if (!c->linked || c->parting || c->error != ncclSuccess) {
    return refuse(ncclInvalidUsage, "a sum before ranks were linked, or after they parted");
  }
  if (type != ncclFloat32 || operation != ncclSum) {
    return refuse(ncclInvalidArgument, "only sums of float32 are emulated");
  }
  if (size == 0 || size > kRoom) {
    return refuse(ncclInvalidArgument, "a sum of " + std::to_string(size) +
                                           " numbers, of at most " + std::to_string(kRoom));
  }
  int device = 0;
  cudaGetDevice(&device);
  if (device != c->device) {
    return refuse(ncclInvalidUsage, "the current device is not the communicator's");
  }
  for (const void* at : {from, static_cast<const void*>(to)}) {
    if (!emulation::device_holds(at, size * sizeof(float))) {
      return refuse(ncclInvalidArgument, "an array not within one block of the device's memory");
    }
  }
  const std::uint64_t sum = ++c->queued;
  const auto ready = [c, sum, size, from, limit = std::make_shared<Limit>()] {
    if (c->aborted) return true;
    if (c->own().sums < sum) bring(*c, sum, static_cast<const float*>(from), size);
    const int missing = c->find([sum](const Meeting::Rank& r) { return r.sums < sum; });
    if (missing < 0) return true;
    limit->expect("in sum " + std::to_string(sum) + ", of " + std::to_string(size) + " numbers, " +
                  c->who() + " waits for rank " + std::to_string(missing));
    return false;
  };
  const auto work = [c, sum, size, to] {
    if (!c->aborted) add_up(*c, sum, static_cast<float*>(to), size);
  };
  if (emulation::enqueue(stream, ready, work) != cudaSuccess) {
    return refuse(ncclUnhandledCudaError, "the stream took no work");
  }
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t communicator) {
  const std::lock_guard lock(mutex);
  ncclComm& c = *communicators.find(communicator, "ncclCommFinalize");
  if (c.done < c.queued) emulation::fail("NCCL: ranks part while sums are still queued");
  c.parting = true;
  c.own().presence = Presence::kLeft;
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  const std::lock_guard lock(mutex);
  const std::shared_ptr<ncclComm> c = communicators.find(communicator, "ncclCommDestroy");
  if (!c->parting) emulation::fail("NCCL: a communicator is destroyed before ncclCommFinalize");
  communicators.all.erase(c);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  const std::lock_guard lock(mutex);
  const std::shared_ptr<ncclComm> c = communicators.find(communicator, "ncclCommAbort");
  if (!c->linked) shm_unlink(c->name.c_str());
  c->aborted = true;
  c->own().presence = Presence::kAborted;
  communicators.all.erase(c);
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t) { return last_why.c_str(); }

}  // extern "C"
