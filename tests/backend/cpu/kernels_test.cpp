// Every float32 kernel of kernels/args.h against plain loops, on the best instruction set. The
// loops follow the comments of args.h and maps.h and nothing else.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/kernels/args.h"
#include "renas/random.h"

using namespace renas;
using namespace renas::cpu;

namespace {

using Numbers = std::vector<float>;
constexpr int kImages = 3;

Numbers numbers(std::size_t count, uint64_t seed) {
  Random random(seed);
  Numbers values(count);
  for (float& v : values) v = static_cast<float>(2 * random.uniform() - 1);
  return values;
}

/// Checks that the largest error is small beside the largest value.
void check_close(const std::string& what, const Numbers& found, const Numbers& expected) {
  BOOST_REQUIRE_MESSAGE(found.size() == expected.size(), what);
  float largest = 1;
  for (const float v : expected) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < found.size(); ++i) {
    BOOST_REQUIRE_MESSAGE(std::abs(found[i] - expected[i]) <= 3e-5F * largest,
                          what << "[" << i << "]: " << found[i] << " instead of " << expected[i]);
  }
}

/// A map of kImages images with everything that kernels may be told of it. Channels beyond
/// `channels` hold zeros.
struct Layer {
  Map map;
  int channels;
  Numbers data, gradient, scale, shift, mean;

  Layer(int height, int width, int true_channels, uint64_t seed)
      : map{height, width, padded(true_channels)},
        channels(true_channels),
        data(numbers(map.size() * kImages, seed)),
        gradient(numbers(map.size() * kImages, seed + 1)),
        scale(numbers(map.channels, seed + 2)),
        shift(numbers(map.channels, seed + 3)),
        mean(numbers(map.channels, seed + 4)) {
    for (Numbers* values : {&data, &gradient, &scale, &shift, &mean}) {
      for (std::size_t i = 0; i < values->size(); ++i) {
        if (static_cast<int>(i % map.channels) >= channels) (*values)[i] = 0;
      }
    }
  }
  InputView input(bool norm, bool relu, bool accumulate, std::size_t sums = 0) {
    InputView view;
    view.map = map;
    view.data = {data.data(), false};
    view.scale = norm ? scale.data() : nullptr;
    view.shift = norm ? shift.data() : nullptr;
    view.relu = relu;
    view.gradient = {gradient.data(), false};
    view.accumulate = accumulate;
    view.mean = norm ? mean.data() : nullptr;
    view.sums = sums;
    return view;
  }
  OutputMap output(bool norm) {
    OutputMap out;
    out.map = map;
    out.data = {data.data(), false};
    out.gradient = {gradient.data(), false};
    out.centre = mean.data();
    out.dy_scale = norm ? scale.data() : nullptr;
    out.x_scale = norm ? shift.data() : nullptr;
    out.offset = norm ? mean.data() : nullptr;
    return out;
  }
};

std::size_t place(const Map& map, int n, int y, int x, int c) {
  return ((std::ptrdiff_t{n} * map.height + y) * map.width + x) * map.channels + c;
}

bool inside(const Map& map, int y, int x) {
  return y >= 0 && y < map.height && x >= 0 && x < map.width;
}

/// The input as the group reads it; zero beyond the map.
float activated(const InputView& v, int n, int y, int x, int c) {
  if (!inside(v.map, y, x)) return 0;
  float value = v.data.get(place(v.map, n, y, x, c));
  if (v.scale != nullptr) value = v.scale[c] * value + v.shift[c];
  return v.relu ? std::max(value, 0.0F) : value;
}

/// The gradient with respect to the output itself.
float output_gradient(const OutputMap& o, std::size_t i) {
  const auto c = i % o.map.channels;
  if (o.dy_scale == nullptr) return o.gradient.get(i);
  return o.dy_scale[c] * o.gradient.get(i) + o.x_scale[c] * o.data.get(i) + o.offset[c];
}

/// Calls visit(image, row, column, channel) for all numbers of a map, its padding included.
void for_each(const Map& map, const std::function<void(int, int, int, int)>& visit) {
  for (int n = 0; n < kImages; ++n) {
    for (int y = 0; y < map.height; ++y) {
      for (int x = 0; x < map.width; ++x) {
        for (int c = 0; c < map.channels; ++c) visit(n, y, x, c);
      }
    }
  }
}

