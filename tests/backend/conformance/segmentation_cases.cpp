// The cases of segmentation: maps that are resized, biases of convolutions, losses of pixels.

#include <functional>
#include <string>

#include "backend/conformance/cases.h"

namespace conformance {

using renas::Graph;
using renas::Shape;
using renas::Window;

namespace {

using Body = std::function<int(Graph&, int)>;

struct Loss {
  float smoothing = 0;
  std::vector<float> class_weights = {};
};

/// input -> 1x1 conv -> body -> loss of its pixels.
Case of_pixels(const std::string& name, Shape shape, int channels, const Body& body,
               const Loss& loss = {}) {
  Case result;
  result.name = name;
  Graph& g = result.graph;
  const int last = body(g, g.conv("first", g.input(shape), {.out_channels = channels}));
  g.set_scores(last);
  g.cross_entropy("loss", last, 1, loss.smoothing, loss.class_weights);
  return result;
}

/// input -> 1x1 conv -> body -> linear over the whole map -> loss of images.
Case of_images(const std::string& name, Shape shape, int channels, const Body& body) {
  Case result;
  result.name = name;
  Graph& g = result.graph;
  const int first = g.conv("first", g.input(shape), {.out_channels = channels});
  const int last = g.linear("last", body(g, first), 4);
  g.set_scores(last);
  g.cross_entropy("loss", last, 1, 0);
  return result;
}

Graph::ConvOptions biased(int out, const Window& window = {}, int groups = 1) {
  return {.out_channels = out, .window = window, .groups = groups, .bias = true};
}

int classifier(Graph& g, int in, int classes) { return g.conv("classifier", in, biased(classes)); }

int norm_relu(Graph& g, const std::string& name, int in) {
  return g.relu(name + "/relu", g.batch_norm(name + "/bn", in));
}

/// DeepLab's head over a concatenation: atrous branches, image pooling, projection, classifier,
/// resize to `height` x `width`.
int head(Graph& g, int in, int filters, int classes, int height, int width) {
  const int features = g.relu("relu", g.concat("features", {in, g.relu("other", in)}));
  const Shape map = g.node(features).shape;
  std::vector<int> branches{
      norm_relu(g, "0", g.conv("0/conv", features, {.out_channels = filters}))};
  for (const int rate : {1, 2, 3}) {
    const std::string name = std::to_string(rate);
    branches.push_back(
        norm_relu(g, name,
                  g.conv(name + "/conv", features,
                         {.out_channels = filters, .window = Window::same(3, 1, rate)})));
  }
  const int pooled = norm_relu(
      g, "pooling",
      g.conv("pooling/conv", g.global_average_pool("mean", features), {.out_channels = filters}));
  branches.push_back(g.broadcast("broadcast", pooled, map.height, map.width));
  int at = g.conv("projection", g.concat("branches", branches), {.out_channels = filters});
  at = g.dropout("dropout", norm_relu(g, "projection", at), 0.1F);
  return g.resize("resize", classifier(g, at, classes), height, width);
}

}  // namespace

std::vector<Case> segmentation_cases() {
  const Shape map{2, 7, 6};
  std::vector<Case> all;
  const auto add = [&](const std::string& name, int channels, const Body& body) {
    all.push_back(of_images(name, map, channels, body));
  };
  const auto add_pixels = [&](const std::string& name, int channels, const Body& body,
                              const Loss& loss = {}) {
    all.push_back(of_pixels(name, map, channels, body, loss));
  };
  for (const bool corners : {false, true}) {
    for (const auto& size : {std::pair{13, 11}, {7, 6}, {3, 4}, {1, 5}, {8, 1}}) {
      add("resize to " + std::to_string(size.first) + "x" + std::to_string(size.second) +
              (corners ? " corners aligned" : ""),
          5, [size, corners](Graph& g, int in) {
            return g.resize("resize", in, size.first, size.second, corners);
          });
    }
  }
  add("resize behind batch norm and relu, read by a batch norm", 9, [](Graph& g, int in) {
    return g.batch_norm("bn2", g.resize("resize", norm_relu(g, "one", in), 9, 10));
  });
  add("resize of a map that others read", 5, [](Graph& g, int in) {
    const int up = g.max_pool("pool", g.resize("resize", in, 14, 12), Window::valid(2, 2, 2));
    return g.add("add", {in, up, g.relu("relu", in)});
  });
  add("broadcast", 5, [](Graph& g, int in) {
    return g.add("add", {in, g.broadcast("broadcast", g.global_average_pool("mean", in), 7, 6)});
  });
  add("broadcast behind batch norm and relu, concatenated", 11, [](Graph& g, int in) {
    const int one =
        norm_relu(g, "one", g.conv("conv", g.global_average_pool("mean", in), {.out_channels = 9}));
    return g.conv("last conv", g.concat("concat", {in, g.broadcast("broadcast", one, 7, 6)}),
                  {.out_channels = 3});
  });
  add("conv 1x1 with bias", 5, [](Graph& g, int in) { return g.conv("conv", in, biased(9)); });
  add("conv 3x3 dilation 2 with bias", 9,
      [](Graph& g, int in) { return g.conv("conv", in, biased(7, Window::same(3, 1, 2))); });
  // Behind a batch norm alone the gradient of a bias is 0.
  add("conv 1x1 with bias read by batch norm and by add", 5, [](Graph& g, int in) {
    const int conv = g.conv("conv", in, biased(9));
    return g.add("add", {g.batch_norm("bn", conv), conv});
  });
  add("depthwise with bias", 5,
      [](Graph& g, int in) { return g.conv("conv", in, biased(5, Window::same(3), 5)); });
  add("separable with bias", 9, [](Graph& g, int in) {
    const int rows =
        g.conv("depthwise", in, {.out_channels = 9, .window = Window::same(3, 1, 2), .groups = 9});
    return g.conv("pointwise", rows, biased(5));
  });
  add("concat of 1x1 convs with and without bias", 5, [](Graph& g, int in) {
    return g.concat("concat", {g.conv("a", in, biased(3)), g.conv("b", in, {.out_channels = 2})});
  });
  for (const int kernel : {3, 5, 7}) {
    for (const int rate : {2, 3, 4}) {
      const auto name = "separable " + std::to_string(kernel) + " rate " + std::to_string(rate);
      add(name, 9, [=](Graph& g, int in) {
        const int rows =
            g.conv("depthwise", norm_relu(g, "one", in),
                   {.out_channels = 9, .window = Window::same(kernel, 1, rate), .groups = 9});
        return g.conv("pointwise", rows, {.out_channels = 5});
      });
    }
  }
  add_pixels("loss of pixels", 5, [](Graph& g, int in) { return classifier(g, in, 3); });
  add_pixels("loss of pixels with smoothing and class weights", 5,
             [](Graph& g, int in) { return classifier(g, in, 5); },
             {.smoothing = 0.1F, .class_weights = {1, 2, 0.5F, 0, 3}});
  add_pixels("loss of pixels over twelve classes", 9,
             [](Graph& g, int in) { return classifier(g, in, 12); });
  add_pixels("loss of pixels of a batch norm", 4,
             [](Graph& g, int in) { return g.batch_norm("bn", in); });
  add_pixels("loss of resized pixels", 5,
             [](Graph& g, int in) { return g.resize("resize", classifier(g, in, 3), 13, 12); });
  add_pixels("head of segmentation", 5, [](Graph& g, int in) { return head(g, in, 6, 4, 13, 11); });
  // The pooled branch's batch norm sees a value an image: few would amplify every rounding.
  all.back().batch = 8;
  all.back().count = 7;
  for (Case& c : all) c.segmentation = true;
  return all;
}

std::vector<Case> large_segmentation_cases() {
  std::vector<Case> all{of_pixels("head of segmentation of 24 filters", {3, 13, 17}, 24,
                                  [](Graph& g, int in) { return head(g, in, 24, 21, 49, 65); },
                                  {.smoothing = 0.05F})};
  for (const int kernel : {3, 5, 7}) {
    const auto name = "atrous depthwise " + std::to_string(kernel) + " of 13x17";
    all.push_back(of_images(name, {3, 13, 17}, 19, [=](Graph& g, int in) {
      return g.conv("depthwise", g.relu("relu", in),
                    {.out_channels = 19, .window = Window::same(kernel, 1, 2), .groups = 19});
    }));
  }
  // So wide that backends leave them to a library.
  all.push_back(of_images(
      "conv 3x3 dilation 2 of 40 filters with bias", {3, 13, 17}, 19, [](Graph& g, int in) {
        return norm_relu(g, "one", g.conv("conv", in, biased(40, Window::same(3, 1, 2))));
      }));
  all.push_back(of_images("conv 1x1 of 130 filters with bias read by two", {3, 5, 7}, 130,
                          [](Graph& g, int in) {
                            const int conv = g.conv("conv", g.relu("relu", in), biased(130));
                            return g.add("add", {g.batch_norm("bn", conv), conv});
                          }));
  for (Case& c : all) c.segmentation = true;
  return all;
}

}  // namespace conformance
