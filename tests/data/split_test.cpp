#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <vector>

#include "renas/dataset.h"
#include "renas/error.h"

using renas::Split;

namespace {

std::vector<int> count_by_class(const std::vector<int32_t>& labels,
                                const std::vector<int64_t>& list) {
  std::vector<int> counts(10);
  for (const int64_t i : list) {
    ++counts[labels[i]];
  }
  return counts;
}

std::vector<int32_t> ten_classes(int count) {
  std::vector<int32_t> labels;
  for (int i = 0; i < count; ++i) labels.push_back((i * 7) % 10);
  return labels;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(splits)

BOOST_AUTO_TEST_CASE(held_out_images_are_stratified_and_no_image_is_on_both_sides) {
  const auto labels = ten_classes(5000);
  const Split split = renas::split_validation(labels, 500, 1);
  BOOST_TEST(split.train.size() == 4500U);
  BOOST_TEST(split.validation.size() == 500U);
  const std::vector<int> fifty(10, 50);
  BOOST_TEST(count_by_class(labels, split.validation) == fifty);
  std::set<int64_t> all(split.train.begin(), split.train.end());
  all.insert(split.validation.begin(), split.validation.end());
  BOOST_TEST(all.size() == 5000U);
  BOOST_TEST(std::is_sorted(split.train.begin(), split.train.end()));
  BOOST_TEST(std::is_sorted(split.validation.begin(), split.validation.end()));
}

BOOST_AUTO_TEST_CASE(the_seed_alone_decides_who_is_held_out) {
  const auto labels = ten_classes(1000);
  const Split split = renas::split_validation(labels, 100, 1);
  BOOST_TEST((split.validation == renas::split_validation(labels, 100, 1).validation));
  BOOST_TEST((split.validation != renas::split_validation(labels, 100, 2).validation));
}

BOOST_AUTO_TEST_CASE(remainders_go_to_the_classes_with_the_largest) {
  // Shares of 10: 7 * 10 / 20 = 3.5, 9 * 10 / 20 = 4.5, 4 * 10 / 20 = 2: the first of equals wins.
  std::vector<int32_t> labels(7, 0);
  labels.resize(16, 1);
  labels.resize(20, 2);
  const Split split = renas::split_validation(labels, 10, 3);
  const auto counts = count_by_class(labels, split.validation);
  BOOST_TEST(counts[0] == 4);
  BOOST_TEST(counts[1] == 4);
  BOOST_TEST(counts[2] == 2);
}

BOOST_AUTO_TEST_CASE(a_subset_of_the_training_images_is_stratified_too) {
  const auto labels = ten_classes(5000);
  const Split split = renas::split_validation(labels, 500, 1);
  const auto subset = renas::take_stratified(labels, split.train, 200, 1);
  const std::vector<int> twenty(10, 20);
  BOOST_TEST(count_by_class(labels, subset) == twenty);
  BOOST_TEST(std::includes(split.train.begin(), split.train.end(), subset.begin(), subset.end()));
  BOOST_TEST((subset != renas::take_stratified(labels, split.train, 200, 2)));
  BOOST_TEST((renas::take_stratified(labels, split.train, 4500, 9) == split.train));
  // With one seed, who is taken has nothing to do with who is held out.
  BOOST_TEST(
      (renas::take_stratified(labels, renas::all_indices(5000), 500, 1) != split.validation));
}

BOOST_AUTO_TEST_CASE(an_image_is_held_out_as_often_as_any_other) {
  const auto labels = ten_classes(100);
  std::vector<int> held(100);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    for (const int64_t i : renas::split_validation(labels, 20, seed).validation) {
      ++held[i];
    }
  }
  // 200 each, std 12.6: five of them.
  BOOST_TEST(*std::min_element(held.begin(), held.end()) > 137);
  BOOST_TEST(*std::max_element(held.begin(), held.end()) < 263);
}

BOOST_AUTO_TEST_CASE(a_class_keeps_its_last_training_image_while_others_have_more) {
  std::vector<int32_t> labels(90, 0);
  for (int32_t c = 1; c <= 10; ++c) labels.push_back(c);
  for (const int64_t count : {20, 50, 89}) {
    const Split split = renas::split_validation(labels, count, 7);
    BOOST_TEST(split.validation.size() == static_cast<std::size_t>(count));
    BOOST_TEST(split.train.size() + split.validation.size() == 100U);
    BOOST_TEST(renas::classes_left_out(labels, split.train).empty());
  }
  // There is no other way: 11 classes cannot keep an image each of 10.
  const Split most = renas::split_validation(labels, 90, 7);
  BOOST_TEST(most.validation.size() == 90U);
  BOOST_TEST(renas::classes_left_out(labels, most.train).size() == 1U);
  BOOST_TEST(renas::split_validation(labels, 100, 7).train.empty());
  BOOST_TEST(renas::classes_left_out(labels, {}).size() == 11U);
  // Those who would have given all they have give to the largest classes instead.
  std::vector<int32_t> pairs{0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3};
  const auto counts = count_by_class(pairs, renas::split_validation(pairs, 9, 1).validation);
  BOOST_TEST(counts[0] == 1);
  BOOST_TEST(counts[1] == 1);
  BOOST_TEST(counts[2] == 7);
}

BOOST_AUTO_TEST_CASE(more_than_there_are_cannot_be_held_out) {
  const auto labels = ten_classes(100);
  BOOST_CHECK_EXCEPTION(renas::split_validation(labels, 101, 1), renas::InvalidInput,
                        [](const renas::InvalidInput& error) {
                          return std::string(error.what()) == "cannot take 101 of 100 images";
                        });
}

BOOST_AUTO_TEST_CASE(the_papers_held_out_count_or_a_tenth) {
  BOOST_TEST(renas::default_validation_count(50000) == 5000);
  BOOST_TEST(renas::default_validation_count(60000) == 5000);
  BOOST_TEST(renas::default_validation_count(1234) == 123);
}

BOOST_AUTO_TEST_SUITE_END()
