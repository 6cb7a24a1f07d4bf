#include "cluster/run_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "graph/cell_counts.h"
#include "renas/error.h"

namespace renas {

SearchSpace space_of(const SearchRunOptions& options) {
  if (options.cells_searched != 1 && options.cells_searched != 2) {
    throw InvalidInput(
        fmt::format("cells_searched {}: expected 1, or 2: a normal and a reduction cell",
                    options.cells_searched));
  }
  const SearchSpace space = options.space ? *options.space
                            : options.operators.empty()
                                ? SearchSpace::renas(options.blocks)
                                : SearchSpace::renas(options.blocks, options.operators);
  if (space.notation() != Notation::kCell) {
    throw InvalidInput(fmt::format(
        "space '{}': expected a part of the paper's space, whose genomes become networks",
        space.name()));
  }
  return space.cell_count() < options.cells_searched ? SearchSpace::pair(space, space) : space;
}

namespace {

void check(bool good, const char* option, double found, const char* expected) {
  if (!good) throw InvalidInput(fmt::format("{} {}: expected {}", option, found, expected));
}

}  // namespace

void check_run_options(const SearchRunOptions& o) {
  check(o.children >= 0, "children", o.children, "0 or more");
  check(o.patience >= 0, "patience", o.patience, "0 or more");
  check(o.controls >= 0, "controls", o.controls, "0 or more");
  check(o.retrain_ranks >= 0, "retrain_ranks", o.retrain_ranks, "0 (auto), 1 or more");
  check(o.max_attempts >= 1, "max_attempts", o.max_attempts, "1 or more");
  check(o.worker_timeout > 0, "worker_timeout", o.worker_timeout, "more than 0 seconds");
  // In this form NaN is refused too.
  check(o.time_budget >= 0, "time_budget", o.time_budget, "0 (none) or more seconds");
  check(o.snapshot_seconds >= 0, "snapshot_seconds", o.snapshot_seconds, "0 or more");
  check(o.io_patience >= 0, "io_patience", o.io_patience, "0 or more seconds");
  check(o.drain_seconds >= 0, "drain_seconds", o.drain_seconds, "0 or more");
  check(o.stop_grace >= 0, "stop_grace", o.stop_grace, "0 or more seconds");
}

RunSetup make_setup(const SearchRunOptions& given) {
  SearchRunOptions options = given;
  check_run_options(options);
  if (options.retrain_subset == -1) options.retrain_subset = options.subset;
  if (options.validation == 0 && options.validation_group.empty()) {
    throw InvalidInput(
        "validation 0: the search judges children by D_val; expected -1 or a number");
  }
  const uint64_t seed = options.strategy.seed;
  SearchData search = open_search_data(options.data, options.validation, options.subset, seed,
                                       options.validation_group);
  if (search.images.encoded()) {
    throw InvalidInput(
        fmt::format("{}: its images are encoded and may vary in size; the search needs one size: "
                    "prepare the data set anew, all scaled to one",
                    options.data));
  }
  // The same images and D_val; only D_train may be another part.
  SearchData final = search;
  if (options.retrain_subset != options.subset) {
    try {
      final = open_search_data(options.data, options.validation, options.retrain_subset, seed,
                               options.validation_group);
    } catch (const InvalidInput& e) {
      throw InvalidInput(fmt::format("retrain_{}", e.what()));  // which begins with "subset"
    }
    final.images = search.images;
  }
  for (NetworkOptions* network : {&options.child.network, &options.final.network}) {
    network->image = search.images.shape();
    network->classes = search.images.classes();
  }
  if (const int ranks = options.retrain_ranks; ranks > 0 && options.final.batch % ranks != 0) {
    throw InvalidInput(
        fmt::format("retrain_ranks {}: a batch of {} cannot be shared equally by so many ranks; "
                    "expected a divisor of it, or auto",
                    ranks, options.final.batch));
  }
  if (options.balance_classes) {
    options.child.network.class_weights = balanced_class_weights(search);
    options.final.network.class_weights = balanced_class_weights(final);
  }
  SearchSpace space = space_of(options);
  if (options.max_parameters > 0 || options.max_mult_adds > 0) {
    options.strategy.admits =
        [space, network = options.child.network, parameters = options.max_parameters,
         mult_adds = options.max_mult_adds, others = given.strategy.admits](const Genome& genome) {
          if (others && !others(genome)) return false;
          const Counts counts = count_network(space, genome, network);
          return (parameters <= 0 || counts.parameters <= parameters) &&
                 (mult_adds <= 0 || counts.mult_adds <= mult_adds);
        };
  }
  if (options.weigh_parameters) {
    if (options.strategy.size) {
      throw InvalidInput(
          "weigh_parameters: expected no StrategyOptions::size beside it, since it sets one");
    }
    options.strategy.size = [space, network = options.child.network](const Genome& genome) {
      return static_cast<double>(count_network(space, genome, network).parameters);
    };
  }
  // What no genome can mend is refused now: images too small, F that the frame cannot halve, limits
  // that nothing meets.
  Random random(seed);
  build_network(space, random_genome(space, random), options.child.network);
  if (options.strategy.admits) {
    int tries = 0;
    while (!options.strategy.admits(random_genome(space, random))) {
      if (++tries == 1000) {
        throw InvalidInput(fmt::format(
            "max_parameters {}, max_mult_adds {}{}: none of {} random cells stays within them",
            options.max_parameters, options.max_mult_adds,
            given.strategy.admits ? ", StrategyOptions::admits" : "", tries));
      }
    }
  }
  std::string identity = identity_of(options.data, search.images);
  return {.options = options,
          .space = std::move(space),
          .search = std::move(search),
          .final = std::move(final),
          .data_identity = std::move(identity)};
}

std::optional<DataSet> open_test_set(const std::string& path, const DataSet& train, int crop) {
  if (!DataSet::has_split(path, "test")) return std::nullopt;
  DataSet test = DataSet::open(path, "test");
  const bool fits =
      crop > 0 ? test.shape().channels == train.shape().channels : test.shape() == train.shape();
  if (fits && test.classes() == train.classes()) return test;
  throw InvalidInput(fmt::format(
      "{}: images of `test` are {} of {} classes, those of `train` {} of {}", path,
      to_string(test.shape()), test.classes(), to_string(train.shape()), train.classes()));
}

namespace {

/// FNV-1a over what is added.
class Hash {
 public:
  void add(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) value_ = (value_ ^ byte) * 1099511628211U;
  }
  template <class T>
  void add_values(std::span<const T> values) {
    add({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  }
  void add(const DataSet& data) {
    constexpr int64_t kPictures = 256;
    add_values(data.labels());
    std::vector<uint8_t> buffer;
    for (int64_t i = 0; i < data.size(); i += std::max<int64_t>(1, data.size() / kPictures)) {
      add(data.image(i, buffer));
    }
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 14695981039346656037U;
};

}  // namespace

std::string identity_of(const std::string& path, const DataSet& train) {
  Hash hash;
  hash.add_values(std::span<const double>(train.info().mean));
  hash.add_values(std::span<const double>(train.info().sd));
  for (const std::string& name : train.info().class_names) {
    hash.add_values(std::span<const char>(name.c_str(), name.size() + 1));
  }
  hash.add(train);
  if (DataSet::has_split(path, "test")) {
    hash.add(DataSet::open(path, "test"));
  }
  return fmt::format("{} images of {}, {} classes, {:016x}", train.size(), to_string(train.shape()),
                     train.classes(), hash.value());
}

RunInputs inputs_of(const RunSetup& setup) {
  RunInputs inputs;
  if (setup.options.space) inputs["space"] = setup.space.to_text();
  for (const Genome& genome : setup.options.strategy.initial_genomes) {
    inputs["initial_genomes"] += to_string(setup.space, genome) + "\n";
  }
  return inputs;
}

std::vector<Genome> control_genomes(const RunSetup& setup) {
  Random random(setup.options.strategy.seed, Purpose::kRetrain);
  std::vector<Genome> genomes;
  const auto& admits = setup.options.strategy.admits;
  while (static_cast<int>(genomes.size()) < setup.options.controls) {
    Genome genome = random_genome(setup.space, random);
    if (!admits || admits(genome)) genomes.push_back(std::move(genome));
  }
  return genomes;
}

}  // namespace renas
