// Kernels that multiply bfloat16 pairs against those that compute in float32, on whole numbers so
// small that neither rounds: they must agree to the bit. On a processor without the instruction
// these compare float32 of its instruction sets.

#include "backend/cpu/kernels/pairs.h"

#include <hwy/highway.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <string>
#include <vector>

#include "renas/random.h"

using namespace renas;
using namespace renas::cpu;

namespace {

constexpr int kPictures = 3;

/// Whole numbers from -most to most, a part of them zero.
std::vector<float> whole(std::size_t count, int most, double zeros, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& v : values) {
    v = random.uniform() < zeros
            ? 0.0F
            : static_cast<float>(random.below(static_cast<uint64_t>(2 * most + 1))) -
                  static_cast<float>(most);
  }
  return values;
}

std::vector<Bfloat16> halves(const std::vector<float>& values) {
  std::vector<Bfloat16> result;
  for (const float v : values) result.push_back(nearest(v));
  return result;
}

/// [rows][columns] with `some` numbers of 1 or -1 a column: sums stay small.
std::vector<float> sparse(int rows, int columns, int some, uint64_t seed) {
  Random random(seed);
  std::vector<float> m(static_cast<std::size_t>(rows * columns));
  for (int c = 0; c < columns; ++c) {
    for (int i = 0; i < some; ++i) {
      const auto r = static_cast<int>(random.below(static_cast<uint64_t>(rows)));
      m[static_cast<std::size_t>(r * columns + c)] = random.below(2) == 0 ? 1.0F : -1.0F;
    }
  }
  return m;
}

std::vector<float> transposed(const std::vector<float>& m, int rows, int columns) {
  std::vector<float> t(m.size());
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      t[static_cast<std::size_t>(c * rows + r)] = m[static_cast<std::size_t>(r * columns + c)];
    }
  }
  return t;
}

/// A map and all that a kernel is told of it, owned.
struct Ground {
  Map map;
  std::vector<Bfloat16> data;
  std::vector<Bfloat16> gradient;
  std::vector<float> scale;
  std::vector<float> shift;
  std::vector<float> mean;

  Ground(Map m, uint64_t seed)
      : map(m),
        data(halves(whole(m.size() * kPictures, 2, 0.2, seed))),
        gradient(halves(whole(m.size() * kPictures, 2, 0.2, seed + 1))),
        scale(whole(static_cast<std::size_t>(m.channels), 1, 0, seed + 2)),
        shift(whole(static_cast<std::size_t>(m.channels), 2, 0, seed + 3)),
        mean(whole(static_cast<std::size_t>(m.channels), 2, 0, seed + 4)) {}

  Source source(bool norm, bool relu, bool accumulate, std::size_t sums) {
    Source s;
    s.map = map;
    s.data = {data.data(), true};
    s.scale = norm ? scale.data() : nullptr;
    s.shift = norm ? shift.data() : nullptr;
    s.relu = relu;
    s.gradient = {gradient.data(), true};
    s.accumulate = accumulate;
    s.mean = norm ? mean.data() : nullptr;
    s.sums = sums;
    return s;
  }
  Output output(bool norm) {
    Output o;
    o.map = map;
    o.data = {data.data(), true};
    o.gradient = {gradient.data(), true};
    o.pilot = mean.data();
    o.by_gradient = norm ? scale.data() : nullptr;
    o.by_value = norm ? shift.data() : nullptr;
    o.constant = norm ? mean.data() : nullptr;
    return o;
  }
};

/// Everything that a kernel wrote.
struct Written {
  std::vector<Bfloat16> out;
  std::vector<float> sums;
  std::vector<Bfloat16> gradient;
  std::vector<float> area;
};

void compare(const std::string& what, const Written& pairs, const Written& floats) {
  const auto same = [](const std::vector<Bfloat16>& a, const std::vector<Bfloat16>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](Bfloat16 x, Bfloat16 y) { return x.bits == y.bits; });
  };
  BOOST_TEST(same(pairs.out, floats.out), what << ": output");
  BOOST_TEST(pairs.sums == floats.sums, what << ": statistics");
  BOOST_TEST(same(pairs.gradient, floats.gradient), what << ": data gradient");
  BOOST_TEST(pairs.area == floats.area, what << ": weight gradients and sums");
}

/// Calls run(floats of scratch) with the kernels of pairs, then with those of float32.
void on_both(const std::string& what, const std::function<Written()>& run) {
  const Written pairs = run();
  hwy::SetSupportedTargetsForTest(HWY_AVX2);
  const Written floats = run();
  hwy::SetSupportedTargetsForTest(0);
  compare(what, pairs, floats);
}

