#pragma once

#include <driver_types.h>

#include <cstddef>
#include <functional>

/// For emulations of libraries that work on streams.
namespace emulation {

/// Puts work at the end of the stream's, or into the graph that the stream captures: then it runs
/// at each replay.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);

/// The same for work that others have a part in. Once all before it is done, the stream asks
/// `ready` until that says that it can be done, and other streams go on meanwhile. Not in a
/// capture.
cudaError_t enqueue(cudaStream_t stream, std::function<bool()> ready, std::function<void()> work);

/// Whether [at, at + size) lies within one block of the current device's memory.
bool device_holds(const void* at, std::size_t size);

/// An error, which ends the capture, while the calling thread captures a stream.
cudaError_t refuse_in_capture(const char* what);

}  // namespace emulation