/// What an input's gradient is after a group stored `shares`, with respect to the activated input.
Numbers stored_gradient(const InputView& v, const Numbers& before, const Numbers& shares) {
  Numbers after(shares.size());
  for_each(v.map, [&](int n, int y, int x, int c) {
    const std::size_t i = place(v.map, n, y, x, c);
    const bool blocked = v.relu && !(activated(v, n, y, x, c) > 0);
    after[i] = (blocked ? 0 : shares[i]) + (v.accumulate ? before[i] : 0);
  });
  return after;
}

/// [2][channels]: sums of x - centre and of its square.
Numbers statistics_of(const Map& map, const Numbers& data, const Numbers& centre) {
  Numbers sums(2 * map.channels);
  for_each(map, [&](int n, int y, int x, int c) {
    const float d = data[place(map, n, y, x, c)] - centre[c];
    sums[c] += d;
    sums[map.channels + c] += d * d;
  });
  return sums;
}

/// [2][channels]: sums of dy and of dy (x - mean).
Numbers backward_sums_of(const Map& map, const Numbers& dy, const Numbers& data,
                         const Numbers& mean) {
  Numbers sums(2 * map.channels);
  for_each(map, [&](int n, int y, int x, int c) {
    const std::size_t i = place(map, n, y, x, c);
    sums[c] += dy[i];
    sums[map.channels + c] += dy[i] * (data[i] - mean[c]);
  });
  return sums;
}

int output_size(int in, int kernel, int padding, int stride, int dilation = 1) {
  return (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

Numbers transposed(const Numbers& m, int rows, int columns) {
  Numbers t(m.size());
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) t[c * rows + r] = m[r * columns + c];
  }
  return t;
}

