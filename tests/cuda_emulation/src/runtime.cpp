// The entry points of the CUDA runtime, against its own headers. Where a card is lenient, this is
// strict: README.md lists the differences.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>

#include "fail.h"
#include "machine.h"

using namespace emulation;

#define RETURN_IF_FAILED(expression) \
  if (const cudaError_t failed = (expression); failed != cudaSuccess) return failed

namespace {

constexpr int kVersion = CUDART_VERSION;
constexpr std::size_t kShared = std::size_t{48} << 10;
constexpr std::size_t kSharedIfAsked = std::size_t{227} << 10;
constexpr int kMultiprocessors = 4;

/// The stream, if it is the current device's.
cudaError_t look_up(cudaStream_t handle, cudaStream_t& stream) {
  stream = machine().find(handle, current_device());
  if (stream == nullptr)
    return refuse(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  if (stream->device != current_device())
    return refuse(cudaErrorInvalidResourceHandle, "a stream of another device");
  return cudaSuccess;
}

/// The same for work, which the default stream does not take while the thread captures another.
cudaError_t look_up_for_work(const Call& call, cudaStream_t handle, cudaStream_t& stream) {
  RETURN_IF_FAILED(look_up(handle, stream));
  if (handle == nullptr && call.refuse_in_capture() != cudaSuccess) {
    return refuse(cudaErrorStreamCaptureImplicit,
                  "the default stream is used while another is captured");
  }
  return cudaSuccess;
}

cudaError_t look_up(cudaEvent_t event) {
  if (machine().events.count(event) == 1) return cudaSuccess;
  return refuse(cudaErrorInvalidResourceHandle, "an event that does not exist");
}

/// Whether a copy's sides are what its kind says; host memory must be pinned if `asynchronous`.
cudaError_t check_copy(const void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                       int device, bool asynchronous) {
  const Machine& m = machine();
  const auto check_device = [&](const void* at, const char* side) {
    if (m.memory.holds(device, at, size)) return cudaSuccess;
    return refuse(cudaErrorInvalidValue,
                  std::string("a copy of ") + std::to_string(size) + " bytes whose " + side +
                      " does not lie within one block of the device's memory");
  };
  const auto check_host = [&](const void* at, const char* side) {
    if (m.memory.holds(at)) {
      return refuse(cudaErrorInvalidValue, std::string("a copy whose ") + side +
                                               " should be the host's and is a device's");
    }
    if (!asynchronous || m.pinned.holds(at, size)) return cudaSuccess;
    return refuse(cudaErrorInvalidValue,
                  std::string("an asynchronous copy whose ") + side +
                      " is the host's and not pinned: it would wait for the device");
  };
  switch (kind) {
    case cudaMemcpyHostToDevice:
      RETURN_IF_FAILED(check_device(to, "target"));
      return check_host(from, "source");
    case cudaMemcpyDeviceToHost:
      RETURN_IF_FAILED(check_device(from, "source"));
      return check_host(to, "target");
    case cudaMemcpyDeviceToDevice:
      RETURN_IF_FAILED(check_device(to, "target"));
      return check_device(from, "source");
    default:
      return refuse(cudaErrorInvalidValue, "a copy of a kind that the emulation does not know");
  }
}

void release_event(cudaEvent_t event, cudaStream_t stream) {
  event->capture = stream->capture;
  event->nodes = stream->last;
  if (stream->capture) return;
  auto operation = std::make_unique<Operation>();
  operation->records = event->last = std::make_shared<Moment>();
  machine().add(stream, std::move(operation));
}

bool contains(const std::vector<std::size_t>& values, std::size_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

/// Whether everything that the captured streams were given leads to the origin's last node.
bool joined(const Capture& capture) {
  std::vector<bool> reached(capture.graph->nodes.size());
  std::vector<std::size_t> to_do = capture.origin->last;
  while (!to_do.empty()) {
    const std::size_t i = to_do.back();
    to_do.pop_back();
    if (reached[i]) continue;
    reached[i] = true;
    for (const std::size_t need : capture.graph->nodes[i]->needs) to_do.push_back(need);
  }
  return std::all_of(capture.streams.begin(), capture.streams.end(), [&](cudaStream_t stream) {
    return std::all_of(stream->last.begin(), stream->last.end(),
                       [&](std::size_t i) { return reached[i]; });
  });
}

/// Numbers the branches: the first follower of a node goes on with its branch, others begin new
/// ones.
void find_branches(CUgraph_st& graph) {
  std::size_t branches = 0;
  std::vector<bool> passed_on(graph.nodes.size());
  for (auto& node : graph.nodes) {
    const auto from = std::find_if(node->needs.begin(), node->needs.end(),
                                   [&](std::size_t need) { return !passed_on[need]; });
    if (from == node->needs.end()) {
      node->branch = branches++;
    } else {
      passed_on[*from] = true;
      node->branch = graph.nodes[*from]->branch;
    }
  }
}

}  // namespace

extern "C" {

// Devices.

cudaError_t cudaGetDeviceCount(int* count) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  if (m.faults.no_device != cudaSuccess) return refuse(m.faults.no_device, "as planned");
  if (m.devices.empty()) return refuse(cudaErrorNoDevice, "no device is emulated");
  *count = static_cast<int>(m.devices.size());
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  if (m.faults.no_device != cudaSuccess) return refuse(m.faults.no_device, "as planned");
  if (device < 0 || static_cast<std::size_t>(device) >= m.devices.size()) {
    return refuse(cudaErrorInvalidDevice,
                  "device " + std::to_string(device) + " of " + std::to_string(m.devices.size()));
  }
  current_device() = device;
  return m.devices[static_cast<std::size_t>(device)].error;
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device();
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  if (m.faults.no_device != cudaSuccess) return refuse(m.faults.no_device, "as planned");
  if (device < 0 || static_cast<std::size_t>(device) >= m.devices.size()) {
    return refuse(cudaErrorInvalidDevice,
                  "device " + std::to_string(device) + " of " + std::to_string(m.devices.size()));
  }
  *properties = {};
  const int card = m.first_card + device;
  std::snprintf(properties->name, sizeof properties->name, "Emulated device %d", card);
  for (char& byte : properties->uuid.bytes) byte = static_cast<char>(0xe0 + card);
  properties->totalGlobalMem = m.memory_per_device;
  properties->sharedMemPerBlock = kShared;
  properties->sharedMemPerBlockOptin = kSharedIfAsked;
  properties->sharedMemPerMultiprocessor = kSharedIfAsked + 1024;
  properties->regsPerBlock = properties->regsPerMultiprocessor = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->maxBlocksPerMultiProcessor = 32;
  properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024;
  properties->maxThreadsDim[2] = 64;
  properties->maxGridSize[0] = std::numeric_limits<int>::max();
  properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
  const std::vector<int>& planned = m.faults.capabilities;
  const auto number = static_cast<std::size_t>(device);
  const int capability = number < planned.size() ? planned[number] : 90;
  properties->major = capability / 10;
  properties->minor = capability % 10;
  properties->multiProcessorCount = kMultiprocessors;
  properties->l2CacheSize = 1 << 20;
  properties->concurrentKernels = 1;
  properties->asyncEngineCount = 2;
  properties->unifiedAddressing = 1;
  properties->memoryBusWidth = 64;
  properties->pciBusID = card + 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  RETURN_IF_FAILED(cudaGetDeviceProperties(&p, device));
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = p.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(p.sharedMemPerBlock);
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      break;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      break;
    case cudaDevAttrWarpSize:
      *value = p.warpSize;
      break;
    default:
      return refuse(cudaErrorInvalidValue, "an attribute that the emulation does not know");
  }
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const Call call("cudaDeviceSynchronize");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  machine().finish_all();
  return Call("cudaDeviceSynchronize").error();
}

// Memory.

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const Call call("cudaMemGetInfo");
  RETURN_IF_FAILED(call.error());
  const Machine& m = machine();
  *total = m.memory_per_device;
  *free = m.memory_per_device - m.memory.used(current_device());
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** at, std::size_t size) {
  const Call call("cudaMalloc");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  Machine& m = machine();
  *at = nullptr;
  if (size == 0) return cudaSuccess;
  ++m.allocations;
  if (++m.planned_allocations == m.faults.out_of_memory_at)
    return refuse(cudaErrorMemoryAllocation, "as planned");
  if (m.memory.used(current_device()) + size > m.memory_per_device) {
    return refuse(cudaErrorMemoryAllocation, std::to_string(size) + " bytes, the device has " +
                                                 std::to_string(m.memory_per_device));
  }
  *at = m.memory.allocate(current_device(), size);
  return *at == nullptr ? refuse(cudaErrorMemoryAllocation, "the host has no more memory")
                        : cudaSuccess;
}

