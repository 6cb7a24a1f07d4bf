// Takes the place of the backend's file of this name: the emulated NCCL is part of the program.
#include "backend/cudnn/nccl_library.h"

#include <cstdlib>

namespace renas::cudnn {

Nccl open_nccl(std::string& lacks) {
  if (std::getenv("RENAS_EMULATED_NO_NCCL") != nullptr) {
    lacks = "NCCL is not found, as planned";
    return {};
  }
  return {ncclGetVersion,     ncclGetUniqueId,  ncclCommInitRankConfig, ncclCommGetAsyncError,
          ncclAllReduce,      ncclCommFinalize, ncclCommDestroy,        ncclCommAbort,
          ncclGetErrorString, ncclGetLastError};
}

}  // namespace renas::cudnn
