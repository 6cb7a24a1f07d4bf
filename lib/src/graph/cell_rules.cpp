#include "graph/cell_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "renas/error.h"

namespace renas {

namespace {

using Keep = CellRules::KeepC2;
using Identity = CellRules::StridedIdentity;
using Auxiliary = CellRules::AuxiliaryCell;

const std::array<CellRules, 6>& families() {
  static const std::array<CellRules, 6> all{{
      {.family = "renas", .keep_c2 = Keep::kFirstCell, .strided_identity = Identity::kMaxPool},
      {.family = "nasnet", .raw_stem = true},
      {.family = "pnasnet", .raw_stem = true, .reduces_in_place = true},
      {.family = "amoebanet", .raw_stem = true},
      {.family = "enas",
       .adapts_c1_twice = true,
       .strided_identity = Identity::kReduction,
       .classifier_bias = false,
       .auxiliary_cell = Auxiliary::kAfterSecondReduction,
       .auxiliary_mean = true},
      {.family = "darts",
       .keep_c2 = Keep::kNever,
       .strided_identity = Identity::kReluReduction,
       .stem_of_three = true,
       .final_relu = false,
       .auxiliary_cell = Auxiliary::kSecondReduction},
  }};
  return all;
}

}  // namespace

const CellRules& cell_rules(const std::string& family) {
  std::vector<std::string> names;
  for (const CellRules& rules : families()) {
    if (family == rules.family) return rules;
    names.emplace_back(rules.family);
  }
  throw InvalidInput(fmt::format("architecture: '{}' is no family of cells; expected one of {}",
                                 family, fmt::join(names, ", ")));
}

}  // namespace renas
