#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/cpu/kernels/args.h"
#include "renas/backend.h"
#include "renas/graph.h"

/// From a graph to groups: what one pass over memory does at a time.
///
/// A *stored* map is one that exists in memory. A *value* is what can be read of it: the raw map,
/// or the map behind its batch norm, which is never stored: readers apply scale and shift
/// themselves. ReLU, concatenation and shift are never stored either where their readers can apply
/// them: a reader sees a *view*, a list of parts side by side.
///
///   depthwise conv -> 1x1 conv            one group
///   conv, concat of 1x1 convs, linear     one group, a matrix product
///   pool; add; global mean; dropping      a group each
///   relu, batch norm, concat, shift       none, except where a reader needs the map itself
///   (kMaterialise)
namespace renas::cpu {

struct Stored {
  Shape shape;
  Map map;
  bool is_bf16 = false;    // it and its gradients are bfloat16
  int producer = -1;       // group
  int raw = -1;            // value
  int normalised = -1;     // value, where one batch norm reads it
  std::size_t offset = 0;  // floats into the arena
};

struct Value {
  int stored = -1;
  int norm = -1;  // index into Plan::norms; -1: the raw map
  int readers = 0;
  bool wanted = false;     // its gradient is: anything but the pictures
  bool written = false;    // some group gives it a gradient
  int alias = -1;          // the value whose gradient is also this one's: a summand of a sum
  std::size_t offset = 0;  // of the gradient, floats into the arena
};

struct Norm {
  int node = -1;
  int stored = -1;
  bool has_gradient = false;
  bool fused = false;   // the producer computes the raw gradient; else a pass of its own does
  bool adds = false;    // that pass adds to what readers of the raw map wrote
  bool summed = false;  // the last writer of its gradient takes the sums; else a pass of its own
};

struct Part {
  int value = -1;
  bool relu = false;
  bool shifted = false;
  bool accumulate = false;  // its reader adds to the gradient; else it is the first
  bool gradient = false;    // its reader writes the gradient at all
  bool sums = false;        // and, as the last, takes the batch norm's sums of it
};

/// A part that a dense convolution reads, with its block of the weights.
struct Term {
  int conv = -1;      // node
  int in_first = 0;   // first input channel of that conv
  int out_first = 0;  // first column of the group's output
};

struct Group {
  enum class Kind {
    kInput,
    kConv,
    kSeparable,
    kPool,
    kAdd,
    kMaterialise,
    kGlobalAverage,
    kDropout,
    kLoss
  };
  Kind kind = Kind::kInput;
  int node = -1;       // the node whose value it computes
  int depthwise = -1;  // kSeparable: node
  int pointwise = -1;  // kSeparable: node, or -1
  std::vector<Part> parts = {};
  std::vector<Term> terms = {};  // kConv: one for each part
  int out = -1;                  // stored
  bool scores = false;           // the scores depend on it
  bool backward = false;         // a gradient passes through it
};
const char* to_string(Group::Kind kind);

struct Plan {
  std::vector<Stored> stored;
  std::vector<Value> values;
  std::vector<Norm> norms;
  std::vector<Group> groups;
  int scores = -1;        // stored
  std::size_t arena = 0;  // floats

  /// The value whose gradient is also this one's: itself, but for summands.
  int root(int value) const;
};

/// Groups in execution order, with gradients planned if `training`, and the arena laid out for
/// `batch` pictures: buffers whose lives do not overlap share memory. In bfloat16 if `precision`
/// says so, but for pictures and for maps of one pixel: scores, and what they come from, cost
/// nothing.
Plan make_plan(const Graph& graph, bool training, int batch, Precision precision);

}  // namespace renas::cpu
