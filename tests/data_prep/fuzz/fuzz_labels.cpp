// Any text as a label file: names and classes without blanks, or InvalidInput.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "renas/error.h"
#include "tree.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  try {
    for (const auto& line : renas::prep::parse_labels(lines, "input")) {
      for (const std::string& word : {line.name, line.label}) {
        if (word.empty() || word.find_first_of(" \t,") != std::string::npos) std::abort();
      }
    }
  } catch (const renas::InvalidInput&) {
  }
  return 0;
}
