#pragma once

#include <string>
#include <string_view>

#include "renas/evaluation.h"
#include "renas/search_run.h"

namespace renas {

/// What every rank of a run works from: the options with what the data decide filled in, the space,
/// and which pictures are for what. The same on every rank.
struct RunSetup {
  SearchRunOptions options;
  SearchSpace space;
  SearchData search;  ///< D_train and D_val of the search
  SearchData final;   ///< of the retraining at the end
};

/// Reads the data set and draws the splits. Throws InvalidInput, IoError.
RunSetup make_setup(const SearchRunOptions& options);

/// What the data set of file `path` is, in a line: number, shape and classes of its training pictures,
/// and a hash of what decides a run: mean, deviation, names, and of train and test all labels and some
/// hundred pictures.
std::string identity_of(const std::string& path, const DataSet& train);

/// Retrained networks are named by their member's id, or this and a number from 1.
inline constexpr std::string_view kControlPrefix = "control";

/// Random genomes retrained beside the winner; a function of the run's seed.
std::vector<Genome> control_genomes(const RunSetup& setup);

}  // namespace renas
