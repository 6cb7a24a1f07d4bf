// The HDF5 form of data sets: what goes in comes out, and every damage has its message.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "core/hdf5.h"
#include "renas/dataset.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"
#include "support/files.h"
#include "support/made_up_images.h"
#include "support/temporary_folder.h"

namespace fs = std::filesystem;
namespace h5 = renas::h5;
using renas::DataSet;
using renas::DataSetInfo;
using renas::DataSetWriter;
using renas::Shape;
using renas::test::TemporaryFolder;

namespace {

constexpr Shape kShape{3, 5, 4};

DataSetInfo info_of_three() {
  DataSetInfo info;
  info.classes = 3;
  info.class_names = {"cat", "Blåbär", ""};
  info.mean = {0.1, 0.2, 0.3};
  info.sd = {0.4, 0.5, 0.6};
  info.source = "a test";
  return info;
}

std::vector<uint8_t> pixels_of(const DataSet& data) {
  std::vector<uint8_t> all;
  std::vector<uint8_t> buffer;
  for (int64_t i = 0; i < data.size(); ++i) {
    const auto image = data.image(i, buffer);
    all.insert(all.end(), image.begin(), image.end());
  }
  return all;
}

// 100 images of kShape in three classes; returns their pixels.
std::vector<uint8_t> write_fixed(const std::string& path) {
  const DataSet data = renas::test::made_up(100, kShape, 3);
  const auto pixels = pixels_of(data);
  DataSetWriter writer(path);
  writer.begin_split("train", kShape);
  writer.add_all(pixels, data.labels());
  writer.begin_split("test", kShape);
  writer.add(std::span(pixels).first(60), 2);
  writer.finish(info_of_three());
  return pixels;
}

std::vector<std::vector<uint8_t>> write_encoded(const std::string& path) {
  std::vector<std::vector<uint8_t>> images;
  DataSetWriter writer(path);
  writer.begin_split("train", {3, 0, 0});
  uint32_t x = 1;
  for (int i = 0; i < 40; ++i) {
    // 5.6 MB in all: several chunks, images across their borders, one larger than a chunk.
    std::vector<uint8_t> bytes(i == 7 ? 2500000 : 10 + i * 4000);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>((x = x * 1664525 + 1013904223) >> 24);
    writer.add(bytes, i % 3);
    images.push_back(bytes);
  }
  writer.finish(info_of_three());
  return images;
}

template <class Action>
std::string message(const Action& action) {
  try {
    action();
  } catch (const renas::Error& error) {
    return error.what();
  }
  return "no error";
}

std::string open_message(const std::string& path, const std::string& split = "train") {
  return message([&] { pixels_of(DataSet::open(path, split)); });
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Opens a finished file again to spoil it.
template <class Action>
void edit(const std::string& path, const Action& action) {
  const h5::Guard guard;
  h5::Handle<H5Fclose> file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
  BOOST_REQUIRE(file >= 0);
  action(file);
  BOOST_REQUIRE(file.close());
}

// Flips a bit of the first place in the file that holds `pattern`.
void flip_bit_at(const std::string& path, std::span<const uint8_t> pattern) {
  auto bytes = renas::test::bytes_of(path);
  const auto at = std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end());
  BOOST_REQUIRE((at != bytes.end()));
  *at ^= 4;
  renas::test::write_bytes(path, bytes);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(format)

BOOST_AUTO_TEST_CASE(images_of_one_size_come_back_byte_for_byte) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "a.h5";
  const auto pixels = write_fixed(path);
  BOOST_TEST((DataSet::splits(path) == std::vector<std::string>{"train", "test"}));
  for (const int64_t limit : {renas::kDefaultMemoryLimit, int64_t{100}}) {  // whole, one by one
    const DataSet data = DataSet::open(path, "train", limit);
    BOOST_TEST(data.size() == 100);
    BOOST_TEST((data.shape() == kShape));
    BOOST_TEST(!data.encoded());
    BOOST_TEST((pixels_of(data) == pixels));
    for (int32_t i = 0; i < 100; ++i) {
      BOOST_TEST(data.labels()[i] == i % 3);
    }
    const DataSetInfo info = info_of_three();
    BOOST_TEST(data.classes() == 3);
    BOOST_TEST(data.info().class_names == info.class_names);
    BOOST_TEST(data.info().mean == info.mean);
    BOOST_TEST(data.info().sd == info.sd);
    BOOST_TEST(data.info().source == info.source);
  }
  BOOST_TEST(DataSet::open(path, "test").labels()[0] == 2);
  BOOST_TEST(renas::test::partial_files(scratch.path()) == 0);
}

BOOST_AUTO_TEST_CASE(large_images_of_one_size_have_a_chunk_each) {
  const TemporaryFolder scratch;
  const Shape shape{1, 128, 64};  // 8 KiB
  const DataSet data = renas::test::made_up(30, shape, 3);
  DataSetWriter writer(scratch / "a.h5");
  writer.begin_split("train", shape);
  writer.add_all(pixels_of(data), data.labels());
  DataSetInfo info = info_of_three();
  info.mean = info.sd = {0.5};
  writer.finish(info);
  const DataSet streamed = DataSet::open(scratch / "a.h5", "train", 0);
  BOOST_TEST((pixels_of(streamed) == pixels_of(data)));
  const h5::File file = h5::open_file(scratch / "a.h5");
  const h5::Properties properties(H5Dget_create_plist(h5::open_dataset(file, "train/images")));
  hsize_t chunk[4] = {};
  H5Pget_chunk(properties, 4, chunk);
  BOOST_TEST(chunk[0] == 1U);
}

BOOST_AUTO_TEST_CASE(encoded_images_come_back_byte_for_byte) {
  const TemporaryFolder scratch;
  const auto images = write_encoded(scratch / "a.h5");
  const DataSet data = DataSet::open(scratch / "a.h5", "train");
  BOOST_TEST(data.encoded());
  BOOST_TEST((data.shape() == Shape{3, 0, 0}));
  BOOST_TEST(data.size() == 40);
  std::vector<uint8_t> buffer;
  for (int64_t i = 39; i >= 0; --i) {
    const auto bytes = data.image(i, buffer);
    const auto& expected = images[i];
    BOOST_TEST(std::equal(bytes.begin(), bytes.end(), expected.begin(), expected.end()));
  }
}

BOOST_AUTO_TEST_CASE(an_existing_file_is_kept_unless_forced_and_until_the_new_one_is_finished) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "a.h5";
  write_fixed(path);
  BOOST_TEST(message([&] { DataSetWriter writer(path); }) ==
             path + ": exists already, and is overwritten only by force");
  const auto before = renas::test::bytes_of(path);
  {
    DataSetWriter writer(path, true);
    writer.begin_split("train", kShape);
    BOOST_TEST(renas::test::partial_files(scratch.path()) == 1);
  }  // given up
  BOOST_TEST(renas::test::partial_files(scratch.path()) == 0);
  BOOST_TEST((renas::test::bytes_of(path) == before));
}