cudaError_t cudaFree(void* at) {
  const Call call("cudaFree");
  RETURN_IF_FAILED(call.refuse_in_capture());
  if (at == nullptr) return call.error();
  machine().finish_all();  // as a card does
  if (!machine().memory.free(at))
    return refuse(cudaErrorInvalidValue, "cudaFree of what cudaMalloc did not give");
  return call.error();
}

cudaError_t cudaHostAlloc(void** at, std::size_t size, unsigned) {
  const Call call("cudaHostAlloc");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  *at = machine().pinned.allocate(size);
  return *at == nullptr ? refuse(cudaErrorMemoryAllocation, "the host has no more memory")
                        : cudaSuccess;
}

cudaError_t cudaMallocHost(void** at, std::size_t size) {
  return cudaHostAlloc(at, size, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* at) {
  const Call call("cudaFreeHost");
  RETURN_IF_FAILED(call.refuse_in_capture());
  if (at == nullptr) return call.error();
  machine().finish_all();
  if (!machine().pinned.free(at))
    return refuse(cudaErrorInvalidValue, "cudaFreeHost of what cudaHostAlloc did not give");
  return call.error();
}

cudaError_t cudaHostRegister(void* at, std::size_t size, unsigned) {
  const Call call("cudaHostRegister");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  return machine().pinned.add(at, size)
             ? cudaSuccess
             : refuse(cudaErrorInvalidValue, "memory that is registered already");
}

cudaError_t cudaHostUnregister(void* at) {
  const Call call("cudaHostUnregister");
  RETURN_IF_FAILED(call.refuse_in_capture());
  machine().finish_all();
  if (!machine().pinned.remove(at))
    return refuse(cudaErrorInvalidValue, "memory that is not registered");
  return call.error();
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                            cudaStream_t handle) {
  const Call call("cudaMemcpyAsync");
  RETURN_IF_FAILED(call.error());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up_for_work(call, handle, stream));
  if (size == 0) return cudaSuccess;
  RETURN_IF_FAILED(check_copy(to, from, size, kind, current_device(), true));
  machine().add(stream, [to, from, size] { std::memcpy(to, from, size); });
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind kind) {
  const Call call("cudaMemcpy");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  if (size == 0) return cudaSuccess;
  RETURN_IF_FAILED(check_copy(to, from, size, kind, current_device(), false));
  Machine& m = machine();
  cudaStream_t stream = m.find(nullptr, current_device());
  if (kind == cudaMemcpyHostToDevice && !m.pinned.holds(from, size)) {
    // A card returns when it has taken what pageable memory holds, not when that has arrived.
    m.finish(stream);
    const auto* bytes = static_cast<const char*>(from);
    auto operation = std::make_unique<Operation>();
    operation->late = true;
    operation->work = [to, taken = std::vector<char>(bytes, bytes + size)] {
      std::memcpy(to, taken.data(), taken.size());
    };
    m.add(stream, std::move(operation));
    return cudaSuccess;
  }
  m.add(stream, [to, from, size] { std::memcpy(to, from, size); });
  m.finish(stream);
  return Call("cudaMemcpy").error();
}

