#pragma once

#include <cstddef>
#include <memory>

namespace emulation {

/// A function on a stack of its own, in turns with whoever resumes it. A page that nobody may touch
/// ends the stack. Never destroyed once made: fibers are kept and used again.
class Fiber {
 public:
  /// `function` never returns; it suspends when it has nothing more to do.
  explicit Fiber(void (*function)());
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs it from where it was, until it suspends. Only from outside of fibers.
  void resume();
  /// The one that runs now, goes back to who resumed it.
  static void suspend();
  static Fiber* running();

 private:
  struct Context;
  static void begin();

  Context* context_;
  void (*function_)();
  char* stack_ = nullptr;
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
};

}  // namespace emulation
