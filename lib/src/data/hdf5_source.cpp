#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/files.h"
#include "core/hdf5.h"
#include "data/format.h"
#include "data/source.h"
#include "renas/error.h"

namespace renas {
namespace {

// A source of images of one size that are read one by one, for sets beyond the memory limit.
class FileSource final : public DataSet::Source {
 public:
  h5::File file;
  h5::Dataset images;
  std::span<const uint8_t> image(int64_t i, std::vector<uint8_t>& buffer) const override {
    buffer.resize(shape.size());
    const h5::Guard guard;
    const h5::Space from(H5Dget_space(images));
    const hsize_t start[4] = {static_cast<hsize_t>(i), 0, 0, 0};
    const hsize_t count[4] = {1, static_cast<hsize_t>(shape.height),
                              static_cast<hsize_t>(shape.width),
                              static_cast<hsize_t>(shape.channels)};
    const h5::Space to(H5Screate_simple(4, count, nullptr));
    H5Sselect_hyperslab(from, H5S_SELECT_SET, start, nullptr, count, nullptr);
    if (H5Dread(images, H5T_NATIVE_UINT8, to, from, H5P_DEFAULT, buffer.data()) < 0) {
      h5::fail(images, fmt::format("read image {}", i));
    }
    return buffer;
  }
};

// Encoded files that lie end to end in a data set. Its chunks have no filter, so threads read the
// bytes with pread() at the chunks' addresses, without HDF5 and its lock. The CRC-32 of each file
// guards it.
struct EncodedFiles {
  std::string path;
  std::string split;
  std::string what;  // "image" or "mask"
  int64_t chunk_bytes = 0;
  std::vector<int64_t> chunk_address;
  std::vector<int64_t> offsets;
  std::vector<int64_t> lengths;
  std::vector<uint32_t> crc32s;

  std::span<const uint8_t> read(const OpenFile& file, int64_t i,
                                std::vector<uint8_t>& buffer) const {
    const auto at = static_cast<std::size_t>(i);
    buffer.resize(lengths[at]);
    int64_t position = offsets[at];
    for (std::size_t done = 0; done < buffer.size();) {
      const int64_t within = position % chunk_bytes;
      const auto wanted =
          std::min(static_cast<std::size_t>(chunk_bytes - within), buffer.size() - done);
      const int64_t address = chunk_address[position / chunk_bytes];
      std::size_t got = 0;
      const int failure =
          read_fully(file.descriptor(), buffer.data() + done, wanted, address + within, got);
      if (got < wanted) {
        throw IoError(fmt::format("{}: cannot read {} {} of {}: {}", path, what, i, split,
                                  failure != 0 ? errno_text(failure) : "the file is truncated"));
      }
      done += got;
      position += static_cast<int64_t>(got);
    }
    const auto crc = static_cast<uint32_t>(
        ::crc32(::crc32(0, nullptr, 0), buffer.data(), static_cast<uInt>(buffer.size())));
    if (crc != crc32s[at]) {
      throw IoError(fmt::format(
          "{}: {} {} of {} is damaged (CRC32 {:08x}, the index says {:08x}); prepare it again",
          path, what, i, split, crc, crc32s[at]));
    }
    return buffer;
  }
};

// A source of encoded images, and of masks where the split has them.
class EncodedSource final : public DataSet::Source {
 public:
  OpenFile file;
  EncodedFiles images;
  EncodedFiles masks;

