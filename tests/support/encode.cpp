#include "support/encode.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
// libjpeg's header needs cstdio before it.
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

namespace renas::test {
namespace {

void append(png_structp png, png_bytep bytes, png_size_t count) {
  auto& to = *static_cast<std::vector<uint8_t>*>(png_get_io_ptr(png));
  to.insert(to.end(), bytes, bytes + count);
}

[[noreturn]] void png_failed(png_structp, png_const_charp text) { throw std::runtime_error(text); }

}  // namespace

Image colourful(int height, int width, int channels) {
  Image image;
  image.shape = {channels, height, width};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        const double wave = std::sin(0.11 * x + 1.3 * c) * std::cos(0.07 * y - c) * 90;
        image.pixels.push_back(static_cast<uint8_t>(
            std::clamp(128 + wave + (x * 7 + y * 13 + c * 5) % 23, 0.0, 255.0)));
      }
    }
  }
  return image;
}

std::vector<uint8_t> encode_png(const Image& image, const PngForm& form) {
  std::vector<uint8_t> bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, png_failed, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &bytes, append, nullptr);
  const int channels = image.shape.channels;
  int type = channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
  if (form.alpha) type |= PNG_COLOR_MASK_ALPHA;
  if (form.palette) type = PNG_COLOR_TYPE_PALETTE;
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.shape.width),
               static_cast<png_uint_32>(image.shape.height), form.bits, type,
               form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  const auto count = static_cast<std::size_t>(image.shape.height) * image.shape.width;
  std::vector<uint8_t> data;
  if (form.palette) {
    std::map<uint32_t, uint8_t> index;
    std::vector<png_color> colours;
    for (std::size_t i = 0; i < count; ++i) {
      const uint8_t* p = &image.pixels[i * 3];
      const uint32_t colour = (uint32_t{p[0]} << 16) | (uint32_t{p[1]} << 8) | p[2];
      if (index.count(colour) == 0) {
        index[colour] = static_cast<uint8_t>(colours.size());
        colours.push_back({p[0], p[1], p[2]});
      }
      data.push_back(index[colour]);
    }
    if (colours.size() > 256) throw std::runtime_error("more than 256 colours");
    png_set_PLTE(png, info, colours.data(), static_cast<int>(colours.size()));
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      for (int c = 0; c < channels; ++c) {
        data.push_back(image.pixels[i * channels + c]);
        if (form.bits == 16) data.push_back(static_cast<uint8_t>(i * 31));
      }
      if (form.alpha) {
        data.push_back(static_cast<uint8_t>(i * 3));
        if (form.bits == 16) data.push_back(0);
      }
    }
  }
  png_write_info(png, info);
  std::vector<png_bytep> rows;
  const std::size_t row = data.size() / image.shape.height;
  for (int y = 0; y < image.shape.height; ++y) {
    rows.push_back(&data[y * row]);
  }
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::vector<uint8_t> encode_png_16(const Shape& shape, const std::vector<uint16_t>& values) {
  std::vector<uint8_t> bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, png_failed, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &bytes, append, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(shape.width),
               static_cast<png_uint_32>(shape.height), 16,
               shape.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  std::vector<uint8_t> data;
  for (const uint16_t value : values) {
    data.push_back(static_cast<uint8_t>(value >> 8));
    data.push_back(static_cast<uint8_t>(value));
  }
  const std::size_t row = data.size() / shape.height;
  for (int y = 0; y < shape.height; ++y) png_write_row(png, &data[y * row]);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::vector<uint8_t> exif_of(int orientation, bool big_endian) {
  std::vector<uint8_t> bytes;
  const auto put = [&](uint32_t value, int count) {
    for (int i = 0; i < count; ++i) {
      bytes.push_back(static_cast<uint8_t>(value >> (8 * (big_endian ? count - 1 - i : i))));
    }
  };
  bytes.assign(2, big_endian ? 'M' : 'I');
  put(42, 2);
  put(8, 4);  // where the directory begins
  put(3, 2);  // entries
  for (const auto& [tag, value] : {std::pair{0x0100, 7}, {0x0112, orientation}, {0x0128, 2}}) {
    put(static_cast<uint32_t>(tag), 2);
    put(3, 2);  // 16-bit numbers
    put(1, 4);  // one of them
    put(static_cast<uint32_t>(value), 2);
    put(0, 2);
  }
  put(0, 4);  // no further directory
  return bytes;
}

std::vector<uint8_t> with_exif(const std::vector<uint8_t>& file, const std::vector<uint8_t>& exif) {
  std::vector<uint8_t> part;
  const auto put = [&](uint32_t value, int count) {
    for (int i = count - 1; i >= 0; --i) part.push_back(static_cast<uint8_t>(value >> (8 * i)));
  };
  const auto size = static_cast<uint32_t>(exif.size());
  const bool jpeg = file[0] == 0xff;
  const std::string name = jpeg ? std::string("Exif\0\0", 6) : "eXIf";
  if (jpeg) {
    put(0xffe1, 2);
    put(size + 8, 2);
  } else {
    put(size, 4);
  }
  part.insert(part.end(), name.begin(), name.end());
  part.insert(part.end(), exif.begin(), exif.end());
  if (!jpeg) put(static_cast<uint32_t>(crc32(0, part.data() + 4, size + 4)), 4);
  std::vector<uint8_t> result = file;
  result.insert(result.begin() + (jpeg ? 2 : 33), part.begin(), part.end());
  return result;
}

Image stored_as(const Image& upright, int orientation) {
  Image stored;
  stored.shape = upright.shape;
  if (orientation >= 5) std::swap(stored.shape.height, stored.shape.width);
  const int rows = stored.shape.height;
  const int columns = stored.shape.width;
  // Where the standard says that row r and column c of the stored image are seen: row 0 at the top,
  // the bottom, the left or the right, and column 0 likewise.
  const auto seen = [&](int r, int c) -> std::pair<int, int> {
    switch (orientation) {
      case 2:  // top, right
        return {r, columns - 1 - c};
      case 3:  // bottom, right
        return {rows - 1 - r, columns - 1 - c};
      case 4:  // bottom, left
        return {rows - 1 - r, c};
      case 5:  // left, top
        return {c, r};
      case 6:  // right, top
        return {c, rows - 1 - r};
      case 7:  // right, bottom
        return {columns - 1 - c, rows - 1 - r};
      case 8:  // left, bottom
        return {columns - 1 - c, r};
      default:
        return {r, c};
    }
  };
  const int channels = upright.shape.channels;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const auto [y, x] = seen(r, c);
      const uint8_t* pixel = &upright.pixels[(y * upright.shape.width + x) * channels];
      stored.pixels.insert(stored.pixels.end(), pixel, pixel + channels);
    }
  }
  return stored;
}

