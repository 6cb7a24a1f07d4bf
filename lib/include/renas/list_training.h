#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "renas/evaluation.h"
#include "renas/run_result.h"
#include "renas/search_run.h"
#include "renas/transport.h"

namespace renas {

/// The training of a list of cells over ranks, each from scratch and in the same way.
struct ListTrainingOptions {
  std::string data;    ///< HDF5 data set with the group `train`; `test` is scored where it is there
  std::string folder;  ///< for models and results (lib/src/store/FORMAT.md)
  bool resume = false;         ///< train what is not done yet of the list in that folder
  std::string stored_options;  ///< text kept in the folder's options.toml
  /// The cells in the paper's notation (renas/genome.h), of any number of blocks. Cell i, from 1,
  /// is called by its number. The folder keeps them, and goes on with no others.
  std::vector<std::string> genomes;

  /// Of every cell: train_from_scratch() from epoch 0. Image and classes of the network are taken
  /// from the data; with Augmentation::crop the image is that square.
  FinalOptions final;
  bool balance_classes = false;  ///< class weights are balanced_class_weights() of D_train
  int64_t validation = 0;        ///< images of D_val; -1: default_validation_count()
  std::string validation_group;  ///< as in SearchRunOptions
  int64_t subset = 0;            ///< images of D_train; 0: all that validation leaves
  uint64_t seed = 0;             ///< of every training, and of the splits

  double worker_timeout = 600;  ///< as in SearchRunOptions, like the fields below
  int max_attempts = 2;
  double io_patience = 5;
  double stop_grace = 20;
};

/// How train_list() ended.
struct ListTrainingResult {
  bool finished = false;           ///< false: stopped on request; resume goes on
  std::vector<TrainedCell> cells;  ///< those done, in the order of the list
  int silent_ranks = 0;            ///< as in SearchRunResult
};

/// Trains the cells on all ranks of `transport`: called by every rank with equal options. Each cell
/// becomes a model in the folder and a line of its results.jsonl, written before anything else
/// follows from it; a cell that fails is a line, too. A rank that dies costs the epoch that its
/// cell was in: the cell goes on elsewhere from its checkpoint.
///
/// Only rank 0's result is filled. Progress is of SearchProgress::Phase::kRetrain. Throws as
/// run_search() does.
ListTrainingResult train_list(const ListTrainingOptions& options, Transport& transport,
                              const SearchRunHooks& hooks);

}  // namespace renas
