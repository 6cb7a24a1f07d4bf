#pragma once

/// The names in the file format of data sets; FORMAT.md says what they mean.
namespace renas::format {

inline constexpr const char* kFormat = "renas-dataset";
inline constexpr int kVersion = 1;
inline constexpr const char* kSplits[] = {"train", "val", "test"};

}  // namespace renas::format