void check_separable(const WindowArgs& w, bool pointwise, bool norm) {
  Layer in(9, 7, 19, 1);
  const int columns = pointwise ? 13 : in.channels;
  Layer out(output_size(9, w.height, w.top, w.stride_height, w.dilation),
            output_size(7, w.width, w.left, w.stride_width, w.dilation), columns, 20);
  const int taps = w.height * w.width;
  Numbers kernels = numbers(taps * in.map.channels, 30);  // [channels / 8][taps][8]
  const auto tap_at = [&](int c, int t) {
    return c / kBlock * taps * kBlock + t * kBlock + c % kBlock;
  };
  Numbers flipped(kernels.size());
  for (int c = 0; c < in.map.channels; ++c) {
    for (int t = 0; t < taps; ++t) {
      if (c >= in.channels) kernels[tap_at(c, t)] = 0;
      flipped[tap_at(c, taps - 1 - t)] = kernels[tap_at(c, t)];
    }
  }
  Numbers matrix = numbers(in.map.channels * out.map.channels, 31);
  for (int c = 0; c < in.map.channels; ++c) {
    for (int o = 0; o < out.map.channels; ++o) {
      if (c >= in.channels || o >= columns) matrix[c * out.map.channels + o] = 0;
    }
  }
  const Numbers back = transposed(matrix, in.map.channels, out.map.channels);
  SeparableArgs args;
  const std::size_t weights = kernels.size() + (pointwise ? matrix.size() : 0);
  args.in = in.input(norm, true, norm, weights);
  args.window = w;
  args.depthwise = kernels.data();
  args.depthwise_flipped = flipped.data();
  args.pointwise = pointwise ? matrix.data() : nullptr;
  args.pointwise_transposed = pointwise ? back.data() : nullptr;
  args.pointwise_gradient = pointwise ? kernels.size() : 0;
  args.out = out.output(norm);

  Map middle = out.map;
  middle.channels = in.map.channels;
  Numbers depthwise(middle.size() * kImages);
  const auto for_each_tap = [&](int y, int x, const std::function<void(int, int, int)>& visit) {
    for (int t = 0; t < taps; ++t) {
      visit(t, y * w.stride_height - w.top + t / w.width * w.dilation,
            x * w.stride_width - w.left + t % w.width * w.dilation);
    }
  };
  for_each(middle, [&](int n, int y, int x, int c) {
    for_each_tap(y, x, [&](int t, int iy, int ix) {
      depthwise[place(middle, n, y, x, c)] +=
          kernels[tap_at(c, t)] * activated(args.in, n, iy, ix, c);
    });
  });
  const auto weight = [&](int c, int o) {
    if (!pointwise) return c == o ? 1.0F : 0.0F;
    return matrix[c * out.map.channels + o];
  };
  Numbers expected(out.data.size());
  for_each(out.map, [&](int n, int y, int x, int o) {
    for (int c = 0; c < middle.channels; ++c) {
      expected[place(out.map, n, y, x, o)] += depthwise[place(middle, n, y, x, c)] * weight(c, o);
    }
  });
  Numbers scratch(separable_scratch(args), 7.0F);  // its contents must not matter
  Numbers sums(2 * out.map.channels);
  separable_forward(args, 0, kImages, scratch.data(), sums.data());
  check_close("output", out.data, expected);
  check_close("statistics", sums, statistics_of(out.map, out.data, out.mean));

  Numbers shares(in.data.size());
  Numbers partial(weights + 2 * in.map.channels);
  Numbers expected_partial(partial.size());
  for_each(middle, [&](int n, int y, int x, int c) {
    float dm = 0;
    for (int o = 0; o < out.map.channels; ++o) {
      const float dy = output_gradient(args.out, place(out.map, n, y, x, o));
      dm += dy * weight(c, o);
      if (!pointwise) continue;
      expected_partial[args.pointwise_gradient + c * out.map.channels + o] +=
          dy * depthwise[place(middle, n, y, x, c)];
    }
    for_each_tap(y, x, [&](int t, int iy, int ix) {
      expected_partial[tap_at(c, t)] += dm * activated(args.in, n, iy, ix, c);
      if (inside(in.map, iy, ix)) shares[place(in.map, n, iy, ix, c)] += dm * kernels[tap_at(c, t)];
    });
  });
  const Numbers gradient = stored_gradient(args.in, in.gradient, shares);
  separable_backward(args, 0, kImages, scratch.data(), partial.data());
  check_close("input gradient", in.gradient, gradient);
  if (norm) {
    const Numbers both = backward_sums_of(in.map, in.gradient, in.data, in.mean);
    std::copy(both.begin(), both.end(), expected_partial.begin() + static_cast<long>(weights));
  }
  check_close("weight gradients and sums", partial, expected_partial);
}

