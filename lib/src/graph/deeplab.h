#pragma once

#include "renas/graph.h"
#include "renas/network.h"

namespace renas {

/// Turns a network that classifies images into DeepLabv3 (Chen et al., "Rethinking atrous
/// convolution for semantic image segmentation", 2017), whose body it becomes.
///
/// Of `classifier` it takes all up to the global average pool. Parameters keep their names and
/// shapes, so that the classifier's weights fit. Strides beyond options.output_stride become 1, and
/// depthwise convolutions behind them atrous: the taps of a kernel lie as far apart as its inputs
/// would have. A pixel shift before such a stride goes: both halves of a factorized reduction read
/// the same pixels. A convolution that reads the image is padded, so that a map of an image of
/// 16 m + 1 pixels keeps the image's corners.
///
/// The head: 1x1; three atrous 3x3 of rates 6, 12 and 18, twice that at stride 8; image pooling;
/// each of 256 filters, batch norm, ReLU; concatenation, 1x1 of 256 filters, dropout, 1x1 with bias
/// to the classes, bilinear resize to the image, with corners aligned. The scores are
/// [classes, height, width].
///
/// Throws InvalidInput where `classifier` has no global average pool before its scores, or an
/// auxiliary head.
Graph make_deeplab(const Graph& classifier, const NetworkOptions& options);

}  // namespace renas