cudaError_t cudaMemsetAsync(void* at, int value, std::size_t size, cudaStream_t handle) {
  const Call call("cudaMemsetAsync");
  RETURN_IF_FAILED(call.error());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up_for_work(call, handle, stream));
  if (size == 0) return cudaSuccess;
  if (!machine().memory.holds(current_device(), at, size)) {
    return refuse(cudaErrorInvalidValue,
                  "a fill that does not lie within one block of the device's memory");
  }
  machine().add(stream, [at, value, size] { std::memset(at, value, size); });
  return cudaSuccess;
}

cudaError_t cudaMemset(void* at, int value, std::size_t size) {
  RETURN_IF_FAILED(cudaMemsetAsync(at, value, size, nullptr));
  return cudaStreamSynchronize(nullptr);
}

// Streams.

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Call call("cudaStreamCreate");
  RETURN_IF_FAILED(call.error());
  Machine& m = machine();
  *stream = new CUstream_st;
  (*stream)->device = current_device();
  (*stream)->number = ++m.streams_made;
  m.blocking_streams += flags != cudaStreamNonBlocking;
  (*stream)->line = new_line();  // now: a line knows what the host did before it was made
  m.streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = *greatest = 0;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Call call("cudaStreamDestroy");
  Machine& m = machine();
  if (m.streams.count(stream) == 0)
    return refuse(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  if (stream->capture)
    return refuse(cudaErrorStreamCaptureUnsupported,
                  "cudaStreamDestroy of a stream that is captured");
  m.run_until([&] { return stream->operations.empty(); });
  m.streams.erase(stream);
  delete stream;
  return call.error();
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  const Call call("cudaStreamSynchronize");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up(handle, stream));
  if (stream->capture) {
    stream->capture->invalid = true;
    return refuse(cudaErrorStreamCaptureUnsupported,
                  "cudaStreamSynchronize of a stream that is captured");
  }
  machine().finish(stream);
  return Call("cudaStreamSynchronize").error();
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  const Call call("cudaStreamQuery");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up(handle, stream));
  Machine& m = machine();
  bool asked = false;
  // Whoever asks lets time pass: one piece of work.
  m.run_until([&] { return stream->operations.empty() || std::exchange(asked, true); });
  if (!stream->operations.empty()) return cudaErrorNotReady;
  acquire(stream->done);
  return Call("cudaStreamQuery").error();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  const Call call("cudaStreamWaitEvent");
  RETURN_IF_FAILED(call.error());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up_for_work(call, handle, stream));
  RETURN_IF_FAILED(look_up(event));
  if (event->capture) {
    if (!event->capture->open) {
      return refuse(cudaErrorCapturedEvent,
                    "an event that was recorded in a capture which has ended");
    }
    if (stream->capture && stream->capture != event->capture) {
      stream->capture->invalid = event->capture->invalid = true;
      return refuse(cudaErrorStreamCaptureMerge, "an event of another capture");
    }
    if (!stream->capture) {
      stream->capture = event->capture;
      stream->capture->streams.push_back(stream);
      stream->last.clear();
    }
    for (const std::size_t node : event->nodes) {
      if (!contains(stream->last, node)) stream->last.push_back(node);
    }
    return cudaSuccess;
  }
  if (stream->capture) {
    stream->capture->invalid = true;
    return refuse(cudaErrorStreamCaptureIsolation,
                  "a captured stream waits for an event that was recorded outside");
  }
  if (!event->last) return cudaSuccess;  // never recorded
  auto operation = std::make_unique<Operation>();
  operation->waits_for = event->last;
  machine().add(stream, std::move(operation));
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  const Call call("cudaLaunchHostFunc");
  RETURN_IF_FAILED(call.error());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up_for_work(call, handle, stream));
  machine().add(stream, [function, data] { function(data); });
  return cudaSuccess;
}

