// renas-bench data: how fast images come out of a data set, beside plain ways of doing the same.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "renas/dataset.h"
#include "renas/error.h"
#include "renas/loader.h"
#ifdef RENAS_WITH_IMAGES
#include <jpeglib.h>

#include "renas/image.h"
#endif

namespace {

using renas::Augmentation;
using renas::DataSet;
using renas::Loader;
using renas::LoaderOptions;

struct Options {
  std::string small;   // data set of one size
  std::string images;  // data set of encoded images
  double seconds = 2;
  int rounds = 5;
};

// Of this process, so that others on the machine count less.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Things done in a second of one core: `work` does some and returns how many.
double rate(double seconds, const std::function<int64_t()>& work) {
  const double begin = cpu_seconds();
  double now = begin;
  int64_t done = 0;
  while (now - begin < seconds) {
    done += work();
    now = cpu_seconds();
  }
  return static_cast<double>(done) / (now - begin);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Noise is worse between minutes than between seconds: the ways take turns, and ratios are taken
// within a round.
struct Way {
  const char* name;
  std::function<int64_t()> work;
  std::vector<double> rates = {};
};

void compare(std::vector<Way> ways, const Options& options) {
  for (int round = 0; round < options.rounds; ++round) {
    for (Way& way : ways) way.rates.push_back(rate(options.seconds / options.rounds, way.work));
  }
  for (const Way& way : ways) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < way.rates.size(); ++i) {
      ratios.push_back(way.rates[i] / ways[0].rates[i]);
    }
    fmt::print("  {:<58}{:>10.0f} images/s{:>8.2f} times the first\n", way.name, median(way.rates),
               median(ratios));
  }
}

// Batches of one loader, epoch after epoch.
class Reader {
 public:
  Reader(const DataSet& data, const Augmentation& augmentation) {
    LoaderOptions options;
    options.augmentation = augmentation;
    options.threads = 0;  // all work in this thread: one core
    loader_ = std::make_unique<Loader>(data, renas::all_indices(data.size()), options);
    images_.resize(options.batch * loader_->shape().size());
    labels_.resize(options.batch);
    loader_->start(0);
  }
  int64_t operator()() {
    int count = loader_->next(images_, labels_);
    if (count > 0) return count;
    loader_->start(++epoch_);
    return loader_->next(images_, labels_);
  }

 private:
  std::unique_ptr<Loader> loader_;
  std::vector<float> images_;
  std::vector<int32_t> labels_;
  uint64_t epoch_ = 0;
};

std::vector<uint8_t> noise(int64_t size) {
  std::vector<uint8_t> values(size);
  uint32_t x = 1;
  for (uint8_t& value : values) value = static_cast<uint8_t>((x = x * 1664525 + 1013904223) >> 24);
  return values;
}

DataSet small_set(const Options& options) {
  if (!options.small.empty()) return DataSet::open(options.small, "train");
  const renas::Shape shape{3, 32, 32};
  return DataSet(shape, noise(10000 * shape.size()), std::vector<int32_t>(10000, 0));
}

// What normalising costs at the least: bytes to floats, channels last or first.
int64_t normalise(const std::vector<uint8_t>& pixels, bool planes, std::vector<float>& out) {
  constexpr int64_t kPictures = 64;
  constexpr int64_t kPlane = int64_t{32} * 32;
  for (int64_t n = 0; n < kPictures; ++n) {
    const uint8_t* in = pixels.data() + n * 3 * kPlane;
    float* to = out.data() + n * 3 * kPlane;
    for (int64_t c = 0; c < 3; ++c) {
      const float a = 0.01F * static_cast<float>(c + 1);
      for (int64_t i = 0; i < kPlane; ++i) {
        to[c * kPlane + i] =
            a * static_cast<float>(planes ? in[c * kPlane + i] : in[i * 3 + c]) - 1;
      }
    }
  }
  return kPictures;
}

void bench_small(const Options& options) {
  const DataSet data = small_set(options);
  fmt::print("{} images of {}, one core:\n",
             options.small.empty() ? "made-up" : options.small.c_str(), to_string(data.shape()));
  Reader plain(data, Augmentation::none());
  Reader search(data, Augmentation::search());
  Reader final(data, Augmentation::cifar_final());
  compare({{"loader, normalised", [&] { return plain(); }},
           {"loader, augmented as in the search", [&] { return search(); }},
           {"loader, the same and cutout", [&] { return final(); }}},
          options);
  const std::vector<uint8_t> pixels = noise(int64_t{64} * 3 * 32 * 32);
  std::vector<float> out(pixels.size());
  fmt::print("bytes to floats alone, 32x32x3, by their order in the file:\n");
  compare({{"channels last (the format's)", [&] { return normalise(pixels, false, out); }},
           {"planes", [&] { return normalise(pixels, true, out); }}},
          options);
}

