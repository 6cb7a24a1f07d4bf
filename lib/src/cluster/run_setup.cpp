#include "cluster/run_setup.h"

#include <fmt/format.h>

#include <algorithm>

#include "renas/error.h"

namespace renas {

namespace {

SearchData limited(const DataSet& pictures, const Split& split, int64_t subset, uint64_t seed,
                   const char* option) {
  SearchData data{pictures, split.train, split.validation};
  const auto available = static_cast<int64_t>(split.train.size());
  if (subset < 0 || subset > available) {
    throw InvalidInput(fmt::format(
        "{} {}: expected 0 (all) to {}, the pictures that {} of validation leave of {}", option,
        subset, available, split.validation.size(), pictures.size()));
  }
  if (subset > 0) data.train = take_stratified(pictures.labels(), split.train, subset, seed);
  return data;
}

}  // namespace

RunSetup make_setup(const SearchRunOptions& given) {
  SearchRunOptions options = given;
  const DataSet pictures = DataSet::open(options.data, "train");
  if (pictures.encoded()) {
    throw InvalidInput(fmt::format(
        "{}: holds pictures of varying size; the search needs one size: prepare the data with --size",
        options.data));
  }
  options.child.network.image = pictures.shape();
  options.child.network.classes = pictures.classes();
  options.final.network.image = pictures.shape();
  options.final.network.classes = pictures.classes();

  const int64_t size = pictures.size();
  if (options.validation < 0) options.validation = default_validation_count(size);
  if (options.validation < 1 || options.validation >= size) {
    throw InvalidInput(fmt::format(
        "--validation {}: expected 1 to {}, since {} has {} training pictures and both D_train and "
        "D_val need some",
        options.validation, size - 1, options.data, size));
  }
  if (options.retrain_subset < 0) options.retrain_subset = options.subset;
  const uint64_t seed = options.strategy.seed;
  const Split split = split_validation(pictures.labels(), options.validation, seed);
  SearchSpace space = options.operators.empty()
                          ? SearchSpace::renas(options.blocks)
                          : SearchSpace::renas(options.blocks, options.operators);
  if (options.max_parameters > 0 || options.max_mult_adds > 0) {
    options.strategy.admits = [space, network = options.child.network,
                               parameters = options.max_parameters,
                               mult_adds = options.max_mult_adds](const Genome& genome) {
      const Counts counts = count(build_network(space, genome, network));
      return (parameters <= 0 || counts.parameters <= parameters) &&
             (mult_adds <= 0 || counts.mult_adds <= mult_adds);
    };
  }
  return {options, std::move(space), limited(pictures, split, options.subset, seed, "--subset"),
          limited(pictures, split, options.retrain_subset, seed, "--retrain-subset")};
}

std::vector<Genome> control_genomes(const RunSetup& setup) {
  Random random(setup.options.strategy.seed, Purpose::kRetrain);
  std::vector<Genome> genomes;
  for (int i = 0; i < setup.options.controls; ++i) {
    genomes.push_back(random_genome(setup.space, random));
  }
  return genomes;
}

}  // namespace renas
