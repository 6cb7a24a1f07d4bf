#include "duplicates.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace renas::prep {

void Duplicates::Kind::add(const Image& image, const Image& earlier) {
  if (++count == 1) first = image.name + " is " + earlier.name;
}

std::string Duplicates::add(std::size_t hash, const Image& image, const Same& same, bool drop) {
  std::vector<Group>& groups = by_hash_[hash];
  const auto group = std::find_if(groups.begin(), groups.end(),
                                  [&](const Group& some) { return same(some.front().name); });
  if (group == groups.end()) {
    groups.push_back({image});
    return {};
  }
  std::string first = group->front().name;
  if (drop) return first;
  count(image, *group);
  const bool known = std::any_of(group->begin(), group->end(), [&](const Image& other) {
    return other.split == image.split && other.label == image.label;
  });
  if (!known) group->push_back(image);
  return first;
}

void Duplicates::count(const Image& image, const Group& group) {
  const auto other_split = std::find_if(
      group.begin(), group.end(), [&](const Image& other) { return other.split != image.split; });
  const auto other_label = std::find_if(
      group.begin(), group.end(), [&](const Image& other) { return other.label != image.label; });
  all_.add(image, group.front());
  if (other_split != group.end()) leaks_.add(image, *other_split);
  if (other_label != group.end()) contradictions_.add(image, *other_label);
  if (other_split == group.end() && other_label == group.end()) {
    repeats_.add(image, group.front());
  }
}

void Duplicates::add_all(const std::string& split, std::span<const uint8_t> pixels,
                         std::span<const int32_t> labels) {
  if (labels.empty()) return;
  const std::size_t size = pixels.size() / labels.size();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::span<const uint8_t> image = pixels.subspan(i * size, size);
    const std::string_view text(reinterpret_cast<const char*>(image.data()), image.size());
    const std::string name = fmt::format("{} {}", split, i);
    pixels_[name] = image;
    add(std::hash<std::string_view>()(text), {name, split, labels[i]},
        [&](const std::string& earlier) { return std::ranges::equal(pixels_.at(earlier), image); });
  }
}

void Duplicates::print(const std::string& advice) const {
  if (all_.count == 0) return;
  fmt::print("duplicates, kept{}: {}, the first: {}\n", advice.empty() ? "" : " (" + advice + ")",
             all_.count, all_.first);
  for (const auto& [what, kind] :
       {std::pair{"repeats (in one split and " + label_ + ")", &repeats_},
        std::pair{std::string("leaks (in two splits; test accuracy is too good by them)"), &leaks_},
        std::pair{"contradictions (one image, two " + labels_ + ")", &contradictions_}}) {
    if (kind->count > 0) fmt::print("  {}: {}, the first: {}\n", what, kind->count, kind->first);
  }
}

}  // namespace renas::prep
