#include "backend/conformance/cases.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <stdexcept>

#include "renas/genome.h"
#include "renas/network.h"
#include "renas/random.h"
#include "renas/search_space.h"

namespace conformance {

using renas::Graph;
using renas::NodeKind;
using renas::ParameterRole;
using renas::Shape;
using renas::Window;

namespace {

using Body = std::function<int(Graph&, int)>;

/// input -> 1x1 conv -> body -> linear over the whole map -> loss. The first layer's weight
/// gradient shows the body's data gradient, the last layer gives each place of its output a weight
/// of its own.
Case make(const std::string& name, Shape shape, int channels, const Body& body, int classes = 4) {
  Case result;
  result.name = name;
  Graph& g = result.graph;
  const int first = g.conv("first", g.input(shape), {.out_channels = channels});
  const int last = g.linear("last", body(g, first), classes);
  g.set_scores(last);
  g.cross_entropy("loss", last, 1, 0);
  return result;
}

/// The same without the first convolution: the body reads the image.
Case on_image(const std::string& name, Shape shape, const Body& body) {
  Case result;
  result.name = name;
  Graph& g = result.graph;
  const int last = g.linear("last", body(g, g.input(shape)), 4);
  g.set_scores(last);
  g.cross_entropy("loss", last, 1, 0);
  return result;
}

/// A window with `above` rows of padding above and below, `left` columns on the left and right.
Window window(int height, int width, int stride, int above, int left) {
  return {height, width, stride, stride, above, above, left, left};
}

Graph::ConvOptions square(int out, int kernel, int stride = 1, int groups = 1, int dilation = 1) {
  return {.out_channels = out, .window = Window::same(kernel, stride, dilation), .groups = groups};
}

Body conv(const Graph::ConvOptions& options) {
  return [options](Graph& g, int in) { return g.conv("conv", in, options); };
}

/// ReLU, depthwise, 1x1, BN, twice: the paper's separable convolution.
int separable(Graph& g, const std::string& name, int in, int channels, int kernel, int stride) {
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = name + std::to_string(layer);
    in = g.relu(prefix + "/relu", in);
    const int from = g.node(in).shape.channels;
    in = g.conv(prefix + "/depthwise", in, square(from, kernel, layer == 0 ? stride : 1, from));
    in = g.conv(prefix + "/pointwise", in, {.out_channels = channels});
    in = g.batch_norm(prefix + "/bn", in);
  }
  return in;
}

int adapter(Graph& g, const std::string& name, int in, int channels) {
  in = g.relu(name + "/relu", in);
  in = g.conv(name + "/conv", in, {.out_channels = channels});
  return g.batch_norm(name + "/bn", in);
}

int factorized(Graph& g, const std::string& name, int in, int channels) {
  in = g.relu(name + "/relu", in);
  const int a =
      g.conv(name + "/a", in, {.out_channels = channels / 2, .window = Window::valid(1, 1, 2)});
  const int b = g.conv(name + "/b", g.pixel_shift(name + "/shift", in),
                       {.out_channels = channels - channels / 2, .window = Window::valid(1, 1, 2)});
  return g.batch_norm(name + "/bn", g.concat(name + "/concat", {a, b}));
}

/// A cell with every operator, a tensor read by many, and an output of three parts.
int cell(Graph& g, const std::string& name, int before, int previous, int channels, int stride) {
  const int a = adapter(g, name + "/c-2", before, channels);
  const int b = adapter(g, name + "/c-1", previous, channels);
  const Window pool = Window::same(3, stride);
  const int one = g.add(name + "/1", {separable(g, name + "/1/sep5x5", a, channels, 5, stride),
                                      separable(g, name + "/1/sep3x3", b, channels, 3, stride)});
  const int two = g.add(name + "/2", {g.max_pool(name + "/2/max", b, pool),
                                      g.average_pool(name + "/2/mean", a, pool)});
  const int three =
      g.add(name + "/3", {one, separable(g, name + "/3/sep7x7", b, channels, 7, stride)});
  const int four = g.add(name + "/4", {one, one});
  return g.concat(name + "/out", {two, three, four});
}

/// Stem, a cell of stride 1, one of stride 2, an auxiliary head, classifier.
Case cells(const std::string& name, Shape shape, int filters,
           const std::vector<float>& class_weights = {}) {
  Case result;
  result.name = name;
  Graph& g = result.graph;
  int stem = g.conv("stem/conv", g.input(shape), square(3 * filters, 3));
  stem = g.batch_norm("stem/bn", stem);
  const int first = cell(g, "cell1", stem, stem, filters, 1);
  const int second = cell(g, "cell2", stem, first, 2 * filters, 2);
  g.begin_auxiliary();
  int head = g.relu("aux/relu", first);
  head = g.average_pool("aux/pool", head, Window::valid(5, 5, 3));
  head =
      g.relu("aux/relu1", g.batch_norm("aux/bn1", g.conv("aux/conv1", head, {.out_channels = 9})));
  const Shape map = g.node(head).shape;
  head = g.conv("aux/conv2", head,
                {.out_channels = 11, .window = Window::valid(map.height, map.width)});
  head = g.relu("aux/relu2", g.batch_norm("aux/bn2", head));
  g.cross_entropy("aux/loss", g.linear("aux/linear", head, 5), 0.4F, 0, class_weights);
  g.end_auxiliary();
  int last = g.global_average_pool("mean", g.relu("relu", second));
  last = g.linear("classifier", g.dropout("dropout", last, 0.3F), 5);
  g.set_scores(last);
  g.cross_entropy("loss", last, 1, 0.1F, class_weights);
  return result;
}

}  // namespace

