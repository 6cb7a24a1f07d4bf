#include "backend/cudnn/nccl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace renas::cudnn {

namespace {

/// Where the loader looks, then where it lay when the library was built.
constexpr const char* kNames[] = {"libnccl.so.2", RENAS_NCCL_LIBRARY};

}  // namespace

Nccl open_nccl(std::string& lacks) {
  Nccl nccl;
  void* library = nullptr;  // open until the process ends: NCCL has threads of its own
  for (const char* name : kNames) {
    if (library == nullptr && *name != '\0') library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) {
    lacks = "NCCL's libnccl.so.2 is not found where the dynamic loader looks (LD_LIBRARY_PATH)";
    return nccl;
  }
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (function == nullptr && lacks.empty()) {
      lacks = fmt::format("libnccl.so.2 has no {}: NCCL 2.14 or newer is needed", name);
    }
  };
  find(nccl.get_version, "ncclGetVersion");
  find(nccl.get_unique_id, "ncclGetUniqueId");
  find(nccl.init_rank, "ncclCommInitRankConfig");
  find(nccl.get_async_error, "ncclCommGetAsyncError");
  find(nccl.all_reduce, "ncclAllReduce");
  find(nccl.finalize, "ncclCommFinalize");
  find(nccl.destroy, "ncclCommDestroy");
  find(nccl.abort, "ncclCommAbort");
  find(nccl.error_string, "ncclGetErrorString");
  find(nccl.last_error, "ncclGetLastError");
  return nccl;
}

}  // namespace renas::cudnn
