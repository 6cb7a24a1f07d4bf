#include "data/png.h"

#include <fmt/format.h>
#include <png.h>

#include <csetjmp>
#include <cstring>
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
    png_set_expand(png);  // palettes; 1, 2 and 4 bits; transparent colours
    png_set_strip_16(png);
    png_set_strip_alpha(png);
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

Image decode_png(std::span<const uint8_t> bytes, const DecodeOptions& options) {
  const Shape stored = inspect_png(bytes);
  if (int64_t{stored.width} * stored.height > options.max_pixels) {
    throw InvalidInput(fmt::format("PNG of {} x {} pixels, more than the limit of {}", stored.width,
                                   stored.height, options.max_pixels));
  }
  Reader reader;
  reader.at = bytes.data();
  reader.left = bytes.size();
  if (!reader.read_info()) throw InvalidInput(fmt::format("PNG: {}", reader.message));
  Image image;
  image.shape = {png_get_channels(reader.png, reader.info),
                 static_cast<int>(png_get_image_height(reader.png, reader.info)),
                 static_cast<int>(png_get_image_width(reader.png, reader.info))};
  const auto row_bytes = static_cast<std::size_t>(image.shape.width) * image.shape.channels;
  if (image.shape.height != stored.height || image.shape.width != stored.width ||
      (image.shape.channels != 1 && image.shape.channels != 3) ||
      png_get_rowbytes(reader.png, reader.info) != row_bytes) {
    throw InvalidInput(fmt::format("PNG: of an unexpected layout ({})", to_string(image.shape)));
  }
  image.pixels.resize(image.shape.size());
  std::vector<png_bytep> rows;
  for (int y = 0; y < image.shape.height; ++y) {
    rows.push_back(image.pixels.data() + y * row_bytes);
  }
  if (!reader.read_pixels(rows.data())) throw InvalidInput(fmt::format("PNG: {}", reader.message));
  return image;
}

}  // namespace renas