BOOST_AUTO_TEST_CASE(a_writer_that_is_used_wrongly_says_how) {
  const TemporaryFolder scratch;
  DataSetWriter writer(scratch / "a.h5");
  const std::vector<uint8_t> image(60);
  BOOST_TEST(message([&] { writer.add(image, 0); }) == "an image was added before begin_split");
  BOOST_TEST(message([&] { writer.begin_split("exam", kShape); }) ==
             "split 'exam': expected each of train, val and test at most once");
  BOOST_TEST(message([&] {
               writer.begin_split("val", {3, 0, 5});
             }) == "split 'val': images of 0x5x3");
  writer.begin_split("train", kShape);
  BOOST_TEST(message([&] { writer.add(std::span(image).first(59), 0); }) ==
             "an image of 59 bytes; 5x4x3 has 60");
  BOOST_TEST(has(message([&] { writer.begin_split("train", kShape); }), "at most once"));
  writer.begin_split("test", {3, 0, 0});
  BOOST_TEST(message([&] { writer.add({}, 0); }) == "an encoded image without bytes");
  writer.add(image, 3);
  BOOST_TEST(message([&] { writer.finish(info_of_three()); }) ==
             "cannot finish a data set of 2 splits, labels 0 to 3 of 3 classes, 3 means and 3 "
             "standard deviations for 3 "
             "channels");
}

