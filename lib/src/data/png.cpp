#include "data/png.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <utility>
#include <vector>

#include "renas/error.h"

namespace renas {
namespace {

constexpr std::size_t kHeaderBytes = 8 + 8 + 13;  // signature; length and type of IHDR; its content
constexpr png_alloc_size_t kMostBytesOfText = 8U << 20;

uint32_t big_endian(const uint8_t* b) {
  return (uint32_t{b[0]} << 24) | (uint32_t{b[1]} << 16) | (uint32_t{b[2]} << 8) | b[3];
}

// libpng leaves through a longjmp; read() has no objects to destroy before it.
struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const uint8_t* at = nullptr;
  std::size_t left = 0;
  bool keep_16 = false;  // values of 16 bits come as two bytes, the upper one first
  bool indices = false;  // values come as they are stored, one a byte
  char message[200] = "";
  std::jmp_buf jump;

  static void on_error(png_structp png, png_const_charp text) {
    auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
    std::strncpy(reader->message, text, sizeof reader->message - 1);
    std::longjmp(reader->jump, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep to, png_size_t count) {
    auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
    if (count > reader->left) png_error(png, "the file is truncated");
    std::memcpy(to, reader->at, count);
    reader->at += count;
    reader->left -= count;
  }

  bool read_info() {
    if (setjmp(jump) != 0) return false;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png == nullptr) return false;
    info = png_create_info_struct(png);
    if (info == nullptr) return false;
    png_set_read_fn(png, this, on_read);
    // Texts and colour profiles may be compressed bombs, and nothing here reads them.
    png_set_chunk_malloc_max(png, kMostBytesOfText);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
    png_set_user_limits(png, 0x7fffffffL, 0x7fffffffL);  // the caller has checked the size
    png_read_info(png, info);
    if (indices) {
      png_set_packing(png);
    } else {
      png_set_expand(png);  // palettes; 1, 2 and 4 bits; transparent colours
      if (!keep_16) png_set_strip_16(png);
      png_set_strip_alpha(png);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return true;
  }

  bool read_pixels(png_bytepp rows) {
    if (setjmp(jump) != 0) return false;
    png_read_image(png, rows);
    png_read_end(png, nullptr);
    return true;
  }

  ~Reader() {
    if (png != nullptr) png_destroy_read_struct(&png, &info, nullptr);
  }
};

// Decoded pixels: rows of height x width x channels values of one or two bytes.
struct Decoded {
  Shape shape;
  std::vector<uint8_t> bytes;
};

enum class Values { k8, k16, kIndices };

// Decodes a file to values of one byte each, with k16 to those of 16 bits of two, with kIndices to
// those that are stored.
Decoded decode(std::span<const uint8_t> bytes, int64_t max_pixels, Values values) {
  const bool keep_16 = values == Values::k16;
  const Shape stored = inspect_png(bytes);
  if (int64_t{stored.width} * stored.height > max_pixels) {
    throw InvalidInput(fmt::format("PNG of {} x {} pixels, more than the limit of {}", stored.width,
                                   stored.height, max_pixels));
  }
  Reader reader;
  reader.at = bytes.data();
  reader.left = bytes.size();
  reader.keep_16 = keep_16;
  reader.indices = values == Values::kIndices;
  if (!reader.read_info()) throw InvalidInput(fmt::format("PNG: {}", reader.message));
  Decoded result;
  Shape& shape = result.shape;
  shape = {png_get_channels(reader.png, reader.info),
           static_cast<int>(png_get_image_height(reader.png, reader.info)),
           static_cast<int>(png_get_image_width(reader.png, reader.info))};
  const auto row_bytes = static_cast<std::size_t>(shape.width) * shape.channels * (keep_16 ? 2 : 1);
  if (shape.height != stored.height || shape.width != stored.width ||
      (shape.channels != 1 && shape.channels != 3) ||
      png_get_rowbytes(reader.png, reader.info) != row_bytes) {
    throw InvalidInput(fmt::format("PNG: of an unexpected layout ({})", to_string(shape)));
  }
  result.bytes.resize(row_bytes * shape.height);
  std::vector<png_bytep> rows;
  rows.reserve(static_cast<std::size_t>(shape.height));
  for (int y = 0; y < shape.height; ++y) rows.push_back(result.bytes.data() + y * row_bytes);
  if (!reader.read_pixels(rows.data())) throw InvalidInput(fmt::format("PNG: {}", reader.message));
  return result;
}

uint16_t value_at(const std::vector<uint8_t>& bytes, std::size_t i) {
  return static_cast<uint16_t>((bytes[2 * i] << 8) | bytes[2 * i + 1]);
}

uint8_t mapped(int value, const Range16& range) {
  const int span = range.high - range.low;
  const int above = std::clamp(value - range.low, 0, span);
  return static_cast<uint8_t>((above * 255 + span / 2) / span);
}

}  // namespace

Shape inspect_png(std::span<const uint8_t> bytes) {
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data() + 12, "IHDR", 4) != 0) {
    throw InvalidInput("PNG: the file is truncated or has no header");
  }
  const uint32_t width = big_endian(bytes.data() + 16);
  const uint32_t height = big_endian(bytes.data() + 20);
  const uint8_t type = bytes[25];  // 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
  if (width < 1 || height < 1 || width > 0x7fffffff || height > 0x7fffffff) {
    throw InvalidInput(fmt::format("PNG of {} x {} pixels", width, height));
  }
  return {type == 0 || type == 4 ? 1 : 3, static_cast<int>(height), static_cast<int>(width)};
}

