#include "graph/hand_made.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace renas {

namespace {

/// The layers that all of them are made of.
class Network {
 public:
  explicit Network(const NetworkOptions& options)
      : options_(options), input_(graph_.input(options.image)) {}

  int input() const { return input_; }
  int channels(int node) const { return graph_.node(node).shape.channels; }
  Graph& graph() { return graph_; }

  int conv(const std::string& name, int in, int filters, const Window& window = {},
           int groups = 1) {
    return graph_.conv(name + "/conv", in,
                       {.out_channels = filters, .window = window, .groups = groups});
  }
  int conv_norm(const std::string& name, int in, int filters, const Window& window = {},
                int groups = 1) {
    return graph_.batch_norm(name + "/norm", conv(name, in, filters, window, groups));
  }
  int conv_norm_relu(const std::string& name, int in, int filters, const Window& window = {},
                     int groups = 1) {
    return graph_.relu(name + "/relu", conv_norm(name, in, filters, window, groups));
  }
  int norm_relu(const std::string& name, int in) {
    return graph_.relu(name + "/relu", graph_.batch_norm(name + "/norm", in));
  }

  /// Global mean, dropout and the classifier on a map; one without a bias is a 1x1 convolution.
  Graph with_head(int in, bool bias = true) {
    int at = graph_.global_average_pool("head/mean", in);
    if (options_.dropout > 0) at = graph_.dropout("head/dropout", at, options_.dropout);
    at = bias ? graph_.linear("head/linear", at, options_.classes)
              : graph_.conv("head/linear", at, {.out_channels = options_.classes});
    graph_.set_scores(at);
    graph_.cross_entropy("head/loss", at, 1, options_.label_smoothing, options_.class_weights);
    return std::move(graph_);
  }

 private:
  const NetworkOptions& options_;
  Graph graph_;
  int input_;
};

/// Adds a residual branch to its input, which a projection brings to the branch's shape.
int add_shortcut(Network& net, const std::string& name, int in, int branch, int stride) {
  const int filters = net.channels(branch);
  const int shortcut =
      stride == 1 && net.channels(in) == filters
          ? in
          : net.conv_norm(name + "/shortcut", in, filters, Window::valid(1, 1, stride));
  return net.graph().relu(name + "/relu", net.graph().add(name + "/add", {shortcut, branch}));
}

/// Channel k of each group in turn, then channel k + 1 of each, and so on.
int shuffle_channels(Network& net, const std::string& name, int in, int groups) {
  const int size = net.channels(in) / groups;
  std::vector<int> order;
  for (int k = 0; k < net.channels(in); ++k) order.push_back(k % groups * size + k / groups);
  return net.graph().select_channels(name + "/shuffle", in, order);
}

/// Every second channel, from `first` on.
int every_second_channel(Network& net, const std::string& name, int in, int first) {
  std::vector<int> channels;
  for (int k = first; k < net.channels(in); k += 2) channels.push_back(k);
  return net.graph().select_channels(name, in, channels);
}

const std::vector<int>& shufflenet_units() {
  static const std::vector<int> units{4, 8, 4};
  return units;
}

}  // namespace

Graph resnet_20(const NetworkOptions& options) {
  Network net(options);
  int at = net.conv_norm_relu("stem", net.input(), 16, Window::same(3));
  for (int stage = 0; stage < 3; ++stage) {
    for (int unit = 0; unit < 3; ++unit) {
      const std::string name = fmt::format("stage{}/unit{}", stage + 1, unit + 1);
      const int stride = stage > 0 && unit == 0 ? 2 : 1;
      const int filters = 16 << stage;
      int branch = net.conv_norm_relu(name + "/1", at, filters, Window::same(3, stride));
      branch = net.conv_norm(name + "/2", branch, filters, Window::same(3));
      at = add_shortcut(net, name, at, branch, stride);
    }
  }
  return net.with_head(at);
}

