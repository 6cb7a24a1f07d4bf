#include "cli/options.h"

namespace renas::cli {

void add_network_options(CLI::App& app, NetworkOptions& network) {
  OptionGroup group(app, "Network");
  group
      .text(
          "--network",
          [&network](const std::string& text) { network.kind = parse_network_kind(text); },
          "Frame around the cells (cifar: 3x3 stem, three stages; imagenet: two more stride-2 "
          "cells "
          "first; deeplab: that as the body of DeepLabv3, which segments)")
      ->check(CLI::IsMember({"cifar", "imagenet", "deeplab"}))
      ->default_str(to_string(network.kind));
  group.option("--cells", network.cells, "N: stride-1 cells a stage")->check(CLI::Range(1, 1000));
  group.option("--filters", network.filters, "F: filters of the first stage")
      ->check(CLI::Range(1, 8192));
  group.option("--stem", network.stem, "Filters of the stem; 0: 3 F (cifar) or 32 (imagenet)")
      ->check(CLI::Range(0, 65536));
  group
      .option("--output-stride", network.output_stride,
              "deeplab: the image's pixels between two of the body's features")
      ->check(CLI::IsMember({8, 16}));
  group.flag("--concat-c2", network.concat_c2,
             "Stride-1 cells also append the adapted c-2, as the authors' released graph does");
}

void add_rank_options(OptionGroup& group, double& worker_timeout, int& max_attempts,
                      double& io_patience, int& ranks_per_gpu) {
  group
      .option(
          "--worker-timeout", worker_timeout,
          "Seconds of silence after which a busy rank counts as dead and its child as lost, and "
          "rank "
          "0 for the others")
      ->check(CLI::PositiveNumber);
  group
      .option("--max-attempts", max_attempts,
              "A child whose process died that often while it was trained counts as lost")
      ->check(CLI::Range(1, 1000000));
  group
      .option("--io-patience", io_patience,
              "Seconds over which reading or writing a file that failed is tried again")
      ->check(CLI::NonNegativeNumber);
  group
      .option("--ranks-per-gpu", ranks_per_gpu,
              "Ranks of a machine that may share a GPU; more are refused")
      ->check(CLI::Range(1, 64));
}

void add_device_options(CLI::App& app, Device& device) {
  OptionGroup group(app, "Device");
  group.option(
      "--backend", device.backend,
      "What computes: cudnn, cpu, reference, or auto (the first of these that this build has and "
      "this machine can use); check:cudnn,cpu computes by both and stops where they disagree");
  group
      .option("--threads", device.threads,
              "Threads a rank; 0: the cores it may run on, shared with ranks on the same cores, or "
              "fewer, if a control group's quota, SLURM_CPUS_PER_TASK or OMP_NUM_THREADS says so")
      ->check(CLI::Range(0, 4096));
  group
      .option(
          "--streams", device.streams,
          "cudnn: streams that parts of a network which do not depend on each other run on side "
          "by side; changes no result. 0: four")
      ->check(CLI::Range(0, 64));
  group
      .text(
          "--precision",
          [&device](const std::string& text) { device.precision = parse_precision(text); },
          "Numbers of the maps between layers; bf16 halves their memory, weights and the sums "
          "within a layer stay f32")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->default_str("f32");
}

}  // namespace renas::cli
