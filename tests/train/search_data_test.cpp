// What a search learns from and what it is judged by: D_train and D_val of a file.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "renas/dataset_writer.h"
#include "renas/error.h"
#include "renas/evaluation.h"
#include "support/temporary_folder.h"

using namespace renas;
using renas::test::TemporaryFolder;

namespace {

/// A file of pictures of one pixel, which is their number: 100 of train from 0 on, 10 of val from
/// 200 on, 5 of test. Train has 90 images of class a and one each of b to k.
std::string write_file(const TemporaryFolder& folder, bool val = true) {
  const std::string path = folder / (val ? "with_val.h5" : "without.h5");
  DataSetWriter writer(path);
  const auto add = [&](const char* split, int first, int count, auto label) {
    writer.begin_split(split, {1, 1, 1});
    for (int i = 0; i < count; ++i) {
      writer.add(std::vector<uint8_t>{static_cast<uint8_t>(first + i)}, label(i));
    }
  };
  add("train", 0, 100, [](int i) { return std::max(0, i - 89); });
  if (val) add("val", 200, 10, [](int i) { return i % 2; });
  add("test", 250, 5, [](int) { return 0; });
  DataSetInfo info;
  info.classes = 11;
  for (char c = 'a'; c <= 'k'; ++c) info.class_names.emplace_back(1, c);
  info.mean = info.sd = {0.5};
  writer.finish(info);
  return path;
}

int pixel(const SearchData& data, int64_t index) {
  std::vector<uint8_t> buffer;
  return data.images.image(index, buffer)[0];
}

std::string message(const std::string& path, int64_t validation, int64_t subset,
                    const std::string& group) {
  try {
    open_search_data(path, validation, subset, 1, group);
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "opened";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(search_data)

BOOST_AUTO_TEST_CASE(d_val_may_be_the_split_val) {
  const TemporaryFolder folder;
  const std::string path = write_file(folder);
  for (const int64_t all : {-1, 0, 10}) {
    const SearchData data = open_search_data(path, all, 0, 1, "val");
    BOOST_TEST(data.train.size() == 100U);
    BOOST_TEST(data.validation.size() == 10U);
    for (std::size_t i = 0; i < 100; ++i) BOOST_TEST(pixel(data, data.train[i]) == i);
    for (std::size_t i = 0; i < 10; ++i) {
      BOOST_TEST(pixel(data, data.validation[i]) == 200 + i);
      BOOST_TEST(data.images.labels()[data.validation[i]] == i % 2);
    }
    BOOST_TEST(data.warnings.empty());
    BOOST_TEST(data.images.classes() == 11);
  }
  const SearchData some = open_search_data(path, 4, 50, 1, "val");
  BOOST_TEST(some.train.size() == 50U);
  BOOST_TEST(some.validation.size() == 4U);
  BOOST_TEST(*std::max_element(some.train.begin(), some.train.end()) < 100);
  BOOST_TEST(*std::min_element(some.validation.begin(), some.validation.end()) >= 100);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_d_val_is_refused) {
  const TemporaryFolder folder;
  const std::string path = write_file(folder);
  BOOST_TEST(message(path, 11, 0, "val") ==
             "validation 11: expected 1 to 10, the images of val, or -1");
  BOOST_TEST(message(path, -1, 101, "val").rfind("subset 101: expected 0 (all) to 100", 0) == 0U);
  for (const char* group : {"test", "train"}) {
    BOOST_TEST(message(path, -1, 0, group).find("D_val must be neither") != std::string::npos);
  }
  const std::string without = write_file(folder, false);
  BOOST_TEST(message(without, -1, 0, "val") ==
             without + ": no split 'val'; the file has: train, test");
}

BOOST_AUTO_TEST_CASE(a_class_that_cannot_keep_an_image_is_named_in_a_warning) {
  const TemporaryFolder folder;
  const std::string path = write_file(folder, false);
  BOOST_TEST(open_search_data(path, 20, 0, 1).warnings.empty());
  BOOST_TEST(open_search_data(path, 89, 0, 1).warnings.empty());
  // 11 classes in 10 images, then one in a subset of one image.
  const std::vector<std::string> one = open_search_data(path, 90, 0, 1).warnings;
  BOOST_TEST_REQUIRE(one.size() == 1U);
  BOOST_TEST(one[0].rfind(path + ": 1 of its classes have no image in D_train: ", 0) == 0U);
  const std::vector<std::string> most = open_search_data(path, 0, 1, 1).warnings;
  BOOST_TEST_REQUIRE(most.size() == 1U);
  BOOST_TEST(most[0] == path +
                            ": 10 of its classes have no image in D_train: b, c, d, e, f, g, h, "
                            "i, j, k");
  // A split val that nobody asked for.
  const std::string with_val = write_file(folder);
  const std::vector<std::string> unused = open_search_data(with_val, 20, 0, 1).warnings;
  BOOST_TEST_REQUIRE(unused.size() == 1U);
  BOOST_TEST(unused[0] == with_val +
                              ": its split val is not used, D_val is held out of train "
                              "(validation_group)");
}

BOOST_AUTO_TEST_SUITE_END()
