#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/console.h"
#include "cli/ranks.h"
#include "cli/train_settings.h"
#include "renas/communicator.h"
#include "renas/log.h"
#include "renas/model.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"

namespace renas::cli {

/// The training of one network by all ranks as it stands before its first step: what is the same
/// whatever the network learns.
struct TrainSession {
  std::string genome;         ///< text form
  std::string data_identity;  ///< identity_of() the data set
  std::string purpose;        ///< purpose_of() this training
  std::string checkpoint;
  std::optional<Model> finished;  ///< by an earlier session
  std::optional<SearchData> data;
  std::optional<DataSet> test;
  FinalState state;
  std::unique_ptr<FileLock> lock;  ///< of the model, on rank 0
};

/// Opens the data of the training of `genome`. Throws InvalidInput, IoError.
void open_data(TrainSession& session, const TrainSettings& settings, const std::string& genome);

/// Finds out where the training stands: at its start, at its checkpoint, or finished; rank 0 locks
/// the model. Throws InvalidInput where files are in the way or cannot be written, another process
/// trains the same model, or what is there is not of this training of `network`.
void find_state(TrainSession& session, const CLI::App& app, const TrainSettings& settings,
                const NetworkOptions& network, const Ranks& ranks);

/// Throws InvalidInput on every rank unless all ranks are about to train the same.
void expect_same_training(Communicator* communicator, const TrainSession& session);

/// Says what training over these ranks means for batches, and warns where the backend lacks the
/// precision or the checkpoint is of another number of ranks.
void say_how_ranks_train(const TrainSession& session, const TrainSettings& settings,
                         const FinalOptions& options, const Backend& backend, const Ranks& ranks,
                         const Log& log);

/// Shows how far the training is, from now on, when told how many images each step had.
std::function<void(int images)> show_progress(Console& console, const TrainSession& session,
                                              const TrainSettings& settings);

/// Writes the model in place of the checkpoint and says where it is.
void finish_model(const TrainSession& session, const TrainSettings& settings, Model model,
                  const Log& log);

}  // namespace renas::cli
