// Pictures whose stored pixels are not what they mean: turned by EXIF, or of 16 bits.

#include "data/exif.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "renas/error.h"
#include "renas/image.h"
#include "renas/loader.h"
#include "support/encode.h"

using renas::DataSet;
using renas::DecodeOptions;
using renas::Image;
using renas::Shape;
using renas::test::colourful;
using renas::test::encode_png_16;
using renas::test::exif_of;
using renas::test::plain_jpeg;
using renas::test::stored_as;
using renas::test::with_exif;

namespace {

std::vector<uint8_t> png_of(const Image& image) { return renas::encode_lossless(image); }

/// A JPEG whose colours are not subsampled, so that turning it changes little.
std::vector<uint8_t> jpeg_of(const Image& image) {
  renas::test::JpegForm form;
  form.h_samp = form.v_samp = 1;
  form.quality = 100;
  return renas::test::encode_jpeg_as(image.shape, image.pixels, form);
}

int orientation_of(const std::vector<uint8_t>& file) {
  const auto tag = renas::find_orientation(file);
  return tag ? tag->value : 0;
}

/// A first epoch of crops.
std::vector<float> crops(const DataSet& data, const renas::Augmentation& augmentation) {
  renas::LoaderOptions options;
  options.batch = static_cast<int>(data.size());
  options.shuffle = false;
  options.augmentation = augmentation;
  options.threads = 0;
  renas::Loader loader(data, renas::all_indices(data.size()), options);
  std::vector<float> images(data.size() * loader.shape().size());
  std::vector<int32_t> labels(data.size());
  loader.start(3);
  BOOST_REQUIRE(loader.next(images, labels) == data.size());
  return images;
}

renas::DataSetInfo one_class() {
  renas::DataSetInfo info;
  info.classes = 1;
  info.mean = {0.5, 0.5, 0.5};
  info.sd = {0.25, 0.25, 0.25};
  return info;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(stored_pixels)

BOOST_AUTO_TEST_CASE(pictures_of_all_eight_orientations_come_out_upright) {
  const Image upright = colourful(24, 40);
  for (int o = 1; o <= 8; ++o) {
    for (const bool big_endian : {false, true}) {
      const auto exif = exif_of(o, big_endian);
      const Image stored = stored_as(upright, o);
      const auto png = with_exif(png_of(stored), exif);
      BOOST_TEST((renas::decode_image(png).shape == upright.shape));
      BOOST_TEST((renas::decode_image(png).pixels == upright.pixels), "PNG " << o);
      BOOST_TEST((renas::inspect_image(png).shape == upright.shape));
      BOOST_TEST(renas::inspect_image(png).orientation == o);

      const auto plain = jpeg_of(stored);
      const auto jpeg = with_exif(plain, exif);
      const Image decoded = renas::decode_image(jpeg);
      BOOST_TEST((renas::inspect_image(jpeg).shape == upright.shape));
      BOOST_TEST((decoded.shape == upright.shape));
      BOOST_TEST((stored_as(decoded, o).pixels == plain_jpeg(plain, 3).pixels), "JPEG " << o);

      DecodeOptions as_stored;
      as_stored.upright = false;
      BOOST_TEST((renas::decode_image(png, as_stored).pixels == stored.pixels));
      BOOST_TEST((renas::decode_image(jpeg, as_stored).pixels == plain_jpeg(plain, 3).pixels));
    }
  }
}

BOOST_AUTO_TEST_CASE(broken_exif_counts_as_absent) {
  const auto plain = jpeg_of(colourful(24, 40));
  const auto png = png_of(colourful(24, 40));
  BOOST_TEST(orientation_of(plain) == 0);
  BOOST_TEST(orientation_of(png) == 0);
  for (const bool big_endian : {false, true}) {
    const auto good = exif_of(6, big_endian);
    BOOST_TEST(orientation_of(with_exif(plain, good)) == 6);
    // The value ends at byte 32: 8 of the header, 2, an entry of 12 and 10 of the second.
    for (std::size_t length = 0; length < good.size(); ++length) {
      const std::vector<uint8_t> cut(good.begin(),
                                     good.begin() + static_cast<std::ptrdiff_t>(length));
      const int expected = length >= 34 ? 6 : 0;
      BOOST_TEST(orientation_of(with_exif(plain, cut)) == expected);
      BOOST_TEST(orientation_of(with_exif(png, cut)) == expected);
      BOOST_TEST((renas::decode_image(with_exif(plain, cut)).shape.height) ==
                 (expected == 6 ? 40 : 24));
    }
    for (const int value : {0, 9, 255, 65535}) {
      BOOST_TEST(orientation_of(with_exif(plain, exif_of(value, big_endian))) == 0);
    }
    auto other = good;
    other[0] = 'X';
    BOOST_TEST(orientation_of(with_exif(plain, other)) == 0);  // no byte order
    other = good;
    other[big_endian ? 3 : 2] = 43;
    BOOST_TEST(orientation_of(with_exif(plain, other)) == 0);  // no TIFF
    other = good;
    std::fill_n(other.begin() + 4, 4, uint8_t{0xff});
    BOOST_TEST(orientation_of(with_exif(plain, other)) == 0);  // a directory beyond the end
  }
  auto damaged = with_exif(png, exif_of(6, true));
  damaged[33 + 8 + 20] ^= 1;
  BOOST_TEST(orientation_of(damaged) == 0);  // the chunk's checksum does not hold
  // Another use of APP1 comes first.
  auto two = with_exif(plain, exif_of(8, false));
  const std::string xmp = "http://ns.adobe.com/xap/1.0/";
  std::vector<uint8_t> segment{0xff, 0xe1, 0, static_cast<uint8_t>(xmp.size() + 2)};
  segment.insert(segment.end(), xmp.begin(), xmp.end());
  two.insert(two.begin() + 2, segment.begin(), segment.end());
  BOOST_TEST(orientation_of(two) == 8);
}

BOOST_AUTO_TEST_CASE(an_orientation_can_be_cleared_in_the_file) {
  const Image stored = stored_as(colourful(24, 40), 6);
  for (const bool big_endian : {false, true}) {
    auto png = with_exif(png_of(stored), exif_of(6, big_endian));
    auto jpeg = with_exif(jpeg_of(stored), exif_of(6, big_endian));
    const auto size = jpeg.size();
    renas::clear_orientation(png);
    renas::clear_orientation(jpeg);
    BOOST_TEST(orientation_of(png) == 1);
    BOOST_TEST(orientation_of(jpeg) == 1);
    BOOST_TEST(jpeg.size() == size);
    BOOST_TEST((renas::decode_image(png).pixels == stored.pixels));
    BOOST_TEST((renas::decode_image(jpeg).shape == stored.shape));
  }
}

BOOST_AUTO_TEST_CASE(the_loader_crops_upright_pictures) {
  // Windows are decoded, not the whole; the crop of the turned file is that of the upright pixels.
  const Image upright = colourful(90, 130);
  renas::Augmentation how;
  how.crop = 32;
  how.random_crop = true;
  how.flip = true;
  for (int o = 1; o <= 8; ++o) {
    for (const int shorter_side : {0, 60}) {
      how.shorter_side = shorter_side;
      renas::test::JpegForm form;  // colours at half the size
      const Image stored = stored_as(upright, o);
      const auto jpeg = with_exif(renas::test::encode_jpeg_as(stored.shape, stored.pixels, form),
                                  exif_of(o, o % 2 == 0));
      const auto png = with_exif(png_of(stored), exif_of(o, o % 2 == 1));
      for (const auto& file : {jpeg, png}) {
        const Image decoded = renas::decode_image(file);
        const DataSet encoded = DataSet::from_encoded(3, {file}, {0}, one_class());
        const DataSet pixels(decoded.shape, decoded.pixels, {0}, one_class());
        BOOST_TEST((crops(encoded, how) == crops(pixels, how)),
                   "orientation " << o << " shorter side " << shorter_side);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_loader_turns_what_it_decodes_at_half_the_size) {
  const Image upright = colourful(200, 280);
  renas::Augmentation how;
  how.crop = 64;
  how.shorter_side = 80;
  const DataSet plain = DataSet::from_encoded(3, {jpeg_of(upright)}, {0}, one_class());
  const auto expected = crops(plain, how);
  for (int o = 2; o <= 8; ++o) {
    const auto file = with_exif(jpeg_of(stored_as(upright, o)), exif_of(o, true));
    const auto got = crops(DataSet::from_encoded(3, {file}, {0}, one_class()), how);
    double sum = 0;
    for (std::size_t i = 0; i < got.size(); ++i) sum += std::abs(got[i] - expected[i]);
    // In units of a quarter of the range: a pixel's error of coding, not another scene.
    BOOST_TEST(sum / static_cast<double>(got.size()) < 0.02, "orientation " << o);
  }
}

BOOST_AUTO_TEST_CASE(sixteen_bits_keep_the_upper_byte_or_map_a_range) {
  std::vector<uint16_t> values(256);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint16_t>(5 + 16 * i);
  const auto file = encode_png_16({1, 16, 16}, values);
  BOOST_TEST(renas::inspect_image(file).bits == 16);
  BOOST_TEST((renas::values_of_16_bits(file) == values));
  const Image upper = renas::decode_image(file);
  DecodeOptions options;
  options.range_16 = renas::Range16{5, 4085};
  const Image mapped = renas::decode_image(file, options);
  options.range_16 = renas::Range16{1000, 2000};
  const Image clamped = renas::decode_image(file, options);
  for (std::size_t i = 0; i < values.size(); ++i) {
    BOOST_TEST(upper.pixels[i] == values[i] >> 8);
    BOOST_TEST(mapped.pixels[i] == i);  // 256 levels, each its own
    const double exact = std::clamp((values[i] - 1000) / 1000.0, 0.0, 1.0) * 255;
    BOOST_TEST(clamped.pixels[i] == static_cast<int>(std::floor(exact + 0.5)));
  }
  options.channels = 3;
  BOOST_TEST(renas::decode_image(file, options).pixels[3 * 100 + 2] == clamped.pixels[100]);
  options.range_16 = renas::Range16{7, 7};
  BOOST_CHECK_THROW(renas::decode_image(file, options), renas::InvalidInput);

  // Colour, and pictures that have no 16 bits, which a range leaves alone.
  std::vector<uint16_t> colours(3 * 12);
  std::iota(colours.begin(), colours.end(), uint16_t{40000});
  const auto colour = encode_png_16({3, 4, 3}, colours);
  BOOST_TEST((renas::values_of_16_bits(colour) == colours));
  options.range_16 = renas::Range16{40000, 40255};
  BOOST_TEST(renas::decode_image(colour, options).pixels[35] == 35);
  const Image eight = colourful(7, 5);
  BOOST_TEST((renas::decode_image(png_of(eight), options).pixels == eight.pixels));
  BOOST_TEST(renas::values_of_16_bits(png_of(eight)).empty());
  BOOST_TEST(renas::values_of_16_bits(jpeg_of(eight)).empty());
  BOOST_TEST(renas::inspect_image(png_of(eight)).bits == 8);
}

BOOST_AUTO_TEST_CASE(what_is_encoded_without_loss_comes_back) {
  for (const int channels : {1, 3}) {
    const Image image = colourful(13, 29, channels);
    BOOST_TEST((renas::decode_image(renas::encode_lossless(image)).pixels == image.pixels));
  }
  BOOST_CHECK_THROW(renas::encode_lossless({{2, 1, 1}, {1, 2}}), renas::InvalidInput);
}

BOOST_AUTO_TEST_SUITE_END()
