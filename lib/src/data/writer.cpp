#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "core/files.h"
#include "core/hdf5.h"
#include "data/format.h"
#include "data/source.h"
#include "renas/dataset.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"

namespace renas {
namespace {

// The number of images in a chunk. Small images are read whole sets at a time, so their chunks are
// large. Images of 8 KiB and more may be read one by one and shuffled, so each has a chunk of its
// own and no byte is read for nothing.
int64_t images_a_chunk(int64_t image_bytes) {
  return image_bytes >= 8192 ? 1 : std::max<int64_t>(1, (int64_t{1} << 18) / image_bytes);
}

// The number of bytes in a chunk of encoded images. HDF5 1.10 finds the address of a chunk by
// looking at all before it: opening a file of n chunks takes n^2 steps, 0.3 s for 4,000 of them and
// minutes for 100,000.
int64_t bytes_a_chunk(int64_t expected_bytes) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  constexpr int64_t kMostChunks = 4096;
  return std::clamp<int64_t>((expected_bytes + kMostChunks * kMiB - 1) / (kMostChunks * kMiB), 1,
                             1024) *
         kMiB;
}

}  // namespace

namespace {

uint32_t crc_of(std::span<const uint8_t> bytes) {
  return static_cast<uint32_t>(
      ::crc32(::crc32(0, nullptr, 0), bytes.data(), static_cast<uInt>(bytes.size())));
}

/// Creates a growing data set of bytes. Its chunks have no filter, because readers take the bytes
/// at the chunks' addresses.
h5::Dataset create_byte_stream(hid_t group, hid_t file, const char* name, int64_t chunk_bytes) {
  const h5::Guard guard;
  const hsize_t none = 0;
  const hsize_t unlimited = H5S_UNLIMITED;
  const auto chunk = static_cast<hsize_t>(chunk_bytes);
  const h5::Space space(H5Screate_simple(1, &none, &unlimited));
  const h5::Properties properties = h5::creation(H5P_DATASET_CREATE);
  H5Pset_chunk(properties, 1, &chunk);
  return h5::Dataset(h5::check(
      H5Dcreate2(group, name, H5T_NATIVE_UINT8, space, H5P_DEFAULT, properties, H5P_DEFAULT), file,
      fmt::format("create data set '{}'", name)));
}

/// Reads the file back except for the pixels: labels and indices with their checksums, and that
/// every chunk of images has its place. (Reading all pixels again would take a tenth of the time of
/// preparing small images.)
void check_data_set(const std::string& path, const std::set<std::string>& splits) {
  for (const std::string& split : splits) DataSet::open(path, split, 0);
}

/// Masks on their way to a split: PNG files end to end, with their index.
struct MaskStream {
  h5::Dataset data;
  std::vector<uint8_t> waiting;  // bytes not yet in `data`
  int64_t written = 0;           // bytes in it
  std::vector<int64_t> offsets;
  std::vector<int64_t> lengths;
  std::vector<uint32_t> crc32s;

  bool empty() const { return offsets.empty(); }

  void add(hid_t group, hid_t file, int64_t chunk_bytes, const std::vector<uint8_t>& png) {
    if (empty()) data = create_byte_stream(group, file, "masks", chunk_bytes);
    offsets.push_back(written + static_cast<int64_t>(waiting.size()));
    lengths.push_back(static_cast<int64_t>(png.size()));
    crc32s.push_back(crc_of(png));
    waiting.insert(waiting.end(), png.begin(), png.end());
    if (waiting.size() > (std::size_t{1} << 22)) flush(file);
  }

  void flush(hid_t file) {
    if (waiting.empty()) return;
    const h5::Guard guard;
    const hsize_t extent = written + waiting.size();
    const hsize_t start = written;
    const hsize_t count = waiting.size();
    if (H5Dset_extent(data, &extent) < 0) h5::fail(file, "write");
    const h5::Space to(H5Dget_space(data));
    const h5::Space from(H5Screate_simple(1, &count, nullptr));
    H5Sselect_hyperslab(to, H5S_SELECT_SET, &start, nullptr, &count, nullptr);
    if (H5Dwrite(data, H5T_NATIVE_UINT8, from, to, H5P_DEFAULT, waiting.data()) < 0) {
      h5::fail(file, "write");
    }
    h5::check_written(file, "write");
    written += static_cast<int64_t>(waiting.size());
    waiting.clear();
  }

  void finish(hid_t group, hid_t file, const std::string& split) {
    if (empty()) return;
    flush(file);
    h5::write(group, "mask_offsets", offsets);
    h5::write(group, "mask_lengths", lengths);
    h5::write(group, "mask_crc32", crc32s);
    h5::close(data, file, "write masks of '" + split + "'");
  }
};

}  // namespace