  std::span<const uint8_t> image(int64_t i, std::vector<uint8_t>& buffer) const override {
    return images.read(file, i, buffer);
  }
  std::span<const uint8_t> mask(int64_t i, std::vector<uint8_t>& buffer) const override {
    return masks.read(file, i, buffer);
  }
};

h5::File open_data_set(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::file_status there = fs::status(path, ignored);
  if (there.type() == fs::file_type::not_found) {
    throw IoError(fmt::format(
        "{}: there is no such file; expected a data set, which the renas-prep programs make",
        path));
  }
  if (fs::is_directory(there)) {
    throw IoError(fmt::format(
        "{}: a folder; expected a data set, an HDF5 file: renas-prep-images makes one of a folder "
        "of pictures",
        path));
  }
  h5::File file = h5::open_file(path);
  if (!h5::has_attribute(file, "format") ||
      h5::read_string_attribute(file, "format") != format::kFormat) {
    throw InvalidInput(
        fmt::format("{}: an HDF5 file, but not a data set of this project (its attribute 'format' "
                    "is not '{}'); "
                    "the renas-prep programs make one",
                    path, format::kFormat));
  }
  const int version = h5::read_attribute<int32_t>(file, "version");
  if (version != format::kVersion) {
    throw InvalidInput(fmt::format("{}: data set of version {}; this build reads version {}", path,
                                   version, format::kVersion));
  }
  return file;
}

DataSetInfo read_info(hid_t file, const std::string& path) {
  DataSetInfo info;
  info.class_names = h5::read_strings(file, "class_names");
  info.classes = h5::read_attribute<int32_t>(file, "classes");
  info.mean = h5::read_attributes<double>(file, "mean");
  info.sd = h5::read_attributes<double>(file, "sd");
  info.source = h5::read_string_attribute(file, "source");
  if (info.classes < 1 || (!info.class_names.empty() &&
                           info.class_names.size() != static_cast<std::size_t>(info.classes))) {
    throw InvalidInput(fmt::format("{}: {} classes but {} class names", path, info.classes,
                                   info.class_names.size()));
  }
  if (const std::string wrong = wrong_statistics(info); !wrong.empty()) {
    throw InvalidInput(fmt::format("{}: {}", path, wrong));
  }
  if (h5::has_attribute(file, "range_16")) {
    const std::vector<int32_t> range = h5::read_attributes<int32_t>(file, "range_16");
    if (range.size() != 2 || range[0] >= range[1]) {
      throw InvalidInput(
          fmt::format("{}: the attribute range_16 is {}; expected two ascending numbers", path,
                      fmt::join(range, ", ")));
    }
    info.range_16 = {range[0], range[1]};
  }
  return info;
}

std::string type_text(hid_t dataset) {
  const h5::Type type(H5Dget_type(dataset));
  const std::size_t bits = 8 * H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return fmt::format("{}-bit {} integers", bits,
                         H5Tget_sign(type) == H5T_SGN_NONE ? "unsigned" : "signed");
    case H5T_FLOAT:
      return fmt::format("{}-bit floating-point numbers", bits);
    case H5T_STRING:
      return "strings";
    default:
      return "another type";
  }
}

/// Reads class indices. Whole numbers of any type and shape [N] or [N, 1] will do.
std::vector<int32_t> read_labels(hid_t group, const std::string& where, int classes) {
  const h5::Dataset dataset = h5::open_dataset(group, "labels");
  const h5::Description description = h5::describe(dataset);
  const std::vector<int64_t>& dims = description.dims;
  const bool column = dims.size() == 2 && dims[1] == 1;
  if (dims.size() != 1 && !column) {
    const bool one_hot = dims.size() == 2 && dims[1] == classes;
    throw InvalidInput(
        fmt::format("{}/labels: found the shape [{}]{}; expected [images], the class of each as a "
                    "whole number from 0",
                    where, fmt::join(dims, ", "), one_hot ? ", a column a class (one-hot)" : ""));
  }
  std::vector<int32_t> labels(description.size());
  if (description.type == H5T_FLOAT) {
    std::vector<double> values(labels.size());
    h5::read_raw(dataset, H5T_NATIVE_DOUBLE, values.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!(std::abs(values[i]) < INT32_MAX) || values[i] != std::floor(values[i])) {
        throw InvalidInput(
            fmt::format("{}/labels: label {} of image {} is no whole number", where, values[i], i));
      }
      labels[i] = static_cast<int32_t>(values[i]);
    }
  } else if (description.type == H5T_INTEGER) {
    h5::read_raw(dataset, H5T_NATIVE_INT32, labels.data());
  } else {
    throw InvalidInput(
        fmt::format("{}/labels: found {}; expected the class of each image as a whole number from "
                    "0",
                    where, type_text(dataset)));
  }
  if (!labels.empty()) {
    const auto [least, largest] = std::minmax_element(labels.begin(), labels.end());
    if (*least == 1 && *largest == classes) {
      throw InvalidInput(
          fmt::format("{}/labels: found labels from 1 to {}; expected 0 to {} for the {} classes, "
                      "so subtract 1",
                      where, classes, classes - 1, classes));
    }
  }
  check_labels(labels, classes, where);
  return labels;
}