void check_conv(const std::vector<int>& channels, const WindowArgs& w, bool norm, bool images) {
  std::vector<Layer> in;
  for (std::size_t k = 0; k < channels.size(); ++k) in.emplace_back(9, 7, channels[k], 10 * k);
  const int columns = 13;
  Layer out(output_size(9, w.height, w.top, w.stride_height),
            output_size(7, w.width, w.left, w.stride_width), columns, 100);
  const bool every_pixel =
      w.height * w.width == 1 && w.stride_height == 1 && w.stride_width == 1 && w.top == 0;
  std::vector<Numbers> weights;
  std::vector<Numbers> back;
  ConvArgs args;
  args.out = out.output(norm);
  std::size_t partial_size = 0;
  for (std::size_t k = 0; k < in.size(); ++k) {
    TermArgs term;
    term.in = in[k].input(norm && every_pixel, !images, k == 1);
    if (images) term.in.gradient = {};
    term.window = w;
    term.k_channels = every_pixel || in[k].channels >= kBlock ? in[k].map.channels : in[k].channels;
    term.depth = padded(w.height * w.width * term.k_channels);
    Numbers matrix = numbers(term.depth * out.map.channels, 200 + k);
    for (int row = 0; row < term.depth; ++row) {
      for (int o = 0; o < out.map.channels; ++o) {
        const bool exists = row < w.height * w.width * term.k_channels &&
                            row % term.k_channels < in[k].channels && o < columns;
        if (!exists) matrix[row * out.map.channels + o] = 0;
      }
    }
    back.push_back(transposed(matrix, term.depth, out.map.channels));
    weights.push_back(std::move(matrix));
    term.weight_gradient = partial_size;
    partial_size += weights[k].size();
    term.in.sums = partial_size;
    partial_size += 2 * in[k].map.channels;
    args.terms.push_back(term);
  }
  for (std::size_t k = 0; k < in.size(); ++k) {
    args.terms[k].weight = weights[k].data();
    args.terms[k].weight_transposed = back[k].data();
  }

  Numbers expected(out.data.size());
  std::vector<Numbers> shares;
  for (const Layer& layer : in) shares.emplace_back(layer.data.size());
  Numbers expected_partial(partial_size);
  // Calls visit(term, image, output row and column, matrix row, input row, column, channel).
  const auto for_each_product =
      [&](const std::function<void(std::size_t, int, int, int, int, int, int, int)>& visit) {
        for (std::size_t k = 0; k < in.size(); ++k) {
          for (int n = 0; n < kImages; ++n) {
            for (int y = 0; y < out.map.height; ++y) {
              for (int x = 0; x < out.map.width; ++x) {
                for (int t = 0; t < w.height * w.width; ++t) {
                  for (int c = 0; c < in[k].channels; ++c) {
                    visit(k, n, y, x, t * args.terms[k].k_channels + c,
                          y * w.stride_height - w.top + t / w.width,
                          x * w.stride_width - w.left + t % w.width, c);
                  }
                }
              }
            }
          }
        }
      };
  for_each_product([&](std::size_t k, int n, int y, int x, int row, int iy, int ix, int c) {
    for (int o = 0; o < columns; ++o) {
      expected[place(out.map, n, y, x, o)] +=
          activated(args.terms[k].in, n, iy, ix, c) * weights[k][row * out.map.channels + o];
    }
  });
  Numbers scratch(conv_scratch(args), 7.0F);
  Numbers sums(2 * out.map.channels);
  conv_forward(args, 0, kImages, scratch.data(), sums.data(), 0);
  check_close("output", out.data, expected);
  check_close("statistics", sums, statistics_of(out.map, out.data, out.mean));

  for_each_product([&](std::size_t k, int n, int y, int x, int row, int iy, int ix, int c) {
    for (int o = 0; o < columns; ++o) {
      const float dy = output_gradient(args.out, place(out.map, n, y, x, o));
      const std::size_t element = row * out.map.channels + o;
      expected_partial[args.terms[k].weight_gradient + element] +=
          dy * activated(args.terms[k].in, n, iy, ix, c);
      if (inside(in[k].map, iy, ix)) {
        shares[k][place(in[k].map, n, iy, ix, c)] += dy * weights[k][element];
      }
    }
  });
  std::vector<Numbers> gradients;
  for (std::size_t k = 0; k < in.size(); ++k) {
    gradients.push_back(images ? in[k].gradient
                               : stored_gradient(args.terms[k].in, in[k].gradient, shares[k]));
  }
  Numbers partial(partial_size);
  conv_backward(args, 0, kImages, scratch.data(), partial.data(), 0);
  for (std::size_t k = 0; k < in.size(); ++k) {
    check_close("input gradient", in[k].gradient, gradients[k]);
    if (args.terms[k].in.mean == nullptr) continue;
    const Numbers both = backward_sums_of(in[k].map, in[k].gradient, in[k].data, in[k].mean);
    std::copy(both.begin(), both.end(),
              expected_partial.begin() + static_cast<long>(args.terms[k].in.sums));
  }
  // Nobody reads the gradients of output channels that do not exist, or of rows that the window
  // does not have.
  for (std::size_t k = 0; k < in.size(); ++k) {
    for (int row = 0; row < args.terms[k].depth; ++row) {
      for (int o = 0; o < out.map.channels; ++o) {
        const bool exists = row < w.height * w.width * args.terms[k].k_channels &&
                            row % args.terms[k].k_channels < in[k].channels && o < columns;
        if (!exists) {
          partial[args.terms[k].weight_gradient + row * out.map.channels + o] = 0;
        }
      }
    }
  }
  check_close("weight gradients and sums", partial, expected_partial);
}

