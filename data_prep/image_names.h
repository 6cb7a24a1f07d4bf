#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace renas::prep {

/// The part of a path behind its last slash.
std::string last_part(const std::string& path);
/// A name or path without its last dot and what follows.
std::string without_ending(const std::string& name);

/// Finds the images of a folder by what a table of labels calls them.
class ImageNames {
 public:
  /// `images` are paths within the folder; they must outlive this object.
  explicit ImageNames(const std::vector<std::string>& images);

  /// The image called `name`: its path, or its name alone, either without its ending, and with
  /// folders before it that are not there. Throws InvalidInput, which begins with `table`, where
  /// several images are called so.
  std::optional<std::size_t> find(const std::string& name, const std::string& table) const;

 private:
  const std::vector<std::string>& images_;
  std::map<std::string, std::size_t> exact_;
  std::map<std::string, std::vector<std::size_t>> loose_;
};

}  // namespace renas::prep
