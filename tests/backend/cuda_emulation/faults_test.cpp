// Faults on demand, and what the emulation says about programs that are wrong.
#include <boost/test/unit_test.hpp>

#include "cuda_emulation/control.h"
#include "device_array.h"
#include "kernels.h"
#include "support/process.h"

using namespace renas;
using namespace renas::test;
using cudnn::Grid;
using cudnn::launch;

namespace {

struct Machine {
  Machine() { emulation::restart(); }
  ~Machine() { emulation::restart(); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(emulated_faults, Machine)

BOOST_AUTO_TEST_CASE(memory_ends_where_the_device_says_and_the_error_does_not_stay) {
  emulation::restart(1, 1000);
  std::size_t free = 0, total = 0;
  const DeviceArray<char> some(600);
  must(cudaMemGetInfo(&free, &total));
  BOOST_TEST(free == 400U);
  BOOST_TEST(total == 1000U);
  void* more = nullptr;
  BOOST_TEST(cudaMalloc(&more, 401) == cudaErrorMemoryAllocation);
  BOOST_TEST(cudaPeekAtLastError() == cudaErrorMemoryAllocation);
  BOOST_TEST(cudaGetLastError() == cudaErrorMemoryAllocation);
  BOOST_TEST(cudaGetLastError() == cudaSuccess);
  must(cudaMalloc(&more, 400));
  must(cudaFree(more));
}

BOOST_AUTO_TEST_CASE(the_allocation_that_a_test_names_fails_once) {
  emulation::plan({.out_of_memory_at = 2});
  void* at[3] = {};
  BOOST_TEST(cudaMalloc(&at[0], 16) == cudaSuccess);
  BOOST_TEST(cudaMalloc(&at[1], 16) == cudaErrorMemoryAllocation);
  BOOST_TEST(cudaMalloc(&at[2], 16) == cudaSuccess);
  BOOST_TEST(emulation::counts().device_blocks == 2U);
  for (void* p : at) cudaFree(p);
  BOOST_TEST(emulation::counts().device_blocks == 0U);
}

BOOST_AUTO_TEST_CASE(an_error_that_stays_is_what_every_later_call_returns) {
  for (const cudaError_t error :
       {cudaErrorIllegalAddress, cudaErrorLaunchFailure, cudaErrorECCUncorrectable}) {
    emulation::restart();
    const TestStream stream;
    const DeviceArray<float> out(4);
    emulation::plan({.error_at = 2, .error = error});
    must(launch(fill, Grid{1, 4}, stream, out.data(), 4, 1.0F));
    BOOST_TEST(cudaStreamSynchronize(stream) == cudaSuccess);
    must(launch(fill, Grid{1, 4}, stream, out.data(), 4, 2.0F));  // fails later, when it runs
    BOOST_TEST(cudaStreamSynchronize(stream) == error);
    void* memory = nullptr;
    BOOST_TEST(cudaMalloc(&memory, 4) == error);
    BOOST_TEST(cudaGetLastError() == error);
    BOOST_TEST(cudaGetLastError() == error);
    BOOST_TEST(launch(fill, Grid{1, 4}, stream, out.data(), 4, 3.0F) == error);
    must(cudaSetDevice(1));  // the other device goes on
    BOOST_TEST(cudaDeviceSynchronize() == cudaSuccess);
    must(cudaMalloc(&memory, 4));
    must(cudaFree(memory));
    cudaSetDevice(0);
  }
}

BOOST_AUTO_TEST_CASE(a_machine_without_a_usable_device_says_which_kind) {
  for (const cudaError_t error : {cudaErrorInsufficientDriver, cudaErrorNoDevice,
                                  cudaErrorSystemDriverMismatch, cudaErrorUnknown}) {
    emulation::plan({.no_device = error});
    int devices = -7;
    BOOST_TEST(cudaGetDeviceCount(&devices) == error);
    BOOST_TEST(devices == -7);
    BOOST_TEST(cudaSetDevice(0) == error);
  }
  emulation::plan({});
  emulation::restart(0);
  int devices = -7;
  BOOST_TEST(cudaGetDeviceCount(&devices) == cudaErrorNoDevice);
}

BOOST_AUTO_TEST_CASE(what_was_not_freed_is_counted) {
  cudaStream_t stream = nullptr;
  must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  void* pinned = nullptr;
  must(cudaMallocHost(&pinned, 16));
  BOOST_TEST(emulation::counts().streams == 1U);
  BOOST_TEST(emulation::counts().pinned_blocks == 1U);
  must(cudaStreamDestroy(stream));
  must(cudaFreeHost(pinned));
  BOOST_TEST(cudaStreamDestroy(stream) == cudaErrorInvalidResourceHandle);
  BOOST_TEST(cudaFreeHost(pinned) == cudaErrorInvalidValue);
}

namespace {

/// A program with one fault (planted.cu), the tool that sees it, and what it says.
struct Planted {
  const char* fault;
  const char* tool;  // "plain", "address" or "thread": the sanitizers that it is built with
  const char* words;
};
std::ostream& operator<<(std::ostream& out, const Planted& p) {
  return out << p.fault << ", " << p.tool;
}

const Planted kPlanted[] = {
    {"shared-memory-one-row-short", "address", "heap-buffer-overflow"},
    {"array-beyond-its-end", "address", "out of bounds"},
    {"misaligned-vector", "address", "misaligned address"},
    {"barrier-left-out", "thread", "data race"},
    {"static-barrier-left-out", "thread", "data race"},
    {"blocks-write-one-place", "thread", "data race"},
    {"counter-without-order", "thread", "data race"},
    {"fence-left-out", "thread", "data race"},
    {"warp-barrier-left-out", "thread", "data race"},
    {"event-not-waited-for", "thread", "data race"},
    {"host-does-not-wait", "thread", "data race"},
    {"branches-of-a-graph-share", "thread", "data race"},
    {"staging-overwritten", "thread", "data race"},
    {"barrier-in-a-branch", "plain", "is one that 40 of 256 threads of the block never reach"},
    {"different-barriers", "plain", "wait at different barriers"},
    {"shuffle-of-an-absent-lane", "plain", "waits for lanes of its warp that do not come"},
    {"shuffle-outside-of-its-mask", "plain", "reads a lane outside of its mask"},
    {"memory-beyond-its-end", "plain", "ended by signal 11"},
    {"memory-just-beyond-its-end", "address", "use-after-poison"},
    {"memory-used-after-free", "plain", "ended by signal 11"},
    {"host-reads-device-memory", "plain", "ended by signal 11"},
    {"memory-of-another-device", "plain", "ended by signal 11"},
    {"device-code-on-the-host", "plain", "code of the device was called from the host"},
    {"runtime-called-in-a-host-function", "plain", "is called by a host function of a stream"},
    {"workspace-too-small", "cudnn-address", "use-after-poison"},
    {"descriptor-freed-early", "cudnn-plain", "was destroyed before its last use"},
    {"plan-freed-early", "cudnn-plain", "a plan was destroyed before the work"},
    {"convolution-not-waited-for", "cudnn-thread", "data race"},
#ifdef RENAS_PLANTED_NCCL
    {"one-device", "nccl-plain", "Duplicate GPU detected: rank"},
    {"sizes-differ", "nccl-plain", "but rank"},
    {"rank-missing", "nccl-plain", "in sum 1, of 4 numbers, rank 0 of 2 waits for rank 1 (waited"},
    {"rank-gone", "nccl-plain", "rank 1 is gone"},
    {"parted-early", "nccl-plain", "ranks part while sums are still queued"},
    {"destroyed", "nccl-plain",
     "ncclAllReduce of a communicator that does not exist, or no longer"},
    {"captured", "nccl-plain", "the stream took no work"},
    {"blocking", "nccl-plain", "a communicator that blocks"},
#endif
    {"leak", "plain", "1 blocks of device memory are not freed"},
};

Ran run_planted(const std::string& tool, const std::string& fault, int seed) {
  Ran ran =
      run_command("RENAS_EMULATED_SEED=" + std::to_string(seed) + " TSAN_OPTIONS=halt_on_error=1 " +
                  RENAS_PLANTED_PREFIX + tool + " " + fault);
  for (const int signal : {SIGSEGV, SIGBUS}) {
    // The shell that waits for the program reports its signal so.
    if (ran.code == 1000 + signal || ran.code == 128 + signal)
      ran.output += "\nended by signal " + std::to_string(SIGSEGV);
  }
  return ran;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_planted_fault_is_seen_by_its_tool) {
  for (const Planted& planted : kPlanted) {
    BOOST_TEST_CONTEXT(planted) {
      const Ran ran = run_planted(planted.tool, planted.fault, 1);
      BOOST_TEST((ran.code != 0 || planted.fault == std::string("leak")));
      BOOST_TEST(ran.output.find(planted.words) != std::string::npos, "expected '" << planted.words
                                                                                   << "' in:\n"
                                                                                   << ran.output);
    }
  }
}

BOOST_AUTO_TEST_CASE(programs_without_a_fault_are_clean_in_three_orders) {
  std::vector<std::string> tools{"plain",       "address",       "thread",
                                 "cudnn-plain", "cudnn-address", "cudnn-thread"};
#ifdef RENAS_PLANTED_NCCL
  tools.insert(tools.end(), {"nccl-plain", "nccl-address"});
#endif
  for (const std::string& tool : tools) {
    for (int seed = 1; seed < 4; ++seed) {
      BOOST_TEST_CONTEXT(tool << ", order " << seed) {
        const Ran ran = run_planted(tool, "none", seed);
        BOOST_TEST(ran.code == 0, ran.output);
        BOOST_TEST(ran.output == "right\n");
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