std::vector<Case> small_cases() {
  const Shape map{2, 7, 6};
  std::vector<Case> all;
  const auto add = [&](const std::string& name, int channels, const Body& body) {
    all.push_back(make(name, map, channels, body));
  };
  add("conv 1x1", 5, conv(square(7, 1)));
  add("conv 1x1 stride 2", 5, conv(square(7, 1, 2)));
  add("conv 3x3", 5, conv(square(7, 3)));
  add("conv 3x3 stride 2", 5, conv(square(7, 3, 2)));
  add("conv 3x3 stride 2 without padding", 5,
      conv({.out_channels = 7, .window = Window::valid(3, 3, 2)}));
  add("conv 3x5", 5, conv({.out_channels = 3, .window = window(3, 5, 1, 1, 2)}));
  add("conv over the whole map", 5, conv({.out_channels = 9, .window = Window::valid(7, 6)}));
  add("conv 3x3 dilation 2", 5, conv(square(7, 3, 1, 1, 2)));
  add("conv 3x3 of 2 groups", 6, conv(square(4, 3, 1, 2)));
  for (const int kernel : {3, 5, 7}) {
    for (const int stride : {1, 2}) {
      for (const int channels : {5, 12}) {
        add("depthwise " + std::to_string(kernel) + " stride " + std::to_string(stride) +
                " channels " + std::to_string(channels),
            channels, conv(square(channels, kernel, stride, channels)));
      }
    }
  }
  add("depthwise 3 dilation 2", 5, conv(square(5, 3, 1, 5, 2)));
  add("depthwise 3 dilation 2 stride 2", 9, conv(square(9, 3, 2, 9, 2)));
  add("depthwise with two filters a channel", 5, conv(square(10, 3, 1, 5)));
  add("depthwise 3x5", 5, conv({.out_channels = 5, .window = window(3, 5, 1, 1, 2), .groups = 5}));
  // Strides differ by axis, paddings by side: top, bottom, left, right.
  const Window uneven{3, 4, 2, 1, 1, 0, 2, 1};
  const Window even{2, 2, 1, 1, 0, 1, 0, 1};
  const Window lower{3, 3, 2, 2, 0, 1, 0, 1};
  add("conv of uneven strides and paddings", 5, conv({.out_channels = 7, .window = uneven}));
  add("conv 1x1 of uneven strides", 9,
      conv({.out_channels = 7, .window = {.stride_height = 1, .stride_width = 2}}));
  add("conv 2x2 padded below and on the right", 5, conv({.out_channels = 7, .window = even}));
  for (const Window& w : {uneven, even, lower, Window{3, 3, 1, 1, 2, 0, 0, 2, 2}}) {
    const std::string name = std::to_string(w.kernel_height) + "x" +
                             std::to_string(w.kernel_width) + " padded by " +
                             std::to_string(w.padding_top) + std::to_string(w.padding_bottom) +
                             std::to_string(w.padding_left) + std::to_string(w.padding_right);
    add("depthwise " + name, 9, conv({.out_channels = 9, .window = w, .groups = 9}));
    add("separable " + name, 9, [w](Graph& g, int in) {
      const int r = g.relu("relu", g.batch_norm("bn", in));
      const int rows = g.conv("depthwise", r, {.out_channels = 9, .window = w, .groups = 9});
      return g.conv("1x1", rows, square(10, 1));
    });
    if (w.dilation > 1) continue;
    add("max pool " + name, 9,
        [w](Graph& g, int in) { return g.max_pool("pool", g.relu("relu", in), w); });
    add("mean pool " + name, 9, [w](Graph& g, int in) { return g.average_pool("pool", in, w); });
  }
  // A kernel that is chosen by its width must not assume that its height is equal.
  for (const int height : {1, 2, 3, 5}) {
    for (const int width : {3, 5, 7}) {
      for (const int stride : {1, 2}) {
        if (height == width) continue;
        add("depthwise " + std::to_string(height) + "x" + std::to_string(width) + " stride " +
                std::to_string(stride),
            9,
            conv({.out_channels = 9,
                  .window = window(height, width, stride, (height - 1) / 2, width / 2),
                  .groups = 9}));
      }
    }
  }
  add("batch norm", 5, [](Graph& g, int in) { return g.batch_norm("bn", in); });
  add("relu", 5, [](Graph& g, int in) { return g.relu("relu", in); });
  add("batch norm, relu", 5, [](Graph& g, int in) { return g.relu("r", g.batch_norm("bn", in)); });
  add("batch norm read by relu and by add", 5, [](Graph& g, int in) {
    const int bn = g.batch_norm("bn", in);
    return g.add("add", {bn, g.relu("relu", bn)});
  });
  for (const int stride : {1, 2}) {
    const Window pool = Window::same(3, stride);
    add("max pool stride " + std::to_string(stride), 5,
        [=](Graph& g, int in) { return g.max_pool("pool", in, pool); });
    add("mean pool stride " + std::to_string(stride), 11,
        [=](Graph& g, int in) { return g.average_pool("pool", in, pool); });
  }
  add("mean pool 5x5 stride 3 without padding", 5,
      [](Graph& g, int in) { return g.average_pool("pool", in, Window::valid(5, 5, 3)); });
  add("max pool 2x3", 5,
      [](Graph& g, int in) { return g.max_pool("pool", in, window(2, 3, 2, 0, 1)); });
  add("max pool 2x2 whose windows lie apart", 9,
      [](Graph& g, int in) { return g.max_pool("pool", in, Window::valid(2, 2, 3)); });
  add("mean pool 2x2 whose windows lie apart", 9,
      [](Graph& g, int in) { return g.average_pool("pool", in, Window::valid(2, 2, 3)); });
  // Long rows are processed a few pixels at a time.
  for (const Shape wide : {Shape{2, 5, 14}, Shape{2, 15, 17}}) {
    const std::string size =
        " of " + std::to_string(wide.height) + "x" + std::to_string(wide.width);
    for (const int stride : {1, 2, 3}) {
      const std::string name = " stride " + std::to_string(stride) + size;
      for (const int kernel : {3, 4, 5}) {
        all.push_back(make("depthwise " + std::to_string(kernel) + name, wide, 9,
                           conv(square(9, kernel, stride, 9))));
      }
      const Window pool = Window::same(3, stride);
      all.push_back(make("max pool" + name, wide, 9, [=](Graph& g, int in) {
        return g.max_pool("pool", g.relu("relu", g.batch_norm("bn", in)), pool);
      }));
      all.push_back(make("mean pool" + name, wide, 9, [=](Graph& g, int in) {
        return g.add("add", {g.average_pool("one", in, pool), g.max_pool("two", in, pool)});
      }));
    }
  }
  add("max pool and depthwise behind batch norm and relu", 9, [](Graph& g, int in) {
    const int r = g.relu("relu", g.batch_norm("bn", in));
    return g.add("add",
                 {g.max_pool("pool", r, Window::same(3)), g.conv("conv", r, square(9, 3, 1, 9))});
  });
  add("add of three, one twice", 5, [](Graph& g, int in) {
    const int r = g.relu("relu", in);
    return g.add("add", {in, r, in});
  });
  add("add of two batch norms", 5, [](Graph& g, int in) {
    return g.add("add",
                 {g.batch_norm("a", in), g.batch_norm("b", g.conv("conv", in, square(5, 1)))});
  });
  add("concat of three, one twice", 5, [](Graph& g, int in) {
    return g.concat("concat", {in, g.relu("relu", in), in});
  });
  add("concat of concats", 3, [](Graph& g, int in) {
    const int inner = g.concat("inner", {in, g.relu("relu", in)});
    return g.concat("outer", {g.conv("conv", inner, square(4, 1)), inner});
  });
  add("relu and 1x1 over a concat", 5, [](Graph& g, int in) {
    const int c = g.concat("concat", {in, g.batch_norm("bn", in), g.relu("relu", in)});
    return adapter(g, "adapter", c, 6);
  });
  add("concat of two depthwise and 1x1 convs", 5, [](Graph& g, int in) {
    const int a = g.conv("a", g.conv("da", in, square(5, 3, 1, 5)), square(3, 1));
    const int b = g.conv("b", g.conv("db", in, square(5, 5, 1, 5)), square(4, 1));
    return g.batch_norm("bn", g.concat("concat", {a, b}));
  });
  add("depthwise result read twice", 5, [](Graph& g, int in) {
    const int d = g.conv("d", in, square(5, 3, 1, 5));
    return g.concat("concat", {g.conv("p", d, square(4, 1)), g.batch_norm("bn", d)});
  });
  add("shift of stride 1 beside its input", 9, [](Graph& g, int in) {
    const int c = g.concat("concat", {g.pixel_shift("shift", in), in});
    return g.conv("conv", c, square(6, 1));
  });
  add("shift", 5, [](Graph& g, int in) { return g.pixel_shift("shift", in); });
  add("factorized reduction", 5, [](Graph& g, int in) { return factorized(g, "fr", in, 7); });
  add("factorized reduction of a concat", 5, [](Graph& g, int in) {
    return factorized(g, "fr", g.concat("concat", {in, g.batch_norm("bn", in)}), 6);
  });
  add("channels shuffled between a 1x1 of groups and a depthwise", 6, [](Graph& g, int in) {
    int at = g.conv("grouped", in, square(12, 1, 1, 3));
    at = g.relu("relu", g.batch_norm("bn", at));
    at = g.select_channels("shuffle", at, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
    return g.conv("depthwise", at, square(12, 3, 1, 12));
  });
  add("channels of a concat split in two, one of them joined again", 5, [](Graph& g, int in) {
    const int joined = g.concat("concat", {in, g.relu("relu", in)});
    const int kept = g.select_channels("kept", joined, {0, 2, 4, 6, 8});
    const int other = g.batch_norm("bn", g.select_channels("other", joined, {9, 7, 1}));
    return g.concat("joined", {kept, other, in});
  });
  add("global mean", 5, [](Graph& g, int in) { return g.global_average_pool("mean", in); });
  add("relu, global mean", 5,
      [](Graph& g, int in) { return g.global_average_pool("mean", g.relu("relu", in)); });
  add("global mean of many channels", 147, [](Graph& g, int in) {
    return g.global_average_pool("mean", g.relu("relu", g.batch_norm("bn", in)));
  });
  for (const int channels : {13, 21}) {
    add("sum of two batch norms, " + std::to_string(channels) + " channels", 5,
        [channels](Graph& g, int in) {
          const int a = g.batch_norm("a/bn", g.conv("a", in, square(channels, 3)));
          return g.add("add", {a, g.batch_norm("b/bn", g.conv("b", in, square(channels, 1)))});
        });
  }
  add("dropout", 5, [](Graph& g, int in) { return g.dropout("dropout", in, 0.4F); });
  add("drop path", 5, [](Graph& g, int in) { return g.drop_path("path", in, 0.6F); });
  add("drop path behind batch norm, added", 5, [](Graph& g, int in) {
    return g.add("add", {g.drop_path("path", g.batch_norm("bn", in), 0.6F), in});
  });
  add("linear, batch norm", 5, [](Graph& g, int in) {
    return g.relu("relu", g.batch_norm("bn", g.linear("hidden", in, 6)));
  });
  // These cases mix precisions, because images and maps of one pixel are never rounded.
  all.push_back(
      on_image("sum of the image's batch norm and a conv", {5, 7, 6}, [](Graph& g, int in) {
        return g.add("add", {g.batch_norm("bn", in), g.conv("conv", in, square(5, 3))});
      }));
  all.push_back(
      on_image("sum of the image's batch norm, read again", {5, 7, 6}, [](Graph& g, int in) {
        const int bn = g.batch_norm("bn", in);
        const int r = g.relu("relu", bn);
        return g.add("add", {bn, r, g.conv("conv", r, square(5, 3))});
      }));
  all.push_back(on_image("sum and concat with the image", {5, 7, 6}, [](Graph& g, int in) {
    const int sum = g.add("add", {in, g.conv("conv", in, square(5, 3))});
    return g.concat("concat", {in, sum, g.batch_norm("bn", in)});
  }));
  all.push_back(on_image("pools of the image", {5, 7, 6}, [](Graph& g, int in) {
    return g.add("add", {g.max_pool("max", in, Window::same(3)),
                         g.average_pool("mean", g.batch_norm("bn", in), Window::same(3))});
  }));
  const Window whole = Window::valid(7, 6);
  add("max pool to one pixel", 5,
      [=](Graph& g, int in) { return g.max_pool("pool", g.relu("relu", in), whole); });
  add("mean pool to one pixel", 5,
      [=](Graph& g, int in) { return g.average_pool("pool", in, whole); });
  const Graph::ConvOptions covering{.out_channels = 5, .window = whole, .groups = 5};
  add("depthwise to one pixel", 5, conv(covering));
  add("depthwise and 1x1 to one pixel", 5, [=](Graph& g, int in) {
    return g.conv("1x1", g.conv("depthwise", g.relu("relu", in), covering), square(6, 1));
  });
  add("drop path of one pixel", 5, [](Graph& g, int in) {
    return g.drop_path("path", g.relu("relu", g.global_average_pool("mean", in)), 0.6F);
  });
  add("separable 3x3 stride 2", 5,
      [](Graph& g, int in) { return separable(g, "sep", in, 6, 3, 2); });
  add("separable 5x5", 5, [](Graph& g, int in) { return separable(g, "sep", in, 5, 5, 1); });
  all.push_back(cells("two cells with an auxiliary head", {3, 9, 8}, 4));
  all.push_back(cells("two cells of one-channel images", {1, 11, 7}, 2));
  all.push_back(
      cells("two cells with class weights", {3, 9, 8}, 4, {0.25F, 3.0F, 0.0F, 1.0F, 1.5F}));
  Case full = cells("two cells, full batch", {3, 8, 7}, 3);
  full.count = full.batch;
  all.push_back(full);
  Case one = cells("two cells, a batch of one", {3, 8, 7}, 3);
  one.count = 1;
  all.push_back(one);
  for (const char* name : {"batch norm, relu", "batch norm read by relu and by add",
                           "add of two batch norms", "separable 3x3 stride 2"}) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Case& c) { return c.name == name; });
    Case frozen = found == all.end() ? throw std::logic_error(name) : *found;
    frozen.name += ", frozen statistics";
    frozen.frozen_statistics = true;
    all.push_back(std::move(frozen));
  }
  return all;
}

