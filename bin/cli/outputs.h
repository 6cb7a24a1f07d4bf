#pragma once

#include <string>
#include <vector>

namespace renas::cli {

/// A file on the command line, by the option that names it.
struct NamedFile {
  std::string option;  ///< "--out", "OUT.onnx"
  std::string path;    ///< empty: not given
};

/// Throws InvalidInput where an output is a folder, or one file with an input or another output:
/// writing it would lose the other. Links and other ways to write a path are seen through.
void check_outputs(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

}  // namespace renas::cli
