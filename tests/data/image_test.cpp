#include "renas/image.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <string>

#include "data/jpeg.h"
#include "data/resample.h"
#include "renas/error.h"
#include "support/encode.h"

using renas::DecodeOptions;
using renas::Image;
using renas::InvalidInput;
using renas::Shape;
using renas::test::colourful;
using renas::test::encode_jpeg_as;
using renas::test::encode_png;
using renas::test::JpegForm;
using renas::test::plain_jpeg;
using renas::test::PngForm;

namespace {

std::string failure(std::span<const uint8_t> bytes, const DecodeOptions& options = {}) {
  try {
    renas::decode_image(bytes, options);
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "decoded";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Every weight by its definition, in double; no windows, no rows kept.
Image plainly_resized(const Image& image, int height, int width, int lobes) {
  const auto kernel = [lobes](double x) {
    x = std::abs(x);
    if (x >= lobes) return 0.0;
    if (lobes == 1) return 1 - x;
    if (x == 0) return 1.0;
    const double p = 3.14159265358979323846 * x;
    return std::sin(p) / p * std::sin(p / lobes) / (p / lobes);
  };
  const Shape& from = image.shape;
  Image result;
  result.shape = {from.channels, height, width};
  const double sy = static_cast<double>(from.height) / height;
  const double sx = static_cast<double>(from.width) / width;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < from.channels; ++c) {
        double sum = 0;
        double total = 0;
        for (int v = 0; v < from.height; ++v) {
          const double wy = kernel((v - ((y + 0.5) * sy - 0.5)) / std::max(1.0, sy));
          if (wy == 0) continue;
          for (int u = 0; u < from.width; ++u) {
            const double w = wy * kernel((u - ((x + 0.5) * sx - 0.5)) / std::max(1.0, sx));
            total += w;
            sum += w * image.pixels[(v * from.width + u) * from.channels + c];
          }
        }
        result.pixels.push_back(
            static_cast<uint8_t>(std::clamp(std::floor(sum / total + 0.5), 0.0, 255.0)));
      }
    }
  }
  return result;
}

int largest_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  if (a.size() != b.size()) return 256;
  int worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(int{a[i]} - int{b[i]}));
  }
  return worst;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(images)

