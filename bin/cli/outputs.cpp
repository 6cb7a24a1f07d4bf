#include "cli/outputs.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "renas/error.h"

namespace renas::cli {

namespace {

namespace fs = std::filesystem;

bool are_one_file(const std::string& a, const std::string& b) {
  std::error_code failure;
  if (fs::equivalent(a, b, failure) && !failure) return true;
  // Files that do not exist yet are known by their paths.
  const fs::path one = fs::weakly_canonical(fs::absolute(a), failure);
  if (failure) return a == b;
  const fs::path other = fs::weakly_canonical(fs::absolute(b), failure);
  return failure ? a == b : one == other;
}

}  // namespace

void check_outputs(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs) {
  std::vector<NamedFile> others = inputs;
  for (const NamedFile& output : outputs) {
    if (output.path.empty()) continue;
    std::error_code failure;
    if (fs::is_directory(output.path, failure)) {
      throw InvalidInput(fmt::format("{} {}: is a folder; expected the name of a file",
                                     output.option, output.path));
    }
    for (const NamedFile& other : others) {
      if (other.path.empty() || !are_one_file(output.path, other.path)) continue;
      throw InvalidInput(
          fmt::format("{} {}: is the same file as {} {}, which would be lost; name another",
                      output.option, output.path, other.option, other.path));
    }
    others.push_back(output);
  }
}

}  // namespace renas::cli