void check_pool(const WindowArgs& w, bool max, bool accumulate) {
  Layer in(9, 7, 19, 1);
  Layer out(output_size(9, w.height, w.top, w.stride_height),
            output_size(7, w.width, w.left, w.stride_width), 19, 20);
  PoolArgs args{in.input(true, accumulate, accumulate), w, max, out.output(false)};
  // Calls visit(input row, column) for the window's pixels that lie on the map.
  const auto for_each_pixel = [&](int y, int x, const std::function<void(int, int)>& visit) {
    for (int t = 0; t < w.height * w.width; ++t) {
      const int iy = y * w.stride_height - w.top + t / w.width;
      const int ix = x * w.stride_width - w.left + t % w.width;
      if (inside(in.map, iy, ix)) visit(iy, ix);
    }
  };
  Numbers expected(out.data.size());
  Numbers shares(in.data.size());
  for_each(out.map, [&](int n, int y, int x, int c) {
    float sum = 0;
    float count = 0;
    float largest = -std::numeric_limits<float>::infinity();
    std::size_t first = 0;
    for_each_pixel(y, x, [&](int iy, int ix) {
      const float value = activated(args.in, n, iy, ix, c);
      sum += value;
      ++count;
      if (value > largest) {
        largest = value;
        first = place(in.map, n, iy, ix, c);
      }
    });
    const std::size_t i = place(out.map, n, y, x, c);
    expected[i] = max ? largest : sum / count;
    if (max) shares[first] += out.gradient[i];
    for_each_pixel(y, x, [&](int iy, int ix) {
      if (!max) shares[place(in.map, n, iy, ix, c)] += out.gradient[i] / count;
    });
  });
  const Numbers gradient = stored_gradient(args.in, in.gradient, shares);
  Numbers scratch(pool_scratch(args), 7.0F);
  pool_forward(args, 0, kImages, scratch.data());
  check_close("output", out.data, expected);
  pool_backward(args, 0, kImages, scratch.data());
  check_close("input gradient", in.gradient, gradient);
}

/// Layers that are read side by side, and where each one's channels begin in the concatenation.
struct Parts {
  std::vector<Layer> layers;
  ConcatArgs args;
  std::vector<int> first;
  int channels = 0;

