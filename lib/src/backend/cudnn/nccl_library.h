#pragma once

#include <nccl.h>

#include <string>

namespace renas::cudnn {

/// What the backend calls of NCCL. The library is opened at run time, so that one program runs with
/// it and without: only trainings of several ranks need it, and it comes in other packages than
/// CUDA and cuDNN.
struct Nccl {
  decltype(&ncclGetVersion) get_version = nullptr;
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRankConfig) init_rank = nullptr;
  decltype(&ncclCommGetAsyncError) get_async_error = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclCommFinalize) finalize = nullptr;
  decltype(&ncclCommDestroy) destroy = nullptr;
  decltype(&ncclCommAbort) abort = nullptr;
  decltype(&ncclGetErrorString) error_string = nullptr;
  decltype(&ncclGetLastError) last_error = nullptr;
};

/// Opens the library. Where that fails, sets `lacks` to a sentence that says why.
Nccl open_nccl(std::string& lacks);

}  // namespace renas::cudnn
