#include "data/jpeg.h"

#include <fmt/format.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
// libjpeg's headers need cstdio before them.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <string>

#include "renas/error.h"

namespace renas {
namespace {

// libjpeg reports errors by leaving through a longjmp; every function below that sets one has no
// objects to destroy between it and the jump.
struct Errors {
  jpeg_error_mgr manager;  // first, so that a pointer to it is one to Errors
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  bool damaged;
};

void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  errors->manager.format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;  // a trace
  auto* errors = reinterpret_cast<Errors*>(info->err);
  // These warnings are about oddities that change no pixel.
  const int code = errors->manager.msg_code;
  if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR ||
      errors->damaged) {
    return;
  }
  errors->damaged = true;
  errors->manager.format_message(info, errors->message);
}

void no_output(j_common_ptr) {}

// The number of scans is limited, because a progressive file of few bytes may have thousands of
// scans over a large image: hours of work.
constexpr int kMostScans = 500;

void on_progress(j_common_ptr info) {
  if (info->is_decompressor == FALSE) return;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMostScans) {
    auto* errors = reinterpret_cast<Errors*>(info->err);
    std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMostScans);
    std::longjmp(errors->jump, 1);
  }
}

void set_up(Errors& errors) {
  jpeg_std_error(&errors.manager);
  errors.manager.error_exit = on_error;
  errors.manager.emit_message = on_message;
  errors.manager.output_message = no_output;
  errors.message[0] = '\0';
  errors.damaged = false;
}

[[noreturn]] void fail(const Errors& errors) {
  throw InvalidInput(fmt::format("JPEG: {}", errors.message));
}

}  // namespace

struct JpegDecoder::State {
  jpeg_decompress_struct info;
  jpeg_progress_mgr progress;
  Errors errors;
  DecodeOptions options;
  int channels = 3;
  bool cmyk = false;

  bool read_header(const uint8_t* bytes, unsigned long size) {
    if (setjmp(errors.jump) != 0) return false;
    jpeg_create_decompress(&info);
    progress.progress_monitor = on_progress;
    info.progress = &progress;
    // The coefficients of progressive files take memory in proportion to the size, which was
    // checked.
    jpeg_mem_src(&info, bytes, size);
    jpeg_read_header(&info, TRUE);
    jpeg_calc_output_dimensions(&info);
    return true;
  }

  bool set_scale(int eighths) {
    if (setjmp(errors.jump) != 0) return false;
    info.scale_num = static_cast<unsigned>(eighths);
    info.scale_denom = 8;
    jpeg_calc_output_dimensions(&info);
    return true;
  }

  // Begins decoding. Rounds the window to block columns.
  bool begin(JDIMENSION* left, JDIMENSION* width) {
    if (setjmp(errors.jump) != 0) return false;
    jpeg_start_decompress(&info);
    if (*left != 0 || *width != info.output_width) jpeg_crop_scanline(&info, left, width);
    return true;
  }

  bool read_rows(JDIMENSION top, JDIMENSION count, JSAMPLE* pixels, std::size_t stride) {
    if (setjmp(errors.jump) != 0) return false;
    if (top > 0) jpeg_skip_scanlines(&info, top);
    const JDIMENSION end = top + count;
    while (info.output_scanline < end) {
      JSAMPROW rows[4];
      JDIMENSION n = 0;
      for (; n < 4 && info.output_scanline + n < end; ++n) {
        rows[n] = pixels + (info.output_scanline + n - top) * stride;
      }
      jpeg_read_scanlines(&info, rows, n);
    }
    // If the whole image is wanted, the file is read to its end, so that truncation is noticed.
    if (end == info.output_height) {
      jpeg_finish_decompress(&info);
    } else {
      jpeg_abort_decompress(&info);
    }
    return true;
  }
};

JpegDecoder::JpegDecoder(std::span<const uint8_t> bytes, const DecodeOptions& options)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.options = options;
  set_up(s.errors);
  s.info.err = &s.errors.manager;
  if (!s.read_header(bytes.data(), bytes.size())) {
    jpeg_destroy_decompress(&s.info);
    fail(s.errors);
  }
  const int64_t pixels = int64_t{s.info.image_width} * s.info.image_height;
  if (pixels > options.max_pixels) {
    const auto width = s.info.image_width;
    const auto height = s.info.image_height;
    jpeg_destroy_decompress(&s.info);
    throw InvalidInput(fmt::format("JPEG of {} x {} pixels, more than the limit of {}", width,
                                   height, options.max_pixels));
  }
  s.cmyk = s.info.jpeg_color_space == JCS_CMYK || s.info.jpeg_color_space == JCS_YCCK;
  const bool grey = s.info.jpeg_color_space == JCS_GRAYSCALE;
  s.channels = options.channels != 0 ? options.channels : grey ? 1 : 3;
  if (s.cmyk) {
    s.info.out_color_space = JCS_CMYK;
  } else if (s.channels == 3) {
    s.info.out_color_space = JCS_RGB;
  } else if (grey || s.info.jpeg_color_space == JCS_YCbCr || s.info.jpeg_color_space == JCS_RGB) {
    s.info.out_color_space = JCS_GRAYSCALE;
  }
}