  explicit Parts(bool shifted) {
    for (const int c : {3, 16, 9}) layers.emplace_back(5, 4, c, static_cast<uint64_t>(10 * c));
    for (Layer& layer : layers) {
      const bool odd = args.in.size() == 1;
      args.in.push_back(layer.input(odd, !odd, odd));
      args.channels.push_back(layer.channels);
      args.shifted.push_back(shifted && !odd ? 1 : 0);
      first.push_back(channels);
      channels += layer.channels;
    }
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(float32_kernels)

BOOST_AUTO_TEST_CASE(separable_convolution) {
  for (const bool norm : {false, true}) {
    for (const bool pointwise : {true, false}) {
      for (const int size : {3, 5, 7}) {
        check_separable({size, size, 1, 1, size / 2, size / 2, 1}, pointwise, norm);
        check_separable({size, size, 2, 2, size / 2, size / 2, 1}, pointwise, norm);
      }
      check_separable({3, 5, 1, 1, 1, 2, 1}, pointwise, norm);
      check_separable({3, 3, 1, 1, 2, 2, 2}, pointwise, norm);
      check_separable({2, 4, 3, 3, 1, 1, 1}, pointwise, norm);
    }
  }
}

BOOST_AUTO_TEST_CASE(dense_convolution) {
  for (const bool norm : {false, true}) {
    check_conv({19}, {1, 1, 1, 1, 0, 0, 1}, norm, false);
    check_conv({8, 3, 16}, {1, 1, 1, 1, 0, 0, 1}, norm, false);
    check_conv({9, 16}, {1, 1, 2, 2, 0, 0, 1}, norm, false);
    check_conv({9}, {3, 3, 1, 1, 1, 1, 1}, norm, false);
    check_conv({5, 8}, {3, 3, 2, 2, 1, 1, 1}, norm, false);
    check_conv({3}, {3, 3, 1, 1, 1, 1, 1}, norm, true);
    check_conv({3}, {3, 3, 2, 2, 1, 1, 1}, norm, true);
  }
}

BOOST_AUTO_TEST_CASE(pools) {
  for (const bool max : {false, true}) {
    for (const bool accumulate : {false, true}) {
      check_pool({3, 3, 1, 1, 1, 1, 1}, max, accumulate);
      check_pool({3, 3, 2, 2, 1, 1, 1}, max, accumulate);
      check_pool({2, 2, 2, 2, 0, 0, 1}, max, accumulate);
      check_pool({5, 3, 1, 1, 2, 1, 1}, max, accumulate);
    }
  }
}

BOOST_AUTO_TEST_CASE(sums_of_maps) {
  for (const int count : {2, 3}) {
    for (const int channels : {16, 19}) {
      std::vector<Layer> in;
      for (int k = 0; k < count; ++k) {
        in.emplace_back(5, 4, channels, static_cast<uint64_t>(10 * k));
      }
      Layer out(5, 4, channels, 100);
      AddArgs args;
      for (int k = 0; k < count; ++k) args.in.push_back(in[k].input(k == 0, k == 1, false));
      args.out = out.output(false);
      Numbers expected(out.data.size());
      for_each(out.map, [&](int n, int y, int x, int c) {
        for (const InputView& view : args.in) {
          expected[place(out.map, n, y, x, c)] += activated(view, n, y, x, c);
        }
      });
      add_forward(args, 0, kImages);
      check_close("sum", out.data, expected);
    }
  }
}

BOOST_AUTO_TEST_CASE(storing_a_gradient) {
  for (const bool relu : {false, true}) {
    for (const bool accumulate : {false, true}) {
      Layer in(5, 4, 19, 1);
      Layer other(5, 4, 19, 20);
      const InputView view = in.input(true, relu, accumulate);
      const Numbers expected = stored_gradient(view, in.gradient, other.gradient);
      store_gradient_map(view, {other.gradient.data(), false}, 0, kImages);
      check_close("gradient", in.gradient, expected);
    }
  }
}

BOOST_AUTO_TEST_CASE(materialising_a_view) {
  for (const bool shifted : {false, true}) {
    Parts parts(shifted);
    Layer out(5, 4, parts.channels, 100);
    parts.args.out = out.output(false);
    Numbers expected(out.data.size());
    std::vector<Numbers> gradients;
    for (std::size_t k = 0; k < parts.layers.size(); ++k) {
      const Layer& layer = parts.layers[k];
      const int shift = parts.args.shifted[k];
      Numbers shares(layer.data.size());
      for_each(layer.map, [&](int n, int y, int x, int c) {
        if (c >= layer.channels) return;
        const std::size_t to = place(out.map, n, y, x, parts.first[k] + c);
        expected[to] = activated(parts.args.in[k], n, y + shift, x + shift, c);
        if (!inside(layer.map, y + shift, x + shift)) return;
        shares[place(layer.map, n, y + shift, x + shift, c)] = out.gradient[to];
      });
      gradients.push_back(stored_gradient(parts.args.in[k], layer.gradient, shares));
    }
    materialise_forward(parts.args, 0, kImages);
    check_close("output", out.data, expected);
    materialise_backward(parts.args, 0, kImages);
    for (std::size_t k = 0; k < gradients.size(); ++k) {
      check_close("input gradient", parts.layers[k].gradient, gradients[k]);
    }
  }
}

BOOST_AUTO_TEST_CASE(global_average_pool) {
  Parts parts(false);
  Layer out(1, 1, parts.channels, 100);
  parts.args.out = out.output(false);
  Numbers expected(out.data.size());
  std::vector<Numbers> gradients;
  for (std::size_t k = 0; k < parts.layers.size(); ++k) {
    Numbers shares(parts.layers[k].data.size());
    const auto pixels = static_cast<float>(parts.layers[k].map.pixels());
    for_each(parts.layers[k].map, [&](int n, int y, int x, int c) {
      if (c >= parts.layers[k].channels) return;
      const std::size_t to = place(out.map, n, 0, 0, parts.first[k] + c);
      expected[to] += activated(parts.args.in[k], n, y, x, c) / pixels;
      shares[place(parts.layers[k].map, n, y, x, c)] = out.gradient[to] / pixels;
    });
    gradients.push_back(stored_gradient(parts.args.in[k], parts.layers[k].gradient, shares));
  }
  global_average_forward(parts.args, 0, kImages);
  check_close("output", out.data, expected);
  global_average_backward(parts.args, 0, kImages);
  for (std::size_t k = 0; k < gradients.size(); ++k) {
    check_close("input gradient", parts.layers[k].gradient, gradients[k]);
  }
}

BOOST_AUTO_TEST_CASE(sums_of_batch_norms) {
  for (const int channels : {16, 19}) {
    Layer a(5, 4, channels, 1);
    Layer b(5, 4, channels, 20);
    Numbers sums(2 * a.map.channels);
    statistics(a.output(true), 0, kImages, sums.data());
    check_close("statistics", sums, statistics_of(a.map, a.data, a.mean));

    NormSumsArgs args;
    args.map = a.map;
    args.gradient = {a.gradient.data(), false};
    args.data[0] = {a.data.data(), false};
    args.data[1] = {b.data.data(), false};
    args.mean[0] = a.mean.data();
    args.mean[1] = b.mean.data();
    const Numbers of_a = backward_sums_of(a.map, a.gradient, a.data, a.mean);
    const Numbers of_b = backward_sums_of(a.map, a.gradient, b.data, b.mean);
    for (args.count = 1; args.count <= 2; ++args.count) {
      Numbers expected = of_a;
      if (args.count == 2) {
        expected.insert(expected.end(), of_b.begin() + a.map.channels, of_b.end());
      }
      Numbers found(expected.size());
      norm_sums(args, 0, kImages, found.data());
      check_close("backward sums", found, expected);
    }
  }
}

BOOST_AUTO_TEST_CASE(gradient_of_a_batch_norm_s_input) {
  for (const bool accumulate : {false, true}) {
    Layer layer(5, 4, 19, 1);
    Numbers found = numbers(layer.data.size(), 50);
    Numbers expected = found;
    const OutputMap out = layer.output(true);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expected[i] = output_gradient(out, i) + (accumulate ? expected[i] : 0);
    }
    norm_input_gradient(out, {found.data(), false}, accumulate, 0, kImages);
    check_close("gradient", found, expected);
  }
}

BOOST_AUTO_TEST_CASE(adding_partial_sums) {
  constexpr std::size_t kSize = 21;
  constexpr std::size_t kStride = 32;
  const Numbers partials = numbers(3 * kStride, 1);
  Numbers found = numbers(kSize, 2);
  Numbers expected = found;
  for (std::size_t i = 0; i < kSize; ++i) {
    for (std::size_t k = 0; k < 3; ++k) expected[i] += partials[k * kStride + i];
  }
  add_partials(partials.data(), kStride, 3, kSize, found.data());
  check_close("total", found, expected);
}

BOOST_AUTO_TEST_CASE(stochastic_gradient_descent) {
  constexpr std::size_t kSize = 21;
  Numbers weight = numbers(kSize, 1);
  Numbers gradient = numbers(kSize, 2);
  Numbers momentum = numbers(kSize, 3);
  Numbers expected_weight = weight;
  Numbers expected_momentum = momentum;
  for (std::size_t i = 0; i < kSize; ++i) {
    expected_momentum[i] = 0.9F * momentum[i] + gradient[i] + 0.01F * weight[i];
    expected_weight[i] -= 0.1F * expected_momentum[i];
  }
  sgd(weight.data(), gradient.data(), momentum.data(), kSize, 0.1F, 0.9F, 0.01F, false);
  check_close("weight", weight, expected_weight);
  check_close("momentum", momentum, expected_momentum);
  check_close("gradient", gradient, Numbers(kSize));
}

BOOST_AUTO_TEST_CASE(measuring_loops) {
  const Numbers a = numbers(48, 1);
  const Numbers b = numbers(48, 2);
  Numbers found(48);
  Numbers expected(48);
  for (std::size_t i = 0; i < 48; ++i) expected[i] = a[i] + 3 * b[i];
  triad(a.data(), b.data(), found.data(), 48);
  check_close("triad", found, expected);
  BOOST_TEST(peak_loop(1000) > 0);
}

BOOST_AUTO_TEST_SUITE_END()