std::vector<Case> large_cases() {
  std::vector<Case> all;
  const auto add = [&](Case one, int batch, int count) {
    one.batch = batch;
    one.count = count;
    all.push_back(std::move(one));
  };
  add(make("separable 3x3, images in unequal ranges", {3, 6, 5}, 48,
           [](Graph& g, int in) { return separable(g, "sep", in, 48, 3, 1); }),
      67, 65);
  for (const int channels : {8, 16, 24, 33}) {
    const std::string suffix = " of " + std::to_string(channels) + " channels";
    add(make("separable 3x3" + suffix, {3, 17, 19}, channels,
             [=](Graph& g, int in) { return separable(g, "sep", in, channels, 3, 1); }),
        5, 4);
    add(make("separable 7x7 stride 2" + suffix, {3, 17, 19}, channels,
             [=](Graph& g, int in) { return separable(g, "sep", in, channels, 7, 2); }),
        5, 5);
    add(make("adapter of a concat" + suffix, {3, 13, 10}, channels,
             [=](Graph& g, int in) {
               const int c = g.concat("concat", {in, g.batch_norm("bn", in), g.relu("relu", in)});
               return adapter(g, "adapter", c, channels);
             }),
        4, 3);
  }
  // Many tiles of rows. The kernels keep only the rows that the current windows cover.
  for (const int kernel : {1, 3, 4, 5}) {
    for (const int stride : {1, 2, 3, 7}) {
      for (const int dilation : {1, 3}) {
        const std::set<int> paddings = {0, dilation * (kernel - 1) / 2, dilation * kernel};
        for (const int padding : paddings) {
          add(make("rows of depthwise " + std::to_string(kernel) + " stride " +
                       std::to_string(stride) + " dilation " + std::to_string(dilation) +
                       " padding " + std::to_string(padding),
                   {2, 37, 25}, 9,
                   [=](Graph& g, int in) {
                     Window rows_of = window(kernel, kernel, stride, padding, padding);
                     rows_of.dilation = dilation;
                     const int r = g.relu("relu", g.batch_norm("bn", in));
                     const int rows = g.conv("depthwise", r,
                                             {.out_channels = 9, .window = rows_of, .groups = 9});
                     return g.conv("1x1", rows, square(10, 1));
                   }),
              3, 2);
        }
      }
    }
  }
  // These layers are wide enough for oneDNN. They have whole tiles and a remainder, with and
  // without ReLU, sums, and a window.
  add(make("wide adapter of a concat", {3, 13, 10}, 136,
           [](Graph& g, int in) {
             const int c = g.concat("concat", {in, g.batch_norm("bn", in), g.relu("relu", in)});
             return adapter(g, "adapter", c, 129);
           }),
      4, 3);
  add(make("wide 1x1, then 3x3 stride 2", {3, 16, 18}, 128,
           [](Graph& g, int in) {
             const int c = g.add(
                 "add", {g.conv("1x1", in, square(136, 1)), g.conv("other", in, square(136, 1))});
             return g.conv("3x3", c, square(130, 3, 2));
           }),
      2, 2);
  // So many tiles of rows and columns that a block of a GPU's grid sums the statistics of several.
  add(make("batch norm of a 1x1 of many filters and pixels", {3, 29, 37}, 5,
           [](Graph& g, int in) {
             const int wide = g.batch_norm("bn", g.conv("wide", in, square(520, 1)));
             return g.conv("narrow", g.relu("relu", wide), square(2, 1));
           }),
      2, 2);
  add(cells("cells at 28x28x1", {1, 28, 28}, 8), 5, 4);
  add(cells("cells at 32x32x3", {3, 32, 32}, 6), 3, 3);
  Case stem;
  stem.name = "stem of 224x224x3";
  Graph& g = stem.graph;
  int node = g.conv("stem", g.input({3, 224, 224}),
                    {.out_channels = 32, .window = Window::valid(3, 3, 2)});
  node = separable(g, "sep", g.batch_norm("bn", node), 11, 5, 2);
  node = g.linear("classifier", g.global_average_pool("mean", g.relu("relu", node)), 7);
  g.set_scores(node);
  g.cross_entropy("loss", node, 1, 0);
  add(stem, 2, 2);
  return all;
}

