// Groups on several streams: whatever order a schedule allows, each pass reads what it would read
// if all ran one after the other.
#include "backend/plan/schedule.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "backend/plan/arena.h"
#include "renas/architecture.h"
#include "renas/network.h"
#include "renas/random.h"

using namespace renas;
using plan::Plan;
using plan::Schedule;
using plan::Task;

namespace {

constexpr int kBatch = 4;

Plan planned(const Graph& graph, int rest) {
  plan::PlanOptions options;
  options.batch = kBatch;
  options.precision = Precision::kBfloat16;
  options.alignment = 64;
  options.rest = rest;
  return plan::make_plan(graph, options);
}

Graph renasnet(int cells, int filters) {
  NetworkOptions options;
  options.cells = cells;
  options.filters = filters;
  options.auxiliary = true;
  return build_network("renasnet", options);
}

/// The time that the schedule takes, in tasks, if all take equally long and streams run at once.
int length(const Schedule& schedule) {
  std::vector<int> ends;
  std::vector<int> free(schedule.last.size(), 0);
  for (const Task& task : schedule.tasks) {
    int& stream = free[static_cast<std::size_t>(task.stream)];
    for (const int d : task.waits) stream = std::max(stream, ends[static_cast<std::size_t>(d)]);
    ends.push_back(++stream);
  }
  return *std::max_element(free.begin(), free.end());
}

/// Memory as numbers: what a pass writes is a hash of the pass and of all that it read.
class Memory {
 public:
  explicit Memory(const Plan& plan) : plan_(plan), norms_(plan.norms.size(), 0) {}

  /// Runs a pass, and returns the hash of what it read.
  std::size_t run(const Task& task) {
    const plan::Group& group = plan_.groups[static_cast<std::size_t>(task.group)];
    std::size_t read = static_cast<std::size_t>(task.group) * 2 + (task.backward ? 1 : 0);
    for (const plan::Part& part : group.parts) {
      const plan::Value& value = at(part.value);
      mix(read, map(value.stored));
      if (value.norm >= 0) mix(read, norms_[static_cast<std::size_t>(value.norm)]);
      if (task.backward && part.gradient && part.accumulate) mix(read, gradient(part.value));
    }
    const plan::Stored* out =
        group.out < 0 ? nullptr : &plan_.stored[static_cast<std::size_t>(group.out)];
    const int norm = out == nullptr || out->normalised < 0 ? -1 : at(out->normalised).norm;
    if (!task.backward) {
      if (out != nullptr) write(out->offset, size(group.out), read);
      if (norm >= 0) norms_[static_cast<std::size_t>(norm)] = read + 1;
      if (group.kind == plan::Group::Kind::kLoss) mix(metrics_, read);
      return read;
    }
    if (out != nullptr) {
      mix(read, map(group.out));
      for (const int value : {out->raw, out->normalised}) {
        if (value >= 0 && at(value).written) mix(read, gradient(value));
      }
      if (norm >= 0) mix(read, norms_[static_cast<std::size_t>(norm)]);
      const plan::Norm* own = norm < 0 ? nullptr : &plan_.norms[static_cast<std::size_t>(norm)];
      if (own != nullptr && own->has_gradient && !own->fused && at(out->raw).written) {
        write(at(out->raw).offset, size(group.out), read + 2);
      }
    }
    for (const plan::Part& part : group.parts) {
      if (part.gradient) write(at(part.value).offset, size(at(part.value).stored), read + 3);
    }
    return read;
  }
  std::size_t metrics() const { return metrics_; }

 private:
  const plan::Value& at(int value) const { return plan_.values[static_cast<std::size_t>(value)]; }
  std::size_t size(int stored) const {
    return plan::floats(plan_.stored[static_cast<std::size_t>(stored)], kBatch);
  }
  static void mix(std::size_t& hash, std::size_t with) {
    hash = (hash ^ with) * 0x9e3779b97f4a7c15U;
    hash ^= hash >> 29;
  }
  std::size_t map(int stored) const {
    return read(plan_.stored[static_cast<std::size_t>(stored)].offset, size(stored));
  }
  std::size_t gradient(int value) const { return read(at(value).offset, size(at(value).stored)); }

  /// Runs of equal numbers, by where they begin. Each buffer that was written begins one.
  std::size_t read(std::size_t first, std::size_t count) const {
    std::size_t hash = 1;
    auto run = values_.upper_bound(first);
    if (run != values_.begin()) mix(hash, std::prev(run)->second);
    for (; run != values_.end() && run->first < first + count; ++run) {
      if (run->second == std::prev(run)->second) continue;
      mix(hash, run->first - first);
      mix(hash, run->second);
    }
    return hash;
  }
  void write(std::size_t first, std::size_t count, std::size_t value) {
    const auto after = values_.upper_bound(first + count);
    const std::size_t behind = std::prev(after)->second;
    values_.erase(values_.lower_bound(first), after);
    values_[first + count] = behind;
    values_[first] = value;
  }

