// Pictures whose stored pixels are not what they mean, through renas-prep-images: turned by EXIF,
// or of 16 bits.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "data_prep/programs.h"
#include "renas/dataset.h"
#include "renas/image.h"
#include "support/encode.h"
#include "support/files.h"
#include "support/temporary_folder.h"

namespace fs = std::filesystem;
using renas::DataSet;
using renas::Image;
using renas::test::encode_png_16;
using renas::test::exif_of;
using renas::test::has;
using renas::test::Ran;
using renas::test::run;
using renas::test::stored;
using renas::test::stored_as;
using renas::test::TemporaryFolder;
using renas::test::with_exif;
using renas::test::write_bytes;

namespace {

/// A scene that shows how it is turned: its top rows are bright, its left columns dark.
Image scene() {
  Image image{{3, 24, 40}, {}};
  for (int y = 0; y < 24; ++y) {
    for (int x = 0; x < 40; ++x) {
      image.pixels.insert(image.pixels.end(), 3,
                          static_cast<uint8_t>(x < 6   ? 10
                                               : y < 6 ? 250
                                                       : 128));
    }
  }
  return image;
}

bool is_upright(const Image& image) {
  const int height = image.shape.height;
  const int width = image.shape.width;
  const auto value = [&](int y, int x) { return int{image.pixels[(y * width + x) * 3]}; };
  return width > height && value(1, width / 2) > 200 && value(height / 2, 1) < 60 &&
         std::abs(value(height - 2, width - 2) - 128) < 30;
}

void write_scenes(const std::string& folder) {
  for (int o = 1; o <= 8; ++o) {
    const Image turned = stored_as(scene(), o);
    const std::string name = folder + "/train/a/o" + std::to_string(o);
    write_bytes(name + ".jpg", with_exif(renas::encode_jpeg(turned), exif_of(o, o % 2 == 0)));
    write_bytes(name + ".png", with_exif(renas::encode_lossless(turned), exif_of(o, o % 2 == 1)));
  }
}

/// A 12-bit detector's values, 5 to 4085 in 256 steps, turned by `shift` places.
std::vector<uint16_t> detector(int shift) {
  std::vector<uint16_t> values(256);
  for (int i = 0; i < 256; ++i) values[(i + shift) % 256] = static_cast<uint16_t>(5 + 16 * i);
  return values;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(meaning)

BOOST_AUTO_TEST_CASE(all_eight_orientations_are_stored_upright) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  const std::string out = scratch / "out.h5";
  write_scenes(in);
  const std::string command = "renas-prep-images " + in + " " + out + " --force ";

  Ran ran = run(command + "--size 24x40");
  BOOST_TEST(has(ran.output,
                 "turned upright as EXIF says (--as-stored leaves pixels as they are "
                 "stored): 14"),
             ran.output);
  BOOST_TEST(!has(ran.output, "scaled"));
  const DataSet fixed = DataSet::open(out, "train");
  BOOST_TEST(fixed.size() == 16);
  for (int64_t i = 0; i < 16; ++i) BOOST_TEST(is_upright({fixed.shape(), stored(fixed, i)}));

  ran = run(command + "--shorter-side 12");
  const DataSet scaled = DataSet::open(out, "train");
  for (int64_t i = 0; i < 16; ++i) {
    BOOST_TEST(is_upright(renas::decode_image(stored(scaled, i))));
    BOOST_TEST(renas::inspect_image(stored(scaled, i)).orientation == 1);
  }

  // Encoded sets keep the bytes; who decodes turns.
  ran = run(command);
  BOOST_TEST(has(ran.output, "turned upright as EXIF says"));
  BOOST_TEST(has(ran.output, "all images are 24x40"));
  const DataSet encoded = DataSet::open(out, "train");
  std::set<std::vector<uint8_t>> files;
  for (const auto& entry : fs::directory_iterator(in + "/train/a")) {
    files.insert(renas::test::bytes_of(entry.path().string()));
  }
  for (int64_t i = 0; i < 16; ++i) {
    BOOST_TEST(files.count(stored(encoded, i)) == 1U);
    BOOST_TEST(is_upright(renas::decode_image(stored(encoded, i))));
  }
}

BOOST_AUTO_TEST_CASE(pixels_come_as_they_are_stored_on_request) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  const std::string out = scratch / "out.h5";
  write_scenes(in);
  const std::string command = "renas-prep-images " + in + " " + out + " --force --as-stored ";
  Ran ran = run(command);
  BOOST_TEST(has(ran.output, "not turned, though EXIF says so (--as-stored): 14"), ran.output);
  const DataSet encoded = DataSet::open(out, "train");
  int upright = 0;
  for (int64_t i = 0; i < 16; ++i) {
    const auto file = stored(encoded, i);
    BOOST_TEST(renas::inspect_image(file).orientation == 1);  // the loader turns nothing
    upright += is_upright(renas::decode_image(file)) ? 1 : 0;
  }
  BOOST_TEST(upright == 2);
  run(command + "--size 24x40");
  const DataSet fixed = DataSet::open(out, "train");
  upright = 0;
  for (int64_t i = 0; i < 16; ++i) {
    upright += is_upright({fixed.shape(), stored(fixed, i)}) ? 1 : 0;
  }
  BOOST_TEST(upright == 2);
}

