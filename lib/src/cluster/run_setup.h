#pragma once

#include <string>

#include "renas/evaluation.h"
#include "renas/search_run.h"

namespace renas {

/// What every rank of a run works from: the options with what the data decide filled in, the space,
/// and which images are for what. The same on every rank.
struct RunSetup {
  SearchRunOptions options;
  SearchSpace space;
  SearchData search;               ///< D_train and D_val of the search
  SearchData final;                ///< of the retraining at the end
  std::string data_identity = {};  ///< identity_of() the data set
};

/// Reads the data set and draws the splits. Throws InvalidInput, IoError.
RunSetup make_setup(const SearchRunOptions& options);

/// What the data set of file `path` is, in a line: number, shape and classes of its training
/// images, and a hash of what decides a run: mean, deviation, names, and of train and test all
/// labels and some hundred images.
std::string identity_of(const std::string& path, const DataSet& train);

/// Random genomes retrained beside the winner; a function of the run's seed.
std::vector<Genome> control_genomes(const RunSetup& setup);

}  // namespace renas
