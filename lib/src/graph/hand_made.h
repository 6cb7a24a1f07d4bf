#pragma once

#include <string>

#include "renas/graph.h"
#include "renas/network.h"

namespace renas {

// Networks that people made, for comparison. All take image, classes, dropout, label smoothing and
// class weights of the options; the rest of their form is fixed.

/// ResNet-20 for small images (He et al. 2016), with projections where the shape changes (option
/// B).
Graph resnet_20(const NetworkOptions& options);
/// ResNet-50 for large images, with the stride in the 3x3 convolution of a bottleneck.
Graph resnet_50(const NetworkOptions& options);
/// DenseNet-BC for small images (Huang et al. 2017): 190 layers, growth rate 40.
Graph densenet_bc(const NetworkOptions& options);
/// MobileNet-v1 (Howard et al. 2017), with ReLU.
Graph mobilenet_v1(const NetworkOptions& options);
/// MobileNet-v2 (Sandler et al. 2018) of a width, which scales its filters, rounded to multiples of
/// 8. Its authors' ReLU6 is ReLU here, since the graph has no other.
Graph mobilenet_v2(const NetworkOptions& options, double width);
/// ShuffleNet-v1 (Zhang et al. 2018) of 3 groups, `stem` filters first and `filters` at the end of
/// the first stage, doubled at each next. Forms and widths of both are those of its authors' code
/// (github.com/megvii-model/ShuffleNet-Series).
Graph shufflenet_v1(const NetworkOptions& options, int stem, int filters);
/// ShuffleNet-v2 (Ma et al. 2018), without SE, of `filters` at the end of the first stage, doubled
/// at each next, and `last` before the classifier.
Graph shufflenet_v2(const NetworkOptions& options, int filters, int last);

}  // namespace renas
