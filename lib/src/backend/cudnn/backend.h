#pragma once

#include <memory>

#include "renas/backend.h"

namespace renas::cudnn {

/// The backend on GPU number `index`; -1 chooses the first. Parts of a network that do not depend
/// on each other run side by side on up to `streams` streams (0: four). `graphs` records a step's
/// kernels as a CUDA graph; without, they are launched one by one, which a debugger follows more
/// easily. Neither changes a bit. Throws InvalidInput where there is no such device, and says why.
std::unique_ptr<Backend> make_cudnn(int index = -1, int streams = 0, bool graphs = true);

/// Whether a usable GPU answers. If not, `reason` says why.
bool gpu_is_there(std::string* reason = nullptr);

}  // namespace renas::cudnn