struct DataSetWriter::State {
  PendingFile pending;
  h5::File file;

  // The split being written.
  std::string split;
  Shape shape;
  bool encoded = false;
  int64_t chunk = 0;  // units
  h5::Group group;
  h5::Dataset images;
  std::vector<uint8_t> waiting;  // bytes not yet in `images`
  int64_t written = 0;           // units in it: images, or bytes of encoded ones
  std::vector<int32_t> labels;
  std::vector<int64_t> offsets;
  std::vector<int64_t> lengths;
  std::vector<uint32_t> crc32s;
  MaskStream masks;
  std::set<std::string> splits;
  int32_t least_label = 0;  // of all splits
  int32_t largest_label = 0;

  explicit State(const std::string& path)
      : pending(path), file(h5::create_file(pending.partial())) {}

  int64_t unit() const { return encoded ? 1 : shape.size(); }  // bytes

  // Writes the first `units` of the waiting bytes.
  void flush(int64_t units) {
    if (units == 0) return;
    const h5::Guard guard;
    std::vector<hsize_t> extent{static_cast<hsize_t>(written + units)};
    std::vector<hsize_t> start{static_cast<hsize_t>(written)};
    std::vector<hsize_t> count{static_cast<hsize_t>(units)};
    if (!encoded) {
      for (const int n : {shape.height, shape.width, shape.channels}) {
        extent.push_back(static_cast<hsize_t>(n));
        start.push_back(0);
        count.push_back(static_cast<hsize_t>(n));
      }
    }
    if (H5Dset_extent(images, extent.data()) < 0) h5::fail(file, "write");
    const h5::Space to(H5Dget_space(images));
    const h5::Space from(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr));
    H5Sselect_hyperslab(to, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
    if (H5Dwrite(images, H5T_NATIVE_UINT8, from, to, H5P_DEFAULT, waiting.data()) < 0) {
      h5::fail(file, "write");
    }
    h5::check_written(file, "write");
    waiting.erase(waiting.begin(), waiting.begin() + units * unit());
    written += units;
  }

  void append(std::span<const uint8_t> bytes) {
    waiting.insert(waiting.end(), bytes.begin(), bytes.end());
    const int64_t chunks = static_cast<int64_t>(waiting.size()) / (chunk * unit());
    // Several MiB are written at a time, because erasing from the front moves the rest.
    if (chunks >= 1 && waiting.size() > (std::size_t{1} << 22)) flush(chunks * chunk);
  }

  void end_split() {
    if (split.empty()) return;
    const h5::Guard guard;
    flush(static_cast<int64_t>(waiting.size()) / unit());
    h5::write(group, "labels", labels);
    if (encoded) {
      h5::write(group, "offsets", offsets);
      h5::write(group, "lengths", lengths);
      h5::write(group, "crc32", crc32s);
      if (!masks.empty() && masks.offsets.size() != labels.size()) {
        throw InvalidInput(fmt::format("split '{}': {} images but {} masks", split, labels.size(),
                                       masks.offsets.size()));
      }
      masks.finish(group, file, split);
      h5::write_attribute<int32_t>(group, "channels", shape.channels);
    }
    h5::close(images, file, "write images of '" + split + "'");
    h5::close(group, file, "write '" + split + "'");
    split.clear();
  }
};

DataSetWriter::DataSetWriter(const std::string& path, bool force) {
  if (!force && exists(path)) {
    throw InvalidInput(fmt::format("{}: exists already, and is overwritten only by force", path));
  }
  remove_stale_partials(path);
  state_ = std::make_unique<State>(path);
}

DataSetWriter::~DataSetWriter() = default;

