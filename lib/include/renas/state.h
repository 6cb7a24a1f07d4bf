#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace renas {

/// One flat array of a State.
using StateArray = std::variant<std::vector<int64_t>, std::vector<uint64_t>, std::vector<double>,
                                std::vector<float>>;

/// The saved state of a search: named arrays, from which it continues exactly. A slash in a name
/// separates folders, so that a store can write the arrays as they are.
using State = std::map<std::string, StateArray>;

}  // namespace renas
