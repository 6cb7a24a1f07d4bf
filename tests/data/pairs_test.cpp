// Images and their masks from file to batch: both get the same scale, crop, padding and mirroring.

#include "data/pairs.h"

#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "renas/error.h"
#include "renas/loader.h"
#include "support/encode.h"
#include "support/pairs.h"
#include "support/temporary_folder.h"

using namespace renas;
using renas::test::TemporaryFolder;

namespace {

/// A PNG file of one row of values of `bits` bits, grey or of a palette.
std::vector<uint8_t> small_png(const std::vector<int>& values, int bits, bool palette) {
  std::vector<uint8_t> file{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  const auto chunk = [&](std::string content) {  // type and data
    const auto size = static_cast<uint32_t>(content.size() - 4);
    const auto crc = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(content.data()),
                                                 static_cast<uInt>(content.size())));
    for (const int shift : {24, 16, 8, 0}) file.push_back(static_cast<uint8_t>(size >> shift));
    file.insert(file.end(), content.begin(), content.end());
    for (const int shift : {24, 16, 8, 0}) file.push_back(static_cast<uint8_t>(crc >> shift));
  };
  std::string header("IHDR\0\0\0", 7);
  header += static_cast<char>(values.size());
  header += std::string("\0\0\0\1", 4);
  header += static_cast<char>(bits);
  header += static_cast<char>(palette ? 3 : 0);
  header += std::string("\0\0\0", 3);
  chunk(header);
  if (palette) {
    std::string colours = "PLTE";
    for (int i = 0; i < 1 << bits; ++i) {
      for (int c = 0; c < 3; ++c) colours += static_cast<char>(255 - i);
    }
    chunk(colours);
  }
  std::vector<uint8_t> row(1 + (values.size() * static_cast<std::size_t>(bits) + 7) / 8);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t at = i * static_cast<std::size_t>(bits);
    row[1 + at / 8] |= static_cast<uint8_t>(values[i] << (8 - bits - static_cast<int>(at % 8)));
  }
  std::vector<uint8_t> packed(200);
  uLongf size = packed.size();
  compress(packed.data(), &size, row.data(), row.size());
  chunk("IDAT" + std::string(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size)));
  chunk("IEND");
  return file;
}

struct Batch {
  std::vector<float> images;
  std::vector<int32_t> labels;
};

Batch first_batch(const DataSet& data, const PairAugmentation& pairs, uint64_t epoch, int threads) {
  Loader loader(data, all_indices(data.size()),
                {.batch = 4, .seed = 3, .shuffle = false, .pairs = pairs, .threads = threads});
  Batch batch;
  batch.images.resize(static_cast<std::size_t>(4 * loader.shape().size()));
  batch.labels.resize(static_cast<std::size_t>(4) * pairs.height * pairs.width);
  loader.start(epoch);
  BOOST_TEST(loader.next(batch.images, batch.labels) == 4);
  return batch;
}

/// The class that the grey value of a made-up image says; -1 beyond the image.
int class_of(const DataSet& data, float normalised) {
  const double grey = (normalised * data.info().sd[0] + data.info().mean[0]) * 255;
  const double k = (grey - 20) / 40;
  return std::abs(k - std::lround(k)) < 0.01 ? static_cast<int>(std::lround(k)) : -2;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pairs)

BOOST_AUTO_TEST_CASE(index_maps_are_read_as_they_are_stored) {
  for (const bool palette : {false, true}) {
    for (const int bits : {1, 2, 4, 8}) {
      std::vector<int> values;
      for (int i = 0; i < 11; ++i) values.push_back(i * 3 % (1 << bits));
      const Image map = decode_index_map(small_png(values, bits, palette));
      BOOST_TEST((map.shape == Shape{1, 1, 11}));
      for (std::size_t i = 0; i < values.size(); ++i) BOOST_TEST(map.pixels[i] == values[i]);
    }
  }
  const Image map{{1, 2, 3}, {0, 1, 2, 255, 4, 0}};
  BOOST_TEST(decode_index_map(encode_lossless(map)).pixels == map.pixels,
             boost::test_tools::per_element());
  std::vector<uint8_t> palette(3 * 256, 77);
  BOOST_TEST(decode_index_map(encode_with_palette(map, palette)).pixels == map.pixels,
             boost::test_tools::per_element());
  palette.resize(3 * 5);
  BOOST_CHECK_THROW(encode_with_palette(map, palette), InvalidInput);
  const Image colour = renas::test::colourful(5, 6);
  BOOST_CHECK_THROW(decode_index_map(encode_lossless(colour)), InvalidInput);
  BOOST_CHECK_THROW(decode_index_map(encode_jpeg(colour)), InvalidInput);
  renas::test::PngForm form;
  form.bits = 16;
  BOOST_CHECK_THROW(
      decode_index_map(renas::test::encode_png(renas::test::colourful(5, 6, 1), form)),
      InvalidInput);
  form.bits = 8;
  form.alpha = true;
  BOOST_CHECK_THROW(
      decode_index_map(renas::test::encode_png(renas::test::colourful(5, 6, 1), form)),
      InvalidInput);
}

