#include "renas/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/files.h"
#include "core/hdf5.h"
#include "renas/error.h"

namespace renas {

namespace {

constexpr int kFormatVersion = 1;
constexpr int64_t kMaxRank = 4;

template <class Fill>
void write_file(const std::string& path, const char* format, const Fill& fill) {
  const h5::Guard guard;
  PendingFile pending(path);
  h5::File file = h5::create_file(pending.partial());
  h5::write_attribute(file, "format", std::string(format));
  h5::write_attribute<int32_t>(file, "format_version", kFormatVersion);
  h5::write_attribute(file, "written_by", std::string("renas " RENAS_VERSION));
  fill(file);
  h5::close_file(std::move(file));
  pending.commit();
}

h5::File open_as(const std::string& path, const std::string& format) {
  h5::File file = h5::open_file(path);
  const std::string found =
      h5::has_attribute(file, "format") ? h5::read_string_attribute(file, "format") : "";
  if (found != format) {
    throw IoError(fmt::format("{}: expected a file of format '{}', found {}", path, format,
                              found.empty() ? "no format attribute" : "'" + found + "'"));
  }
  const auto version = h5::read_attribute<int32_t>(file, "format_version");
  if (version != kFormatVersion) {
    throw IoError(fmt::format("{}: format version {}, this program reads version {}", path, version,
                              kFormatVersion));
  }
  return file;
}

void write_tensors(hid_t file, const Weights& weights) {
  const h5::Group group = h5::create_group(file, "weights");
  std::vector<std::string> names;
  std::vector<int64_t> shapes;
  std::vector<int64_t> offsets{0};
  std::vector<float> values;
  for (const auto& [name, tensor] : weights) {
    names.push_back(name);
    for (std::size_t d = 0; d < kMaxRank; ++d) {
      shapes.push_back(d < tensor.shape.size() ? tensor.shape[d] : 0);
    }
    values.insert(values.end(), tensor.values.begin(), tensor.values.end());
    offsets.push_back(static_cast<int64_t>(values.size()));
  }
  h5::write_strings(group, "names", names);
  h5::write(group, "shapes", std::span<const int64_t>(shapes),
            {static_cast<int64_t>(names.size()), kMaxRank});
  h5::write(group, "offsets", offsets);
  h5::write(group, "values", values);
}

Weights read_tensors(hid_t file, const std::string& path) {
  const h5::Group group = h5::open_group(file, "weights");
  const auto names = h5::read_strings(group, "names");
  const auto shapes = h5::read<int64_t>(group, "shapes");
  const auto offsets = h5::read<int64_t>(group, "offsets");
  const auto values = h5::read<float>(group, "values");
  const auto damaged = [&](const std::string& what) {
    return IoError(fmt::format("{}: weights/{}; the file is damaged", path, what));
  };
  if (shapes.size() != names.size() * kMaxRank || offsets.size() != names.size() + 1) {
    throw damaged(fmt::format("names, shapes and offsets disagree: {}, {} and {} numbers",
                              names.size(), shapes.size(), offsets.size()));
  }
  Weights weights;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Tensor tensor;
    int64_t size = 1;
    for (std::size_t d = 0; d < kMaxRank && shapes[i * kMaxRank + d] != 0; ++d) {
      tensor.shape.push_back(shapes[i * kMaxRank + d]);
      size *= tensor.shape.back();
    }
    const int64_t from = offsets[i];
    const int64_t to = offsets[i + 1];
    if (from < 0 || to - from != size || to > static_cast<int64_t>(values.size())) {
      throw damaged(fmt::format("offsets of {} do not fit its shape", names[i]));
    }
    tensor.values.assign(values.begin() + from, values.begin() + to);
    weights.emplace(names[i], std::move(tensor));
  }
  return weights;
}

}  // namespace

SearchSpace space_of(const std::string& genome) {
  const std::string& text = genome == "renasnet" ? kRenasNet : genome;
  return SearchSpace::renas(1 + static_cast<int>(std::count(text.begin(), text.end(), ',')));
}

Graph graph_of(const Model& model) {
  const SearchSpace space = space_of(model.genome);
  return build_network(space, parse_genome(space, model.genome), model.network).pruned(false);
}

