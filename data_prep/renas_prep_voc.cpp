// renas-prep-voc converts images and their masks in the folders of PASCAL VOC to the project's
// HDF5.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/environment.h"
#include "cli/frame.h"
#include "cli/options.h"
#include "cli/parallel.h"
#include "duplicates.h"
#include "files.h"
#include "mask.h"
#include "names.h"
#include "outputs.h"
#include "pair_list.h"
#include "picture.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"
#include "report.h"
#include "sbd.h"

namespace {

namespace fs = std::filesystem;
using namespace renas::prep;
using renas::InvalidInput;

constexpr const char* kVocClasses[] = {
    "background", "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",
    "car",        "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",
    "motorbike",  "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor"};

struct Options {
  std::string folder;
  std::string out;
  std::map<std::string, std::string> lists;  // by split
  std::string classes;
  std::string images = "JPEGImages";
  std::string masks = "SegmentationClass";
  std::string sbd;
  std::string left_out;
  int void_value = renas::kVoid;
  bool skip_bad = false;
  bool force = false;
  int threads = 0;
  PictureOptions picture;
};

struct Files {
  std::string image;
  std::string mask;
};

/// A pair that was prepared.
struct Pair {
  Picture picture;
  renas::Image mask;
  std::vector<int64_t> pixels;  // of each class, then void
  std::string failure;
};

/// What a split has.
struct SplitCounts {
  std::string name;
  int64_t pairs = 0;
  std::vector<int64_t> pixels;  // of each class, then void
  renas::Shape least;
  renas::Shape most;

  void add(const Pair& pair) {
    const renas::Shape& shape = pair.picture.shape;
    if (pairs++ == 0) {
      least = most = shape;
      pixels.resize(pair.pixels.size());
    }
    least = {3, std::min(least.height, shape.height), std::min(least.width, shape.width)};
    most = {3, std::max(most.height, shape.height), std::max(most.width, shape.width)};
    for (std::size_t k = 0; k < pixels.size(); ++k) pixels[k] += pair.pixels[k];
  }
};

class Program {
 public:
  explicit Program(const Options& options)
      : options_(options),
        statistics_(options.picture.channels),
        outputs_(options.out, options.force, options.left_out) {}

  void run() {
    read_classes();
    std::map<std::string, std::vector<Files>> splits;
    int64_t total = 0;
    for (const auto& [split, list] : options_.lists) {
      splits[split] = read_list(split, list);
      total += static_cast<int64_t>(splits[split].size());
    }
    if (!options_.sbd.empty()) total += add_sbd(splits);
    for (const auto& [split, files] : splits) {
      for (const Files& pair : files) {
        outputs_.expect_other(pair.image);
        outputs_.expect_other(pair.mask);
      }
    }
    Progress progress("pairs", total);
    for (const char* split : {"train", "val", "test"}) {
      if (splits.contains(split)) add_split(split, splits[split], progress);
    }
    renas::DataSetInfo info;
    info.class_names = names_;
    info.classes = static_cast<int>(names_.size());
    info.mean = statistics_.mean();
    info.sd = statistics_.sd();
    info.source = as_utf8("images and masks in " + options_.folder);
    outputs_.finish(info, report_);
    note_pixels();
    report_.print(options_.out, info);
    duplicates_.print("");
  }

 private:
  void read_classes() {
    std::string file = options_.classes;
    const std::string beside = options_.folder + "/classes.txt";
    if (file.empty() && fs::exists(beside)) file = beside;
    if (file.empty()) {
      names_.assign(std::begin(kVocClasses), std::end(kVocClasses));
      return;
    }
    outputs_.expect_other(file);
    for (const std::string& line : read_lines(file)) {
      if (!line.empty()) names_.push_back(line);
    }
    if (names_.size() < 2 || names_.size() > 255) {
      throw InvalidInput(
          fmt::format("{}: expected 2 to 255 classes, the name of each on a line, found {}", file,
                      names_.size()));
    }
    names_ = class_names(std::move(names_), file, report_);
  }

