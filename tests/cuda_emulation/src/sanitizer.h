#pragma once

#include <cstddef>

// What ThreadSanitizer is told about who waits for whom, and AddressSanitizer about stacks. Nothing
// without them. The emulation itself is not instrumented for ThreadSanitizer, since its own order
// is no order of the emulated device: EMULATION_THREAD_SANITIZER says that the rest is.

#if defined(__SANITIZE_THREAD__)
#error "compile the emulation with -fno-sanitize=thread and EMULATION_THREAD_SANITIZER"
#endif

#ifdef EMULATION_THREAD_SANITIZER
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulation {

/// To ThreadSanitizer a line of execution of the emulated machine: a CUDA thread, a stream, a
/// branch of a graph. Null without it.
using Line = void*;
/// A place where such lines meet: what one did before it releases a clock, another sees after it
/// acquires it.
struct Clock {
  char place = 0;
};

#ifdef EMULATION_THREAD_SANITIZER
constexpr bool kThreadSanitizer = true;
inline Line new_line() { return __tsan_create_fiber(0); }
inline Line current_line() { return __tsan_get_current_fiber(); }
/// Goes on as another line, which orders nothing.
inline void switch_to(Line line) { __tsan_switch_to_fiber(line, 1); }
inline void acquire(Clock& clock) { __tsan_acquire(&clock); }
inline void release(Clock& clock) { __tsan_release(&clock); }

/// While it lives, accesses of the current line are the emulation's own and compared with nobody's.
class OwnAccesses {
 public:
  OwnAccesses() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~OwnAccesses() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
  OwnAccesses(const OwnAccesses&) = delete;
  OwnAccesses& operator=(const OwnAccesses&) = delete;
};
#else
constexpr bool kThreadSanitizer = false;
inline Line new_line() { return nullptr; }
inline Line current_line() { return nullptr; }
inline void switch_to(Line) {}
inline void acquire(Clock&) {}
inline void release(Clock&) {}
class OwnAccesses {
 public:
  OwnAccesses() {}
  ~OwnAccesses() {}
  OwnAccesses(const OwnAccesses&) = delete;
  OwnAccesses& operator=(const OwnAccesses&) = delete;
};
#endif

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
inline void forbid(void* at, std::size_t size) { __asan_poison_memory_region(at, size); }
inline void allow(void* at, std::size_t size) { __asan_unpoison_memory_region(at, size); }
#else
constexpr bool kAddressSanitizer = false;
inline void forbid(void*, std::size_t) {}
inline void allow(void*, std::size_t) {}
#endif

}  // namespace emulation
