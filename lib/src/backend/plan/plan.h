#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "backend/plan/maps.h"
#include "renas/backend.h"
#include "renas/graph.h"

/// The planner turns a graph into fused groups: what one pass over memory computes at a time. It
/// knows no device; what differs between the fast backends is in PlanOptions.
///
/// A *stored* map exists in memory. A *value* is what can be read of it: the raw map, or the map
/// behind its batch norm. The latter is never stored, since readers apply scale and shift while
/// loading. ReLU, concatenation and pixel shift are not stored either where their readers can apply
/// them: a reader sees a *view*, a list of parts side by side.
///
///   depthwise conv -> 1x1 conv             one group
///   conv; concat of 1x1 convs; linear      one group, a matrix product
///   pool; add; global average; dropout     a group each
///   resize; broadcast; selected channels   a group each
///   relu, batch norm, concat, pixel shift  none, except where a reader needs the
///                                          map itself: then a group materialises
///                                          the view
namespace renas::plan {

struct Group;

struct PlanOptions {
  bool training = true;
  int batch = 1;  ///< images that the arena holds
  Precision precision = Precision::kFloat32;
  int channel_block = 8;       ///< maps' channels are padded to a multiple of this
  std::size_t alignment = 16;  ///< of every buffer in the arena, in floats
  /// Groups that run before the memory of a buffer is used again; more than 0 where groups run side
  /// by side, and would have to wait for it.
  int rest = 0;
  /// With kBfloat16: maps of one pixel are bfloat16 too. Scores come from them, and they cost
  /// nothing.
  bool single_pixels_in_bf16 = false;
  int max_depthwise_height = 64;  ///< kernel rows of a depthwise convolution that may be fused
  /// True if a group's backward pass writes its input gradients tile by tile in memory order. Such
  /// a group can take a batch norm's backward sums while a tile is in cache. Empty: no group can.
  std::function<bool(const Graph&, const Group&)> takes_norm_sums = {};
};

struct Stored {
  Shape shape;
  Map map;
  bool is_bf16 = false;    // the map and its gradients
  int producer = -1;       // group
  int raw = -1;            // value
  int normalised = -1;     // value, where one batch norm reads the map; -1: none does
  std::size_t offset = 0;  // floats into the arena
};

struct Value {
  int stored = -1;
  int norm = -1;  // index into Plan::norms; -1: the raw map
  int readers = 0;
  bool needs_gradient = false;  // false only for what depends on no parameter, i.e. the images
  bool written = false;         // some group writes its gradient
  int alias = -1;  // the value whose gradient it shares, being a summand; -1: it has its own
  std::size_t offset = 0;  // of the gradient, floats into the arena
};

struct Norm {
  int node = -1;
  int stored = -1;  // the map that it normalises
  bool has_gradient = false;
  // The gradient of the raw map is computed by the producer's backward pass; else by a pass of its
  // own, which `adds` to what readers of the raw map wrote.
  bool fused = false;
  bool adds = false;
  // The backward sums are taken by the last writer of the gradient; else by a pass of their own.
  bool summed = false;
};

/// One part of a view.
struct Part {
  int value = -1;
  bool relu = false;
  bool shifted = false;     // (y, x) reads (y + 1, x + 1)
  bool accumulate = false;  // the reader adds to the gradient; else it writes it first
  bool gradient = false;    // the reader writes the gradient at all
  bool sums = false;        // and, as the last writer, takes the batch norm's backward sums
};

/// A part that a dense convolution reads, and its block of the group's weight matrix.
struct Term {
  int conv = -1;      // node
  int in_first = 0;   // first input channel of that convolution
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
    kResize,
    kSelectChannels,
    kLoss
  };
  Kind kind = Kind::kInput;
  int node = -1;       // the node whose value it computes
  int depthwise = -1;  // kSeparable: node
  int pointwise = -1;  // kSeparable: node, or -1
  std::vector<Part> parts = {};
  std::vector<Term> terms = {};  // kConv: one for each part
  int out = -1;                  // stored; -1: kLoss stores nothing
  bool scores = false;           // the scores depend on it
  bool backward = false;         // a gradient passes through it
};
const char* to_string(Group::Kind kind);

struct Plan {
  std::vector<Stored> stored;
  std::vector<Value> values;
  std::vector<Norm> norms;
  std::vector<Group> groups;  // in execution order
  int scores = -1;            // stored
  std::size_t arena = 0;      // floats

  /// The value that owns this value's gradient: itself, unless it is a summand.
  int root(int value) const;
};

/// Plans `graph`: its groups, with gradients if training, and the arena, in which buffers whose
/// live ranges do not overlap share memory. The images are always float32.
Plan make_plan(const Graph& graph, const PlanOptions& options);

/// For each batch norm the index of its twin, or -1. Twins are two norms whose values are summands
/// of the same sum. They share its gradient, so one pass takes the backward sums of both.
std::vector<int> twin_norms(const Plan& plan);

/// True for a 1x1 convolution of one group without padding, of any stride.
bool is_pointwise(const Node& node);

}  // namespace renas::plan
