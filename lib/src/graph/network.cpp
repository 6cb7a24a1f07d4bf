#include "renas/network.h"

#include <fmt/format.h>

#include <algorithm>

#include "graph/deeplab.h"
#include "graph/named_networks.h"
#include "graph/stacked_cells.h"
#include "renas/architecture.h"
#include "renas/error.h"
#include "renas/zoo.h"

namespace renas {

namespace {

void check_options(const NetworkOptions& o) {
  const auto expect = [](bool right, const char* what, const char* expected, auto found) {
    if (!right) {
      throw InvalidInput(fmt::format("network: {} must be {}, got {}", what, expected, found));
    }
  };
  expect(o.cells >= 1 && o.cells <= 1000, "cells (N)", "1 to 1000", o.cells);
  expect(o.filters >= 1 && o.filters <= 8192, "filters (F)", "1 to 8192", o.filters);
  expect(o.stem >= 0 && o.stem <= 65536, "stem", "0 to 65536", o.stem);
  expect(o.classes >= 2, "classes", "2 or more", o.classes);
  expect(o.dropout >= 0 && o.dropout < 1, "dropout", "in [0, 1)", o.dropout);
  expect(o.drop_path >= 0 && o.drop_path < 1, "drop path", "in [0, 1)", o.drop_path);
  expect(o.label_smoothing >= 0 && o.label_smoothing < 1, "label smoothing", "in [0, 1)",
         o.label_smoothing);
  if (!o.class_weights.empty() && static_cast<int>(o.class_weights.size()) != o.classes) {
    throw InvalidInput(fmt::format("class weights: expected {} numbers, one a class, got {}",
                                   o.classes, o.class_weights.size()));
  }
}

/// The options of the network that classifies, whose body becomes that of DeepLab.
NetworkOptions body_of_deeplab(NetworkOptions options) {
  options.kind = NetworkKind::kImageNet;
  options.dropout = 0;
  options.class_weights = {};
  // Its maps are thrown away: the smallest image that every body takes will do.
  options.image.height = std::max(options.image.height, 64);
  options.image.width = std::max(options.image.width, 64);
  return options;
}

}  // namespace

const char* to_string(NetworkKind kind) {
  switch (kind) {
    case NetworkKind::kCifar:
      return "cifar";
    case NetworkKind::kImageNet:
      return "imagenet";
    case NetworkKind::kDeepLab:
      return "deeplab";
  }
  return "";
}

NetworkKind parse_network_kind(const std::string& text) {
  if (text == "cifar") {
    return NetworkKind::kCifar;
  }
  if (text == "imagenet") {
    return NetworkKind::kImageNet;
  }
  if (text == "deeplab") {
    return NetworkKind::kDeepLab;
  }
  throw InvalidInput(fmt::format("network: expected cifar, imagenet or deeplab, got '{}'", text));
}

Graph build_network(const SearchSpace& space, const Genome& genome, const NetworkOptions& options) {
  check_options(options);
  if (options.kind == NetworkKind::kDeepLab) {
    return make_deeplab(build_network(space, genome, body_of_deeplab(options)), options);
  }
  return stack_cells(architecture_of(space, genome), options);
}

Graph build_network(const std::string& genome, const NetworkOptions& options) {
  check_options(options);
  if (options.kind == NetworkKind::kDeepLab) {
    return make_deeplab(build_network(genome, body_of_deeplab(options)), options);
  }
  const std::string text = zoo_text(genome);
  if (is_zoo_name(text)) {
    if (auto network = build_hand_made(text, options)) return std::move(*network);
  }
  return stack_cells(parse_architecture(text), options);
}

}  // namespace renas
