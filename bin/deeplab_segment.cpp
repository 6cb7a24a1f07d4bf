#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/console.h"
#include "cli/environment.h"
#include "cli/frame.h"
#include "deeplab.h"
#include "renas/error.h"
#include "renas/image.h"
#include "renas/model.h"
#include "renas/segmentation.h"

namespace renas::cli {

namespace {

std::vector<uint8_t> read_picture(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file && bytes.empty()) throw InvalidInput(fmt::format("{}: cannot be read", path));
  return bytes;
}

void write(const std::filesystem::path& path, const std::vector<uint8_t>& bytes, bool force) {
  if (!force && std::filesystem::exists(path)) {
    throw InvalidInput(fmt::format("{}: exists; --force replaces it", path.string()));
  }
  const std::filesystem::path partial = path.string() + ".partial";
  {
    std::ofstream file(partial, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) {
      std::filesystem::remove(partial);
      throw IoError(fmt::format("{}: cannot be written", path.string()));
    }
  }
  std::filesystem::rename(partial, path);
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
    classify_pixels(scores, classes, found);
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
  const Model model = load_model(s.model);
  if (model.network.kind != NetworkKind::kDeepLab) {
    throw InvalidInput(
        fmt::format("{}: its network is {}, which classifies; expected one trained with --network "
                    "deeplab",
                    s.model, to_string(model.network.kind)));
  }
  std::filesystem::create_directories(s.folder);
  if (s.device.threads == 0) s.device.threads = default_threads().count;
  Segmenter segmenter(model, s.device);
  const std::vector<uint8_t> palette = voc_palette();
  DecodeOptions decoding;
  decoding.channels = model.network.image.channels;
  for (const std::string& path : s.pictures) {
    Image picture;
    try {
      picture = decode_image(read_picture(path), decoding);
    } catch (const InvalidInput& e) {
      throw InvalidInput(fmt::format("{}: {}", path, e.what()));
    }
    const Image mask = segmenter.mask(picture);
    const std::filesystem::path stem =
        std::filesystem::path(s.folder) / std::filesystem::path(path).stem();
    write(stem.string() + "-picture.png", encode_lossless(picture), s.force);
    write(stem.string() + "-mask.png", encode_with_palette(mask, palette), s.force);
    write(stem.string() + "-overlay.png", encode_lossless(overlay(picture, mask, palette)),
          s.force);
    std::vector<int64_t> pixels(256);
    for (const uint8_t k : mask.pixels) ++pixels[k];
    fmt::print("{}: {}-{{picture,mask,overlay}}.png", path, stem.string());
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