  std::vector<Files> read_list(const std::string& split, const std::string& list) {
    std::string path = list;
    const std::string voc = fmt::format("{}/ImageSets/Segmentation/{}", options_.folder, list);
    for (const std::string& other : {voc, voc + ".txt"}) {
      if (!fs::is_regular_file(path) && fs::is_regular_file(other)) path = other;
    }
    if (!fs::is_regular_file(path)) {
      throw InvalidInput(fmt::format(
          "--{} {}: there is no such list, and none of that name in {}/ImageSets/Segmentation",
          split, list, options_.folder));
    }
    outputs_.expect_other(path);
    std::vector<Files> files;
    for (const PairLine& line : parse_pair_list(read_lines(path), path)) {
      Files pair;
      if (line.id.empty()) {
        pair = {options_.folder + "/" + line.image, options_.folder + "/" + line.mask};
      } else {
        const std::string image =
            fmt::format("{}/{}/{}", options_.folder, options_.images, line.id);
        pair = {image + ".jpg",
                fmt::format("{}/{}/{}.png", options_.folder, options_.masks, line.id)};
        for (const char* ending : {".jpeg", ".png", ".JPG"}) {
          if (!fs::exists(pair.image) && fs::exists(image + ending)) pair.image = image + ending;
        }
      }
      const auto [earlier, fresh] =
          split_of_.emplace(fs::path(pair.image).lexically_normal().string(), split);
      if (!fresh) {
        throw InvalidInput(fmt::format("{}: {} is in the list of {} too; no image may be in two",
                                       path, pair.image, earlier->second));
      }
      files.push_back(std::move(pair));
    }
    return files;
  }

  /// Adds to the training images all of SBD that no list has. Returns how many these are.
  int64_t add_sbd(std::map<std::string, std::vector<Files>>& splits) {
    if (!options_.lists.contains("val")) {
      throw InvalidInput(
          "--sbd and no --val: SBD has many of the images of VOC's val, so name that list to leave "
          "them out");
    }
    std::set<std::string> taken;
    for (const auto& [split, files] : splits) {
      for (const Files& pair : files) taken.insert(fs::path(pair.image).stem().string());
    }
    std::vector<Files>& train = splits["train"];
    const std::size_t before = train.size();
    for (const char* list : {"train.txt", "val.txt"}) {
      const std::string path = options_.sbd + "/" + list;
      outputs_.expect_other(path);
      for (const PairLine& line : parse_pair_list(read_lines(path), path)) {
        if (line.id.empty()) throw InvalidInput(path + ": expected ids, as SBD's lists have");
        if (!taken.insert(line.id).second) continue;
        train.push_back({fmt::format("{}/img/{}.jpg", options_.sbd, line.id),
                         fmt::format("{}/cls/{}.mat", options_.sbd, line.id)});
      }
    }
    constexpr std::size_t kOfVoc = 1464;
    constexpr std::size_t kTrainAug = 10582;
    const std::size_t added = train.size() - before;
    report_.note(fmt::format(
        "train: {} of the list and {} of SBD, {} in all{}", before, added, train.size(),
        train.size() == kTrainAug
            ? ", as trainaug has"
            : fmt::format("; VOC's train and SBD without VOC's val are {} and {}, {} in all "
                          "(trainaug)",
                          kOfVoc, kTrainAug - kOfVoc, kTrainAug)));
    return static_cast<int64_t>(added);
  }

  Pair prepare(const Files& files) const {
    Pair pair;
    pair.picture = prepare_picture(files.image, options_.picture);
    if (!pair.picture.failure.empty()) {
      pair.failure = named(files.image, pair.picture.failure);
      return pair;
    }
    try {
      const bool of_sbd = fs::path(files.mask).extension() == ".mat";
      pair.mask = prepare_mask(
          of_sbd ? read_sbd_mask(files.mask) : renas::decode_index_map(read_file(files.mask)),
          static_cast<int>(names_.size()), options_.void_value);
    } catch (const renas::Error& error) {
      pair.failure = named(files.mask, error.what());
      return pair;
    }
    const renas::Shape& image = pair.picture.shape;
    if (image.height != pair.mask.shape.height || image.width != pair.mask.shape.width) {
      pair.failure = fmt::format(
          "{}: {} rows, {} columns, but its mask {} has {} and {}{}", files.image, image.height,
          image.width, files.mask, pair.mask.shape.height, pair.mask.shape.width,
          pair.picture.turned ? "; the image was turned as EXIF says (--as-stored leaves it)" : "");
      return pair;
    }
    pair.pixels = count_pixels(pair.mask, static_cast<int>(names_.size()));
    return pair;
  }

