#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>

#include "renas/training.h"

using namespace renas;

BOOST_AUTO_TEST_SUITE(recipes)

BOOST_AUTO_TEST_CASE(without_cycles_the_rate_is_constant) {
  for (const int64_t step : {0, 7, 1000}) BOOST_TEST(rate_factor({.epochs = 3}, step, 10) == 1.0);
}

BOOST_AUTO_TEST_CASE(a_cosine_goes_from_1_to_0) {
  const Recipe recipe{.epochs = 4, .cosine_cycles = {4}};
  BOOST_TEST(rate_factor(recipe, 0, 10) == 1.0);
  BOOST_TEST(std::abs(rate_factor(recipe, 20, 10) - 0.5) < 1e-12);
  BOOST_TEST(std::abs(rate_factor(recipe, 39, 10) -
                      0.5 * (1 + std::cos(std::numbers::pi * 39 / 40))) < 1e-12);
}

BOOST_AUTO_TEST_CASE(a_polynomial_goes_from_1_to_0_once) {
  const Recipe recipe{.epochs = 4, .cosine_cycles = {4}, .polynomial_power = 0.9};
  BOOST_TEST(rate_factor(recipe, 0, 10) == 1.0);
  BOOST_TEST(std::abs(rate_factor(recipe, 10, 10) - std::pow(0.75, 0.9)) < 1e-12);
  BOOST_TEST(std::abs(rate_factor(recipe, 39, 10) - std::pow(1.0 / 40, 0.9)) < 1e-12);
  BOOST_TEST(rate_factor(recipe, 40, 10) == 0.0);
}

BOOST_AUTO_TEST_CASE(cycles_restart_and_the_last_is_repeated) {
  const Recipe recipe{.epochs = 9, .cosine_cycles = {1, 2}};
  BOOST_TEST(rate_factor(recipe, 0, 10) == 1.0);
  BOOST_TEST(rate_factor(recipe, 10, 10) == 1.0);  // second cycle
  BOOST_TEST(std::abs(rate_factor(recipe, 20, 10) - 0.5) < 1e-12);
  BOOST_TEST(rate_factor(recipe, 30, 10) == 1.0);  // third, as long as the second
  BOOST_TEST(rate_factor(recipe, 50, 10) == 1.0);
}

BOOST_AUTO_TEST_SUITE_END()
