#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace renas::prep {

/// A line of a table of labels: an image's name and its class, by name or number.
struct LabelLine {
  std::string name;
  std::string label;
  std::size_t number = 0;  ///< of the line, from 1
};

/// Parses a table of labels, a line an image: its name, its class, and whatever else, which is
/// ignored.
///
/// Fields are separated by tabs, semicolons or commas, or where a line has none of them by blanks;
/// they may stand in double quotes, in which "" is a quote. A first line that has the name of a
/// column of image names (filename, image, id, ...) and one of labels (label, class, ...) says
/// which columns to take; otherwise they are the first two. A class may be followed by numbers,
/// four a box, as in LOC_val_solution.csv of the ImageNet challenge. A byte order mark and empty
/// lines are ignored. Throws InvalidInput with the line's number.
std::vector<LabelLine> parse_labels(const std::vector<std::string>& lines, const std::string& name);

}  // namespace renas::prep