  static std::string named(const std::string& path, const std::string& failure) {
    return failure.rfind(path, 0) == 0 ? failure : fmt::format("{}: {}", path, failure);
  }

  void add_split(const std::string& split, const std::vector<Files>& files, Progress& progress) {
    int64_t bytes = 0;
    for (const Files& pair : files) {
      std::error_code missing;
      const auto size = fs::file_size(pair.image, missing);
      if (!missing) bytes += static_cast<int64_t>(size);
    }
    outputs_.data().begin_split(split, {options_.picture.channels, 0, 0}, bytes);
    std::vector<int32_t> labels;
    SplitCounts counts;
    counts.name = split;
    renas::cli::in_order<Pair>(
        static_cast<int64_t>(files.size()), options_.threads,
        [&](int64_t i) { return prepare(files[static_cast<std::size_t>(i)]); },
        [&](int64_t i, const Pair& pair) {
          progress.update(++done_);
          if (!pair.failure.empty()) {
            if (!options_.skip_bad) {
              throw InvalidInput(pair.failure +
                                 " (--skip-bad leaves such pairs out and counts them)");
            }
            return report_.skip("cannot be used", pair.failure);
          }
          // The class of most of its pixels stands for an image where a class of it is asked for.
          const auto end = pair.pixels.end() - 1;
          labels.push_back(static_cast<int32_t>(std::max_element(pair.pixels.begin(), end) -
                                                pair.pixels.begin()));
          outputs_.data().add_pair(pair.picture.bytes, pair.mask, labels.back());
          counts.add(pair);
          find_duplicates(split, files[static_cast<std::size_t>(i)].image, pair);
          if (split == "train") statistics_.add(*pair.picture.statistics);
        });
    if (labels.empty()) {
      throw InvalidInput(fmt::format("--{}: none of its pairs could be used", split));
    }
    counts_.push_back(std::move(counts));
    report_.count(split, labels);
  }

  // Equal images whose masks differ contradict each other; a mask is known by its hash.
  void find_duplicates(const std::string& split, const std::string& image, const Pair& pair) {
    const std::string_view mask(reinterpret_cast<const char*>(pair.mask.pixels.data()),
                                pair.mask.pixels.size());
    duplicates_.add(
        pair.picture.hash,
        {image, split, static_cast<int32_t>(std::hash<std::string_view>()(mask))},
        [&](const std::string& earlier) { return read_file(earlier) == read_file(image); });
  }

  void note_pixels() {
    report_.note("the table above counts images by the class of most of their pixels");
    std::string header;
    for (const SplitCounts& c : counts_) {
      const auto all = static_cast<double>(std::max<int64_t>(1, sum(c.pixels)));
      report_.note(fmt::format("{}: {} pairs of {}x{} to {}x{} pixels, {:.2f} % void", c.name,
                               c.pairs, c.least.height, c.least.width, c.most.height, c.most.width,
                               100 * static_cast<double>(c.pixels.back()) / all));
      header += fmt::format("{:>9}", c.name);
    }
    report_.note(header + "  % of the pixels that are not void");
    for (std::size_t k = 0; k < names_.size(); ++k) {
      std::string row;
      for (const SplitCounts& c : counts_) {
        const auto known =
            static_cast<double>(std::max<int64_t>(1, sum(c.pixels) - c.pixels.back()));
        row += fmt::format("{:>9.2f}", 100 * static_cast<double>(c.pixels[k]) / known);
      }
      report_.note(row + "  " + names_[k]);
    }
  }