// Events.

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const Call call("cudaEventCreate");
  RETURN_IF_FAILED(call.error());
  *event = new CUevent_st;
  (*event)->device = current_device();
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  machine().events.insert(*event);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Call call("cudaEventDestroy");
  RETURN_IF_FAILED(look_up(event));
  machine().events.erase(event);
  delete event;
  return call.error();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  const Call call("cudaEventRecord");
  RETURN_IF_FAILED(call.error());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up_for_work(call, handle, stream));
  RETURN_IF_FAILED(look_up(event));
  if (event->device != stream->device)
    return refuse(cudaErrorInvalidResourceHandle, "an event of another device");
  release_event(event, stream);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Call call("cudaEventSynchronize");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  RETURN_IF_FAILED(look_up(event));
  if (event->capture)
    return refuse(cudaErrorCapturedEvent, "the host waits for an event of a capture");
  if (!event->last) return cudaSuccess;
  machine().run_until([&] { return event->last->done; });
  acquire(event->last->clock);
  return Call("cudaEventSynchronize").error();
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Call call("cudaEventQuery");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  RETURN_IF_FAILED(look_up(event));
  if (event->capture)
    return refuse(cudaErrorCapturedEvent, "the host asks about an event of a capture");
  if (!event->last) return cudaSuccess;
  bool asked = false;
  machine().run_until([&] { return event->last->done || std::exchange(asked, true); });
  if (!event->last->done) return cudaErrorNotReady;
  acquire(event->last->clock);
  return Call("cudaEventQuery").error();
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const Call call("cudaEventElapsedTime");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(look_up(from));
  RETURN_IF_FAILED(look_up(to));
  if (!from->timed || !to->timed || !from->last || !to->last) {
    return refuse(cudaErrorInvalidResourceHandle,
                  "the time between events that were made without timing or never recorded");
  }
  if (!from->last->done || !to->last->done) return cudaErrorNotReady;
  *milliseconds = static_cast<float>((to->last->seconds - from->last->seconds) * 1e3);
  return cudaSuccess;
}

