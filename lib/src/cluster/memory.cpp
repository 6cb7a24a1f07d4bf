#include "cluster/memory.h"

#include <unistd.h>

#include <fstream>

namespace renas {

int64_t resident_memory() {
  std::ifstream in("/proc/self/statm");
  int64_t all = 0;
  int64_t resident = 0;
  in >> all >> resident;
  return in ? resident * ::sysconf(_SC_PAGESIZE) : 0;
}

int64_t training_memory(const Backend& backend, const Graph& graph, int batch,
                        const Device& device) {
  return backend
      .estimate(graph, {.batch = batch, .threads = device.threads, .precision = device.precision})
      .bytes;
}

}  // namespace renas
