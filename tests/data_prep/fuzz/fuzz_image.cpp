// Any bytes as an image: decoding gives pixels of the announced shape or throws InvalidInput.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "data/jpeg.h"
#include "renas/error.h"
#include "renas/image.h"

namespace {

void require(bool good) {
  if (!good) std::abort();
}

void decode(std::span<const uint8_t> bytes, int channels, bool strict) {
  renas::DecodeOptions options;
  options.channels = channels;
  options.max_pixels = 1 << 18;
  options.strict = strict;
  try {
    const renas::Image image = renas::decode_image(bytes, options);
    require(static_cast<int64_t>(image.pixels.size()) == image.shape.size());
    require(image.shape.channels == (channels == 0 ? image.shape.channels : channels));
    require(channels != 0 || image.shape == renas::inspect_image(bytes).shape);
    options.range_16 = renas::Range16{100, 40000};
    require(renas::decode_image(bytes, options).shape == image.shape);
    const std::vector<uint16_t> values = renas::values_of_16_bits(bytes, options.max_pixels);
    require(values.empty() == (renas::inspect_image(bytes).bits != 16));
    options.upright = false;
    require(renas::decode_image(bytes, options).shape.size() == image.shape.size());
  } catch (const renas::InvalidInput&) {
  }
}

// As the loader does: scaled, and only a part.
void decode_window(std::span<const uint8_t> bytes) {
  renas::DecodeOptions options;
  options.channels = 3;
  options.max_pixels = 1 << 18;
  options.strict = false;
  try {
    renas::JpegDecoder decoder(bytes, options);
    const int choice = bytes.back();
    decoder.scale(choice % 3 == 0 ? 2 : choice % 3 == 1 ? 4 : 8);
    const renas::Shape shape = decoder.shape();
    renas::Window window;
    if (decoder.windows()) {
      window.top = choice % shape.height;
      window.left = choice * 7 % shape.width;
      window.height = 1 + choice * 3 % (shape.height - window.top);
      window.width = 1 + choice * 5 % (shape.width - window.left);
    }
    std::vector<uint8_t> pixels;
    const auto got = decoder.decode(window, pixels);
    require(pixels.size() == static_cast<std::size_t>(got.height) * got.width * 3);
    require(got.left <= window.left && got.left + got.width >= window.left + window.width);
    require(got.left + got.width <= shape.width);
  } catch (const renas::InvalidInput&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  decode(bytes, 0, true);
  decode(bytes, 1, false);
  decode(bytes, 3, false);
  if (size > 2 && data[0] == 0xff && data[1] == 0xd8) decode_window(bytes);
  return 0;
}
