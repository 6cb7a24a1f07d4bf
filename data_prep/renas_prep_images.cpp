// renas-prep-images converts a folder of JPEG and PNG images to the project's HDF5.

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "cli/environment.h"
#include "cli/frame.h"
#include "cli/options.h"
#include "cli/parallel.h"
#include "duplicates.h"
#include "files.h"
#include "names.h"
#include "outputs.h"
#include "picture.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"
#include "renas/image.h"
#include "report.h"
#include "tree.h"
#include "values16.h"

namespace {

using namespace renas::prep;
using renas::ChannelStatistics;
using renas::InvalidInput;
using renas::Shape;

struct Options {
  std::string folder;
  std::string out;
  std::string left_out;  // file that lists what was left out
  TreeOptions tree;
  PictureOptions picture;
  std::string size;  // HEIGHTxWIDTH: images of one size
  std::string range_16;
  bool drop_duplicates = false;
  bool force = false;
  int threads = 0;
};

Shape parse_size(const std::string& size, int channels) {
  try {
    return renas::parse_shape(fmt::format("{}x{}", size, channels));
  } catch (const InvalidInput&) {
  }
  std::vector<std::string> parts;
  std::istringstream stream(size);
  for (std::string part; std::getline(stream, part, 'x');) parts.push_back(part);
  std::string advice = "64x64";
  try {
    if (parts.size() == 1) parts.push_back(parts[0]);
    if (parts.size() >= 2) {
      const std::string first_two = parts[0] + "x" + parts[1];
      renas::parse_shape(first_two + "x1");
      advice = first_two;
    }
  } catch (const InvalidInput&) {
  }
  throw InvalidInput(
      fmt::format("--size {}: expected HEIGHTxWIDTH; write --size {}", size, advice));
}

class Program {
 public:
  explicit Program(const Options& options)
      : options_(options),
        choice_16_(parse_choice_16(options.range_16)),
        statistics_(options.picture.channels),
        outputs_(options.out, options.force, options.left_out) {
    PictureOptions& picture = options_.picture;
    if (!options.size.empty()) picture.fixed = parse_size(options.size, picture.channels);
    if (choice_16_.kind == Choice16::Kind::kRange) picture.range_16 = choice_16_.range;
  }

  void run() {
    for (const auto& [split, table] : options_.tree.labels) {
      if (!table.empty()) outputs_.expect_other(table);
    }
    const ImageTree tree = scan_tree(options_.folder, options_.tree);
    for (const auto& skipped : tree.skipped) report_.skip(skipped.reason, skipped.path);
    for (const std::string& note : tree.notes) report_.note(note);
    for (const auto& split : tree.splits) {
      for (const auto& image : split.images) outputs_.expect_other(image.path);
    }
    if (choice_16_.kind == Choice16::Kind::kWholeSet) find_range(tree);
    int64_t total = 0;
    for (const auto& split : tree.splits) total += static_cast<int64_t>(split.images.size());
    Progress progress("images", total);
    for (const auto& split : tree.splits) add_split(split, tree, progress);
    check_classes(options_.folder, tree.class_names, counts_, class_rules(options_.tree));
    check_16_bits();

    renas::DataSetInfo info;
    info.class_names = tree.class_names;
    info.classes = static_cast<int>(tree.class_names.size());
    info.mean = statistics_.mean();
    info.sd = statistics_.sd();
    info.source = as_utf8("pictures in " + options_.folder);
    if (values_16_.images() > 0) info.range_16 = options_.picture.range_16;
    outputs_.finish(info, report_);
    note_what_was_done();
    report_.print(options_.out, info);
    duplicates_.print("--drop-duplicates leaves them out");
  }

 private:
  // Finds the range of the 16-bit values of all images.
  void find_range(const ImageTree& tree) {
    Values16 values;
    for (const auto& split : tree.splits) {
      renas::cli::in_order<std::vector<uint16_t>>(
          static_cast<int64_t>(split.images.size()), options_.threads,
          [&](int64_t i) {
            return read_values_16(split.images[i].path, options_.picture.max_pixels);
          },
          [&](int64_t, const std::vector<uint16_t>& some) { values.add(some); });
    }
    if (values.images() > 0) options_.picture.range_16 = values.range();
  }

