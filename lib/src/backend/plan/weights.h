#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/plan/plan.h"

namespace renas::plan {

/// Where each element of one parameter lies in a group's packed weights. These have a forward part,
/// whose layout the weight gradients share, and a backward part (transposed or flipped).
struct WeightMap {
  int parameter = -1;
  std::vector<uint32_t> element;   // offset in the parameter, dense OIHW
  std::vector<uint32_t> forward;   // offset in the forward part, ascending
  std::vector<uint32_t> backward;  // offset in the backward part
};

/// The packed weights of a group: the functions below append to them.
struct GroupWeights {
  std::vector<WeightMap> maps;
  std::size_t forward_size = 0;   // floats
  std::size_t backward_size = 0;  // floats
};

/// The weight matrix of one term of a dense convolution: row position * k_channels + channel, a
/// column for each output channel.
struct TermMatrix {
  int positions = 1;   // of the window
  int channels = 0;    // of the part, unpadded
  int k_channels = 0;  // rows of one position
  int depth = 0;       // rows, padded
  int columns = 0;     // padded
};

/// Appends a term's matrix, forward [depth][columns] and backward [columns][depth]. Elements that
/// the parameter does not have (padding, or other groups of a grouped convolution) stay zero.
void append_term(const Graph& graph, const Term& term, const TermMatrix& matrix,
                 GroupWeights& weights);

/// Appends depthwise kernels, forward [channels / block][kh * kw][block] and backward the same with
/// rows and columns reversed. `padded_channels` is a multiple of `block`.
void append_depthwise(const Node& depthwise, int padded_channels, int block, GroupWeights& weights);

/// Appends the matrix of a 1x1 convolution of `in` channels, forward [rows][columns] and backward
/// [columns][rows]. Rows and columns are padded.
void append_pointwise(const Node& pointwise, int in, int rows, int columns, GroupWeights& weights);

/// The window of a convolution, pool or linear layer over maps of shape `in`. A linear layer's
/// window covers the whole map.
WindowArgs window_of(const Node& node, const Shape& in);

}  // namespace renas::plan
