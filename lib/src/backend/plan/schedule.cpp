#include "backend/plan/schedule.h"

#include <algorithm>

#include "backend/plan/arena.h"

namespace renas::plan {

namespace {

/// Numbers that a task reads or writes: floats of the arena and, numbered after these, norms and
/// the metrics.
struct Access {
  std::size_t first = 0;
  std::size_t last = 0;  // one past
  bool writes = false;
};

class Accesses {
 public:
  Accesses(const Plan& plan, int batch) : plan_(plan), batch_(batch) {}

  std::vector<Access> forward(const Group& group) const {
    std::vector<Access> all = inputs(group);
    if (group.kind == Group::Kind::kLoss) all.push_back(metrics());
    if (group.out < 0) return all;
    all.push_back(map(group.out, true));
    if (const int read = norm_of(group); read >= 0) all.push_back(norm(read, true));
    return all;
  }

  std::vector<Access> backward(const Group& group) const {
    std::vector<Access> all = inputs(group);
    for (const Part& part : group.parts) {
      if (part.gradient) all.push_back(gradient(part.value, true));
    }
    if (group.out < 0) return all;
    const Stored& stored = plan_.stored[group.out];
    all.push_back(map(group.out, false));
    // The batch norm's share of the raw map's gradient may be added to it.
    if (plan_.values[stored.raw].written) all.push_back(gradient(stored.raw, true));
    if (stored.normalised >= 0 && plan_.values[stored.normalised].written) {
      all.push_back(gradient(stored.normalised, false));
    }
    if (const int read = norm_of(group); read >= 0) all.push_back(norm(read, true));
    return all;
  }

  /// Whether a pass of the group does anything after its forward one.
  bool has_backward(const Group& group) const {
    if (group.backward) return true;
    const int read = group.out < 0 ? -1 : norm_of(group);
    return read >= 0 && plan_.norms[read].has_gradient;
  }

 private:
  std::vector<Access> inputs(const Group& group) const {
    std::vector<Access> all;
    for (const Part& part : group.parts) {
      const Value& value = plan_.values[part.value];
      all.push_back(map(value.stored, false));
      if (value.norm >= 0) all.push_back(norm(value.norm, false));
    }
    return all;
  }
  int norm_of(const Group& group) const {
    const int value = plan_.stored[group.out].normalised;
    return value < 0 ? -1 : plan_.values[value].norm;
  }
  Access map(int stored, bool writes) const {
    const Stored& s = plan_.stored[stored];
    return {s.offset, s.offset + floats(s, batch_), writes};
  }
  Access gradient(int value, bool writes) const {
    const Value& v = plan_.values[value];
    return {v.offset, v.offset + floats(plan_.stored[v.stored], batch_), writes};
  }
  Access norm(int i, bool writes) const {
    const std::size_t at = plan_.arena + static_cast<std::size_t>(i);
    return {at, at + 1, writes};
  }
  Access metrics() const { return norm(static_cast<int>(plan_.norms.size()), true); }

  const Plan& plan_;
  const int batch_;
};

/// Whether tasks with these accesses must keep their order.
bool conflict(const std::vector<Access>& a, const std::vector<Access>& b) {
  for (const Access& x : a) {
    for (const Access& y : b) {
      if ((x.writes || y.writes) && x.first < y.last && y.first < x.last) return true;
    }
  }
  return false;
}

}  // namespace

std::vector<int> assign_streams(const Plan& plan, int batch, int streams) {
  const Accesses accesses(plan, batch);
  std::vector<std::vector<Access>> done;
  std::vector<int> ends;
  std::vector<int> chosen;
  std::vector<int> free(static_cast<std::size_t>(streams), 0);  // when each stream is done
  for (const Group& group : plan.groups) {
    done.push_back(accesses.forward(group));
    int ready = 0;
    int from = 0;  // the stream of what it waits for last
    for (std::size_t d = 0; d + 1 < done.size(); ++d) {
      if (ends[d] <= ready || !conflict(done[d], done.back())) continue;
      ready = ends[d];
      from = chosen[d];
    }
    int best = from;
    const auto begin = [&](int s) { return std::max(ready, free[static_cast<std::size_t>(s)]); };
    for (int s = 0; s < streams; ++s) {
      if (begin(s) < begin(best)) best = s;
    }
    chosen.push_back(best);
    ends.push_back(begin(best) + 1);
    free[static_cast<std::size_t>(best)] = ends.back();
  }
  return chosen;
}

Schedule make_schedule(const Plan& plan, int batch, bool training,
                       const std::vector<int>& streams) {
  const Accesses accesses(plan, batch);
  Schedule schedule;
  std::vector<std::vector<Access>> touched;
  const auto add = [&](std::size_t group, bool backward) {
    const Group& g = plan.groups[group];
    schedule.tasks.push_back({static_cast<int>(group), backward, streams[group], {}});
    touched.push_back(backward ? accesses.backward(g) : accesses.forward(g));
  };
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    if (training || plan.groups[i].scores) add(i, false);
  }
  for (std::size_t i = plan.groups.size(); training && i-- > 0;) {
    if (accesses.has_backward(plan.groups[i])) add(i, true);
  }
  const std::size_t count =
      static_cast<std::size_t>(*std::max_element(streams.begin(), streams.end())) + 1;
  schedule.last.assign(count, -1);
  const auto await = [&](Task& task) {
    if (task.event < 0) task.event = schedule.events++;
  };
  // By task and stream: the last task of that stream that is known to have ended when it ends.
  std::vector<std::vector<int>> ended;
  for (int t = 0; t < static_cast<int>(schedule.tasks.size()); ++t) {
    Task& task = schedule.tasks[static_cast<std::size_t>(t)];
    int& last = schedule.last[static_cast<std::size_t>(task.stream)];
    std::vector<int> known =
        last < 0 ? std::vector<int>(count, -1) : ended[static_cast<std::size_t>(last)];
    for (int d = t - 1; d >= 0; --d) {
      Task& earlier = schedule.tasks[static_cast<std::size_t>(d)];
      if (d <= known[static_cast<std::size_t>(earlier.stream)] ||
          !conflict(touched[static_cast<std::size_t>(d)], touched[static_cast<std::size_t>(t)])) {
        continue;
      }
      task.waits.push_back(d);
      await(earlier);
      const std::vector<int>& of_earlier = ended[static_cast<std::size_t>(d)];
      for (std::size_t s = 0; s < count; ++s) known[s] = std::max(known[s], of_earlier[s]);
    }
    known[static_cast<std::size_t>(task.stream)] = t;
    ended.push_back(std::move(known));
    last = t;
  }
  for (std::size_t s = 1; s < count; ++s) {
    if (schedule.last[s] >= 0) await(schedule.tasks[static_cast<std::size_t>(schedule.last[s])]);
  }
  return schedule;
}

}  // namespace renas::plan
