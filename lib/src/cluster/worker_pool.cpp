#include "cluster/worker_pool.h"

#include <algorithm>

namespace renas {
namespace {

constexpr double kSuspended = 5;

double seconds(WorkerPool::Time from, WorkerPool::Time to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

WorkerPool::WorkerPool(int ranks, double timeout, Time now)
    : workers_(static_cast<std::size_t>(ranks)), timeout_(timeout), last_look_(now) {}

bool WorkerPool::is_free(int rank) const {
  const Worker& w = (*this)[rank];
  return w.ready && !w.silent && !w.away && !w.busy();
}

int WorkerPool::count_free() const { return static_cast<int>(free_ranks(size()).size()); }

int WorkerPool::count_usable(bool late) const {
  return static_cast<int>(std::count_if(workers_.begin(), workers_.end(), [late](const Worker& w) {
    return !w.silent && !w.away && (late || !w.host.empty());
  }));
}

std::vector<int> WorkerPool::free_ranks(int count) const {
  std::vector<int> ranks;
  for (int r = 0; r < size() && static_cast<int>(ranks.size()) < count; ++r) {
    if (is_free(r)) ranks.push_back(r);
  }
  return ranks;
}

bool WorkerPool::any_busy() const {
  return std::any_of(workers_.begin(), workers_.end(), [](const Worker& w) { return w.busy(); });
}

bool WorkerPool::nobody_left() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const Worker& w) { return w.away || w.silent; });
}

int WorkerPool::count_not_gone() const {
  return static_cast<int>(
      std::count_if(workers_.begin() + 1, workers_.end(), [](const Worker& w) { return !w.gone; }));
}

bool WorkerPool::waits_for_any() const {
  return std::any_of(workers_.begin() + 1, workers_.end(),
                     [](const Worker& w) { return !w.gone && !w.silent; });
}

std::vector<int> WorkerPool::not_heard_of() const {
  std::vector<int> ranks;
  for (int r = 0; r < size(); ++r) {
    if ((*this)[r].host.empty() && !(*this)[r].away) ranks.push_back(r);
  }
  return ranks;
}

uint64_t WorkerPool::assign(const std::vector<int>& ranks, const std::string& task, Work work,
                            Time now) {
  ++last_serial_;
  for (const int rank : ranks) {
    Worker& w = at(rank);
    w.serial = last_serial_;
    w.task = task;
    w.helps = true;
    w.shares = ranks.size() > 1;
    w.heard = now;
  }
  at(ranks.front()).helps = false;
  at(ranks.front()).work = std::move(work);
  return last_serial_;
}

std::vector<int> WorkerPool::partners(int rank) const {
  std::vector<int> ranks;
  const Worker& one = (*this)[rank];
  if (!one.busy() || !one.shares) return ranks;
  for (int r = 0; r < size(); ++r) {
    if (r != rank && (*this)[r].busy() && (*this)[r].serial == one.serial) ranks.push_back(r);
  }
  return ranks;
}

std::optional<WorkerPool::Work> WorkerPool::take(int rank) {
  std::vector<int> ranks = partners(rank);
  ranks.push_back(rank);
  std::optional<Work> work;
  for (const int r : ranks) {
    if (at(r).work) work = std::exchange(at(r).work, std::nullopt);
    release(r);
  }
  return work;
}

void WorkerPool::release(int rank) {
  at(rank).task.clear();
  at(rank).helps = false;
}

void WorkerPool::becomes_ready(int rank, const std::string& host) {
  Worker& w = at(rank);
  w.ready = true;
  w.away = false;
  w.host = host;
}

void WorkerPool::leaves(int rank) {
  at(rank).ready = false;
  at(rank).away = true;
}

std::vector<int> WorkerPool::newly_silent(Time now) {
  const bool suspended = seconds(last_look_, now) > kSuspended;
  last_look_ = now;
  std::vector<int> ranks;
  for (int r = 1; r < size(); ++r) {
    Worker& w = at(r);
    if (suspended) w.heard = now;
    if (!w.busy() || w.silent || seconds(w.heard, now) < timeout_) continue;
    w.silent = true;
    ranks.push_back(r);
  }
  return ranks;
}

}  // namespace renas
