#pragma once

#include <string>

namespace renas::cpu {

/// The instruction sets that kernels are chosen for on this processor, for people to read: "AVX2",
/// "AVX-512 with bfloat16", "AVX-512, bfloat16 on AMX". Asks no permission for AMX.
std::string instruction_sets();

}  // namespace renas::cpu
