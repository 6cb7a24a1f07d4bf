#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>

#include "renas/error.h"
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
  const Recipe recipe{.epochs = 4, .schedule = Schedule::kPolynomial, .power = 0.9};
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

BOOST_AUTO_TEST_CASE(a_cosine_may_end_above_0) {
  const Recipe recipe{.epochs = 4, .cosine_cycles = {4}, .least_factor = 0.2};
  BOOST_TEST(rate_factor(recipe, 0, 10) == 1.0);
  BOOST_TEST(std::abs(rate_factor(recipe, 20, 10) - 0.6) < 1e-12);
}

BOOST_AUTO_TEST_CASE(a_polynomial_goes_down_with_what_is_left) {
  Recipe recipe{.epochs = 4, .schedule = Schedule::kPolynomial};
  BOOST_TEST(rate_factor(recipe, 0, 10) == 1.0);
  BOOST_TEST(rate_factor(recipe, 10, 10) == 0.75);
  recipe.power = 2;
  BOOST_TEST(rate_factor(recipe, 20, 10) == 0.25);
  BOOST_TEST(rate_factor(recipe, 40, 10) == 0.0);
}

BOOST_AUTO_TEST_CASE(steps_are_taken_at_epochs_or_every_few) {
  Recipe recipe{.epochs = 9, .schedule = Schedule::kSteps, .step_epochs = {2, 5}};
  const auto factor = [&](int epoch) { return rate_factor(recipe, epoch * 10, 10); };
  BOOST_TEST(factor(1) == 1.0);
  BOOST_TEST(std::abs(factor(2) - 0.1) < 1e-15);
  BOOST_TEST(std::abs(factor(4) - 0.1) < 1e-15);
  BOOST_TEST(std::abs(factor(5) - 0.01) < 1e-15);
  BOOST_TEST(rate_factor(recipe, 19, 10) == 1.0);  // the last step of epoch 1
  recipe.step_every = 3;
  recipe.step_factor = 0.5;
  BOOST_TEST(factor(2) == 1.0);
  BOOST_TEST(factor(3) == 0.5);
  BOOST_TEST(factor(8) == 0.25);
}

BOOST_AUTO_TEST_CASE(a_warm_up_scales_what_the_schedule_says) {
  const Recipe recipe{.epochs = 4, .schedule = Schedule::kPolynomial, .warm_up_epochs = 2};
  BOOST_TEST(std::abs(rate_factor(recipe, 0, 10) - 1.0 / 20) < 1e-12);
  BOOST_TEST(std::abs(rate_factor(recipe, 9, 10) - 0.5 * (1 - 9.0 / 40)) < 1e-12);
  BOOST_TEST(std::abs(rate_factor(recipe, 19, 10) - (1 - 19.0 / 40)) < 1e-12);
  BOOST_TEST(std::abs(rate_factor(recipe, 20, 10) - 0.5) < 1e-12);
}

BOOST_AUTO_TEST_CASE(schedules_have_names) {
  for (const Schedule schedule : {Schedule::kCosine, Schedule::kPolynomial, Schedule::kSteps}) {
    BOOST_TEST((parse_schedule(to_string(schedule)) == schedule));
  }
  BOOST_CHECK_THROW(parse_schedule("linear"), InvalidInput);
}

BOOST_AUTO_TEST_SUITE_END()