  const Plan& plan_;
  std::map<std::size_t, std::size_t> values_{{0, 0}};
  std::vector<std::size_t> norms_;
  std::size_t metrics_ = 0;
};

/// What each task read, in an order that streams and waits allow, chosen at random.
std::vector<std::size_t> run(const Plan& plan, const Schedule& schedule, Random& random) {
  Memory memory(plan);
  std::vector<std::size_t> found(schedule.tasks.size());
  std::vector<std::vector<int>> queues(schedule.last.size());
  for (int t = static_cast<int>(schedule.tasks.size()); t-- > 0;) {
    queues[static_cast<std::size_t>(schedule.tasks[static_cast<std::size_t>(t)].stream)].push_back(
        t);
  }
  std::set<int> done;
  while (done.size() < schedule.tasks.size()) {
    std::vector<int>& queue = queues[random.below(queues.size())];
    if (queue.empty()) continue;
    const Task& task = schedule.tasks[static_cast<std::size_t>(queue.back())];
    const bool ready = std::all_of(task.waits.begin(), task.waits.end(),
                                   [&](int earlier) { return done.count(earlier) > 0; });
    if (!ready) continue;
    found[static_cast<std::size_t>(queue.back())] = memory.run(task);
    done.insert(queue.back());
    queue.pop_back();
  }
  found.push_back(memory.metrics());
  return found;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(schedule)

BOOST_AUTO_TEST_CASE(every_order_that_is_allowed_reads_the_same) {
  for (const std::string genome : {"renasnet", "nasnet-a", "densenet-bc"}) {
    NetworkOptions options;
    options.cells = 1;
    options.filters = 8;
    const Graph graph = build_network(genome, options);
    for (const int rest : {0, 8}) {
      const Plan plan = planned(graph, rest);
      const std::vector<int> one(plan.groups.size(), 0);
      for (const bool training : {false, true}) {
        Random random(1);
        const auto serial = run(plan, make_schedule(plan, kBatch, training, one), random);
        const auto streams = plan::assign_streams(plan, kBatch, 4);
        const Schedule schedule = make_schedule(plan, kBatch, training, streams);
        for (int order = 0; order < 20; ++order) {
          BOOST_TEST(run(plan, schedule, random) == serial, boost::test_tools::per_element());
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_wait_that_is_left_out_reads_something_else) {
  const Plan plan = planned(renasnet(1, 8), 8);
  const auto streams = plan::assign_streams(plan, kBatch, 4);
  const Schedule schedule = make_schedule(plan, kBatch, true, streams);
  Random random(1);
  const auto right = run(plan, schedule, random);
  int waits = 0;
  int seen = 0;
  for (std::size_t t = 0; t < schedule.tasks.size(); ++t) {
    for (std::size_t w = 0; w < schedule.tasks[t].waits.size(); ++w) {
      Schedule wrong = schedule;
      wrong.tasks[t].waits.erase(wrong.tasks[t].waits.begin() + static_cast<std::ptrdiff_t>(w));
      ++waits;
      bool differs = false;
      for (int order = 0; order < 60 && !differs; ++order)
        differs = run(plan, wrong, random) != right;
      seen += differs ? 1 : 0;
    }
  }
  BOOST_TEST_MESSAGE(seen << " of " << waits << " waits were missed in 60 orders");
  BOOST_TEST(waits > 50);
  BOOST_TEST(seen > waits * 8 / 10);
}

BOOST_AUTO_TEST_CASE(four_streams_shorten_a_step_and_one_keeps_the_plans_order) {
  const Plan plan = planned(renasnet(2, 24), 8);
  const Schedule serial = make_schedule(plan, kBatch, true, plan::assign_streams(plan, kBatch, 1));
  BOOST_TEST(length(serial) == std::ssize(serial.tasks));
  BOOST_TEST(serial.events == 0);
  const auto streams = plan::assign_streams(plan, kBatch, 4);
  const Schedule schedule = make_schedule(plan, kBatch, true, streams);
  BOOST_TEST(schedule.tasks.size() == serial.tasks.size());
  BOOST_TEST(static_cast<double>(serial.tasks.size()) / length(schedule) > 2.5);
  // Memory that rests costs little.
  BOOST_TEST(static_cast<double>(plan.arena) <
             1.05 * static_cast<double>(planned(renasnet(2, 24), 0).arena));
  std::set<int> events;
  for (std::size_t t = 0; t < schedule.tasks.size(); ++t) {
    const Task& task = schedule.tasks[t];
    if (task.event >= 0) BOOST_TEST(events.insert(task.event).second);
    for (const int earlier : task.waits) {
      BOOST_TEST(earlier < static_cast<int>(t));
      const Task& awaited = schedule.tasks[static_cast<std::size_t>(earlier)];
      BOOST_TEST(awaited.stream != task.stream);
      BOOST_TEST(awaited.event >= 0);
    }
  }
  BOOST_TEST(static_cast<int>(events.size()) == schedule.events);
}

BOOST_AUTO_TEST_SUITE_END()