std::vector<uint8_t> encode_jpeg_as(const Shape& shape, const std::vector<uint8_t>& pixels,
                                    const JpegForm& form) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);  // ends the test program on an error
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  const int channels = form.cmyk ? 4 : shape.channels;
  info.image_width = static_cast<JDIMENSION>(shape.width);
  info.image_height = static_cast<JDIMENSION>(shape.height);
  info.input_components = channels;
  info.in_color_space = form.cmyk ? JCS_CMYK : channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, form.quality, TRUE);
  if (form.progressive) jpeg_simple_progression(&info);
  if (channels == 3) {
    info.comp_info[0].h_samp_factor = form.h_samp;
    info.comp_info[0].v_samp_factor = form.v_samp;
  }
  if (form.cmyk && !form.adobe) info.write_Adobe_marker = FALSE;
  jpeg_start_compress(&info, TRUE);
  const std::size_t row = static_cast<std::size_t>(shape.width) * channels;
  while (info.next_scanline < info.image_height) {
    auto* from = const_cast<JSAMPROW>(&pixels[info.next_scanline * row]);
    jpeg_write_scanlines(&info, &from, 1);
  }
  jpeg_finish_compress(&info);
  std::vector<uint8_t> result(bytes, bytes + size);
  jpeg_destroy_compress(&info);
  std::free(bytes);
  return result;
}

Image plain_jpeg(std::span<const uint8_t> bytes, int channels, int eighths) {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes.data(), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  info.scale_num = static_cast<unsigned>(eighths);
  info.scale_denom = 8;
  jpeg_start_decompress(&info);
  Image image;
  image.shape = {channels, static_cast<int>(info.output_height),
                 static_cast<int>(info.output_width)};
  image.pixels.resize(image.shape.size());
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = &image.pixels[std::size_t{info.output_scanline} * info.output_width *
                                 static_cast<unsigned>(channels)];
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return image;
}

}  // namespace renas::test
