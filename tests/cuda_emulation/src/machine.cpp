#include "machine.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "cuda_emulation/stream_work.h"
#include "fail.h"
#include "grid.h"

namespace emulation {

namespace {

std::size_t from_environment(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::unique_ptr<CUstream_st> null_stream(int device) {
  auto stream = std::make_unique<CUstream_st>();
  stream->device = device;
  stream->line = new_line();
  return stream;
}

/// ThreadSanitizer's lines of graphs' branches.
Line branch_line(std::size_t branch) {
  static std::vector<Line> lines;
  while (lines.size() <= branch) lines.push_back(new_line());
  return lines[branch];
}

}  // namespace

Machine::Machine()
    : devices(from_environment("RENAS_EMULATED_DEVICES", 2)),
      first_card(static_cast<int>(from_environment("RENAS_EMULATED_FIRST_DEVICE", 0))),
      memory_per_device(from_environment("RENAS_EMULATED_MEMORY", std::size_t{4} << 30)),
      random(seed_of_environment()) {
  faults.out_of_memory_at = from_environment("RENAS_EMULATED_OUT_OF_MEMORY_AT", 0);
  faults.error_at = from_environment("RENAS_EMULATED_ERROR_AT", 0);
  faults.error =
      static_cast<cudaError_t>(from_environment("RENAS_EMULATED_ERROR", cudaErrorIllegalAddress));
  faults.no_device =
      static_cast<cudaError_t>(from_environment("RENAS_EMULATED_NO_DEVICE", cudaSuccess));
  faults.capabilities.assign(devices.size(),
                             static_cast<int>(from_environment("RENAS_EMULATED_CAPABILITY", 90)));
  for (std::size_t i = 0; i < devices.size(); ++i)
    devices[i].null_stream = null_stream(static_cast<int>(i));
}

Machine::~Machine() {
  const auto report = [](std::size_t count, const char* what) {
    if (count > 0)
      std::fprintf(stderr, "CUDA emulation: %zu %s at the end of the program\n", count, what);
  };
  report(memory.blocks(), "blocks of device memory are not freed");
  report(pinned.blocks(), "blocks of pinned memory are not freed");
  report(streams.size(), "streams are not destroyed");
  report(events.size(), "events are not destroyed");
  report(graphs.size() + instances.size(), "graphs and instances of graphs are not destroyed");
}

Machine& machine() {
  static Machine m;
  return m;
}

int& current_device() {
  thread_local int device = 0;
  return device;
}

cudaStream_t Machine::find(cudaStream_t stream, int device) {
  if (stream == nullptr || stream == cudaStreamLegacy)
    return devices[static_cast<std::size_t>(device)].null_stream.get();
  return streams.count(stream) == 1 ? stream : nullptr;
}

void Machine::add(cudaStream_t stream, Work work) {
  if (stream->capture) {
    Capture& capture = *stream->capture;
    auto node = std::make_unique<Node>();
    node->work = std::move(work);
    node->needs = stream->last;
    capture.graph->nodes.push_back(std::move(node));
    stream->last = {capture.graph->nodes.size() - 1};
    return;
  }
  auto operation = std::make_unique<Operation>();
  operation->work = std::move(work);
  add(stream, std::move(operation));
}

void Machine::add(cudaStream_t stream, std::unique_ptr<Operation> operation) {
  release(operation->issued);
  stream->operations.push_back(std::move(operation));
}

bool Machine::is_able(CUstream_st& stream) {
  if (stream.operations.empty()) return false;
  Operation& operation = *stream.operations.front();
  if (operation.waits_for && !operation.waits_for->done) return false;
  const bool lost = devices[static_cast<std::size_t>(stream.device)].error != cudaSuccess;
  if (!operation.ready || lost) return true;
  const Line host = current_line();
  switch_to(stream.line);
  acquire(operation.issued);
  memory.open(stream.device);
  const bool ready = operation.ready();
  switch_to(host);
  waits_for_others = waits_for_others || !ready;
  return ready;
}

bool Machine::step() {
  std::vector<cudaStream_t> able;
  waits_for_others = false;
  const auto consider = [&](cudaStream_t stream) {
    if (is_able(*stream)) able.push_back(stream);
  };
  // In the order in which they were made, so that equal seeds give equal orders.
  std::vector<cudaStream_t> all(streams.begin(), streams.end());
  std::sort(all.begin(), all.end(), [](auto a, auto b) { return a->number < b->number; });
  for (const EmulatedDevice& device : devices) consider(device.null_stream.get());
  for (cudaStream_t stream : all) consider(stream);
  if (able.empty()) return false;
  const auto late = std::stable_partition(able.begin(), able.end(), [](cudaStream_t stream) {
    return !stream->operations.front()->late;
  });
  const auto count = static_cast<std::size_t>(late - able.begin());
  CUstream_st& stream = *able[random.below(count > 0 ? count : able.size())];
  std::unique_ptr<Operation> operation = std::move(stream.operations.front());
  stream.operations.pop_front();
  const Line host = current_line();
  // Of the host: ThreadSanitizer sees the system's clock write to the host's stack.
  const double seconds = operation->records ? now() : 0;
  switch_to(stream.line);
  acquire(operation->issued);
  if (operation->waits_for) acquire(operation->waits_for->clock);
  if (operation->records) {
    operation->records->done = true;
    operation->records->seconds = seconds;
    release(operation->records->clock);
  }
  if (operation->work && devices[static_cast<std::size_t>(stream.device)].error == cudaSuccess) {
    memory.open(stream.device);
    branch = stream.number;
    operation->work();
  }
  operation.reset();
  release(stream.done);
  switch_to(host);
  return true;
}

void Machine::run_until(const std::function<bool()>& done) {
  working = true;
  while (!done()) {
    if (step()) continue;
    if (!waits_for_others) fail("the host waits for what no stream will do");
    // Others may be threads of this process, whose calls wait for this one.
    working = false;
    mutex.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    mutex.lock();
    working = true;
  }
  memory.open(-1);
  working = false;
}

void Machine::finish(cudaStream_t stream) {
  run_until([&] { return stream->operations.empty(); });
  acquire(stream->done);
}

void Machine::finish_all() {
  for (EmulatedDevice& device : devices) finish(device.null_stream.get());
  const std::vector<cudaStream_t> all(streams.begin(), streams.end());
  for (cudaStream_t stream : all) {
    // While this thread waits, another may destroy the stream.
    run_until([&] { return streams.count(stream) == 0 || stream->operations.empty(); });
    if (streams.count(stream) == 1) acquire(stream->done);
  }
}

void Machine::run(const CUgraph_st& graph, std::size_t stream_number) {
  std::vector<std::size_t> missing(graph.nodes.size());
  std::vector<std::vector<std::size_t>> followers(graph.nodes.size());
  std::vector<std::size_t> able;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    missing[i] = graph.nodes[i]->needs.size();
    for (const std::size_t need : graph.nodes[i]->needs) followers[need].push_back(i);
    if (missing[i] == 0) able.push_back(i);
  }
  const auto begun = std::make_unique<Clock>();
  const auto ended = std::make_unique<Clock>();
  release(*begun);
  const Line stream = current_line();
  while (!able.empty()) {
    const std::size_t pick = random.below(able.size());
    std::swap(able[pick], able.back());
    const std::size_t i = able.back();
    able.pop_back();
    Node& node = *graph.nodes[i];
    switch_to(branch_line(node.branch));
    acquire(*begun);
    for (const std::size_t need : node.needs) acquire(graph.nodes[need]->done);
    branch = stream_number + node.branch;
    node.work();
    release(node.done);
    release(*ended);
    switch_to(stream);
    for (const std::size_t follower : followers[i]) {
      if (--missing[follower] == 0) able.push_back(follower);
    }
  }
  acquire(*ended);
}

namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local cudaError_t refused_error = cudaSuccess;
thread_local std::string refused_why;

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
#define EMULATION_ERROR(name, text) \
  { name, #name, text }
constexpr ErrorText kErrors[] = {
    EMULATION_ERROR(cudaSuccess, "no error"),
    EMULATION_ERROR(cudaErrorInvalidValue, "invalid argument"),
    EMULATION_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    EMULATION_ERROR(cudaErrorInitializationError, "initialization error"),
    EMULATION_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    EMULATION_ERROR(cudaErrorInsufficientDriver,
                    "CUDA driver version is insufficient for CUDA runtime version"),
    EMULATION_ERROR(cudaErrorDevicesUnavailable,
                    "CUDA-capable device(s) is/are busy or unavailable"),
    EMULATION_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    EMULATION_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    EMULATION_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    EMULATION_ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    EMULATION_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    EMULATION_ERROR(cudaErrorNotReady, "device not ready"),
    EMULATION_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    EMULATION_ERROR(cudaErrorAssert, "device-side assert triggered"),
    EMULATION_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    EMULATION_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    EMULATION_ERROR(cudaErrorNotSupported, "operation not supported"),
    EMULATION_ERROR(cudaErrorSystemDriverMismatch,
                    "system has unsupported display driver / cuda driver combination"),
    EMULATION_ERROR(cudaErrorCompatNotSupportedOnDevice,
                    "forward compatibility was attempted on non supported HW"),
    EMULATION_ERROR(cudaErrorMpsConnectionFailed,
                    "MPS client failed to connect to the MPS control daemon or the MPS server"),
    EMULATION_ERROR(cudaErrorMpsMaxClientsReached,
                    "the hardware resources required to create MPS client have been exhausted"),
    EMULATION_ERROR(cudaErrorMpsClientTerminated,
                    "the MPS client has been terminated by the MPS server"),
    EMULATION_ERROR(cudaErrorStreamCaptureUnsupported,
                    "operation not permitted when stream is capturing"),
    EMULATION_ERROR(cudaErrorStreamCaptureInvalidated,
                    "operation failed due to a previous error during capture"),
    EMULATION_ERROR(cudaErrorStreamCaptureMerge,
                    "operation would result in a merge of separate capture sequences"),
    EMULATION_ERROR(cudaErrorStreamCaptureUnmatched,
                    "capture was not ended in the same stream as it began"),
    EMULATION_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    EMULATION_ERROR(cudaErrorStreamCaptureIsolation,
                    "dependency created on uncaptured work in another stream"),
    EMULATION_ERROR(cudaErrorStreamCaptureImplicit,
                    "operation would make the legacy stream depend on a capturing blocking stream"),
    EMULATION_ERROR(cudaErrorCapturedEvent,
                    "operation not permitted on an event last recorded in a capturing stream"),
    EMULATION_ERROR(cudaErrorStreamCaptureWrongThread,
                    "attempt to terminate a thread-local capture sequence from another thread"),
    EMULATION_ERROR(cudaErrorUnknown, "unknown error"),
};
#undef EMULATION_ERROR

const ErrorText* find_error(cudaError_t error) {
  for (const ErrorText& e : kErrors) {
    if (e.error == error) return &e;
  }
  return nullptr;
}

}  // namespace

cudaError_t refuse(cudaError_t error, const std::string& why) {
  last_error = refused_error = error;
  refused_why = why;
  return error;
}

Call::Call(const char* name) : name_(name), lock_(machine().mutex) {
  Machine& m = machine();
  if (m.working) fail(std::string(name) + " is called by a host function of a stream");
  if (m.faults.no_device != cudaSuccess) {
    error_ = refuse(m.faults.no_device, "as planned");
    return;
  }
  const auto device = static_cast<std::size_t>(current_device());
  if (device >= m.devices.size()) {
    error_ = refuse(cudaErrorNoDevice, "no device is emulated");
  } else if (m.devices[device].error != cudaSuccess) {
    error_ = refuse(m.devices[device].error, "the device has failed, as planned");
  }
}

cudaError_t Call::refuse_in_capture() const {
  for (const auto& capture : machine().captures) {
    const bool mine = capture->thread == std::this_thread::get_id();
    if (capture->mode == cudaStreamCaptureModeGlobal ||
        (mine && capture->mode == cudaStreamCaptureModeThreadLocal)) {
      capture->invalid = true;
      return refuse(cudaErrorStreamCaptureUnsupported,
                    std::string(name_) + " while a stream is captured");
    }
  }
  return cudaSuccess;
}

cudaError_t launch(const void* function, dim3 blocks, dim3 threads, std::size_t shared_bytes,
                   cudaStream_t handle, std::unique_ptr<KernelCall> kernel) {
  const Call call("a launch");
  if (call.error() != cudaSuccess) return call.error();
  Machine& m = machine();
  cudaStream_t stream = m.find(handle, current_device());
  if (stream == nullptr || stream->device != current_device()) {
    return refuse(cudaErrorInvalidResourceHandle,
                  "a launch into a stream that is not the current device's");
  }
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0 || blocks.x > 0x7fffffffU ||
      blocks.y > 65535 || blocks.z > 65535) {
    return refuse(cudaErrorInvalidConfiguration, "a grid of " + std::to_string(blocks.x) + " x " +
                                                     std::to_string(blocks.y) + " x " +
                                                     std::to_string(blocks.z) + " blocks");
  }
  const std::size_t count = std::size_t{threads.x} * threads.y * threads.z;
  if (count == 0 || count > 1024 || threads.z > 64) {
    return refuse(cudaErrorInvalidConfiguration, "blocks of " + std::to_string(threads.x) + " x " +
                                                     std::to_string(threads.y) + " x " +
                                                     std::to_string(threads.z) + " threads");
  }
  const auto set = m.max_shared.find(function);
  const std::size_t most = set == m.max_shared.end() ? std::size_t{48} << 10 : set->second;
  if (shared_bytes > most) {
    return refuse(
        cudaErrorInvalidValue,
        std::to_string(shared_bytes) + " bytes of dynamic shared memory, where " +
            (set == m.max_shared.end()
                 ? "a kernel has 48 KiB"
                 : "cudaFuncAttributeMaxDynamicSharedMemorySize allows " + std::to_string(most)));
  }
  if (stream->capture && m.loaded.count(function) == 0) {
    stream->capture->invalid = true;
    return refuse(cudaErrorStreamCaptureUnsupported,
                  "a kernel that is captured before it was loaded");
  }
  if (handle == nullptr) {
    if (const cudaError_t e = call.refuse_in_capture(); e != cudaSuccess)
      return refuse(cudaErrorStreamCaptureImplicit,
                    "a launch into the default stream while another is captured");
  }
  m.late_loads += m.loaded.insert(function).second;
  m.add(stream, [shared = std::shared_ptr<const KernelCall>(std::move(kernel)), function, blocks,
                 threads, shared_bytes, device = static_cast<std::size_t>(stream->device)] {
    Machine& machine_ = machine();
    if (machine_.devices[device].error != cudaSuccess) return;
    ++machine_.kernels;
    if (++machine_.planned_kernels == machine_.faults.error_at) {
      machine_.devices[device].error = machine_.faults.error;
      return;
    }
    run_grid(*shared, function, blocks, threads, shared_bytes, machine_.branch, machine_.random);
  });
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t handle, std::function<void()> work) {
  const Call call("work for a stream");
  if (call.error() != cudaSuccess) return call.error();
  Machine& m = machine();
  cudaStream_t stream = m.find(handle, current_device());
  if (stream == nullptr || stream->device != current_device()) {
    return refuse(cudaErrorInvalidResourceHandle,
                  "work for a stream that is not the current device's");
  }
  m.add(stream, std::move(work));
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t handle, std::function<bool()> ready, std::function<void()> work) {
  const Call call("work for a stream");
  if (call.error() != cudaSuccess) return call.error();
  Machine& m = machine();
  cudaStream_t stream = m.find(handle, current_device());
  if (stream == nullptr || stream->device != current_device()) {
    return refuse(cudaErrorInvalidResourceHandle,
                  "work for a stream that is not the current device's");
  }
  if (stream->capture) {
    stream->capture->invalid = true;
    return refuse(cudaErrorStreamCaptureUnsupported, "work with other ranks in a capture");
  }
  auto operation = std::make_unique<Operation>();
  operation->ready = std::move(ready);
  operation->work = std::move(work);
  m.add(stream, std::move(operation));
  return cudaSuccess;
}

