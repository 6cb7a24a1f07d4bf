#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace renas::prep {

/// The layout of a record of CIFAR's binary files: label bytes, then 32 x 32 pixels as three
/// planes.
struct CifarLayout {
  int label_bytes = 1;  ///< CIFAR-10: 1; CIFAR-100: 2, coarse and fine
  int label = 0;        ///< index of the label byte to take
  int classes = 10;
};

/// The images and labels of some CIFAR files.
struct CifarImages {
  std::vector<uint8_t> pixels;  ///< [N, 32, 32, 3]
  std::vector<int32_t> labels;
};

/// Appends the records of a file's `bytes`. Throws InvalidInput, beginning with `name`, where
/// they are not a whole number of records, there is none, or a label is out of range.
void parse_cifar(std::span<const uint8_t> bytes, const CifarLayout& layout, const std::string& name,
                 CifarImages& to);

}  // namespace renas::prep