  void add_split(const ImageTree::Split& split, const ImageTree& tree, Progress& progress) {
    int64_t bytes = 0;  // an upper limit where images are scaled
    for (const auto& image : split.images) {
      std::error_code missing;
      const auto size = std::filesystem::file_size(image.path, missing);
      if (!missing) bytes += static_cast<int64_t>(size);
    }
    outputs_.data().begin_split(
        split.name, options_.picture.fixed.value_or(Shape{options_.picture.channels, 0, 0}), bytes);
    std::vector<int32_t> labels;
    std::vector<int64_t>& counts = counts_[split.name];
    counts.resize(tree.class_names.size());
    renas::cli::in_order<Picture>(
        static_cast<int64_t>(split.images.size()), options_.threads,
        [&](int64_t i) { return prepare_picture(split.images[i].path, options_.picture); },
        [&](int64_t i, const Picture& picture) {
          const auto& image = split.images[i];
          if (add(split.name, image, picture)) {
            labels.push_back(image.label);
            ++counts[image.label];
            if (split.name == "train") statistics_.add(*picture.statistics);
          }
          progress.update(++done_);
        });
    if (labels.empty()) {
      throw InvalidInput(fmt::format("{}: none of its images could be used", split.folder));
    }
    report_.count(split.name, labels);
  }

  bool add(const std::string& split, const ImageTree::Image& image, const Picture& picture) {
    if (!picture.failure.empty()) {
      const bool named = picture.failure.rfind(image.path, 0) == 0;
      const std::string failure =
          named ? picture.failure : fmt::format("{}: {}", image.path, picture.failure);
      if (!options_.tree.skip_bad) {
        throw InvalidInput(failure + " (--skip-bad leaves such images out and counts them)");
      }
      report_.skip("cannot be used", failure);
      return false;
    }
    const std::string equal = duplicates_.add(
        picture.hash, {image.path, split, image.label},
        [&](const std::string& earlier) { return read_file(earlier) == read_file(image.path); },
        options_.drop_duplicates);
    if (!equal.empty() && options_.drop_duplicates) {
      report_.skip("duplicate", image.path + " is " + equal);
      return false;
    }
    scaled_ += picture.scaled ? 1 : 0;
    misnamed_ += picture.misnamed ? 1 : 0;
    turned_ += picture.turned ? 1 : 0;
    values_16_.add(picture.values_16);
    if (!size_) size_ = picture.shape;
    one_size_ = one_size_ && *size_ == picture.shape;
    outputs_.data().add(picture.bytes, image.label);
    return true;
  }

  // Stops where nothing was said about 16-bit values and keeping the upper byte would take the
  // contrast out of the images.
  void check_16_bits() const {
    if (choice_16_.kind != Choice16::Kind::kUnsaid || !values_16_.loses_levels()) return;
    throw InvalidInput(fmt::format(
        "{}: {} images of 16 bits have {}. Say what 8 bits are to hold: --range-16 whole-set maps "
        "the values of all images to 0 to 255, --range-16 LOW:HIGH those that you name, and "
        "--range-16 upper-byte goes on with the upper byte",
        options_.folder, values_16_.images(), values_16_.text()));
  }

  void note_what_was_done() {
    if (scaled_ > 0) report_.note(fmt::format("scaled: {}", scaled_));
    if (misnamed_ > 0) {
      report_.note(fmt::format("JPEG named as PNG or PNG named as JPEG: {}", misnamed_));
    }
    if (turned_ > 0) {
      report_.note(options_.picture.as_stored
                       ? fmt::format("not turned, though EXIF says so (--as-stored): {}", turned_)
                       : fmt::format("turned upright as EXIF says (--as-stored leaves pixels as "
                                     "they are stored): {}",
                                     turned_));
    }
    if (values_16_.images() > 0) {
      const auto& range = options_.picture.range_16;
      report_.note(fmt::format(
          "images of 16 bits: {}, {}", values_16_.images(),
          range ? fmt::format("values {} to {} became 0 to 255", range->low, range->high)
                : fmt::format("the upper byte was kept (--range-16); {}", values_16_.text())));
    }
    if (!options_.picture.fixed && options_.picture.shorter_side == 0 && one_size_ && size_) {
      report_.note(fmt::format(
          "all images are {0}x{1}: --size {0}x{1} makes a set of one size, which needs no decoding",
          size_->height, size_->width));
    }
  }

