#include "renas/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "core/hdf5.h"
#include "renas/architecture.h"
#include "renas/error.h"
#include "store/hdf5_file.h"

namespace renas {

namespace {

struct Format {
  const char* name;
  int version;
};
constexpr Format kModel{"renas-model", 1};
constexpr Format kMember{"renas-weights", 2};
constexpr Format kCheckpoint{"renas-checkpoint", 1};

/// Of the name of a weight's moving average.
const std::string kAverageSuffix = "/average";

constexpr int64_t kMaxRank = 4;
// Limits that the programs accept, and that no network exceeds.
constexpr int32_t kMostCells = 1000;
constexpr int32_t kMostFilters = 65536;
constexpr int32_t kMostClasses = 1 << 24;
constexpr int32_t kMostEpochs = 1 << 20;
constexpr int32_t kMostRanks = 1 << 24;

template <class Fill>
void write_file(const std::string& path, const Format& format, const Fill& fill) {
  write_hdf5(path, format.name, format.version, [&](hid_t file) {
    h5::write_attribute(file, "written_by", std::string("renas " RENAS_VERSION));
    fill(file);
  });
}

h5::File open_as(const std::string& path, const Format& format) {
  return open_hdf5(path, format.name, format.version);
}

/// Returns `value`, which was read from a file. Throws IoError unless it is in [least, most]; NaN
/// is not.
template <class T>
T in_range(const std::string& path, const char* name, T value, T least, T most) {
  if (value >= least && value <= most) return value;
  throw IoError(fmt::format("{}: {} is {}, expected {} to {}; the file is damaged", path, name,
                            value, least, most));
}

void write_tensors(hid_t file, const Weights& weights) {
  h5::Group group = h5::create_group(file, "weights");
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
  h5::close(group, file, "write group 'weights'");
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
      const int64_t length = shapes[i * kMaxRank + d];
      if (length < 0 || length > static_cast<int64_t>(values.size()) / size) {
        throw damaged(fmt::format("shape of {} does not fit {} values", names[i], values.size()));
      }
      tensor.shape.push_back(length);
      size *= std::max<int64_t>(1, length);
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

Model make_model(const std::string& genome, const NetworkOptions& network, const DataSetInfo& info,
                 const Augmentation& training) {
  Model model;
  model.genome = genome;
  model.network = network;
  model.class_names = info.class_names;
  model.mean = info.mean;
  model.sd = info.sd;
  model.preparation = training.evaluation();
  model.range_16 = info.range_16;
  return model;
}

SearchSpace space_of(const std::string& genome) {
  const std::string text = genome == "renasnet" ? kRenasNet : genome;
  const auto cell = [](auto begin, auto end) {
    return SearchSpace::renas(1 + static_cast<int>(std::count(begin, end, ',')));
  };
  const auto last = std::find(text.rbegin(), text.rend(), '/').base();  // the last cell's begin
  const SearchSpace reduction = cell(last, text.end());
  return names_family(text) ? SearchSpace::pair(cell(text.begin(), last), reduction) : reduction;
}

Graph graph_of(const Model& model) {
  return build_network(model.genome, model.network).pruned(false);
}

namespace {

/// Checks a model that was read. Throws IoError where its parts disagree.
void check_model(const std::string& path, const Model& model) {
  const auto damaged = [&path](const std::string& what) {
    return IoError(fmt::format("{}: {}; the file is damaged", path, what));
  };
  const std::size_t channels = model.network.image.channels;
  if (model.mean.size() != channels || model.sd.size() != channels) {
    throw damaged(fmt::format("{} means and {} standard deviations for {} channels",
                              model.mean.size(), model.sd.size(), channels));
  }
  for (const double mean : model.mean) in_range(path, "mean", mean, 0.0, 1.0);
  for (const double sd : model.sd) in_range(path, "sd", sd, 1e-12, 1.0);
  if (!model.class_names.empty() &&
      static_cast<int>(model.class_names.size()) != model.network.classes) {
    throw damaged(fmt::format("{} class names for {} classes", model.class_names.size(),
                              model.network.classes));
  }
  Graph graph;
  try {
    graph = graph_of(model);
  } catch (const InvalidInput& e) {
    throw damaged(e.what());
  }
  std::size_t found = 0;
  for (const Parameter& p : graph.parameters()) {
    const auto tensor = model.weights.find(p.name);
    if (tensor == model.weights.end() || tensor->second.shape != p.shape) {
      throw damaged(fmt::format("weights of {} are missing, or not of its shape", p.name));
    }
    ++found;
  }
  if (found != model.weights.size()) {
    throw damaged(fmt::format("{} tensors for {} parameters", model.weights.size(), found));
  }
}

}  // namespace

void save_model(const std::string& path, const Model& model) {
  remove_stale_partials(path);
  write_file(path, kModel, [&](hid_t file) {
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
    if (n.kind == NetworkKind::kDeepLab) {
      h5::write_attribute<int32_t>(file, "output_stride", n.output_stride);
    }
    h5::write_attribute<int32_t>(file, "crop", model.preparation.crop);
    h5::write_attribute<int32_t>(file, "shorter_side", model.preparation.shorter_side);
    if (model.range_16) {
      h5::write_attribute(file, "range_16",
                          std::vector<int32_t>{model.range_16->low, model.range_16->high});
    }
    h5::write_attribute(file, "validation_accuracy", model.validation_accuracy);
    if (model.validation_balanced_accuracy) {
      h5::write_attribute(file, "validation_balanced_accuracy",
                          *model.validation_balanced_accuracy);
    }
    if (!model.purpose.empty()) h5::write_attribute(file, "purpose", model.purpose);
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
  const h5::File file = open_as(path, kModel);
  Model model;
  NetworkOptions& n = model.network;
  model.genome = h5::read_string_attribute(file, "genome");
  n.kind = parse_network_kind(h5::read_string_attribute(file, "network"));
  const auto number = [&](const char* name, int32_t least, int32_t most) {
    return in_range(path, name, h5::read_attribute<int32_t>(file, name), least, most);
  };
  n.cells = number("cells", 1, kMostCells);
  n.filters = number("filters", 1, kMostFilters);
  n.stem = number("stem", 0, kMostFilters);
  const auto image = h5::read_attributes<int32_t>(file, "image");
  if (image.size() != 3) throw IoError(path + ": attribute image: expected 3 numbers");
  for (const int32_t length : image) in_range(path, "image", length, 1, kMostFilters);
  n.image = {image[2], image[0], image[1]};
  n.classes = number("classes", 1, kMostClasses);
  n.concat_c2 = number("concat_c2", 0, 1) != 0;
  if (n.kind == NetworkKind::kDeepLab) n.output_stride = number("output_stride", 8, 16);
  // Models of earlier versions do not say; their images were of one size.
  if (h5::has_attribute(file, "crop")) {
    model.preparation.crop = number("crop", 0, kMostFilters);
    model.preparation.shorter_side = number("shorter_side", 0, kMostFilters);
  }
  if (h5::has_attribute(file, "range_16")) {  // of sets of 16-bit images
    const auto range = h5::read_attributes<int32_t>(file, "range_16");
    if (range.size() != 2) throw IoError(path + ": attribute range_16: expected 2 numbers");
    const int low = in_range(path, "range_16", range[0], 0, 65534);
    model.range_16 = Range16{low, in_range(path, "range_16", range[1], low + 1, 65535)};
  }
  model.validation_accuracy =
      in_range(path, "validation_accuracy", h5::read_attribute<double>(file, "validation_accuracy"),
               0.0, 1.0);
  if (h5::has_attribute(file, "validation_balanced_accuracy")) {  // since class weights came
    model.validation_balanced_accuracy =
        in_range(path, "validation_balanced_accuracy",
                 h5::read_attribute<double>(file, "validation_balanced_accuracy"), 0.0, 1.0);
  }
  if (h5::has_attribute(file, "purpose")) {
    model.purpose = h5::read_string_attribute(file, "purpose");
  }
  model.mean = h5::read_attributes<double>(file, "mean");
  model.sd = h5::read_attributes<double>(file, "sd");
  model.class_names = h5::read_strings(file, "class_names");
  model.weights = read_tensors(file, path);
  check_model(path, model);
  return model;
}

void save_member(const std::string& path, uint64_t id, const MemberWeights& member) {
  write_file(path, kMember, [&](hid_t file) {
    h5::write_attribute<uint64_t>(file, "id", id);
    h5::write_attribute(file, "genome", member.genome);
    write_tensors(file, member.weights);
  });
}

MemberWeights load_member(const std::string& path, uint64_t id) {
  const h5::Guard guard;
  const h5::File file = open_as(path, kMember);
  const auto found = h5::read_attribute<uint64_t>(file, "id");
  if (found != id) {
    throw IoError(
        fmt::format("{}: expected the weights of member {}, found those of {}", path, id, found));
  }
  return {h5::read_string_attribute(file, "genome"), read_tensors(file, path)};
}

void save_checkpoint(const std::string& path, const std::string& purpose, const FinalState& state) {
  remove_stale_partials(path);
  write_file(path, kCheckpoint, [&](hid_t file) {
    h5::write_attribute(file, "purpose", purpose);
    h5::write_attribute<uint64_t>(file, "seed", state.training.seed);
    h5::write_attribute<int32_t>(file, "epoch", state.training.epoch);
    if (state.training.ranks > 1) {
      h5::write_attribute<int32_t>(file, "ranks", state.training.ranks);
    }
    std::vector<double> history;
    for (const EpochMetrics& e : state.training.history) {
      history.push_back(e.loss);
      history.push_back(e.accuracy);
    }
    h5::write(file, "history", std::span<const double>(history),
              {static_cast<int64_t>(state.training.history.size()), 2});
    Weights tensors = state.weights;
    for (const auto& [name, tensor] : state.training.average) {
      tensors.emplace(name + kAverageSuffix, tensor);
    }
    write_tensors(file, tensors);
  });
}

FinalState load_checkpoint(const std::string& path, const std::string& purpose) {
  const h5::Guard guard;
  const h5::File file = open_as(path, kCheckpoint);
  const std::string found = h5::read_string_attribute(file, "purpose");
  if (found != purpose) {
    throw InvalidInput(
        fmt::format("{}: expected the checkpoint of\n  {}\nfound that of\n  {}\n"
                    "Give the same options to go on, or another output to start anew.",
                    path, purpose, found));
  }
  FinalState state;
  state.training.seed = h5::read_attribute<uint64_t>(file, "seed");
  state.training.epoch =
      in_range(path, "epoch", h5::read_attribute<int32_t>(file, "epoch"), 0, kMostEpochs);
  if (h5::has_attribute(file, "ranks")) {
    state.training.ranks =
        in_range(path, "ranks", h5::read_attribute<int32_t>(file, "ranks"), 1, kMostRanks);
  }
  const auto history = h5::read<double>(file, "history");
  if (std::ssize(history) != int64_t{2} * state.training.epoch) {
    throw IoError(fmt::format("{}: {} numbers of history for {} epochs; the file is damaged", path,
                              history.size(), state.training.epoch));
  }
  for (std::size_t i = 0; i + 1 < history.size(); i += 2) {
    state.training.history.push_back({history[i], history[i + 1]});
  }
  for (auto& [name, tensor] : read_tensors(file, path)) {
    if (name.ends_with(kAverageSuffix)) {
      state.training.average.emplace(name.substr(0, name.size() - kAverageSuffix.size()), tensor);
    } else {
      state.weights.emplace(name, tensor);
    }
  }
  for (const auto& [name, tensor] : state.training.average) {
    const auto weight = state.weights.find(name);
    if (weight == state.weights.end() || weight->second.shape != tensor.shape) {
      throw IoError(fmt::format(
          "{}: the average of {} has no weight of its shape; the file is damaged", path, name));
    }
  }
  for (const auto& [name, tensor] : state.weights) {
    const bool counted = name.ends_with("/mean") || name.ends_with("/variance");
    if (counted || name.ends_with(kMomentumSuffix)) continue;
    const auto momentum = state.weights.find(name + kMomentumSuffix);
    if (momentum == state.weights.end() || momentum->second.shape != tensor.shape) {
      throw IoError(
          fmt::format("{}: the momentum of {} is missing, or not of its shape; the file is "
                      "damaged",
                      path, name));
    }
  }
  return state;
}

int checkpoint_epoch(const std::string& path) {
  const h5::Guard guard;
  const h5::File file = open_as(path, kCheckpoint);
  return in_range(path, "epoch", h5::read_attribute<int32_t>(file, "epoch"), 0, kMostEpochs);
}

std::string checkpoint_purpose(const std::string& path) {
  const h5::Guard guard;
  const h5::File file = open_as(path, kCheckpoint);
  return h5::read_string_attribute(file, "purpose");
}

}  // namespace renas