// Graphs.

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  const Call call("cudaStreamBeginCapture");
  RETURN_IF_FAILED(call.error());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up(handle, stream));
  if (handle == nullptr)
    return refuse(cudaErrorStreamCaptureUnsupported, "the default stream cannot be captured");
  if (stream->capture) return refuse(cudaErrorIllegalState, "the stream is captured already");
  auto capture = std::make_shared<Capture>();
  capture->origin = stream;
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->streams.push_back(stream);
  stream->capture = capture;
  stream->last.clear();
  machine().captures.push_back(std::move(capture));
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  const Call call("cudaStreamEndCapture");
  cudaStream_t stream = nullptr;
  *graph = nullptr;
  RETURN_IF_FAILED(look_up(handle, stream));
  if (!stream->capture) return refuse(cudaErrorIllegalState, "the stream is not captured");
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id()) {
    return refuse(cudaErrorStreamCaptureWrongThread, "another thread began the capture");
  }
  Machine& m = machine();
  const bool unmatched = capture->origin != stream;
  const bool unjoined = !unmatched && !joined(*capture);
  capture->open = false;
  for (cudaStream_t s : capture->streams) {
    s->capture.reset();
    s->last.clear();
  }
  std::erase(m.captures, capture);
  if (capture->invalid)
    return refuse(cudaErrorStreamCaptureInvalidated, "something was refused during the capture");
  if (unmatched) return refuse(cudaErrorStreamCaptureUnmatched, "another stream began the capture");
  if (unjoined)
    return refuse(cudaErrorStreamCaptureUnjoined,
                  "a stream that joined the capture was not waited for");
  find_branches(*capture->graph);
  *graph = capture->graph.release();
  m.graphs.insert(*graph);
  return call.error();
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  const Call call("cudaStreamIsCapturing");
  RETURN_IF_FAILED(call.error());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up(handle, stream));
  *status = !stream->capture           ? cudaStreamCaptureStatusNone
            : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                       : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  const Call call("cudaGraphGetNodes");
  RETURN_IF_FAILED(call.error());
  if (nodes != nullptr) return refuse(cudaErrorNotSupported, "the emulation counts nodes only");
  *count = graph->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* instance, cudaGraph_t graph, unsigned long long) {
  const Call call("cudaGraphInstantiate");
  RETURN_IF_FAILED(call.error());
  RETURN_IF_FAILED(call.refuse_in_capture());
  Machine& m = machine();
  if (m.graphs.count(graph) == 0)
    return refuse(cudaErrorInvalidValue, "a graph that does not exist");
  auto copy = std::make_shared<CUgraph_st>();
  for (const auto& node : graph->nodes) {
    copy->nodes.push_back(std::make_unique<Node>());
    copy->nodes.back()->work = node->work;
    copy->nodes.back()->needs = node->needs;
    copy->nodes.back()->branch = node->branch;
  }
  if (kThreadSanitizer) m.graveyard.push_back(copy);
  *instance = new CUgraphExec_st{std::move(copy), current_device()};
  m.instances.insert(*instance);
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }

