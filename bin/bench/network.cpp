#include "bench/network.h"

#include <CLI/CLI.hpp>

#include "renas/error.h"
#include "renas/random.h"

void NetworkChoice::add_options(CLI::App& app) {
  app.add_option("--genome", genome, "Genome, or renasnet")->capture_default_str();
  app.add_option("--network", network, "cifar, imagenet or deeplab")->capture_default_str();
  app.add_option("--cells", cells, "N, cells a stage")->capture_default_str();
  app.add_option("--filters", filters, "F, filters of the first stage")->capture_default_str();
  app.add_option("--image", image, "Pictures, HxWxC")->capture_default_str();
  app.add_option("--classes", classes, "Classes")->capture_default_str();
  app.add_option("--batch", batch, "Pictures a step")->capture_default_str();
  app.add_option("--threads", threads, "Threads")->capture_default_str();
  app.add_option("--precision", precision, "f32 or bf16")->capture_default_str();
  app.add_flag("--auxiliary", auxiliary, "With the auxiliary head");
}

renas::Graph NetworkChoice::graph() const {
  const renas::SearchSpace space = renas::SearchSpace::renas();
  renas::NetworkOptions options;
  options.kind = renas::parse_network_kind(network);
  options.cells = cells;
  options.filters = filters;
  options.image = renas::parse_shape(image);
  options.classes = classes;
  options.auxiliary = auxiliary;
  return renas::build_network(space, renas::parse_genome(space, genome), options);
}

renas::ProgramOptions NetworkChoice::program_options() const {
  renas::ProgramOptions options;
  options.batch = batch;
  options.threads = threads;
  options.precision = renas::parse_precision(precision);
  return options;
}

renas::Weights NetworkChoice::weights(const renas::Graph& graph) const {
  renas::Random random(1);
  return renas::initialize(graph, random);
}

void NetworkChoice::stage(renas::Program& program) const {
  renas::Random random(2);
  renas::HostBatch& staged = program.staging();
  for (float& v : staged.images) v = static_cast<float>(random.uniform(-1.7, 1.7));
  for (int32_t& v : staged.labels) {
    v = static_cast<int32_t>(random.below(static_cast<uint64_t>(classes)));
  }
  staged.count = batch;
}
