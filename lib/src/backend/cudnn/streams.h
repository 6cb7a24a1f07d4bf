#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include "backend/cudnn/device.h"

/// Handles of the CUDA runtime that destroy themselves.
namespace renas::cudnn {

/// A queue of work on the device, which does not wait for the default stream.
class Stream {
 public:
  Stream() {
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "making a stream");
    stream_.reset(made);
  }
  cudaStream_t get() const { return stream_.get(); }
  /// Returns when all work of the stream is done.
  void wait() const { check(cudaStreamSynchronize(get()), "waiting for the GPU"); }

 private:
  struct Destroy {
    void operator()(cudaStream_t s) const { cudaStreamDestroy(s); }
  };
  std::unique_ptr<CUstream_st, Destroy> stream_;
};

/// A point in a stream's work.
class Event {
 public:
  Event() {
    cudaEvent_t made = nullptr;
    check(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "making an event");
    event_.reset(made);
  }
  cudaEvent_t get() const { return event_.get(); }
  void record(const Stream& stream) const {
    check(cudaEventRecord(event_.get(), stream.get()), "recording an event");
  }
  /// Lets what `stream` is given from now on wait until the point has been passed.
  void hold(const Stream& stream) const {
    check(cudaStreamWaitEvent(stream.get(), event_.get(), 0), "making a stream wait");
  }
  /// Returns when the stream has passed the point; at once if there was none.
  void wait() const { check(cudaEventSynchronize(event_.get()), "waiting for the GPU"); }

 private:
  struct Destroy {
    void operator()(cudaEvent_t e) const { cudaEventDestroy(e); }
  };
  std::unique_ptr<CUevent_st, Destroy> event_;
};

/// The streams that a step's work runs on side by side, and the points where they wait for each
/// other. The first is the one that all other work of a program is given to.
struct StepStreams {
  StepStreams(int stream_count, int event_count)
      : streams(static_cast<std::size_t>(stream_count)),
        ended(static_cast<std::size_t>(event_count)) {}
  const Stream& first() const { return streams.front(); }

  std::vector<Stream> streams;
  Event begun;               ///< of the first stream, when a step begins
  std::vector<Event> ended;  ///< by plan::Task::event
};

/// Work that was recorded from a stream and can be launched as a whole: a CUDA graph.
class Recording {
 public:
  /// Records what `work` launches on `stream`.
  template <class Work>
  static Recording record(const Stream& stream, const Work& work) {
    check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal),
          "recording a graph");
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream.get(), &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream.get(), &graph), "recording a graph");
    cudaGraphExec_t made = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&made, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "instantiating a graph");
    Recording result;
    result.exec_.reset(made);
    return result;
  }
  explicit operator bool() const { return exec_ != nullptr; }
  void launch(const Stream& stream) const {
    check(cudaGraphLaunch(exec_.get(), stream.get()), "launching a graph");
  }

 private:
  struct Destroy {
    void operator()(cudaGraphExec_t g) const { cudaGraphExecDestroy(g); }
  };
  std::unique_ptr<CUgraphExec_st, Destroy> exec_;
};

}  // namespace renas::cudnn
