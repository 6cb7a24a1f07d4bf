// Any text as a list of images and masks: names that stay in the folder, or InvalidInput.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "pair_list.h"
#include "renas/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  try {
    const auto pairs = renas::prep::parse_pair_list(lines, "input");
    if (pairs.empty()) std::abort();
    std::set<std::string> names;
    for (const auto& pair : pairs) {
      if (pair.id.empty() != !pair.image.empty() || pair.image.empty() != pair.mask.empty()) {
        std::abort();
      }
      if (!names.insert(pair.id.empty() ? pair.image : pair.id).second) std::abort();
      for (const std::string& name : {pair.id, pair.image, pair.mask}) {
        if (name == ".." || name.rfind("../", 0) == 0 || name.find("/../") != std::string::npos) {
          std::abort();
        }
        if (!name.empty() && (name.front() == '/' || name.back() == '/')) std::abort();
        if (name.ends_with("/..")) std::abort();
      }
    }
  } catch (const renas::InvalidInput&) {
  }
  return 0;
}