JpegDecoder::~JpegDecoder() { jpeg_destroy_decompress(&state_->info); }

Shape JpegDecoder::shape() const {
  return {state_->channels, static_cast<int>(state_->info.output_height),
          static_cast<int>(state_->info.output_width)};
}

bool JpegDecoder::windows() const { return !state_->cmyk; }

void JpegDecoder::scale(int eighths) {
  if (!state_->set_scale(eighths)) fail(state_->errors);
}

Window JpegDecoder::decode(const Window& window, std::vector<uint8_t>& pixels) {
  State& s = *state_;
  const bool whole = window.height == 0 || s.cmyk;
  auto left = static_cast<JDIMENSION>(whole ? 0 : window.left);
  JDIMENSION width = whole ? s.info.output_width : static_cast<JDIMENSION>(window.width);
  const auto top = static_cast<JDIMENSION>(whole ? 0 : window.top);
  const JDIMENSION height = whole ? s.info.output_height : static_cast<JDIMENSION>(window.height);
  if (!s.begin(&left, &width)) fail(s.errors);
  const std::size_t count = std::size_t{height} * width;
  const std::size_t stride = std::size_t{width} * (s.cmyk ? 4 : s.channels);
  std::vector<uint8_t> inks;
  std::vector<uint8_t>& to = s.cmyk ? inks : pixels;
  to.resize(height * stride);
  if (!s.read_rows(top, height, to.data(), stride) || (s.errors.damaged && s.options.strict)) {
    fail(s.errors);
  }
  if (s.cmyk) {
    // Adobe's files store 255 for no ink; others 0. Ink takes light away from white.
    const bool inverted = s.info.saw_Adobe_marker == TRUE;
    pixels.resize(count * s.channels);
    for (std::size_t i = 0; i < count; ++i) {
      int light[4];
      for (std::size_t c = 0; c < 4; ++c) {
        light[c] = inverted ? inks[i * 4 + c] : 255 - inks[i * 4 + c];
      }
      int rgb[3];
      for (std::size_t c = 0; c < 3; ++c) rgb[c] = (light[c] * light[3] + 127) / 255;
      if (s.channels == 3) {
        for (std::size_t c = 0; c < 3; ++c) pixels[i * 3 + c] = static_cast<uint8_t>(rgb[c]);
      } else {
        pixels[i] = static_cast<uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
      }
    }
  }
  return {static_cast<int>(top), static_cast<int>(left), static_cast<int>(height),
          static_cast<int>(width)};
}

namespace {

struct Encoder {
  jpeg_compress_struct info;
  Errors errors;
  unsigned char* bytes = nullptr;
  unsigned long size = 0;

  bool encode(const Shape& shape, const uint8_t* pixels, int quality) {
    if (setjmp(errors.jump) != 0) return false;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &size);
    info.image_width = static_cast<JDIMENSION>(shape.width);
    info.image_height = static_cast<JDIMENSION>(shape.height);
    info.input_components = shape.channels;
    info.in_color_space = shape.channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    info.optimize_coding = TRUE;
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      auto* row = const_cast<JSAMPROW>(pixels + std::size_t{info.next_scanline} * info.image_width *
                                                    static_cast<unsigned>(info.input_components));
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    return true;
  }
};

}  // namespace

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  const Shape& shape = image.shape;
  if ((shape.channels != 1 && shape.channels != 3) || shape.height < 1 || shape.width < 1 ||
      static_cast<int64_t>(image.pixels.size()) != shape.size() || quality < 1 || quality > 100) {
    throw InvalidInput(fmt::format("cannot encode {} bytes of {} as JPEG of quality {}",
                                   image.pixels.size(), to_string(shape), quality));
  }
  Encoder encoder;
  set_up(encoder.errors);
  encoder.info.err = &encoder.errors.manager;
  const bool good = encoder.encode(shape, image.pixels.data(), quality);
  std::vector<uint8_t> bytes;
  if (good) bytes.assign(encoder.bytes, encoder.bytes + encoder.size);
  jpeg_destroy_compress(&encoder.info);
  std::free(encoder.bytes);
  if (!good) fail(encoder.errors);
  return bytes;
}

}  // namespace renas
