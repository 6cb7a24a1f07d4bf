#include "renas/random.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

using renas::Purpose;
using renas::Random;

BOOST_AUTO_TEST_SUITE(random_streams)

// The known answers of Salmon et al.'s Random123 distribution (kat_vectors, philox4x32 10).
BOOST_AUTO_TEST_CASE(philox_gives_the_published_answers) {
  const auto zeros = renas::philox({0, 0, 0, 0}, {0, 0});
  const std::array<uint32_t, 4> expected_zeros{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  BOOST_TEST(zeros == expected_zeros);
  const auto ones =
      renas::philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff});
  const std::array<uint32_t, 4> expected_ones{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  BOOST_TEST(ones == expected_ones);
}

BOOST_AUTO_TEST_CASE(a_saved_state_goes_on_where_it_stopped) {
  Random stream(7, Purpose::kChild, 42);
  for (int i = 0; i < 13; ++i) stream.bits();
  Random copy(stream.state());
  for (int i = 0; i < 100; ++i) BOOST_TEST(stream.bits() == copy.bits());
}

BOOST_AUTO_TEST_CASE(streams_differ_by_seed_purpose_and_id) {
  const uint64_t base = Random(1, Purpose::kChild, 1).bits64();
  BOOST_TEST(base != Random(2, Purpose::kChild, 1).bits64());
  BOOST_TEST(base != Random(1, Purpose::kMask, 1).bits64());
  BOOST_TEST(base != Random(1, Purpose::kChild, 2).bits64());
}

BOOST_AUTO_TEST_CASE(below_is_uniform) {
  Random stream(3);
  std::vector<int> counts(7);
  const int draws = 70000;
  for (int i = 0; i < draws; ++i) ++counts[stream.below(7)];
  double chi_squared = 0;
  for (const int n : counts) chi_squared += std::pow(n - draws / 7.0, 2) / (draws / 7.0);
  BOOST_TEST(chi_squared < 22.5);  // 6 degrees of freedom, p = 0.001
}

BOOST_AUTO_TEST_CASE(normal_has_mean_0_and_variance_1) {
  Random stream(4);
  const int draws = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = stream.normal();
    sum += x;
    squares += x * x;
  }
  BOOST_TEST(std::abs(sum / draws) < 0.013);
  BOOST_TEST(std::abs(squares / draws - 1) < 0.018);
}

BOOST_AUTO_TEST_SUITE_END()
