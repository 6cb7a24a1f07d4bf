// Any text as a table of labels: names and classes that are not empty, or InvalidInput; and names
// become UTF-8.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "labels.h"
#include "names.h"
#include "renas/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace renas::prep;
  std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  try {
    for (const auto& line : parse_labels(lines, "input")) {
      for (const std::string& word : {line.name, line.label}) {
        if (word.empty() || word.front() == ' ' || word.back() == ' ') std::abort();
        if (!is_utf8(as_utf8(word)) || as_utf8(as_utf8(word)) != as_utf8(word)) std::abort();
        if (is_utf8(word) && !is_utf8(lower_case(word))) std::abort();
      }
    }
  } catch (const renas::InvalidInput&) {
  }
  return 0;
}
