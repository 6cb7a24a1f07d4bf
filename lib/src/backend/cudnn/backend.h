#pragma once

#include <memory>

#include "renas/backend.h"

namespace renas::cudnn {

/// The backend on GPU number `index`; -1 chooses the first. `graphs` records a step's kernels as a
/// CUDA graph; without, they are launched one by one, which a debugger follows more easily. Throws
/// InvalidInput where there is no such device, and says why.
std::unique_ptr<Backend> make_cudnn(int index = -1, bool graphs = true);

/// Whether a usable GPU answers. If not, `reason` says why.
bool gpu_is_there(std::string* reason = nullptr);

}  // namespace renas::cudnn
