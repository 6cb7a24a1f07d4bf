// Scaling and cropping on the way to the network, and loading of encoded images.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "data/augment.h"
#include "data/fit.h"
#include "renas/image.h"
#include "renas/loader.h"
#include "support/encode.h"
#include "support/made_up_images.h"

using renas::Augmentation;
using renas::CropPlan;
using renas::Draw;
using renas::Shape;

namespace {

Draw draw_of(const Augmentation& options, int64_t i) {
  return renas::draw_augmentation(options, {3, 224, 224}, renas::augmentation_stream(1, 0, i));
}

double luma(const double* p) { return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]; }

}  // namespace

BOOST_AUTO_TEST_SUITE(crops)

BOOST_AUTO_TEST_CASE(a_random_resized_crop_shows_a_part_of_the_drawn_size) {
  Augmentation options = Augmentation::imagenet_last();
  options.least_area = 0.08;
  double least = 1;
  double most = 0;
  for (int64_t i = 0; i < 300; ++i) {
    const Draw draw = draw_of(options, i);
    BOOST_REQUIRE((draw.area >= 0.08 && draw.area <= 1));
    BOOST_REQUIRE((draw.aspect >= 0.7499 && draw.aspect <= 1.3334));
    const CropPlan plan = renas::plan_crop(400, 500, options, draw);
    BOOST_REQUIRE((plan.top >= 0 && plan.top + 224 <= plan.height));
    BOOST_REQUIRE((plan.left >= 0 && plan.left + 224 <= plan.width));
    // What the crop shows, in pixels of the image.
    const double height = 224.0 * 400 / plan.height;
    const double width = 224.0 * 500 / plan.width;
    if (height < 399 && width < 499) {  // no side was cut off
      BOOST_TEST(std::abs(height * width / (400.0 * 500) - draw.area) < 0.02);
      BOOST_TEST(std::abs(width / height - draw.aspect) < 0.02);
    }
    least = std::min(least, height * width / (400.0 * 500));
    most = std::max(most, height * width / (400.0 * 500));
  }
  BOOST_TEST(least < 0.12);
  BOOST_TEST(most > 0.85);
}

BOOST_AUTO_TEST_CASE(the_shorter_side_is_scaled_and_the_aspect_kept) {
  Augmentation options = Augmentation::imagenet_center();
  const Draw draw = draw_of(options, 0);
  CropPlan plan = renas::plan_crop(375, 500, options, draw);
  BOOST_TEST(plan.height == 256);
  BOOST_TEST(plan.width == 341);  // 341.3
  BOOST_TEST(plan.top == 16);
  BOOST_TEST(plan.left == 58);
  plan = renas::plan_crop(900, 300, options, draw);
  BOOST_TEST(plan.height == 768);
  BOOST_TEST(plan.width == 256);
  options.shorter_side = 0;  // as it is, but never less than the crop
  plan = renas::plan_crop(100, 200, options, draw_of(options, 0));
  BOOST_TEST(plan.height == 224);
  BOOST_TEST(plan.width == 448);
}

BOOST_AUTO_TEST_CASE(scales_and_places_of_crops_are_uniform) {
  const Augmentation options = Augmentation::imagenet();
  std::map<int, int> sides;
  std::vector<int> across(33);  // of an image whose shorter side is scaled to 256 and wider by none
  const int draws = 45000;
  for (int i = 0; i < draws; ++i) {
    Draw draw = draw_of(options, i);
    ++sides[draw.shorter_side];
    draw.shorter_side = 256;
    ++across[renas::plan_crop(300, 300, options, draw).left];
  }
  BOOST_TEST(sides.begin()->first == 256);
  BOOST_TEST(sides.rbegin()->first == 480);
  double chi_squared = 0;
  for (const auto& [side, n] : sides) {
    chi_squared += std::pow(n - draws / 225.0, 2) / (draws / 225.0);
  }
  BOOST_TEST(sides.size() == 225U);
  BOOST_TEST(chi_squared < 293);  // 224 degrees of freedom, p = 0.001
  chi_squared = 0;
  for (const int n : across) chi_squared += std::pow(n - draws / 33.0, 2) / (draws / 33.0);
  BOOST_TEST(chi_squared < 62.5);  // 32 degrees of freedom, p = 0.001
}