/// Lets kernels of pairs take the group if they do, its weights packed into what is returned.
template <class Args>
std::vector<float> choose_pairs(Args& args, const std::string& what) {
  args.pairs = pairs::kernels_for(args);
  if (pairs::available()) BOOST_TEST(args.pairs != nullptr, what);
  if (args.pairs == nullptr) return {};
  std::vector<float> packed(args.pairs->packed(args));
  args.pairs->pack(args, true, packed.data());
  args.paired = packed.data();
  return packed;
}

struct Window {
  int height;
  int width;
  int top;
  int left;
  int stride = 1;
};

void check_separable(const Map& in, int columns, const Window& w, bool norm) {
  const std::string what = std::to_string(w.height) + "x" + std::to_string(w.width) + "/" +
                           std::to_string(w.stride) + " at " + std::to_string(w.top) + "," +
                           std::to_string(w.left) + " over " + std::to_string(in.height) + "x" +
                           std::to_string(in.width) + "x" + std::to_string(in.channels) + " to " +
                           std::to_string(columns) + (norm ? " with norms" : "");
  const Map out = {(in.height + 2 * w.top - w.height) / w.stride + 1,
                   (in.width + 2 * w.left - w.width) / w.stride + 1, columns};
  const auto kernel = static_cast<std::size_t>(w.height * w.width * in.channels);
  // Rows are of channels within a block: any order of whole numbers serves.
  const std::vector<float> depthwise = whole(kernel, 1, 0.6, 5);
  std::vector<float> flipped(kernel);
  const int positions = w.height * w.width;
  for (int b = 0; b < in.channels / kBlock; ++b) {
    for (int p = 0; p < positions; ++p) {
      std::copy_n(depthwise.data() + (b * positions + p) * kBlock, kBlock,
                  flipped.data() + (b * positions + positions - 1 - p) * kBlock);
    }
  }
  const std::vector<float> pointwise = sparse(in.channels, columns, 2, 6);
  const std::vector<float> back = transposed(pointwise, in.channels, columns);
  on_both(what, [&] {
    Ground source(in, 1);
    Ground result(out, 2);
    SeparableArgs args;
    const std::size_t weights = kernel + pointwise.size();
    args.in = source.source(norm, true, norm, weights);
    args.window = {w.height, w.width, w.stride, w.top, w.left, 1};
    args.depthwise = depthwise.data();
    args.depthwise_flipped = flipped.data();
    args.pointwise = pointwise.data();
    args.pointwise_transposed = back.data();
    args.pointwise_gradient = kernel;
    args.out = result.output(norm);
    const std::vector<float> packed = choose_pairs(args, what);
    // Whatever scratch held before must not matter.
    std::vector<float> scratch(separable_scratch(args), 7.0F);
    std::vector<float> sums(static_cast<std::size_t>(2 * columns));
    separable_forward(args, 0, kPictures, scratch.data(), sums.data());
    std::vector<float> area(weights + static_cast<std::size_t>(2 * in.channels));
    separable_backward(args, 0, kPictures, scratch.data(), area.data());
    return Written{result.data, sums, source.gradient, area};
  });
}

void check_conv(const std::vector<Map>& in, int columns, int stride, int top, bool norm) {
  std::string what = "1x1/" + std::to_string(stride) + " of";
  for (const Map& map : in) what += " " + std::to_string(map.channels);
  what += " to " + std::to_string(columns) + (norm ? " with norms" : "");
  const Map out = {(in[0].height + stride - 1) / stride, (in[0].width + stride - 1) / stride,
                   columns};
  std::vector<std::vector<float>> weights;
  std::vector<std::vector<float>> back;
  for (std::size_t k = 0; k < in.size(); ++k) {
    weights.push_back(sparse(in[k].channels, columns, 3, 10 + k));
    back.push_back(transposed(weights[k], in[k].channels, columns));
  }
  on_both(what, [&] {
    std::vector<Ground> sources;
    for (std::size_t k = 0; k < in.size(); ++k) sources.emplace_back(in[k], 20 + 10 * k);
    Ground result(out, 2);
    ConvArgs args;
    std::size_t area_size = 0;
    for (std::size_t k = 0; k < in.size(); ++k) {
      TermArgs term;
      term.window = {1, 1, stride, top, top, 1};
      term.k_channels = term.depth = in[k].channels;
      term.weight = weights[k].data();
      term.weight_transposed = back[k].data();
      term.weight_gradient = area_size;
      area_size += weights[k].size();
      term.in = sources[k].source(norm && stride == 1, norm || k == 0, k == 1, area_size);
      area_size += static_cast<std::size_t>(2 * in[k].channels);
      args.terms.push_back(term);
    }
    args.out = result.output(norm);
    const std::vector<float> packed = choose_pairs(args, what);
    std::vector<float> scratch(conv_scratch(args), 7.0F);
    std::vector<float> sums(static_cast<std::size_t>(2 * columns));
    conv_forward(args, 0, kPictures, scratch.data(), sums.data(), 0);
    std::vector<float> area(area_size);
    conv_backward(args, 0, kPictures, scratch.data(), area.data(), 0);
    Written written{result.data, sums, {}, area};
    for (const Ground& source : sources) {
      written.gradient.insert(written.gradient.end(), source.gradient.begin(),
                              source.gradient.end());
    }
    return written;
  });
}

