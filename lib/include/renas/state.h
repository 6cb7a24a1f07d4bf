#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace renas {

/// One flat array of a search state.
using StateArray = std::variant<std::vector<int64_t>, std::vector<uint64_t>, std::vector<double>,
                                std::vector<float>>;

/// The saved state of a search, as named arrays. A search that loads it continues exactly where the
/// saved one stood. A slash in a name separates folders, so that a store can write the arrays as
/// they are.
using State = std::map<std::string, StateArray>;

}  // namespace renas
