#include "store/hdf5_file.h"

#include <fmt/format.h>

#include "renas/error.h"

namespace renas {

namespace {

constexpr const char* kModels =
    "; models are RUN/best.h5, RUN/retrain/NAME.h5 and what renas-train --out wrote";

}  // namespace

h5::File open_hdf5(const std::string& path, const std::string& format, int version) {
  const h5::Guard guard;
  h5::File file = h5::open_file(path);
  const std::string found =
      h5::has_attribute(file, "format") ? h5::read_string_attribute(file, "format") : "";
  if (found != format) {
    throw IoError(fmt::format("{}: expected a file of format '{}', found {}{}", path, format,
                              found.empty() ? "no format attribute" : "'" + found + "'",
                              format == "renas-model" ? kModels : ""));
  }
  const auto found_version = h5::read_attribute<int32_t>(file, "format_version");
  if (found_version != version) {
    throw IoError(fmt::format(
        "{}: format version {}, this program reads version {}; use the release that wrote it{}",
        path, found_version, version, found_version > version ? " or a later one" : ""));
  }
  return file;
}

}  // namespace renas
