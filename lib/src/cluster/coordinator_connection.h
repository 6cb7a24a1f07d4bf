#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "cluster/messages.h"
#include "renas/error.h"
#include "renas/training.h"
#include "renas/transport.h"

namespace renas {

/// Rank 0 has been silent for longer than the run's `worker_timeout`.
class CoordinatorLost : public Error {
 public:
  using Error::Error;
};

/// A worker's side of its conversation with the coordinator: which task is under way, whether it is
/// to be left, and what is told of it. All that listens throws CoordinatorLost.
class CoordinatorConnection {
 public:
  using Clock = std::chrono::steady_clock;

  /// `timeout` is the run's `worker_timeout` in seconds; `stop` may be null.
  CoordinatorConnection(Transport& transport, double timeout, const std::atomic<bool>* stop);

  Transport& transport() { return transport_; }
  /// A message that says which rank, and where, it is of.
  std::string signed_by_rank(const std::string& message) const;

  void say_ready(const std::string& data_identity);
  /// Waits for a task, which is then under way; none: the run is over.
  std::optional<Task> next_task();

  /// Whether the coordinator has said stop.
  bool stopped() const { return stopped_; }
  /// Whether the user has.
  bool stopped_by_user() const { return stop_ != nullptr && *stop_; }
  /// Whether to leave the task that is under way.
  bool interrupted();
  /// The same for work that takes long: the coordinator also hears of it, once a second.
  bool tick();
  /// Hooks that keep the coordinator informed of a training and listen to it.
  TrainingHooks training_hooks();

  /// Ends the task under way with a result that began to be worked for at `start`.
  void finish(const Evaluation& evaluation, Clock::time_point start,
              const std::optional<Score>& test = std::nullopt);
  /// Gives the task under way back, because this rank's files fail; it may say that it is ready
  /// again.
  void give_back(const std::string& message);
  /// Tells of a failure that ends this rank's part, and waits to be told to stop.
  void give_up(const std::exception& failure);
  void say_bye();

 private:
  void send(const Report& report) { transport_.send_to_coordinator(encode(report)); }
  /// All that the coordinator has said since the last call.
  std::vector<Task> hear();
  /// Takes in what the coordinator has said.
  void listen();

  Transport& transport_;
  const double timeout_;
  const std::atomic<bool>* const stop_;
  const Clock::duration report_every_;
  Clock::time_point heard_ = Clock::now();
  Clock::time_point last_listened_ = heard_;
  Clock::time_point last_report_ = heard_;
  bool ever_heard_ = false;
  std::optional<Task> next_;
  bool stopped_ = false;
  bool dropped_ = false;    ///< the task under way was given to another rank
  std::string task_;        ///< under way, by its name; empty: nothing
  uint64_t serial_ = 0;     ///< and the serial number of its handing out
  int64_t unreported_ = 0;  ///< images
};

}  // namespace renas
