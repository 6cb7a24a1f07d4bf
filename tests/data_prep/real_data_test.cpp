// Real data sets through the preparing programs and back. RENAS_TEST_DATA names a folder that holds
// cifar-10-batches-bin and imagenet-tree-sample (or either), unpacked; Fashion-MNIST is Debian's
// package dataset-fashion-mnist, or a folder fashion-mnist in the same place.

#include <fmt/format.h>
#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "renas/dataset.h"
#include "renas/image.h"
#include "renas/loader.h"
#include "support/encode.h"
#include "support/files.h"
#include "support/temporary_folder.h"

namespace fs = std::filesystem;
using renas::DataSet;
using renas::test::bytes_of;
using renas::test::TemporaryFolder;

namespace {

// "" where it is not there.
std::string find(const std::string& name) {
  const char* folder = std::getenv("RENAS_TEST_DATA");
  const std::string given = folder == nullptr ? "" : std::string(folder) + "/" + name;
  if (!given.empty() && fs::exists(given)) return given;
  if (name == "fashion-mnist" && fs::exists("/usr/share/datasets/fashion-mnist")) {
    return "/usr/share/datasets/fashion-mnist";
  }
  return "";
}

// A precondition: without the data the test is skipped, and says so.
auto present(const std::string& name) {
  return boost::unit_test::precondition([name](boost::unit_test::test_unit_id) {
    const bool there = !find(name).empty();
    if (!there) {
      fmt::print(stderr, "skipped: {} is not there; RENAS_TEST_DATA names the folder it is in\n",
                 name);
    }
    return there;
  });
}

void prepare(const std::string& words) {
  BOOST_REQUIRE(std::system((RENAS_PROGRAMS "/" + words + " > /dev/null").c_str()) == 0);
}

std::vector<uint8_t> unzipped(const std::string& path) {
  std::vector<uint8_t> bytes(64U << 20);
  gzFile file = gzopen(path.c_str(), "rb");
  BOOST_REQUIRE(file != nullptr);
  const int count = gzread(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  BOOST_REQUIRE(count > 0);
  bytes.resize(count);
  return bytes;
}

std::vector<uint8_t> stored(const DataSet& data, int64_t i) {
  std::vector<uint8_t> buffer;
  const auto bytes = data.image(i, buffer);
  return {bytes.begin(), bytes.end()};
}

void check_even(const DataSet& data, int classes, int each) {
  std::map<int32_t, int> counts;
  for (const int32_t label : data.labels()) ++counts[label];
  BOOST_TEST(counts.size() == static_cast<std::size_t>(classes));
  for (const auto& [label, count] : counts) BOOST_TEST(count == each);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(real_data)

BOOST_AUTO_TEST_CASE(fashion_mnist_comes_out_as_it_went_in, *present("fashion-mnist")) {
  const TemporaryFolder scratch;
  const std::string in = find("fashion-mnist");
  prepare("renas-prep-idx " + in + " " + (scratch / "f.h5"));
  for (const auto& [split, prefix, each] :
       {std::tuple{"train", "/train", 6000}, std::tuple{"test", "/t10k", 1000}}) {
    const DataSet data = DataSet::open(scratch / "f.h5", split);
    const auto images = unzipped(in + prefix + "-images-idx3-ubyte.gz");
    const auto labels = unzipped(in + prefix + "-labels-idx1-ubyte.gz");
    BOOST_TEST(data.size() == each * 10);
    check_even(data, 10, each);
    bool same = true;
    for (int64_t i = 0; i < data.size(); ++i) {
      const auto at = images.begin() + 16 + i * 784;
      same = same && stored(data, i) == std::vector<uint8_t>(at, at + 784) &&
             data.labels()[i] == labels[8 + i];
    }
    BOOST_TEST(same);
  }
}

BOOST_AUTO_TEST_CASE(cifar_10_comes_out_as_it_went_in, *present("cifar-10-batches-bin")) {
  const TemporaryFolder scratch;
  const std::string in = find("cifar-10-batches-bin");
  prepare("renas-prep-cifar " + in + " " + (scratch / "c.h5"));
  const DataSet train = DataSet::open(scratch / "c.h5", "train");
  const DataSet test = DataSet::open(scratch / "c.h5", "test");
  check_even(train, 10, 5000);
  check_even(test, 10, 1000);
  BOOST_TEST(train.info().class_names[9] == "truck");
  const double mean[] = {.4914, .4822, .4465};
  const double sd[] = {.2470, .2435, .2616};
  for (std::size_t c = 0; c < 3; ++c) {
    BOOST_TEST(std::abs(train.info().mean[c] - mean[c]) < 5e-5);
    BOOST_TEST(std::abs(train.info().sd[c] - sd[c]) < 5e-5);
  }
  int64_t wrong = 0;
  for (int file = 0; file < 6; ++file) {
    const auto bytes = bytes_of(
        in + (file < 5 ? "/data_batch_" + std::to_string(file + 1) : std::string("/test_batch")) +
        ".bin");
    const DataSet& data = file < 5 ? train : test;
    for (int64_t i = 0; i < 10000; ++i) {
      const int64_t at = file < 5 ? file * 10000 + i : i;
      const uint8_t* record = &bytes[i * 3073];
      const auto image = stored(data, at);
      bool same = data.labels()[at] == record[0];
      for (std::size_t p = 0; p < 1024; ++p) {
        for (std::size_t c = 0; c < 3; ++c) {
          same = same && image[p * 3 + c] == record[1 + c * 1024 + p];
        }
      }
      wrong += same ? 0 : 1;
    }
  }
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(imagenets_images_stay_byte_for_byte_and_decode_as_libjpeg_turbo_does,
                     *present("imagenet-tree-sample")) {
  const TemporaryFolder scratch;
  const std::string in = find("imagenet-tree-sample");
  // Its val has other classes than its train.
  prepare("renas-prep-images " + in + " " + (scratch / "i.h5") + " --allow-class-differences");
  int64_t images = 0;
  int64_t grey = 0;
  for (const auto& [split, folder] : {std::pair{"train", "train"}, std::pair{"test", "val"}}) {
    const DataSet data = DataSet::open(scratch / "i.h5", split);
    for (int64_t i = 0; i < data.size(); ++i) {
      const std::string& name = data.info().class_names[data.labels()[i]];
      // The sample has one image a class.
      const auto file =
          bytes_of(fs::directory_iterator(in + "/" + folder + "/" + name)->path().string());
      BOOST_TEST((stored(data, i) == file));
      renas::DecodeOptions options;
      options.channels = 3;
      BOOST_TEST(
          (renas::decode_image(file, options).pixels == renas::test::plain_jpeg(file, 3).pixels));
      grey += renas::inspect_image(file).shape.channels == 1 ? 1 : 0;
      ++images;
    }
  }
  BOOST_TEST(images == 60);
  BOOST_TEST(grey > 0);
}

BOOST_AUTO_TEST_CASE(crops_of_imagenets_images_are_those_of_the_whole_images,
                     *present("imagenet-tree-sample")) {
  const TemporaryFolder scratch;
  prepare("renas-prep-images " + find("imagenet-tree-sample") + " " + (scratch / "i.h5") +
          " --allow-class-differences");
  const DataSet data = DataSet::open(scratch / "i.h5", "train");
  renas::LoaderOptions options;
  options.batch = 1;
  options.shuffle = false;
  options.augmentation = renas::Augmentation::imagenet();
  options.threads = 3;
  renas::Loader loader(data, renas::all_indices(data.size()), options);
  options.threads = 0;
  std::vector<float> images(3 * 224 * 224);
  std::vector<float> expected(images.size());
  std::vector<int32_t> label(1);
  loader.start(1);
  for (int64_t i = 0; i < data.size(); ++i) {
    // The same image decoded whole, in a data set where it has the same number.
    const auto whole = renas::test::plain_jpeg(stored(data, i), 3);
    std::vector<uint8_t> pixels(i * whole.pixels.size());
    pixels.insert(pixels.end(), whole.pixels.begin(), whole.pixels.end());
    renas::DataSetInfo info = data.info();
    const DataSet decoded(whole.shape, std::move(pixels), std::vector<int32_t>(i + 1, 0), info);
    renas::Loader one(decoded, {i}, options);
    one.start(1);
    BOOST_TEST(one.next(expected, label) == 1);
    BOOST_TEST(loader.next(images, label) == 1);
    // Where the decoder halves the image first, the crop is another, by little.
    const int shorter = std::min(whole.shape.height, whole.shape.width);
    double worst = 0;
    double sum = 0;
    for (std::size_t k = 0; k < images.size(); ++k) {
      const double difference = std::abs(images[k] - expected[k]);
      worst = std::max(worst, difference);
      sum += difference;
    }
    if (shorter < 512) {
      BOOST_TEST(worst == 0, "image " << i << " differs by " << worst);
    } else {
      BOOST_TEST(sum / static_cast<double>(images.size()) < 0.15, "image " << i);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
