#include "renas/dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/source.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"

namespace renas {
namespace {

class EncodedMemorySource final : public DataSet::Source {
 public:
  std::vector<std::vector<uint8_t>> images;

  std::span<const uint8_t> image(int64_t i, std::vector<uint8_t>&) const override {
    return images[i];
  }
};

class JoinedSource final : public DataSet::Source {
 public:
  JoinedSource(DataSet first, DataSet second)
      : first_(std::move(first)), second_(std::move(second)) {
    info = first_.info();
    shape = first_.shape();
    encoded = first_.encoded();
    has_masks = first_.has_masks() && second_.has_masks();
    labels.assign(first_.labels().begin(), first_.labels().end());
    labels.insert(labels.end(), second_.labels().begin(), second_.labels().end());
  }

  std::span<const uint8_t> image(int64_t i, std::vector<uint8_t>& buffer) const override {
    return i < first_.size() ? first_.image(i, buffer) : second_.image(i - first_.size(), buffer);
  }
  std::span<const uint8_t> mask(int64_t i, std::vector<uint8_t>& buffer) const override {
    return i < first_.size() ? first_.mask(i, buffer) : second_.mask(i - first_.size(), buffer);
  }

 private:
  DataSet first_;
  DataSet second_;
};

void check_statistics(const DataSetInfo& info, int channels) {
  const auto count = static_cast<std::size_t>(channels);
  if (info.mean.size() != count || info.sd.size() != count) {
    throw InvalidInput(fmt::format("data set: {} means and {} standard deviations for {} channels",
                                   info.mean.size(), info.sd.size(), channels));
  }
}

}  // namespace

DataSet::DataSet(const Shape& shape, std::vector<uint8_t> pixels, std::vector<int32_t> labels,
                 DataSetInfo info) {
  const auto count = static_cast<int64_t>(labels.size());
  if (shape.channels < 1 || shape.height < 1 || shape.width < 1 ||
      static_cast<int64_t>(pixels.size()) != count * shape.size()) {
    throw InvalidInput(
        fmt::format("data set: {} labels and {} bytes of pixels; {} images of {} have {}", count,
                    pixels.size(), count, to_string(shape), count * shape.size()));
  }
  if (info.classes == 0) {
    info.classes = !info.class_names.empty() ? static_cast<int>(info.class_names.size())
                   : labels.empty()          ? 0
                                             : *std::max_element(labels.begin(), labels.end()) + 1;
  }
  check_labels(labels, info.classes, "data set");
  if (info.mean.empty() || info.sd.empty()) {
    ChannelStatistics statistics(shape.channels);
    statistics.add(pixels);
    info.mean = statistics.mean();
    info.sd = statistics.sd();
  }
  check_statistics(info, shape.channels);
  auto source = std::make_shared<MemorySource>();
  source->info = std::move(info);
  source->shape = shape;
  source->labels = std::move(labels);
  source->pixels = std::move(pixels);
  source_ = std::move(source);
}

DataSet DataSet::from_encoded(int channels, std::vector<std::vector<uint8_t>> images,
                              std::vector<int32_t> labels, DataSetInfo info) {
  if ((channels != 1 && channels != 3) || images.size() != labels.size()) {
    throw InvalidInput(
        fmt::format("data set: {} encoded images, {} labels, {} channels; expected as many labels "
                    "as images, and 1 or 3 channels",
                    images.size(), labels.size(), channels));
  }
  check_labels(labels, info.classes, "data set");
  check_statistics(info, channels);
  auto source = std::make_shared<EncodedMemorySource>();
  source->info = std::move(info);
  source->shape = {channels, 0, 0};
  source->labels = std::move(labels);
  source->encoded = true;
  source->images = std::move(images);
  return DataSet(std::move(source));
}

DataSet DataSet::joined(const DataSet& first, const DataSet& second) {
  if (!(first.shape() == second.shape()) || first.encoded() != second.encoded() ||
      first.classes() != second.classes()) {
    throw InvalidInput(fmt::format("data sets of {} of {} classes and of {} of {} cannot be joined",
                                   to_string(first.shape()), first.classes(),
                                   to_string(second.shape()), second.classes()));
  }
  return DataSet(std::make_shared<JoinedSource>(first, second));
}

DataSet DataSet::open(const std::string& path, const std::string& split, int64_t memory_limit) {
#ifdef RENAS_WITH_HDF5
  return DataSet(open_source(path, split, memory_limit));
#else
  (void)memory_limit;
  throw Unsupported(fmt::format(
      "{}: cannot open split '{}': this build has no HDF5 (configure with -DRENAS_WITH_HDF5=ON)",
      path, split));
#endif
}

std::vector<std::string> DataSet::splits(const std::string& path) {
#ifdef RENAS_WITH_HDF5
  return splits_of(path);
#else
  throw Unsupported(
      fmt::format("{}: this build has no HDF5 (configure with -DRENAS_WITH_HDF5=ON)", path));
#endif
}

bool DataSet::has_split(const std::string& path, const std::string& split) {
  const std::vector<std::string> names = splits(path);
  return std::find(names.begin(), names.end(), split) != names.end();
}

int64_t DataSet::size() const { return static_cast<int64_t>(source_->labels.size()); }
const DataSetInfo& DataSet::info() const { return source_->info; }
std::span<const int32_t> DataSet::labels() const { return source_->labels; }
bool DataSet::encoded() const { return source_->encoded; }
bool DataSet::has_masks() const { return source_->has_masks; }
const Shape& DataSet::shape() const { return source_->shape; }

std::span<const uint8_t> DataSet::image(int64_t i, std::vector<uint8_t>& buffer) const {
  if (i < 0 || i >= size()) {
    throw InvalidInput(fmt::format("data set: image {} of {}", i, size()));
  }
  return source_->image(i, buffer);
}

std::span<const uint8_t> DataSet::mask(int64_t i, std::vector<uint8_t>& buffer) const {
  if (i < 0 || i >= size() || !has_masks()) {
    throw InvalidInput(fmt::format("data set: mask {} of {}", i, has_masks() ? size() : 0));
  }
  return source_->mask(i, buffer);
}

}  // namespace renas
