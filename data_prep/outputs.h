#pragma once

#include <memory>
#include <string>
#include <vector>

#include "renas/dataset_writer.h"
#include "report.h"

namespace renas {
class PendingFile;
}  // namespace renas

namespace renas::prep {

/// The files that a preparing program writes: the data set and, where it is asked for, a list of
/// what was left out. Both are begun before the work, so that a name that will not do is known at
/// once, and appear whole or not at all.
class Outputs {
 public:
  /// `left_out` is the name of the list; empty: none is asked for. Throws InvalidInput where
  /// something is there that is no file, or that is one and `force` is not set, or where both are
  /// one file; IoError where they cannot be written.
  Outputs(const std::string& data, bool force, const std::string& left_out = "");
  Outputs(const Outputs&) = delete;
  Outputs& operator=(const Outputs&) = delete;
  /// Removes what was written unless finish() succeeded.
  ~Outputs();

  /// Throws InvalidInput where a file that is read would be replaced, whatever it is called.
  void expect_other(const std::string& input) const;

  DataSetWriter& data() { return *data_; }
  /// Finishes the data set, and the list by what `report` has. Throws as DataSetWriter::finish().
  void finish(const DataSetInfo& info, const Report& report);

 private:
  std::vector<std::string> replaced_;  // those that are there
  std::unique_ptr<DataSetWriter> data_;
  std::unique_ptr<PendingFile> left_out_;  // none: the list is not asked for
};

}  // namespace renas::prep