bool device_holds(const void* at, std::size_t size) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  return m.memory.holds(current_device(), at, size);
}

cudaError_t refuse_in_capture(const char* what) {
  const Call call(what);
  return call.error() != cudaSuccess ? call.error() : call.refuse_in_capture();
}

std::uint64_t seed_of_environment() { return from_environment("RENAS_EMULATED_SEED", 1); }

void restart(int devices, std::size_t memory, std::uint64_t seed) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  m.finish_all();
  if (m.memory.blocks() + m.pinned.blocks() + m.streams.size() + m.events.size() + m.graphs.size() +
          m.instances.size() >
      0) {
    fail("restarted before all memory, streams, events and graphs were gone");
  }
  m.devices.clear();
  m.devices.resize(static_cast<std::size_t>(devices));
  for (int i = 0; i < devices; ++i)
    m.devices[static_cast<std::size_t>(i)].null_stream = null_stream(i);
  m.memory_per_device = memory;
  m.random = Random(seed);
  m.faults = {};
  m.allocations = m.kernels = m.planned_allocations = m.planned_kernels = 0;
  m.late_loads = m.blocking_streams = 0;
  m.loaded.clear();
  m.max_shared.clear();
  current_device() = 0;
  last_error = cudaSuccess;
}

void plan(const Faults& faults) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  m.faults = faults;
  m.planned_allocations = m.planned_kernels = 0;
}

Faults planned() {
  const std::lock_guard lock(machine().mutex);
  return machine().faults;
}

Counts counts() {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  return {m.memory.blocks(),
          m.pinned.blocks(),
          m.streams.size(),
          m.events.size(),
          m.graphs.size() + m.instances.size(),
          m.allocations,
          m.kernels,
          m.late_loads,
          m.blocking_streams,
          grid_counts().switches};
}

}  // namespace emulation

using namespace emulation;

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t e = last_error;
  const Machine& m = machine();
  const auto device = static_cast<std::size_t>(current_device());
  const bool stays = device < m.devices.size() && m.devices[device].error != cudaSuccess;
  last_error = stays ? m.devices[device].error : cudaSuccess;
  return stays ? last_error : e;
}

cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorText* e = find_error(error);
  return e == nullptr ? "unrecognized error code" : e->name;
}

const char* cudaGetErrorString(cudaError_t error) {
  thread_local std::string text;
  const ErrorText* e = find_error(error);
  text = e == nullptr ? "unrecognized error code" : e->text;
  if (error != cudaSuccess && error == refused_error) text += " (emulation: " + refused_why + ")";
  return text.c_str();
}

}  // extern "C"