BOOST_AUTO_TEST_CASE(jpeg_is_decoded_as_libjpeg_turbo_does) {
  for (const bool progressive : {false, true}) {
    for (const int channels : {1, 3}) {
      const Image image = colourful(61, 83, channels);
      JpegForm form;
      form.progressive = progressive;
      const auto bytes = encode_jpeg_as(image.shape, image.pixels, form);
      BOOST_TEST((renas::inspect_image(bytes).shape == image.shape));
      BOOST_TEST((renas::inspect_image(bytes).kind == renas::ImageKind::kJpeg));
      for (const int wanted : {0, 1, 3}) {
        DecodeOptions options;
        options.channels = wanted;
        const Image decoded = renas::decode_image(bytes, options);
        BOOST_TEST(decoded.shape.channels == (wanted == 0 ? channels : wanted));
        BOOST_TEST((decoded.pixels == plain_jpeg(bytes, decoded.shape.channels).pixels));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_window_of_a_jpeg_is_that_part_of_the_whole) {
  const Image image = colourful(150, 203);
  for (const auto& [h, v] : {std::pair{2, 2}, {2, 1}, {1, 1}, {1, 2}}) {
    for (const bool progressive : {false, true}) {
      JpegForm form;
      form.h_samp = h;
      form.v_samp = v;
      form.progressive = progressive;
      const auto bytes = encode_jpeg_as(image.shape, image.pixels, form);
      for (const int eighths : {2, 4, 8}) {
        const Image whole = plain_jpeg(bytes, 3, eighths);
        for (const auto& [top, left, height, width] :
             {std::array{0, 0, 20, 20},
              {7, 33, 21, 11},
              {1, 0, 36, 50},
              {30, 17, 7, 33},
              {whole.shape.height - 9, whole.shape.width - 8, 9, 8}}) {
          renas::JpegDecoder decoder(bytes, {});
          decoder.scale(eighths);
          std::vector<uint8_t> pixels;
          const auto got = decoder.decode({top, left, height, width}, pixels);
          BOOST_TEST(got.top == top);
          BOOST_TEST(got.height == height);
          BOOST_TEST(got.left <= left);
          BOOST_TEST(got.left + got.width >= left + width);
          // Two pixels from an edge that is not the image's, chroma lacks its neighbours.
          int worst = 0;
          for (int y = 0; y < height; ++y) {
            for (int x = std::max(left, got.left + (got.left > 0 ? 2 : 0));
                 x < std::min(left + width, got.left + got.width - 2); ++x) {
              for (int c = 0; c < 3; ++c) {
                const int a = pixels[(y * got.width + x - got.left) * 3 + c];
                const int b = whole.pixels[((top + y) * whole.shape.width + x) * 3 + c];
                worst = std::max(worst, std::abs(a - b));
              }
            }
          }
          BOOST_TEST(worst == 0, "subsampling " << h << "x" << v << " eighths " << eighths
                                                << " top " << top << " worst " << worst);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(png_comes_out_exactly_as_it_went_in) {
  for (const int channels : {1, 3}) {
    const Image image = colourful(37, 29, channels);
    for (const int bits : {8, 16}) {
      for (const bool alpha : {false, true}) {
        for (const bool interlaced : {false, true}) {
          const auto bytes = encode_png(image, {bits, alpha, false, interlaced});
          BOOST_TEST((renas::inspect_image(bytes).shape == image.shape));
          const Image decoded = renas::decode_image(bytes);
          BOOST_TEST((decoded.shape == image.shape));
          BOOST_TEST((decoded.pixels == image.pixels));
        }
      }
    }
  }
  Image few = colourful(16, 16);
  for (uint8_t& value : few.pixels) value &= 0xc0;
  BOOST_TEST((renas::decode_image(encode_png(few, {8, false, true, false})).pixels == few.pixels));
}

BOOST_AUTO_TEST_CASE(grey_becomes_colour_and_colour_grey) {
  DecodeOptions options;
  options.channels = 3;
  const Image grey = colourful(5, 7, 1);
  const Image three = renas::decode_image(encode_png(grey), options);
  for (std::size_t i = 0; i < grey.pixels.size(); ++i) {
    for (std::size_t c = 0; c < 3; ++c) BOOST_TEST(three.pixels[i * 3 + c] == grey.pixels[i]);
  }
  options.channels = 1;
  Image red{{3, 1, 1}, {255, 0, 0}};
  BOOST_TEST(renas::decode_image(encode_png(red), options).pixels[0] == 76);  // 0.299 * 255
}

BOOST_AUTO_TEST_CASE(cmyk_turns_to_ink_on_white) {
  // One colour an image, so that compression changes nothing: cyan, and black by ink, and half
  // grey.
  const Shape shape{4, 16, 16};
  const auto decoded = [&](std::array<uint8_t, 4> inks, bool adobe) {
    std::vector<uint8_t> pixels;
    for (int i = 0; i < 256; ++i) pixels.insert(pixels.end(), inks.begin(), inks.end());
    JpegForm form;
    form.cmyk = true;
    form.adobe = adobe;
    form.quality = 100;
    const Image image = renas::decode_image(encode_jpeg_as(shape, pixels, form));
    BOOST_TEST((image.shape == Shape{3, 16, 16}));
    return std::vector<int>(image.pixels.begin(), image.pixels.begin() + 3);
  };
  // Adobe's numbers say how much light is left.
  BOOST_TEST(decoded({0, 255, 255, 255}, true) == (std::vector<int>{0, 255, 255}));
  BOOST_TEST(decoded({255, 255, 255, 0}, true) == (std::vector<int>{0, 0, 0}));
  BOOST_TEST(decoded({255, 255, 255, 128}, true) == (std::vector<int>{128, 128, 128}));
  // Without its marker, how much ink there is.
  BOOST_TEST(decoded({255, 0, 0, 0}, false) == (std::vector<int>{0, 255, 255}));
}

BOOST_AUTO_TEST_CASE(truncated_and_damaged_files_are_refused_with_a_reason) {
  const Image image = colourful(64, 64);
  auto jpeg = renas::encode_jpeg(image);
  BOOST_TEST(failure(jpeg) == "decoded");
  const std::span<const uint8_t> all(jpeg);
  BOOST_TEST(has(failure(all.first(jpeg.size() * 2 / 3)), "JPEG: Premature end of JPEG file"));
  BOOST_TEST(has(failure(all.first(100)), "JPEG: "));
  BOOST_TEST(has(failure(all.first(2)), "neither JPEG nor PNG"));
  BOOST_TEST(failure({}) == "an empty file");
  DecodeOptions lenient;
  lenient.strict = false;
  BOOST_TEST(failure(all.first(jpeg.size() * 2 / 3), lenient) == "decoded");

  auto png = encode_png(image);
  const std::span<const uint8_t> whole(png);
  BOOST_TEST(failure(whole.first(png.size() / 2)) == "PNG: the file is truncated");
  BOOST_TEST(has(failure(whole.first(20)), "PNG: the file is truncated"));
  png[png.size() / 2] ^= 0x55;
  BOOST_TEST(has(failure(png), "PNG: "));
  BOOST_TEST(failure(png) != "decoded");
  const std::string gif = "GIF89a..........";
  BOOST_TEST(failure({reinterpret_cast<const uint8_t*>(gif.data()), gif.size()}) ==
             "neither JPEG nor PNG (it begins 47 49 46 38)");
}

BOOST_AUTO_TEST_CASE(bombs_are_refused_before_memory_is_taken) {
  // Headers that speak of 60,000 x 60,000 pixels over a body of a few.
  const Image image = colourful(16, 16);
  auto png = encode_png(image);
  png[18] = 0xea;
  png[19] = 0x60;
  png[22] = 0xea;
  png[23] = 0x60;
  BOOST_TEST(failure(png) == "PNG of 60000 x 60000 pixels, more than the limit of 100000000");
  auto jpeg = renas::encode_jpeg(image);
  const uint8_t frame[] = {0xff, 0xc0, 0x00, 0x11, 0x08};
  auto at = std::search(jpeg.begin(), jpeg.end(), std::begin(frame), std::end(frame));
  BOOST_REQUIRE((at != jpeg.end()));
  at[5] = at[7] = 0xea;
  at[6] = at[8] = 0x60;
  BOOST_TEST(failure(jpeg) == "JPEG of 60000 x 60000 pixels, more than the limit of 100000000");
  DecodeOptions options;
  options.max_pixels = 255;
  BOOST_TEST(failure(renas::encode_jpeg(image), options) ==
             "JPEG of 16 x 16 pixels, more than the limit of 255");
}

BOOST_AUTO_TEST_CASE(a_jpeg_of_endless_scans_is_given_up) {
  const Image image = colourful(64, 64);
  JpegForm form;
  form.progressive = true;
  auto jpeg = encode_jpeg_as(image.shape, image.pixels, form);
  // The last scan, from its marker to the end of the image, again and again.
  const uint8_t marker[] = {0xff, 0xda};
  const auto last = std::find_end(jpeg.begin(), jpeg.end(), std::begin(marker), std::end(marker));
  BOOST_REQUIRE((last != jpeg.end()));
  const std::vector<uint8_t> scan(last, jpeg.end() - 2);
  jpeg.pop_back();
  jpeg.pop_back();
  for (int i = 0; i < 600; ++i) jpeg.insert(jpeg.end(), scan.begin(), scan.end());
  jpeg.insert(jpeg.end(), {0xff, 0xd9});
  DecodeOptions lenient;
  lenient.strict = false;
  BOOST_TEST(failure(jpeg, lenient) == "JPEG: more than 500 scans");
}

BOOST_AUTO_TEST_CASE(resizing_follows_the_filters_definition_pixel_by_pixel) {
  const Image image = colourful(23, 31);
  for (const auto& [height, width] : {std::pair{9, 14}, {23, 31}, {40, 50}, {5, 62}}) {
    const Image got = renas::resize_image(image, height, width);
    const Image expected = plainly_resized(image, height, width, 3);
    BOOST_TEST((got.shape == expected.shape));
    // A value within rounding of a half may fall to either side.
    BOOST_TEST(largest_difference(got.pixels, expected.pixels) <= 1);
    int64_t off = 0;
    for (std::size_t i = 0; i < got.pixels.size(); ++i) {
      off += got.pixels[i] != expected.pixels[i] ? 1 : 0;
    }
    BOOST_TEST(off * 500 <= static_cast<int64_t>(got.pixels.size()));
  }
  BOOST_TEST((renas::resize_image(image, 23, 31).pixels == image.pixels));
}

BOOST_AUTO_TEST_CASE(a_window_is_resampled_as_it_is_within_the_whole) {
  const Image image = colourful(40, 60);
  const Image whole = plainly_resized(image, 25, 33, 1);
  const int top = 6;
  const int left = 10;
  const int side = 12;
  const auto down = renas::make_resample_taps(renas::ResampleKernel::kTriangle, 40, 25, top, side);
  const auto across =
      renas::make_resample_taps(renas::ResampleKernel::kTriangle, 60, 33, left, side);
  const Image part = renas::crop_image(image, down.first_input(), across.first_input(),
                                       down.last_input() - down.first_input(),
                                       across.last_input() - across.first_input());
  std::vector<float> scratch;
  std::vector<uint8_t> out(12 * 12 * 3);
  renas::resample({part.pixels.data(), down.first_input(), across.first_input(), part.shape.height,
                   part.shape.width, 3},
                  down, across, scratch, out.data());
  BOOST_TEST(largest_difference(out, renas::crop_image(whole, top, left, side, side).pixels) <= 1);
}

BOOST_AUTO_TEST_SUITE_END()
