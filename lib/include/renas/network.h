#pragma once

#include <string>
#include <vector>

#include "renas/genome.h"
#include "renas/graph.h"
#include "renas/random.h"
#include "renas/search_space.h"
#include "renas/tensor.h"

namespace renas {

enum class NetworkKind { kCifar, kImageNet };
const char* to_string(NetworkKind kind);
/// "cifar" or "imagenet". Throws InvalidInput.
NetworkKind parse_network_kind(const std::string& text);

/// Everything but the genome that makes a network (paper, figure 2a).
struct NetworkOptions {
  NetworkKind kind = NetworkKind::kCifar;
  int cells = 2;              ///< N: stride-1 cells a stage
  int filters = 24;           ///< F: filters of the first stage
  int stem = 0;               ///< filters of the stem; 0: 3 F (CIFAR), 32 (ImageNet)
  Shape image = {3, 32, 32};  ///< pictures
  int classes = 10;
  bool concat_c2 =
      false;  ///< stride-1 cells also append the adapted c-2, as the released graph does

  // In training only.
  bool auxiliary = false;       ///< auxiliary classifier at 2/3 of the depth, weight 0.4
  float dropout = 0;            ///< before the classifier
  float drop_path = 0;          ///< probability of dropping a path in the last cell
  bool drop_path_flat = false;  ///< the same in every cell, rather than growing linearly with depth
  float label_smoothing = 0;    ///< of the main head
};

/// The network of `genome`, a point of a space in the paper's notation. What nothing reads is not
/// built. Parameters are named by place: "cell3/block2/1.sep5x5/depthwise1/weight".
/// Throws InvalidInput, InvalidShape.
Graph build_network(const SearchSpace& space, const Genome& genome, const NetworkOptions& options);

/// New parameters: convs He-normal (fan-in), BN scale 1 and shift 0, mean 0 and variance 1, linear
/// weights normal with standard deviation 0.01, bias 0.
Weights initialize(const Graph& graph, Random& random);

/// What a child takes from its parent.
struct Inheritance {
  Weights weights;              ///< of the child, complete
  std::vector<bool> inherited;  ///< by child parameter: taken whole from the parent
  double share = 0;             ///< inherited numbers of all trainable numbers
};

/// Parameters whose place and shape exist in the parent are its own, BN statistics included. A
/// layer that reads a concatenation takes the columns of those blocks the parent concatenated too;
/// taken in part, it counts as new. Everything else is as from initialize().
Inheritance inherit(const Graph& child, const Graph& parent, const Weights& parent_weights,
                    Random& random);

}  // namespace renas
