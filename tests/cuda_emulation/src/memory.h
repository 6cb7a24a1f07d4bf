#pragma once

#include <cstddef>
#include <map>

/// The memory of the emulated devices and what the host has pinned.
namespace emulation {

/// Device memory, which the host cannot touch: its pages are closed but while a device works, and
/// then those of the other devices are. A block ends within 256 bytes of a page that nobody may
/// touch, and AddressSanitizer knows its end to the byte. Freed addresses never come back.
class DeviceMemory {
 public:
  /// Full of NaNs. Null where the machine has no more.
  void* allocate(int device, std::size_t size);
  /// False: no block begins there.
  bool free(void* at);
  /// Whether [at, at + size) lies within one block of the device.
  bool holds(int device, const void* at, std::size_t size) const;
  /// Whether `at` is any device's.
  bool holds(const void* at) const;
  std::size_t used(int device) const;
  std::size_t blocks() const { return blocks_.size(); }
  /// Opens the pages of one device; -1: none.
  void open(int device);

 private:
  struct Block {
    int device;
    std::size_t size;
    char* pages;
    std::size_t page_bytes;
  };
  std::map<const char*, Block> blocks_;
  int open_ = -1;
};

/// Host memory that the device may copy from and to while the host goes on.
class PinnedMemory {
 public:
  void* allocate(std::size_t size);
  bool free(void* at);
  bool add(void* at, std::size_t size);
  bool remove(void* at);
  bool holds(const void* at, std::size_t size) const;
  std::size_t blocks() const { return blocks_.size(); }

 private:
  std::map<const char*, std::size_t> blocks_;
};

}  // namespace emulation
