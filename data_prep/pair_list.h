#pragma once

#include <string>
#include <vector>

namespace renas::prep {

/// A line of a list of images and their masks.
struct PairLine {
  std::string id;     ///< of both; empty where the line names files
  std::string image;  ///< paths from the data set's folder on, without "." and double slashes;
                      ///< empty where the line is an id
  std::string mask;
};

/// Parses the lines of a list: ids, or pairs of paths, IMAGE MASK, from the folder on ("/" may
/// precede them). All lines are of one form. Empty lines are passed over, and an id may have the
/// ending of a picture. Throws InvalidInput, which begins with `where` and the line, where a line
/// is neither, a path leads out of the folder, something is named twice, or there is nothing.
std::vector<PairLine> parse_pair_list(const std::vector<std::string>& lines,
                                      const std::string& where);

}  // namespace renas::prep