std::vector<Case> network_cases() {
  std::vector<Case> all;
  const renas::SearchSpace space = renas::SearchSpace::renas();
  renas::Random random(5);
  for (int i = 0; i < 6; ++i) {
    const renas::Genome genome =
        i == 0 ? renas::parse_genome(space, renas::kRenasNet) : renas::random_genome(space, random);
    renas::NetworkOptions options;
    options.cells = 1;
    options.filters = i % 2 == 0 ? 4 : 6;
    options.image = i % 2 == 0 ? Shape{3, 13, 12} : Shape{1, 14, 14};
    options.classes = 5;
    if (i == 5) {
      options.kind = renas::NetworkKind::kImageNet;
      options.filters = 8;
      options.image = {3, 67, 65};
    }
    options.concat_c2 = i == 3;
    if (i >= 2) {
      options.auxiliary = true;
      options.dropout = 0.3F;
      options.drop_path = 0.4F;
      options.label_smoothing = 0.1F;
    }
    Case c;
    c.name = "network of " + renas::to_string(space, genome);
    c.graph = renas::build_network(space, genome, options);
    c.batch = 8;
    c.count = 7;
    all.push_back(std::move(c));
  }
  return all;
}

Case training_case() {
  Case result;
  result.name = "training";
  Graph& g = result.graph;
  const int stem = g.batch_norm("stem/bn", g.conv("stem/conv", g.input({3, 10, 9}), square(8, 3)));
  const int first = separable(g, "first", stem, 8, 3, 1);
  const int second = separable(g, "second", stem, 8, 5, 1);
  int last = adapter(g, "adapter", g.concat("concat", {first, g.add("add", {first, second})}), 12);
  last = separable(g, "third", last, 12, 3, 2);
  last = g.linear("classifier", g.global_average_pool("mean", g.relu("relu", last)), 5);
  g.set_scores(last);
  g.cross_entropy("loss", last, 1, 0);
  result.batch = 6;
  return result;
}