BOOST_AUTO_TEST_CASE(sixteen_bits_that_would_lose_their_levels_stop_the_program) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  const std::string out = scratch / "out.h5";
  for (int i = 0; i < 2; ++i) {
    const std::string name = "/a/" + std::to_string(i) + ".png";
    write_bytes(in + "/train" + name, encode_png_16({1, 16, 16}, detector(i)));
    write_bytes(in + "/test" + name, encode_png_16({1, 16, 16}, detector(i + 5)));
  }
  write_bytes(in + "/train/a/8.png", renas::encode_lossless(renas::test::colourful(16, 16, 1)));
  const std::string command =
      "renas-prep-images " + in + " " + out + " --force --channels 1 --size 16x16 ";
  Ran ran = run(command);
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(!fs::exists(out));
  BOOST_TEST(has(ran.output,
                 "in: 4 images of 16 bits have values from 5 to 4085, 99 % of them from 21 to "
                 "4069; their upper byte keeps 16 of 256 grey levels. Say what 8 bits are to "
                 "hold: --range-16 whole-set"),
             ran.output);

  ran = run(command + "--range-16 upper-byte");
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(has(ran.output, "images of 16 bits: 4, the upper byte was kept"));
  DataSet train = DataSet::open(out, "train");
  BOOST_TEST(!train.info().range_16.has_value());
  BOOST_TEST(int{stored(train, 0)[255]} == 4085 >> 8);

  ran = run(command + "--range-16 whole-set");
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(has(ran.output, "images of 16 bits: 4, values 5 to 4085 became 0 to 255"));
  train = DataSet::open(out, "train");
  BOOST_TEST((train.info().range_16 == renas::Range16{5, 4085}));
  for (int i = 0; i < 256; ++i) {
    BOOST_TEST(int{stored(train, 0)[i]} == i);
    BOOST_TEST(int{stored(train, 1)[(i + 1) % 256]} == i);
  }
  BOOST_TEST((stored(train, 2) == renas::test::colourful(16, 16, 1).pixels));  // of 8 bits

  run(command + "--range-16 0:4095");
  train = DataSet::open(out, "train");
  BOOST_TEST((train.info().range_16 == renas::Range16{0, 4095}));
  BOOST_TEST(int{stored(train, 0)[128]} == ((5 + 16 * 128) * 255 + 4095 / 2) / 4095);

  // Encoded: files of 8 bits that any reader understands.
  const std::string encode = "renas-prep-images " + in + " " + out + " --force --range-16 ";
  ran = run(encode + "whole-set");
  BOOST_TEST(ran.code == 0, ran.output);
  train = DataSet::open(out, "train");
  BOOST_TEST(renas::inspect_image(stored(train, 0)).bits == 8);
  BOOST_TEST(int{renas::decode_image(stored(train, 0)).pixels[3 * 77]} == 77);
  for (const std::string wrong : {"5", "9:9", "10:5", "-1:5", "0:65536", "a:b", "1:2:3", ":"}) {
    ran = run(encode + wrong);
    BOOST_TEST(ran.code == 2);
    BOOST_TEST(has(ran.output, "expected whole-set, upper-byte, or LOW:HIGH"), ran.output);
  }
}

BOOST_AUTO_TEST_CASE(the_range_is_that_of_all_images_of_the_set) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  const std::string out = scratch / "out.h5";
  // A slice of computed tomography around 32768, and a test image that reaches further.
  std::vector<uint16_t> slice(256);
  for (int i = 0; i < 256; ++i) slice[i] = static_cast<uint16_t>(32640 + i);
  write_bytes(in + "/train/a/0.png", encode_png_16({1, 16, 16}, slice));
  slice[0] = 32640 - 255;
  write_bytes(in + "/test/a/0.png", encode_png_16({1, 16, 16}, slice));
  const std::string command =
      "renas-prep-images " + in + " " + out + " --force --channels 1 --size 16x16 ";
  Ran ran = run(command);
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "their upper byte keeps 3 of 257 grey levels"), ran.output);
  ran = run(command + "--range-16 whole-set");
  BOOST_TEST(has(ran.output, "values 32385 to 32895 became 0 to 255"), ran.output);
  const auto train = stored(DataSet::open(out, "train"), 0);
  const auto test = stored(DataSet::open(out, "test"), 0);
  BOOST_TEST(int{test[0]} == 0);
  BOOST_TEST(int{train[255]} == 255);
  BOOST_TEST((std::vector<uint8_t>(train.begin() + 1, train.end()) ==
              std::vector<uint8_t>(test.begin() + 1, test.end())));
}

BOOST_AUTO_TEST_CASE(sixteen_bits_that_lose_nothing_pass) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  const std::string out = scratch / "out.h5";
  std::vector<uint16_t> full(256);
  std::vector<uint16_t> mask(256);
  std::vector<uint16_t> shifted(256);
  for (int i = 0; i < 256; ++i) {
    full[i] = static_cast<uint16_t>(i * 257);
    mask[i] = i % 3 == 0 ? 65535 : 0;
    shifted[i] = static_cast<uint16_t>(i % 32 * 256);  // few levels, all kept
  }
  for (const auto& values : {full, mask, shifted}) {
    write_bytes(in + "/train/a/0.png", encode_png_16({1, 16, 16}, values));
    const Ran ran = run("renas-prep-images " + in + " " + out + " --force");
    BOOST_TEST(ran.code == 0, ran.output);
    BOOST_TEST(has(ran.output,
                   "images of 16 bits: 1, the upper byte was kept (--range-16); values "
                   "from"));
    // As before, the file stays as it is.
    BOOST_TEST(
        (stored(DataSet::open(out, "train"), 0) == renas::test::bytes_of(in + "/train/a/0.png")));
  }
}

BOOST_AUTO_TEST_SUITE_END()
