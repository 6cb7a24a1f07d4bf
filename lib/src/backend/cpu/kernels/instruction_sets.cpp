#include "backend/cpu/kernels/instruction_sets.h"

#include <hwy/targets.h>

#include <cstdint>

#include "backend/cpu/kernels/bf16_kernels.h"

namespace renas::cpu {

std::string instruction_sets() {
  const int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  const int64_t best = usable & -usable;  // Highway's lowest bit is the best
  std::string sets = hwy::TargetName(best);
  if (HWY_ARCH_X86 != 0 && best < HWY_AVX2) sets = "AVX-512";  // which has several names there
  if (bf16::available()) sets += bf16::offers_amx() ? ", bfloat16 on AMX" : " with bfloat16";
  return sets;
}

}  // namespace renas::cpu
