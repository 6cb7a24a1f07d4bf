#pragma once

#include <string>
#include <string_view>

/// Which GPUs this build has kernels for.
namespace renas::cudnn {

enum class KernelFit {
  kReady,            ///< the build has the card's own code
  kCompiledAtStart,  ///< the driver makes it from PTX, the first time within minutes
  kNone
};

/// Whether a card of a compute capability runs kernels that were built for `architectures`, CMake's
/// list of them with commas: numbers like 80, of which each gives code and PTX, or with "-real" one
/// of them and with "-virtual" the other. Those of 90a run on that card alone, those of 100f on
/// cards of that number before the dot. Words like "native" say nothing, so every card is taken.
KernelFit kernel_fit(int major, int minor, std::string_view architectures);

/// What this build was configured with.
std::string_view built_architectures();

}  // namespace renas::cudnn
