// renas-prep-images converts a folder of JPEG and PNG images to the project's HDF5.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "cli/environment.h"
#include "cli/frame.h"
#include "files.h"
#include "parallel.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"
#include "renas/image.h"
#include "report.h"
#include "tree.h"

namespace {

using namespace renas::prep;
using renas::ChannelStatistics;
using renas::Image;
using renas::InvalidInput;
using renas::Shape;

struct Options {
  std::string folder;
  std::string out;
  TreeOptions tree;
  std::string size;      // HxW: images of one size
  int shorter_side = 0;  // else: larger images are scaled down to it
  int quality = 95;
  int channels = 3;
  bool drop_duplicates = false;
  bool force = false;
  int threads = 0;
  int64_t max_pixels = renas::kDefaultMaxPixels;
};

// The result of preparing one file.
struct Prepared {
  std::vector<uint8_t> bytes;  // pixels, or an encoded image
  std::string failure;         // why there are none
  std::size_t hash = 0;        // of the file
  std::size_t file_bytes = 0;
  std::optional<ChannelStatistics> statistics;
  bool scaled = false;
  bool misnamed = false;
};

// Scales an image to cover height x width and crops the centre.
Image cover(const Image& image, int height, int width) {
  if (image.shape.height == height && image.shape.width == width) return image;
  const double scale = std::max(static_cast<double>(height) / image.shape.height,
                                static_cast<double>(width) / image.shape.width);
  const auto scaled = [scale](int length, int least) {
    return std::max(least, static_cast<int>(length * scale + 0.5));
  };
  const Image whole = renas::resize_image(image, scaled(image.shape.height, height),
                                          scaled(image.shape.width, width));
  return renas::crop_image(whole, (whole.shape.height - height) / 2,
                           (whole.shape.width - width) / 2, height, width);
}

Image shorten(const Image& image, int side) {
  const int shorter = std::min(image.shape.height, image.shape.width);
  const auto scaled = [&](int length) {
    return static_cast<int>((int64_t{length} * side * 2 + shorter) / (int64_t{shorter} * 2));
  };
  return renas::resize_image(image, scaled(image.shape.height), scaled(image.shape.width));
}

bool is_misnamed(const std::string& path, renas::ImageKind kind) {
  const bool png =
      path.size() > 4 && (path.back() | 0x20) == 'g' && (path[path.size() - 2] | 0x20) == 'n';
  return png != (kind == renas::ImageKind::kPng);
}

Prepared prepare(const std::string& path, const Options& options,
                 const std::optional<Shape>& fixed) {
  Prepared result;
  try {
    std::vector<uint8_t> file = read_file(path, int64_t{1} << 30);
    result.file_bytes = file.size();
    result.hash = std::hash<std::string_view>()(
        std::string_view(reinterpret_cast<const char*>(file.data()), file.size()));
    result.misnamed = is_misnamed(path, renas::inspect_image(file).kind);
    renas::DecodeOptions decoding;
    decoding.channels = options.channels;
    decoding.max_pixels = options.max_pixels;
    // Every image is decoded, so that training meets no bad one.
    Image image = renas::decode_image(file, decoding);
    if (fixed) {
      result.scaled = image.shape.height != fixed->height || image.shape.width != fixed->width;
      image = cover(image, fixed->height, fixed->width);
      result.bytes = std::move(image.pixels);
      result.statistics.emplace(options.channels);
      result.statistics->add(result.bytes);
      return result;
    }
    const int shorter = std::min(image.shape.height, image.shape.width);
    if (options.shorter_side > 0 && shorter > options.shorter_side) {
      image = shorten(image, options.shorter_side);
      result.bytes = renas::encode_jpeg(image, options.quality);
      result.scaled = true;
    } else {
      result.bytes = std::move(file);
    }
    result.statistics.emplace(options.channels);
    result.statistics->add(image.pixels);
  } catch (const renas::Error& error) {
    result.failure = error.what();
  }
  return result;
}

class Program {
 public:
  explicit Program(const Options& options) : options_(options), statistics_(options.channels) {
    if (options.size.empty()) return;
    fixed_ = renas::parse_shape(fmt::format("{}x{}", options.size, options.channels));
  }

  void run() {
    renas::DataSetWriter writer(options_.out, options_.force);
    const ImageTree tree = scan_tree(options_.folder, options_.tree);
    for (const auto& skipped : tree.skipped) report_.skip(skipped.reason, skipped.path);
    int64_t total = 0;
    for (const auto& split : tree.splits) total += static_cast<int64_t>(split.images.size());
    Progress progress("images", total);
    for (const auto& split : tree.splits) add_split(split, writer, progress);

    renas::DataSetInfo info;
    info.class_names = tree.class_names;
    info.classes = static_cast<int>(tree.class_names.size());
    info.mean = statistics_.mean();
    info.sd = statistics_.sd();
    info.source = "pictures in " + options_.folder;
    writer.finish(info);
    progress_end(tree, info);
  }

 private:
  void add_split(const ImageTree::Split& split, renas::DataSetWriter& writer, Progress& progress) {
    int64_t bytes = 0;  // an upper limit where images are scaled
    for (const auto& image : split.images) {
      std::error_code missing;
      const auto size = std::filesystem::file_size(image.path, missing);
      if (!missing) bytes += static_cast<int64_t>(size);
    }
    writer.begin_split(split.name, fixed_.value_or(Shape{options_.channels, 0, 0}), bytes);
    std::vector<int32_t> labels;
    in_order<Prepared>(
        static_cast<int64_t>(split.images.size()), options_.threads,
        [&](int64_t i) { return prepare(split.images[i].path, options_, fixed_); },
        [&](int64_t i, Prepared prepared) {
          const auto& image = split.images[i];
          if (add(image, prepared, writer)) {
            labels.push_back(image.label);
            if (split.name == "train") statistics_.add(*prepared.statistics);
          }
          progress.update(++done_);
        });
    if (labels.empty()) {
      throw InvalidInput(fmt::format("{}: none of its images could be used", split.folder));
    }
    report_.count(split.name, labels);
  }