BOOST_AUTO_TEST_CASE(a_crop_of_a_jpeg_is_that_of_the_whole_image_decoded_and_scaled) {
  // Decoding only what is needed must not show.
  const renas::Image image = renas::test::colourful(211, 307);
  const auto bytes = renas::encode_jpeg(image);
  const renas::Image whole = renas::test::plain_jpeg(bytes, 3);
  const renas::DataSet decoded(whole.shape, whole.pixels, {0});
  const auto encoded = renas::DataSet::from_encoded(3, {bytes}, {0}, decoded.info());
  Augmentation options;
  options.crop = 96;
  options.shorter_side = 110;  // more than half of 211, so that the decoder does not scale
  options.shorter_side_max = 230;
  options.random_crop = true;
  renas::ImageFitter one;
  renas::ImageFitter two;
  for (int64_t i = 0; i < 200; ++i) {
    const Draw draw =
        renas::draw_augmentation(options, {3, 96, 96}, renas::augmentation_stream(5, 1, i));
    const auto a = one.fit(encoded, 0, bytes, options, draw);
    const auto b = two.fit(decoded, 0, whole.pixels, options, draw);
    BOOST_TEST(a.size() == std::size_t{96 * 96 * 3});
    BOOST_TEST(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  }
}

BOOST_AUTO_TEST_CASE(scoring_keeps_scale_and_size_and_takes_the_centre) {
  const Augmentation scoring = Augmentation::imagenet().evaluation();
  BOOST_TEST(scoring.crop == 224);
  const Draw draw = draw_of(scoring, 3);
  BOOST_TEST(draw.shorter_side == 256);
  BOOST_TEST(!draw.flip);
  BOOST_TEST(draw.lighting[0] == 0);
  const CropPlan plan = renas::plan_crop(256, 300, scoring, draw);
  BOOST_TEST(plan.top == 16);
  BOOST_TEST(plan.left == 38);
  BOOST_TEST(Augmentation::cifar_final().evaluation().pad == 0);
  BOOST_TEST(Augmentation::cifar_final().evaluation().cutout == 0);
}

BOOST_AUTO_TEST_CASE(colour_changes_follow_their_definitions) {
  const Shape shape{3, 6, 5};
  const renas::DataSet data = renas::test::made_up(1, shape, 1);
  std::vector<uint8_t> buffer;
  const auto pixels = data.image(0, buffer);
  Augmentation options;
  options.normalize = false;
  Draw draw;
  draw.brightness = 1.3;
  draw.contrast = 0.6;
  draw.saturation = 1.4;
  draw.lighting = {0.1, -0.2, 0.05};
  std::vector<float> got(pixels.size());
  renas::finish_image(options, draw, shape, data.info(), pixels, got.data());

  // AlexNet's eigenvectors and eigenvalues, in columns.
  const double vectors[3][3] = {
      {-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};
  const double values[3] = {0.2175, 0.0188, 0.0045};
  std::vector<double> v(pixels.size());
  const auto clamp = [](double x) { return std::min(1.0, std::max(0.0, x)); };
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = clamp(pixels[i] / 255.0 * 1.3);
  double mean = 0;
  for (std::size_t i = 0; i < v.size(); i += 3) mean += luma(&v[i]) / 30;
  for (double& x : v) x = clamp(mean + 0.6 * (x - mean));
  double worst = 0;
  for (std::size_t i = 0; i < v.size(); i += 3) {
    const double grey = luma(&v[i]);
    for (std::size_t c = 0; c < 3; ++c) {
      double x = clamp(grey + 1.4 * (v[i + c] - grey));
      for (std::size_t k = 0; k < 3; ++k) x += vectors[c][k] * draw.lighting[k] * values[k];
      worst = std::max(worst, std::abs(x - double{got[i + c]}));
    }
  }
  BOOST_TEST(worst < 1e-6);
}

BOOST_AUTO_TEST_CASE(lighting_is_normal_with_the_given_sd) {
  const Augmentation options = Augmentation::imagenet();
  double squares = 0;
  for (int64_t i = 0; i < 20000; ++i) {
    for (const double x : draw_of(options, i).lighting) squares += x * x;
  }
  BOOST_TEST(std::abs(std::sqrt(squares / 60000) - 0.1) < 0.001);
}

BOOST_AUTO_TEST_SUITE_END()
