#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace renas::prep {

/// How many images of each class a split has, by the split's name; `train` is one of them.
using ClassCounts = std::map<std::string, std::vector<int64_t>>;

/// What is expected of the classes of a data set. A class that other splits have must have training
/// images in any case.
struct ClassRules {
  bool allow_differences = false;     ///< go on whatever is wrong
  bool each_has_images = false;       ///< a class without images in any split is a fault
  bool each_has_test_images = false;  ///< one that only train has is a fault, if there are others
  bool case_matters = false;          ///< names that differ in case alone are a fault
};

/// Checks the classes of a data set. Throws InvalidInput, which begins with `where` and names the
/// classes and the option to go on.
void check_classes(const std::string& where, const std::vector<std::string>& names,
                   const ClassCounts& counts, const ClassRules& rules);

/// The first of `names`, and how many more there are, for messages.
std::string some_of(const std::vector<std::string>& names);

}  // namespace renas::prep
