#include "outputs.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "cli/outputs.h"
#include "core/files.h"
#include "renas/error.h"

namespace renas::prep {
namespace {

namespace fs = std::filesystem;

/// Throws InvalidInput where `path` is there and no file, such as a pipe or a device.
void expect_file_or_nothing(const std::string& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (!fs::exists(status) || fs::is_regular_file(status)) return;
  throw InvalidInput(fmt::format(
      "{}: expected the name of a file to write, and what is there is none; name another", path));
}

}  // namespace

Outputs::Outputs(const std::string& data, bool force, const std::string& left_out) {
  cli::check_outputs({}, {{"OUT", data}, {"--left-out", left_out}});
  for (const std::string& path : {data, left_out}) {
    expect_file_or_nothing(path);
    if (!path.empty() && exists(path)) replaced_.push_back(path);
  }
  if (!left_out.empty() && !force && exists(left_out)) {
    throw InvalidInput(
        fmt::format("--left-out {}: exists already; --force overwrites it", left_out));
  }
  data_ = std::make_unique<DataSetWriter>(data, force);
  if (left_out.empty()) return;
  remove_stale_partials(left_out);
  left_out_ = std::make_unique<PendingFile>(left_out);
}

Outputs::~Outputs() = default;

void Outputs::expect_other(const std::string& input) const {
  for (const std::string& path : replaced_) {
    std::error_code missing;
    if (!fs::equivalent(path, input, missing)) continue;
    throw InvalidInput(fmt::format(
        "{}: would be overwritten, but is read as {}; name another file to write", path, input));
  }
}

void Outputs::finish(const DataSetInfo& info, const Report& report) {
  if (left_out_) left_out_->write(report.left_out());
  data_->finish(info);
  if (left_out_) left_out_->commit();
}

}  // namespace renas::prep