#ifdef RENAS_WITH_IMAGES

// Of the size of ImageNet's average image, with its share of detail.
DataSet made_up_jpegs() {
  std::vector<std::vector<uint8_t>> files;
  for (int n = 0; n < 20; ++n) {
    renas::Image image{{3, 375, 500}, noise(int64_t{3} * 375 * 500)};
    for (std::size_t i = 0; i < image.pixels.size(); ++i) {
      const auto x = static_cast<int>(i / 3 % 500);
      const auto y = static_cast<int>(i / 1500);
      image.pixels[i] =
          static_cast<uint8_t>(image.pixels[i] / 8 + ((x * (n + 1) / 7) ^ (y / 3)) % 220);
    }
    files.push_back(renas::encode_jpeg(image, 90));
  }
  renas::DataSetInfo info;
  info.classes = 1;
  info.mean = {0.5, 0.5, 0.5};
  info.sd = {0.25, 0.25, 0.25};
  return DataSet::from_encoded(3, std::move(files), std::vector<int32_t>(20, 0), info);
}

// What the bench compares with: libjpeg-turbo's default decoding of the whole file to RGB.
void decode_whole(std::span<const uint8_t> file, std::vector<uint8_t>& pixels) {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, file.data(), file.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  const std::size_t row = std::size_t{info.output_width} * 3;
  pixels.resize(row * info.output_height);
  while (info.output_scanline < info.output_height) {
    JSAMPROW to = &pixels[info.output_scanline * row];
    jpeg_read_scanlines(&info, &to, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
}

void bench_images(const Options& options) {
  const DataSet data =
      options.images.empty() ? made_up_jpegs() : DataSet::open(options.images, "train");
  if (!data.encoded()) {
    throw renas::InvalidInput(options.images + ": expected a data set of encoded images");
  }
  std::vector<std::vector<uint8_t>> files;
  double bytes = 0;
  std::vector<uint8_t> buffer;
  for (int64_t i = 0; i < std::min<int64_t>(data.size(), 500); ++i) {
    const auto file = data.image(i, buffer);
    if (renas::inspect_image(file).kind != renas::ImageKind::kJpeg) continue;
    files.emplace_back(file.begin(), file.end());
    bytes += static_cast<double>(file.size());
  }
  if (files.empty()) throw renas::InvalidInput(options.images + ": no JPEG among the images");
  fmt::print("{} JPEG files of {:.0f} KB on average ({}), one core:\n", files.size(),
             bytes / static_cast<double>(files.size()) / 1000,
             options.images.empty() ? "made up" : options.images);
  std::size_t next = 0;
  const auto whole = [&]() -> int64_t {
    decode_whole(files[next], buffer);
    next = (next + 1) % files.size();
    return 1;
  };
  Reader train(data, Augmentation::imagenet());
  Reader last(data, Augmentation::imagenet_last());
  Reader centre(data, Augmentation::imagenet_center());
  compare({{"libjpeg-turbo, whole images to RGB", whole},
           {"loader, side 256 to 480, crop 224, flip, lighting", [&] { return train(); }},
           {"loader, side 256, crop 224, flip", [&] { return last(); }},
           {"loader, side 256, centre 224", [&] { return centre(); }}},
          options);
}

#endif

void bench(const Options& options) {
  bench_small(options);
#ifdef RENAS_WITH_IMAGES
  bench_images(options);
#endif
}

}  // namespace

void add_data_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "data", "How fast the loader augments small images, and decodes and crops large ones");
  command->add_option("--small", options->small,
                      "Data set of images of one size (default: made-up 32x32x3)");
  command->add_option("--images", options->images,
                      "Data set of encoded images (default: made-up JPEGs of 500x375)");
  command->add_option("--seconds", options->seconds, "Processor time for each figure")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  command->add_option("--rounds", options->rounds, "Turns that the ways of doing a thing take")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->callback([options] { bench(*options); });
}
