#pragma once

#include <map>
#include <string>

#include "renas/model.h"

namespace renas {

/// What a user of an exported model wants to know of it, by keys that are common in such files;
/// lists are JSON.
std::map<std::string, std::string> describe(const Model& model);

/// How a picture of any size becomes an input of the network, in words.
std::string preparation_text(const Model& model);

}  // namespace renas
