#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace renas::cudnn {

/// Where blocks of memory come from. allocate() throws OutOfMemory, on a device with the bytes
/// asked, free and there.
struct DeviceMemory {
  static std::byte* allocate(std::size_t bytes);
  static void free(std::byte* p);
};
/// Host memory that the device can copy from while the host goes on.
struct PinnedMemory {
  static std::byte* allocate(std::size_t bytes);
  static void free(std::byte* p);
};

/// Copies from the host's memory, of any kind, to the device's. When it returns, every stream finds
/// the numbers there; after cudaMemcpy() alone they may still be on their way.
void copy_to_device(void* to, const void* from, std::size_t bytes, const char* what);

/// A block of memory, which it owns.
template <class Memory>
class Block {
 public:
  Block() = default;
  explicit Block(std::size_t bytes) : data_(Memory::allocate(bytes)), size_(bytes) {}
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { Memory::free(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};
using DeviceBlock = Block<DeviceMemory>;
using PinnedBlock = Block<PinnedMemory>;

/// To AddressSanitizer, which sees the host's accesses and those of emulated devices, memory that
/// nobody may touch, and memory that one may again. Without it these do nothing.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kGap = 256;  // between pieces of a block
inline void forbid(const void* p, std::size_t size) { __asan_poison_memory_region(p, size); }
inline void allow(const void* p, std::size_t size) { __asan_unpoison_memory_region(p, size); }
#else
constexpr std::size_t kGap = 0;
inline void forbid(const void* /*p*/, std::size_t /*size*/) {}
inline void allow(const void* /*p*/, std::size_t /*size*/) {}
#endif

/// Keeps the last destroyed program's block for the next one, which then allocates nothing: an
/// allocation would wait for all work on the device. Several threads may call.
template <class Block>
class BlockCache {
 public:
  /// Returns a block of at least `bytes` bytes with arbitrary contents.
  Block take(std::size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      Block kept = std::exchange(kept_, {});
      if (kept.size() >= bytes && kept.data() != nullptr) return kept;
    }  // one that is too small goes before its successor comes
    return Block(bytes);
  }
  void put_back(Block block) {
    allow(block.data(), block.size());
    const std::lock_guard lock(mutex_);
    if (block.size() > kept_.size()) kept_ = std::move(block);
  }

 private:
  std::mutex mutex_;
  Block kept_;
};

/// Hands out the pieces of one block, each aligned to 256 bytes, and collects the contents of those
/// that are constant, which lie behind the others. Made without a block it only measures: a program
/// lays itself out twice, and the pieces of the first time must not be touched.
class Layout {
 public:
  Layout() = default;
  /// Lays out a block of measured.bytes() bytes at `base`.
  Layout(std::byte* base, const Layout& measured)
      : measuring_(false), base_(base), first_constant_(measured.used_) {}

  std::size_t bytes() const { return used_ + constant_bytes_; }

  template <class T>
  T* take(std::size_t count) {
    const std::size_t size = count * sizeof(T);
    const std::size_t at = next(used_, size + kGap);
    if (!measuring_) forbid(base_ + at + size, used_ - at - size);
    return reinterpret_cast<T*>(base_ + at);
  }
  /// The place of a copy of `values`, which is there after upload().
  template <class T>
  T* constant(const std::vector<T>& values) {
    const std::size_t at = next(constant_bytes_, values.size() * sizeof(T));
    if (!measuring_) {
      constants_.resize(constant_bytes_);
      if (!values.empty()) {
        std::memcpy(constants_.data() + at, values.data(), values.size() * sizeof(T));
      }
    }
    return reinterpret_cast<T*>(base_ + first_constant_ + at);
  }
  /// Copies the constants to the device, all at once, and waits.
  void upload() const;

 private:
  static constexpr std::size_t kAlignment = 256;

  /// No block; offsets may be added to it, which they may not to a null pointer.
  static std::byte* nowhere() { return reinterpret_cast<std::byte*>(kAlignment); }
  static std::size_t next(std::size_t& used, std::size_t bytes) {
    const std::size_t at = used;
    used += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  }

  bool measuring_ = true;
  std::byte* base_ = nowhere();
  std::size_t first_constant_ = 0;
  std::size_t used_ = 0;
  std::size_t constant_bytes_ = 0;
  std::vector<std::byte> constants_;
};

}  // namespace renas::cudnn
