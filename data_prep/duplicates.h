#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace renas::prep {

/// Finds equal images of a data set and tells three kinds apart. An image may be of the last two at
/// once:
///   repeat         an equal one came before in the same split and with the same label
///   leak           an equal one came before in another split
///   contradiction  an equal one came before with another label
class Duplicates {
 public:
  /// An image that was added.
  struct Image {
    std::string name;  ///< for people, and for `same`
    std::string split;
    int32_t label = 0;  ///< its class, or what tells its mask from others
  };
  /// Whether the bytes of an earlier image, by its name, are those of the image that is added.
  using Same = std::function<bool(const std::string& earlier)>;

  /// What labels are called in print(), one and several.
  explicit Duplicates(std::string label = "class", std::string labels = "classes")
      : label_(std::move(label)), labels_(std::move(labels)) {}

  /// Adds an image by a hash of its bytes; `same` is asked about earlier images of equal hash. An
  /// image that is equal to another is counted, unless it is to be dropped. Returns the name of the
  /// first equal image, empty where there is none.
  std::string add(std::size_t hash, const Image& image, const Same& same, bool drop = false);
  /// Adds images of `pixels`, [labels.size(), ...], which must outlive this object; their names are
  /// those of the split and their number. Equal ones are counted.
  void add_all(const std::string& split, std::span<const uint8_t> pixels,
               std::span<const int32_t> labels);

  /// Prints what was counted, if anything, on standard output; `advice` stands in brackets after
  /// "duplicates, kept".
  void print(const std::string& advice) const;

 private:
  struct Kind {
    int64_t count = 0;
    std::string first;  // for people
    void add(const Image& image, const Image& earlier);
  };

  /// Equal images: the first of each split and class that has one.
  using Group = std::vector<Image>;
  void count(const Image& image, const Group& group);

  std::string label_;
  std::string labels_;
  std::unordered_map<std::size_t, std::vector<Group>> by_hash_;  // a group, unless hashes collide
  std::unordered_map<std::string, std::span<const uint8_t>> pixels_;  // of add_all, by name
  Kind all_;
  Kind repeats_;
  Kind leaks_;
  Kind contradictions_;
};

}  // namespace renas::prep