void save_model(const std::string& path, const Model& model) {
  write_file(path, "renas-model", [&](hid_t file) {
    const NetworkOptions& n = model.network;
    h5::write_attribute(file, "genome", model.genome);
    h5::write_attribute(file, "network", std::string(to_string(n.kind)));
    h5::write_attribute<int32_t>(file, "cells", n.cells);
    h5::write_attribute<int32_t>(file, "filters", n.filters);
    h5::write_attribute<int32_t>(file, "stem", n.stem);
    h5::write_attribute(file, "image",
                        std::vector<int32_t>{n.image.height, n.image.width, n.image.channels});
    h5::write_attribute<int32_t>(file, "classes", n.classes);
    h5::write_attribute<int32_t>(file, "concat_c2", n.concat_c2 ? 1 : 0);
    h5::write_attribute(file, "validation_accuracy", model.validation_accuracy);
    h5::write_attribute(file, "mean", model.mean);
    h5::write_attribute(file, "sd", model.sd);
    h5::write_strings(file, "class_names", model.class_names);
    Weights kept;
    const Graph graph = graph_of(model);
    for (const Parameter& p : graph.parameters()) {
      const auto found = model.weights.find(p.name);
      if (found == model.weights.end()) {
        throw InvalidShape(fmt::format("{}: the model's weights lack '{}'", path, p.name));
      }
      kept.insert(*found);
    }
    write_tensors(file, kept);
  });
}

Model load_model(const std::string& path) {
  const h5::Guard guard;
  const h5::File file = open_as(path, "renas-model");
  Model model;
  NetworkOptions& n = model.network;
  model.genome = h5::read_string_attribute(file, "genome");
  n.kind = parse_network_kind(h5::read_string_attribute(file, "network"));
  n.cells = h5::read_attribute<int32_t>(file, "cells");
  n.filters = h5::read_attribute<int32_t>(file, "filters");
  n.stem = h5::read_attribute<int32_t>(file, "stem");
  const auto image = h5::read_attributes<int32_t>(file, "image");
  if (image.size() != 3) throw IoError(path + ": attribute image: expected 3 numbers");
  n.image = {image[2], image[0], image[1]};
  n.classes = h5::read_attribute<int32_t>(file, "classes");
  n.concat_c2 = h5::read_attribute<int32_t>(file, "concat_c2") != 0;
  model.validation_accuracy = h5::read_attribute<double>(file, "validation_accuracy");
  model.mean = h5::read_attributes<double>(file, "mean");
  model.sd = h5::read_attributes<double>(file, "sd");
  model.class_names = h5::read_strings(file, "class_names");
  model.weights = read_tensors(file, path);
  return model;
}

void save_weights(const std::string& path, const std::string& genome, const Weights& weights) {
  write_file(path, "renas-weights", [&](hid_t file) {
    h5::write_attribute(file, "genome", genome);
    write_tensors(file, weights);
  });
}

Weights load_weights(const std::string& path, const std::string& genome) {
  const h5::Guard guard;
  const h5::File file = open_as(path, "renas-weights");
  const std::string found = h5::read_string_attribute(file, "genome");
  if (found != genome) {
    throw IoError(
        fmt::format("{}: expected the weights of {}, found those of {}", path, genome, found));
  }
  return read_tensors(file, path);
}

void save_checkpoint(const std::string& path, const std::string& purpose,
                     const FinalState& state) {
  write_file(path, "renas-checkpoint", [&](hid_t file) {
    h5::write_attribute(file, "purpose", purpose);
    h5::write_attribute<uint64_t>(file, "seed", state.training.seed);
    h5::write_attribute<int32_t>(file, "epoch", state.training.epoch);
    std::vector<double> history;
    for (const EpochMetrics& e : state.training.history) {
      history.push_back(e.loss);
      history.push_back(e.accuracy);
    }
    h5::write(file, "history", std::span<const double>(history),
              {static_cast<int64_t>(state.training.history.size()), 2});
    write_tensors(file, state.weights);
  });
}

FinalState load_checkpoint(const std::string& path, const std::string& purpose) {
  const h5::Guard guard;
  const h5::File file = open_as(path, "renas-checkpoint");
  const std::string found = h5::read_string_attribute(file, "purpose");
  if (found != purpose) {
    throw InvalidInput(fmt::format("{}: expected the checkpoint of\n  {}\nfound that of\n  {}\n"
                                   "Give the same options to go on, or another output to start anew.",
                                   path, purpose, found));
  }
  FinalState state;
  state.training.seed = h5::read_attribute<uint64_t>(file, "seed");
  state.training.epoch = h5::read_attribute<int32_t>(file, "epoch");
  const auto history = h5::read<double>(file, "history");
  for (std::size_t i = 0; i + 1 < history.size(); i += 2) {
    state.training.history.push_back({history[i], history[i + 1]});
  }
  state.weights = read_tensors(file, path);
  return state;
}

}  // namespace renas
