#pragma once

#include <string>

#include "renas/backend.h"
#include "renas/network.h"

namespace CLI {
class App;
}

/// The network that a benchmark trains, from the command line.
struct NetworkChoice {
  std::string genome = "renasnet";
  std::string network = "cifar";
  std::string image = "32x32x3";
  std::string precision = "f32";
  int cells = 2;
  int filters = 24;
  int classes = 10;
  int batch = 64;
  int threads = 1;
  bool auxiliary = false;

  void add_options(CLI::App& app);
  /// Throws InvalidInput.
  renas::Graph graph() const;
  renas::ProgramOptions program_options() const;
  /// As they are before training.
  renas::Weights weights(const renas::Graph& graph) const;
  /// A full batch of noise.
  void stage(renas::Program& program) const;
};
