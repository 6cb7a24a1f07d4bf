#pragma once

#include <CLI/CLI.hpp>
#include <istream>
#include <map>
#include <string>
#include <vector>

namespace renas::cli {

/// Reads options from TOML, as CLI11 does, and knows afterwards in which line each stood: what is
/// wrong is named with file, line and key.
class ConfigReader final : public CLI::ConfigTOML {
 public:
  explicit ConfigReader(const CLI::App& app) : app_(app) {}

  /// What is read from a stream and not from --config: `file`, whose line `first_line` is the
  /// first.
  void reads(const std::string& file, int first_line) {
    file_ = file;
    first_line_ = first_line;
  }

  /// Throws InvalidInput where a key is no option, stands there twice or has no value.
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;

  /// "FILE:LINE: " of the option that `message` names, if it was read from a file; else empty.
  std::string place_of(const std::string& message) const;

 private:
  std::string file() const;
  std::string place(int line) const;

  const CLI::App& app_;
  std::string file_;
  int first_line_ = 1;
  mutable std::map<std::string, int> lines_;  ///< of options that the file decides, by name
};

}  // namespace renas::cli
