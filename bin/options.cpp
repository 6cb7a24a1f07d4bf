#include "options.h"

namespace renas::program {

void add_network_options(CLI::App& app, NetworkOptions& network) {
  const char* group = "Network";
  app.add_option("--network", network.kind, "Frame around the cells (cifar: 3x3 stem, three stages; "
                                            "imagenet: two more stride-2 cells first)")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, NetworkKind>{{"cifar", NetworkKind::kCifar},
                                             {"imagenet", NetworkKind::kImageNet}}))
      ->default_str(to_string(network.kind))
      ->option_text("cifar|imagenet [" + std::string(to_string(network.kind)) + "]")
      ->group(group);
  app.add_option("--cells", network.cells, "N: stride-1 cells a stage")
      ->check(CLI::Range(1, 1000))
      ->group(group);
  app.add_option("--filters", network.filters, "F: filters of the first stage")
      ->check(CLI::Range(1, 8192))
      ->group(group);
  app.add_option("--stem", network.stem, "Filters of the stem; 0: 3 F (cifar) or 32 (imagenet)")
      ->check(CLI::Range(0, 65536))
      ->group(group);
  app.add_flag("--concat-c2", network.concat_c2,
               "Stride-1 cells also append the adapted c-2, as the authors' released graph does")
      ->group(group);
}

void add_device_options(CLI::App& app, std::string& backend, int& threads, Precision& precision) {
  const char* group = "Device";
  app.add_option("--backend", backend, "What computes: onednn, reference, or auto (the fastest)")
      ->group(group);
  app.add_option("--threads", threads,
                 "Threads a rank; 0: the cores it may run on, shared with ranks on the same cores")
      ->check(CLI::Range(0, 4096))
      ->group(group);
  app.add_option("--precision", precision, "Numbers of activations and convolutions")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Precision>{
          {"f32", Precision::kFloat32}, {"bf16", Precision::kBfloat16}}))
      ->default_str("f32")
      ->option_text("f32|bf16 [f32]")
      ->group(group);
}

}  // namespace renas::program