std::vector<float> ramp(std::size_t size, float low, float high, uint64_t seed) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    values[i] = low + (high - low) * (static_cast<float>(i) + 0.37F) / static_cast<float>(size);
  }
  renas::Random random(seed);
  random.shuffle(values);
  return values;
}

double largest_error(const renas::Weights& found, const renas::Weights& expected) {
  double worst = 0;
  for (const auto& [name, tensor] : expected) {
    const std::vector<float>& values = found.at(name).values;
    double largest = 0;
    double error = 0;
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
      largest = std::max(largest, std::abs(double{tensor.values[i]}));
      const double e = std::abs(double{values[i]} - tensor.values[i]);
      error = std::isnan(e) ? HUGE_VAL : std::max(error, e);
    }
    worst = std::max(worst, error / (largest + 0.1));
  }
  return worst;
}

namespace {

struct Distance {
  double squares = 0;     // the sum of squared differences
  double of_squares = 0;  // the sum of squared expected values
  double size = 0;

  Distance() = default;
  Distance(const renas::Tensor& found, const renas::Tensor& expected)
      : size(static_cast<double>(expected.values.size())) {
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
      of_squares += std::pow(double{expected.values[i]}, 2);
      squares += std::pow(double{found.values[i]} - expected.values[i], 2);
    }
  }
  double mean_square() const { return of_squares / size; }
};

}  // namespace

