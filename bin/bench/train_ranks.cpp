#include "bench/train_ranks.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "cli/ranks.h"
#include "renas/backend.h"
#include "renas/communicator.h"
#include "renas/error.h"
#include "renas/transport.h"
#include "train/linked_ranks.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Where the seconds of a round's steps went, on one rank.
struct Round {
  double all = 0;
  double waiting = 0;  ///< for slower ranks, before the sum
  double summing = 0;
};

/// As train() takes them. `communicator` is null for a rank alone.
Round time_steps(renas::Program& program, int steps, renas::Communicator* communicator) {
  Round round;
  const auto start = Clock::now();
  for (int step = 0; step < steps; ++step) {
    program.gradients({.seed = 1, .step = static_cast<uint64_t>(step)});
    if (communicator != nullptr) {
      program.metrics();  // a device has computed the gradients
      const auto computed = Clock::now();
      renas::any(communicator, false);
      const auto together = Clock::now();
      program.reduce(*communicator, communicator->ranks());
      communicator->wait_for_device();
      round.waiting += std::chrono::duration<double>(together - computed).count();
      round.summing += seconds_since(together);
    }
    program.update({});
    program.metrics();
  }
  round.all = seconds_since(start);
  return round;
}

/// Lets rank 0 go ahead alone. The others sleep meanwhile: MPI's own waits keep a core busy.
template <class Work>
void on_first_rank(renas::Transport& transport, const Work& work) {
  if (transport.rank() == 0) {
    work();
    for (int rank = 1; rank < transport.ranks(); ++rank) transport.send_to_worker(rank, "go on");
  } else {
    while (!transport.next_from_coordinator()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

/// The largest of a share over the ranks.
double largest(renas::Communicator& communicator, double share) {
  const std::vector<double> all = renas::gather(&communicator, share);
  return *std::max_element(all.begin(), all.end());
}

}  // namespace

void run_ranks_bench(const RanksBench& options) {
  char name[] = "renas-bench";
  char* arguments[] = {name, nullptr};
  int count = 1;
  char** argv = arguments;
  const renas::cli::Ranks ranks(count, argv);
  if (ranks.ranks() == 1) {
    throw renas::InvalidInput(
        "--ranks: this is one rank alone; start several: mpirun -np 2 renas-bench train --ranks");
  }
  const NetworkChoice& o = options.network;
  const std::unique_ptr<renas::Transport> transport = ranks.make_transport();
  const std::unique_ptr<renas::Communicator> hosts = ranks.make_communicator();
  const auto backend =
      renas::make_backend({.backend = options.backend,
                           .index = ranks.choose_device(options.backend, ranks.ranks()),
                           .streams = options.streams});
  const renas::Graph graph = o.graph();
  const auto program = backend->compile(graph, o.program_options());
  program->load(o.weights(graph));
  o.stage(*program);
  renas::LinkedRanks linked(hosts.get(), *backend);
  renas::Communicator* const communicator = linked.communicator();
  time_steps(*program, 2, communicator);  // memory is touched, connections are made

  const bool first = ranks.rank() == 0;
  nlohmann::json rounds = nlohmann::json::array();
  std::vector<double> ratios;
  std::vector<double> shares;
  if (first && !options.json) {
    std::printf("%s, %s N=%d F=%d, %s, a batch of %d and %d thread%s a rank, %d steps a round\n",
                backend->description().c_str(), o.network.c_str(), o.cells, o.filters,
                o.image.c_str(), o.batch, o.threads, o.threads == 1 ? "" : "s", options.steps);
    if (!linked.how().empty()) std::printf("%s\n", linked.how().c_str());
  }
  for (int round = 0; round < options.rounds; ++round) {
    double alone = 0;
    on_first_rank(*transport, [&] { alone = time_steps(*program, options.steps, nullptr).all; });
    const Round together = time_steps(*program, options.steps, communicator);
    const double images = static_cast<double>(options.steps) * o.batch;
    const double one = images / alone;
    const double all = images * ranks.ranks() / together.all;
    const double waiting = largest(*communicator, together.waiting / together.all);
    const double summing = largest(*communicator, together.summing / together.all);
    ratios.push_back(all / one);
    shares.push_back(summing);
    if (!first) continue;
    rounds.push_back({{"images_per_second_of_one", one},
                      {"images_per_second_of_all", all},
                      {"ratio", all / one},
                      {"all_reduce_share", summing},
                      {"waiting_share", waiting}});
    if (!options.json) {
      std::printf(
          "one rank %.1f images/s, %d ranks %.1f images/s: %.3f times as many; of a step %.2f %% "
          "is the all-reduce, and %.2f %% waiting for the slowest rank\n",
          one, ranks.ranks(), all, all / one, 100 * summing, 100 * waiting);
      std::fflush(stdout);
    }
  }
  linked.close();
  if (!first) return;
  if (options.json) {
    const nlohmann::json result = {{"backend", backend->name()},
                                   {"ranks", ranks.ranks()},
                                   {"threads", o.threads},
                                   {"batch", o.batch},
                                   {"steps", options.steps},
                                   {"rounds", rounds},
                                   {"sums", linked.how()},
                                   {"ratio", median(ratios)},
                                   {"all_reduce_share", median(shares)}};
    std::printf("%s\n", result.dump(2).c_str());
    return;
  }
  std::printf(
      "median of %d rounds: %.3f times the images/s of one rank, all-reduce %.2f %% of a "
      "step\n",
      options.rounds, median(ratios), 100 * median(shares));
}