Graph resnet_50(const NetworkOptions& options) {
  Network net(options);
  int at = net.conv_norm_relu("stem", net.input(), 64, Window::same(7, 2));
  at = net.graph().max_pool("stem/pool", at, Window::same(3, 2));
  const std::vector<int> units{3, 4, 6, 3};
  for (int stage = 0; stage < 4; ++stage) {
    for (int unit = 0; unit < units[static_cast<std::size_t>(stage)]; ++unit) {
      const std::string name = fmt::format("stage{}/unit{}", stage + 1, unit + 1);
      const int stride = stage > 0 && unit == 0 ? 2 : 1;
      const int narrow = 64 << stage;
      int branch = net.conv_norm_relu(name + "/1", at, narrow);
      branch = net.conv_norm_relu(name + "/2", branch, narrow, Window::same(3, stride));
      branch = net.conv_norm(name + "/3", branch, 4 * narrow);
      at = add_shortcut(net, name, at, branch, stride);
    }
  }
  return net.with_head(at);
}

Graph densenet_bc(const NetworkOptions& options) {
  constexpr int kLayers = (190 - 4) / 6;  // of a stage
  constexpr int kGrowth = 40;
  Network net(options);
  int at = net.conv("stem", net.input(), 2 * kGrowth, Window::same(3));
  for (int stage = 1; stage <= 3; ++stage) {
    for (int layer = 1; layer <= kLayers; ++layer) {
      const std::string name = fmt::format("stage{}/layer{}", stage, layer);
      int grown = net.norm_relu(name + "/1", at);
      grown = net.conv(name + "/1", grown, 4 * kGrowth);
      grown = net.norm_relu(name + "/2", grown);
      grown = net.conv(name + "/2", grown, kGrowth, Window::same(3));
      at = net.graph().concat(name + "/concat", {at, grown});
    }
    if (stage == 3) break;
    const std::string name = fmt::format("transition{}", stage);
    at = net.conv(name, net.norm_relu(name, at), net.channels(at) / 2);
    at = net.graph().average_pool(name + "/pool", at, Window::valid(2, 2, 2));
  }
  return net.with_head(net.norm_relu("head", at));
}

Graph mobilenet_v1(const NetworkOptions& options) {
  struct Layer {
    int filters;
    int stride;
  };
  const std::vector<Layer> layers{{64, 1},  {128, 2},  {128, 1}, {256, 2}, {256, 1},
                                  {512, 2}, {512, 1},  {512, 1}, {512, 1}, {512, 1},
                                  {512, 1}, {1024, 2}, {1024, 1}};
  Network net(options);
  int at = net.conv_norm_relu("stem", net.input(), 32, Window::same(3, 2));
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string name = fmt::format("layer{}", i + 1);
    at = net.conv_norm_relu(name + "/depthwise", at, net.channels(at),
                            Window::same(3, layers[i].stride), net.channels(at));
    at = net.conv_norm_relu(name + "/pointwise", at, layers[i].filters);
  }
  return net.with_head(at);
}