  bool add(const ImageTree::Image& image, const Prepared& prepared, renas::DataSetWriter& writer) {
    if (!prepared.failure.empty()) {
      if (!options_.tree.skip_bad) {
        const bool named = prepared.failure.rfind(image.path, 0) == 0;
        throw InvalidInput(fmt::format("{}{}{} (--skip-bad leaves such images out and counts them)",
                                       named ? "" : image.path, named ? "" : ": ",
                                       prepared.failure));
      }
      report_.skip("cannot be used", prepared.failure.rfind(image.path, 0) == 0
                                         ? prepared.failure
                                         : image.path + ": " + prepared.failure);
      return false;
    }
    const auto [first, is_new] = seen_.try_emplace(prepared.hash, image.path, prepared.file_bytes);
    if (!is_new && first->second.second == prepared.file_bytes &&
        read_file(first->second.first) == read_file(image.path)) {
      const std::string which = image.path + " is " + first->second.first;
      if (options_.drop_duplicates) {
        report_.skip("duplicate", which);
        return false;
      }
      ++duplicates_;
      if (duplicates_ == 1) first_duplicate_ = which;
    }
    scaled_ += prepared.scaled ? 1 : 0;
    misnamed_ += prepared.misnamed ? 1 : 0;
    writer.add(prepared.bytes, image.label);
    return true;
  }

  void progress_end(const ImageTree& tree, const renas::DataSetInfo& info) const {
    report_.print(options_.out, info);
    for (const auto& split : tree.splits) {
      if (split.name == "test" && split.folder == options_.folder + "/val") {
        fmt::print(
            "the folder val is the split test, since there is no folder test (--keep-val)\n");
      }
    }
    if (scaled_ > 0) fmt::print("scaled: {}\n", scaled_);
    if (misnamed_ > 0) fmt::print("JPEG named as PNG or PNG named as JPEG: {}\n", misnamed_);
    if (duplicates_ > 0) {
      fmt::print("duplicates, kept (--drop-duplicates leaves them out): {}, the first: {}\n",
                 duplicates_, first_duplicate_);
    }
  }

  Options options_;
  std::optional<Shape> fixed_;
  ChannelStatistics statistics_;
  Report report_;
  int64_t done_ = 0;
  int64_t scaled_ = 0;
  int64_t misnamed_ = 0;
  int64_t duplicates_ = 0;
  std::string first_duplicate_;
  std::unordered_map<std::size_t, std::pair<std::string, std::size_t>> seen_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Turns a folder of JPEG and PNG images, DIR/train/CLASS/IMAGE and val and test likewise, "
      "into a "
      "data set for RENAS. Images of varying size stay encoded (JPEG stays JPEG, byte for byte "
      "unless "
      "scaled) and are decoded while training; --size makes a set of one size, which needs no "
      "decoding.",
      "renas-prep-images");
  renas::cli::prepare(app);
  Options options;
  app.add_option("DIR", options.folder, "Folder with train, and val or test or both")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("OUT", options.out, "The HDF5 file to write")->required();
  auto* size =
      app.add_option("--size", options.size,
                     "Images of one size, such as 64x64: scaled to cover it (Lanczos), the "
                     "centre cut out; those that have it stay as they are");
  app.add_option(
         "--shorter-side", options.shorter_side,
         "Scale images down to this shorter side (ImageNet: 480), as JPEG; smaller ones stay "
         "as they are")
      ->check(CLI::Range(1, 65500))
      ->excludes(size);
  app.add_option("--quality", options.quality, "JPEG quality of scaled images")
      ->check(CLI::Range(1, 100));
  app.add_option("--channels", options.channels, "3: colour, 1: grey")
      ->check(CLI::IsMember({1, 3}));
  app.add_option(
         "--val-labels", options.tree.val_labels,
         "For a flat val folder: a file of lines NAME CLASS, the class by the name of train's "
         "folder or by number from 0; LOC_val_solution.csv of ImageNet will do")
      ->check(CLI::ExistingFile);
  app.add_flag(
      "--keep-val", options.tree.keep_val,
      "Store the folder val as split val even where there is no test (it would become test)");
  app.add_flag(
      "--skip-bad", options.tree.skip_bad,
      "Leave out and count what else stops the program: images that are damaged, truncated, "
      "too large or unreadable, classes without images, names without images");
  app.add_flag("--drop-duplicates", options.drop_duplicates,
               "Keep only the first of several equal files (they are counted anyway)");
  app.add_option("--max-pixels", options.max_pixels, "Refuse larger images before decoding them")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 32));
  app.add_option("--threads", options.threads, "Threads that decode; 0: one a core")
      ->check(CLI::Range(0, 1024));
  app.add_flag("--force", options.force, "Overwrite OUT where it exists");
  return renas::cli::run(app, argc, argv, [&] {
    if (options.threads == 0) {
      options.threads = renas::cli::default_threads().count;
    }
    Program(options).run();
    return renas::cli::kDone;
  });
}
