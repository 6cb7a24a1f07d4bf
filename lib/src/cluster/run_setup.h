#pragma once

#include <optional>
#include <string>
#include <vector>

#include "renas/evaluation.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"

namespace renas {

/// What every rank of a run works from: the options with what the data decide filled in, the space,
/// and which images are for what. The same on every rank.
struct RunSetup {
  SearchRunOptions options;
  SearchSpace space;
  SearchData search;                 ///< D_train and D_val of the search
  SearchData final;                  ///< of the retraining at the end
  std::string data_identity = {};    ///< identity_of() the data set
  std::optional<DataSet> test = {};  ///< scored after each network of a list; none: not
  RunDirectory::Kind kind = RunDirectory::Kind::kSearch;
};

/// Checks the numbers that need no data set. Throws InvalidInput, which names the option.
void check_run_options(const SearchRunOptions& options);

/// Checks the options, reads the data set and draws the splits. Throws InvalidInput, IoError.
RunSetup make_setup(const SearchRunOptions& options);

/// Opens the images `test` of the file `path`; none where it has none. Throws InvalidInput where a
/// network for the images `train`, of which `crop` pixels are cut out (0: all), cannot take them.
std::optional<DataSet> open_test_set(const std::string& path, const DataSet& train, int crop);

/// What the run keeps of its setup beside the options: the space and the initial genomes where they
/// are the user's own.
RunInputs inputs_of(const RunSetup& setup);

/// Random genomes retrained beside the winner; a function of the run's seed.
std::vector<Genome> control_genomes(const RunSetup& setup);

}  // namespace renas
