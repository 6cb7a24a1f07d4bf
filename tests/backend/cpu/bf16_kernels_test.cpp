// The bfloat16 kernels, on AMX and on vectors, are compared with the float32 kernels, on whole
// numbers so small that none of them rounds: they must agree to the bit. On a processor without
// AVX512-BF16 all are float32, the first two on the same instruction set.

#include "backend/cpu/kernels/bf16_kernels.h"

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <string>
#include <vector>

#include "renas/random.h"

using namespace renas;
using namespace renas::cpu;

namespace {

constexpr int kImages = 3;
/// NaN as a float, and as either half of a pair: what scratch memory may hold and nobody may read.
const float kNotANumber = std::bit_cast<float>(0x7fc17fc1U);

/// Returns whole numbers from -most to most, of which the share `zeros` is zero.
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

std::vector<Bfloat16> rounded(const std::vector<float>& values) {
  std::vector<Bfloat16> result;
  for (const float v : values) result.push_back(to_bf16(v));
  return result;
}

/// Returns a matrix [rows][columns] with `some` numbers of 1 or -1 a column, so that sums stay
/// small.
std::vector<float> sparse(int rows, int columns, int some, uint64_t seed) {
  Random random(seed);
  std::vector<float> m(rows * columns);
  for (int c = 0; c < columns; ++c) {
    for (int i = 0; i < some; ++i) {
      const auto r = static_cast<int>(random.below(static_cast<uint64_t>(rows)));
      m[r * columns + c] = random.below(2) == 0 ? 1.0F : -1.0F;
    }
  }
  return m;
}

std::vector<float> transposed(const std::vector<float>& m, int rows, int columns) {
  std::vector<float> t(m.size());
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      t[c * rows + r] = m[r * columns + c];
    }
  }
  return t;
}

/// Owns a map and everything that a kernel is told of it.
struct MapFixture {
  Map map;
  std::vector<Bfloat16> data;
  std::vector<Bfloat16> gradient;
  std::vector<float> scale;
  std::vector<float> shift;
  std::vector<float> mean;

  MapFixture(Map m, uint64_t seed)
      : map(m),
        data(rounded(whole(m.size() * kImages, 2, 0.2, seed))),
        gradient(rounded(whole(m.size() * kImages, 2, 0.2, seed + 1))),
        scale(whole(m.channels, 1, 0, seed + 2)),
        shift(whole(m.channels, 2, 0, seed + 3)),
        mean(whole(m.channels, 2, 0, seed + 4)) {}

  InputView source(bool norm, bool relu, bool accumulate, std::size_t sums) {
    InputView s;
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
  OutputMap output(bool norm) {
    OutputMap o;
    o.map = map;
    o.data = {data.data(), true};
    o.gradient = {gradient.data(), true};
    o.centre = mean.data();
    o.dy_scale = norm ? scale.data() : nullptr;
    o.x_scale = norm ? shift.data() : nullptr;
    o.offset = norm ? mean.data() : nullptr;
    return o;
  }
};

/// Holds everything that a kernel wrote.
struct Written {
  std::vector<Bfloat16> out;
  std::vector<float> sums;
  std::vector<Bfloat16> gradient;
  std::vector<float> partial;
};

void compare(const std::string& what, const Written& bf16, const Written& floats) {
  const auto same = [](const std::vector<Bfloat16>& a, const std::vector<Bfloat16>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](Bfloat16 x, Bfloat16 y) { return x.bits == y.bits; });
  };
  BOOST_TEST(same(bf16.out, floats.out), what << ": output");
  BOOST_TEST(bf16.sums == floats.sums, what << ": statistics");
  BOOST_TEST(same(bf16.gradient, floats.gradient), what << ": data gradient");
  BOOST_TEST(bf16.partial == floats.partial, what << ": weight gradients and sums");
}

/// Runs the bfloat16 kernels as they are, then by vectors alone, then the float32 kernels, and
/// compares what they wrote.
void on_all(const std::string& what, const std::function<Written()>& run) {
  const Written bf16 = run();
  hwy::SetSupportedTargetsForTest(hwy::SupportedTargets() & ~HWY_AVX3_DL);
  BOOST_TEST(!bf16::has_amx());
  const Written vectors = run();
  hwy::SetSupportedTargetsForTest(HWY_AVX2);
  const Written floats = run();
  hwy::SetSupportedTargetsForTest(0);
  compare(what, bf16, floats);
  compare(what + ", by vectors", vectors, floats);
}