cudaError_t cudaGraphLaunch(cudaGraphExec_t instance, cudaStream_t handle) {
  const Call call("cudaGraphLaunch");
  RETURN_IF_FAILED(call.error());
  cudaStream_t stream = nullptr;
  RETURN_IF_FAILED(look_up_for_work(call, handle, stream));
  Machine& m = machine();
  if (m.instances.count(instance) == 0)
    return refuse(cudaErrorInvalidValue, "an instance of a graph that does not exist");
  if (instance->device != stream->device)
    return refuse(cudaErrorInvalidValue, "a graph of another device");
  if (stream->capture) {
    stream->capture->invalid = true;
    return refuse(cudaErrorStreamCaptureUnsupported,
                  "cudaGraphLaunch into a stream that is captured");
  }
  m.add(stream,
        [graph = instance->graph, number = stream->number] { machine().run(*graph, number); });
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t instance) {
  const Call call("cudaGraphExecDestroy");
  if (machine().instances.erase(instance) == 0)
    return refuse(cudaErrorInvalidValue, "an instance of a graph that does not exist");
  delete instance;
  return call.error();
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const Call call("cudaGraphDestroy");
  if (machine().graphs.erase(graph) == 0)
    return refuse(cudaErrorInvalidValue, "a graph that does not exist");
  delete graph;
  return call.error();
}

// Kernels; launches are in machine.cpp.

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  const Call call("cudaFuncSetAttribute");
  RETURN_IF_FAILED(call.error());
  if (function == nullptr) return refuse(cudaErrorInvalidDeviceFunction, "a null kernel");
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    if (value < 0 || static_cast<std::size_t>(value) > kSharedIfAsked) {
      return refuse(cudaErrorInvalidValue, std::to_string(value) +
                                               " bytes of shared memory, a block has at most " +
                                               std::to_string(kSharedIfAsked));
    }
    machine().max_shared[function] = static_cast<std::size_t>(value);
  }
  machine().loaded.insert(function);
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  const Call call("cudaFuncGetAttributes");
  RETURN_IF_FAILED(call.error());
  if (function == nullptr) return refuse(cudaErrorInvalidDeviceFunction, "a null kernel");
  *attributes = {};
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 32;
  attributes->maxDynamicSharedSizeBytes = static_cast<int>(kShared);
  machine().loaded.insert(function);
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads,
                                                          std::size_t) {
  *blocks = threads <= 0 ? 0 : 2048 / threads;
  return cudaSuccess;
}

}  // extern "C"