/// Opens a data set of bytes.
h5::Dataset open_bytes(hid_t group, const std::string& where, const char* name,
                       h5::Description& description) {
  h5::Dataset images = h5::open_dataset(group, name);
  description = h5::describe(images);
  const h5::Type type(H5Dget_type(images));
  if (description.type != H5T_INTEGER || H5Tget_size(type) != 1 ||
      H5Tget_sign(type) != H5T_SGN_NONE) {
    throw InvalidInput(
        fmt::format("{}/{}: expected 8-bit unsigned integers (uint8, pixels from 0 to 255); "
                    "found {}",
                    where, name, type_text(images)));
  }
  return images;
}

/// The data set `data` of encoded files; the names of its index begin with `prefix`.
EncodedFiles open_files(const std::string& path, const std::string& split, hid_t group, hid_t data,
                        int64_t total, const std::string& what, const std::string& prefix) {
  const std::string where = path + ": " + split;
  EncodedFiles files;
  files.path = path;
  files.split = split;
  files.what = what;
  files.offsets = h5::read<int64_t>(group, prefix + "offsets");
  files.lengths = h5::read<int64_t>(group, prefix + "lengths");
  files.crc32s = h5::read<uint32_t>(group, prefix + "crc32");
  if (files.lengths.size() != files.offsets.size() || files.crc32s.size() != files.offsets.size()) {
    throw InvalidInput(fmt::format("{}: the index of {}s has {} offsets, {} lengths and {} CRCs",
                                   where, what, files.offsets.size(), files.lengths.size(),
                                   files.crc32s.size()));
  }
  for (std::size_t i = 0; i < files.offsets.size(); ++i) {
    if (files.offsets[i] < 0 || files.lengths[i] < 1 || files.lengths[i] > total ||
        files.offsets[i] > total - files.lengths[i]) {
      throw InvalidInput(fmt::format("{}: {} {} lies at {} with {} bytes; there are {} in all",
                                     where, what, i, files.offsets[i], files.lengths[i], total));
    }
  }
  const h5::Properties properties(H5Dget_create_plist(data));
  hsize_t chunk = 0;
  if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_nfilters(properties) != 0 ||
      H5Pget_chunk(properties, 1, &chunk) != 1) {
    throw InvalidInput(
        fmt::format("{}/{}s: expected a chunked data set without filters", where, what));
  }
  files.chunk_bytes = static_cast<int64_t>(chunk);
  for (hsize_t offset = 0; offset < static_cast<hsize_t>(total); offset += chunk) {
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    unsigned mask = 0;
    if (H5Dget_chunk_info_by_coord(data, &offset, &mask, &address, &size) < 0 ||
        address == HADDR_UNDEF) {
      h5::fail(data, fmt::format("find the bytes at {} of {}/{}s", offset, split, what));
    }
    files.chunk_address.push_back(static_cast<int64_t>(address));
  }
  return files;
}

std::shared_ptr<DataSet::Source> open_encoded(const std::string& path, const std::string& split,
                                              hid_t group, hid_t images, int64_t total) {
  const std::string where = path + ": " + split;
  auto source = std::make_shared<EncodedSource>();
  source->encoded = true;
  source->shape = {h5::read_attribute<int32_t>(group, "channels"), 0, 0};
  if (source->shape.channels != 1 && source->shape.channels != 3) {
    throw InvalidInput(fmt::format("{}: encoded images of {} channels; 1 and 3 exist", where,
                                   source->shape.channels));
  }
  source->images = open_files(path, split, group, images, total, "image", "");
  if (h5::exists(group, "masks")) {
    h5::Description description;
    const h5::Dataset masks = open_bytes(group, where, "masks", description);
    if (description.dims.size() != 1) {
      throw InvalidInput(fmt::format("{}/masks: expected [bytes] of PNG files; found [{}]", where,
                                     fmt::join(description.dims, ", ")));
    }
    source->masks = open_files(path, split, group, masks, description.dims[0], "mask", "mask_");
    if (source->masks.offsets.size() != source->images.offsets.size()) {
      throw InvalidInput(fmt::format("{}: {} images but {} masks", where,
                                     source->images.offsets.size(), source->masks.offsets.size()));
    }
    source->has_masks = true;
  }
  source->file = OpenFile(path, O_RDONLY);
  return source;
}

}  // namespace

