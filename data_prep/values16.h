#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "renas/image.h"

namespace renas::prep {

/// What becomes of 16-bit values, which are stored with 8 bits.
struct Choice16 {
  enum class Kind {
    kUnsaid,     ///< the upper byte, unless grey levels would be lost by it
    kUpperByte,  ///< the upper byte, whatever is lost
    kRange,      ///< `range` becomes 0 to 255
    kWholeSet,   ///< the range that the images of the set have becomes 0 to 255
  };
  Kind kind = Kind::kUnsaid;
  Range16 range;
};

/// Parses "upper-byte", "whole-set" or "LOW:HIGH" with 0 <= LOW < HIGH <= 65535; empty: unsaid.
/// Throws InvalidInput.
Choice16 parse_choice_16(const std::string& text);

/// The values of all images of 16 bits, counted.
class Values16 {
 public:
  /// Adds the values of an image.
  void add(std::span<const uint16_t> values);

  int64_t images() const { return images_; }
  /// The lowest and highest value; a range of one value is made two wide. Requires an image.
  Range16 range() const;
  /// Whether the upper byte keeps few grey levels of many: the values use less than half of the
  /// range of 16 bits, or less than a quarter of the upper bytes, and some that differ become
  /// equal.
  bool loses_levels() const;
  /// "values from 5 to 4085, 99 % of them from 40 to 4050; the upper byte keeps 16 of 256 levels".
  std::string text() const;

 private:
  std::vector<int64_t> counts_ = std::vector<int64_t>(65536);
  int64_t images_ = 0;

  int levels() const;       // different values
  int upper_bytes() const;  // different upper bytes
  int quantile(double share) const;
};

}  // namespace renas::prep