double distance(const renas::Weights& found, const renas::Weights& expected) {
  Distance all;
  for (const auto& [name, tensor] : expected) {
    const Distance one(found.at(name), tensor);
    all.squares += one.squares;
    all.of_squares += one.of_squares;
  }
  return std::isnan(all.squares) ? HUGE_VAL : std::sqrt(all.squares / all.of_squares);
}

double largest_distance(const renas::Weights& found, const renas::Weights& expected) {
  std::vector<Distance> all;
  double largest = 0;
  for (const auto& [name, tensor] : expected) {
    all.emplace_back(found.at(name), tensor);
    largest = std::max(largest, all.back().mean_square());
  }
  double worst = 0;
  for (const Distance& one : all) {
    const double part = std::sqrt(one.squares / one.size) /
                        (std::sqrt(one.mean_square()) + 0.01 * std::sqrt(largest));
    worst = std::isnan(part) ? HUGE_VAL : std::max(worst, part);
  }
  return worst;
}

renas::Weights ramp_weights(const Graph& graph, uint64_t seed) {
  renas::Weights weights;
  for (const renas::Parameter& p : graph.parameters()) {
    float low = 0.5F;
    float high = 1.5F;
    if (p.role == ParameterRole::kConvWeight || p.role == ParameterRole::kLinearWeight) {
      high = std::sqrt(3.0F / static_cast<float>(p.fan_in));
      low = -high;
    } else if (p.role != ParameterRole::kScale && p.role != ParameterRole::kVariance) {
      low = -0.5F;
      high = 0.5F;
    }
    weights[p.name] = {p.shape, ramp(p.size(), low, high, ++seed)};
  }
  return weights;
}