std::vector<std::string> splits_of(const std::string& path) {
  const h5::Guard guard;
  const h5::File file = open_data_set(path);
  std::vector<std::string> names;
  for (const char* name : format::kSplits) {
    if (h5::exists(file, name)) names.emplace_back(name);
  }
  return names;
}

std::shared_ptr<const DataSet::Source> open_source(const std::string& path,
                                                   const std::string& split, int64_t memory_limit) {
  const h5::Guard guard;
  h5::File file = open_data_set(path);
  if (!h5::exists(file, split)) {
    std::string there;
    for (const std::string& name : splits_of(path)) there += (there.empty() ? "" : ", ") + name;
    throw InvalidInput(fmt::format("{}: no split '{}'; the file has: {}", path, split, there));
  }
  const std::string where = path + ": " + split;
  const h5::Group group = h5::open_group(file, split);
  h5::Description description;
  h5::Dataset images = open_bytes(group, where, "images", description);
  DataSetInfo info = read_info(file, path);
  std::vector<int32_t> labels = read_labels(group, where, info.classes);

  std::shared_ptr<DataSet::Source> source;
  int64_t count = 0;
  const std::vector<int64_t>& dims = description.dims;
  const auto statistics = static_cast<int64_t>(info.mean.size());
  if (dims.size() == 4 && dims[3] != statistics && dims[1] == statistics) {
    throw InvalidInput(fmt::format(
        "{}/images: found [{}], whose second dimension has as many entries as there are means: the "
        "channels come first; expected [images, height, width, channels]",
        where, fmt::join(dims, ", ")));
  }
  if (dims.size() == 1) {
    auto encoded = open_encoded(path, split, group, images, dims[0]);
    count = static_cast<int64_t>(static_cast<EncodedSource&>(*encoded).images.offsets.size());
    source = std::move(encoded);
  } else if (dims.size() == 4 && *std::min_element(dims.begin() + 1, dims.end()) >= 1 &&
             *std::max_element(dims.begin() + 1, dims.end()) <= 65536) {
    count = dims[0];
    if (description.size() <= memory_limit) {
      auto whole = std::make_shared<MemorySource>();
      whole->pixels.resize(description.size());
      h5::read_raw(images, H5T_NATIVE_UINT8, whole->pixels.data());
      source = std::move(whole);
    } else {
      auto streamed = std::make_shared<FileSource>();
      streamed->file = std::move(file);
      streamed->images = std::move(images);
      source = std::move(streamed);
    }
    source->shape = {static_cast<int>(dims[3]), static_cast<int>(dims[1]),
                     static_cast<int>(dims[2])};
  } else {
    throw InvalidInput(fmt::format(
        "{}/images: expected [images, height, width, channels], or [bytes] of encoded images; "
        "found {} dimensions, [{}]",
        where, dims.size(), fmt::join(dims, ", ")));
  }
  if (count != static_cast<int64_t>(labels.size())) {
    throw InvalidInput(fmt::format("{}: {} images but {} labels", where, count, labels.size()));
  }
  const auto channels = static_cast<std::size_t>(source->shape.channels);
  if (info.mean.size() != channels || info.sd.size() != channels) {
    throw InvalidInput(fmt::format("{}: {} means and {} standard deviations for {} channels", where,
                                   info.mean.size(), info.sd.size(), channels));
  }
  source->labels = std::move(labels);
  source->info = std::move(info);
  return source;
}

}  // namespace renas