BOOST_AUTO_TEST_CASE(locks_on_files_do_not_matter) {
  // They fail on some network file systems; HDF5 would take one and give up.
  const TemporaryFolder scratch;
  const std::string path = scratch / "a.h5";
  write_fixed(path);
  const int fd = ::open(path.c_str(), O_RDWR);
  BOOST_REQUIRE(::flock(fd, LOCK_EX | LOCK_NB) == 0);
  BOOST_TEST(open_message(path) == "no error");
  ::close(fd);
}

BOOST_AUTO_TEST_CASE(files_that_are_no_data_sets_are_refused) {
  const TemporaryFolder scratch;
  BOOST_TEST(has(open_message(scratch / "none.h5"), "none.h5: there is no such file; expected a"));
  BOOST_TEST(has(open_message(scratch / ""), ": a folder; expected a data set"));
  renas::test::write_text(scratch / "text.h5", "this is not HDF5 at all");
  BOOST_TEST(open_message(scratch / "text.h5") == (scratch / "text.h5") + ": not an HDF5 file");
  h5::close_file(h5::create_file(scratch / "other.h5"));
  BOOST_TEST(has(open_message(scratch / "other.h5"), "but not a data set of this project"));

  const std::string path = scratch / "a.h5";
  write_fixed(path);
  BOOST_TEST(open_message(path, "val") == path + ": no split 'val'; the file has: train, test");
  fs::resize_file(path, fs::file_size(path) - 1000);
  BOOST_TEST(has(open_message(path), "a.h5: the file is truncated"));
}

BOOST_AUTO_TEST_CASE(parts_that_are_missing_or_disagree_are_named) {
  const TemporaryFolder scratch;
  int number = 0;
  // The message for a good file of one size, or of encoded images, that `spoil` was done to.
  const auto spoiled = [&](const auto& spoil, bool encoded = false) {
    const std::string path = scratch / (std::to_string(number++) + ".h5");
    if (encoded) {
      write_encoded(path);
    } else {
      write_fixed(path);
    }
    edit(path, spoil);
    return open_message(path);
  };
  const auto remove = [](const char* name) {
    return [name](hid_t file) { H5Ldelete(file, name, H5P_DEFAULT); };
  };
  BOOST_TEST(has(spoiled(remove("train/images")), "cannot find data set 'images'"));
  BOOST_TEST(has(spoiled(remove("train/labels")), "cannot find data set 'labels'"));
  BOOST_TEST(has(spoiled(remove("class_names")), "cannot find data set 'class_names'"));
  BOOST_TEST(
      has(spoiled([](hid_t file) { H5Adelete(file, "mean"); }), "cannot find attribute 'mean'"));
  BOOST_TEST(has(spoiled([](hid_t file) {
                   H5Adelete(file, "version");
                   h5::write_attribute<int32_t>(file, "version", 2);
                 }),
                 "data set of version 2; this build reads version 1"));
  const auto replace = [&](const char* name, auto values) {
    return [name, values](hid_t file) {
      H5Ldelete(file, name, H5P_DEFAULT);
      h5::write(file, name, values);
    };
  };
  BOOST_TEST(has(spoiled(replace("train/labels", std::vector<int32_t>(100, 3))),
                 "train: label 3 of image 0 is not one of the 3 classes"));
  BOOST_TEST(
      has(spoiled(replace("train/labels", std::vector<int32_t>(100, -1))), "label -1 of image 0"));
  BOOST_TEST(has(spoiled(replace("train/labels", std::vector<int32_t>(99, 0))),
                 "100 images but 99 labels"));
  BOOST_TEST(has(spoiled(replace("train/images", std::vector<float>(100))),
                 "expected 8-bit unsigned integers"));
  BOOST_TEST(has(spoiled([](hid_t file) {
                   H5Ldelete(file, "train/images", H5P_DEFAULT);
                   const std::vector<uint8_t> values(6);
                   h5::write(file, "train/images", std::span(values), {2, 3});
                 }),
                 "found 2 dimensions"));
  BOOST_TEST(has(spoiled([](hid_t file) {
                   H5Adelete(file, "mean");
                   h5::write_attribute(file, "mean", std::vector<double>{0.5});
                 }),
                 "1 means and 3 standard deviations for 3 channels"));
  BOOST_TEST(has(spoiled([](hid_t file) {
                   H5Adelete(file, "sd");
                   h5::write_attribute(file, "sd", std::vector<double>{0.5, 0.0, 0.5});
                 }),
                 "a channel's standard deviation is 0"));
  BOOST_TEST(has(spoiled(
                     [](hid_t file) {
                       const h5::Group group = h5::open_group(file, "train");
                       H5Adelete(group, "channels");
                       h5::write_attribute<int32_t>(group, "channels", 2);
                     },
                     true),
                 "train: encoded images of 2 channels; 1 and 3 exist"));
  BOOST_TEST(has(spoiled(
                     [](hid_t file) {
                       H5Ldelete(file, "train/images", H5P_DEFAULT);
                       h5::write(file, "train/images", std::vector<uint8_t>(6000000));
                     },
                     true),
                 "expected a chunked data set without filters"));
  BOOST_TEST(has(spoiled(replace("class_names", std::vector<int32_t>(3))),
                 "cannot read 'class_names' as strings"));
  BOOST_TEST(has(spoiled([](hid_t file) {
                   H5Adelete(file, "classes");
                   h5::write_attribute<int32_t>(file, "classes", 4);
                 }),
                 "4 classes but 3 class names"));
  BOOST_TEST(has(spoiled(replace("train/offsets", std::vector<int64_t>(39)), true),
                 "39 offsets, 40 lengths"));
  BOOST_TEST(has(spoiled(replace("train/offsets", std::vector<int64_t>(40, INT64_MAX - 5)), true),
                 "image 0 lies at 9223372036854775802 with 10 bytes"));
  BOOST_TEST(has(spoiled(replace("train/lengths", std::vector<int64_t>(40, -1)), true),
                 "image 0 lies at 0 with -1 bytes"));
}

