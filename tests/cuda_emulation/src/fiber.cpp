#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fail.h"
#include "sanitizer.h"
#ifndef __x86_64__
#include <ucontext.h>
#endif

#ifdef __x86_64__
// Saves the registers that a call preserves and the stack pointer, and goes on with another's.
extern "C" void emulation_switch_stack(void** save, void* load);
asm(R"(
.text
.type emulation_switch_stack,@function
emulation_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulation_switch_stack,.-emulation_switch_stack
)");
#endif

namespace emulation {

#ifdef __x86_64__
struct Fiber::Context {
  void* stack_pointer = nullptr;
};
#else
struct Fiber::Context {
  ucontext_t registers;
};
#endif

namespace {

// Sanitizers make frames many times larger.
constexpr std::size_t kStackBytes = (kAddressSanitizer ? 256 : 64) * 1024;

Fiber* current = nullptr;
#if defined(__SANITIZE_ADDRESS__)
void* outside_fake_stack = nullptr;
const void* outside_stack = nullptr;
std::size_t outside_size = 0;
#endif

}  // namespace

static void* outside_context() {
#ifdef __x86_64__
  static void* pointer = nullptr;
  return &pointer;
#else
  static ucontext_t registers;
  return &registers;
#endif
}

Fiber::Fiber(void (*function)()) : context_(new Context), function_(function), size_(kStackBytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, size_ + page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0)
    fail("no memory for the stack of a thread");
  stack_ = static_cast<char*>(memory) + page;
#ifdef __x86_64__
  auto* top = reinterpret_cast<void**>(stack_ + size_);
  *--top = nullptr;  // where begin() would return to: it never does
  *--top = reinterpret_cast<void*>(&Fiber::begin);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  context_->stack_pointer = top;
#else
  getcontext(&context_->registers);
  context_->registers.uc_stack.ss_sp = stack_;
  context_->registers.uc_stack.ss_size = size_;
  context_->registers.uc_link = nullptr;
  makecontext(&context_->registers, &Fiber::begin, 0);
#endif
}

void Fiber::begin() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &outside_stack, &outside_size);
#endif
  current->function_();
  fail("the function of a fiber returned");
}

void Fiber::resume() {
  current = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&outside_fake_stack, stack_, size_);
#endif
#ifdef __x86_64__
  emulation_switch_stack(static_cast<void**>(outside_context()), context_->stack_pointer);
#else
  swapcontext(static_cast<ucontext_t*>(outside_context()), &context_->registers);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(outside_fake_stack, nullptr, nullptr);
#endif
  current = nullptr;
}

void Fiber::suspend() {
  Fiber* self = current;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&self->fake_stack_, outside_stack, outside_size);
#endif
#ifdef __x86_64__
  emulation_switch_stack(&self->context_->stack_pointer, *static_cast<void**>(outside_context()));
#else
  swapcontext(&self->context_->registers, static_cast<ucontext_t*>(outside_context()));
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(self->fake_stack_, &outside_stack, &outside_size);
#endif
}

Fiber* Fiber::running() { return current; }

}  // namespace emulation
