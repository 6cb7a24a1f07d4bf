#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <system_error>

#include "cli/console.h"
#include "cli/environment.h"
#include "cli/frame.h"
#include "deeplab.h"
#include "predict/read_picture.h"
#include "renas/error.h"
#include "renas/image.h"
#include "renas/model.h"
#include "renas/segmentation.h"

namespace fs = std::filesystem;

namespace renas::cli {

namespace {

constexpr const char* kPicture = "-picture.png";
constexpr const char* kMask = "-mask.png";
constexpr const char* kOverlay = "-overlay.png";

/// The beginnings of the names of what is written, for each picture. Throws InvalidInput where an
/// input is a folder, two would be written to the same files, or one to a file that exists.
std::vector<std::string> stems_of(const SegmentSettings& s) {
  std::vector<std::string> stems;
  std::map<std::string, std::string> pictures;  // by stem
  for (const std::string& path : s.pictures) {
    if (fs::is_directory(path)) {
      throw InvalidInput(
          fmt::format("{0}: is a folder; expected JPEG and PNG files, as {0}/*.jpg", path));
    }
    stems.push_back((fs::path(s.folder) / fs::path(path).stem()).string());
    const auto [other, first] = pictures.emplace(stems.back(), path);
    if (!first) {
      throw InvalidInput(
          fmt::format("{} and {}: both would be written to {}{}; expected pictures of different "
                      "names, or a call with a folder --out of its own for each",
                      other->second, path, stems.back(), kPicture));
    }
    for (const char* ending : {kPicture, kMask, kOverlay}) {
      if (!s.force && fs::exists(stems.back() + ending)) {
        throw InvalidInput(fmt::format("{}{}: exists; --force replaces it", stems.back(), ending));
      }
    }
  }
  return stems;
}

/// Throws InvalidInput where what is written would take the place of the model or of a picture.
void check_written_beside_read(const SegmentSettings& s, const std::vector<std::string>& stems) {
  std::set<fs::path> read{fs::weakly_canonical(s.model)};
  for (const std::string& picture : s.pictures) read.insert(fs::weakly_canonical(picture));
  for (const std::string& stem : stems) {
    for (const char* ending : {kPicture, kMask, kOverlay}) {
      const std::string path = stem + ending;
      if (!fs::exists(path) || !read.contains(fs::canonical(path))) continue;
      throw InvalidInput(fmt::format(
          "{}: would be overwritten, but is read; name another folder to write to", path));
    }
  }
}

Image decode(const std::string& path, const DecodeOptions& options) {
  try {
    return decode_image(read_picture(path), options);
  } catch (const InvalidInput& e) {
    throw InvalidInput(fmt::format("{}: {}", path, e.what()));
  } catch (const IoError& e) {
    throw IoError(fmt::format("{}: {}", path, e.what()));
  }
}

void write(const std::string& path, const std::vector<uint8_t>& bytes) {
  const std::string partial = path + ".partial";
  errno = 0;
  std::ofstream file(partial, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) {
    const std::string reason = std::generic_category().message(errno);
    std::error_code ignored;
    fs::remove(partial, ignored);
    throw IoError(fmt::format("{}: cannot be written: {}", path, reason));
  }
  fs::rename(partial, path);
}

/// A network for pictures of one padded size; the next picture mostly has it too.
class Segmenter {
 public:
  Segmenter(const Model& model, const Device& device)
      : model_(model), device_(device), backend_(make_backend(device)) {}