/// Pictures of three channels, in float32, whose gradient nobody wants.
void check_stem(const Map& in, int columns, const Window& w) {
  const std::string what = "stem " + std::to_string(w.height) + "x" + std::to_string(w.width) +
                           "/" + std::to_string(w.stride) + " over " + std::to_string(in.height) +
                           "x" + std::to_string(in.width) + " to " + std::to_string(columns);
  const Map out = {(in.height + 2 * w.top - w.height) / w.stride + 1,
                   (in.width + 2 * w.left - w.width) / w.stride + 1, columns};
  constexpr int kChannels = 3;
  const int depth = padded(w.height * w.width * kChannels);
  std::vector<float> weights = sparse(depth, columns, 4, 10);
  // Rows beyond the windows' hold zeros, as channels beyond the pictures' do.
  std::fill(weights.begin() + w.height * w.width * kChannels * columns, weights.end(), 0.0F);
  const std::vector<float> back = transposed(weights, depth, columns);
  std::vector<float> pictures = whole(in.size() * kPictures, 4, 0.2, 11);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (i % kBlock >= kChannels) pictures[i] = 0;
  }
  on_both(what, [&] {
    Ground result(out, 2);
    ConvArgs args;
    TermArgs term;
    term.in.map = in;
    term.in.data = {pictures.data(), false};
    term.window = {w.height, w.width, w.stride, w.top, w.left, 1};
    term.k_channels = kChannels;
    term.depth = depth;
    term.weight = weights.data();
    term.weight_transposed = back.data();
    args.terms.push_back(term);
    args.out = result.output(true);
    const std::vector<float> packed = choose_pairs(args, what);
    std::vector<float> scratch(conv_scratch(args), 7.0F);
    std::vector<float> sums(static_cast<std::size_t>(2 * columns));
    conv_forward(args, 0, kPictures, scratch.data(), sums.data(), 0);
    std::vector<float> area(weights.size());
    conv_backward(args, 0, kPictures, scratch.data(), area.data(), 0);
    // What rows beyond the windows' get is read by nobody.
    area.resize(static_cast<std::size_t>(w.height * w.width * kChannels * columns));
    return Written{result.data, sums, {}, area};
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bfloat16_pairs)

BOOST_AUTO_TEST_CASE(stems_agree_with_float32_to_the_bit) {
  for (const int columns : {8, 24, 72, 104}) {
    check_stem({16, 16, 8}, columns, {3, 3, 1, 1});
    check_stem({9, 7, 8}, columns, {3, 3, 1, 1});
    check_stem({17, 15, 8}, columns, {3, 3, 1, 1, 2});
    check_stem({11, 13, 8}, columns, {5, 3, 0, 1});
  }
}

BOOST_AUTO_TEST_CASE(separable_convolutions_agree_with_float32_to_the_bit) {
  for (const bool norm : {false, true}) {
    for (const int size : {3, 5, 7}) {
      const Window same = {size, size, size / 2, size / 2};
      check_separable({16, 16, 16}, 16, same, norm);
      check_separable({11, 9, 24}, 40, same, norm);
      check_separable({8, 8, 40}, 48, same, norm);
      check_separable({33, 32, 8}, 24, same, norm);
      check_separable({5, 14, 48}, 8, same, norm);
      check_separable({2, 1, 8}, 104, same, norm);
      check_separable({13, 28, 16}, 72, {3, size, 1, 1}, norm);
      check_separable({9, 70, 8}, 8, {5, size, 0, 1}, norm);
      const Window halved = {size, size, size / 2, size / 2, 2};
      check_separable({16, 16, 16}, 16, halved, norm);
      check_separable({11, 9, 24}, 40, halved, norm);
      check_separable({7, 64, 8}, 48, halved, norm);
      check_separable({15, 29, 40}, 8, halved, norm);
      check_separable({13, 28, 16}, 24, {3, size, 1, 1, 2}, norm);
    }
  }
}

BOOST_AUTO_TEST_CASE(pointwise_convolutions_agree_with_float32_to_the_bit) {
  for (const bool norm : {false, true}) {
    for (const int columns : {8, 16, 24, 32, 40, 48, 72, 104}) {
      check_conv({{7, 9, 24}}, columns, 1, 0, norm);
      check_conv({{8, 8, 8}, {8, 8, 40}, {8, 8, 48}}, columns, 1, 0, norm);
      check_conv({{9, 7, 24}, {9, 7, 16}}, columns, 2, 0, norm);
      check_conv({{8, 6, 16}}, columns, 2, -1, norm);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
