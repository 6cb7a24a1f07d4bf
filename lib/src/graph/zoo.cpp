#include "renas/zoo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "graph/hand_made.h"
#include "graph/named_networks.h"
#include "graph/zoo_cells.h"
#include "renas/error.h"

namespace renas {

namespace {

struct HandMade {
  const char* name;
  Graph (*build)(const NetworkOptions&);
};

const std::vector<HandMade>& hand_made() {
  static const std::vector<HandMade> all{
      {"resnet-20", resnet_20},
      {"resnet-50", resnet_50},
      {"densenet-bc", densenet_bc},
      {"mobilenet-v1", mobilenet_v1},
      {"mobilenet-v2", [](const NetworkOptions& o) { return mobilenet_v2(o, 1.0); }},
      {"mobilenet-v2-1.4", [](const NetworkOptions& o) { return mobilenet_v2(o, 1.4); }},
      {"shufflenet-v1-1.5", [](const NetworkOptions& o) { return shufflenet_v1(o, 24, 360); }},
      {"shufflenet-v1-2", [](const NetworkOptions& o) { return shufflenet_v1(o, 48, 480); }},
      {"shufflenet-v2-1.5", [](const NetworkOptions& o) { return shufflenet_v2(o, 176, 1024); }},
      {"shufflenet-v2-2", [](const NetworkOptions& o) { return shufflenet_v2(o, 244, 2048); }},
  };
  return all;
}

/// Levenshtein's distance: single letters to insert, remove or replace.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

void check_hand_made(const std::string& name, const NetworkOptions& options) {
  const auto refuse = [&](bool given, const char* what) {
    if (!given) return;
    throw InvalidInput(
        fmt::format("{}: has no {}, which networks of cells have; turn it off", name, what));
  };
  refuse(options.auxiliary, "auxiliary head");
  refuse(options.drop_path > 0, "paths to drop (drop path)");
  refuse(options.concat_c2, "cells (concat_c2)");
}

}  // namespace

std::vector<std::string> zoo_names() {
  std::vector<std::string> names;
  for (const NamedCells& cells : named_cells()) names.push_back(cells.name);
  for (const HandMade& network : hand_made()) names.emplace_back(network.name);
  return names;
}

bool is_zoo_name(const std::string& text) {
  return !text.empty() && text.find_first_of(":/") == std::string::npos;
}

std::string zoo_text(const std::string& name) {
  if (!is_zoo_name(name)) return name;
  for (const NamedCells& cells : named_cells()) {
    if (cells.name == name) return cells.text;
  }
  const std::vector<std::string> names = zoo_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return name;
  const auto nearest =
      std::min_element(names.begin(), names.end(), [&](const auto& a, const auto& b) {
        return edit_distance(a, name) < edit_distance(b, name);
      });
  throw InvalidInput(fmt::format(
      "genome '{}': no network of that name; did you mean {}? Known are {}, and cells as text, "
      "input:operator+input:operator,...",
      name, *nearest, fmt::join(names, ", ")));
}

std::optional<Graph> build_hand_made(const std::string& name, const NetworkOptions& options) {
  for (const HandMade& network : hand_made()) {
    if (name != network.name) continue;
    check_hand_made(name, options);
    return network.build(options);
  }
  return std::nullopt;
}

namespace {

NetworkOptions cifar(int cells, int filters) { return {.cells = cells, .filters = filters}; }

NetworkOptions imagenet(int cells, int filters, bool concat_c2 = false) {
  return {.kind = NetworkKind::kImageNet,
          .cells = cells,
          .filters = filters,
          .image = {3, 224, 224},
          .classes = 1000,
          .concat_c2 = concat_c2};
}

constexpr const char* kNotReleased = "the cell was published as a figure only; not built";

}  // namespace

const std::vector<ZooRow>& zoo_rows() {
  static const std::vector<ZooRow> rows{
      {1, "DenseNet-BC (L=190, k=40)", "densenet-bc", cifar(1, 1), 25.6},
      {1, "PNASNet-5 (3, 48)", "pnasnet-5", cifar(3, 48), 3.2},
      {1, "NASNet-A (6, 32)", "nasnet-a", cifar(6, 32), 3.3},
      {1, "AmoebaNet-B (6, 36)", "amoebanet-b", cifar(6, 36), 2.8},
      {1,
       "ENAS (6, 36)",
       "enas",
       cifar(6, 36),
       4.6,
       {},
       "18 + 2 cells; the released script has 15 + 2: (5, 36), 3,894,372 parameters"},
      {1,
       "DARTS first order (6, 36)",
       "darts-v1",
       cifar(6, 36),
       2.9,
       {},
       "the cell of June 2018; the one behind 2.9M was not released"},
      {1,
       "DARTS second order (6, 36)",
       "darts-v2",
       cifar(6, 36),
       3.4,
       {},
       "rounds to 3.3M, which its authors' README says"},
      {1, "RENASNet (6, 32)", "renasnet", cifar(6, 32), 3.5},
      {2, "MobileNet-v1", "mobilenet-v1", imagenet(1, 4), 4.2, 569,
       "its ReLU6 is ReLU here and in the other MobileNets, which changes no count"},
      {2, "MobileNet-v2 (1.4)", "mobilenet-v2-1.4", imagenet(1, 4), 6.9, 585,
       "other implementations agree with the count: 6.1M, 582M"},
      {2, "ShuffleNet-v1 2x", "shufflenet-v1-2", imagenet(1, 4), 5, 524,
       "printed is 'about 5M'; its authors' code has 5.4M"},
      {2, "ShuffleNet-v2 2x (with SE)", "shufflenet-v2-2", imagenet(1, 4), 5, 597,
       "printed is 'about 5M'; built without SE, which its authors have not released: theirs has "
       "7.4M, 591M"},
      {2, "NASNet-A (4, 44)", "nasnet-a", imagenet(4, 44), 5.3, 564},
      {2, "NASNet-B", "", imagenet(4, 44), 5.3, 488, kNotReleased},
      {2, "NASNet-C", "", imagenet(4, 44), 4.9, 558, kNotReleased},
      {2, "AmoebaNet-A (4, 50)", "amoebanet-a", imagenet(4, 50), 5.1, 555},
      {2, "AmoebaNet-B (3, 62)", "amoebanet-b", imagenet(3, 62), 5.3, 555},
      {2, "AmoebaNet-C (4, 44)", "amoebanet-c", imagenet(4, 44), 5.1, 535},
      {2, "AmoebaNet-C (4, 50)", "amoebanet-c", imagenet(4, 50), 6.35, 570,
       "the row stands above the limit of 600M, so 570M cannot be right"},
      {2, "PNASNet-5 (3, 54)", "pnasnet-5", imagenet(3, 54), 5.1, 588,
       "0.1 % fewer mult-adds than printed, for no reason that we know"},
      {2, "ENAS", "", imagenet(4, 44), 5.1, 523,
       "neither N and F nor the rules were given, and no choice gives both numbers; not built"},
      {2, "DARTS (4, 50)", "darts-v1", imagenet(4, 50), 4.9, 595,
       "the cell of June 2018; printed are 8.7 % more mult-adds than convolutions and classifier "
       "have"},
      {2, "RENASNet (4, 44)", "renasnet", imagenet(4, 44), 5.36, 580,
       "no form of the authors' code gives the printed numbers"},
      {2, "RENASNet (4, 44), c-2 concatenated", "renasnet", imagenet(4, 44, true), 5.36, 580,
       "the authors' released graph"},
      {0, "ResNet-20, projections", "resnet-20", cifar(1, 1)},
      {0, "ResNet-50", "resnet-50", imagenet(1, 4)},
      {0, "MobileNet-v2", "mobilenet-v2", imagenet(1, 4), 3.4, 300,
       "3.5M is what other implementations have too"},
      {0, "ShuffleNet-v1 1.5x", "shufflenet-v1-1.5", imagenet(1, 4), 3.4, 292},
      {0, "ShuffleNet-v2 1.5x", "shufflenet-v2-1.5", imagenet(1, 4), 3.5, 299},
      {0, "DARTS second order (4, 48)", "darts-v2", imagenet(4, 48)},
  };
  return rows;
}

}  // namespace renas
