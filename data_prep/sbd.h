#pragma once

#include <string>

#include "renas/image.h"

namespace renas::prep {

/// Whether this build reads SBD's annotations.
bool reads_sbd();

/// Reads an annotation of SBD (Hariharan et al., "Semantic contours from inverse detectors", 2011):
/// of a MATLAB 5 file the variable GTcls, of it the field Segmentation, [rows, columns] of uint8,
/// the class of each pixel. Throws InvalidInput where the file has none, IoError where it cannot be
/// read, Unsupported where this build has no matio.
Image read_sbd_mask(const std::string& path);

}  // namespace renas::prep