// A file as people write it with h5py: contiguous, 12 images of 8x8x3 in three classes. `type` is
// that of the images as stored; their values here have its size.
struct ByHand {
  hid_t type = H5T_NATIVE_UINT8;
  std::vector<int64_t> dims{12, 8, 8, 3};
  std::vector<double> mean{0.5, 0.5, 0.5};
  std::vector<double> sd{0.25, 0.25, 0.25};

  void write(const std::string& path) const {
    const h5::Guard guard;
    h5::File file = h5::create_file(path);
    h5::write_attribute(file, "format", std::string("renas-dataset"));
    h5::write_attribute<int32_t>(file, "version", 1);
    h5::write_attribute<int32_t>(file, "classes", 3);
    h5::write_attribute(file, "mean", mean);
    h5::write_attribute(file, "sd", sd);
    h5::write_attribute(file, "source", std::string("by hand"));
    h5::write_strings(file, "class_names", {"a", "b", "c"});
    int64_t count = 1;
    for (const int64_t d : dims) count *= d;
    std::vector<uint8_t> values(count * H5Tget_size(type), 7);
    {
      const h5::Group group = h5::create_group(file, "train");
      h5::write_raw(group, "images", type, values.data(), dims);
      h5::write(group, "labels", std::vector<int32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2});
    }
    h5::close_file(std::move(file));
  }
};

