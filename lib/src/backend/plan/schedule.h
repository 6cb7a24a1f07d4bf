#pragma once

#include <vector>

#include "backend/plan/plan.h"

/// Groups that depend on each other in no way may run side by side, on several streams of a device.
namespace renas::plan {

/// A group's forward or backward pass, as one piece of a stream's work.
struct Task {
  int group = 0;
  bool backward = false;
  int stream = 0;
  std::vector<int> waits;  ///< earlier tasks, on other streams, that must have ended
  int event = -1;          ///< its number among those that others wait for; -1: none does
};

/// Tasks in an order that one stream could run them in, which is the plan's. What a task waits for
/// is named once: what follows from it, or from the order of its own stream, is left out.
struct Schedule {
  std::vector<Task> tasks;
  /// The last task of each stream, -1 where it has none. Stream 0 waits for those of the others.
  std::vector<int> last;
  int events = 0;
};

/// Chooses a stream for each group by list scheduling: in the plan's order, each goes where it can
/// begin first if all take equally long. A group's backward pass runs on the stream of its forward
/// pass, so that memory which only one group at a time may use can belong to a stream.
std::vector<int> assign_streams(const Plan& plan, int batch, int streams);

/// Schedules a step with gradients (`training`), or an inference, which runs what the scores depend
/// on. A task waits for all earlier ones that write what it reads or writes, or read what it
/// writes: maps and gradients by their place in the arena, so also those that lay there before;
/// batch norms' coefficients; and the metrics. So every order that the schedule allows gives equal
/// bits.
Schedule make_schedule(const Plan& plan, int batch, bool training, const std::vector<int>& streams);

}  // namespace renas::plan