int png_bits(std::span<const uint8_t> bytes) {
  inspect_png(bytes);
  return bytes[24];
}

Image decode_png(std::span<const uint8_t> bytes, const DecodeOptions& options) {
  const std::optional<Range16>& range = options.range_16;
  if (range && range->low >= range->high) {
    throw InvalidInput(
        fmt::format("a range of 16-bit values from {} to {}", range->low, range->high));
  }
  const bool map = range && png_bits(bytes) == 16;
  Decoded decoded = decode(bytes, options.max_pixels, map ? Values::k16 : Values::k8);
  Image image;
  image.shape = decoded.shape;
  if (!map) {
    image.pixels = std::move(decoded.bytes);
    return image;
  }
  image.pixels.resize(image.shape.size());
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = mapped(value_at(decoded.bytes, i), *range);
  }
  return image;
}

std::vector<uint16_t> png_values_of_16_bits(std::span<const uint8_t> bytes, int64_t max_pixels) {
  if (png_bits(bytes) != 16) return {};
  const Decoded decoded = decode(bytes, max_pixels, Values::k16);
  std::vector<uint16_t> values(decoded.shape.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = value_at(decoded.bytes, i);
  return values;
}

Image png_index_map(std::span<const uint8_t> bytes, int64_t max_pixels) {
  const int bits = png_bits(bytes);
  const uint8_t type = bytes[25];  // as in inspect_png()
  if (type != 0 && type != 3) {
    throw InvalidInput(
        fmt::format("PNG: a mask has a palette or is grey, and its values are classes; this one {}",
                    type == 2 ? "is in colour" : "has transparency"));
  }
  if (bits == 16) throw InvalidInput("PNG: a mask has values of 8 bits or fewer; this one has 16");
  Decoded decoded = decode(bytes, max_pixels, Values::kIndices);
  return {decoded.shape, std::move(decoded.bytes)};
}

namespace {

// libpng leaves through a longjmp; write() has no objects to destroy before it.
struct Writer {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<uint8_t> bytes;
  char message[200] = "";
  std::jmp_buf jump;

  static void on_error(png_structp png, png_const_charp text) {
    auto* writer = static_cast<Writer*>(png_get_error_ptr(png));
    std::strncpy(writer->message, text, sizeof writer->message - 1);
    std::longjmp(writer->jump, 1);
  }
  static void on_write(png_structp png, png_bytep from, png_size_t count) {
    auto* writer = static_cast<Writer*>(png_get_io_ptr(png));
    writer->bytes.insert(writer->bytes.end(), from, from + count);
  }

  bool write(const Shape& shape, const uint8_t* pixels, std::span<const png_color> palette) {
    if (setjmp(jump) != 0) return false;
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error, nullptr);
    if (png == nullptr) return false;
    info = png_create_info_struct(png);
    if (info == nullptr) return false;
    png_set_write_fn(png, this, on_write, nullptr);
    png_set_user_limits(png, 0x7fffffffL, 0x7fffffffL);
    png_set_IHDR(png, info, static_cast<png_uint_32>(shape.width),
                 static_cast<png_uint_32>(shape.height), 8,
                 !palette.empty()      ? PNG_COLOR_TYPE_PALETTE
                 : shape.channels == 3 ? PNG_COLOR_TYPE_RGB
                                       : PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!palette.empty()) {
      png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
    }
    png_write_info(png, info);
    const std::size_t row = static_cast<std::size_t>(shape.width) * shape.channels;
    for (int y = 0; y < shape.height; ++y) png_write_row(png, pixels + y * row);
    png_write_end(png, info);
    return true;
  }

  ~Writer() {
    if (png != nullptr) png_destroy_write_struct(&png, &info);
  }
};

}  // namespace

std::vector<uint8_t> encode_lossless(const Image& image) {
  const Shape& shape = image.shape;
  if ((shape.channels != 1 && shape.channels != 3) || shape.height < 1 || shape.width < 1 ||
      static_cast<int64_t>(image.pixels.size()) != shape.size()) {
    throw InvalidInput(
        fmt::format("cannot encode {} bytes of {} as PNG", image.pixels.size(), to_string(shape)));
  }
  Writer writer;
  if (!writer.write(shape, image.pixels.data(), {})) {
    throw InvalidInput(fmt::format("PNG: {}", writer.message));
  }
  return std::move(writer.bytes);
}

std::vector<uint8_t> encode_with_palette(const Image& image, std::span<const uint8_t> palette) {
  const Shape& shape = image.shape;
  const std::size_t colours = palette.size() / 3;
  if (shape.channels != 1 || shape.height < 1 || shape.width < 1 ||
      static_cast<int64_t>(image.pixels.size()) != shape.size() || colours < 1 || colours > 256 ||
      *std::max_element(image.pixels.begin(), image.pixels.end()) >= colours) {
    throw InvalidInput(fmt::format("cannot encode {} bytes of {} as PNG with {} colours",
                                   image.pixels.size(), to_string(shape), colours));
  }
  std::vector<png_color> table;
  for (std::size_t i = 0; i < colours; ++i) {
    table.push_back({palette[3 * i], palette[3 * i + 1], palette[3 * i + 2]});
  }
  Writer writer;
  if (!writer.write(shape, image.pixels.data(), table)) {
    throw InvalidInput(fmt::format("PNG: {}", writer.message));
  }
  return std::move(writer.bytes);
}

}  // namespace renas
