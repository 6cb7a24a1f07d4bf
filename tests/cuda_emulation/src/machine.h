#pragma once

#include <cuda_runtime_api.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "cuda_emulation/control.h"
#include "memory.h"
#include "random.h"
#include "sanitizer.h"

/// The emulated machine: devices, streams, events and graphs. What streams are given is not done
/// until the host waits for something; then streams take turns in a random order, each in its own,
/// as far as events allow, until what the host waits for is done.
namespace emulation {

using Work = std::function<void()>;

/// One recording of an event, in the order of its stream.
struct Moment {
  bool done = false;
  double seconds = 0;
  Clock clock;
};

/// What a stream was given.
struct Operation {
  Work work;
  std::function<bool()> ready;  ///< asked before the work; empty: at any time
  bool late = false;            ///< done when nothing else can be
  std::shared_ptr<Moment> records;
  std::shared_ptr<Moment> waits_for;
  Clock issued;  ///< what the host did before
};

/// A piece of work of a graph, and those it needs.
struct Node {
  Work work;
  std::vector<std::size_t> needs;
  std::size_t branch = 0;  ///< nodes of a branch run one after the other
  Clock done;
};

struct Capture;

}  // namespace emulation

// The runtime's handles are pointers to these.

struct CUgraph_st {
  std::vector<std::unique_ptr<emulation::Node>> nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<CUgraph_st> graph;
  int device = 0;
};

struct CUstream_st {
  int device = 0;
  std::size_t number = 0;
  std::deque<std::unique_ptr<emulation::Operation>> operations;
  emulation::Line line = nullptr;
  emulation::Clock done;  ///< what the stream did so far
  std::shared_ptr<emulation::Capture> capture;
  std::vector<std::size_t> last;  ///< nodes that the next one needs, while it is captured
};

struct CUevent_st {
  int device = 0;
  bool timed = false;
  std::shared_ptr<emulation::Moment> last;
  std::shared_ptr<emulation::Capture> capture;  ///< where it was recorded last, if in one
  std::vector<std::size_t> nodes;
};

namespace emulation {

struct Capture {
  cudaStream_t origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal;
  std::thread::id thread;
  bool open = true;
  bool invalid = false;
  std::unique_ptr<CUgraph_st> graph = std::make_unique<CUgraph_st>();
  std::vector<cudaStream_t> streams;
};

struct EmulatedDevice {
  std::unique_ptr<CUstream_st> null_stream;
  cudaError_t error = cudaSuccess;  ///< stays
};

struct Machine {
  Machine();
  ~Machine();

  std::recursive_mutex mutex;
  bool working = false;           ///< a thread runs what streams were given
  bool waits_for_others = false;  ///< in its last step a stream was not ready
  std::vector<EmulatedDevice> devices;
  int first_card = 0;  ///< the machine's number of the first device that the process sees
  std::size_t memory_per_device = 0;
  DeviceMemory memory;
  PinnedMemory pinned;
  Random random;
  Faults faults;
  std::size_t allocations = 0, planned_allocations = 0;
  std::size_t kernels = 0, planned_kernels = 0;
  std::size_t streams_made = 0, blocking_streams = 0;
  std::size_t late_loads = 0;
  std::set<const void*> loaded;                   ///< kernels
  std::map<const void*, std::size_t> max_shared;  ///< dynamic, where it was set
  std::unordered_set<cudaStream_t> streams;
  std::unordered_set<cudaEvent_t> events;
  std::unordered_set<cudaGraph_t> graphs;
  std::unordered_set<cudaGraphExec_t> instances;
  std::vector<std::shared_ptr<Capture>> captures;
  std::vector<std::shared_ptr<CUgraph_st>>
      graveyard;           ///< ThreadSanitizer would see the host free what a device read
  std::size_t branch = 0;  ///< of what runs now

  /// The stream behind a handle of the current device; null if there is none.
  cudaStream_t find(cudaStream_t stream, int device);
  /// Puts work at the end of a stream, or into the graph that it captures.
  void add(cudaStream_t stream, Work work);
  void add(cudaStream_t stream, std::unique_ptr<Operation> operation);
  /// Lets streams work until `done`.
  void run_until(const std::function<bool()>& done);
  void finish(cudaStream_t stream);
  void finish_all();
  /// One operation of any stream; false if there is none.
  bool step();
  /// Whether the first operation of a stream can be done.
  bool is_able(CUstream_st& stream);
  void run(const CUgraph_st& graph, std::size_t stream_number);
};

Machine& machine();

/// The device that the calling thread chose.
int& current_device();

/// Remembers an error for cudaGetLastError, and why the emulation refuses, for cudaGetErrorString.
cudaError_t refuse(cudaError_t error, const std::string& why);

/// Holds the machine during a call of the runtime.
class Call {
 public:
  explicit Call(const char* name);
  ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  /// What every call answers once something is wrong with the machine or the device.
  cudaError_t error() const { return error_; }
  /// Refuses what a stream that is captured does not allow; the capture is lost.
  cudaError_t refuse_in_capture() const;

 private:
  const char* name_;
  OwnAccesses own_;
  std::unique_lock<std::recursive_mutex> lock_;
  cudaError_t error_ = cudaSuccess;
};

}  // namespace emulation