Graph mobilenet_v2(const NetworkOptions& options, double width) {
  // Rounds to a multiple of 8 that is not less than 90 % of the scaled number.
  const auto scaled = [width](int filters) {
    const double exact = filters * width;
    int rounded = std::max(8, static_cast<int>(exact + 4) / 8 * 8);
    if (rounded < 0.9 * exact) rounded += 8;
    return rounded;
  };
  struct Stage {
    int expansion;
    int filters;
    int units;
    int stride;
  };
  const std::vector<Stage> stages{{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  Network net(options);
  int at = net.conv_norm_relu("stem", net.input(), scaled(32), Window::same(3, 2));
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const Stage& stage = stages[s];
    for (int unit = 0; unit < stage.units; ++unit) {
      const std::string name = fmt::format("stage{}/unit{}", s + 1, unit + 1);
      const int stride = unit == 0 ? stage.stride : 1;
      int branch = at;
      if (stage.expansion > 1) {
        branch = net.conv_norm_relu(name + "/expand", at, stage.expansion * net.channels(at));
      }
      branch = net.conv_norm_relu(name + "/depthwise", branch, net.channels(branch),
                                  Window::same(3, stride), net.channels(branch));
      branch = net.conv_norm(name + "/project", branch, scaled(stage.filters));
      const bool adds = stride == 1 && net.channels(at) == net.channels(branch);
      at = adds ? net.graph().add(name + "/add", {at, branch}) : branch;
    }
  }
  return net.with_head(net.conv_norm_relu("last", at, width > 1 ? scaled(1280) : 1280));
}

Graph shufflenet_v1(const NetworkOptions& options, int stem, int filters) {
  constexpr int kGroups = 3;
  Network net(options);
  int at = net.conv_norm_relu("stem", net.input(), stem, Window::same(3, 2));
  at = net.graph().max_pool("stem/pool", at, Window::same(3, 2));
  for (std::size_t stage = 0; stage < shufflenet_units().size(); ++stage) {
    const int out = filters << stage;
    for (int unit = 0; unit < shufflenet_units()[stage]; ++unit) {
      const std::string name = fmt::format("stage{}/unit{}", stage + 1, unit + 1);
      const int stride = unit == 0 ? 2 : 1;
      const int groups = stage == 0 && unit == 0 ? 1 : kGroups;
      const int grown = stride == 1 ? out : out - net.channels(at);
      int branch = net.conv_norm_relu(name + "/reduce", at, out / 4, {}, groups);
      branch = shuffle_channels(net, name, branch, kGroups);
      branch =
          net.conv_norm(name + "/depthwise", branch, out / 4, Window::same(3, stride), out / 4);
      branch = net.conv_norm(name + "/expand", branch, grown, {}, kGroups);
      if (stride == 1) {
        at = net.graph().relu(name + "/relu", net.graph().add(name + "/add", {at, branch}));
      } else {
        const int pooled = net.graph().average_pool(name + "/pool", at, Window::same(3, 2));
        branch = net.graph().relu(name + "/relu", branch);
        at = net.graph().concat(name + "/concat", {pooled, branch});
      }
    }
  }
  return net.with_head(at, false);
}

Graph shufflenet_v2(const NetworkOptions& options, int filters, int last) {
  Network net(options);
  int at = net.conv_norm_relu("stem", net.input(), 24, Window::same(3, 2));
  at = net.graph().max_pool("stem/pool", at, Window::same(3, 2));
  for (std::size_t stage = 0; stage < shufflenet_units().size(); ++stage) {
    const int out = filters << stage;
    for (int unit = 0; unit < shufflenet_units()[stage]; ++unit) {
      const std::string name = fmt::format("stage{}/unit{}", stage + 1, unit + 1);
      const int stride = unit == 0 ? 2 : 1;
      int kept = at;
      int branch = at;
      if (stride == 1) {  // the shuffle of the unit before, and the split
        kept = every_second_channel(net, name + "/kept", at, 0);
        branch = every_second_channel(net, name + "/changed", at, 1);
      } else {
        const int in = net.channels(at);
        kept = net.conv_norm(name + "/kept/depthwise", at, in, Window::same(3, stride), in);
        kept = net.conv_norm_relu(name + "/kept/pointwise", kept, in);
      }
      branch = net.conv_norm_relu(name + "/1", branch, out / 2);
      branch =
          net.conv_norm(name + "/depthwise", branch, out / 2, Window::same(3, stride), out / 2);
      branch = net.conv_norm_relu(name + "/2", branch, out - net.channels(kept));
      at = net.graph().concat(name + "/concat", {kept, branch});
    }
  }
  return net.with_head(net.conv_norm_relu("last", at, last), false);
}

}  // namespace renas
