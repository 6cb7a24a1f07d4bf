#include "cli/print_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "cli/console.h"

namespace renas::cli {
namespace {

std::string bytes_text(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  return value < 1e9 ? fmt::format("{:.1f} MB", value / 1e6)
                     : fmt::format("{:.2f} GB", value / 1e9);
}

void print_sizes(const char* title, const NetworkSizes& sizes) {
  fmt::print("{} ({} drawn)\n", title, sizes.cells);
  for (const auto& [name, s] :
       {std::pair{"parameters", sizes.parameters}, std::pair{"mult-adds", sizes.mult_adds}}) {
    fmt::print("  {:<12}{:.3f} M in the median, {:.3f} to {:.3f} M\n", name,
               1e-6 * static_cast<double>(s.median), 1e-6 * static_cast<double>(s.least),
               1e-6 * static_cast<double>(s.most));
  }
}

}  // namespace

void print_plan(const SearchPlan& plan, const SearchRunOptions& options) {
  print_sizes(plan.admitted ? "random cells, without the limits" : "random cells", plan.any);
  if (plan.admitted) print_sizes("random cells within the limits", *plan.admitted);
  fmt::print("memory        {} to train the largest of them, and {} besides, a rank",
             bytes_text(plan.memory), bytes_text(plan.memory_before));
  if (plan.memory_limit > 0) {
    const bool fits = plan.memory + plan.memory_before <= plan.memory_limit;
    fmt::print("; it has {}{}", bytes_text(plan.memory_limit),
               fits ? "" : ": TOO LITTLE, such cells will count as out of memory");
  }
  fmt::print(
      "\nspeed         {:.0f} images/s, measured on this machine with the median cell\n"
      "a member      {}, a child {}, a retrained network {}\n"
      "disk          {}, and {} a rank\n",
      plan.images_per_second, duration_text(plan.member_seconds), duration_text(plan.child_seconds),
      duration_text(plan.retrain_seconds), bytes_text(plan.disk), bytes_text(plan.disk_a_rank));
  if (plan.admitted) {
    fmt::print("search        {:.2f} rank-hours within the limits, {:.2f} without them\n",
               plan.search_seconds / 3600, plan.search_seconds_any / 3600);
  } else {
    fmt::print("search        {:.2f} rank-hours\n", plan.search_seconds / 3600);
  }
  fmt::print("retraining    {:.2f} rank-hours\n", plan.final_seconds / 3600);
  const double networks = options.strategy.population + options.controls;
  for (const int ranks : {1, 4, 16, 64, 256}) {
    // A phase takes at least as long as one child after another of one family, or one network.
    const double retraining =
        plan.retrain_seconds * std::max(1.0, networks / static_cast<double>(ranks));
    fmt::print("on {:>4} ranks {}\n", ranks,
               duration_text(plan.search_seconds / ranks + retraining));
    if (ranks > options.strategy.population + options.children) break;
  }
}

}  // namespace renas::cli
