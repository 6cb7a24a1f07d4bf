// Fronts and crowding of points in two objectives, against their definitions.
#include "search/non_domination.h"

#include <boost/test/unit_test.hpp>
#include <limits>

#include "renas/random.h"

using renas::search::Standing;
using renas::search::standings;
using renas::search::Tradeoff;

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

}  // namespace

BOOST_AUTO_TEST_SUITE(non_domination)

BOOST_AUTO_TEST_CASE(an_example_by_hand) {
  // Four points on the first front (value, size), two behind it, one behind those.
  const std::vector<Tradeoff> points{{0.9, 10}, {0.5, 2}, {0.6, 4}, {0.8, 6},
                                     {0.6, 6},  {0.4, 2}, {0.35, 7}};
  const std::vector<Standing> s = standings(points);
  BOOST_TEST((s[0] == Standing{0, -kInfinite}));
  BOOST_TEST((s[1] == Standing{0, -kInfinite}));
  BOOST_TEST(s[2].front == 0u);
  BOOST_TEST(-s[2].crowding == (6 - 2) / 8.0 + (0.8 - 0.5) / 0.4,
             boost::test_tools::tolerance(1e-12));
  BOOST_TEST(-s[3].crowding == (10 - 4) / 8.0 + (0.9 - 0.6) / 0.4,
             boost::test_tools::tolerance(1e-12));
  BOOST_TEST((s[4] == Standing{1, -kInfinite}));
  BOOST_TEST((s[5] == Standing{1, -kInfinite}));
  BOOST_TEST((s[6] == Standing{2, -kInfinite}));
  BOOST_TEST((s[1] < s[3] && s[3] < s[2] && s[2] < s[4] && s[4] < s[6]));
}

BOOST_AUTO_TEST_CASE(fronts_are_what_domination_says) {
  renas::Random random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<Tradeoff> points(1 + random.below(30));
    for (Tradeoff& p : points) {  // few values, so that many are equal
      p = {static_cast<double>(random.below(6)), static_cast<double>(random.below(6))};
    }
    const std::vector<Standing> s = standings(points);
    for (std::size_t i = 0; i < points.size(); ++i) {
      std::size_t expected = 0;  // one more than the last front that holds a point that dominates
      for (std::size_t j = 0; j < points.size(); ++j) {
        const bool as_good = points[j].value >= points[i].value && points[j].size <= points[i].size;
        const bool equal = points[j].value == points[i].value && points[j].size == points[i].size;
        if (as_good && !equal) expected = std::max(expected, s[j].front + 1);
      }
      BOOST_TEST(s[i].front == expected);
      BOOST_TEST(s[i].crowding <= 0);
    }
  }
  BOOST_TEST(standings({}).empty());
}

BOOST_AUTO_TEST_SUITE_END()
