#pragma once

#include <driver_types.h>

#include <functional>

/// For emulations of libraries that work on streams.
namespace emulation {

/// Puts work at the end of the stream's, or into the graph that the stream captures: then it runs
/// at each replay.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);

/// An error, which ends the capture, while the calling thread captures a stream.
cudaError_t refuse_in_capture(const char* what);

}  // namespace emulation