  Options options_;
  Choice16 choice_16_;
  ChannelStatistics statistics_;
  Outputs outputs_;
  Report report_;
  Duplicates duplicates_;
  ClassCounts counts_;
  Values16 values_16_;
  std::optional<Shape> size_;  // of the first image
  bool one_size_ = true;       // all have it
  int64_t done_ = 0;
  int64_t scaled_ = 0;
  int64_t misnamed_ = 0;
  int64_t turned_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Turns a folder of JPEG and PNG images, DIR/train/CLASS/IMAGE and val and test likewise, "
      "into "
      "a data set for RENAS. Images of varying size stay encoded (JPEG stays JPEG, byte for byte "
      "unless scaled) and are decoded while training; --size makes a set of one size, which needs "
      "no "
      "decoding.\n\n"
      "  renas-prep-images photos photos.h5 --size 64x64              photos/{train,test}/CLASS/*\n"
      "  renas-prep-images photos photos.h5 --split 0.1               photos/CLASS/*, a tenth for "
      "test\n"
      "  renas-prep-images tiny-imagenet-200 tiny.h5 --size 64x64 \\\n"
      "      --val-labels tiny-imagenet-200/val/val_annotations.txt\n"
      "  renas-prep-images ILSVRC2012 imagenet.h5 --shorter-side 480 \\\n"
      "      --val-labels LOC_val_solution.csv",
      "renas-prep-images");
  renas::cli::prepare(app);
  Options options;
  TreeOptions& tree = options.tree;
  PictureOptions& picture = options.picture;
  app.add_option("DIR", options.folder,
                 "Folder with train, and val (or valid, validation, dev) or test or both")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("OUT", options.out, "The HDF5 file to write")->required();

  renas::cli::OptionGroup images(app, "Images");
  auto* size = images.option("--size", options.size,
                             "HEIGHTxWIDTH: images of one size, such as 64x64: scaled to cover it "
                             "(Lanczos), the centre cut out; those that have it stay as they are");
  images
      .option("--shorter-side", picture.shorter_side,
              "Scale images down to this shorter side (ImageNet: 480), as JPEG; smaller ones stay "
              "as they are")
      ->check(CLI::Range(1, 65500))
      ->excludes(size);
  images.option("--quality", picture.quality, "JPEG quality of scaled images")
      ->check(CLI::Range(1, 100));
  images.option("--channels", picture.channels, "3: colour, 1: grey")->check(CLI::IsMember({1, 3}));
  images.flag("--as-stored", picture.as_stored,
              "Pixels as they are stored; otherwise images are turned as their EXIF orientation "
              "says");
  images.option(
      "--range-16", options.range_16,
      "What 8 bits hold of images of 16 bits: LOW:HIGH, values that become 0 to 255, others are "
      "clamped; whole-set: the range that the images of the set have; upper-byte. Not given: "
      "the upper byte, but the program stops where that leaves few grey levels");
  images.option("--max-pixels", picture.max_pixels, "Refuse larger images before decoding them")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 32));

  renas::cli::OptionGroup classes(app, "Classes and splits");
  for (const char* split : {"train", "val", "test"}) {
    classes
        .option(fmt::format("--{}-labels", split), tree.labels[split],
                fmt::format("For a {} folder without folders of classes: a table NAME CLASS "
                            "(blanks, tabs, commas or semicolons between them; a header may name "
                            "the columns, as in filename,label){}",
                            split,
                            std::string(split) == "train"
                                ? ""
                                : "; all classes by name, or all by number from 0; ImageNet's "
                                  "LOC_val_solution.csv and Tiny ImageNet's val_annotations.txt "
                                  "will do"))
        ->check(CLI::ExistingFile);
  }
  classes
      .option("--split", tree.split,
              "Share of each class that becomes test, as 0.1; the classes are DIR/CLASS or "
              "DIR/train/CLASS")
      ->check(CLI::Range(0.0, 1.0));
  classes.option("--seed", tree.seed, "Decides which images --split takes");
  classes.option("--ignore", tree.ignore, "Folders in DIR that are left out, separated by commas")
      ->delimiter(',');
  classes.flag("--keep-val", tree.keep_val,
               "Store the folder val as split val even where there is no test (it would become "
               "test)");
  classes.flag("--allow-class-differences", tree.allow_class_differences,
               "Go on where the splits have different classes, or names of classes differ in case "
               "alone");

  renas::cli::OptionGroup faults(app, "Faults");
  faults.flag(
      "--skip-bad", tree.skip_bad,
      "Leave out and count what else stops the program: images that are damaged, truncated, "
      "too large or unreadable, classes without images, names without images, folders "
      "that are no split");
  faults.flag("--drop-duplicates", options.drop_duplicates,
              "Keep only the first of several equal files (they are counted anyway)");
  faults.option("--left-out", options.left_out,
                "File to write: all that was left out, a line REASON<tab>NAME each");

  app.add_option("--threads", options.threads, "Threads that decode; 0: one a core")
      ->check(CLI::Range(0, 1024));
  app.add_flag("--force", options.force, "Overwrite OUT and the list of --left-out");
  return renas::cli::run(app, argc, argv, [&] {
    if (options.threads == 0) {
      options.threads = renas::cli::default_threads().count;
    }
    Program(options).run();
    return renas::cli::kDone;
  });
}