void DataSetWriter::begin_split(const std::string& name, const Shape& shape,
                                int64_t expected_bytes) {
  State& s = *state_;
  s.end_split();
  const bool encoded = shape.height == 0 && shape.width == 0;
  if (shape.channels < 1 || (!encoded && (shape.height < 1 || shape.width < 1))) {
    throw InvalidInput(fmt::format("split '{}': images of {}", name, to_string(shape)));
  }
  const auto* const end = std::end(format::kSplits);
  if (std::find(std::begin(format::kSplits), end, name) == end || !s.splits.insert(name).second) {
    throw InvalidInput(
        fmt::format("split '{}': expected each of train, val and test at most once", name));
  }
  const h5::Guard guard;
  s.split = name;
  s.shape = shape;
  s.encoded = encoded;
  s.chunk = s.encoded ? bytes_a_chunk(expected_bytes) : 1;
  s.written = 0;
  s.waiting.clear();
  s.labels.clear();
  s.offsets.clear();
  s.lengths.clear();
  s.crc32s.clear();
  s.masks = {};
  s.group = h5::create_group(s.file, name);
  if (s.encoded) {
    s.images = create_byte_stream(s.group, s.file, "images", s.chunk);
    return;
  }
  s.chunk = images_a_chunk(shape.size());
  s.images = h5::create_dataset(
      s.group, "images", H5T_NATIVE_UINT8, {0, shape.height, shape.width, shape.channels},
      {s.chunk, shape.height, shape.width, shape.channels},
      {H5S_UNLIMITED, static_cast<hsize_t>(shape.height), static_cast<hsize_t>(shape.width),
       static_cast<hsize_t>(shape.channels)});
}

void DataSetWriter::add(std::span<const uint8_t> image, int32_t label) {
  State& s = *state_;
  if (s.split.empty()) throw InvalidInput("an image was added before begin_split");
  if (s.encoded) {
    if (image.empty()) throw InvalidInput("an encoded image without bytes");
    s.offsets.push_back(s.written + static_cast<int64_t>(s.waiting.size()));
    s.lengths.push_back(static_cast<int64_t>(image.size()));
    s.crc32s.push_back(crc_of(image));
  } else if (static_cast<int64_t>(image.size()) != s.shape.size()) {
    throw InvalidInput(fmt::format("an image of {} bytes; {} has {}", image.size(),
                                   to_string(s.shape), s.shape.size()));
  }
  s.labels.push_back(label);
  s.least_label = std::min(s.least_label, label);
  s.largest_label = std::max(s.largest_label, label);
  s.append(image);
}

void DataSetWriter::add_pair(std::span<const uint8_t> image, const Image& mask, int32_t label) {
  State& s = *state_;
  if (!s.encoded || mask.shape.channels != 1) {
    throw InvalidInput("masks are index maps of one channel, of encoded images");
  }
#ifdef RENAS_WITH_IMAGES
  add(image, label);
  s.masks.add(s.group, s.file, s.chunk, encode_lossless(mask));
#else
  (void)image;
  (void)label;
  throw Unsupported("this build cannot encode masks (configure with -DRENAS_WITH_IMAGES=ON)");
#endif
}

void DataSetWriter::add_all(std::span<const uint8_t> images, std::span<const int32_t> labels) {
  const auto size = static_cast<std::size_t>(state_->shape.size());
  if (images.size() != size * labels.size()) {
    throw InvalidInput(fmt::format("{} labels and {} bytes of pixels; {} images of {} have {}",
                                   labels.size(), images.size(), labels.size(),
                                   to_string(state_->shape), size * labels.size()));
  }
  for (std::size_t i = 0; i < labels.size(); ++i) add(images.subspan(i * size, size), labels[i]);
}

void DataSetWriter::finish(const DataSetInfo& info) {
  State& s = *state_;
  // Nothing is written that a reader would refuse.
  const auto channels = static_cast<std::size_t>(s.shape.channels);
  if (s.splits.empty() || s.least_label < 0 || s.largest_label >= info.classes ||
      info.mean.size() != channels || info.sd.size() != channels) {
    throw InvalidInput(
        fmt::format("cannot finish a data set of {} splits, labels {} to {} of {} classes, {} "
                    "means and {} standard deviations for "
                    "{} channels",
                    s.splits.size(), s.least_label, s.largest_label, info.classes, info.mean.size(),
                    info.sd.size(), channels));
  }
  if (const std::string wrong = wrong_statistics(info); !wrong.empty()) {
    throw InvalidInput("cannot finish a data set: " + wrong);
  }
  const h5::Guard guard;
  s.end_split();
  h5::write_attribute(s.file, "format", std::string(format::kFormat));
  h5::write_attribute<int32_t>(s.file, "version", format::kVersion);
  h5::write_attribute<int32_t>(s.file, "classes", info.classes);
  h5::write_attribute(s.file, "mean", info.mean);
  h5::write_attribute(s.file, "sd", info.sd);
  h5::write_attribute(s.file, "source", info.source);
  if (info.range_16) {
    h5::write_attribute(s.file, "range_16",
                        std::vector<int32_t>{info.range_16->low, info.range_16->high});
  }
  h5::write_strings(s.file, "class_names", info.class_names);
  const std::set<std::string> splits = s.splits;
  h5::close_file(std::move(s.file));
  check_data_set(s.pending.partial(), splits);
  s.pending.commit();
}

}  // namespace renas
