#include "renas/loader.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <vector>

#include "data/augment.h"
#include "renas/error.h"
#include "support/made_up_images.h"

using renas::Augmentation;
using renas::DataSet;
using renas::Loader;
using renas::LoaderOptions;
using renas::Shape;

namespace {

struct Epoch {
  std::vector<float> images;
  std::vector<int32_t> labels;
  std::vector<int> counts;
  bool operator==(const Epoch&) const = default;
};

Epoch read_epoch(Loader& loader, int batch, uint64_t epoch) {
  Epoch result;
  std::vector<float> images(batch * loader.shape().size());
  std::vector<int32_t> labels(batch);
  loader.start(epoch);
  while (const int count = loader.next(images, labels)) {
    result.images.insert(result.images.end(), images.begin(),
                         images.begin() + count * loader.shape().size());
    result.labels.insert(result.labels.end(), labels.begin(), labels.begin() + count);
    result.counts.push_back(count);
  }
  return result;
}

Epoch read_epoch(const DataSet& data, const LoaderOptions& options, uint64_t epoch) {
  Loader loader(data, renas::all_indices(data.size()), options);
  return read_epoch(loader, options.batch, epoch);
}

// The network's view of an image, written down without any of the library's shortcuts: every value
// of the normalised, padded image by its place.
float augmented(const DataSet& data, int64_t index, const renas::Draw& draw,
                const Augmentation& how, int c, int y, int x) {
  const Shape& shape = data.shape();
  if (how.cutout > 0) {
    const int top = draw.cutout_y - how.cutout / 2;
    const int left = draw.cutout_x - how.cutout / 2;
    if (y >= top && y < top + how.cutout && x >= left && x < left + how.cutout) return 0;
  }
  if (draw.flip) x = shape.width - 1 - x;
  y += draw.shift_y;
  x += draw.shift_x;
  if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) return 0;
  std::vector<uint8_t> buffer;
  const auto image = data.image(index, buffer);
  const double value = image[(y * shape.width + x) * shape.channels + c] / 255.0;
  return static_cast<float>((value - data.info().mean[c]) / data.info().sd[c]);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(loader)

BOOST_AUTO_TEST_CASE(every_augmented_value_is_that_of_the_plain_definition) {
  const Shape shape{3, 9, 7};
  const DataSet data = renas::test::made_up(40, shape, 4);
  for (const bool flip : {false, true}) {
    LoaderOptions options;
    options.batch = 16;
    options.seed = 11;
    options.shuffle = false;
    options.augmentation.pad = 3;
    options.augmentation.flip = flip;
    options.augmentation.cutout = 4;
    const Epoch epoch = read_epoch(data, options, 5);
    std::size_t at = 0;
    double worst = 0;
    for (int64_t i = 0; i < data.size(); ++i) {
      const renas::Draw draw = renas::draw_augmentation(options.augmentation, shape,
                                                        renas::augmentation_stream(11, 5, i));
      for (int y = 0; y < shape.height; ++y) {
        for (int x = 0; x < shape.width; ++x) {
          for (int c = 0; c < 3; ++c) {
            const float expected = augmented(data, i, draw, options.augmentation, c, y, x);
            worst = std::max(worst, std::abs(double{expected} - epoch.images[at++]));
          }
        }
      }
    }
    BOOST_TEST(at == epoch.images.size());
    BOOST_TEST(worst < 2e-6);
  }
}

BOOST_AUTO_TEST_CASE(crop_offsets_are_uniform_and_half_the_images_are_flipped) {
  const int draws = 40500;
  std::map<std::pair<int, int>, int> offsets;
  int flips = 0;
  for (int i = 0; i < draws; ++i) {
    const auto draw = renas::draw_augmentation(Augmentation::search(), {3, 32, 32},
                                               renas::augmentation_stream(1, 2, i));
    ++offsets[{draw.shift_y, draw.shift_x}];
    flips += draw.flip ? 1 : 0;
  }
  BOOST_TEST(offsets.size() == 81U);
  double chi_squared = 0;
  for (const auto& [offset, count] : offsets) {
    BOOST_TEST(std::abs(offset.first) <= 4);
    BOOST_TEST(std::abs(offset.second) <= 4);
    chi_squared += (count - 500.0) * (count - 500.0) / 500.0;
  }
  BOOST_TEST(chi_squared < 124.8);                        // 80 degrees of freedom, p = 0.001
  BOOST_TEST(std::abs(flips - draws / 2.0) < 3.3 * 101);  // std 100.6
}

BOOST_AUTO_TEST_CASE(threads_prefetch_and_batch_size_change_no_pixel) {
  const DataSet data = renas::test::made_up(203, {3, 8, 8}, 5);
  LoaderOptions options;
  options.seed = 3;
  options.augmentation = Augmentation::cifar_final();
  options.augmentation.cutout = 3;
  options.threads = 0;
  const Epoch expected = read_epoch(data, options, 7);
  for (const int threads : {0, 1, 3}) {
    for (const int batch : {1, 7, 64, 500}) {
      options.threads = threads;
      options.batch = batch;
      options.prefetch = 1 + batch % 3;
      const Epoch epoch = read_epoch(data, options, 7);
      BOOST_TEST((epoch.images == expected.images));
      BOOST_TEST((epoch.labels == expected.labels));
    }
  }
}

BOOST_AUTO_TEST_CASE(an_epoch_begun_again_or_by_another_loader_is_the_same) {
  const DataSet data = renas::test::made_up(100, {1, 6, 6}, 5);
  LoaderOptions options;
  options.batch = 16;
  options.threads = 2;
  options.augmentation = Augmentation::search();
  Loader loader(data, renas::all_indices(100), options);
  const Epoch first = read_epoch(loader, 16, 0);
  const Epoch second = read_epoch(loader, 16, 1);
  BOOST_TEST((first.images != second.images));
  BOOST_TEST((first.labels != second.labels));
  std::vector<float> images(16 * 36);
  std::vector<int32_t> labels(16);
  loader.start(0);
  loader.next(images, labels);  // abandoned in the middle
  BOOST_TEST((read_epoch(loader, 16, 1) == second));
  BOOST_TEST((read_epoch(data, options, 0) == first));
}

BOOST_AUTO_TEST_CASE(epochs_given_up_in_the_middle_leave_nothing_behind) {
  // Threads are at work on an old epoch's images when the new one begins.
  const DataSet data = renas::test::made_up(400, {3, 32, 32}, 7);
  LoaderOptions options;
  options.batch = 40;
  options.threads = 3;
  options.augmentation = Augmentation::search();
  const Epoch expected = read_epoch(data, options, 1);
  Loader loader(data, renas::all_indices(data.size()), options);
  std::vector<float> images(40 * data.shape().size());
  std::vector<int32_t> labels(40);
  int wrong = 0;
  for (int round = 0; round < 400; ++round) {
    loader.start(0);
    if (round % 2 == 1) loader.next(images, labels);
    loader.start(1);
    loader.next(images, labels);
    wrong += std::equal(images.begin(), images.end(), expected.images.begin()) &&
                     std::equal(labels.begin(), labels.end(), expected.labels.begin())
                 ? 0
                 : 1;
  }
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(each_epoch_has_every_image_once_and_the_last_batch_may_be_left_out) {
  // Labels tell images apart here: one class each.
  const DataSet data = renas::test::made_up(50, {1, 2, 2}, 50);
  LoaderOptions options;
  options.batch = 8;
  Epoch epoch = read_epoch(data, options, 0);
  const std::vector<int> counts{8, 8, 8, 8, 8, 8, 2};
  BOOST_TEST(epoch.counts == counts);
  BOOST_TEST(!std::is_sorted(epoch.labels.begin(), epoch.labels.end()));
  std::sort(epoch.labels.begin(), epoch.labels.end());
  for (int i = 0; i < 50; ++i) BOOST_TEST(epoch.labels[i] == i);
  options.drop_last = true;
  BOOST_TEST(read_epoch(data, options, 0).counts == std::vector<int>(6, 8));
}

BOOST_AUTO_TEST_CASE(ranks_share_an_epoch_without_overlap) {
  const DataSet data = renas::test::made_up(53, {1, 2, 2}, 53);
  LoaderOptions options;
  options.batch = 4;
  options.ranks = 3;
  std::vector<int32_t> all;
  for (options.rank = 0; options.rank < 3; ++options.rank) {
    const Epoch epoch = read_epoch(data, options, 2);
    all.insert(all.end(), epoch.labels.begin(), epoch.labels.end());
  }
  std::sort(all.begin(), all.end());
  BOOST_TEST(all.size() == 53U);
  BOOST_TEST((std::unique(all.begin(), all.end()) == all.end()));
  options.drop_last = true;
  for (options.rank = 0; options.rank < 3; ++options.rank) {
    BOOST_TEST(read_epoch(data, options, 2).counts == std::vector<int>(4, 4));
  }
}

BOOST_AUTO_TEST_CASE(evaluation_keeps_the_order_given) {
  const DataSet data = renas::test::made_up(10, {1, 2, 2}, 10);
  LoaderOptions options;
  options.shuffle = false;
  options.batch = 4;
  Loader loader(data, {7, 3, 3, 9}, options);
  const std::vector<int32_t> expected{7, 3, 3, 9};
  BOOST_TEST(read_epoch(loader, 4, 0).labels == expected);
}

BOOST_AUTO_TEST_CASE(options_out_of_range_name_what_was_expected) {
  const DataSet data = renas::test::made_up(10, {1, 2, 2}, 10);
  const auto message = [&](const LoaderOptions& options, std::vector<int64_t> indices = {0}) {
    try {
      const Loader loader(data, std::move(indices), options);
    } catch (const renas::InvalidInput& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  LoaderOptions options;
  BOOST_TEST(message(options, {10}) == "loader: index 10 of a data set of 10 images");
  options.batch = 0;
  BOOST_TEST(message(options) == "loader: batch must be 1 or more, got 0");
  options.batch = 4;
  options.rank = 2;
  options.ranks = 2;
  BOOST_TEST(message(options) == "loader: rank must be from 0 to 1, got 2");
  options.rank = 0;
  options.augmentation.lighting = 0.1;
  BOOST_TEST(message(options) ==
             "loader: saturation and lighting must be 0 where images have other than 3 channels, "
             "got 0.1");
}

BOOST_AUTO_TEST_CASE(a_batch_of_images_of_another_size_is_refused) {
  const DataSet data = renas::test::made_up(10, {1, 4, 4}, 10);
  Loader loader(data, {0, 1, 2, 3}, {.batch = 4, .shuffle = false});
  loader.start(0);
  // Room for 4 images of 1x8x8 is no place for 4 of 1x4x4, though these would fit.
  std::vector<float> images(std::size_t{4} * 64);
  std::vector<int32_t> labels(4);
  BOOST_CHECK_THROW(loader.next(images, labels), renas::InvalidShape);
  images.resize(std::size_t{4} * 16);
  BOOST_TEST(loader.next(images, labels) == 4);
}

BOOST_AUTO_TEST_CASE(the_last_epochs_crop_and_flip_only) {
  const DataSet data = renas::test::made_up(48, {3, 32, 32}, 4);
  LoaderOptions all{.batch = 16, .seed = 4, .augmentation = Augmentation::cifar_final()};
  all.augmentation.brightness = 0.4;
  LoaderOptions switched = all;
  switched.plain_from = 2;
  LoaderOptions plain = all;
  plain.augmentation = Augmentation::search();
  BOOST_TEST((read_epoch(data, switched, 1) == read_epoch(data, all, 1)));
  BOOST_TEST((read_epoch(data, switched, 2) == read_epoch(data, plain, 2)));
  BOOST_TEST((read_epoch(data, all, 2) != read_epoch(data, plain, 2)));
  // The scale is then the least one.
  const Augmentation last = Augmentation::imagenet().crop_and_flip();
  BOOST_TEST(last.shorter_side_max == 0);
  BOOST_TEST(last.random_crop);
  BOOST_TEST(last.lighting == 0.0);
}

BOOST_AUTO_TEST_SUITE_END()
