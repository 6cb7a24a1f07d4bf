#include "renas/dataset.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "renas/error.h"
#include "support/made_up_images.h"

using renas::DataSet;
using renas::DataSetInfo;

BOOST_AUTO_TEST_SUITE(data_set)

BOOST_AUTO_TEST_CASE(in_memory_it_measures_mean_and_sd_by_channel) {
  // Channel 0 is 0 and 255, channel 1 always 51.
  const DataSet data({2, 1, 2}, {0, 51, 255, 51}, {3}, {});
  BOOST_TEST(data.classes() == 4);
  BOOST_TEST(data.info().mean[0] == 0.5);
  BOOST_TEST(data.info().sd[0] == 0.5);
  BOOST_TEST(data.info().mean[1] == 0.2);
  BOOST_TEST(data.info().sd[1] == 1.0);  // constant: not divided by zero
}

BOOST_AUTO_TEST_CASE(joined_sets_follow_each_other) {
  DataSetInfo info;
  info.classes = 3;
  const DataSet first({1, 1, 2}, {1, 2, 3, 4}, {0, 1}, info);
  const DataSet second({1, 1, 2}, {5, 6}, {2}, info);
  const DataSet joined = DataSet::joined(first, second);
  BOOST_TEST(joined.size() == 3);
  BOOST_TEST(joined.info().mean == first.info().mean);
  std::vector<uint8_t> buffer;
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST(joined.labels()[i] == i);
    BOOST_TEST(int{joined.image(i, buffer)[1]} == 2 * i + 2);
  }
  BOOST_CHECK_THROW(joined.image(3, buffer), renas::InvalidInput);
  info.classes = 4;
  for (const DataSet& other :
       {DataSet({1, 1, 2}, {5, 6}, {2}, info), DataSet({1, 2, 1}, {5, 6}, {2}, first.info())}) {
    BOOST_CHECK_THROW(DataSet::joined(first, other), renas::InvalidInput);
  }
}

BOOST_AUTO_TEST_CASE(sizes_that_disagree_and_labels_out_of_range_are_refused) {
  const auto message = [](std::vector<uint8_t> pixels, std::vector<int32_t> labels) {
    DataSetInfo info;
    info.classes = 3;
    try {
      const DataSet data({1, 2, 2}, std::move(pixels), std::move(labels), info);
    } catch (const renas::InvalidInput& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  BOOST_TEST(message({1, 2, 3}, {0}) ==
             "data set: 1 labels and 3 bytes of pixels; 1 images of 2x2x1 have 4");
  BOOST_TEST(message({1, 2, 3, 4}, {3}) ==
             "data set: label 3 of image 0 is not one of the 3 classes");
  BOOST_TEST(message({1, 2, 3, 4}, {-1}) ==
             "data set: label -1 of image 0 is not one of the 3 classes");
}

BOOST_AUTO_TEST_SUITE_END()
