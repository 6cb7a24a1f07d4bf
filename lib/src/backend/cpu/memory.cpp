#include "backend/cpu/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "renas/error.h"

namespace renas::cpu {

Buffer::Buffer(std::size_t size, bool clear) : size_(size) {
  if (size == 0) return;
  // Large buffers lie in large pages, which cost fewer page faults and fewer page-table walks.
  constexpr std::size_t kLine = 64;
  constexpr std::size_t kLargePage = std::size_t{2} << 20;
  const std::size_t wanted = size * sizeof(float);
  const bool large = wanted >= kLargePage;
  const std::size_t unit = large ? kLargePage : kLine;
  const std::size_t bytes = (wanted + unit - 1) / unit * unit;
  data_.reset(static_cast<float*>(std::aligned_alloc(unit, bytes)));
  if (data_ == nullptr) {
    throw OutOfMemory(
        fmt::format("cpu backend: no memory for a buffer of {} bytes; use a smaller batch "
                    "or network",
                    bytes));
  }
#ifdef MADV_HUGEPAGE
  if (large) madvise(data_.get(), bytes, MADV_HUGEPAGE);  // a hint that may be refused
#endif
  if (clear) std::memset(data_.get(), 0, bytes);
}

void Buffer::Free::operator()(float* p) const { std::free(p); }

Buffer ArenaCache::take(std::size_t size) {
  {
    const std::lock_guard lock(mutex_);
    Buffer kept = std::exchange(kept_, Buffer());
    if (kept.size() >= size) return kept;
  }  // a kept buffer that is too small is freed before a new one is allocated
  return Buffer(size, false);
}

void ArenaCache::put_back(Buffer buffer) {
  const std::lock_guard lock(mutex_);
  if (buffer.size() > kept_.size()) std::swap(buffer, kept_);
}

}  // namespace renas::cpu