  /// The mask of a picture, [height, width, 1].
  Image mask(const Image& picture) {
    const Shape& size = picture.shape;
    prepare(padded_for_segmentation(model_.network, size.height, size.width));
    HostBatch& batch = program_->staging();
    batch.count = 1;
    std::fill(batch.images.begin(), batch.images.end(), 0.0F);
    const auto channels = static_cast<std::size_t>(size.channels);
    const auto width = static_cast<std::size_t>(size.width);
    for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
      const std::size_t c = i % channels;
      const std::size_t pixel = i / channels;
      const std::size_t to =
          (pixel / width * static_cast<std::size_t>(image_.width) + pixel % width) * channels + c;
      batch.images[to] =
          static_cast<float>((picture.pixels[i] / 255.0 - model_.mean[c]) / model_.sd[c]);
    }
    const int classes = model_.network.classes;
    std::vector<uint8_t> found(static_cast<std::size_t>(image_.height) * image_.width);
    std::vector<float> scores(found.size() * static_cast<std::size_t>(classes));
    program_->infer(scores);
    if (!classify_pixels(scores, classes, found)) {
      throw Error(
          "the network's scores are not finite numbers: the model has diverged in its training; "
          "train it again with a lower learning rate");
    }
    Image whole{{1, image_.height, image_.width}, std::move(found)};
    return crop_image(whole, 0, 0, size.height, size.width);
  }

 private:
  void prepare(const Shape& image) {
    if (program_ != nullptr && image == image_) return;
    image_ = image;
    Model sized;
    sized.genome = model_.genome;
    sized.network = model_.network;
    sized.network.image = image;
    program_ = backend_->compile(graph_of(sized), {.batch = 1,
                                                   .training = false,
                                                   .threads = device_.threads,
                                                   .precision = device_.precision});
    program_->load(model_.weights);
  }

  const Model& model_;
  const Device& device_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Program> program_;
  Shape image_;
};

/// The picture, half covered by the colours of its mask.
Image overlay(const Image& picture, const Image& mask, const std::vector<uint8_t>& palette) {
  Image result{{3, picture.shape.height, picture.shape.width}, {}};
  const auto channels = static_cast<std::size_t>(picture.shape.channels);
  for (std::size_t p = 0; p < mask.pixels.size(); ++p) {
    for (std::size_t c = 0; c < 3; ++c) {
      const int value = picture.pixels[p * channels + (channels == 3 ? c : 0)];
      const int colour = palette[std::size_t{3} * mask.pixels[p] + c];
      result.pixels.push_back(static_cast<uint8_t>((value + colour + 1) / 2));
    }
  }
  return result;
}

}  // namespace

int segment_pictures(SegmentSettings& s) {
  const std::vector<std::string> stems = stems_of(s);
  check_written_beside_read(s, stems);
  const Model model = load_model(s.model);
  if (model.network.kind != NetworkKind::kDeepLab) {
    throw InvalidInput(
        fmt::format("{}: its network is {}, which classifies; expected one trained with --network "
                    "deeplab",
                    s.model, to_string(model.network.kind)));
  }
  fs::create_directories(s.folder);
  if (s.device.threads == 0) s.device.threads = default_threads().count;
  Segmenter segmenter(model, s.device);
  const std::vector<uint8_t> palette = voc_palette();
  DecodeOptions decoding;
  decoding.channels = model.network.image.channels;
  decoding.upright = !s.as_stored;
  for (std::size_t i = 0; i < stems.size(); ++i) {
    const Image picture = decode(s.pictures[i], decoding);
    const Image mask = segmenter.mask(picture);
    write(stems[i] + kPicture, encode_lossless(picture));
    write(stems[i] + kMask, encode_with_palette(mask, palette));
    write(stems[i] + kOverlay, encode_lossless(overlay(picture, mask, palette)));
    std::vector<int64_t> pixels(256);
    for (const uint8_t k : mask.pixels) ++pixels[k];
    fmt::print("{}: {}-{{picture,mask,overlay}}.png", s.pictures[i], stems[i]);
    for (std::size_t k = 0; k < pixels.size(); ++k) {
      const double share = static_cast<double>(pixels[k]) / static_cast<double>(mask.pixels.size());
      if (share < 0.005) continue;
      fmt::print("  {} {:.0f} %",
                 k < model.class_names.size() ? model.class_names[k] : std::to_string(k),
                 100 * share);
    }
    fmt::print("\n");
  }
  return kDone;
}

}  // namespace renas::cli