/// Selects the bfloat16 kernels for the group where there are any. Returns its packed weights.
template <class Args>
std::vector<float> choose_bf16(Args& args, const std::string& what) {
  args.bf16_kernels = bf16::kernels_for(args);
  if (bf16::available()) BOOST_TEST(args.bf16_kernels != nullptr, what);
  if (args.bf16_kernels == nullptr) return {};
  BOOST_TEST(args.bf16_kernels->amx == bf16::has_amx(), what);
  std::vector<float> packed(args.bf16_kernels->packed(args));
  args.bf16_kernels->pack(args, true, packed.data());
  args.bf16_weights = packed.data();
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
  const std::size_t kernel = w.height * w.width * in.channels;
  // Any whole numbers serve, whatever their order in the blocked layout.
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
  on_all(what, [&] {
    MapFixture source(in, 1);
    MapFixture result(out, 2);
    SeparableArgs args;
    const std::size_t weights = kernel + pointwise.size();
    args.in = source.source(norm, true, norm, weights);
    args.window = {w.height, w.width, w.stride, w.stride, w.top, w.left, 1};
    args.depthwise = depthwise.data();
    args.depthwise_flipped = flipped.data();
    args.pointwise = pointwise.data();
    args.pointwise_transposed = back.data();
    args.pointwise_gradient = kernel;
    args.out = result.output(norm);
    const std::vector<float> packed = choose_bf16(args, what);
    // The contents of scratch memory must not matter.
    std::vector<float> scratch(separable_scratch(args), kNotANumber);
    std::vector<float> sums(2 * columns);
    separable_forward(args, 0, kImages, scratch.data(), sums.data());
    std::vector<float> partial(weights + 2 * in.channels);
    separable_backward(args, 0, kImages, scratch.data(), partial.data());
    return Written{result.data, sums, source.gradient, partial};
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
  on_all(what, [&] {
    std::vector<MapFixture> sources;
    for (std::size_t k = 0; k < in.size(); ++k) sources.emplace_back(in[k], 20 + 10 * k);
    MapFixture result(out, 2);
    ConvArgs args;
    std::size_t partial_size = 0;
    for (std::size_t k = 0; k < in.size(); ++k) {
      TermArgs term;
      term.window = {1, 1, stride, stride, top, top, 1};
      term.k_channels = term.depth = in[k].channels;
      term.weight = weights[k].data();
      term.weight_transposed = back[k].data();
      term.weight_gradient = partial_size;
      partial_size += weights[k].size();
      term.in = sources[k].source(norm && stride == 1, norm || k == 0, k == 1, partial_size);
      partial_size += 2 * in[k].channels;
      args.terms.push_back(term);
    }
    args.out = result.output(norm);
    const std::vector<float> packed = choose_bf16(args, what);
    std::vector<float> scratch(conv_scratch(args), kNotANumber);
    std::vector<float> sums(2 * columns);
    conv_forward(args, 0, kImages, scratch.data(), sums.data(), 0);
    std::vector<float> partial(partial_size);
    conv_backward(args, 0, kImages, scratch.data(), partial.data(), 0);
    Written written{result.data, sums, {}, partial};
    for (const MapFixture& source : sources) {
      written.gradient.insert(written.gradient.end(), source.gradient.begin(),
                              source.gradient.end());
    }
    return written;
  });
}

/// Checks a stem: it reads float32 images of three channels and needs no gradient of them.
void check_stem(const Map& in, int columns, const Window& w) {
  const std::string what = "stem " + std::to_string(w.height) + "x" + std::to_string(w.width) +
                           "/" + std::to_string(w.stride) + " over " + std::to_string(in.height) +
                           "x" + std::to_string(in.width) + " to " + std::to_string(columns);
  const Map out = {(in.height + 2 * w.top - w.height) / w.stride + 1,
                   (in.width + 2 * w.left - w.width) / w.stride + 1, columns};
  constexpr int kChannels = 3;
  const int depth = padded(w.height * w.width * kChannels);
  std::vector<float> weights = sparse(depth, columns, 4, 10);
  // Matrix rows beyond the windows hold zeros, and so do channels beyond those of the images.
  std::fill(weights.begin() + w.height * w.width * kChannels * columns, weights.end(), 0.0F);
  const std::vector<float> back = transposed(weights, depth, columns);
  std::vector<float> images = whole(in.size() * kImages, 4, 0.2, 11);
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (i % kBlock >= kChannels) images[i] = 0;
  }
  on_all(what, [&] {
    MapFixture result(out, 2);
    ConvArgs args;
    TermArgs term;
    term.in.map = in;
    term.in.data = {images.data(), false};
    term.window = {w.height, w.width, w.stride, w.stride, w.top, w.left, 1};
    term.k_channels = kChannels;
    term.depth = depth;
    term.weight = weights.data();
    term.weight_transposed = back.data();
    args.terms.push_back(term);
    args.out = result.output(true);
    const std::vector<float> packed = choose_bf16(args, what);
    std::vector<float> scratch(conv_scratch(args), kNotANumber);
    std::vector<float> sums(2 * columns);
    conv_forward(args, 0, kImages, scratch.data(), sums.data(), 0);
    std::vector<float> partial(weights.size());
    conv_backward(args, 0, kImages, scratch.data(), partial.data(), 0);
    // Nobody reads the gradients of matrix rows beyond the windows.
    partial.resize(w.height * w.width * kChannels * columns);
    return Written{result.data, sums, {}, partial};
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bfloat16_kernels)

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
      // Kernels that begin an even and an odd number of columns to the left.
      for (int left = 1; left + 1 < size; ++left) {
        check_separable({6, 17, 24}, 16, {size, size, 1, left}, norm);
      }
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
      // Last tiles of three and of eleven pixels.
      check_conv({{1, 1, 24}}, columns, 1, 0, norm);
      check_conv({{1, 25, 72}}, columns, 1, 0, norm);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
