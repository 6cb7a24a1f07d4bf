#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace renas {

/// What must be kept to go on exactly: flat named arrays, which a store writes as they are
/// (slashes in names are folders).
using StateArray = std::variant<std::vector<int64_t>, std::vector<uint64_t>, std::vector<double>,
                                std::vector<float>>;
using State = std::map<std::string, StateArray>;

}  // namespace renas
