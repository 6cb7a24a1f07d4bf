#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "fail.h"
#include "sanitizer.h"

namespace emulation {

namespace {

constexpr std::size_t kAlignment = 256;  // as cudaMalloc promises

std::size_t rounded_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

}  // namespace

void* DeviceMemory::allocate(int device, std::size_t size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t bytes = rounded_up(rounded_up(size, kAlignment), page);
  void* mapped = mmap(nullptr, bytes + 2 * page, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* pages = static_cast<char*>(mapped) + page;
  if (mprotect(pages, bytes, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapped, bytes + 2 * page);
    return nullptr;
  }
  char* first = pages + bytes - rounded_up(size, kAlignment);
  std::memset(first, 0xff, size);
  forbid(pages, static_cast<std::size_t>(first - pages));
  forbid(first + size, static_cast<std::size_t>(pages + bytes - first) - size);
  if (open_ != device && mprotect(pages, bytes, PROT_NONE) != 0) fail("mprotect");
  blocks_[first] = {device, size, pages, bytes};
  return first;
}

bool DeviceMemory::free(void* at) {
  const auto found = blocks_.find(static_cast<const char*>(at));
  if (found == blocks_.end()) return false;
  const Block& block = found->second;
  allow(block.pages, block.page_bytes);
  // Keeps the addresses and gives the memory back.
  if (mmap(block.pages, block.page_bytes, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
    fail("mmap");
  }
  blocks_.erase(found);
  return true;
}

bool DeviceMemory::holds(int device, const void* at, std::size_t size) const {
  const auto* first = static_cast<const char*>(at);
  auto block = blocks_.upper_bound(first);
  if (block == blocks_.begin()) return false;
  --block;
  return block->second.device == device && first + size <= block->first + block->second.size;
}

bool DeviceMemory::holds(const void* at) const {
  const auto* first = static_cast<const char*>(at);
  auto block = blocks_.upper_bound(first);
  if (block == blocks_.begin()) return false;
  --block;
  return first < block->first + block->second.size;
}

std::size_t DeviceMemory::used(int device) const {
  std::size_t bytes = 0;
  for (const auto& [at, block] : blocks_) bytes += block.device == device ? block.size : 0;
  return bytes;
}

void DeviceMemory::open(int device) {
  if (open_ == device) return;
  for (const auto& [at, block] : blocks_) {
    const bool was = block.device == open_;
    const bool is = block.device == device;
    if (was == is) continue;
    if (mprotect(block.pages, block.page_bytes, is ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
      fail("mprotect");
  }
  open_ = device;
}

void* PinnedMemory::allocate(std::size_t size) {
  void* memory = nullptr;  // as much as asked for: AddressSanitizer sees what lies beyond
  if (posix_memalign(&memory, kAlignment, size == 0 ? 1 : size) != 0) return nullptr;
  std::memset(memory, 0xff, size);
  blocks_[static_cast<const char*>(memory)] = size;
  return memory;
}

bool PinnedMemory::free(void* at) {
  if (!remove(at)) return false;
  std::free(at);
  return true;
}

bool PinnedMemory::add(void* at, std::size_t size) {
  return at != nullptr && blocks_.emplace(static_cast<const char*>(at), size).second;
}

bool PinnedMemory::remove(void* at) { return blocks_.erase(static_cast<const char*>(at)) == 1; }

bool PinnedMemory::holds(const void* at, std::size_t size) const {
  const auto* first = static_cast<const char*>(at);
  auto block = blocks_.upper_bound(first);
  if (block == blocks_.begin()) return false;
  --block;
  return first + size <= block->first + block->second;
}

}  // namespace emulation
