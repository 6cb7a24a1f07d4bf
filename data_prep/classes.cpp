#include "classes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "names.h"
#include "renas/error.h"

namespace renas::prep {

void check_classes(const std::string& where, const std::vector<std::string>& names,
                   const ClassCounts& counts, const ClassRules& rules) {
  if (rules.allow_differences) return;
  std::vector<std::string> untrained;
  std::vector<std::string> only_trained;
  std::map<std::string, std::vector<std::string>> by_lower_case;
  for (std::size_t c = 0; c < names.size(); ++c) {
    by_lower_case[lower_case(names[c])].push_back(names[c]);
    int64_t others = 0;
    for (const auto& [split, of_split] : counts) others += split == "train" ? 0 : of_split[c];
    if (counts.at("train")[c] == 0) {
      if (others > 0 || rules.each_has_images) untrained.push_back(names[c]);
    } else if (others == 0 && rules.each_has_test_images && counts.size() > 1) {
      only_trained.push_back(names[c]);
    }
  }
  std::vector<std::string> faults;
  if (!untrained.empty()) {
    faults.push_back("classes without training images: " + some_of(untrained));
  }
  if (!only_trained.empty()) {
    faults.push_back("classes that only train has: " + some_of(only_trained));
  }
  std::vector<std::string> alike;
  for (const auto& [key, group] : by_lower_case) {
    if (group.size() > 1) alike.push_back(fmt::format("{}", fmt::join(group, " and ")));
  }
  if (rules.case_matters && !alike.empty()) {
    faults.push_back("names that differ in case alone: " + some_of(alike));
  }
  if (faults.empty()) return;
  throw InvalidInput(fmt::format("{}: {}. Mend the files, or go on by --allow-class-differences",
                                 where, fmt::join(faults, "; ")));
}

std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 10;
  const std::vector<std::string> shown(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(kShown, names.size())));
  return names.size() > kShown
             ? fmt::format("{} and {} more", fmt::join(shown, ", "), names.size() - kShown)
             : fmt::format("{}", fmt::join(shown, ", "));
}

}  // namespace renas::prep