BOOST_AUTO_TEST_CASE(files_written_by_hand_that_contradict_the_format_are_told_how) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "a.h5";
  const auto opened = [&](const ByHand& by_hand) {
    by_hand.write(path);
    return open_message(path);
  };
  BOOST_TEST(opened({}) == "no error");
  BOOST_TEST(opened({.type = H5T_NATIVE_INT8}) ==
             path +
                 ": train/images: expected 8-bit unsigned integers (uint8, pixels from 0 to "
                 "255); found 8-bit signed integers");
  BOOST_TEST(has(opened({.type = H5T_NATIVE_FLOAT}), "found 32-bit floating-point numbers"));
  BOOST_TEST(has(opened({.type = H5T_NATIVE_UINT16}), "found 16-bit unsigned integers"));
  // Statistics of pixels from 0 to 255, and others that no pixels have.
  BOOST_TEST(opened({.mean = {125.3, 123.0, 113.9}, .sd = {63.0, 62.1, 66.7}}) ==
             path +
                 ": a channel's mean is 125.3, as of pixels from 0 to 255; expected those of "
                 "pixels divided by 255, a mean from 0 to 1 and a standard deviation above 0 "
                 "and up to 1");
  BOOST_TEST(has(opened({.sd = {63.0, 62.1, 66.7}}),
                 "standard deviation is 63, as of pixels from 0 to 255; expected"));
  BOOST_TEST(has(opened({.mean = {0.5, -0.1, 0.5}}), "a channel's mean is -0.1; expected"));
  BOOST_TEST(has(opened({.mean = {0.5, NAN, 0.5}}), "a channel's mean is nan; expected"));
  BOOST_TEST(opened({.mean = {0, 1, 0.5}, .sd = {1, 1, 1}}) == "no error");  // constant channels
  BOOST_TEST(opened({.dims = {12, 3, 8, 8}}) ==
             path +
                 ": train/images: found [12, 3, 8, 8], whose second dimension has as many "
                 "entries as there are means: the channels come first; expected [images, "
                 "height, width, channels]");
  BOOST_TEST(has(opened({.dims = {12, 8, 8}}), "found 3 dimensions, [12, 8, 8]"));
}

BOOST_AUTO_TEST_CASE(labels_written_by_hand_are_class_indices_of_any_type) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "a.h5";
  const auto opened = [&](const auto& values, const std::vector<int64_t>& dims) {
    ByHand().write(path);
    edit(path, [&](hid_t file) {
      H5Ldelete(file, "train/labels", H5P_DEFAULT);
      h5::write(file, "train/labels", std::span(values), dims);
    });
    return open_message(path);
  };
  BOOST_TEST(opened(std::vector<int64_t>(12, 2), {12}) == "no error");
  BOOST_TEST(opened(std::vector<uint8_t>(12, 2), {12}) == "no error");
  BOOST_TEST(opened(std::vector<float>(12, 2), {12}) == "no error");
  BOOST_TEST(opened(std::vector<int32_t>(12, 2), {12, 1}) == "no error");
  BOOST_TEST(DataSet::open(path, "train").labels()[11] == 2);
  BOOST_TEST(opened(std::vector<float>(36), {12, 3}) ==
             path +
                 ": train/labels: found the shape [12, 3], a column a class (one-hot); expected "
                 "[images], the class of each as a whole number from 0");
  BOOST_TEST(has(opened(std::vector<uint8_t>(24), {12, 2}),
                 "train/labels: found the shape [12, 2]; expected [images]"));
  const std::vector<int32_t> from_1{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3};
  BOOST_TEST(opened(from_1, {12}) ==
             path +
                 ": train/labels: found labels from 1 to 3; expected 0 to 2 for the 3 classes, "
                 "so subtract 1");
  BOOST_TEST(
      has(opened(std::vector<float>(12, 0.5F), {12}), "label 0.5 of image 0 is no whole number"));
  BOOST_TEST(has(opened(std::vector<double>(12, NAN), {12}), "is no whole number"));
  BOOST_TEST(has(opened(std::vector<int64_t>(12, int64_t{1} << 40), {12}), "label 2147483647"));
  ByHand().write(path);
  edit(path, [&](hid_t file) {
    H5Ldelete(file, "train/labels", H5P_DEFAULT);
    h5::write_strings(file, "train/labels", std::vector<std::string>(12, "cat"));
  });
  BOOST_TEST(has(open_message(path), "train/labels: found strings; expected the class"));
}

// A filter that copies: it stands for those of h5py and hdf5plugin, which not everybody has.
std::size_t copy_filter(unsigned, std::size_t, const unsigned*, std::size_t bytes, std::size_t*,
                        void**) {
  return bytes;
}

