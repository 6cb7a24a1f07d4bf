#pragma once

#include <string>
#include <vector>

#include "renas/genome.h"
#include "renas/graph.h"
#include "renas/random.h"
#include "renas/search_space.h"
#include "renas/tensor.h"

namespace renas {

/// The layouts of stacked cells: for small images (CIFAR), for large ones (ImageNet), and for
/// segmentation, where the ImageNet network is the body of DeepLabv3 (lib/src/graph/deeplab.h).
enum class NetworkKind { kCifar, kImageNet, kDeepLab };
/// The kind in words: "cifar", "imagenet" or "deeplab".
const char* to_string(NetworkKind kind);
/// Reads what to_string() writes. Throws InvalidInput for anything else.
NetworkKind parse_network_kind(const std::string& text);

/// Everything but the genome that defines a network of stacked cells (paper, figure 2a).
///
/// A network has three stages of N normal cells, which keep the size of their maps (stride 1).
/// Between two stages stands a reduction cell: a cell of the same genome with stride 2, which
/// halves height and width and doubles the filters. The ImageNet network begins with two reduction
/// cells.
struct NetworkOptions {
  NetworkKind kind = NetworkKind::kCifar;
  int cells = 2;              ///< N, normal cells in a stage
  int filters = 24;           ///< F, filters of the first stage
  int stem = 0;               ///< filters of the stem; 0: 3 F (CIFAR), 32 (ImageNet)
  Shape image = {3, 32, 32};  ///< shape of an input image
  int classes = 10;
  /// Whether normal cells also concatenate the adapted c-2 to their output, as in the authors'
  /// released graph.
  bool concat_c2 = false;
  int output_stride = 16;  ///< DeepLab: the image's pixels between two of its features, 8 or 16

  // Regularisation, in training only.
  bool auxiliary = false;       ///< auxiliary classifier at 2/3 of the depth, loss weight 0.4
  float dropout = 0;            ///< probability of dropout before the classifier
  float drop_path = 0;          ///< probability of dropping a path in the last cell
  bool drop_path_flat = false;  ///< the same in all cells; otherwise it grows linearly with depth
  float label_smoothing = 0;    ///< of the main head's loss
  /// The factor of the loss of an image of each class, in both heads; empty: 1 for all.
  std::vector<float> class_weights = {};
};

/// Builds the network of `genome`, a point of a space in the paper's notation.
///
/// Cells and blocks that nothing reads are not built. Parameters are named by their place:
/// "cell3/block2/1.sep5x5/depthwise1/weight". Throws InvalidInput if the genome, its notation or an
/// option is invalid, InvalidShape if the image is too small for the network.
Graph build_network(const SearchSpace& space, const Genome& genome, const NetworkOptions& options);

/// Builds the network of a text: a cell in the paper's notation, the text form of an Architecture,
/// or a name of zoo_names(). Throws as the other does; where no network has such a name,
/// InvalidInput suggests the nearest.
Graph build_network(const std::string& genome, const NetworkOptions& options);

/// Draws initial parameters: convolution weights are He-normal (fan-in), linear weights normal with
/// standard deviation 0.01 and biases 0; batch norms have scale 1, shift 0, mean 0 and variance 1.
Weights initialize(const Graph& graph, Random& random);

/// The weights of a child and how much of them its parent gave.
struct Inheritance {
  Weights weights;              ///< complete: inherited or newly drawn
  std::vector<bool> inherited;  ///< for each parameter of the child: taken whole from the parent
  double share = 0;             ///< share of the trainable numbers that were inherited, in [0, 1]
};

/// Weight inheritance: a parameter whose name and shape exist in the parent keeps the parent's
/// values, batch-norm statistics included. A layer that reads a concatenation keeps the columns of
/// the blocks that the parent concatenated too; if columns are missing, `inherited` is false for
/// it. All other numbers are drawn as by initialize().
Inheritance inherit(const Graph& child, const Graph& parent, const Weights& parent_weights,
                    Random& random);

}  // namespace renas
