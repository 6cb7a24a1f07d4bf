#include "backend/cudnn/architectures.h"

#include <algorithm>
#include <charconv>

namespace renas::cudnn {

std::string_view built_architectures() { return RENAS_GPU_ARCHITECTURES; }

KernelFit kernel_fit(int major, int minor, std::string_view architectures) {
  const int card = 10 * major + minor;
  KernelFit best = KernelFit::kNone;
  while (!architectures.empty()) {
    const std::string_view entry = architectures.substr(0, architectures.find(','));
    architectures.remove_prefix(std::min(architectures.size(), entry.size() + 1));
    int number = 0;
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), number);
    if (error != std::errc()) return KernelFit::kReady;
    const std::string_view rest = entry.substr(static_cast<std::size_t>(end - entry.data()));
    const bool of_one_card = rest.starts_with('a');
    const bool of_a_family = rest.starts_with('f');
    const bool has_code = !rest.ends_with("-virtual");
    const bool has_ptx = !rest.ends_with("-real");
    const bool code_runs = of_one_card ? number == card : number / 10 == major && number <= card;
    const bool ptx_runs = of_one_card || of_a_family ? code_runs : number <= card;
    if (has_code && code_runs) return KernelFit::kReady;
    if (has_ptx && ptx_runs) best = KernelFit::kCompiledAtStart;
  }
  return best;
}

}  // namespace renas::cudnn
