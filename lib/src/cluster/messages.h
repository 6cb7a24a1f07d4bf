#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "renas/evaluation.h"
#include "renas/strategy.h"

namespace renas {

/// What the coordinator tells a worker. Weights never travel in messages: they are files of the
/// run.
struct Task {
  enum class Kind {
    kEvaluate,  ///< train candidate `id`, a child of `parent` or of none, and write its weights
    kRetrain,   ///< train `genome` from scratch and write the model called `name`
    kDrop,      ///< leave the task of this serial number: it was given to another rank
    kAlive,     ///< nothing; the coordinator is there
    kStop,      ///< leave what you are doing, if anything, and return
  };
  Kind kind = Kind::kStop;
  uint64_t id = 0;
  std::string genome = {};  ///< text form
  std::optional<uint64_t> parent = {};
  std::string name = {};
  uint64_t seed = 0;    ///< of kRetrain
  uint64_t serial = 0;  ///< of the handing out: a task that is handed out again has another
  /// Of kRetrain: the ranks that train the network together; all get the task, and the first writes
  /// its files. Empty: this rank alone.
  std::vector<int> ranks = {};
};

/// What a worker tells the coordinator.
struct Report {
  enum class Kind {
    kReady,     ///< has nothing to do; `host` says where it runs, `data` what it would train on
    kProgress,  ///< alive; `images` trained on since the last report
    kDone,      ///< the task ended; the result is below
    kError,     ///< the rank cannot go on: `message`
    kBye,       ///< was told to stop, and leaves
  };
  Kind kind = Kind::kReady;
  std::string host = {};
  std::string message = {};
  std::string data = {};  ///< identity_of() the data set
  int64_t images = 0;
  bool mistake = false;     ///< of kError: something the user can mend
  bool may_return = false;  ///< of kError: the rank says kReady again once it can
  std::string task = {};    ///< name_of() the task that is under way or ended; empty: none
  uint64_t serial = 0;      ///< of that task
  // Of kDone.
  bool stopped = false;  ///< this rank was asked to leave the task
  Status status = Status::kOk;
  double fitness = 0;
  Score validation = {};           ///< of a network trained from scratch, the accuracies alone
  std::optional<Score> test = {};  ///< likewise, where a test set is scored after each network
  Counts counts = {};
  double inherited = 0;
  std::string sums = {};  ///< Evaluation::sums
  double seconds = 0;
};

/// What reports call a task: its candidate's id, or "retrain NAME".
std::string name_of(const Task& task);

std::string encode(const Task& task);
std::string encode(const Report& report);
/// Throw Error where `text` is not one: both sides must be of one version.
Task decode_task(const std::string& text);
Report decode_report(const std::string& text);

}  // namespace renas