std::vector<float> planar_images(const Graph& graph, int count, uint64_t seed) {
  std::size_t size = 0;
  for (const renas::Node& node : graph.nodes()) {
    if (node.kind == NodeKind::kInput) {
      size = node.shape.size() * count;
    }
  }
  return ramp(size, -1.5F, 1.6F, seed);
}

void stage_planar(renas::HostBatch& batch, const renas::Shape& shape,
                  std::span<const float> planar) {
  const std::size_t pixels = shape.height * shape.width;
  const std::size_t channels = shape.channels;
  for (std::size_t i = 0; i < planar.size(); ++i) {
    const std::size_t n = i / (channels * pixels);
    batch.images[(n * pixels + i % pixels) * channels + i / pixels % channels] = planar[i];
  }
}

void stage(renas::Program& program, const Graph& graph, int count, uint64_t seed) {
  renas::HostBatch& batch = program.staging();
  for (const renas::Node& node : graph.nodes()) {
    if (node.kind != NodeKind::kInput) continue;
    stage_planar(batch, node.shape, planar_images(graph, count, seed));
  }
  const int classes = graph.node(graph.scores()).shape.channels;
  const Shape& scores = graph.node(graph.scores()).shape;
  const int64_t pixels = int64_t{scores.height} * scores.width;
  const auto choices = static_cast<uint64_t>(pixels == 1 ? classes : classes + 1);
  for (int64_t i = 0; i < count * pixels; ++i) {
    const auto label = static_cast<int32_t>((static_cast<uint64_t>(i) * 2 + seed) % choices);
    batch.labels[i] = label < classes ? label : renas::kIgnored;
  }
  batch.count = count;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases = small_cases();
  for (auto* more : {large_cases, segmentation_cases, large_segmentation_cases}) {
    for (Case& c : more()) cases.push_back(std::move(c));
  }
  return cases;
}

renas::ProgramOptions options_of(const Case& c, int threads, renas::Precision precision) {
  renas::ProgramOptions options;
  options.batch = c.batch;
  options.threads = threads;
  options.precision = precision;
  options.frozen_statistics = c.frozen_statistics;
  return options;
}

}  // namespace conformance