  static int64_t sum(const std::vector<int64_t>& counts) {
    int64_t all = 0;
    for (const int64_t count : counts) all += count;
    return all;
  }

  Options options_;
  renas::ChannelStatistics statistics_;
  Outputs outputs_;
  Report report_;
  Duplicates duplicates_{"mask", "masks"};
  std::vector<std::string> names_;
  std::map<std::string, std::string> split_of_;  // by image
  std::vector<SplitCounts> counts_;
  int64_t done_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Turns images and masks in the folders of PASCAL VOC into a data set for segmentation: "
      "DIR/JPEGImages/ID.jpg, DIR/SegmentationClass/ID.png, whose values are classes (the indices "
      "of a palette, never its colours), and lists of ids. Images stay encoded as they are.\n\n"
      "  renas-prep-voc VOCdevkit/VOC2012 voc.h5 --train train --val val\n"
      "  renas-prep-voc VOCdevkit/VOC2012 voc.h5 --masks SegmentationClassAug \\\n"
      "      --train train_aug.txt --val val       (lists of ids, or of pairs IMAGE MASK)\n"
      "  renas-prep-voc VOCdevkit/VOC2012 voc.h5 --train train --val val \\\n"
      "      --sbd benchmark_RELEASE/dataset       (trainaug from its sources)\n"
      "  renas-prep-voc camvid camvid.h5 --train train --val val --test test --void 11",
      "renas-prep-voc");
  renas::cli::prepare(app);
  Options options;
  app.add_option("DIR", options.folder, "Folder with the images, masks and lists")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("OUT", options.out, "The HDF5 file to write")->required();

  renas::cli::OptionGroup lists(app, "Lists");
  for (const char* split : {"train", "val", "test"}) {
    auto* list = lists.option(
        fmt::format("--{}", split), options.lists[split],
        fmt::format("The split {}: a file with an id, or IMAGE MASK, on each line; or the name of "
                    "one in DIR/ImageSets/Segmentation",
                    split));
    if (std::string(split) == "train") list->required();
  }
  lists.option("--images", options.images, "Folder in DIR of the images of ids");
  lists.option("--masks", options.masks, "Folder in DIR of the masks of ids");

  lists
      .option("--sbd", options.sbd,
              "Folder of SBD's release with img, cls (.mat), train.txt and val.txt: all of it that "
              "no list has is added to train (with VOC's train and val: the 10,582 of trainaug)")
      ->check(CLI::ExistingDirectory);

  renas::cli::OptionGroup masks(app, "Classes");
  masks
      .option("--classes", options.classes,
              "File with the name of each class on a line, from value 0 on; default: "
              "DIR/classes.txt, else the 21 of PASCAL VOC")
      ->check(CLI::ExistingFile);
  masks
      .option("--void", options.void_value,
              "Value of masks that is no class and does not count; 255 never does")
      ->check(CLI::Range(0, 255));

  renas::cli::OptionGroup faults(app, "Faults");
  faults.flag("--as-stored", options.picture.as_stored,
              "Pixels of images as they are stored; otherwise they are turned as their EXIF "
              "orientation says");
  faults.flag("--skip-bad", options.skip_bad,
              "Leave out and count pairs that otherwise stop the program: missing, damaged, of "
              "different sizes, with values that are no classes");
  faults.option("--left-out", options.left_out,
                "File to write: all that was left out, a line REASON<tab>NAME each");
  faults
      .option("--max-pixels", options.picture.max_pixels,
              "Refuse larger images before decoding them")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 32));

  app.add_option("--threads", options.threads, "Threads that decode; 0: one a core")
      ->check(CLI::Range(0, 1024));
  app.add_flag("--force", options.force, "Overwrite OUT and the list of --left-out");
  return renas::cli::run(app, argc, argv, [&] {
    if (options.threads == 0) options.threads = renas::cli::default_threads().count;
    std::erase_if(options.lists, [](const auto& list) { return list.second.empty(); });
    Program(options).run();
    return renas::cli::kDone;
  });
}