BOOST_AUTO_TEST_CASE(whole_images_are_padded_on_the_right_and_below) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/stripes.h5";
  renas::test::write_stripes(path, 4, 3, 5);
  const DataSet data = DataSet::open(path, "train");
  BOOST_TEST(data.has_masks());
  const Batch batch = first_batch(data, {.height = 49, .width = 65}, 0, 1);
  for (int n = 0; n < 4; ++n) {
    const int height = 30 + n;
    const int width = 33 + n;
    for (int y = 0; y < 49; ++y) {
      for (int x = 0; x < 65; ++x) {
        const std::size_t at = (static_cast<std::size_t>(n) * 49 + y) * 65 + x;
        const bool inside = y < height && x < width;
        const int expected = inside && x > 0 ? (x + n) / 5 % 3 : -1;
        BOOST_REQUIRE(batch.labels[at] == expected);
        if (!inside) BOOST_REQUIRE(batch.images[3 * at] == 0);
        if (inside) BOOST_REQUIRE(class_of(data, batch.images[3 * at]) == (x + n) / 5 % 3);
      }
    }
  }
  BOOST_CHECK_THROW(first_batch(data, {.height = 29, .width = 65}, 0, 0), InvalidInput);
}

BOOST_AUTO_TEST_CASE(image_and_mask_are_scaled_cropped_and_mirrored_alike) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/stripes.h5";
  renas::test::write_stripes(path, 4, 3, 8);
  const DataSet data = DataSet::open(path, "train");
  const PairAugmentation how{
      .height = 33, .width = 25, .random = true, .least_scale = 0.5, .most_scale = 2, .flip = true};
  int64_t told = 0;
  int64_t alike = 0;
  std::set<std::vector<int32_t>> different;
  for (uint64_t epoch = 0; epoch < 8; ++epoch) {
    const Batch batch = first_batch(data, how, epoch, 1);
    BOOST_TEST((first_batch(data, how, epoch, 0).images == batch.images));  // whatever the threads
    different.insert(batch.labels);
    for (std::size_t p = 0; p < batch.labels.size(); ++p) {
      // Between two stripes the image is blended, which is no class.
      const int k = class_of(data, batch.images[3 * p]);
      if (batch.labels[p] < 0 || k < 0) continue;
      ++told;
      alike += k == batch.labels[p] ? 1 : 0;
    }
  }
  BOOST_TEST(told > 8000);
  // A blend of the first and the last class may look like the one between.
  BOOST_TEST(static_cast<double>(alike) > 0.97 * static_cast<double>(told));
  BOOST_TEST(different.size() == 8u);
}

BOOST_AUTO_TEST_CASE(scales_are_steps_of_a_quarter) {
  const PairAugmentation how{
      .height = 33, .width = 33, .random = true, .least_scale = 0.5, .most_scale = 2};
  std::set<double> scales;
  for (uint64_t i = 0; i < 200; ++i) {
    const PairDraw draw = draw_pair(how, Random(i));
    scales.insert(draw.scale);
    BOOST_TEST(!draw.flip);
  }
  BOOST_TEST((scales == std::set<double>{0.5, 0.75, 1, 1.25, 1.5, 1.75, 2}));
  BOOST_TEST(draw_pair({.height = 33, .width = 33}, Random(1)).scale == 1);
}

BOOST_AUTO_TEST_CASE(data_without_masks_and_wrong_options_are_refused) {
  const DataSet plain({3, 4, 4}, std::vector<uint8_t>(96), {0, 1});
  BOOST_TEST(!plain.has_masks());
  std::vector<uint8_t> buffer;
  BOOST_CHECK_THROW(plain.mask(0, buffer), InvalidInput);
  BOOST_CHECK_THROW(
      Loader(plain, {0}, {.batch = 1, .pairs = PairAugmentation{.height = 4, .width = 4}}),
      InvalidInput);
}

BOOST_AUTO_TEST_SUITE_END()
