// Two ranks, processes of their own, that sum by the emulated NCCL, with one fault each.
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "device_array.h"

using namespace renas::test;

namespace {

constexpr int kRanks = 2;

void must_succeed(ncclResult_t result) {
  if (result != ncclSuccess && result != ncclInProgress) {
    throw std::runtime_error(std::string(ncclGetErrorString(result)) + ": " +
                             ncclGetLastError(nullptr));
  }
}

/// Waits until NCCL has done what it was told.
void settle(ncclComm_t communicator) {
  for (ncclResult_t state = ncclInProgress; state == ncclInProgress;) {
    must_succeed(ncclCommGetAsyncError(communicator, &state));
    must_succeed(state);
  }
}

void part(ncclComm_t communicator) {
  must_succeed(ncclCommFinalize(communicator));
  settle(communicator);
  must_succeed(ncclCommDestroy(communicator));
}

void run(const std::string& fault, int rank, const ncclUniqueId& id) {
  must(cudaSetDevice(fault == "one-device" ? 0 : rank));
  const std::size_t size = fault == "sizes-differ" && rank == 1 ? 3 : 4;
  const TestStream stream;
  const DeviceArray<float> values(std::vector<float>(4, rank == 0 ? 1.0F : 0.5F));
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = fault == "blocking" ? 1 : 0;
  ncclComm_t communicator = nullptr;
  must_succeed(ncclCommInitRankConfig(&communicator, kRanks, id, rank, &config));
  settle(communicator);
  const auto sum = [&] {
    must_succeed(ncclAllReduce(values.data(), values.data(), size, ncclFloat32, ncclSum,
                               communicator, stream));
  };
  if (fault == "rank-gone" && rank == 1) std::_Exit(0);
  if (fault == "rank-missing" && rank == 1) std::this_thread::sleep_for(std::chrono::seconds(6));
  if (fault == "captured") {
    must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  }
  sum();
  if (fault == "parted-early") part(communicator);
  try {
    while (fault == "rank-gone") settle(communicator);
  } catch (...) {
    ncclCommAbort(communicator);  // the stream no longer waits
    throw;
  }
  sum();  // of the first: it is queued behind it
  stream.wait();
  part(communicator);
  if (fault == "destroyed") sum();
  for (const float value : values.read()) {
    if (value != 3.0F) throw std::runtime_error("wrong values");
  }
}

int run_rank(const std::string& fault, int rank, const ncclUniqueId& id) {
  try {
    run(fault, rank, id);
    return 0;
  } catch (const std::exception& e) {
    std::printf("rank %d: %s\n", rank, e.what());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string fault = argc == 2 ? argv[1] : "";
  alarm(60);  // whatever happens
  if (fault == "rank-missing") setenv("RENAS_EMULATED_NCCL_PATIENCE", "3", 1);
  ncclUniqueId id;
  must_succeed(ncclGetUniqueId(&id));
  const pid_t other = fork();
  if (other == 0) return run_rank(fault, 1, id);
  const int own = run_rank(fault, 0, id);
  int status = 0;
  waitpid(other, &status, 0);
  if (own != 0 || status != 0) return 1;
  std::printf("right\n");
}