BOOST_AUTO_TEST_CASE(a_filter_that_is_missing_is_named) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "a.h5";
  for (const auto& [number, stored, shown] :
       {std::tuple{32000, "lzf", "lzf"}, {32001, "", "blosc"}, {299, "my own", "my own"}}) {
    ByHand().write(path);
    const H5Z_class2_t filter{H5Z_CLASS_T_VERS, number,  1,       1,
                              stored,           nullptr, nullptr, copy_filter};
    BOOST_REQUIRE(H5Zregister(&filter) >= 0);
    edit(path, [&, n = number](hid_t file) {
      H5Ldelete(file, "train/images", H5P_DEFAULT);
      const hsize_t dims[] = {12, 8, 8, 3};
      const h5::Space space(H5Screate_simple(4, dims, nullptr));
      const h5::Properties properties(H5Pcreate(H5P_DATASET_CREATE));
      H5Pset_chunk(properties, 4, dims);
      H5Pset_filter(properties, n, H5Z_FLAG_OPTIONAL, 0, nullptr);
      h5::Dataset images(H5Dcreate2(file, "train/images", H5T_NATIVE_UINT8, space, H5P_DEFAULT,
                                    properties, H5P_DEFAULT));
      const std::vector<uint8_t> values(12 * 8 * 8 * 3);
      H5Dwrite(images, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    });
    BOOST_TEST(open_message(path) == "no error");
    H5Zunregister(number);
    BOOST_TEST(open_message(path) ==
               path + ": data set '/train/images' is compressed by the filter " + shown +
                   " (number " + std::to_string(number) +
                   "), which the HDF5 library here does not have; where it was made, write it "
                   "again with gzip or without compression");
  }
}

BOOST_AUTO_TEST_CASE(the_range_of_16_bit_values_comes_back) {
  const TemporaryFolder scratch;
  DataSetInfo info = info_of_three();
  BOOST_TEST(!info.range_16.has_value());
  info.range_16 = renas::Range16{5, 4085};
  DataSetWriter writer(scratch / "a.h5");
  writer.begin_split("train", kShape);
  writer.add(std::vector<uint8_t>(60), 0);
  writer.finish(info);
  const DataSet data = DataSet::open(scratch / "a.h5", "train");
  BOOST_TEST((data.info().range_16 == renas::Range16{5, 4085}));
  edit(scratch / "a.h5", [](hid_t file) {
    H5Adelete(file, "range_16");
    h5::write_attribute(file, "range_16", std::vector<int32_t>{9, 9});
  });
  BOOST_TEST(has(open_message(scratch / "a.h5"),
                 "the attribute range_16 is 9, 9; expected two ascending numbers"));
}

BOOST_AUTO_TEST_CASE(damaged_bytes_are_noticed) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "a.h5";
  const auto pixels = write_fixed(path);
  flip_bit_at(path, std::span(pixels).subspan(600, 60));
  BOOST_TEST(has(open_message(path), "cannot read data set '/train/images': "));
  BOOST_TEST(
      has(message([&] { pixels_of(DataSet::open(path, "train", 0)); }), "cannot read image 0"));

  const std::string other = scratch / "b.h5";
  const auto images = write_encoded(other);
  flip_bit_at(other, std::span(images[20]).subspan(100, 60));
  std::vector<uint8_t> buffer;
  const DataSet data = DataSet::open(other, "train");
  BOOST_TEST(data.image(19, buffer).size() == images[19].size());
  BOOST_TEST(has(message([&] { data.image(20, buffer); }), "image 20 of train is damaged (CRC32 "));
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_written_says_why_and_leaves_nothing) {
  const TemporaryFolder scratch;
  BOOST_TEST(has(message([&] { DataSetWriter writer(scratch / "no/such/folder.h5"); }),
                 "folder.h5: cannot write: No such file or directory"));
  // The limit on file sizes stands for a full disk: writes fail with EFBIG as they would with
  // ENOSPC.
  const std::string path = scratch / "a.h5";
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 400000;
  const std::string said = message([&] {
    DataSetWriter writer(path);
    setrlimit(RLIMIT_FSIZE, &small);
    writer.begin_split("train", {1, 100, 100});
    for (int i = 0; i < 1000; ++i) writer.add(std::vector<uint8_t>(10000), 0);
    DataSetInfo info = info_of_three();
    info.mean = info.sd = {0.5};
    writer.finish(info);
  });
  setrlimit(RLIMIT_FSIZE, &before);
  BOOST_TEST(has(said, "a.h5: cannot write"));
  BOOST_TEST(has(said, "File too large"));
  BOOST_TEST(fs::is_empty(scratch.path()));
  // HDF5 is still usable.
  write_fixed(path);
  BOOST_TEST(open_message(path) == "no error");
}

BOOST_AUTO_TEST_SUITE_END()
