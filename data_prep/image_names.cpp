#include "image_names.h"

#include <fmt/format.h>

#include <set>

#include "names.h"
#include "renas/error.h"

namespace renas::prep {

std::string without_ending(const std::string& name) {
  const auto dot = name.find_last_of('.');
  return dot == std::string::npos ? name : name.substr(0, dot);
}

std::string last_part(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

ImageNames::ImageNames(const std::vector<std::string>& images) : images_(images) {
  for (std::size_t i = 0; i < images.size(); ++i) {
    exact_[images[i]] = i;
    const std::set<std::string> shorter{last_part(images[i]), without_ending(images[i]),
                                        without_ending(last_part(images[i]))};
    for (const std::string& name : shorter) loose_[name].push_back(i);
  }
}

std::optional<std::size_t> ImageNames::find(const std::string& name,
                                            const std::string& table) const {
  for (std::string rest = name;;) {
    const auto exact = exact_.find(rest);
    if (exact != exact_.end()) return exact->second;
    const auto loose = loose_.find(rest);
    if (loose != loose_.end()) {
      const std::vector<std::size_t>& found = loose->second;
      if (found.size() > 1) {
        throw InvalidInput(fmt::format("{}: '{}' may be {} or {}; name it with its folder", table,
                                       name, images_[found[0]], images_[found[1]]));
      }
      return found.front();
    }
    const auto slash = rest.find('/');
    if (slash == std::string::npos) break;
    rest.erase(0, slash + 1);
  }
  if (!is_utf8(name)) return find(as_utf8(name), table);
  return {};
}

}  // namespace renas::prep
